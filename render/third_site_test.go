package render_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-428f4edd/evenkeel/render"
)

// TestThirdSite renders a site that has nothing in common with the worked examples:
// three clusters, load balancers in place of hosts in front, the Gateway API. It is
// without findings, and says all by fields: nothing is patched.
func TestThirdSite(t *testing.T) {
	dir := filepath.Join("..", "testdata", "kestrel")
	repo, err := render.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	warnings, err := repo.Vet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range warnings {
		t.Errorf("a finding: %s", f)
	}
	envs, err := repo.Envs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	clusters, units := map[string]bool{}, map[string]bool{}
	for _, env := range envs {
		clusters[env.Cluster.Context] = true
		res, err := repo.Render(t.Context(), env.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range res.Env.Units {
			units[u.Name] = true
		}
		golden(t, filepath.Join(dir, "golden", env.Name+".yaml"), manifests(t, repo, env.Name))
	}
	if len(clusters) != 3 || len(units) < 16 {
		t.Errorf("%d clusters and %d units, want 3 and 16 or more", len(clusters), len(units))
	}
	err = fs.WalkDir(os.DirFS(dir), "envs", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		for _, field := range []string{"patch:", "extraObjects:", "kustomize:", "silence:", "od.com"} {
			if bytes.Contains(data, []byte(field)) {
				t.Errorf("%s has %q", name, field)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
