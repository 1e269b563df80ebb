package record

import (
	"fmt"
	"testing"

	"github.com/seed-428f4edd/evenkeel/apply/mask"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// TestCopiedState: what a run does to its copy of the state leaves the plan's alone.
func TestCopiedState(t *testing.T) {
	env := &schema.Environment{Name: "dev", Namespace: "dev"}
	s := NewState()
	before := fmt.Sprintf("%+v", s)
	run := s.Copied()
	run.Finish(configMap("dev", "job", "k", "v"))
	run.Receipts["a"] = "b"
	run.Members = []schema.Ref{{Kind: "ConfigMap", Name: "job"}}
	if _, err := run.secret(env); err != nil {
		t.Fatal(err)
	}
	run.keep()
	if after := fmt.Sprintf("%+v", s); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// TestMarkedState: marks come back from the state as they were.
func TestMarkedState(t *testing.T) {
	all := []MarkedObject{{Ref: schema.Ref{APIVersion: "v1", Kind: "Pod", Namespace: "x", Name: "web"}, Marks: []mask.Mark{{".spec", "=web", "*"}}}}
	raw, err := packMarked(all)
	if err != nil {
		t.Fatal(err)
	}
	if got := unpackMarked(raw); fmt.Sprint(got) != fmt.Sprint(all) {
		t.Errorf("got %v, want %v", got, all)
	}
}
