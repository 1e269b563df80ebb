package render_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// upstream compares one stack with the manifests that its project publishes.
type upstream struct {
	system string
	unit   string            // of testdata/stacks, environment systems
	files  []string          // below testdata/upstream/SYSTEM, whose SOURCE says where they are from
	values map[string]string // for the variables of a template
	// roles maps objects of upstream, as Kind/name, to those here that play the same part.
	roles map[string]string
	known []difference
}

// difference is why the stack is not as upstream is, and in what.
type difference struct {
	because string
	// rows are lines as compare returns them; one that ends in * stands for all
	// that begin like it.
	rows string
}

// TestUpstream compares object by object and field by field. A difference that is
// not listed fails, and so does a row that no longer differs.
func TestUpstream(t *testing.T) {
	repo, err := render.Open(filepath.Join("..", "testdata", "stacks"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := repo.Render(t.Context(), "systems")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range slices.Concat(upstreams(), deliveryUpstreams(), storageUpstreams()) {
		t.Run(c.system, func(t *testing.T) {
			unit := res.Env.Unit(c.unit)
			if unit == nil {
				t.Fatalf("no unit %s", c.unit)
			}
			listed := c.listed()
			for _, diff := range compare(c.objects(t), unit.Objects, c.roles) {
				if !listed.covers(diff) {
					t.Errorf("not listed: %s", diff)
				}
			}
			for _, row := range listed.unused() {
				t.Errorf("listed, but no longer so: %s", row)
			}
		})
	}
}

// objects reads upstream's files.
func (c upstream) objects(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	dir := filepath.Join("..", "testdata", "upstream", c.system)
	if _, err := os.Stat(filepath.Join(dir, "SOURCE")); err != nil {
		t.Fatal(err)
	}
	var objs []*unstructured.Unstructured
	for _, name := range c.files {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		for from, to := range c.values {
			text = strings.ReplaceAll(text, from, to)
		}
		for doc := range strings.SplitSeq("\n"+text, "\n---") {
			obj := map[string]any{}
			if err := yaml.Unmarshal([]byte(doc), &obj); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if len(obj) > 0 {
				objs = append(objs, &unstructured.Unstructured{Object: obj})
			}
		}
	}
	return objs
}

// rows are the listed differences that are still waited for.
type rows map[string]bool // true: met

func (c upstream) listed() rows {
	all := rows{}
	for _, d := range c.known {
		for row := range strings.Lines(d.rows) {
			if row = strings.TrimSpace(row); row != "" {
				all[row] = false
			}
		}
	}
	return all
}

func (r rows) covers(diff string) bool {
	found := false
	for row := range r {
		prefix, open := strings.CutSuffix(row, "*")
		if row == diff || open && strings.HasPrefix(diff, prefix) {
			r[row], found = true, true
		}
	}
	return found
}

func (r rows) unused() []string {
	var rest []string
	for row, met := range r {
		if !met {
			rest = append(rest, row)
		}
	}
	slices.Sort(rest)
	return rest
}

// compare returns a line for each object and each field that only one side has,
// and for each field whose values differ.
func compare(theirs []*unstructured.Unstructured, ours []schema.Object, roles map[string]string) []string {
	here := map[string]map[string]string{}
	for _, o := range ours {
		here[o.GetKind()+"/"+o.GetName()] = flatten(o.Object)
	}
	var diffs []string
	for _, o := range theirs {
		id := o.GetKind() + "/" + o.GetName()
		role := id
		if to, ok := roles[id]; ok {
			role = to
		}
		mine, ok := here[role]
		delete(here, role)
		if !ok {
			diffs = append(diffs, id+": only upstream")
			continue
		}
		fields := flatten(o.Object)
		if role != id {
			delete(fields, "metadata.name")
			delete(mine, "metadata.name")
		}
		diffs = append(diffs, compareFields(role, fields, mine)...)
	}
	for id := range here {
		diffs = append(diffs, id+": only here")
	}
	slices.Sort(diffs)
	return diffs
}

func compareFields(id string, theirs, mine map[string]string) []string {
	var diffs []string
	for path, value := range theirs {
		got, ok := mine[path]
		switch {
		case !ok:
			diffs = append(diffs, fmt.Sprintf("%s %s: %s -> none", id, path, value))
		case got != value:
			diffs = append(diffs, fmt.Sprintf("%s %s: %s -> %s", id, path, value, got))
		}
	}
	for path, value := range mine {
		if _, ok := theirs[path]; !ok {
			diffs = append(diffs, fmt.Sprintf("%s %s: none -> %s", id, path, value))
		}
	}
	return diffs
}
