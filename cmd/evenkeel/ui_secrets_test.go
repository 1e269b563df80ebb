package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/browsertest"
)

// plantedEnv has a value that nobody is to see in each place that can have one.
const plantedEnv = `package env

import "github.com/seed-428f4edd/evenkeel/schema"

environment: schema.#Environment & {
	name: "t-planted"
	podSecurity: "privileged"
	site: {
		name:   "lab"
		domain: "example.org"
		entry:  "loadBalancer"
		networks: {nodes: "10.9.0.0/24", pods: "172.7.0.0/16", services: "192.168.0.0/16"}
	}
	apps: {
		vault: schema.#Objects & {extraObjects: {
			account: {apiVersion: "v1", kind: "Secret", metadata: name: "account", stringData: {
				password: "planted-0001"
				changes:  "planted-0002" // of the first revision
				quoted:   "registry not reachable"
			}}
			encoded: {apiVersion: "v1", kind: "Secret", metadata: name: "encoded", data: password: "cGxhbnRlZC0wMDAz"} // planted-0003
			settings: {
				apiVersion: "v1", kind: "ConfigMap"
				metadata: {name: "settings", annotations: {"example.org/key": "planted-0004" @secret()}}
				data: {plain: "shown-0001", key: "planted-0005" @secret(), url: "postgres://shop:planted-0006@db/shop" @secret()}
			}
			worker: {
				apiVersion: "apps/v1", kind: "Deployment", metadata: name: "worker"
				spec: {
					selector: matchLabels: app: "worker"
					template: {
						metadata: labels: app: "worker"
						spec: containers: [{
							name: "worker", image: "example.org/worker:1.0-never-ready"
							command: ["worker"]
							args: ["--key=planted-0007", "planted-0008"] @secret()
							readinessProbe: httpGet: {port: 8080, path: "/planted-0009" @secret(), httpHeaders: [{name: "Authorization", value: "planted-0010" @secret()}]}
						}]
					}
				}
			}
			way: {
				apiVersion: "networking.k8s.io/v1", kind: "Ingress", metadata: name: "way"
				spec: {ingressClassName: "traefik", rules: [{host: "shop.example.org", http: paths: [{
					path: "/planted-0011" @secret(), pathType: "Prefix", backend: service: {name: "web", port: number: 8080}
				}]}]}
			}
		}}
		web: schema.#WebApp & {image: "example.org/web:1.0", minReadySeconds: 0, host: "shop.example.org", env: MARKED: "planted-0012" @secret()}
		pull: schema.#WebApp & {image: "example.org/web:planted-0013-broken-pull" @secret(), minReadySeconds: 0}
		other: schema.#WebApp & {image: "example.org/web:1.0", minReadySeconds: 0}
	}
	stacks: shop: schema.#Chart & {chart: "charts/shop", values: {key: "planted-0014" @secret()}}
}
`

// plantedChart is a chart that puts a value where charts put them.
var plantedChart = map[string]string{
	"charts/shop/Chart.yaml":  "apiVersion: v2\nname: shop\nversion: 1.0.0\n",
	"charts/shop/values.yaml": "key: \"\"\n",
	"charts/shop/templates/all.yaml": `apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data: {app.conf: {{ printf "key=%s" .Values.key | quote }}}
`,
}

// planted is how many values there are: planted-0001 and so on. Those from 20 on are not
// in the source.
const planted = 24

// crawled are all answers of a page, by their addresses.
type crawled struct {
	t       *testing.T
	root    string
	mu      sync.Mutex
	answers map[string]string
	streams sync.WaitGroup
	stop    []func()
}

var linked = regexp.MustCompile(`(?:href|src|data-live|data-log|action)="([^"]+)"`)

