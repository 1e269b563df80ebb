package report

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
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

// TestLongBase64 tells bundles of certificates apart without printing them.
func TestLongBase64(t *testing.T) {
	bundle := func(of string) string {
		return base64.StdEncoding.EncodeToString([]byte("-----BEGIN CERTIFICATE-----\n" + strings.Repeat(of, 1000)))
	}
	hook := func(ca any) map[string]any {
		return map[string]any{"kind": "APIService", "spec": map[string]any{"caBundle": ca}}
	}
	words := strings.Repeat("no base64 ", 28)
	p := &apply.Plan{Environment: "dev", Summary: map[apply.Action]int{apply.Configured: 2}, Changes: []apply.Change{
		{
			Action: apply.Configured, Unit: "u", Ref: object("v1", "APIService", "a"), Verified: true,
			Fields: []managed.Field{{Path: "spec.caBundle", From: bundle("a"), To: bundle("b")}, {Path: "spec.list", From: []any{bundle("c")}, To: "Cg=="}},
			Before: hook(bundle("a")), After: hook(bundle("b")),
		},
		{Action: apply.Configured, Unit: "u", Ref: object("v1", "ConfigMap", "b"), Verified: true, Fields: []managed.Field{{Path: "data.a", From: "x", To: words}}},
	}}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"text":     func(b *bytes.Buffer) error { return Text(b, p, Options{}) },
		"unified":  func(b *bytes.Buffer) error { return Text(b, p, Options{Unified: true}) },
		"markdown": func(b *bytes.Buffer) error { return Markdown(b, []*apply.Plan{p}, Options{}) },
		"html":     func(b *bytes.Buffer) error { return HTML(b, []*apply.Plan{p}, Options{}) },
	} {
		var got bytes.Buffer
		if err := write(&got); err != nil {
			t.Fatal(err)
		}
		for _, of := range []string{"a", "b", "c"} {
			if strings.Contains(got.String(), bundle(of)[100:200]) {
				t.Errorf("%s shows a bundle:\n%s", name, &got)
			}
		}
		if n := strings.Count(got.String(), "base64 of 1028 bytes, SHA-256 "); n < 2 {
			t.Errorf("%s names %d bundles:\n%s", name, n, &got)
		}
		if !strings.Contains(got.String(), strings.TrimSpace(words)) {
			t.Errorf("%s leaves out a text:\n%s", name, &got)
		}
	}
}

// TestBase64InTexts shortens what is broken into lines, and what stands in a text, and
// nothing that only looks like it.
func TestBase64InTexts(t *testing.T) {
	raw := make([]byte, 1000)
	for i := range raw {
		raw[i] = byte(i * 7)
	}
	lines := func(width int) string {
		text := base64.StdEncoding.EncodeToString(raw)
		var b strings.Builder
		for len(text) > width {
			b.WriteString(text[:width] + "\n")
			text = text[width:]
		}
		return b.String() + text
	}
	const short = "AAcOFRwjKjE4P0ZN... (base64 of 1000 bytes, SHA-256 "
	for name, test := range map[string]struct{ text, begin, end string }{
		"as base64(1) breaks it": {lines(76), short, "...)"},
		"a certificate":          {"-----BEGIN CERTIFICATE-----\n" + lines(64) + "\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n" + short, "...)\n-----END CERTIFICATE-----\n"},
		"in JSON, for URLs":      {`{"ca":"` + base64.RawURLEncoding.EncodeToString(raw) + `"}`, `{"ca":"` + short, `...)"}`},
		"before a word":          {lines(76) + "\nreplicas\n", short, "...)\nreplicas\n"},
		"short":                  {base64.StdEncoding.EncodeToString(raw[:150]), "AAcOFRwjKjE4P0ZN", ""},
		"a digest many times":    {strings.Repeat("0123456789abcdef", 40), "0123456789abcdef", "0123456789abcdef"},
		"paths":                  {strings.Repeat("/usr/share/Local9/a-b_c", 30) + ".x", "/usr/share/Local9/a-b_c/usr", ".x"},
	} {
		got := withoutBase64(test.text)
		if !strings.HasPrefix(got, test.begin) || !strings.HasSuffix(got, test.end) || strings.HasPrefix(test.begin, "/") && got != test.text {
			t.Errorf("%s: %q", name, got)
		}
		if strings.Contains(test.begin, short) != (len(got) < 200) {
			t.Errorf("%s: %d bytes of %d: %q", name, len(got), len(test.text), got)
		}
	}
}
