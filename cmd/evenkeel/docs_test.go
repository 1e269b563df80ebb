package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

var updateDocs = flag.Bool("update-docs", false, "rewrite the output shown in the documentation")

// TestDocs runs the console blocks of the documentation as a reader would, in
// one shell per page, from a copy of the repository, against a cluster of the
// page's own; what a command prints must be what the page shows. In a page,
// "..." stands for any text, and a block that the reader only reads is not
// marked console.
func TestDocs(t *testing.T) {
	t.Parallel()
	root := repoRoot(t)
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append([]string{filepath.Join(root, "README.md")}, pages...) {
		blocks := readBlocks(t, page)
		if len(blocks) == 0 {
			continue
		}
		t.Run(filepath.Base(page), func(t *testing.T) {
			t.Parallel() // a page mostly waits for pods
			runPage(t, root, page, blocks)
		})
	}
}

// TestReadmesLevel holds the Chinese README level with the English one: the
// same commands with the same output, in the same order.
func TestReadmesLevel(t *testing.T) {
	root := repoRoot(t)
	en := readBlocks(t, filepath.Join(root, "README.md"))
	zh := readBlocks(t, filepath.Join(root, "README.zh-CN.md"))
	if diff := cmp.Diff(en, zh, cmp.AllowUnexported(step{})); diff != "" {
		t.Errorf("console blocks of README.md and README.zh-CN.md differ (-en +zh):\n%s", diff)
	}
	headings := regexp.MustCompile(`(?m)^#+ `)
	if a, b := len(headings.FindAll(readFile(t, root, "README.md"), -1)), len(headings.FindAll(readFile(t, root, "README.zh-CN.md"), -1)); a != b {
		t.Errorf("README.md has %d headings, README.zh-CN.md %d", a, b)
	}
}

// step is one command of a page and the output that the page shows for it.
type step struct {
	command string
	output  string
}

var consoleBlock = regexp.MustCompile("(?ms)^```console\n(.*?)^```$")

// readBlocks returns the commands of a page's console blocks.
func readBlocks(t *testing.T, page string) []step {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	for _, block := range consoleBlock.FindAllSubmatch(text, -1) {
		for line := range strings.Lines(string(block[1])) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				steps = append(steps, step{command: strings.TrimSuffix(command, "\n")})
			} else if len(steps) > 0 {
				steps[len(steps)-1].output += line
			}
		}
	}
	return steps
}

func runPage(t *testing.T, root, page string, steps []step) {
	dir := filepath.Join(t.TempDir(), "evenkeel")
	clone := exec.Command("git", "clone", "-q", "--local", root, dir)
	if out, err := clone.CombinedOutput(); err != nil {
		t.Fatalf("git clone: %v\n%s", err, out)
	}
	bin := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(bin, "evenkeel")); err != nil {
		t.Fatal(err)
	}
	sandbox := filepath.Dir(applytest.Binary(t))
	env := append(os.Environ(),
		"PATH="+bin+string(os.PathListSeparator)+sandbox+string(os.PathListSeparator)+os.Getenv("PATH"),
		"KUBECONFIG="+kubeconfigFor(t, dir, steps),
		"NO_COLOR=1", "GIT_AUTHOR_NAME=you", "GIT_AUTHOR_EMAIL=you@example.org",
		"GIT_COMMITTER_NAME=you", "GIT_COMMITTER_EMAIL=you@example.org",
	)
	shell := newShell(t, dir, env)
	for i, s := range steps {
		start := time.Now()
		got := shell.run(t, s.command)
		t.Logf("%6.1fs  %s", time.Since(start).Seconds(), s.command)
		if !matches(s.output, got) {
			if *updateDocs {
				steps[i].output = got
				rewrite(t, page, s, got)
				continue
			}
			t.Errorf("%s: $ %s\nprints\n%s\nbut the page shows\n%s", filepath.Base(page), s.command, got, s.output)
		}
	}
}

// needsCluster matches the commands that ask an API server.
var needsCluster = regexp.MustCompile(`kubectl|evenkeel (apply|canary|delete|diff|history|import|logs|reconcile|rollback|rollout|scale|status|ui)\b|--live`)

// kubeconfigFor is that of a cluster of the page's own, where one of its commands needs
// one; else there is none, and a command that this overlooks fails.
func kubeconfigFor(t *testing.T, dir string, steps []step) string {
	t.Helper()
	for _, s := range steps {
		if needsCluster.MatchString(s.command) {
			return applytest.FreshKubeconfig(t, "od")
		}
	}
	return filepath.Join(dir, "no-kubeconfig")
}

// shell is one bash that runs a page's commands one after the other.
type shell struct {
	dir, state string
	env        []string
}

func newShell(t *testing.T, dir string, env []string) *shell {
	t.Helper()
	return &shell{dir: dir, env: env, state: filepath.Join(t.TempDir(), "state")}
}

// run runs a command with the directory and variables that those before it left
// behind, and returns stdout and stderr together.
func (s *shell) run(t *testing.T, command string) string {
	t.Helper()
	script := fmt.Sprintf("if [ -f %[1]q ]; then . %[1]q; fi\n%[2]s\ncode=$?\n{ export -p; printf 'cd %%q\\n' \"$PWD\"; } > %[1]q\nexit $code\n", s.state, command)
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir = s.dir
	cmd.Env = s.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	_ = cmd.Run() // a page shows failing commands too; "echo $?" shows the code
	return out.String()
}

// matches says whether output is what a page shows, where "..." stands for
// anything and ages, times and digests are never compared.
func matches(want, got string) bool {
	parts := strings.Split(strings.TrimSpace(want), "...")
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	re := regexp.MustCompile(`(?s)^` + strings.Join(parts, ".*?") + `$`)
	return re.MatchString(strings.TrimSpace(got))
}

// rewrite puts the real output below a command of a page.
func rewrite(t *testing.T, page string, s step, got string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	from := "$ " + s.command + "\n" + s.output
	to := "$ " + s.command + "\n" + strings.TrimRight(got, "\n") + "\n"
	if err := os.WriteFile(page, bytes.Replace(text, []byte(from), []byte(to), 1), 0o644); err != nil {
		t.Fatal(err)
	}
}
