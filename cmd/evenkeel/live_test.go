package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-runewidth"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// TestLiveView draws through a pseudo-terminal: in place, after a resize, and
// when there are more lines than rows.
func TestLiveView(t *testing.T) {
	master, tty := openPTY(t, 24, 60)
	screen := newScreen(24, 60)
	go screen.read(master)
	_, _ = tty.WriteString("$ evenkeel apply dev\n")

	view := newLiveView(tty, viewedEnv(), false)
	view.event(apply.Event{Time: view.start, Unit: "db", Ref: deployment("db"), State: health.Healthy})
	view.event(apply.Event{Time: view.start, Unit: "web", Ref: deployment("web"), State: health.Progressing, Ready: 1, Desired: 2, Message: "等待就绪\x1b[2J等待"})
	screen.want(t, "$ evenkeel apply dev", "dev  0s", "  ✓ db  healthy: 1 object", "  … web  0 of 1 healthy",
		"      Deployment/dev/web  1 of 2 ready  0s  … progressing", "          等待就绪\\u001b[2J等待")

	view.event(apply.Event{Time: view.start, Unit: "web", Ref: deployment("web"), State: health.Healthy})
	screen.want(t, "$ evenkeel apply dev", "dev  0s", "  ✓ db  healthy: 1 object", "  ✓ web  healthy: 1 object")

	setSize(t, master, 24, 20)
	screen.resize(24, 20)
	view.event(apply.Event{Time: view.start, Unit: "web", Ref: deployment("web"), State: health.Failed, Message: "exit code 137 OOMKilled"})
	screen.want(t, "$ evenkeel apply dev", "dev  0s", "  ✓ db  healthy: 1…", "  ✗ web  0 of 1 he…",
		"      Deployment/d…", "          exit code", "          137", "          OOMKilled")

	setSize(t, master, 5, 40)
	screen.resize(5, 40)
	screen.want(t, "dev  0s", "  ✓ db  healthy: 1 object", "  ✗ web  0 of 1 healthy", "  ... 2 more lines")

	setSize(t, master, 24, 60)
	screen.resize(24, 60)
	view.close()
	screen.want(t, "dev  0s", "  ✓ db  healthy: 1 object", "  ✗ web  0 of 1 healthy",
		"      Deployment/dev/web  0s  ✗ failed", "          exit code 137 OOMKilled")
}

// TestLiveInterrupt presses Ctrl-C in the middle of a gate: the last frame stays,
// and below it stands what was done.
func TestLiveInterrupt(t *testing.T) {
	kubeconfig := applytest.Kubeconfig(t)
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("cue.mod/module.cue", "module: \"example.org/shop@v0\"\nlanguage: version: \"v0.17.0\"\n")
	write("envs/t-interrupt/env.cue", `package env

import "github.com/seed-428f4edd/evenkeel/schema"

environment: schema.#Environment & {
	name: "t-interrupt"
	site: {
		name: "lab", domain: "example.org", entry: "loadBalancer"
		networks: {nodes: "10.9.0.0/24", pods: "172.7.0.0/16", services: "192.168.0.0/16"}
	}
	apps: web: schema.#WebApp & {image: "example.org/web:1.0-never-ready", minReadySeconds: 0}
}
`)
	cmd := exec.CommandContext(t.Context(), "evenkeel", "-C", dir, "apply", "t-interrupt", "--yes")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "TERM=xterm", "NO_COLOR=1")
	master, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	screen := newScreen(24, 100)
	go screen.read(master)
	screen.wait(t, "the gate", func(lines []string) bool {
		return strings.Contains(strings.Join(lines, "\n"), "Deployment/t-interrupt/web") && strings.Contains(strings.Join(lines, "\n"), "progressing")
	})
	if _, err := master.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("exit code %d, want %d", code, exitInterrupted)
	}
	screen.wait(t, "what was done", func(lines []string) bool {
		return strings.HasPrefix(lines[len(lines)-1], "error: env t-interrupt: interrupted: ")
	})
	if lines := screen.lines(); !strings.HasPrefix(lines[0], "t-interrupt  ") || strings.Contains(strings.Join(lines, "\n"), "^C") {
		t.Errorf("the screen is not clean:\n%s", strings.Join(lines, "\n"))
	}
}

func viewedEnv() *schema.Environment {
	objects := []schema.Object{{Unstructured: &unstructured.Unstructured{}}}
	return &schema.Environment{Name: "dev", Units: []schema.Unit{{Name: "db", Objects: objects}, {Name: "web", Objects: objects}}}
}

