package render

import (
	"cmp"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/typed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// lintable is a rendered environment as the rules see it.
func (r *rendered) lintable() lint.Environment {
	h := r.header
	env := lint.Environment{
		Name: h.Name, Namespace: h.Namespace, KubernetesVersion: cmp.Or(r.ev.repo.target, h.KubernetesVersion),
		Cluster: h.cluster(),
		After:   h.After, PromotionFrom: h.Promotion.From, Was: h.Was, Site: h.Site, Registry: h.Registry, Registries: h.Registries, External: h.External, NetworkPolicy: h.NetworkPolicy,
	}
	env.Definitions, _ = r.ev.repo.definitions()
	env.Disabled, env.Upgrade = r.off, r.ev.repo.target != ""
	for _, u := range r.units {
		lu := lint.Unit{
			Name: u.data.Name, Type: u.data.Type, App: u.group == "apps", Fields: u.data.fields,
			Silence: u.data.Silence, Consumes: u.data.Consumes, After: u.data.After,
		}
		if c := u.canary(h); c != nil {
			lu.Weighed = slices.ContainsFunc(c.Routes, func(r schema.CanaryRoute) bool { return r.Kind == "Ingress" })
		}
		if r.ev.repo.target != "" {
			lu.Silence = nil
		}
		for _, o := range u.objs {
			lo := lint.Object{Key: o.key, Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName(), Content: o.Object, Gated: o.gated}
			if lo.Namespace == "" && lint.Namespaced(lo) {
				lo.Namespace = u.data.Namespace // as the plan fills in, which asks the cluster
			}
			lu.Objects = append(lu.Objects, lo)
		}
		env.Units = append(env.Units, lu)
	}
	return env
}

// explain gives the findings of rules their place in the user's files.
func (r *rendered) explain(found []lint.Finding) Findings {
	type mistake struct {
		file      string
		line, col int
		message   string
	}
	references := map[mistake]bool{}
	findings := make(Findings, 0, len(found))
	for _, l := range found {
		f := r.place(l)
		if l.Rule == lint.RuleReference {
			// One name that leads nowhere may be read by many fields.
			m := mistake{f.File, f.Line, f.Col, l.Message}
			if references[m] {
				continue
			}
			references[m] = true
		}
		f.Rule, f.Warning, f.Absent = l.Rule, l.Warning, l.Absent
		f.Message, f.Expected, f.Found, f.DidYouMean, f.Hint = l.Message, l.Expected, l.Found, l.DidYouMean, l.Hint
		if l.Rule == lint.RuleDefinition {
			f.cluster = r.header.cluster()
		}
		findings = append(findings, f)
	}
	return findings
}

func (r *rendered) place(l lint.Finding) Finding {
	for _, u := range r.units {
		if u.data.Name != l.Unit {
			continue
		}
		if l.Key == "" {
			return r.ev.at(u, l.Path)
		}
		for _, o := range u.objs {
			if o.key != l.Key {
				continue
			}
			f := r.ev.atObject(u, o, l.Path)
			if n := len(l.Path) - 1; l.Rule == lint.RuleReference && !f.literal && n > 0 && l.Path[n] == "key" && o.from != nil {
				return r.ev.atObject(u, o, append(slices.Clone(l.Path[:n]), "name")) // the type of the app says which key
			}
			return f
		}
	}
	return r.ev.atHeader(l.Path)
}

// atObject is at, for a field of an object.
func (ev *evaluated) atObject(u *unit, o *object, path typed.Path) Finding {
	f := ev.at(u, o.below(path))
	f.Object, f.field = o.ref(), path
	pos, literal := ev.patchPosition(u, o, path)
	switch {
	case o.maker == policyField && !pos.IsValid():
		ev.inPolicy(&f, u, o, path)
	case o.from == nil: // kustomize or a chart made it: there is no way back
		f.Path = strings.TrimSpace(u.path(nil) + " " + o.ref() + " " + path.String())
		if o.origin != "" && ev.repo.inBase(&f, o, path) {
			return f
		}
		if value := u.valueOf(o, path); value != nil && !pos.IsValid() {
			f.Path = u.path(value)
			if pos, literal = ev.position(u, value); !literal {
				pos = token.NoPos
			}
		} else if u.data.chart != nil && !pos.IsValid() && ev.repo.inValues(&f, u, o, path) {
			return f
		}
	case pos.IsValid():
		f.Path = u.path(append(typed.Path{"patch", o.key}, path...))
	default:
		ev.own(&f, u, o, path)
	}
	if pos.IsValid() {
		ev.repo.place(&f, pos)
		f.literal = literal
	}
	return f
}

// inPolicy leads to the word of the environment's networkPolicy that a field of a policy
// repeats, or to networkPolicy itself.
func (ev *evaluated) inPolicy(f *Finding, u *unit, o *object, path typed.Path) {
	field := ev.atHeader(typed.Path{policyField})
	f.pos, f.File, f.Line, f.Col = field.pos, field.File, field.Line, field.Col
	f.Path = strings.TrimSpace(u.path(nil) + " " + o.ref() + " " + path.String())
	f.listed = token.NoPos
	text, _ := scalarAt(o.Object, path)
	var found []word
	for w := range ev.wordsBelow(policyField) {
		if text != "" && !w.isLabel && w.text == text {
			found = append(found, w)
		}
	}
	if len(found) == 1 {
		ev.repo.place(f, found[0].pos)
		f.literal, f.Path = true, found[0].path[1:].String()
	}
}

// objectPath is the path of a field of an object as it is printed.
func (u *unit) objectPath(o *object, path typed.Path) string { return u.path(o.below(path)) }

// below is the path of a field of the object, below its unit.
func (o *object) below(path typed.Path) typed.Path {
	if o.from == nil {
		return typed.Path{cmp.Or(o.maker, "kustomize")}
	}
	below := make(typed.Path, 0, len(o.from)+len(path))
	for _, step := range o.from {
		below = append(below, step)
	}
	return append(below, path...)
}

// patchPosition is where the user's patch of an object sets a field; not valid
// where it does not. Inside a list, whose items merge by their keys, it is the item of
// the same name, else the list; literal says that it is the field itself.
func (ev *evaluated) patchPosition(u *unit, o *object, path typed.Path) (pos token.Pos, literal bool) {
	if u.data.Patch[o.key] == nil || len(path) == 0 {
		return token.NoPos, false
	}
	v := u.value().LookupPath(cuePath(typed.Path{"patch", o.key}))
	for i, step := range path {
		next := v.LookupPath(cuePath(typed.Path{step}))
		if _, inList := step.(int); inList && v.Exists() {
			next = itemNamed(v, path[:i+1].In(o.Object))
			if !next.Exists() {
				return ev.repo.userPos(v), false
			}
		}
		if !next.Exists() {
			return token.NoPos, false
		}
		v = next
	}
	return ev.repo.userPos(v), true
}

// itemNamed is the item of a list with the name of an object's item.
func itemNamed(list cue.Value, item any) cue.Value {
	iter, err := list.List()
	for _, key := range []string{"name", "mountPath", "containerPort", "port", "key"} {
		name := tree.Map(item)[key]
		if name == nil {
			continue
		}
		for err == nil && iter.Next() {
			var found any
			if decodeJSON(iter.Value().LookupPath(cue.MakePath(cue.Str(key))), &found) == nil && found == name {
				return iter.Value()
			}
		}
		break
	}
	return cue.Value{}
}
