package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/creack/pty"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

// TestHangUp closes the terminal or the connection of a command, wherever it is: it ends
// as by Ctrl-C, says so, and gives the lock back.
func TestHangUp(t *testing.T) {
	t.Parallel()
	kubeconfig := applytest.Kubeconfig(t)
	for _, test := range []struct {
		name   string
		before [][]string // commands of evenkeel, each with an edit of the image before it
		args   []string
		until  string // on stderr
	}{
		{name: "for the lock", args: []string{"apply", "ENV", "--yes", "--lock-timeout", "10m"}, until: "waiting for the lock"},
		{name: "delete", before: [][]string{{"web:1", "apply", "ENV", "--yes", "--no-wait"}}, args: []string{"delete", "ENV", "--yes"}, until: "waiting until 1 object is gone"},
		{
			name:   "rollback",
			before: [][]string{{"web:1-never-ready", "apply", "ENV", "--yes", "--no-wait"}, {"web:2", "apply", "ENV", "--yes", "--no-wait"}},
			args:   []string{"rollback", "ENV", "--to", "1", "--yes"}, until: "progressing",
		},
		{
			name:   "reconcile",
			before: [][]string{{"web:1", "apply", "ENV", "--yes", "--no-wait"}, {"web:2-never-ready", "diff", "ENV"}},
			args:   []string{"reconcile", "ENV", "--once", "--mode", "correct"}, until: "progressing",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHangUp(t, kubeconfig, strings.ReplaceAll("t-hangup-"+test.name, " ", "-"))
			for _, command := range test.before {
				h.image(command[0])
				_ = h.command(command[1:]...).Run() // diff ends with 1
			}
			switch test.name {
			case "for the lock":
				h.image("web:1-never-ready")
				holder := h.start("apply", "ENV", "--yes")
				until(t, "the first run waits", func() bool { return strings.Contains(holder.said(), "progressing") })
			case "delete":
				h.kubectl("patch", "configmap", "conf", "--type", "merge", "-p", `{"metadata":{"finalizers":["example.org/hold"]}}`)
				t.Cleanup(func() {
					h.kubectl("patch", "configmap", "conf", "--type", "merge", "-p", `{"metadata":{"finalizers":null}}`)
				})
			}
			run := h.start(test.args...)
			until(t, test.until, func() bool { return strings.Contains(run.said(), test.until) })
			run.hangUp(t)
			want := ""
			if test.name == "for the lock" {
				want = "root" // the other's
			}
			if holder := h.kubectl("get", "lease", "evenkeel-"+h.env, "-o", "jsonpath={.spec.holderIdentity}"); (holder == "") != (want == "") {
				t.Errorf("the lock is held by %q", holder)
			}
		})
	}
	t.Run("rendering", func(t *testing.T) {
		t.Parallel()
		h := newHangUp(t, kubeconfig, "t-hangup-rendering")
		write(t, h.dir, "envs/"+h.env+"/loop.cue", "package env\n\nimport \"list\"\n\nnumbers: [for i in list.Range(0, 1000000, 1) for j in list.Range(0, 1000000, 1) {i * j}]\n")
		run := h.start("diff", "ENV", "--render-timeout", "10m")
		until(t, "it computes", func() bool { return ticks(t, run.cmd.Process.Pid) > 100 })
		run.hangUp(t)
	})
	t.Run("asking", func(t *testing.T) {
		t.Parallel()
		h := newHangUp(t, kubeconfig, "t-hangup-asking")
		cmd := h.command("apply", "ENV")
		terminal, err := pty.Start(cmd)
		if err != nil {
			t.Fatal(err)
		}
		said, buffer := &bytes.Buffer{}, make([]byte, 4096)
		for !strings.Contains(said.String(), "[y/N]") {
			n, err := terminal.Read(buffer)
			if err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			said.Write(buffer[:n])
		}
		_ = terminal.Close()
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
			t.Errorf("exit code %d, want %d", code, exitInterrupted)
		}
		if got := h.kubectl("get", "namespace", h.env, "-o", "name", "--ignore-not-found"); got != "" {
			t.Errorf("%s was written", got)
		}
	})
	t.Run("daemon", func(t *testing.T) {
		t.Parallel()
		h := newHangUp(t, kubeconfig, "t-hangup-daemon")
		if err := h.command("apply", "ENV", "--yes", "--no-wait").Run(); err != nil {
			t.Fatal(err)
		}
		p := startDaemon(t, kubeconfig, "-C", h.dir, "reconcile", h.env, "--mode", "report", "--interval", "1m")
		if err := p.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		until(t, "it has stopped", func() bool { return strings.Contains(p.said(), `"msg":"stopped"`) })
	})
}

