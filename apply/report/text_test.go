package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
)

func TestText(t *testing.T) {
	for name, opts := range map[string]Options{
		"plan.txt":         {},
		"plan-unified.txt": {Unified: true},
		"plan-bare.txt":    {Unified: true, Context: -1},
		"plan-color.txt":   {Color: true},
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := Text(&got, fixture(t), opts); err != nil {
				t.Fatal(err)
			}
			if opts.Color {
				golden(t, name, strings.ReplaceAll(got.String(), "\x1b", "ESC"))
				return
			}
			golden(t, name, got.String())
			if strings.Contains(got.String(), "\x1b") {
				t.Error("an escape sequence of a live value reaches the terminal")
			}
		})
	}
}

func TestTextOfNothing(t *testing.T) {
	var got bytes.Buffer
	if err := Text(&got, &apply.Plan{Environment: "dev", Summary: map[apply.Action]int{apply.Unchanged: 3}}, Options{}); err != nil {
		t.Fatal(err)
	}
	if want := "dev: 3 unchanged\n"; got.String() != want {
		t.Errorf("got %q, want %q", got.String(), want)
	}
}

func TestStatus(t *testing.T) {
	status := &apply.Status{Environment: "prod", Units: []apply.UnitStatus{
		{Name: "coredns", State: health.Healthy, Objects: []apply.ObjectHealth{
			{Unit: "coredns", Ref: object("apps/v1", "Deployment", "coredns"), Result: health.Result{State: health.Healthy, Rule: "deployment"}},
		}},
		{Name: "dubbo-demo-service", State: health.Failed, Objects: []apply.ObjectHealth{
			{Unit: "dubbo-demo-service", Ref: object("apps/v1", "Deployment", "dubbo-demo-service"), Result: health.Result{
				State: health.Failed, Rule: "pod-crash", Message: "container app of Pod/app/x crashes (exit code 1)",
				Log: "starting\nno provider \x1b[31mavailable\r\n",
			}},
			{Unit: "dubbo-demo-service", Ref: object("shop.example/v1", "Shop", "main"), Result: health.Result{State: health.Unknown, Rule: "no-condition"}},
		}},
	}}
	var got bytes.Buffer
	if err := Status(&got, status, Options{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "status.txt", got.String())
}