// crawl asks for a page and for all that it leads to.
func (c *crawled) crawl(address string) {
	address, _, _ = strings.Cut(address, "#")
	if !strings.HasPrefix(address, c.root) || c.known(address) {
		return
	}
	ctx, stop := context.WithCancel(c.t.Context())
	c.stop = append(c.stop, stop)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		c.t.Errorf("%s: %s", address, resp.Status)
	}
	c.add(address, fmt.Sprintln(resp.Header))
	if resp.Header.Get("Content-Type") == "text/event-stream" {
		c.streams.Go(func() { // until the end of the test
			defer func() { _ = resp.Body.Close() }()
			for part := make([]byte, 64<<10); ; {
				n, err := resp.Body.Read(part)
				c.add(address, string(part[:n]))
				if err != nil {
					return
				}
			}
		})
		return
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	_ = resp.Body.Close()
	c.add(address, string(body))
	if strings.Contains(address, "/static/") || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "script-src 'self'") {
		return
	}
	base := resp.Request.URL
	for _, m := range linked.FindAllStringSubmatch(string(body), -1) {
		to, err := base.Parse(html.UnescapeString(m[1]))
		if err != nil {
			c.t.Fatal(err)
		}
		c.crawl(to.String())
	}
}

func (c *crawled) known(address string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.answers[address]
	return ok
}

func (c *crawled) add(address, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[address] += text
}

func (c *crawled) text(address string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers[address]
}

// leaks are the planted values that a text has, in clear or in base64.
func leaks(text string) []string {
	var found []string
	values := []string{"registry not reachable"}
	for n := 1; n <= planted; n++ {
		values = append(values, fmt.Sprintf("planted-%04d", n))
	}
	for _, value := range values {
		for _, form := range []string{value, encoded(value), encoded("x" + value)[2:], encoded("xx" + value)[3:], base64.RawURLEncoding.EncodeToString([]byte(value))} {
			if strings.Contains(text, form) {
				found = append(found, value)
				break
			}
		}
	}
	return found
}

