package draw_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/way"
	"github.com/seed-428f4edd/evenkeel/render/way/draw"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// models renders the examples of this repository anew.
func models(t *testing.T, names ...string) map[string]*way.Model {
	t.Helper()
	repo, err := render.Open(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	ways, err := repo.Ways(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	return ways.Models
}

// TestGoldenWays holds what is drawn of the examples, twice: the same model gives
// the same bytes.
func TestGoldenWays(t *testing.T) {
	for _, tt := range []struct{ name, env, url, lang string }{
		{"consumer", "prod", "http://demo-prod.od.com/hello", "en"},
		{"consumer.zh", "prod", "http://demo-prod.od.com/hello", "zh"},
		{"redirect", "infra", "http://dashboard.od.com/", "en"},
		{"gateway", "cloud-prod", "http://www.shop.example.com/api/order/7", "en"},
		{"gateway.zh", "cloud-prod", "http://www.shop.example.com/api/order/7", "zh"},
		{"broken", "prod", "https://demo-prod.od.com/hello", "en"},
		{"broken.zh", "prod", "https://demo-prod.od.com/hello", "zh"},
	} {
		var first map[string]string
		for range 2 {
			w, err := models(t, tt.env)[tt.env].In(tt.lang).Trace(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.MarshalIndent(w, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{
				".txt": draw.WayText(w, false), ".json": string(text) + "\n", ".mermaid": draw.WayMermaid(w), ".svg": draw.WaySVG(w),
			}
			if diff := cmp.Diff(first, got); first != nil && diff != "" {
				t.Errorf("%s: not the same bytes (-first +second):\n%s", tt.name, diff)
			}
			first = got
		}
		for ext, got := range first {
			golden(t, tt.name+ext, got)
		}
	}
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", name, diff)
	}
}

// TestGoldenGraphs holds the pictures of the examples.
func TestGoldenGraphs(t *testing.T) {
	for name, envs := range map[string][]string{"od": {"infra", "test", "prod"}, "cloud": {"cloud-infra", "cloud-prod"}} {
		g := models(t, envs...)[envs[0]].Graph(envs...)
		golden(t, "graph-"+name+".svg", draw.GraphSVG(g))
		golden(t, "graph-"+name+".mermaid", draw.GraphMermaid(g))
		golden(t, "graph-"+name+".dot", draw.GraphDOT(g))
		golden(t, "graph-"+name+".zh.svg", draw.GraphSVG(models(t, envs...)[envs[0]].In("zh").Graph(envs...)))
		if again := draw.GraphSVG(models(t, envs...)[envs[0]].Graph(envs...)); again != draw.GraphSVG(g) {
			t.Errorf("%s: not the same bytes twice", name)
		}
	}
}
