//go:build lab

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// expressions are those of the documentation, with series and what they make of them after
// ten minutes: once where something failed, and once where nothing did or is there.
var expressions = map[string][]struct {
	series map[string]string
	want   string // samples, as promtool has them
}{
	`sum(rate(errors_total{app="shop"}[1m])) or vector(0)`: {
		{map[string]string{`errors_total{app="shop", pod="a"}`: "0+6x20", `errors_total{app="shop", pod="b"}`: "0+6x20", `errors_total{app="other"}`: "0+600x20"}, "0.2"},
		{map[string]string{`errors_total{app="other"}`: "0+600x20"}, "0"},
	},
	`sum(rate(http_requests_total{namespace="dev", pod=~"hello-canary-.*", code=~"5.."}[2m])) or vector(0)`: {
		{map[string]string{
			`http_requests_total{namespace="dev", pod="hello-canary-7d9f-x", code="503"}`: "0+30x20",
			`http_requests_total{namespace="dev", pod="hello-canary-7d9f-x", code="200"}`: "0+300x20",
			`http_requests_total{namespace="dev", pod="hello-5b6c-y", code="503"}`:        "0+300x20",
			`http_requests_total{namespace="test", pod="hello-canary-1-z", code="503"}`:   "0+300x20",
		}, "0.5"},
		{map[string]string{`http_requests_total{namespace="dev", pod="hello-canary-7d9f-x", code="200"}`: "0+300x20"}, "0"},
	},
	`sum by (pod) (rate(http_requests_total{namespace="dev"}[5m]))`: {
		{map[string]string{
			`http_requests_total{namespace="dev", pod="a", code="200"}`: "0+60x20",
			`http_requests_total{namespace="dev", pod="a", code="500"}`: "0+60x20",
		}, `{pod="a"} 2`},
	},
}

var inDocs = regexp.MustCompile(`(?:promql|expr): ("(?:[^"\\]|\\.)*")`)

// TestPromQL holds the expressions of the documentation against Prometheus itself: each is
// evaluated, and gives the values that the page speaks of.
func TestPromQL(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, page := range append(pages, "../../README.md", "../../README.zh-CN.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range inDocs.FindAllStringSubmatch(string(text), -1) {
			expr, err := strconv.Unquote(m[1])
			if err != nil {
				t.Fatalf("%s: %s: %v", page, m[1], err)
			}
			found[expr] = true
			if len(expressions[expr]) == 0 {
				t.Errorf("%s: nothing is known of %s", filepath.Base(page), expr)
			}
		}
	}
	for expr := range expressions {
		if !found[expr] {
			t.Errorf("no page has %s", expr)
		}
	}
	dir := t.TempDir()
	for expr, cases := range expressions {
		for i, c := range cases {
			file := filepath.Join(dir, fmt.Sprintf("test%d.yml", i))
			if err := os.WriteFile(file, unitTest(t, expr, c.series, c.want), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), "promtool", "test", "rules", file).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", expr, err, out)
			}
		}
	}
}

// unitTest is what promtool test rules reads, JSON being YAML.
func unitTest(t *testing.T, expr string, series map[string]string, want string) []byte {
	t.Helper()
	var inputs []any
	for name, values := range series {
		inputs = append(inputs, map[string]any{"series": name, "values": values})
	}
	labels, value, ok := strings.Cut(want, " ")
	if !ok {
		labels, value = "{}", want
	}
	number, err := strconv.ParseFloat(value, 64)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(map[string]any{"tests": []any{map[string]any{
		"interval": "1m", "input_series": inputs,
		"promql_expr_test": []any{map[string]any{"expr": expr, "eval_time": "10m", "exp_samples": []any{map[string]any{"labels": labels, "value": number}}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}
