package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
)

func TestMarkdown(t *testing.T) {
	level := &apply.Plan{Environment: "dev", Summary: map[apply.Action]int{apply.Unchanged: 12}}
	for name, test := range map[string]struct {
		plans []*apply.Plan
		opts  Options
	}{
		"plan.md":       {plans: []*apply.Plan{fixture(t)}},
		"plans.md":      {plans: []*apply.Plan{fixture(t), level}, opts: Options{Against: "origin/main"}},
		"nothing.md":    {plans: []*apply.Plan{level}},
		"no-objects.md": {plans: []*apply.Plan{{Environment: "new"}}},
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, markdown(t, test.plans, test.opts)) })
	}
}

func markdown(t *testing.T, plans []*apply.Plan, opts Options) string {
	t.Helper()
	var got bytes.Buffer
	if err := Markdown(&got, plans, opts); err != nil {
		t.Fatal(err)
	}
	return got.String()
}

// TestMarkdownIsCut holds that a comment stays below what GitHub takes however
// much there is to say, that its summaries are whole, and that it names what it
// leaves out.
func TestMarkdownIsCut(t *testing.T) {
	tests := map[string]struct {
		units, objects int
		body           int // bytes
		want           []string
		not            []string
	}{
		"fits":          {units: 3, objects: 2, body: 100, not: []string{"was cut"}},
		"bodies cut":    {units: 60, objects: 3, body: 2_000, want: []string{"was cut", "the bodies of", "Deployment/app/unit-59-object-2"}, not: []string{"all of"}},
		"units cut":     {units: 3_000, objects: 3, body: 2_000, want: []string{"was cut", "all of", "2950 more units", "evenkeel diff -o html"}},
		"one huge body": {units: 1, objects: 1, body: 1_000_000, want: []string{"more lines"}, not: []string{"was cut"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var plans []*apply.Plan
			for _, env := range []string{"prod", "test"} {
				plans = append(plans, large(env, test.units, test.objects, test.body))
			}
			got := markdown(t, plans, Options{})
			if n := len([]rune(got)); n >= commentLimit {
				t.Errorf("%d characters", n)
			}
			if n := len([]rune(got)); name == "units cut" && n < commentLimit*9/10 {
				t.Errorf("only %d characters are used", n)
			}
			for _, want := range append(test.want, "**`prod`**: "+Summary(plans[0]), "**`test`**: "+Summary(plans[1])) {
				if !strings.Contains(got, want) {
					t.Errorf("%q is missing", want)
				}
			}
			for _, not := range test.not {
				if strings.Contains(got, not) {
					t.Errorf("%q is there", not)
				}
			}
			if opened, closed := strings.Count(got, "<details>"), strings.Count(got, "</details>"); opened != closed {
				t.Errorf("%d details, %d of them closed", opened, closed)
			}
		})
	}
}

// large is a plan of objects that share nothing.
func large(env string, units, objects, size int) *apply.Plan {
	p := &apply.Plan{Environment: env, Summary: map[apply.Action]int{}}
	for u := range units {
		unit := fmt.Sprintf("unit-%d", u)
		for o := range objects {
			name := fmt.Sprintf("%s-object-%d", unit, o)
			p.Changes = append(p.Changes, apply.Change{
				Action: apply.Configured, Unit: unit, Ref: object("apps/v1", "Deployment", name), Verified: true,
				Fields: []managed.Field{{Path: "data", From: name, To: name + "!"}},
				Before: map[string]any{"data": name + "\n" + strings.Repeat("some text\n", size/10)},
				After:  map[string]any{"data": name + "!\n" + strings.Repeat("other text\n", size/10)},
			})
			p.Summary[apply.Configured]++
		}
	}
	return p
}

func TestCodeHoldsAnything(t *testing.T) {
	for in, want := range map[string]string{
		"plain":       "`plain`",
		"a`b":         "``a`b``",
		"`":           "`` ` ``",
		"a\n# b":      "`a # b`",
		"<b>@all</b>": "`<b>@all</b>`",
		"\x1b[0m":     "`\\u001b[0m`",
		"":            "",
		"a \u202eb":   "`a \\u202eb`",
	} {
		if got := code(in); got != want {
			t.Errorf("code(%q) = %q, want %q", in, got, want)
		}
	}
}
