package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/browsertest"
)

const uiEnv = `package env

import "github.com/seed-428f4edd/evenkeel/schema"

environment: schema.#Environment & {
	name: "t-ui"
	site: {
		name:   "lab"
		domain: "example.org"
		entry:  "loadBalancer"
		networks: {nodes: "10.9.0.0/24", pods: "172.7.0.0/16", services: "192.168.0.0/16"}
	}
	apps: more: schema.#Objects & {extraObjects: {
		account: {apiVersion: "v1", kind: "Secret", metadata: {namespace: "t-ui", name: "account"}, stringData: {password: "planted-0001", other: "planted-0002"}}
	}}
	apps: web: schema.#WebApp & {
		image: "example.org/web:1.0"
		minReadySeconds: 0
		host: "shop.example.org"
		env: {MARKED: "planted-0003" @secret()}
	}
	apps: api: schema.#WebApp & {image: "example.org/api:1.0-broken-pull", minReadySeconds: 0}
}
`

// gateway stands between a client and the API server and can be closed.
type gateway struct {
	address, target string
	mu              sync.Mutex
	listener        net.Listener
	conns           map[net.Conn]bool
}

func (g *gateway) open(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	g.listener, g.address, g.conns = l, l.Addr().String(), map[net.Conn]bool{}
	g.mu.Unlock()
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", g.target)
			if err != nil {
				_ = in.Close()
				continue
			}
			g.mu.Lock()
			g.conns[in], g.conns[out] = true, true
			g.mu.Unlock()
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
		}
	}()
}

func (g *gateway) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = g.listener.Close()
	for c := range g.conns {
		_ = c.Close()
	}
}

// behindGateway is a kubeconfig that leads to the test cluster by a gateway.
func behindGateway(t *testing.T) (*gateway, string) {
	t.Helper()
	config, err := clientcmd.LoadFromFile(applytest.Kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	cluster := config.Clusters[config.Contexts[config.CurrentContext].Cluster]
	server, err := url.Parse(cluster.Server)
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{address: "127.0.0.1:0", target: server.Host}
	g.open(t)
	t.Cleanup(g.close)
	server.Host = g.address
	cluster.Server = server.String()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return g, path
}

// firstLine lets a test read what a command prints while it runs.
type firstLine struct {
	mu   sync.Mutex
	text strings.Builder
	line chan string
}

func (w *firstLine) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p)
	if line, _, found := strings.Cut(w.text.String(), "\n"); found && w.line != nil {
		w.line <- line
		w.line = nil
	}
	return len(p), nil
}

// servedUI serves the page of a repository until the test ends, and is its address.
func servedUI(t *testing.T, dir, kubeconfig string) string {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	printed := &firstLine{line: make(chan string, 1)}
	ended := make(chan int, 1)
	line := printed.line
	go func() {
		ended <- run(ctx, []string{"-C", dir, "--kubeconfig", kubeconfig, "ui"}, streams{out: printed, err: os.Stderr})
	}()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != exitInterrupted {
			t.Errorf("exit code %d", code)
		}
	})
	select {
	case page := <-line:
		return page
	case code := <-ended:
		ended <- code
		t.Fatalf("exit code %d", code)
	}
	return ""
}

// reachesAll presses Tab until everything of a view that can be used has had the focus,
// and shown it.
func reachesAll(view string) browsertest.Step {
	const (
		usable = `window.usable = [...document.querySelectorAll("a[href],button,input,select,textarea,summary,iframe,[tabindex]")]
			.filter(e => e.tabIndex >= 0 && !e.disabled && (e.checkVisibility() || e.classList.contains("skip"))), usable.length`
		focused = `usable.indexOf(document.activeElement)`
		shown   = `document.activeElement.tagName === "IFRAME" || getComputedStyle(document.activeElement).outlineStyle !== "none"`
	)
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		n, err := chromedp.Evaluate[int](usable)(ctx, target)
		if err != nil {
			return err
		}
		reached := map[int]bool{}
		for range 20 * (n + 20) { // a frame has stops of its own
			if err := chromedp.Do(ctx, browsertest.Press("\t")); err != nil {
				return err
			}
			at, err := chromedp.Evaluate[int](focused)(ctx, target)
			if err != nil {
				return err
			}
			if at < 0 || reached[at] {
				continue
			}
			reached[at] = true
			if seen, err := chromedp.Evaluate[bool](shown)(ctx, target); err != nil || !seen {
				return fmt.Errorf("%s: what has the focus does not show it: %d of %d: %w", view, at, n, err)
			}
			if len(reached) == n {
				return nil
			}
		}
		return fmt.Errorf("%s: the keyboard reaches %d of %d", view, len(reached), n)
	})
}

