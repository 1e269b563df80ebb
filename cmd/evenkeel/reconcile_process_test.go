package main

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

// gitDeployment is a git server with a repository of one environment, and the cluster
// that it is for.
type gitDeployment struct {
	*testing.T
	env        string
	work       string // a clone that pushes
	kubeconfig string
	flags      []string // of reconcile
	server     *httptest.Server
}

const reconciledEnv = `package env

import "github.com/seed-428f4edd/evenkeel/schema"

environment: schema.#Environment & {
	name: "%s"
	site: {
		name: "lab", domain: "example.org", entry: "loadBalancer"
		networks: {nodes: "10.9.0.0/24", pods: "172.7.0.0/16", services: "192.168.0.0/16"}
	}
	apps: web: schema.#WebApp & {image: "example.org/web:1.0", minReadySeconds: 0}
}
`

func newDeployment(t *testing.T, env string) *gitDeployment {
	t.Helper()
	d := &gitDeployment{T: t, env: env, kubeconfig: applytest.Kubeconfig(t), work: t.TempDir()}
	bare := filepath.Join(t.TempDir(), "repo.git")
	d.git(d.work, "init", "-q", "-b", "main")
	for _, dir := range []string{"cue.mod", "envs/" + env} {
		if err := os.MkdirAll(filepath.Join(d.work, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, d.work, "cue.mod/module.cue", "module: \"example.org/shop@v0\"\nlanguage: version: \"v0.17.0\"\n")
	write(t, d.work, "envs/"+env+"/env.cue", fmt.Sprintf(reconciledEnv, env))
	d.git(d.work, "add", ".")
	d.git(d.work, "commit", "-q", "-m", "first")
	d.git(d.work, "clone", "-q", "--bare", d.work, bare)
	d.git(d.work, "remote", "add", "origin", bare)
	d.server = httptest.NewTLSServer(gitOverHTTP(t, bare, "t0ken"))
	t.Cleanup(d.server.Close)
	dir := t.TempDir()
	ca := write(t, dir, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.server.Certificate().Raw})))
	d.flags = []string{
		"--git", d.server.URL + "/repo.git", "--git-ca", ca, "--git-token-file", write(t, dir, "token", "t0ken"),
	}
	return d
}

func (d *gitDeployment) git(dir string, args ...string) {
	d.Helper()
	cmd := exec.CommandContext(d.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=ops", "GIT_AUTHOR_EMAIL=ops@example.org", "GIT_COMMITTER_NAME=ops", "GIT_COMMITTER_EMAIL=ops@example.org", "GIT_CONFIG_GLOBAL=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		d.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// push commits the environment with one word replaced by another.
func (d *gitDeployment) push(from, to string) {
	d.Helper()
	name := "envs/" + d.env + "/env.cue"
	text, err := os.ReadFile(filepath.Join(d.work, name))
	if err != nil {
		d.Fatal(err)
	}
	changed := strings.Replace(string(text), from, to, 1)
	if changed == string(text) {
		d.Fatalf("%q is not in %s", from, text)
	}
	write(d.T, d.work, name, changed)
	d.git(d.work, "commit", "-q", "-a", "-m", to)
	d.git(d.work, "push", "-q", "origin", "main")
}

func (d *gitDeployment) kubectl(args ...string) string {
	d.Helper()
	return kubectl(d.T, d.kubeconfig, d.env, args...)
}

// kubectl runs the sandbox's kubectl in a namespace. What it refuses is in the log of the
// test: there are those that ask until it no longer does. Cleanups may ask, too.
func kubectl(t *testing.T, kubeconfig, namespace string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(filepath.Dir(applytest.Binary(t)), "kubectl"), append([]string{"-n", namespace}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// process is a running evenkeel.
type process struct {
	*exec.Cmd
	url   string
	ended chan struct{}

	mu  sync.Mutex
	log []string
}

// reconcile starts the daemon on the git server.
func (d *gitDeployment) reconcile(flags ...string) *process {
	d.Helper()
	args := append([]string{"reconcile", d.env, "--mode", "correct", "--interval", "1s"}, d.flags...)
	return startDaemon(d, d.kubeconfig, append(args, flags...)...)
}

// startDaemon runs evenkeel until the end of the test and waits until it listens.
func startDaemon(tb testing.TB, kubeconfig string, args ...string) *process {
	tb.Helper()
	return startDaemonIn(tb, kubeconfig, nil, args...)
}

// startDaemonIn is startDaemon with further variables.
func startDaemonIn(tb testing.TB, kubeconfig string, env []string, args ...string) *process {
	tb.Helper()
	p := &process{Cmd: exec.CommandContext(tb.Context(), "evenkeel", append(args, "--log-format", "json", "--listen", "127.0.0.1:0")...)}
	p.Env = append(append(os.Environ(), "KUBECONFIG="+kubeconfig), env...)
	stderr, err := p.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := p.Start(); err != nil {
		tb.Fatal(err)
	}
	address := make(chan string, 1)
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			p.mu.Lock()
			p.log = append(p.log, lines.Text())
			p.mu.Unlock()
			var entry struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "listens" {
				address <- entry.Address
			}
		}
	}()
	tb.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.ended
		_ = p.Wait()
		if tb.Failed() {
			tb.Logf("log of process %d:\n%s", p.Process.Pid, p.said())
		}
	})
	select {
	case at := <-address:
		p.url = "http://" + at
	case <-p.ended:
		tb.Fatalf("it ended:\n%s", p.said())
	case <-time.After(2 * time.Minute):
		tb.Fatalf("it does not listen:\n%s", p.said())
	}
	return p
}

