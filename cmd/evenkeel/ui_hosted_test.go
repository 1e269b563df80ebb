package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

// uiHostedEnv is one of two environments of a cluster, whose consumer calls nothing.
const uiHostedEnv = `package env

import "github.com/seed-428f4edd/evenkeel/schema"

environment: schema.#Environment & {
	name: "t-hosted-NAME"
	site: {
		name:   "lab"
		domain: "example.org"
		entry:  "loadBalancer"
		networks: {nodes: "10.9.0.0/24", pods: "172.7.0.0/16", services: "192.168.0.0/16"}
	}
	apps: web: schema.#WebApp & {
		image: "example.org/web:1.0"
		minReadySeconds: 0
		host: "NAME.example.org"
	}
	apps: vault: schema.#Objects & {extraObjects: account: {apiVersion: "v1", kind: "Secret", metadata: {namespace: "t-hosted-NAME", name: "account"}, stringData: password: "planted-0001"}}
}
`

// hostedAccount makes a ServiceAccount with rights in one namespace, and a token of it.
func hostedAccount(t *testing.T, client kubernetes.Interface, name, namespace string, rules ...rbacv1.PolicyRule) string {
	t.Helper()
	ctx := t.Context()
	meta := metav1.ObjectMeta{Name: name, Namespace: namespace}
	if _, err := client.CoreV1().ServiceAccounts(namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if len(rules) > 0 {
		if _, err := client.RbacV1().Roles(namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		binding := &rbacv1.RoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: namespace}},
		}
		if _, err := client.RbacV1().RoleBindings(namespace).Create(ctx, binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	token, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return token.Status.Token
}

// serves runs the command in a process of its own until the test ends, as it starts others
// by its own name, and is the first line that it prints.
func serves(t *testing.T, args ...string) string {
	t.Helper()
	line, _ := servesAndSays(t, args...)
	return line
}

// servesAndSays is serves, with what it has said on standard error so far.
func servesAndSays(t *testing.T, args ...string) (line string, says func() string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "evenkeel", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	said, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err = bufio.NewReader(out).ReadString('\n')
	t.Cleanup(func() { // the context of the test has ended
		_ = cmd.Wait()
		text, err := os.ReadFile(said.Name())
		if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || t.Failed() {
			t.Logf("exit code %d, %v\n%s", code, err, text)
			if code != exitInterrupted {
				t.Error("it did not go on until it was interrupted")
			}
		}
	})
	if err != nil {
		t.Fatalf("no address is printed: %v", err)
	}
	return strings.TrimSpace(line), func() string {
		text, err := os.ReadFile(said.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

// TestUIOutlivesCommit serves a page for which somebody pushes a commit that takes more
// memory than there is: it goes on with the one before, and with the next.
func TestUIOutlivesCommit(t *testing.T) {
	t.Parallel()
	dir, bare := t.TempDir(), filepath.Join(t.TempDir(), "deploy.git")
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	push := func(app string) string {
		t.Helper()
		write(t, dir, "envs/t-hosted-a/app.cue", "package env\n\n"+app+"\n")
		git("add", ".")
		git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "change")
		git("push", "-q", bare, "HEAD:main")
		return git("rev-parse", "HEAD")
	}
	write(t, dir, "cue.mod/module.cue", "module: \"example.org/shop@v0\"\nlanguage: version: \"v0.17.0\"\n")
	write(t, dir, "envs/t-hosted-a/env.cue", strings.ReplaceAll(uiHostedEnv, "NAME", "a"))
	git("init", "-q", "-b", "main")
	git("init", "-q", "--bare", "-b", "main", bare)
	push(`environment: apps: web: env: A: "1"`)
	_, says := servesAndSays(t, "--server", "https://127.0.0.1:1", "ui", "--host", "deploy.example.org", "--list-only",
		"--git", "file://"+bare, "--interval", "1s", "--render-memory", "1Gi")
	until := func(words ...string) {
		t.Helper()
		deadline := time.Now().Add(3 * time.Minute)
		for {
			text := says()
			lacks := slices.DeleteFunc(slices.Clone(words), func(s string) bool { return strings.Contains(text, s) })
			if len(lacks) == 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("not said: %q, but\n%s", lacks, text)
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
	bomb := push("import \"list\"\n\nenvironment: apps: web: env: A: \"\\(len(list.Range(0, 100000000, 1)))\"")
	until("cannot be shown", bomb, "given up")
	until("msg=shows commit=" + push(`environment: apps: web: env: A: "2"`))
}

// TestUIHosted serves the page as stacks/evenkeel does, behind a proxy that ends TLS and
// without any right of its own, to accounts with different ones: each sees what it may.
func TestUIHosted(t *testing.T) {
	cfg := applytest.Cluster(t)
	client := kubernetes.NewForConfigOrDie(cfg)
	dir, bare := t.TempDir(), filepath.Join(t.TempDir(), "deploy.git")
	git := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	write(t, dir, "cue.mod/module.cue", "module: \"example.org/shop@v0\"\nlanguage: version: \"v0.17.0\"\n")
	for _, name := range []string{"a", "b"} {
		write(t, dir, "envs/t-hosted-"+name+"/env.cue", strings.ReplaceAll(uiHostedEnv, "NAME", name))
	}
	git("init", "-q", "-b", "main")
	commit := func() {
		t.Helper()
		git("add", ".")
		git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "change")
		git("push", "-q", bare, "HEAD:main")
	}
	git("init", "-q", "--bare", "-b", "main", bare)
	commit()
	for _, name := range []string{"t-hosted-a", "t-hosted-b"} {
		var said strings.Builder
		if code := run(t.Context(), []string{"-C", dir, "--kubeconfig", applytest.Kubeconfig(t), "apply", name, "--yes"}, streams{out: &said, err: &said}); code != exitDone {
			t.Fatalf("apply %s: exit code %d\n%s", name, code, said.String())
		}
		t.Cleanup(func() {
			_ = run(context.WithoutCancel(t.Context()), []string{"-C", dir, "--kubeconfig", applytest.Kubeconfig(t), "delete", name, "--yes", "--prune", "Namespace/" + name}, streams{out: io.Discard, err: io.Discard})
		})
	}
	look := []string{"get", "list", "watch"}
	all := rbacv1.PolicyRule{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: look}
	some := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods", "services", "events", "configmaps", "serviceaccounts"}, Verbs: look},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments", "replicasets"}, Verbs: look},
	}
	ann, bob, eve := hostedAccount(t, client, "ann", "t-hosted-a", all), hostedAccount(t, client, "bob", "t-hosted-b", some...), hostedAccount(t, client, "eve", "t-hosted-b")

	// The account that runs the page has no rights at all: neither a token nor a kubeconfig.
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, cfg.CAData, 0o644); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(empty, []byte("apiVersion: v1\nkind: Config\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var behind *httputil.ReverseProxy
	edge := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { behind.ServeHTTP(w, r) }))
	defer edge.Close()
	host := "localhost:" + edge.URL[strings.LastIndex(edge.URL, ":")+1:]
	address := serves(t,
		"--kubeconfig", empty, "--server", cfg.Host, "--certificate-authority", ca, "ui", "t-hosted-a", "t-hosted-b",
		"--host", host, "--listen", "127.0.0.1:0", "--list-only", "--git", "file://"+bare, "--interval", "1s")
	address = address[strings.LastIndex(address, " ")+1:]
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	behind = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }}
	page := "https://" + host

	type viewer func(path string) (int, string)
	signedIn := func(token string) viewer {
		t.Helper()
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		browser := edge.Client()
		transport := browser.Transport.(*http.Transport).Clone()
		transport.TLSClientConfig.ServerName = "example.com" // which the certificate of the test is for
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, edge.Listener.Addr().String())
		}
		own := &http.Client{Jar: jar, Transport: transport, Timeout: time.Minute}
		if token != "" {
			resp, err := own.PostForm(page+"/sign-in", url.Values{"token": {token}, "lang": {"en"}})
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/en/" {
				t.Fatalf("signing in: %s at %s", resp.Status, resp.Request.URL)
			}
		}
		return func(path string) (int, string) {
			resp, err := own.Get(page + path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(body), "planted-0001") || token != "" && strings.Contains(string(body), token) {
				t.Errorf("%s has what is secret", path)
			}
			return resp.StatusCode, string(body)
		}
	}
	// eventually waits for what is meant: watches need a moment to see.
	eventually := func(who string, see viewer, path string, has ...string) {
		t.Helper()
		deadline := time.Now().Add(time.Minute)
		for {
			code, body := see(path)
			lacks := slices.DeleteFunc(slices.Clone(has), func(s string) bool { return strings.Contains(body, s) })
			if code == http.StatusOK && len(lacks) == 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s at %s: %d, no %q in\n%s", who, path, code, lacks, body)
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
	never := func(who string, see viewer, path string, code int, has ...string) {
		t.Helper()
		got, body := see(path)
		if got != code {
			t.Errorf("%s at %s: %d, want %d", who, path, got, code)
		}
		for _, s := range has {
			if strings.Contains(body, s) {
				t.Errorf("%s at %s: %q is in\n%s", who, path, s, body)
			}
		}
	}
	a, b, e, nobody := signedIn(ann), signedIn(bob), signedIn(eve), signedIn("")

	// Each sees what the account may look at.
	never("nobody", nobody, "/en/", http.StatusUnauthorized, "t-hosted")
	never("nobody", nobody, "/en/env/t-hosted-a/", http.StatusUnauthorized, "Deployment")
	eventually("eve", e, "/en/", "may look at no environment")
	never("eve", e, "/en/", http.StatusOK, "t-hosted-a", "env/t-hosted-b")
	never("eve", e, "/en/env/t-hosted-b/", http.StatusNotFound)
	never("ann", a, "/en/", http.StatusOK, "t-hosted-b")
	for _, path := range []string{"", "plan", "plan.html", "history", "graph.html", "logs?app=web", "events", "live"} {
		never("ann", a, "/en/env/t-hosted-b/"+path, http.StatusNotFound)
		never("bob", b, "/en/env/t-hosted-a/"+path, http.StatusNotFound)
	}
	eventually("ann", a, "/en/env/t-hosted-a/", "✓ 3 healthy")
	eventually("ann", a, "/en/env/t-hosted-a/unit/web", "Deployment/t-hosted-a/web", "✓ healthy")
	eventually("ann", a, "/en/env/t-hosted-a/plan", "these rights are missing", "list namespaces") // of the whole cluster
}