// TestUIInChromium drives the page of `evenkeel ui` against a real cluster: every view in
// both languages, by keyboard, as things change, and while the cluster is away.
func TestUIInChromium(t *testing.T) {
	cfg := applytest.Cluster(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"cue.mod/module.cue": "module: \"example.org/shop@v0\"\nlanguage: version: \"v0.17.0\"\n", "envs/t-ui/env.cue": uiEnv} {
		write(t, dir, name, text)
	}
	gate, kubeconfig := behindGateway(t)
	command := func(want int, args ...string) {
		t.Helper()
		var said strings.Builder
		if code := run(t.Context(), append([]string{"-C", dir, "--kubeconfig", kubeconfig}, args...), streams{out: &said, err: &said}); code != want {
			t.Fatalf("evenkeel %s: exit code %d\n%s", strings.Join(args, " "), code, said.String())
		}
	}
	command(exitDone, "apply", "t-ui", "--yes", "--no-wait")
	t.Cleanup(func() {
		_ = run(context.WithoutCancel(t.Context()), []string{"-C", dir, "--kubeconfig", applytest.Kubeconfig(t), "delete", "t-ui", "--yes", "--prune", "Namespace/t-ui"}, streams{out: io.Discard, err: io.Discard})
	})
	client := dynamic.NewForConfigOrDie(cfg)
	core := func(resource string) dynamic.ResourceInterface {
		return client.Resource(schema.GroupVersionResource{Version: "v1", Resource: resource}).Namespace("t-ui")
	}
	deployments := client.Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).Namespace("t-ui")
	patch := func(of dynamic.ResourceInterface, name, body string) {
		t.Helper()
		if _, err := of.Patch(t.Context(), name, types.StrategicMergePatchType, []byte(body), metav1.PatchOptions{FieldManager: "somebody"}); err != nil {
			t.Fatal(err)
		}
	}
	patch(core("secrets"), "account", `{"stringData":{"password":"planted-0004"}}`)

	page := servedUI(t, dir, kubeconfig)
	env := page + "en/env/t-ui/"

	browser, problems := browsertest.Open(t, page)
	is := func(what, js string, want any) browsertest.Step { return browsertest.Expect(t, what, js, want) }
	do := func(steps ...browsertest.Step) {
		t.Helper()
		if err := chromedp.Do(browser, steps...); err != nil {
			t.Fatal(err)
		}
	}
	const unit = `(document.querySelector("#unit-%s > .state")?.textContent ?? "").trim()`
	do(
		is("all environments", `[...document.querySelectorAll("li.card a")].map(a => a.textContent).join()`, "t-ui"),
		is("the worst state of its units", `document.querySelector("#env-t-ui").classList.contains("failed")`, true),
		browsertest.Shot("ui-overview"),
		chromedp.Navigate(env),
		is("healthy", fmt.Sprintf(unit, "web"), "✓ healthy"),
		is("failed", fmt.Sprintf(unit, "api"), "✗ failed"),
		is("with the cause", `document.querySelector("#unit-api").textContent.includes("ImagePullBackOff")`, true),
		is("and a command", `document.querySelector("#unit-api .command code").textContent`, "evenkeel logs t-ui api --tail 100"),
		browsertest.Shot("ui-health"),
	)

	// A change of the cluster arrives, and leaves focus where it is.
	do(is("a unit has the focus", `(document.querySelector("#unit-api .name").focus(), document.activeElement.textContent)`, "api"))
	began := time.Now()
	patch(deployments, "web", `{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"example.org/web:2.0-broken-pull","env":[{"name":"MARKED","value":"planted-0006"}]}]}}}}`)
	do(is("it changes by itself", fmt.Sprintf(unit, "web")+` !== "✓ healthy"`, true))
	t.Logf("a change was shown %d ms after it was written", time.Since(began).Milliseconds())
	do(is("the focus stays", `document.activeElement.textContent`, "api"))

	// By keyboard: the first stop skips to the content, then come environments and views.
	do(
		chromedp.Navigate(env), browsertest.Press("\t"), is("the first stop", `document.activeElement.textContent`, "Skip to the content"),
		browsertest.Press("\r"), is("skips", `document.activeElement.id`, "main"),
		browsertest.Press("\t"), is("to the first command", `document.activeElement.textContent`, "evenkeel status t-ui"),
		browsertest.Press("\t"), is("which can be copied", `document.activeElement.textContent`, "copy"),
		is("a view has the focus", `(document.querySelector(".views a[href$=trace]").focus(), document.activeElement.textContent)`, "Trace"),
		browsertest.Press("\r"), is("and opens", `document.querySelector("h1")?.textContent`, "Trace: t-ui"),
		is("the field has a label", `document.querySelector("label[for=url]").textContent`, "URL"),
		is("and takes a URL", `(document.getElementById("url").focus(), document.activeElement.id)`, "url"),
		browsertest.Press("http://shop.example.org/\r"),
		is("which is followed", `[...document.querySelectorAll(".hops strong")].map(s => s.textContent.slice(2)).join()`, "DNS,controller,route,service,pods"),
		is("up to the pods that are there", `document.querySelector(".hops").textContent.includes("pod web-")`, true),
		browsertest.Shot("ui-trace"),
	)

	// Every view in both languages, with nothing to complain of.
	for path, heading := range map[string][2]string{
		"": {"t-ui", "t-ui"}, "unit/web": {"t-ui / web", "t-ui / web"}, "plan": {"Drift and plan: t-ui", "漂移与计划: t-ui"}, "history": {"History: t-ui", "历史: t-ui"},
		"history/1": {"Revision 1: t-ui", "版本 1: t-ui"}, "graph": {"Picture: t-ui", "拓扑图: t-ui"}, "trace": {"Trace: t-ui", "请求跟踪: t-ui"}, "logs?app=web": {"Logs: t-ui", "日志: t-ui"}, "events": {"Events: t-ui", "事件: t-ui"},
	} {
		for i, lang := range []string{"en", "zh"} {
			if path == "history/1" {
				continue // nothing is recorded of an apply without a wait
			}
			do(chromedp.Navigate(page+lang+"/env/t-ui/"+path), is(path+" in "+lang, `document.querySelector("h1")?.textContent`, heading[i]),
				reachesAll(path+" in "+lang),
				is(path+" has no error", `document.querySelector(".error:not([hidden])")?.textContent ?? ""`, ""),
				is("its other language is the same view", `new URL(document.querySelector("a.lang").href).pathname.endsWith("/env/t-ui/`+strings.Split(path, "?")[0]+`")`, true),
				browsertest.Shot("ui-"+strings.NewReplacer("/", "-", "?", "-").Replace(path)+"-"+lang))
		}
	}
	do(
		chromedp.Navigate(env+"plan"),
		is("drift says who changed a field", `[...document.querySelectorAll("tbody tr")].some(r => r.textContent.includes("data.password") && r.textContent.includes("somebody"))`, true),
		is("the plan in full stands in a frame that may do nothing", `document.querySelector("iframe").getAttribute("sandbox")`, "allow-scripts"),
	)
	do(
		chromedp.Navigate(env+"plan.html"), is("the page of the plan shows what changes", `[...document.querySelectorAll(".card")].filter(c => c.checkVisibility()).length > 0`, true),
		browsertest.Press("?"), is("and its script runs", `document.getElementById("keys").open`, true), browsertest.Shot("ui-plan-page"),
		chromedp.Navigate(env+"graph.html"), is("so does that of the picture", `document.querySelectorAll(".node[tabindex]").length > 0`, true),
	)
	if said := problems(); len(said) > 0 {
		t.Errorf("the page complains: %q", said)
	}

	// The cluster goes away, and comes back.
	do(chromedp.Navigate(env), is("nothing is amiss", `document.querySelector("#headline .error")?.textContent ?? ""`, ""))
	gate.close()
	do(is("it is said that the cluster does not answer", `(document.querySelector("#headline .error")?.textContent ?? "").includes("The cluster does not answer")`, true),
		is("what is known stays", fmt.Sprintf(unit, "api"), "✗ failed"), browsertest.Shot("ui-away"))
	gate.open(t)
	do(is("and that it does again", `document.querySelector("#headline .error")?.textContent ?? ""`, ""))
	patch(deployments, "web", `{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"example.org/web:3.0"}]}}}}`)
	do(is("changes are seen again", fmt.Sprintf(unit, "web"), "✓ healthy"))
}
