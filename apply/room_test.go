package apply

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/paging"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// TestRoom has a tenant put the label of an environment on large objects of theirs, which
// are known by name alone, and make its own objects large: the plan of that environment
// ends, and takes no memory without bounds.
func TestRoom(t *testing.T) {
	t.Parallel()
	of := func(name string, size int) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"x": strings.Repeat("a", size)},
			"metadata": map[string]any{"name": name, "namespace": "dev", "uid": "1", "labels": map[string]any{
				schema.LabelPartOf: schema.ApplySetID("dev", "dev"), schema.LabelUnit: "web", "more": strings.Repeat("b", 60),
			}},
		}}
	}
	env := &schema.Environment{Name: "dev", Namespace: "dev", Units: []schema.Unit{{Name: "web"}}}
	for i := range 200 {
		env.Units[0].Objects = append(env.Units[0].Objects, schema.Object{Unstructured: of(fmt.Sprint("own-", i), 10)})
	}
	p := &planner{env: env, desired: map[schema.ID]*item{}, rules: pruneRules{sets: []string{schema.ApplySetID("dev", "dev")}}}
	p.room.open(env)
	for _, o := range env.Objects() {
		p.desired[schema.IDOf(o.Unstructured)] = &item{}
	}
	var full bool
	s := &sink{planner: p, full: func() { full = true }}
	for i := range 300 {
		s.Visit(of(fmt.Sprint("junk-", i), 1<<20))
	}
	if full || len(s.strangers) != 300 {
		t.Fatalf("full: %v, with %d objects of others", full, len(s.strangers))
	}
	kept := int64(0)
	for _, one := range s.strangers {
		kept += paging.Weight(one.live.Object)
	}
	if kept > 1<<20 {
		t.Errorf("%d bytes are kept of what is not the environment's", kept)
	}
	if ch := (Change{live: s.strangers[0].live}); p.rules.decide(t.Context(), &ch) != nil || ch.Action != CopiedLabel {
		t.Errorf("it is %s", ch.Action)
	}
	for i := 0; i < 200 && !full; i++ {
		s.Visit(of(fmt.Sprint("own-", i), 1<<20))
	}
	if !full {
		t.Error("200 MiB of 200 small objects are kept")
	}
	s.Restart()
	if left := p.room.left.Load(); left != p.room.most {
		t.Errorf("of %d bytes there are %d after a restart", p.room.most, left)
	}
	said := (*hint.Error)(nil)
	if err := p.room.full("configmaps", "dev"); !errors.As(err, &said) || !strings.Contains(said.Hint, "kubectl get configmaps -n dev -l "+schema.LabelPartOf) {
		t.Errorf("%v", err)
	}
}
