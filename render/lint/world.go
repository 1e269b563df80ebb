package lint

import (
	"maps"
	"slices"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// world is an environment with the indexes that rules share.
type world struct {
	env      *Environment
	objects  []located
	byKind   map[string][]located
	byID     map[id]located
	pods     []podSource
	podIndex map[podLabel][]podSource
	findings []Finding
	broken   []string // environments beside this one that do not evaluate
	mistaken bool     // see findMistaken
}

type id struct{ kind, namespace, name string }

// located is an object in its unit.
type located struct {
	Object
	unit *Unit
}

// podSource is an object that makes pods.
type podSource struct {
	located
	template map[string]any
	path     typed.Path // of the template
}

func (p podSource) labels() map[string]any {
	return tree.Map(tree.At(p.template, "metadata", "labels"))
}

func (p podSource) spec() map[string]any { return tree.Map(p.template["spec"]) }

// containers calls fn for each container with its path; init containers first.
func (p podSource) containers(fn func(c map[string]any, path typed.Path)) {
	for _, group := range []string{"initContainers", "containers"} {
		tree.Each(p.spec()[group], func(i int, c map[string]any) {
			fn(c, p.at("spec", group, i))
		})
	}
}

func (p podSource) at(steps ...any) typed.Path {
	return append(slices.Clip(p.path), steps...)
}

func newWorld(env Environment) *world {
	w := &world{env: &env, byKind: map[string][]located{}, byID: map[id]located{}}
	for i := range env.Units {
		u := &env.Units[i]
		for _, o := range u.Objects {
			l := located{Object: o, unit: u}
			w.objects = append(w.objects, l)
			w.byKind[o.Kind] = append(w.byKind[o.Kind], l)
			w.byID[id{o.Kind, o.Namespace, o.Name}] = l
			template, steps := tree.PodTemplate(o.Content)
			if template == nil {
				continue
			}
			p := podSource{located: l, template: template}
			for _, step := range steps {
				p.path = append(p.path, step)
			}
			w.pods = append(w.pods, p)
		}
	}
	return w
}

func (w *world) report(f Finding) { w.findings = append(w.findings, f) }

// at begins a finding about a field of an object.
func (o located) at(rule string, path ...any) Finding {
	return Finding{Rule: rule, Unit: o.unit.Name, Key: o.Key, Path: path}
}

// spoken are the findings of rules that their unit does not silence.
func (w *world) spoken() []Finding {
	silenced := map[string]map[string]string{}
	for _, u := range w.env.Units {
		silenced[u.Name] = u.Silence
	}
	for i := range w.findings {
		// Pods that violate the level of their namespace do not start, whoever knows.
		if f := &w.findings[i]; f.Rule == rulePodSecurity && silenced[f.Unit][f.Rule] != "" {
			f.Warning = true
		}
	}
	return slices.DeleteFunc(w.findings, func(f Finding) bool {
		_, ok := silenced[f.Unit][f.Rule]
		return ok && f.Rule != rulePodSecurity
	})
}

// matches says whether labels satisfy a selector of equality only.
func matches(selector, labels map[string]any) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return true
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