// TestNoSecretIsShown plants values in every place that can have one, and looks for them
// in all that the page answers and shows, and in what the commands print.
func TestNoSecretIsShown(t *testing.T) {
	cfg := applytest.Cluster(t)
	dir := t.TempDir()
	write(t, dir, "cue.mod/module.cue", "module: \"example.org/shop@v0\"\nlanguage: version: \"v0.17.0\"\n")
	write(t, dir, "envs/t-planted/env.cue", plantedEnv)
	for name, text := range plantedChart {
		write(t, dir, name, text)
	}
	command := func(codes []int, args ...string) string {
		t.Helper()
		var said strings.Builder
		if code := run(t.Context(), append([]string{"-C", dir, "--kubeconfig", applytest.Kubeconfig(t)}, args...), streams{out: &said, err: &said}); !slices.Contains(codes, code) {
			t.Fatalf("evenkeel %s: exit code %d\n%s", strings.Join(args, " "), code, said.String())
		}
		for _, value := range leaks(said.String()) {
			t.Errorf("evenkeel %s says %s:\n%s", strings.Join(args, " "), value, said.String())
		}
		return said.String()
	}
	t.Cleanup(func() {
		_ = run(context.WithoutCancel(t.Context()), []string{"-C", dir, "--kubeconfig", applytest.Kubeconfig(t), "delete", "t-planted", "--yes", "--prune", "Namespace/t-planted"}, streams{out: io.Discard, err: io.Discard})
	})
	// Two revisions, between which values change, and the second of which is not applied.
	healthy := strings.NewReplacer("-broken-pull", "", "-never-ready", "").Replace(plantedEnv)
	write(t, dir, "envs/t-planted/env.cue", healthy)
	command([]int{exitDone}, "apply", "t-planted", "--yes")
	write(t, dir, "envs/t-planted/env.cue", strings.NewReplacer("planted-0002", "planted-0015", "planted-0012", "planted-0016", "planted-0005", "planted-0017", "planted-0008", "planted-0018").Replace(healthy))
	command([]int{exitDone}, "apply", "t-planted", "--yes")
	write(t, dir, "envs/t-planted/env.cue", plantedEnv)
	command([]int{exitDone}, "apply", "t-planted", "--yes", "--no-wait")

	client := dynamic.NewForConfigOrDie(cfg)
	core := func(resource string) dynamic.ResourceInterface {
		return client.Resource(schema.GroupVersionResource{Version: "v1", Resource: resource}).Namespace("t-planted")
	}
	deployments := client.Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).Namespace("t-planted")
	patch := func(of dynamic.ResourceInterface, name, body string) {
		t.Helper()
		if _, err := of.Patch(t.Context(), name, types.StrategicMergePatchType, []byte(body), metav1.PatchOptions{FieldManager: "somebody"}); err != nil {
			t.Fatal(err)
		}
	}
	// Live edits of what is secret, copies that others made, and what Kubernetes tells.
	patch(core("secrets"), "account", `{"stringData":{"password":"planted-0020"},"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"stringData\":{\"password\":\"planted-0021\"}}"}}}`)
	patch(core("configmaps"), "settings", `{"data":{"key":"planted-0022"}}`)
	patch(deployments, "web", `{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"MARKED","value":"planted-0023"}]}]}}}}`)
	quotes := []string{
		"planted-0001", "planted-0003", "planted-0004", "planted-0005", "postgres://shop:planted-0006@db/shop", "--key=planted-0007", "planted-0008",
		"/planted-0009", "planted-0010", "/planted-0011", "planted-0012", "example.org/web:planted-0013-broken-pull", "planted-0014", base64.StdEncoding.EncodeToString([]byte("planted-0001")), "postgres://db: login shop/planted-0006",
	}
	event := map[string]any{
		"apiVersion": "v1", "kind": "Event", "metadata": map[string]any{"namespace": "t-planted", "name": "told"}, "type": "Warning", "reason": "Told", "message": "what is told is " + strings.Join(quotes, ", "),
		"involvedObject": map[string]any{"kind": "Service", "namespace": "t-planted", "name": "web"},
	}
	if _, err := core("events").Create(t.Context(), &unstructured.Unstructured{Object: event}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	page := servedUI(t, dir, applytest.Kubeconfig(t))
	c := &crawled{t: t, root: page, answers: map[string]string{}}
	defer func() {
		for _, stop := range c.stop {
			stop()
		}
		c.streams.Wait()
	}()
	// Nothing is looked for before the cluster has told what is wrong.
	browser, problems := browsertest.Open(t, page+"en/env/t-planted/")
	for unit, cause := range map[string]string{"pull": "ImagePullBackOff", "vault": "worker"} {
		if err := chromedp.Do(browser, browsertest.Expect(t, unit, `(document.querySelector("#unit-`+unit+`")?.textContent ?? "").includes("`+cause+`")`, true)); err != nil {
			t.Fatal(err)
		}
	}
	c.crawl(page)
	for _, lang := range []string{"en", "zh"} {
		env := page + lang + "/env/t-planted/"
		for _, path := range []string{
			"trace?url=http://shop.example.org/", "trace?url=http://shop.example.org/planted-0011", "logs?app=vault", "logs?app=vault&follow=on&tail=100", "logs?app=web&container=none", "unit/planted",
		} {
			if strings.Contains(path, "planted-0011") {
				continue // who types it knows it
			}
			c.crawl(env + path)
		}
		for _, path := range []string{"", "live", "unit/vault", "unit/shop", "plan", "plan.html", "history", "history/1", "history/2", "history/2/page", "graph", "graph.html", "trace", "logs", "logs/live?app=vault&follow=on&tail=100", "events"} {
			if !slices.ContainsFunc(keysOf(c.answers), func(a string) bool { return a == env+path || strings.HasPrefix(a, env+path+"?") }) {
				t.Errorf("nothing leads to %s", env+path)
			}
		}
	}
	// What is to be there in the place of the values, so that the pages are not just empty.
	env := page + "en/env/t-planted/"
	for path, has := range map[string][]string{
		"events": {"what is told is (secret), (secret),"}, "plan.html": {"secret:"}, "history/2/page": {"secret:"},
		"logs?app=vault": {"WARN (secret), not ready"}, "unit/pull": {"(secret)"},
	} {
		for _, text := range has {
			if !strings.Contains(c.text(env+path), text) {
				t.Errorf("%s does not have %q:\n%s", path, text, c.text(env+path))
			}
		}
	}
	// Streams tell a change, and lines of logs.
	patch(deployments, "other", `{"spec":{"template":{"spec":{"containers":[{"name":"other","image":"example.org/web:2.0-broken-pull"}]}}}}`)
	wanted := map[string]string{}
	for address := range c.answers {
		switch {
		case strings.Contains(address, "/logs/live"):
			wanted[address] = "WARN (secret), not ready"
		case strings.Contains(address, "/env/t-planted/live"):
			wanted[address] = "web:2.0-broken-pull"
		case strings.HasSuffix(address, "/live/all"):
			wanted[address] = "t-planted"
		}
	}
	for deadline := time.Now().Add(time.Minute); len(wanted) > 0; {
		for address, text := range wanted {
			if strings.Contains(html.UnescapeString(c.text(address)), text) {
				delete(wanted, address)
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("streams that do not tell: %v", wanted)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for address, text := range c.answers {
		for _, value := range leaks(text) {
			t.Errorf("%s says %s:\n%s", strings.TrimPrefix(address, page), value, around(text, value))
		}
	}

	// What the browser makes of it.
	for _, path := range []string{"", "unit/vault", "unit/pull", "plan", "plan.html", "history", "history/2", "history/2/page", "graph", "graph.html", "trace?url=http://shop.example.org/", "logs?app=vault&follow=on", "events"} {
		if err := chromedp.Do(browser, chromedp.Navigate(env+path), browsertest.Expect(t, path, `document.readyState`, "complete")); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(path, "follow") {
			if err := chromedp.Do(browser, browsertest.Expect(t, "lines that follow", `document.querySelector("[data-log]").textContent.includes("WARN (secret), not ready")`, true), browsertest.Shot("ui-follow")); err != nil {
				t.Fatal(err)
			}
		}
		dom, err := chromedp.Run(browser, chromedp.Evaluate[string](`document.documentElement.outerHTML`))
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range leaks(dom) {
			t.Errorf("the page of %s has %s", path, value)
		}
	}
	if said := problems(); len(said) > 0 {
		t.Errorf("the page complains: %q", said)
	}

	// The commands that tell the same things.
	any3 := []int{exitDone, exitDifferences, exitNotHealthy}
	for _, args := range [][]string{
		{"status", "t-planted"},
		{"status", "t-planted", "-o", "json"},
		{"diff", "t-planted", "--full"},
		{"diff", "t-planted", "-o", "json"},
		{"diff", "t-planted", "-o", "markdown"},
		{"diff", "t-planted", "-o", "html"},
		{"diff", "t-planted", "--revision", "1"},
		{"history", "t-planted", "-o", "json"},
		{"history", "t-planted", "--revision", "1"},
		{"trace", "t-planted"},
		{"trace", "t-planted", "http://shop.example.org/", "--live", "-o", "json"},
		{"graph", "t-planted", "--live", "-o", "json"},
		{"graph", "t-planted", "--live", "-o", "html"},
		{"graph", "t-planted", "-o", "dot"},
		{"handbook", "t-planted", "-o", "html"},
		{"handbook", "t-planted", "-o", "markdown"},
		{"images", "t-planted"},
	} {
		if out := command(any3, args...); len(out) < 20 {
			t.Errorf("evenkeel %s says %q", strings.Join(args, " "), out)
		}
	}
}

func keysOf(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

// around is what stands beside a value.
func around(text, value string) string {
	at := max(strings.Index(text, value), 0)
	return text[max(at-200, 0):min(at+100, len(text))]
}
