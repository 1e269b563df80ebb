package render

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// inClear finds Secrets whose values stand in the repository as they are: whole objects, and
// what kustomize reads or generates. Of a marked value somebody said that it may stand there,
// and what a type or a chart makes of its fields is theirs. Of a Secret about which something
// else is said, that is enough.
func (ev *evaluated) inClear(units []*unit, said Findings) (findings Findings) {
	for _, u := range units {
		if _, silenced := u.data.Silence["password"]; silenced {
			continue
		}
		for _, o := range u.objs {
			whole := o.from != nil && o.from[0] == "extraObjects"
			known := func(f Finding) bool { return f.Unit == u.data.Name && f.Object == o.ref() }
			if o.GetKind() != "Secret" || o.GetAPIVersion() != "v1" || !whole && (o.from != nil || o.maker != "") ||
				!ev.shows(o) || slices.ContainsFunc(said, known) {
				continue
			}
			f := ev.atSecret(u, o)
			f.Rule, f.Warning = "password", true
			f.Message = "values of a Secret in plain text: git keeps them for ever"
			f.Hint = "declare it, external: secrets, or encrypt it, secrets: NAME: file; what may stand here has the mark @secret()"
			findings = append(findings, f)
		}
	}
	return findings
}

// atSecret is where the values of a Secret stand: it is stored as data, however it is written.
func (ev *evaluated) atSecret(u *unit, o *object) Finding {
	generator := typed.Path{"kustomize", "secretGenerator"}
	if o.from == nil && o.origin == "" && u.value().LookupPath(cuePath(generator)).Exists() {
		f := ev.at(u, generator)
		f.Object = o.ref()
		return f
	}
	f, stored := ev.atObject(u, o, typed.Path{"stringData"}), ev.atObject(u, o, typed.Path{"data"})
	if !f.literal && (stored.literal || stored.Line >= f.Line) {
		return stored
	}
	return f
}

// shows says whether a Secret has a value that is not marked; a certificate is none.
func (ev *evaluated) shows(o *object) bool {
	data := tree.Map(o.Object["data"])
	var marked []markedValue
	if len(data) > 0 && ev.marked().any() {
		marked = ev.markedValues()
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		stored := tree.Text(data[key])
		text, err := base64.StdEncoding.DecodeString(stored)
		if err != nil || len(text) == 0 || strings.HasSuffix(key, ".crt") {
			continue
		}
		if !slices.ContainsFunc(marked, func(m markedValue) bool { return m.in(string(text), key) || m.in(stored, key) }) {
			return true
		}
	}
	return false
}