// end ends the process as a pod is ended.
func (p *process) end(tb testing.TB) {
	tb.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		tb.Fatal(err)
	}
	until(tb, "it has stopped", func() bool { return strings.Contains(p.said(), `"msg":"stopped"`) })
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "\n")
}

func (p *process) get(path string) (int, string) {
	resp, err := http.Get(p.url + path)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

func (d *gitDeployment) until(what string, done func() bool) {
	d.Helper()
	until(d, what, done)
}

// until waits for something to become true.
func until(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			tb.Fatalf("after three minutes not: %s", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (d *gitDeployment) oneReplica() {
	d.Helper()
	d.until("one replica", func() bool { return d.kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "1" })
}

func (d *gitDeployment) image(image string) {
	d.Helper()
	d.until("image "+image, func() bool {
		return d.kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}") == image
	})
}

// TestReconcileFromGit runs two replicas of the daemon from a git server, as they
// run in a cluster: they deploy a commit, correct drift, keep the last good state
// while git is broken or gone, and one takes over from the other, killed or ended.
func TestReconcileFromGit(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "t-reconcile")
	first := exec.CommandContext(t.Context(), "evenkeel", "-C", d.work, "apply", d.env, "--yes")
	first.Env = append(os.Environ(), "KUBECONFIG="+d.kubeconfig)
	if out, err := first.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	one := d.reconcile("--lease", d.env)
	d.until("one leads", func() bool { return strings.Contains(one.said(), `"msg":"leads"`) })
	two := d.reconcile("--lease", d.env)
	d.until("one is ready", func() bool { code, _ := one.get("/readyz"); return code == http.StatusOK })
	d.until("two is ready", func() bool { code, _ := two.get("/readyz"); return code == http.StatusOK })

	d.kubectl("scale", "deployment", "web", "--replicas", "3")
	d.oneReplica()
	d.push("web:1.0", "web:1.1")
	d.image("example.org/web:1.1")

	d.push(`image: "example.org/web:1.1"`, `imag: "example.org/web:1.2"`)
	d.until("the broken commit is said", func() bool { return strings.Contains(one.said(), "the last good state stands") })
	d.kubectl("scale", "deployment", "web", "--replicas", "3")
	d.oneReplica()
	d.image("example.org/web:1.1")

	// The leader is killed in the middle of it all; git is gone, too.
	d.push(`imag: `, `image: `)
	d.image("example.org/web:1.2")
	if err := one.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	d.kubectl("scale", "deployment", "web", "--replicas", "3")
	d.until("two leads", func() bool { return strings.Contains(two.said(), `"msg":"leads"`) })
	d.oneReplica()
	d.server.CloseClientConnections()
	d.server.Config.SetKeepAlivesEnabled(false)
	down := d.server.Config.Handler
	d.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusBadGateway) })
	d.until("the outage is said", func() bool { return strings.Contains(two.said(), `"msg":"source"`) })
	d.kubectl("scale", "deployment", "web", "--replicas", "3")
	d.oneReplica()
	d.server.Config.Handler = down
	d.push("web:1.2", "web:1.3")
	d.image("example.org/web:1.3")

	// It ends by SIGTERM, and leaves neither lock nor lease behind.
	two.end(t)
	for _, lease := range []string{"evenkeel-" + d.env, "evenkeel-reconcile"} {
		if holder := d.kubectl("get", "lease", lease, "-o", "jsonpath={.spec.holderIdentity}"); holder != "" {
			t.Errorf("Lease %s is held by %s", lease, holder)
		}
	}
	// As a CronJob runs it: one look, from git, and a webhook is told.
	told := make(chan string, 1)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		told <- string(body)
	}))
	defer hook.Close()
	d.kubectl("scale", "deployment", "web", "--replicas", "3")
	look := exec.CommandContext(t.Context(), "evenkeel", append([]string{"reconcile", d.env, "--once"}, d.flags...)...)
	look.Env = append(os.Environ(), "KUBECONFIG="+d.kubeconfig, "EVENKEEL_NOTIFY_URL="+hook.URL+"/t0ken")
	out, _ := look.CombinedOutput()
	if code := look.ProcessState.ExitCode(); code != exitDifferences || !strings.Contains(string(out), "spec.replicas: 3 -> 1") {
		t.Errorf("one look: exit code %d\n%s", code, out)
	}
	select {
	case body := <-told:
		if !strings.Contains(body, `"kind":"drift","text":"Deployment/t-reconcile/web: configured: spec.replicas (by kubectl)"`) {
			t.Errorf("told %s", body)
		}
	default:
		t.Error("the webhook was not told")
	}
	for _, p := range []*process{one, two} {
		if said := p.said(); strings.Contains(said, "t0ken") {
			t.Errorf("the token is in the log:\n%s", said)
		}
	}
}
