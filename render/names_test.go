package render_test

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/tools/txtar"

	"github.com/seed-428f4edd/evenkeel/render"
)

// TestNamesThatDoNotShow gives files and directories names that begin a line of a log, or
// turn the line around: they are refused in one line that shows them.
func TestNamesThatDoNotShow(t *testing.T) {
	t.Parallel()
	base, err := txtar.ParseFile(filepath.Join("testdata", "base.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	const (
		unit    = `apps: a: schema.#Objects & {kustomize: dir: "k"}`
		ofChart = `stacks: a: schema.#Chart & {chart: "charts/c"}`
		objects = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"
		chart   = "{apiVersion: v2, name: c, version: 1.0.0}\n"
	)
	for name, c := range map[string]struct {
		files         map[string]string
		imports, unit string
	}{
		"file of an environment":      {files: map[string]string{"envs/attack/a\n::error::b.cue": "package attack\n"}},
		"directory below envs":        {files: map[string]string{"envs/a\x1b]0;b\x07/env.cue": "package env\n\nenvironment: 1\n"}},
		"directory with other files":  {files: map[string]string{"envs/a\u202eb/notes": "none\n"}},
		"no text":                     {files: map[string]string{"envs/a\xffb.cue": "package a\n"}},
		"package that is imported":    {files: map[string]string{"stacks/a\u2028b.cue": "package stacks\n\nA: 1\n"}, imports: "\t\"example.com/shop/stacks\"\n", unit: `stacks: a: stacks.A`},
		"resource of a kustomization": {files: map[string]string{"k/kustomization.yaml": "resources: [\"a\\nb.yaml\"]\n", "k/a\nb.yaml": objects}, unit: unit},
		"file that is not there":      {files: map[string]string{"k/kustomization.yaml": "resources: [\"a\\n::error::b.yaml\"]\n"}, unit: unit},
		"kustomization":               {files: map[string]string{"k\nk/kustomization.yaml": "resources: [c.yaml]\n", "k\nk/c.yaml": objects}, unit: `apps: a: schema.#Objects & {kustomize: dir: "k\nk"}`},
		"kustomization not there":     {unit: `apps: a: schema.#Objects & {kustomize: dir: "k\n::error::k"}`},
		"template of a chart":         {files: map[string]string{"charts/c/Chart.yaml": chart, "charts/c/templates/a\nb.yaml": objects}, unit: ofChart},
		"directory of a chart":        {files: map[string]string{"charts/c/Chart.yaml": chart, "charts/c/templates/a\u200eb/c.yaml": objects}, unit: ofChart},
		"custom resources":            {files: map[string]string{"crds/a\nb.yaml": objects}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			unpack(t, dir, base)
			for file, content := range c.files {
				put(t, dir, file, content)
			}
			env := "package attack\n\nimport (\n\t\"example.com/shop/envs/site:shop\"\n\t\"github.com/seed-428f4edd/evenkeel/schema\"\n" + c.imports +
				")\n\nenvironment: schema.#Environment & {name: \"attack\", site: shop.#Site, " + c.unit + "}\n"
			put(t, dir, "envs/attack/env.cue", env)
			repo, err := render.Open(dir)
			if err == nil {
				_, err = repo.Vet(t.Context(), "attack")
			}
			if err == nil || !strings.Contains(err.Error(), "has characters that do not show: rename it") {
				t.Fatalf("got %v", err)
			}
			if i := strings.IndexFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
				t.Errorf("%q is in %q", err.Error()[i:], err)
			}
		})
	}
}
