package apply

import (
	"testing"

	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// TestRunOwnsItsPlan does to the plan of a run what a run does to it.
func TestRunOwnsItsPlan(t *testing.T) {
	c, err := Connect(&rest.Config{Host: "https://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	env := &schema.Environment{Name: "dev", Namespace: "dev"}
	job := testConfigMap("dev", "job", "k", "v")
	plan := &Plan{
		Environment: "dev", Rendered: "before", state: record.NewState(), Summary: map[Action]int{Deleted: 1},
		Changes: []Change{{Action: Deleted, Ref: schema.RefOf(job), live: job, migrate: []string{"kubectl"}}},
	}
	before := plan.Everything()
	r := newRun(c, env, plan, ApplyOptions{})
	change := r.changes(Deleted)[0]
	change.Action, change.Message, change.live, change.migrate = Kept, "somebody needs it", nil, nil
	r.plan.Rendered = "after"
	r.plan.state.Finish(job)
	r.plan.state.Receipts["a"] = "b"
	r.plan.state.Members = []schema.Ref{schema.RefOf(job)}
	r.signer.Lenient = true
	if after := plan.Everything(); after != before {
		t.Errorf("before:\n%safter:\n%s", before, after)
	}
}
