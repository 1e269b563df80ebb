package render

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"cuelang.org/go/cue"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "sigs.k8s.io/json"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/typed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// unit is one stack or app on its way to a schema.Unit.
type unit struct {
	ev    *evaluated // what it stands in: the environment or a part of it
	group string     // "apps", "stacks" or "base"
	off   bool       // enabled: false: the environment leaves it out, and only its name is known
	data  unitData
	objs  []*object

	failed *failedChart // where the chart of the unit did not render
	// later is what vet looks for beside, which costs more than the rendering itself.
	later []func() Findings
}

// unitData is what the definitions of a unit say, as they are exported.
type unitData struct {
	Name         string
	Type         string
	Namespace    string
	After        []string
	Timeout      string
	Objects      map[string]any
	ExtraObjects map[string]any
	Patch        map[string]any
	Recreate     []string
	Ignore       map[string][]string
	Ready        map[string]schema.ReadyRule
	Silence      map[string]string
	Reloads      []string
	Kustomize    map[string]any
	Notice       string
	Consumes     []string
	Rollout      map[string]any

	chart *chartData // nil where no Helm chart makes the unit
	left  string     // what of it is left out

	fields map[string]any // for the rules that know a type
	made   bool           // by a type: without one, CUE takes whatever fields there are
}

// appFields are the fields of an app of the schema that are exported: what unitData has, and
// what rules read. CUE puts the fields of a struct in order when it exports it,
// and for the sixty of an app that takes longer than to export these.
var appFields = append([]string{ //nolint:gochecknoglobals // a table
	"name", "type", "namespace", "after", "timeout", "objects", "extraObjects", "patch", "recreate", "ignore",
	"ready", "silence", "reloads", "kustomize", "notice", "consumes", "rollout",
}, lint.AppFields...)

// set picks the known fields. CUE has checked their types.
func (d *unitData) set(fields map[string]any) {
	*d = unitData{
		Name:         tree.Text(fields["name"]),
		Type:         tree.Text(fields["type"]),
		Namespace:    tree.Text(fields["namespace"]),
		After:        tree.Texts(fields["after"]),
		Timeout:      tree.Text(fields["timeout"]),
		Objects:      tree.Map(fields["objects"]),
		ExtraObjects: tree.Map(fields["extraObjects"]),
		Patch:        tree.Map(fields["patch"]),
		Recreate:     tree.Texts(fields["recreate"]),
		Ignore:       map[string][]string{},
		Ready:        map[string]schema.ReadyRule{},
		Silence:      map[string]string{},
		Reloads:      tree.Texts(fields["reloads"]),
		Kustomize:    tree.Map(fields["kustomize"]),
		Notice:       tree.Text(fields["notice"]),
		Consumes:     tree.Texts(fields["consumes"]),
		Rollout:      tree.Map(fields["rollout"]),
		fields:       fields,
	}
	d.chart = chartDataOf(fields)
	d.made = true
	for _, name := range []string{"objects", "recreate", "reloads"} { // of core.#Unit, which every type embeds
		d.made = d.made && fields[name] != nil
	}
	for key, pointers := range tree.Map(fields["ignore"]) {
		d.Ignore[key] = tree.Texts(pointers)
	}
	for key, rule := range tree.Map(fields["ready"]) {
		d.Ready[key] = readyRule(rule)
	}
	for rule, reason := range tree.Map(fields["silence"]) {
		d.Silence[rule] = tree.Text(reason)
	}
}

// ready is the rule that the unit declares for an object, or nil.
func (d *unitData) ready(key string) *schema.ReadyRule {
	if rule, ok := d.Ready[key]; ok {
		return &rule
	}
	return nil
}

func readyRule(value any) schema.ReadyRule {
	m := tree.Map(value)
	return schema.ReadyRule{Condition: tree.Text(m["condition"]), CEL: tree.Text(m["cel"])}
}

// object is one Kubernetes object on its way.
type object struct {
	unstructured.Unstructured
	key  string
	from []string // where it stands in the unit: "objects" or "extraObjects", and its key
	// maker is the field that made it where from is nil: "chart", or kustomize.
	maker string
	// origin is the file of the repository that it was read from, where kustomize did so.
	origin string
	stage  int // when it is written: before (negative), with or after the rest of the unit
	// secret are JSON pointers of fields with values that are marked secret.
	secret []string
	gated  []typed.Gated
}

