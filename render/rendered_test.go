package render_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/seed-428f4edd/evenkeel/render"
)

// TestRendered renders one unit of repositories: each archive of testdata/rendered
// holds the files that differ from base.txtar and, as "want", the manifests of
// gateway, or of the unit that its first line names: "unit coredns: ...".
func TestRendered(t *testing.T) {
	names, err := filepath.Glob(filepath.Join("testdata", "rendered", "*.txtar"))
	if err != nil || len(names) == 0 {
		t.Fatal("no archives", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			rendered(t, name)
		})
	}
}

func rendered(t *testing.T, name string) {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	repo, err := render.Open(shop(t, archive))
	if err != nil {
		t.Fatal(err)
	}
	res, err := repo.Render(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	unit := "gateway"
	if named, ok := strings.CutPrefix(string(archive.Comment), "unit "); ok {
		unit, _, _ = strings.Cut(named, ":")
	}
	var out bytes.Buffer
	if err := render.WriteYAML(&out, res.Env, render.OutputOptions{Units: []string{unit}}); err != nil {
		t.Fatal(err)
	}
	if *update {
		setFile(archive, "want", out.String())
		if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(fileOf(archive, "want"), out.String()); diff != "" {
		t.Errorf("(-want +got; -update rewrites it)\n%s", diff)
	}
}

// shop makes a repository of the base archive with the files of another.
func shop(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	base, err := txtar.ParseFile(filepath.Join("testdata", "base.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	unpack(t, dir, base)
	unpack(t, dir, archive)
	return dir
}

// TestVersions renders all stacks for each version of Kubernetes that an
// environment may name: nothing of theirs is too new or gone.
func TestVersions(t *testing.T) {
	for minor := 30; minor <= 38; minor++ {
		t.Run(fmt.Sprintf("1.%d", minor), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "testdata", "stacks"))); err != nil {
				t.Fatal(err)
			}
			version := fmt.Sprintf("package systems\n\nenvironment: kubernetesVersion: \"1.%d\"\n", minor)
			if err := os.WriteFile(filepath.Join(dir, "envs", "systems", "version.cue"), []byte(version), 0o644); err != nil {
				t.Fatal(err)
			}
			repo, err := render.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			res, err := repo.Render(t.Context(), "systems")
			if err != nil {
				t.Fatal(err)
			}
			if res.Env.KubernetesVersion != fmt.Sprintf("1.%d", minor) {
				t.Errorf("rendered for %s", res.Env.KubernetesVersion)
			}
		})
	}
}
