package render_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/way"
	"github.com/seed-428f4edd/evenkeel/render/way/draw"
)

// TestBrokenWays breaks one chain in each archive of testdata/way. The first line
// is the URL; "want" are the hops that break, as they are printed.
func TestBrokenWays(t *testing.T) {
	names, err := filepath.Glob(filepath.Join("testdata", "way", "*.txtar"))
	if err != nil || len(names) < 20 {
		t.Fatal("no archives", err)
	}
	for _, name := range names {
		if filepath.Base(name) == "base.txtar" {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			w := traced(t, wayRepo(t, archive), strings.TrimSpace(string(archive.Comment)))
			if !w.Broken {
				t.Fatalf("nothing breaks:\n%s", draw.WayText(w, false))
			}
			var got strings.Builder
			for _, h := range w.Breaks() {
				got.WriteString(draw.HopText(w, h))
			}
			if *update {
				setFile(archive, "want", got.String())
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(fileOf(archive, "want"), got.String()); diff != "" {
				t.Errorf("(-want +got; -update rewrites it)\n%s", diff)
			}
		})
	}
}

// TestWays holds that the site of the broken chains is whole without them.
func TestWays(t *testing.T) {
	repo := wayRepo(t, &txtar.Archive{})
	for _, url := range []string{
		"http://shop.shop.example/hello", "https://secure.shop.example/", "secure.shop.example", "http://api.shop.example/order/7", "http://desk.shop.example/",
		"https://10.4.7.10:7443/readyz",
	} {
		if w := traced(t, repo, url); w.Broken {
			t.Errorf("%s", draw.WayText(w, false))
		}
	}
}

func traced(t *testing.T, repo *render.Repo, url string) *way.Way {
	t.Helper()
	ways, err := repo.Ways(t.Context(), []string{"prod"})
	if err != nil {
		t.Fatal(err)
	}
	w, err := ways.Models["prod"].Trace(url)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func wayRepo(t *testing.T, archive *txtar.Archive) *render.Repo {
	t.Helper()
	base, err := txtar.ParseFile(filepath.Join("testdata", "way", "base.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	unpack(t, dir, base)
	unpack(t, dir, archive)
	repo, err := render.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}
