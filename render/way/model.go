package way

import (
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/seed-428f4edd/evenkeel/internal/words"
	"github.com/seed-428f4edd/evenkeel/render/edge"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// Environment is a rendered environment with what stands in front of its cluster.
type Environment struct {
	lint.Environment
	// Edge is the configuration of the hosts in front of the cluster, nil where this
	// environment does not describe them.
	Edge *edge.Config
	// Locate finds a field in the source: below the object with the key, without a
	// key below the unit, without a unit below the environment. Nil knows nothing.
	Locate func(unit, key string, path typed.Path) (file string, line int)
}

// Model is all that was rendered for one cluster.
type Model struct {
	envs        []*Environment
	byID        map[id]*object
	byKind      map[string][]*object
	podSources  []*pods
	selected    map[podLabel][]*pods
	front       *edge.Config
	frontEnv    *Environment
	frontUnit   string
	controllers []*controller
	registered  map[string]*instance // apps by environment and name
	chinese     func() *Model        // nil where it is that
	words       words.Words
}

type (
	id       struct{ kind, namespace, name string }
	podLabel struct{ namespace, key, value string }
)

// object is an object with its unit and environment.
type object struct {
	lint.Object
	unit *lint.Unit
	env  *Environment
}

func (o *object) ref() string {
	if o.Namespace == "" {
		return o.Kind + "/" + o.Name
	}
	return o.Kind + "/" + o.Namespace + "/" + o.Name
}

func (o *object) at(path ...any) Place {
	p := o.env.place(o.unit, &o.Object, path)
	p.object = o
	return p
}

func (o *object) spec() map[string]any { return tree.Map(o.Content["spec"]) }

func (o *object) annotations() map[string]any {
	return tree.Map(tree.At(o.Content, "metadata", "annotations"))
}

// place is a field of the environment, of a unit or of an object.
func (e *Environment) place(u *lint.Unit, o *lint.Object, path typed.Path) Place {
	p := Place{Environment: e.Name, Field: path.String(), path: path}
	if u != nil {
		p.Unit = u.Name
	}
	if o != nil {
		p.Object, p.Key = (&object{Object: *o}).ref(), o.Key
	}
	return p
}

// locate fills in where the hops stand in the source; of those that break alone, or
// of all.
func (m *Model) locate(w *Way, all bool) {
	w.Broken = len(w.Breaks()) > 0
	for i := range w.Hops {
		h := &w.Hops[i]
		if e := m.env(h.By.Environment); e != nil && e.Locate != nil && (all || h.Break != nil) {
			h.By.File, h.By.Line = e.Locate(h.By.Unit, h.By.Key, h.By.path)
		}
	}
}

// pods are what one object makes.
type pods struct {
	*object
	template map[string]any
	path     typed.Path
}

func (p *pods) labels() map[string]any {
	return tree.Map(tree.At(p.template, "metadata", "labels"))
}

func (p *pods) podSpec() map[string]any { return tree.Map(p.template["spec"]) }

func (p *pods) below(steps ...any) []any { return append(slices.Clone([]any(p.path)), steps...) }

// containers calls fn for each container that runs beside the others.
func (p *pods) containers(fn func(c map[string]any, path []any)) {
	tree.Each(p.podSpec()["containers"], func(i int, c map[string]any) { fn(c, p.below("spec", "containers", i)) })
}

// instance is an app or a stack with the pods that it makes.
type instance struct {
	env  *Environment
	unit *lint.Unit
	pods []*pods
}

func (in *instance) name() string { return in.env.Name + "/" + in.unit.Name }

// New is the model of environments of one cluster.
func New(envs []Environment) *Model {
	m := newModel(envs, nil)
	m.chinese = sync.OnceValue(func() *Model { return newModel(envs, chinese()) })
	return m
}

func newModel(envs []Environment, speech words.Words) *Model {
	m := &Model{words: speech, byID: map[id]*object{}, byKind: map[string][]*object{}, registered: map[string]*instance{}}
	for i := range envs {
		m.add(&envs[i])
	}
	m.selected = map[podLabel][]*pods{}
	for _, p := range m.podSources {
		for key, value := range p.labels() {
			at := podLabel{p.Namespace, key, tree.Text(value)}
			m.selected[at] = append(m.selected[at], p)
		}
	}
	m.controllers = m.findControllers()
	return m
}

func (m *Model) add(env *Environment) {
	m.envs = append(m.envs, env)
	if env.Edge != nil && m.front == nil {
		m.front, m.frontEnv = env.Edge, env
	}
	for i := range env.Units {
		u := &env.Units[i]
		in := &instance{env: env, unit: u}
		m.registered[in.name()] = in
		if u.Type == "edge" && env == m.frontEnv {
			m.frontUnit = u.Name
		}
		for _, o := range u.Objects {
			l := &object{Object: o, unit: u, env: env}
			m.byKind[o.Kind] = append(m.byKind[o.Kind], l)
			m.byID[id{o.Kind, o.Namespace, o.Name}] = l
			template, steps := tree.PodTemplate(o.Content)
			if template == nil || o.Kind == "Job" || o.Kind == "CronJob" || o.Kind == "PodTemplate" {
				continue
			}
			p := &pods{object: l, template: template}
			for _, step := range steps {
				p.path = append(p.path, step)
			}
			m.podSources = append(m.podSources, p)
			in.pods = append(in.pods, p)
		}
	}
}

// env finds an environment by name.
func (m *Model) env(name string) *Environment {
	for _, e := range m.envs {
		if e.Name == name {
			return e
		}
	}
	return nil
}

// podsOf are the pods that a selector of plain labels finds.
func (m *Model) podsOf(namespace string, selector map[string]any) []*pods {
	var candidates []*pods
	for i, key := range slices.Sorted(maps.Keys(selector)) {
		found := m.selected[podLabel{namespace, key, tree.Text(selector[key])}]
		if i == 0 || len(found) < len(candidates) {
			candidates = found
		}
	}
	return slices.DeleteFunc(slices.Clone(candidates), func(p *pods) bool { return !matches(selector, p.labels()) })
}

func matches(selector, of map[string]any) bool {
	for key, value := range selector {
		if of[key] != value {
			return false
		}
	}
	return true
}

func labelSet(m map[string]any) labels.Set {
	set := labels.Set{}
	for key, value := range m {
		set[key] = tree.Text(value)
	}
	return set
}

// nearest are the pods of a namespace that all but one label of a selector find,
// and that label.
func (m *Model) nearest(namespace string, selector map[string]any) (*pods, string) {
	for _, p := range m.podSources {
		if p.Namespace != namespace {
			continue
		}
		var wrong []string
		for _, key := range slices.Sorted(maps.Keys(selector)) {
			if p.labels()[key] != selector[key] {
				wrong = append(wrong, key)
			}
		}
		if len(wrong) == 1 && (len(selector) > 1 || near(selector[wrong[0]], p.labels()[wrong[0]])) {
			return p, wrong[0]
		}
	}
	return nil, ""
}

func near(a, b any) bool {
	return tree.Text(b) != "" && typed.Closest(tree.Text(a), []string{tree.Text(b)}) != ""
}

// count is how many pods there are to be, and at most.
func (m *Model) count(p *pods) (least, most int, by Place) {
	for _, h := range m.byKind["HorizontalPodAutoscaler"] {
		ref := tree.Map(h.spec()["scaleTargetRef"])
		if h.Namespace == p.Namespace && tree.Text(ref["kind"]) == p.Kind && tree.Text(ref["name"]) == p.Name {
			return int(number(h.spec()["minReplicas"], 1)), int(number(h.spec()["maxReplicas"], 1)), h.at("spec", "minReplicas")
		}
	}
	if p.Kind == "DaemonSet" {
		n := len(tree.Map(p.env.Site["nodes"]))
		return max(n, 1), 0, p.at()
	}
	if p.Kind == "Pod" {
		return 1, 0, p.at()
	}
	return int(number(p.spec()["replicas"], 1)), 0, p.at("spec", "replicas")
}

func number(v any, fallback int64) int64 {
	if n, ok := v.(int64); ok {
		return n
	}
	return fallback
}

// names are those of the objects of a kind in a namespace.
func (m *Model) names(kind, namespace string) []string {
	var names []string
	for _, o := range m.byKind[kind] {
		if o.Namespace == namespace {
			names = append(names, o.Name)
		}
	}
	return names
}

// declared says whether the environments make an object, or say that others do.
func (m *Model) declared(kind, namespace, name string) bool {
	if m.byID[id{kind, namespace, name}] != nil {
		return true
	}
	field := map[string]string{"Secret": "secrets", "ConfigMap": "configMaps"}[kind]
	for _, e := range m.envs {
		entry, ok := tree.Map(e.External[field])[name]
		if !ok {
			continue
		}
		at := tree.Text(tree.At(entry, "namespace"))
		if at == namespace || at == "" && e.Namespace == namespace {
			return true
		}
	}
	return false
}

func (m *Model) didYouMean(word string, names []string) string {
	return didYouMean(m.words, word, names)
}

func didYouMean(in words.Words, word string, names []string) string {
	if near := typed.Closest(word, names); near != "" {
		return in.Say("; did you mean %s?", near)
	}
	return ""
}
