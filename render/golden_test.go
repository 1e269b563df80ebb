package render_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-428f4edd/evenkeel/render"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden renders every example environment and compares the manifests with
// testdata/golden: a change of the definitions shows its YAML in the same commit.
func TestGolden(t *testing.T) {
	repo, err := render.Open("..")
	if err != nil {
		t.Fatal(err)
	}
	envs, err := repo.Envs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(envs) < 5 {
		t.Fatalf("%d environments, want at least the five of the worked example", len(envs))
	}
	for _, env := range envs {
		t.Run(env.Name, func(t *testing.T) {
			if env.Err != nil {
				t.Fatal(env.Err)
			}
			got := manifests(t, repo, env.Name)
			if again := manifests(t, repo, env.Name); !bytes.Equal(got, again) {
				t.Errorf("rendered twice, two outputs:\n%s", cmp.Diff(string(got), string(again)))
			}
			golden(t, filepath.Join("..", "testdata", "golden", env.Name+".yaml"), got)
		})
	}
}

func manifests(t *testing.T, repo *render.Repo, env string) []byte {
	t.Helper()
	res, err := repo.Render(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := render.WriteYAML(&out, res.Env, render.OutputOptions{Secrets: true}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// golden compares with a file, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", name, diff)
	}
}
