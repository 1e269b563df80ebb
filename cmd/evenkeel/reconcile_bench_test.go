package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

// BenchmarkReconcile keeps an environment of 5,000 objects level in a process of
// its own and prints how long drift lives until it is seen (the log of the daemon)
// and corrected (a watch of the test), what the process costs when nothing happens,
// and what it asked the API server for.
func BenchmarkReconcile(b *testing.B) {
	const objects, edits = 5000, 200
	kubeconfig := applytest.Kubeconfig(b)
	client, err := dynamic.NewForConfig(applytest.Cluster(b))
	if err != nil {
		b.Fatal(err)
	}
	maps := client.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace("b-reconcile")
	dir := manyObjects(b, "b-reconcile", objects)
	run := func(args ...string) {
		cmd := exec.CommandContext(b.Context(), "evenkeel", append([]string{"-C", dir}, args...)...)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
	run("apply", "b-reconcile", "--yes")
	b.Cleanup(func() {
		ns := client.Resource(corev1.SchemeGroupVersion.WithResource("namespaces"))
		_ = ns.Delete(context.WithoutCancel(b.Context()), "b-reconcile", metav1.DeleteOptions{})
	})
	for b.Loop() {
		p := startDaemon(b, kubeconfig, "-C", dir, "reconcile", "b-reconcile", "--mode", "correct", "-v")
		until(b, "it is ready", func() bool { code, _ := p.get("/readyz"); return code == 200 })
		until(b, "health is judged", func() bool { return p.number(b, `evenkeel_healthy{environment="b-reconcile"}`) == 1 })
		time.Sleep(5 * time.Second)
		idle, before := p.cpu(b), time.Now()
		time.Sleep(20 * time.Second)
		b.ReportMetric(100*(p.cpu(b)-idle).Seconds()/time.Since(before).Seconds(), "%cpu-idle")
		b.ReportMetric(p.rss(b), "MB-idle")

		// From here on: a watch from the beginning is told of every object first, and
		// hears of the first corrections a second late.
		now, err := maps.List(b.Context(), metav1.ListOptions{Limit: 1})
		if err != nil {
			b.Fatal(err)
		}
		watched, err := maps.Watch(b.Context(), metav1.ListOptions{ResourceVersion: now.GetResourceVersion()})
		if err != nil {
			b.Fatal(err)
		}
		var mu sync.Mutex
		edited, took := map[string]time.Time{}, []time.Duration{}
		go func() {
			for event := range watched.ResultChan() {
				u, ok := event.Object.(*unstructured.Unstructured)
				if !ok {
					continue
				}
				value, _, _ := unstructured.NestedString(u.Object, "data", "value")
				mu.Lock()
				if at, ok := edited[u.GetName()]; ok && value == "v" {
					took = append(took, time.Since(at))
					delete(edited, u.GetName())
				}
				mu.Unlock()
			}
		}()
		for i := range edits {
			name := fmt.Sprintf("m-%d", i*objects/edits)
			if _, err := maps.Patch(b.Context(), name, types.MergePatchType, []byte(`{"data":{"value":"edited"}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"}); err != nil {
				b.Fatal(err)
			}
			mu.Lock()
			edited[name] = time.Now()
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
		}
		until(b, "all is corrected", func() bool { mu.Lock(); defer mu.Unlock(); return len(took) == edits })
		watched.Stop()
		slices.Sort(took)
		b.ReportMetric(took[len(took)/2].Seconds(), "s-corrected-p50")
		b.ReportMetric(took[len(took)*99/100].Seconds(), "s-corrected-p99")
		b.ReportMetric(p.rss(b), "MB-after")
		for _, purpose := range []string{"list", "watch", "get", "dryRun", "write"} {
			b.ReportMetric(p.number(b, `evenkeel_api_requests_total{purpose="`+purpose+`"}`), purpose+"s")
		}
		p.end(b)
	}
}

// manyObjects makes a repository with an environment of n ConfigMaps.
func manyObjects(tb testing.TB, env string, n int) string {
	tb.Helper()
	dir := tb.TempDir()
	for name, text := range map[string]string{
		"cue.mod/module.cue": "module: \"example.org/many@v0\"\nlanguage: version: \"v0.17.0\"\n",
		"envs/" + env + "/env.cue": fmt.Sprintf(`package env

import (
	"list"
	"github.com/seed-428f4edd/evenkeel/schema"
)

environment: schema.#Environment & {
	name: %q
	site: {
		name: "lab", domain: "example.org", entry: "loadBalancer"
		networks: {nodes: "10.9.0.0/24", pods: "172.7.0.0/16", services: "192.168.0.0/16"}
	}
	apps: web: schema.#WebApp & {
		image: "example.org/web:1.0", minReadySeconds: 0
		extraObjects: {for i in list.Range(0, %d, 1) {"m-\(i)": {
			apiVersion: "v1", kind: "ConfigMap", metadata: name: "m-\(i)"
			data: {value: "v", other: "%s"}
		}}}
	}
}
`, env, n, strings.Repeat("0123456789", 50)),
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// cpu is the time that the process has computed for, in user and system mode.
func (p *process) cpu(tb testing.TB) time.Duration {
	tb.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	if err != nil {
		tb.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	ticks := 0
	for _, f := range fields[11:15] { // utime, stime and those of children; proc(5)
		n, err := strconv.Atoi(f)
		if err != nil {
			tb.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

var rssLine = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

// rss is the resident memory of the process in MB.
func (p *process) rss(tb testing.TB) float64 {
	tb.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		tb.Fatal(err)
	}
	kb, err := strconv.ParseFloat(rssLine.FindStringSubmatch(string(status))[1], 64)
	if err != nil {
		tb.Fatal(err)
	}
	return kb / 1024
}

// number reads one number of /metrics.
func (p *process) number(tb testing.TB, name string) float64 {
	tb.Helper()
	_, body := p.get("/metrics")
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				tb.Fatal(err)
			}
			return n
		}
	}
	return 0
}
