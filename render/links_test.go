package render_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/go-git/go-git/v5"
	"golang.org/x/tools/txtar"

	"github.com/seed-428f4edd/evenkeel/render"
)

// TestLinks renders repositories with links and other things that are no plain
// files. The archive holds for each the files ATTACK/..., the links ATTACK/links ("LINK
// TARGET", one a line; $OUT is a directory outside the repository with secret files),
// what the environment adds ATTACK/unit, and what the error says ATTACK/want, or what
// the rendering holds, behind "fine: ". What must not show contains the word SECRET.
// Commits that hold the same links are treated the same.
func TestLinks(t *testing.T) {
	t.Parallel()
	base, err := txtar.ParseFile(filepath.Join("testdata", "base.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	archive, err := txtar.ParseFile(filepath.Join("testdata", "hostile_links.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, attack := range hostile(t, archive) {
		t.Run(attack.name, func(t *testing.T) {
			t.Parallel()
			top, out := t.TempDir(), t.TempDir()
			dir := filepath.Join(top, "deploy")
			secrets := map[string]string{
				"secret.txt": "SECRET\n", "secret.json": `{"a": "SECRET"}`, "secret.cue": "package attack\n\nenvironment: apps: unit: extraObjects: x: {apiVersion: \"v1\", kind: \"ConfigMap\", metadata: name: \"x\", data: a: \"SECRET\"}\n",
				"pkg/pkg.cue": "package pkg\n\nA: \"SECRET\"\n", "base/kustomization.yaml": "configMapGenerator: [{name: x, literals: [a=SECRET]}]\n",
				"crd/crd.yaml":              "SECRET: true\n",
				"module/cue.mod/module.cue": "module: \"evil.test/pkg@v0\"\nlanguage: version: \"v0.17.0\"\n", "module/pkg.cue": "package pkg\n\nA: \"SECRET\"\n",
			}
			for name, content := range secrets {
				put(t, out, name, content)
			}
			unpack(t, dir, base)
			unit := `kustomize: dir: "k"`
			for name, content := range attack.files {
				switch name {
				case "unit":
					unit = content
				case "links":
				default:
					put(t, dir, name, strings.ReplaceAll(content, "$OUT", out))
				}
			}
			unitEnv(t, dir, "attack", unit)
			repo, err := git.PlainInit(top, false)
			if err != nil {
				t.Fatal(err)
			}
			put(t, top, ".git/secret", "SECRET\n")
			if strings.Contains(attack.name, "git") {
				put(t, dir, ".GIT/secret", "SECRET\n")
			}
			link(t, dir, out, attack.files["links"])
			check := func(where string, repo *render.Repo, err error) {
				t.Helper()
				var rendered bytes.Buffer
				if err == nil {
					var res *render.Result
					if res, err = repo.Render(t.Context(), "attack"); err == nil {
						err = render.WriteYAML(&rendered, res.Env, render.OutputOptions{Secrets: true})
					}
				}
				holds, fine := strings.CutPrefix(attack.want, "fine: ")
				switch {
				case fine && (err != nil || !strings.Contains(rendered.String(), holds)):
					t.Errorf("%s: %v\nnot in it: %s\n%s", where, err, holds, rendered.String())
				case !fine && (err == nil || !strings.Contains(err.Error(), attack.want)):
					t.Errorf("%s: got  %v\nwant %s", where, err, attack.want)
				}
				if strings.Contains(rendered.String(), "SECRET") || err != nil && strings.Contains(err.Error(), "SECRET") {
					t.Errorf("%s: the secret shows:\n%s%v", where, rendered.String(), err)
				}
			}
			disk, err := render.Open(dir)
			check("on disk", disk, err)
			if strings.Contains(attack.files["links"], "FIFO") || strings.Contains(attack.name, "git") {
				return // git does not hold such things
			}
			commit(t, repo)
			committed, err := render.OpenGit(dir, "HEAD")
			check("in the commit", committed, err)
		})
	}
}

func put(t *testing.T, dir, name, content string) {
	t.Helper()
	name = filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// link makes links, "LINK TARGET" one a line, and pipes.
func link(t *testing.T, dir, out, links string) {
	t.Helper()
	for line := range strings.Lines(links) {
		name, target, _ := strings.Cut(strings.TrimSpace(line), " ")
		name = filepath.Join(dir, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(name), 0o755)
		switch {
		case err != nil:
		case target == "FIFO":
			err = syscall.Mkfifo(name, 0o644)
		default:
			err = os.Symlink(strings.ReplaceAll(target, "$OUT", out), name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
