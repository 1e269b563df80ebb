package render

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/server"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// refused adds what the API server would say against the objects of the named
// environments, where no rule has said it better.
func (set renderedSet) refused(names []string) {
	var api server.Server
	g := contain.NewGroup()
	g.SetLimit(parallel())
	all := make([][]refused, len(set))
	for i, one := range set {
		if one.result == nil || !slices.Contains(names, one.name) {
			continue
		}
		g.Go(func() error {
			all[i] = one.refused(&api)
			return nil
		})
	}
	_ = g.Wait() // the functions return no error
	for i, one := range set {
		if one.result != nil && slices.Contains(names, one.name) {
			one.findings = append(one.findings, one.expressions(&api)...)
		}
		one.findings = append(one.findings, one.ev.hush(one.refusals(all[i]), one.units)...)
	}
}

// asked are the refusals of an environment on its own.
func (r *rendered) asked() Findings {
	var api server.Server
	return r.ev.hush(append(r.expressions(&api), r.refusals(r.refused(&api))...), r.units)
}

// expressions finds the rules of health that nothing can be asked with.
func (r *rendered) expressions(api *server.Server) (findings Findings) {
	for _, u := range r.units {
		for _, key := range slices.Sorted(maps.Keys(u.data.Ready)) {
			rule := u.data.Ready[key]
			if rule.CEL == "" {
				continue
			}
			if wrong := api.Expression(rule.CEL); wrong != "" {
				f := r.ev.at(u, typed.Path{"ready", key, "cel"})
				f.Message = wrong
				findings = append(findings, f)
			}
		}
	}
	ready := r.header.ready()
	for _, kind := range slices.Sorted(maps.Keys(ready)) {
		if ready[kind].CEL == "" {
			continue
		}
		if wrong := api.Expression(ready[kind].CEL); wrong != "" {
			f := r.ev.atHeader(typed.Path{"site", "ready", kind, "cel"})
			f.Message = wrong
			findings = append(findings, f)
		}
	}
	return findings
}

// oneSource says in the words of an app that it gives two sources for one thing, where the
// server names the fields of the object that the definitions made of them.
func (r *rendered) oneSource(refusal refused) (Finding, bool) {
	n := len(refusal.Path) - 1
	if refusal.unit.group != "apps" || refusal.object.from == nil || refusal.object.from[0] != "objects" || n < 1 {
		return Finding{}, false
	}
	words := map[string]string{
		"configMapKeyRef": "configMap", "emptyDir": "empty", "exec": "command", "fieldRef": "field", "httpGet": "path", "persistentVolumeClaim": "claim",
		"resourceFieldRef": "resource", "secretKeyRef": "secret", "tcpSocket": "port",
	}
	path := refusal.Path
	switch {
	case strings.HasPrefix(refusal.Message, "may not specify more than 1 "):
		path = path[:n]
	case strings.HasPrefix(refusal.Message, "may not have more than one field"):
	default:
		return Finding{}, false
	}
	var names []string
	var patched typed.Path
	for _, name := range slices.Sorted(maps.Keys(tree.Map(path.In(refusal.object.Object)))) {
		if name == "name" || strings.HasSuffix(name, "Seconds") || strings.HasSuffix(name, "Threshold") {
			continue
		}
		names = append(names, name)
		if pos, literal := r.ev.patchPosition(refusal.unit, refusal.object, append(slices.Clip(path), name)); literal && pos.IsValid() && patched == nil {
			patched = append(slices.Clip(path), name)
		}
	}
	if patched != nil { // in the words of the patch: it adds a second source to the one of the type
		f := r.ev.atObject(refusal.unit, refusal.object, patched)
		f.Rule, f.Message, f.Hint = lint.RuleServer, strings.Join(names, " and ")+": one of them", "take the others out"
		return f, true
	}
	for i, name := range names {
		names[i] = cmp.Or(words[name], name)
	}
	f := r.ev.atObject(refusal.unit, refusal.object, path)
	if probe, ok := strings.CutSuffix(fmt.Sprint(path[len(path)-1]), "Probe"); ok {
		f = r.ev.at(refusal.unit, typed.Path{"probes", probe})
		f.Object, f.field = refusal.object.ref(), path
	}
	f.Path = strings.TrimSuffix(f.Path, ".valueFrom")
	f.Rule, f.Message, f.Hint = lint.RuleServer, strings.Join(names, " and ")+": one of them", "take the others out"
	return f, true
}

// refused is what the server says against an object.
type refused struct {
	unit   *unit
	object *object
	server.Refusal
}

