package apply_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// commands are evenkeel and kubectl over the objects of one environment.
type commands struct {
	kubeconfig string
	objects    int
	env        string
	repository string // the objects as a user of evenkeel has them: an environment in CUE
	manifests  string // the same as a user of kubectl has them: what it renders
}

func newCommands(b *testing.B, kubeconfig string, env *schema.Environment) *commands {
	b.Helper()
	dir := b.TempDir()
	c := &commands{kubeconfig: kubeconfig, env: env.Name, repository: filepath.Join(dir, "repository"), manifests: filepath.Join(dir, "all.yaml")}
	apps := map[string]any{}
	for _, unit := range env.Units {
		objects := map[string]any{}
		for _, o := range unit.Objects {
			objects[strings.ToLower(o.GetKind())] = o.Object
			c.objects++
		}
		if unit.Name != schema.UnitEnvironment { // its objects are made by every environment
			apps[unit.Name] = map[string]any{"extraObjects": objects}
		}
	}
	content, err := json.Marshal(apps)
	if err != nil {
		b.Fatal(err)
	}
	for name, content := range map[string]string{
		filepath.Join(c.repository, "cue.mod", "module.cue"):  "module: \"bench.example@v0\"\nlanguage: version: \"v0.17.0\"\n",
		filepath.Join(c.repository, "envs", c.env, "env.cue"): fmt.Sprintf(benchEnv, c.env, env.Namespace, content),
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	rendered, err := exec.CommandContext(b.Context(), filepath.Join(os.Getenv("EVENKEEL_BIN"), "evenkeel"), "-C", c.repository, "render", c.env).Output()
	if err != nil {
		b.Fatalf("render: %v (make bench builds evenkeel)", err)
	}
	if err := os.WriteFile(c.manifests, rendered, 0o600); err != nil {
		b.Fatal(err)
	}
	return c
}

const benchEnv = `package bench

import "github.com/seed-428f4edd/evenkeel/schema"

environment: schema.#Environment & {
	name:      %q
	namespace: %q
	site: {name: "bench", domain: "example.org", entry: "loadBalancer", networks: {nodes: "10.9.0.0/24", pods: "172.7.0.0/16", services: "192.168.0.0/16"}}
	cluster: context: "bench"
	podSecurity: "privileged"
	apps: [string]: schema.#Objects
	apps: %s
}
`

// measured is what one process took.
type measured struct {
	Summary map[apply.Action]int
	Seconds float64
	CPU     float64
	// Of the whole process, in MB; and of how many objects, where not of all.
	Peak     float64
	Requests int
	part     int
}

// evenkeel runs a command of the built evenkeel over the repository: with its
// start and its rendering, as a user waits for it. Exit code 1 says that there
// are differences.
func (c *commands) evenkeel(b *testing.B, verb string, flags ...string) measured {
	b.Helper()
	args := append([]string{"-C", c.repository, "--kubeconfig", c.kubeconfig, verb, c.env, "-o", "json"}, flags...)
	cmd := exec.CommandContext(b.Context(), filepath.Join(os.Getenv("EVENKEEL_BIN"), "evenkeel"), args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	started := time.Now()
	err := cmd.Run()
	m := measured{Seconds: time.Since(started).Seconds()}
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		b.Fatalf("evenkeel %s: %v (make bench builds it)\n%.2000s", strings.Join(args, " "), err, &said)
	}
	var document struct {
		Requests kube.Requests        `json:"requests"`
		Summary  map[apply.Action]int `json:"summary"`
	}
	if err := json.Unmarshal(out.Bytes(), &document); err != nil {
		b.Fatalf("%v\n%.2000s", err, &out)
	}
	m.Summary, m.Requests = document.Summary, document.Requests.Total()
	m.CPU, m.Peak = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), peak(cmd.ProcessState)
	return m
}

// kubectl runs the kubectl of the sandbox over all manifests. What it asked of
// the server it says itself.
func (c *commands) kubectl(b *testing.B, args ...string) measured {
	b.Helper()
	args = append([]string{"kubectl", "--kubeconfig", c.kubeconfig, "-v=6", "-f", c.manifests}, args...)
	cmd := exec.CommandContext(b.Context(), applytest.Binary(b), args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	started := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("kubectl %s: %v\n%.2000s\n%.2000s", strings.Join(args, " "), err, &out, &said)
	}
	return measured{
		Seconds:  time.Since(started).Seconds(),
		CPU:      (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(),
		Peak:     peak(cmd.ProcessState),
		Requests: strings.Count(said.String(), `"Response" verb=`),
	}
}

// scaled is what was measured of a part of the objects, for all of them.
func (m measured) scaled(part, all int) measured {
	if part == all {
		return m
	}
	by := float64(all) / float64(part)
	m.Seconds, m.CPU, m.Requests, m.part = m.Seconds*by, m.CPU*by, int(float64(m.Requests)*by), part
	return m
}

// applied brings the cluster level, and waits until the controllers have no more
// to do: what they use is not counted, but two processors are all there is.
func (c *commands) applied(b *testing.B, namespace string) {
	b.Helper()
	c.evenkeel(b, "apply", "--yes", "--no-wait")
	client, err := dynamic.NewForConfig(configOf(b, c.kubeconfig))
	if err != nil {
		b.Fatal(err)
	}
	deployments := client.Resource(appsv1.SchemeGroupVersion.WithResource("deployments")).Namespace(namespace)
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(2 * time.Second) {
		list, err := deployments.List(b.Context(), metav1.ListOptions{})
		if err != nil {
			b.Fatal(err)
		}
		waiting := 0
		for _, d := range list.Items {
			if observed, _, _ := unstructured.NestedInt64(d.Object, "status", "observedGeneration"); observed < d.GetGeneration() {
				waiting++
			}
		}
		if waiting == 0 {
			time.Sleep(5 * time.Second)
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("%d Deployments are not observed", waiting)
		}
	}
}

func configOf(b *testing.B, kubeconfig string) *rest.Config {
	b.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		b.Fatal(err)
	}
	return cfg
}

// row is a line of a table.
type row struct {
	tool string
	measured
}

// table prints what the tools took, each against the first.
func table(b *testing.B, title string, rows ...row) {
	b.Helper()
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\trequests\tseconds\tCPU seconds\tpeak MB\ttime\t")
	for _, r := range rows {
		note := ""
		if r.part > 0 {
			note = fmt.Sprintf("  from %d objects", r.part)
		}
		fmt.Fprintf(w, "%s\t%d\t%.2f\t%.2f\t%.0f\tx %.1f%s\t\n", r.tool, r.Requests, r.Seconds, r.CPU, r.Peak, r.Seconds/rows[0].Seconds, note)
	}
	_ = w.Flush()
	b.Logf("%s\n%s", title, &out)
}

// report gives the numbers to tools that compare benchmarks.
func (m measured) report(b *testing.B) {
	b.Helper()
	b.ReportMetric(m.Seconds, "evenkeel-s")
	b.ReportMetric(m.CPU, "evenkeel-cpu-s")
	b.ReportMetric(m.Peak, "evenkeel-MB")
	b.ReportMetric(float64(m.Requests), "requests")
}

// peak is the most memory that a process had resident, in MB; Linux counts in KiB.
func peak(state *os.ProcessState) float64 {
	u, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return float64(u.Maxrss) * 1024 / 1e6
}
