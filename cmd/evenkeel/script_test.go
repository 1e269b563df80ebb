package main

import (
	"context"
	"encoding/base64"
	"flag"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

var update = flag.Bool("update", false, "rewrite the expected output of scripts")

func TestMain(m *testing.M) {
	// Scripts and pages mostly wait for pods: more of them than there are processors
	// run side by side, unless -parallel says how many.
	if err := flag.Set("test.parallel", strconv.Itoa(max(6, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){
		"evenkeel": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			os.Exit(run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
		},
	})
}

// TestScripts runs testdata/script/*.txtar against the real command. A script
// that begins with "cluster" gets KUBECONFIG of a real API server; scripts
// share it, so each names its environments for itself. "registry" starts a
// container registry for the script at $REGISTRY, "webhook FILE" what writes all
// that it is told to that file, at $WEBHOOK.
func TestScripts(t *testing.T) {
	t.Parallel()
	root := repoRoot(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join(root, "testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("REPO", root)
			env.Setenv("NO_COLOR", "1")
			env.Setenv("KUBECONFIG", filepath.Join(env.WorkDir, "no-kubeconfig"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// cluster [alone]: the one that all scripts share, or one of its own for a
			// script that breaks something for others.
			"cluster": func(ts *testscript.TestScript, _ bool, args []string) {
				if slices.Contains(args, "alone") {
					ts.Setenv("KUBECONFIG", applytest.FreshKubeconfig(t, "alone"))
				} else {
					ts.Setenv("KUBECONFIG", applytest.Kubeconfig(t))
				}
				// kubectl comes from the sandbox; evenkeel does not, though one may have
				// been built beside it.
				list := string(os.PathListSeparator)
				own, rest, _ := strings.Cut(ts.Getenv("PATH"), list)
				ts.Setenv("PATH", own+list+filepath.Dir(applytest.Binary(t))+list+rest)
			},
			"exits":    exits,
			"pipeline": pipeline,
			"registry": func(ts *testscript.TestScript, _ bool, _ []string) {
				server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
				ts.Defer(server.Close)
				ts.Setenv("REGISTRY", strings.TrimPrefix(server.URL, "http://"))
			},
			"webhook":     webhook,
			"hides":       hides,
			"cue":         publicTool(root, "testdata/tools", "cue"),
			"kubeconform": publicTool(root, "testdata/tools", "kubeconform"),
			"helm":        publicTool(root, "testdata/charts/tool", "helm"),
			"example": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Check(copyExample(ts.MkAbs("."), root))
			},
		},
	})
}

// publicTool is a command of a module of tools, as a command of scripts. It is built
// when a script first calls it.
func publicTool(root, module, name string) func(*testscript.TestScript, bool, []string) {
	path := sync.OnceValues(func() (string, error) {
		out, err := exec.Command("go", "tool", "-modfile="+filepath.Join(root, filepath.FromSlash(module), "go.mod"), "-n", name).Output()
		return strings.TrimSpace(string(out)), err
	})
	return func(ts *testscript.TestScript, neg bool, args []string) {
		tool, err := path()
		if err != nil {
			ts.Fatalf("building %s: %v", name, err)
		}
		if err := ts.Exec(tool, args...); neg != (err != nil) {
			ts.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
		}
	}
}

// exits runs a command and checks its exit code: "exits 4 evenkeel apply dev".
// stdout and stderr can be matched as after exec.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := "0"
	if exit := (*exec.ExitError)(nil); err != nil {
		var ok bool
		if exit, ok = err.(*exec.ExitError); !ok { //nolint:errorlint // Exec returns it bare
			ts.Fatalf("%v", err)
		}
		code = strings.TrimPrefix(exit.Error(), "exit status ")
	}
	if code != args[0] {
		ts.Fatalf("%s: exit code %s, want %s", strings.Join(args[1:], " "), code, args[0])
	}
}

// copyExample copies the worked example into a directory, which is outside of git.
func copyExample(dir, root string) error {
	for _, name := range []string{"cue.mod", "envs", "schema", "stacks"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(root, name))); err != nil {
			return err
		}
	}
	return nil
}

func repoRoot(t testing.TB) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// webhook writes what is posted to $WEBHOOK to a file.
func webhook(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: webhook FILE")
	}
	file, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(file, r.Body)
	}))
	ts.Defer(func() { server.Close(); _ = file.Close() })
	ts.Setenv("WEBHOOK", server.URL)
}

// hides is exits, and looks in what the command printed for the values that the
// file "planted" lists; "hides files NAME..." looks in files and directories.
func hides(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: hides CODE COMMAND [ARG...], or hides files NAME...")
	}
	if args[0] != "files" {
		exits(ts, false, args)
		for _, stream := range []string{"stdout", "stderr"} {
			findPlanted(ts, stream, ts.ReadFile(stream))
		}
		return
	}
	for _, name := range args[1:] {
		err := filepath.WalkDir(ts.MkAbs(name), func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				findPlanted(ts, path, ts.ReadFile(path))
			}
			return err
		})
		if err != nil {
			ts.Fatalf("%v", err)
		}
	}
}

func findPlanted(ts *testscript.TestScript, where, text string) {
	for value := range strings.FieldsSeq(ts.ReadFile("planted")) {
		// In base64 a value looks different behind one or two other bytes.
		for _, form := range []string{value, encoded(value), encoded("x" + value)[2:], encoded("xx" + value)[3:]} {
			if strings.Contains(text, form) {
				ts.Fatalf("%s says %s, as %q:\n%s", where, value, form, text)
			}
		}
	}
}

// encoded is the base64 of a value, without the last characters, which depend on
// what follows.
func encoded(value string) string {
	raw := base64.RawStdEncoding.EncodeToString([]byte(value))
	return raw[:len(raw)-2]
}