func (o *object) ref() string {
	parts := []string{o.GetKind(), o.GetName()}
	if ns := o.GetNamespace(); ns != "" {
		parts = []string{o.GetKind(), ns, o.GetName()}
	}
	return strings.Join(parts, "/")
}

// unitValues are the units as CUE sees them: the environment's own first, then
// stacks and apps, each in the order of their names.
func (ev *evaluated) unitValues() []*unit {
	var units []*unit
	if base := ev.env.LookupPath(cue.MakePath(cue.Str("base"))); base.Exists() {
		units = append(units, &unit{ev: ev, group: "base"})
	}
	for _, group := range []string{"stacks", "apps"} {
		iter, err := ev.env.LookupPath(cue.MakePath(cue.Str(group))).Fields()
		if err != nil {
			continue // absent
		}
		from := len(units)
		for iter.Next() {
			on, err := iter.Value().LookupPath(cue.MakePath(cue.Str("enabled"))).Bool()
			units = append(units, &unit{ev: ev, group: group, off: err == nil && !on, data: unitData{Name: iter.Selector().Unquoted()}})
		}
		slices.SortStableFunc(units[from:], func(a, b *unit) int { return cmp.Compare(a.data.Name, b.data.Name) })
	}
	return units
}

// withoutOff are the units that the environment does not leave out, and the names of
// those that it does.
func withoutOff(units []*unit) (on []*unit, off []string) {
	for _, u := range units {
		if u.off {
			off = append(off, u.data.Name)
			continue
		}
		on = append(on, u)
	}
	return on, off
}

// value is where the unit stands in the environment.
func (u *unit) value() cue.Value {
	if u.group == "base" {
		return u.ev.value().LookupPath(cue.MakePath(cue.Str("base")))
	}
	return u.ev.value().LookupPath(cue.MakePath(cue.Str(u.group), cue.Str(u.data.Name)))
}

// decode exports the units one by one: the whole at once takes twice the time
// and memory.
func (ev *evaluated) decode() ([]*unit, error) {
	units := ev.unitValues()
	errs := make([]error, len(units))
	g := contain.NewGroup()
	g.SetLimit(parallel())
	for i, u := range units {
		g.Go(func() error {
			errs[i] = u.decode()
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return units, errors.Join(errs...)
}

func (u *unit) decode() error {
	if u.off {
		return nil
	}
	fields, err := u.export()
	if err != nil {
		return err
	}
	u.data.set(fields)
	for _, from := range []struct {
		name    string
		objects map[string]any
	}{{"objects", u.data.Objects}, {"extraObjects", u.data.ExtraObjects}} {
		for key, content := range from.objects {
			u.objs = append(u.objs, &object{
				Unstructured: unstructured.Unstructured{Object: tree.Map(content)}, key: key, from: []string{from.name, key},
			})
		}
	}
	slices.SortFunc(u.objs, func(a, b *object) int { return cmp.Or(cmp.Compare(a.key, b.key), slices.Compare(a.from, b.from)) })
	return nil
}

func (u *unit) export() (map[string]any, error) {
	v := u.value()
	if !v.LookupPath(cue.MakePath(cue.Str("containerName"))).Exists() { // it is not built on #pod, whatever list it stands in
		var fields map[string]any
		err := decodeJSON(v, &fields)
		return fields, err
	}
	fields := map[string]any{}
	for _, name := range appFields {
		field := v.LookupPath(cue.MakePath(cue.Str(name)))
		if !field.Exists() {
			continue
		}
		var content any
		if err := decodeJSON(field, &content); err != nil {
			return nil, err
		}
		fields[name] = content
	}
	return fields, nil
}

// timeout is the unit's bound on the wait for health; zero where it sets none.
func (d *unitData) timeout() (time.Duration, error) {
	if d.Timeout == "" {
		return 0, nil
	}
	return time.ParseDuration(d.Timeout)
}

// decodeJSON exports a value. Whole numbers stay int64, as the API machinery has
// them.
func decodeJSON(v cue.Value, to any) error {
	data, err := v.MarshalJSON()
	if err != nil {
		return err
	}
	return unmarshalJSON(data, to)
}

func unmarshalJSON(data []byte, to any) error {
	return kjson.UnmarshalCaseSensitivePreserveInts(data, to)
}
