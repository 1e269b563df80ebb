package render

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// finisher takes the units of an environment from what CUE made of them to what is
// applied.
type finisher struct {
	*evaluated
	header header
	units  []*unit
}

// finish takes the units from what the definitions made to what is applied:
// kustomized, patched, complete, normal, labelled and in order.
func (fin *finisher) finish(ctx context.Context) Findings {
	isolate(fin.header, fin.units)
	found := make([]Findings, len(fin.units))
	g := contain.NewGroup()
	g.SetLimit(parallel())
	for i, u := range fin.units {
		g.Go(func() error {
			found[i] = fin.finishUnit(ctx, u)
			return nil
		})
	}
	_ = g.Wait() // the functions return no error
	findings := slices.Concat(found...)
	findings = append(findings, fin.chartErrors(ctx)...)
	findings = append(findings, fin.custom()...)
	findings = append(findings, fin.duplicates()...)
	findings = append(findings, fin.freezes()...)
	findings = append(findings, fin.canaries()...)
	hashConfig(fin.units)
	return findings
}

// later is what costs more than to render, and is the business of vet, or the cause of
// what is wrong.
func (fin *finisher) later(wrong bool) Findings {
	found := make([]Findings, len(fin.units))
	g := contain.NewGroup()
	g.SetLimit(parallel())
	for i, u := range fin.units {
		looks := u.later
		u.later = nil // with what they hold
		if !fin.thorough && !wrong {
			continue
		}
		g.Go(func() error {
			for _, look := range looks {
				found[i] = append(found[i], look()...)
			}
			return nil
		})
	}
	_ = g.Wait() // the functions return no error
	return slices.Concat(found...)
}

func (fin *finisher) finishUnit(ctx context.Context, u *unit) Findings {
	if !u.data.made {
		return Findings{fin.unmade(u)}
	}
	var findings Findings
	if u.data.chart != nil {
		if findings = fin.chart(ctx, u); findings.wrong() || u.failed != nil {
			return findings // the rest would follow from it
		}
	}
	findings = append(findings, fin.checkUnit(u)...)
	if len(u.data.Kustomize) > 0 {
		findings = append(findings, fin.kustomize(ctx, u)...)
	}
	findings = append(findings, fin.patch(u)...)
	for _, o := range u.objs {
		if f := fin.identity(u, o); len(f) > 0 {
			findings = append(findings, f...)
			continue
		}
		fin.namespace(u, o)
		findings = append(findings, fin.normalise(u, o)...)
		label(fin.header, u, o)
	}
	slices.SortStableFunc(u.objs, compareObjects)
	return findings
}

// unmade says that no type made the unit: nobody looks at its fields then.
func (fin *finisher) unmade(u *unit) Finding {
	f := fin.at(u, nil)
	f.Message = "no type made this unit: its fields are not checked, and it renders nothing"
	f.Hint = "begin with a type, such as schema.#WebApp & {"
	if u.group == "stacks" {
		f.Hint = "begin with the definition of the stack, such as mine.#Stack & {"
	} else if typeName.MatchString(u.data.Type) {
		f.Hint = "begin with schema.#" + u.data.Type + " & {"
	}
	return f
}

// typeName matches what may be the name of a type of schema.
var typeName = regexp.MustCompile(`^[A-Z]\w+$`)

// checkUnit looks at what stands beside the objects: keys must name objects.
func (fin *finisher) checkUnit(u *unit) Findings {
	var findings Findings
	if _, err := u.data.timeout(); err != nil {
		f := fin.at(u, typed.Path{"timeout"})
		f.Message, f.Expected, f.Found = "not a duration", "such as 90s or 5m", quote(u.data.Timeout)
		findings = append(findings, f)
	}
	keys := map[string]bool{}
	for _, o := range u.objs {
		if keys[o.key] {
			f := fin.at(u, typed.Path{"extraObjects", o.key})
			f.Message = fmt.Sprintf("the type has an object %q of its own", o.key)
			f.Hint = "take another key, or bend the object with patch"
			findings = append(findings, f)
		}
		keys[o.key] = true
	}
	if len(u.data.Kustomize) > 0 {
		return findings // kustomize may bring more objects
	}
	known := slices.Sorted(maps.Keys(keys))
	check := func(key string, path ...any) {
		if keys[key] {
			return
		}
		f := fin.at(u, path)
		f.Message = fmt.Sprintf("no object %q in this unit", key)
		f.Expected = "one of " + enumerate(known)
		f.DidYouMean = typed.Closest(key, known)
		findings = append(findings, f)
	}
	for i, key := range u.data.Recreate {
		check(key, "recreate", i)
	}
	for _, key := range slices.Sorted(maps.Keys(u.data.Ignore)) {
		check(key, "ignore", key)
	}
	for _, key := range slices.Sorted(maps.Keys(u.data.Ready)) {
		check(key, "ready", key)
	}
	for i, key := range u.data.Reloads {
		check(key, "reloads", i)
	}
	return findings
}

// identity holds an object to what every object has.
func (fin *finisher) identity(u *unit, o *object) Findings {
	var findings Findings
	for _, field := range [][]string{{"apiVersion"}, {"kind"}, {"metadata", "name"}} {
		at := o.Object
		for _, step := range field[:len(field)-1] {
			at = tree.Map(at[step])
		}
		if tree.Text(at[field[len(field)-1]]) != "" {
			continue
		}
		var path typed.Path
		for _, step := range field {
			path = append(path, step)
		}
		f := fin.atObject(u, o, path)
		f.Message = "missing: every object has it"
		findings = append(findings, f)
	}
	return findings
}

// namespace puts objects of namespaced built-in kinds into the unit's namespace.
func (fin *finisher) namespace(u *unit, o *object) {
	gk := o.GroupVersionKind().GroupKind()
	if _, builtIn := fin.repo.kinds.Type(o.GroupVersionKind()); !builtIn || typed.ClusterScoped(gk) || o.GetNamespace() != "" {
		return
	}
	o.SetNamespace(u.data.Namespace)
}

// label marks an object as a member of the environment. Only its own metadata:
// what templates make belongs to the controllers that make it.
func label(h header, u *unit, o *object) {
	meta := tree.Map(o.Object["metadata"])
	labels, ok := meta["labels"].(map[string]any)
	if !ok {
		labels = map[string]any{}
		meta["labels"] = labels
	}
	labels[schema.LabelPartOf] = schema.ApplySetID(h.Name, h.Namespace)
	labels[schema.LabelManagedBy] = schema.Manager
	labels[schema.LabelUnit] = u.data.Name
}

// duplicates finds objects that two units, or two keys, both make: the second
// write would undo the first.
func (fin *finisher) duplicates() Findings {
	type id struct {
		kschema.GroupKind
		namespace, name string
	}
	first := map[id]string{}
	var findings Findings
	for _, u := range fin.units {
		for _, o := range u.objs {
			at := id{o.GroupVersionKind().GroupKind(), o.GetNamespace(), o.GetName()}
			if other, ok := first[at]; ok {
				f := fin.atObject(u, o, nil)
				f.Message = fmt.Sprintf("%s is made twice", o.ref())
				f.Hint = "also by " + other
				if name, ok := strings.CutPrefix(other, "base.objects.external-"); ok && o.GetKind() == "Service" {
					f = fin.atHeader(typed.Path{"external", "services", name})
					f.Message, f.Hint = fmt.Sprintf("%s makes a Service of this name too", u.path(nil)), "give the service outside another name"
				}
				findings = append(findings, f)
				continue
			}
			first[at] = u.objectPath(o, nil)
		}
	}
	return findings
}
