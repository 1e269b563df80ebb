package render_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-428f4edd/evenkeel/render"
)

// TestNoEnvironmentVanishes breaks an environment in every way that leaves CUE without
// it: either it is still listed, or vet names its directory.
func TestNoEnvironmentVanishes(t *testing.T) {
	const file = "envs/dev/dev.cue"
	rewrite := func(change func(string) string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			name := filepath.Join(dir, file)
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if changed := change(string(data)); changed == string(data) {
				t.Fatal("nothing changed")
			} else if err := os.WriteFile(name, []byte(changed), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	replace := func(from, to string) func(*testing.T, string) {
		return rewrite(func(text string) string { return strings.Replace(text, from, to, 1) })
	}
	move := func(from, to string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, to)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
				t.Fatal(err)
			}
		}
	}
	link := func(from, to, target string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			move(from, to)(t, dir)
			if err := os.Symlink(target, filepath.Join(dir, from)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, change := range map[string]func(*testing.T, string){
		"package_misspelt": replace("package dev\n", "paclage dev\n"),
		"package_missing":  replace("package dev\n", ""),
		"package_other":    replace("package dev\n", "package other\n"),
		"package_none":     replace("package dev\n", "package _\n"),
		"package_alone":    rewrite(func(string) string { return "package dev\n" }),
		"empty":            rewrite(func(string) string { return "" }),
		"comments":         rewrite(func(text string) string { return "// " + strings.ReplaceAll(text, "\n", "\n// ") }),
		"tag":              rewrite(func(text string) string { return "@if(never)\n\n" + text }),
		"tag_not":          rewrite(func(text string) string { return "@if(!never)\n\n" + text }),
		"ignore":           rewrite(func(text string) string { return "@ignore()\n\n" + text }),
		"underscore":       move(file, "envs/dev/_dev.cue"),
		"underscore_dir":   move("envs/dev", "envs/_dev"),
		"dot":              move(file, "envs/dev/.dev.cue"),
		"dot_dir":          move("envs/dev", "envs/.dev"),
		"upper_case":       move(file, "envs/dev/dev.CUE"),
		"test":             move(file, "envs/dev/dev_test.cue"),
		"tool":             move(file, "envs/dev/dev_tool.cue"),
		"no_extension":     move(file, "envs/dev/dev"),
		"yaml":             move(file, "envs/dev/dev.yaml"),
		"copy":             move(file, "envs/dev/dev.cue.orig"),
		"in_envs":          move(file, "envs/dev.cue"),
		"deeper":           move(file, "envs/dev/deep/dev.cue"),
		"empty_dir":        move(file, "dev.cue"),
		"link":             link(file, "dev.cue", "../../dev.cue"),
		"link_nowhere":     link(file, "gone.cue", "nowhere.cue"),
		"link_dir":         link("envs/dev", "dev", "../dev"),
		"link_dir_nowhere": link("envs/dev", "dev", "nowhere"),
		"link_dir_outside": link("envs/dev", "dev", os.TempDir()),
		"field_hidden":     replace("\nenvironment:", "\n_environment:"),
		"field_optional":   replace("\nenvironment:", "\nenvironment?:"),
		"field_definition": replace("\nenvironment:", "\n#environment:"),
		"field_let":        replace("\nenvironment:", "\nlet environment ="),
		"field_plural":     replace("\nenvironment:", "\nenvironments:"),
		"field_upper":      replace("\nenvironment:", "\nEnvironment:"),
		"field_quoted":     replace("\nenvironment:", "\n\"environment\":"),
		"field_computed":   replace("\nenvironment:", "\n(\"environ\"+\"ment\"):"),
		"field_pattern":    replace("\nenvironment:", "\n[=~\"env\"]:"),
		"field_no_colon":   replace("\nenvironment:", "\nenvironment"),
		"null":             rewrite(func(string) string { return "package dev\n\nenvironment: null\n" }),
		"bottom":           rewrite(func(string) string { return "package dev\n\nenvironment: _|_\n" }),
		"byte_order_mark":  rewrite(func(text string) string { return "\ufeff" + text }),
		"schemaless":       replace("schema.#Environment & {", "{"),
		"json_in_its_place": func(t *testing.T, dir string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, "envs/dev/dev.json"), []byte(`{"environment": {"name": "dev"}}`), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			initialised(t, dir)
			change(t, dir)
			listed := false
			if repo, err := render.Open(dir); err == nil {
				envs, err := repo.Envs(t.Context())
				for _, env := range envs {
					listed = listed || err == nil && env.Name == "dev" && env.Err == nil && !env.Lost
				}
			}
			if said := report(t, dir); !listed && !strings.Contains(said, "dev") {
				t.Errorf("it is not listed, and vet says\n%s", said)
			}
		})
	}
}

// TestPartVanishes: a further file of an environment that CUE does not read is named.
func TestPartVanishes(t *testing.T) {
	const part = "package dev\n\nenvironment: apps: hello: replicas: 3\n"
	for name, file := range map[string][2]string{
		"no package clause": {"envs/dev/more.cue", strings.TrimPrefix(part, "package dev\n")},
		"another package":   {"envs/dev/more.cue", strings.Replace(part, "package dev", "package other", 1)},
		"a tag":             {"envs/dev/more.cue", "@if(never)\n\n" + part},
		"ignored":           {"envs/dev/more.cue", "@ignore()\n\n" + part},
		"underscore":        {"envs/dev/_more.cue", part},
		"test":              {"envs/dev/more_test.cue", part},
		"upper case":        {"envs/dev/more.CUE", part},
		"text":              {"envs/dev/more.txt", part},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			initialised(t, dir)
			if err := os.WriteFile(filepath.Join(dir, file[0]), []byte(file[1]), 0o644); err != nil {
				t.Fatal(err)
			}
			if said := report(t, dir); strings.Count(said, "\n") != 1 || !strings.Contains(said, file[0]) {
				t.Errorf("vet says\n%s", said)
			}
		})
	}
}
