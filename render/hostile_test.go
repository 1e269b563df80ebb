package render_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/seed-428f4edd/evenkeel/render"
)

// walledIn is set where the tests run behind a filter of system calls (TestWalledIn).
const walledIn = "EVENKEEL_TEST_WALLED_IN"

// outsideWorld is what a rendering must not touch: a server that counts who comes,
// and a git in the search path that says when it is run.
type outsideWorld struct {
	url      string
	requests atomic.Int32
	ran      string // exists when git was run
	temp     string
}

func newOutsideWorld(t *testing.T) *outsideWorld {
	t.Helper()
	bin := t.TempDir()
	w := &outsideWorld{url: "http://127.0.0.1:1", ran: filepath.Join(t.TempDir(), "ran"), temp: t.TempDir()}
	if os.Getenv(walledIn) == "" { // else even this server is forbidden
		server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
			w.requests.Add(1)
			_, _ = out.Write([]byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fetched}\n"))
		}))
		t.Cleanup(server.Close)
		w.url = server.URL
	}
	script := "#!/bin/sh\necho \"$@\" >> " + w.ran + "\nexit 1\n"
	if err := os.WriteFile(filepath.Join(bin, "git"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("TMPDIR", w.temp)
	return w
}

func (w *outsideWorld) untouched(t *testing.T) {
	t.Helper()
	if n := w.requests.Swap(0); n > 0 {
		t.Errorf("%d requests", n)
	}
	if ran, err := os.ReadFile(w.ran); err == nil {
		t.Errorf("git was run: %s", ran)
		_ = os.Remove(w.ran)
	}
	left, err := filepath.Glob(filepath.Join(w.temp, "kustomize*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v %v", left, err)
	}
}

// TestHostileKustomization renders bases that ask kustomize to fetch or to run
// something: the directory k of each, and what else it needs. All are refused, with
// the reason; the outside world sees nothing of it.
func TestHostileKustomization(t *testing.T) { //nolint:paralleltest // sets the search path
	base, err := txtar.ParseFile(filepath.Join("testdata", "base.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	attacks, err := txtar.ParseFile(filepath.Join("testdata", "hostile_kustomize.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	world := newOutsideWorld(t)
	for _, attack := range hostile(t, attacks) {
		t.Run(attack.name, func(t *testing.T) {
			dir := t.TempDir()
			unpack(t, dir, base)
			for name, content := range attack.files {
				name = filepath.Join(dir, filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(strings.ReplaceAll(content, "$URL", world.url)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			unitEnv(t, dir, "attack", `kustomize: dir: "k"`)
			repo, err := render.Open(dir)
			if err == nil {
				_, err = repo.Render(t.Context(), "attack")
			}
			switch want := strings.ReplaceAll(attack.want, "$URL", world.url); {
			case want == "fine" && err != nil:
				t.Errorf("refused: %v", err)
			case want != "fine" && (err == nil || !strings.Contains(err.Error(), want)):
				t.Errorf("got  %v\nwant %s", err, want)
			}
			world.untouched(t)
		})
	}
}

// TestHostileCharts renders charts that ask for what is not theirs, and honest ones. The
// outside world sees nothing of either.
func TestHostileCharts(t *testing.T) { //nolint:paralleltest // sets the search path
	base, err := txtar.ParseFile(filepath.Join("testdata", "base.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	attacks, err := txtar.ParseFile(filepath.Join("testdata", "hostile_charts.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	all := hostile(t, attacks)
	honest, err := filepath.Glob(filepath.Join("..", "testdata", "charts", "*.txtar"))
	if err != nil || len(honest) < 6 {
		t.Fatalf("%d honest charts: %v", len(honest), err)
	}
	for _, name := range honest {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		one := &attack{name: filepath.Base(name), want: "fine: kind: ", files: map[string]string{}}
		for _, f := range archive.Files {
			one.files[f.Name] = string(f.Data)
		}
		one.files["values"] = one.files["values.cue"]
		all = append(all, one)
	}
	world := newOutsideWorld(t)
	for _, attack := range all {
		t.Run(attack.name, func(t *testing.T) {
			dir := t.TempDir()
			unpack(t, dir, base)
			put(t, dir, "chart/Chart.yaml", "{apiVersion: v2, name: hostile, version: 1.0.0}\n")
			for name, content := range attack.files {
				put(t, dir, name, strings.ReplaceAll(content, "$URL", world.url))
			}
			chartEnv(t, dir, "attack", "chart", attack.files["values"])
			repo, err := render.Open(dir)
			var rendered bytes.Buffer
			if err == nil {
				var res *render.Result
				if res, err = repo.Render(t.Context(), "attack"); err == nil {
					err = render.WriteYAML(&rendered, res.Env, render.OutputOptions{Units: []string{"unit"}})
				}
			}
			holds, fine := strings.CutPrefix(attack.want, "fine: ")
			switch {
			case fine && (err != nil || !strings.Contains(rendered.String(), holds)):
				t.Errorf("%v\nnot in it: %s\n%s", err, holds, rendered.String())
			case !fine && (err == nil || !strings.Contains(err.Error(), attack.want)):
				t.Errorf("got  %v\nwant %s", err, attack.want)
			}
			world.untouched(t)
		})
	}
}

type attack struct {
	name, want string
	files      map[string]string
}

// hostile reads attacks: files of the name ATTACK/..., and ATTACK/want, what the
// error says, or "fine".
func hostile(t *testing.T, archive *txtar.Archive) []*attack {
	t.Helper()
	var all []*attack
	for _, f := range archive.Files {
		name, file, ok := strings.Cut(f.Name, "/")
		if !ok {
			t.Fatalf("%s belongs to no attack", f.Name)
		}
		if len(all) == 0 || all[len(all)-1].name != name {
			all = append(all, &attack{name: name, files: map[string]string{}})
		}
		one := all[len(all)-1]
		if file == "want" {
			one.want = strings.TrimSpace(string(f.Data))
			continue
		}
		one.files[file] = string(f.Data)
	}
	for _, one := range all {
		if one.want == "" {
			t.Fatalf("%s says not what it wants", one.name)
		}
	}
	return all
}