func deployment(name string) schema.Ref {
	return schema.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "dev", Name: name}
}

func openPTY(t *testing.T, rows, cols uint16) (master, tty *os.File) {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { _ = tty.Close(); _ = master.Close() })
	setSize(t, master, rows, cols)
	return master, tty
}

func setSize(t *testing.T, master *os.File, rows, cols uint16) {
	t.Helper()
	if err := pty.Setsize(master, &pty.Winsize{Rows: rows, Cols: cols}); err != nil {
		t.Fatal(err)
	}
}

// screen is a terminal: it understands what a live view writes, wraps, scrolls,
// and wraps anew when it is resized.
type screen struct {
	mu         sync.Mutex
	rows, cols int
	cells      [][]rune // a row each, without what scrolled away
	row, col   int
	pending    string // an escape sequence that has not ended
}

func newScreen(rows, cols int) *screen {
	return &screen{rows: rows, cols: cols, cells: make([][]rune, rows)}
}

func (s *screen) read(r io.Reader) {
	buf := make([]byte, 4096)
	var rest []byte
	for {
		n, err := r.Read(buf)
		rest = append(rest, buf[:n]...)
		// A character may be cut by the end of the buffer.
		text := string(rest)
		if valid := strings.ToValidUTF8(text, ""); len(valid) == len(text) {
			s.write(text)
			rest = rest[:0]
		}
		if err != nil {
			return
		}
	}
}

func (s *screen) write(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range text {
		switch {
		case s.pending != "" || r == '\x1b':
			s.pending += string(r)
			if len(s.pending) > 2 && r >= '@' {
				s.control(s.pending)
				s.pending = ""
			}
		case r == '\r':
			s.col = 0
		case r == '\n':
			s.down()
		default:
			s.put(r)
		}
	}
}

func (s *screen) put(r rune) {
	w := runewidth.RuneWidth(r)
	if s.col+w > s.cols {
		s.col = 0
		s.down()
	}
	line := s.cells[s.row]
	for len(line) < s.col+w {
		line = append(line, ' ')
	}
	line[s.col] = r
	if w == 2 {
		line[s.col+1] = 0
	}
	s.cells[s.row], s.col = line, s.col+w
}

func (s *screen) down() {
	if s.row++; s.row == s.rows {
		s.row--
		s.cells = append(s.cells[1:], nil)
	}
}

func (s *screen) control(seq string) {
	n, _ := strconv.Atoi(seq[2 : len(seq)-1])
	switch seq[len(seq)-1] {
	case 'A':
		s.row = max(0, s.row-n)
	case 'K', 'J':
		s.cells[s.row] = s.cells[s.row][:min(s.col, len(s.cells[s.row]))]
		for i := s.row + 1; i < s.rows && seq[len(seq)-1] == 'J'; i++ {
			s.cells[i] = nil
		}
	}
}

// resize wraps the lines above the cursor as terminals do, and keeps the cursor
// on the screen by scrolling.
func (s *screen) resize(rows, cols int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var cells [][]rune
	for _, line := range s.cells[:s.row] {
		for len(line) > cols {
			cells = append(cells, line[:cols:cols])
			line = line[cols:]
		}
		cells = append(cells, line)
	}
	if over := len(cells) - (rows - 1); over > 0 {
		cells = cells[over:]
	}
	s.row, s.rows, s.cols = len(cells), rows, cols
	for len(cells) < rows {
		cells = append(cells, nil)
	}
	s.cells = cells
}

func (s *screen) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, line := range s.cells {
		out = append(out, strings.TrimRight(strings.ReplaceAll(string(line), "\x00", ""), " "))
	}
	for len(out) > 1 && out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	return out
}

// want waits until the last lines of the screen are these; ages count as 0s.
func (s *screen) want(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		got = s.lines()
		for i := range got {
			for age := range 30 {
				got[i] = strings.ReplaceAll(got[i], fmt.Sprintf("  %ds", age), "  0s")
			}
		}
		got = got[max(0, len(got)-len(want)):]
		if cmp.Equal(want, got) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the screen (-want +got):\n%s", cmp.Diff(want, got))
}

func (s *screen) wait(t *testing.T, what string, ok func([]string) bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		if ok(s.lines()) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("no %s on the screen:\n%s", what, strings.Join(s.lines(), "\n"))
}
