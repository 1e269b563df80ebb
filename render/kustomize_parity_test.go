package render_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/internal/program"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/lint"
)

// TestKustomizeParity builds each archive of testdata/kustomize with the public
// kustomize command (directory k), renders what it made as whole objects, and
// holds that against a unit with the same kustomization: the directory k, or the
// file kustomize.cue of the archive.
func TestKustomizeParity(t *testing.T) {
	dir := filepath.Join("..", "testdata", "kustomize")
	names, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(names) < 25 {
		t.Fatalf("%d archives: %v", len(names), err)
	}
	out, err := program.Command(t.Context(), "go", "tool", "-modfile="+filepath.Join(dir, "tool", "go.mod"), "-n", "kustomize").Output()
	if err != nil {
		t.Fatalf("building kustomize: %v", err)
	}
	tool := strings.TrimSpace(string(out))
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			root := shop(t, archive)
			if err := os.CopyFS(filepath.Join(root, "upstream"), os.DirFS(filepath.Join("..", "testdata", "upstream"))); err != nil {
				t.Fatal(err)
			}
			build := program.Command(t.Context(), tool, "build", "--load-restrictor", "LoadRestrictionsNone", filepath.Join(root, "k"))
			var stderr bytes.Buffer
			build.Stderr = &stderr
			manifests, err := build.Output()
			if err != nil {
				t.Fatalf("kustomize build: %v\n%s", err, stderr.String())
			}
			kustomization := fileOf(archive, "kustomize.cue")
			if kustomization == "" {
				kustomization = "dir: \"k\"\n"
			}
			unitEnv(t, root, "ours", "kustomize: {\n"+kustomization+"}\n")
			unitEnv(t, root, "theirs", "extraObjects: "+asObjects(t, manifests)+"\n")
			got, want := renderUnit(t, root, "ours"), renderUnit(t, root, "theirs")
			if strings.Count(want, "\n") < 5 {
				t.Fatalf("kustomize made next to nothing:\n%s", want)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-kustomize +evenkeel)\n%s", diff)
			}
		})
	}
}

// asObjects writes manifests as the extraObjects of a unit.
func asObjects(t *testing.T, manifests []byte) string {
	t.Helper()
	all := map[string]any{}
	for i, doc := range bytes.Split(manifests, []byte("\n---\n")) {
		var obj map[string]any
		if err := yaml.Unmarshal(doc, &obj); err != nil {
			t.Fatal(err)
		}
		all[fmt.Sprintf("o%03d", i)] = obj
	}
	data, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(data) // JSON is CUE
}

// unitEnv writes an environment with one unit, on which no rule looks.
func unitEnv(t *testing.T, root, name, body string) {
	t.Helper()
	var silence strings.Builder
	for _, rule := range lint.Rules() {
		fmt.Fprintf(&silence, "%q: \"parity\"\n", rule)
	}
	text := fmt.Sprintf(`package %s

import (
	"example.com/shop/envs/site:shop"
	"github.com/seed-428f4edd/evenkeel/schema"
)

environment: schema.#Environment & {
	name: %q
	namespace: "parity"
	cluster: context: %q
	site: shop.#Site
	apps: unit: schema.#Objects & {
		silence: {
			%s
		}
		%s
	}
}
`, name, name, name, silence.String(), body)
	dir := filepath.Join(root, "envs", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "env.cue"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// renderUnit is the unit's manifests without the label that says whose they are.
func renderUnit(t *testing.T, root, env string) string {
	t.Helper()
	return renderEnvUnit(t, root, env, "unit")
}

func renderEnvUnit(t *testing.T, root, env, unit string) string {
	t.Helper()
	repo, err := render.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	res, err := repo.Render(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := render.WriteYAML(&out, res.Env, render.OutputOptions{Units: []string{unit}}); err != nil {
		t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(out.String()) {
		if !strings.Contains(line, "applyset.kubernetes.io/part-of:") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}