// hangUp is a repository of one environment.
type hangUp struct {
	*testing.T
	dir, env, kubeconfig string
}

func newHangUp(t *testing.T, kubeconfig, env string) *hangUp {
	t.Helper()
	h := &hangUp{T: t, dir: t.TempDir(), env: env, kubeconfig: kubeconfig}
	for _, dir := range []string{"cue.mod", "envs/" + env} {
		if err := os.MkdirAll(filepath.Join(h.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, h.dir, "cue.mod/module.cue", "module: \"example.org/shop@v0\"\nlanguage: version: \"v0.17.0\"\n")
	h.image("web:1")
	return h
}

// image writes the environment with an image.
func (h *hangUp) image(image string) {
	h.Helper()
	write(h.T, h.dir, "envs/"+h.env+"/env.cue", fmt.Sprintf(`package env

import "github.com/seed-428f4edd/evenkeel/schema"

environment: schema.#Environment & {
	name:        %q
	podSecurity: "privileged"
	site: {name: "lab", domain: "example.org", entry: "loadBalancer", networks: {nodes: "10.9.0.0/24", pods: "172.7.0.0/16", services: "192.168.0.0/16"}}
	apps: all: schema.#Objects & {extraObjects: {
		conf: {apiVersion: "v1", kind: "ConfigMap", metadata: name: "conf"}
		web: {apiVersion: "apps/v1", kind: "Deployment", metadata: name: "web", spec: {selector: matchLabels: app: "web", template: {
			metadata: labels: app: "web"
			spec: containers: [{name: "c", image: "example.org/%s"}]
		}}}
	}}
}
`, h.env, image))
}

func (h *hangUp) command(args ...string) *exec.Cmd {
	for i, arg := range args {
		args[i] = strings.ReplaceAll(arg, "ENV", h.env)
	}
	cmd := exec.CommandContext(h.Context(), "evenkeel", append([]string{"-C", h.dir}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+h.kubeconfig, "NO_COLOR=1")
	return cmd
}

func (h *hangUp) kubectl(args ...string) string {
	h.Helper()
	return kubectl(h.T, h.kubeconfig, h.env, args...)
}

// heard is a running command, and what it has said.
type heard struct {
	cmd *exec.Cmd
	mu  sync.Mutex
	out bytes.Buffer
}

func (r *heard) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(p)
}

func (r *heard) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

func (h *hangUp) start(args ...string) *heard {
	h.Helper()
	r := &heard{cmd: h.command(args...)}
	r.cmd.Stderr = r
	if err := r.cmd.Start(); err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() {
		if r.cmd.ProcessState == nil {
			_ = r.cmd.Process.Signal(syscall.SIGTERM)
			_ = r.cmd.Wait()
		}
	})
	return r
}

// hangUp sends SIGHUP and holds the end to what it should be.
func (r *heard) hangUp(t *testing.T) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	_ = r.cmd.Wait()
	if code := r.cmd.ProcessState.ExitCode(); code != exitInterrupted || !strings.Contains(r.said(), "interrupted") {
		t.Errorf("exit code %d, want %d:\n%s", code, exitInterrupted, r.said())
	}
}

// ticks is the time that a process has computed, in clock ticks (proc(5), 14 and 15).
func ticks(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, system := 0, 0
	if _, err := fmt.Sscan(fields[11], &user); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(fields[12], &system); err != nil {
		t.Fatal(err)
	}
	return user + system
}