func (r *rendered) refused(api *server.Server) []refused {
	var all []refused
	defined := r.ev.repo.defined(r.units)
	custom := map[string]*server.Custom{} // by apiVersion and kind
	for _, u := range r.units {
		if _, silent := u.data.Silence[lint.RuleServer]; silent {
			continue
		}
		for _, o := range u.objs {
			refusals := api.Refusals(o.Object)
			if version, ok := defined.Find(o.GetAPIVersion(), o.GetKind()); ok && version.Schema != nil {
				key := o.GetAPIVersion() + "/" + o.GetKind()
				if _, asked := custom[key]; !asked {
					custom[key] = api.Custom(version.Schema)
				}
				refusals = custom[key].Refusals(o.Object)
			}
			for _, refusal := range refusals {
				all = append(all, refused{u, o, refusal})
			}
		}
	}
	return all
}

func (r *rendered) refusals(all []refused) Findings {
	said := slices.Clone(r.findings)
	var findings Findings
	for _, refusal := range all {
		if f, ok := r.oneSource(refusal); ok {
			if !said.covers(f) {
				said, findings = append(said, f), append(findings, f)
			}
			continue
		}
		f := r.ev.atObject(refusal.unit, refusal.object, refusal.Path)
		f.Rule, f.Message = lint.RuleServer, refusal.Message
		if refusal.Computed && len(refusal.object.secret) > 0 {
			f.Message = "breaks a rule of its definition, whose message is left out: it is made from fields, and some are marked secret"
		}
		f.Expected, f.DidYouMean = oneOf(refusal.Refusal)
		if refusal.Value != nil && !refusal.object.withholds(refusal.Path) {
			f.Found = found(refusal.Value)
		}
		if said.covers(f) {
			continue
		}
		f.derived = refusal.object.from != nil && !f.literal && !refusal.unit.value().LookupPath(cuePath(refusal.object.below(refusal.Path))).Exists()
		said, findings = append(said, f), append(findings, f)
	}
	// What the server fills in for a field, as the default of a request is that of the
	// limit, is as wrong as the field, and follows from what is wrong beside it.
	return slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool {
		return f.derived && slices.ContainsFunc(findings, func(other Finding) bool {
			return !other.derived && other.Unit == f.Unit && other.Object == f.Object &&
				(f.Found != "" && other.Found == f.Found || len(f.field) > 2 && len(other.field) > 2 && slices.Equal(f.field[:len(f.field)-2], other.field[:len(other.field)-2]))
		})
	})
}

func oneOf(refusal server.Refusal) (expected, near string) {
	value, _ := refusal.Value.(string)
	if len(refusal.Accepted) == 0 {
		return "", typed.Closest(value, refusal.Near)
	}
	return "one of " + strings.Join(refusal.Accepted, ", "), typed.Closest(value, refusal.Accepted)
}

func found(value any) string {
	if text, ok := value.(string); ok {
		return quote(text)
	}
	return fmt.Sprint(value)
}

// withholds says whether what stands at a path, or below it, is not to be shown.
func (o *object) withholds(path typed.Path) bool {
	if o.GetKind() == "Secret" {
		return true
	}
	var b strings.Builder
	for _, step := range path {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(fmt.Sprint(step)))
	}
	pointer := b.String()
	return slices.ContainsFunc(o.secret, func(secret string) bool {
		return secret == pointer || strings.HasPrefix(secret, pointer+"/") || strings.HasPrefix(pointer, secret+"/")
	})
}

// covers says whether one of the findings is of the same mistake: of the field, of one
// above or below it, or of the same word in the user's files.
func (fs Findings) covers(f Finding) bool {
	return slices.ContainsFunc(fs, func(other Finding) bool {
		if other.Warning || other.Unit != f.Unit {
			return false
		}
		if other.literal && f.literal && other.pos == f.pos {
			return true
		}
		return other.Object == f.Object && other.Object != "" &&
			(slices.Equal(other.field, f.field) || saysToo(other.Rule) && alongside(other.field, f.field))
	})
}

// saysToo says whether a rule is about what the server refuses as well.
func saysToo(rule string) bool {
	return slices.Contains([]string{"container", lint.RuleCustomResource, "duplicate", "ingress", "name", "namespace", "selector", lint.RuleServer, "strategy", "volume"}, rule)
}

// alongside says whether one path leads to the other, or both to the same struct of a
// rollout, whose fields depend on each other.
func alongside(a, b typed.Path) bool {
	n := min(len(a), len(b))
	if n > 1 && a[n-1] != b[n-1] && a[n-2] == "rollingUpdate" {
		n--
	}
	return n > 0 && slices.Equal(a[:n], b[:n])
}
