package report

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
)

// TestSameChangeInManyObjects holds that a field that a thousand objects change
// alike is said once in every format, and the two that differ on their own.
func TestSameChangeInManyObjects(t *testing.T) {
	plan := &apply.Plan{Environment: "prod", Summary: map[apply.Action]int{apply.Configured: 1_000}}
	for i := range 1_000 {
		name := fmt.Sprintf("app-%d", i)
		field := managed.Field{Path: "spec.revisionHistoryLimit", From: int64(10), To: int64(4)}
		if i == 5 || i == 7 {
			field.To = int64(i)
		}
		plan.Changes = append(plan.Changes, apply.Change{
			Action: apply.Configured, Unit: name, Ref: object("apps/v1", "Deployment", name), Verified: true, Fields: []managed.Field{field},
		})
	}
	plans := []*apply.Plan{plan}
	for name, write := range map[string]func(io.Writer) error{
		"text":     func(w io.Writer) error { return Text(w, plan, Options{}) },
		"markdown": func(w io.Writer) error { return Markdown(w, plans, Options{}) },
		"html":     func(w io.Writer) error { return HTML(w, plans, Options{}) },
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			got := b.String()
			if !strings.Contains(got, "the same change in 998 objects (998 Deployment)") {
				t.Errorf("the common change is not said:\n%.2000s", got)
			}
			if n := strings.Count(got, "spec.revisionHistoryLimit"); n != 3 {
				t.Errorf("the field is said %d times, want once for all and twice for those that differ", n)
			}
			if strings.Contains(got, "was cut") {
				t.Error("a comment is cut although little is said")
			}
		})
	}
}

func TestGroupsKeepDecisionsApart(t *testing.T) {
	var changes []apply.Change
	for i := range groupFrom + 1 {
		changes = append(changes, apply.Change{
			Action: apply.Conflict, Ref: object("v1", "Service", fmt.Sprint(i)), Refused: "no",
			Fields: []managed.Field{{Path: "spec.type", From: "A", To: "B"}},
		})
	}
	groups, left := grouped(changes)
	if len(groups) != 0 || len(left[0].fields) != 1 {
		t.Errorf("refused changes are grouped: %v", groups)
	}
	for i := range changes {
		changes[i].Refused = ""
		changes[i].Fields[0].By = fmt.Sprint("manager-", i)
	}
	if groups, _ := grouped(changes); len(groups) != 0 {
		t.Errorf("values of different managers are grouped: %v", groups)
	}
}
