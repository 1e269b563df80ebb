package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-428f4edd/evenkeel/internal/source"
	"github.com/seed-428f4edd/evenkeel/render/budget"
)

const endless = `package loop

import "list"

environment: name: "loop"

numbers: [for i in list.Range(0, 1000000, 1) for j in list.Range(0, 1000000, 1) {i * j}]
`

// newSite is a repository with a good environment, and one that has no end.
func newSite(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, env := range []string{"cue.mod", "envs/good", "envs/loop"} {
		if err := os.MkdirAll(filepath.Join(dir, env), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, "cue.mod/module.cue", "module: \"example.org/shop@v0\"\nlanguage: version: \"v0.17.0\"\n")
	write(t, dir, "envs/good/good.cue", strings.Replace(fmt.Sprintf(reconciledEnv, "good"), "package env", "package good", 1))
	write(t, dir, "envs/loop/loop.cue", endless)
	return dir
}

// TestRenderChildEnds ends a rendering that has no end in the ways in which one is
// ended, and expects it to be gone at once, without having said anything.
func TestRenderChildEnds(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	ways := map[string]func(*exec.Cmd, io.Closer) error{
		"SIGTERM":                  func(cmd *exec.Cmd, _ io.Closer) error { return cmd.Process.Signal(syscall.SIGTERM) },
		"Ctrl-C":                   func(cmd *exec.Cmd, _ io.Closer) error { return cmd.Process.Signal(os.Interrupt) },
		"nobody waits for it more": func(_ *exec.Cmd, asked io.Closer) error { return asked.Close() },
	}
	for name, end := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "evenkeel", "render-child")
			asked, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			said, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if err := json.NewEncoder(asked).Encode(source.Request{Dir: site, All: true, Budget: budget.Budget{Time: time.Hour}}); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(said)
			for lines.Scan() && !strings.Contains(lines.Text(), `{"begun":"loop"}`) {
			}
			if err := end(cmd, asked); err != nil {
				t.Fatal(err)
			}
			late := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
			defer late.Stop()
			for lines.Scan() {
				if strings.Contains(lines.Text(), "environments") {
					t.Errorf("it answered: %s", lines.Text())
				}
			}
			err = cmd.Wait()
			if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != exitInterrupted {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

// TestDaemonGivesUp keeps the daemon going on one environment while another has no
// end: it is named, the other is handed on, and when it is mended both are. What
// is being rendered when the daemon ends leaves nothing.
func TestDaemonGivesUp(t *testing.T) {
	t.Parallel()
	site, temporary := newSite(t), t.TempDir()
	commit := func(message string) {
		t.Helper()
		for _, args := range [][]string{{"add", "."}, {"-c", "user.name=ops", "-c", "user.email=ops@example.org", "commit", "-q", "-m", message}} {
			if out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", site}, args...)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", args, err, out)
			}
		}
	}
	if out, err := exec.CommandContext(t.Context(), "git", "init", "-q", "-b", "main", site).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	commit("a loop")
	nowhere := write(t, t.TempDir(), "kubeconfig", "")
	start := func(limit string) *process {
		return startDaemonIn(t, nowhere, []string{"TMPDIR=" + temporary},
			"reconcile", "--all", "--git", "file://"+site, "--interval", "1s", "--render-timeout", limit)
	}
	p := start("5s")
	until(t, "the loop is given up", func() bool {
		code, body := p.get("/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "environment loop at ") && strings.Contains(body, "given up: not rendered after 5s")
	})
	until(t, "the other environment is rendered", func() bool { return strings.Contains(p.said(), `"environments":1,"wrong":1`) })

	// Other content does not wait for the loop, which is tried again behind it.
	write(t, site, "envs/good/good.cue", strings.Replace(strings.Replace(fmt.Sprintf(reconciledEnv, "good"), "package env", "package good", 1), "web:1.0", "web:1.1", 1))
	commit("another image")
	until(t, "the rest first", func() bool { return strings.Contains(p.said(), `, without loop","environments":1,"wrong":1`) })

	write(t, site, "envs/loop/loop.cue", strings.Replace(strings.Replace(fmt.Sprintf(reconciledEnv, "loop"), "package env", "package loop", 1), "web:1.0", "web:1.2", 1))
	commit("mended")
	until(t, "both are rendered", func() bool { return strings.Contains(p.said(), `"environments":2,"wrong":0`) })
	if _, body := p.get("/readyz"); strings.Contains(body, "given up") {
		t.Errorf("readyz: %s", body)
	}
	p.end(t)

	write(t, site, "envs/loop/loop.cue", endless)
	commit("again")
	p = start("1h")
	until(t, "it renders", func() bool { clones, err := os.ReadDir(temporary); return err == nil && len(clones) == 1 })
	p.end(t)
	until(t, "the process is gone", func() bool {
		select {
		case <-p.ended:
			return true
		default:
			return false
		}
	})
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left in the directory of temporary files: %v, %v", left, err)
	}
}
