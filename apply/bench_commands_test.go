package apply_test

import (
	"bufio"
	"bytes"
	"encoding/json"
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
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// commands are evenkeel and kubectl over the objects of one environment.
type commands struct {
	kubeconfig string
	objects    int
	env        string // a file of rendered objects, one per line
	manifests  string // the same as a user of kubectl has them
}

func newCommands(b *testing.B, kubeconfig string, env *schema.Environment) *commands {
	b.Helper()
	dir := b.TempDir()
	c := &commands{kubeconfig: kubeconfig, env: filepath.Join(dir, "env"), manifests: filepath.Join(dir, "all.yaml")}
	var lines, manifests bytes.Buffer
	for _, unit := range env.Units {
		for _, o := range unit.Objects {
			raw, err := json.Marshal(o.Object)
			if err != nil {
				b.Fatal(err)
			}
			text, err := yaml.JSONToYAML(raw)
			if err != nil {
				b.Fatal(err)
			}
			lines.Write(append(raw, '\n'))
			manifests.WriteString("---\n")
			manifests.Write(text)
			c.objects++
		}
	}
	for name, content := range map[string][]byte{c.env: lines.Bytes(), c.manifests: manifests.Bytes()} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return c
}

// measured is what one process took.
type measured struct {
	Sent    kube.Requests
	Summary map[apply.Action]int
	Seconds float64
	CPU     float64
	// Of the whole process, in MB; and of how many objects, where not of all.
	Peak     float64
	Requests int
	part     int
}

// evenkeel plans or applies in a process of its own.
func (c *commands) evenkeel(b *testing.B, verb string) measured {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestMeasured$", "-test.v")
	cmd.Env = append(os.Environ(), "EVENKEEL_TEST_MEASURED="+verb, "EVENKEEL_TEST_ENV="+c.env, "KUBECONFIG="+c.kubeconfig)
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("%v\n%.3000s", err, out)
	}
	var m measured
	_, found, _ := bytes.Cut(out, []byte("measured: "))
	found, _, _ = bytes.Cut(found, []byte("\n"))
	if err := json.Unmarshal(found, &m); err != nil {
		b.Fatalf("%v\n%.3000s", err, out)
	}
	m.Peak = peak(cmd.ProcessState)
	m.Requests = m.Sent.Total()
	return m
}

// TestMeasured is not a test: it is what evenkeel starts.
func TestMeasured(t *testing.T) {
	verb := os.Getenv("EVENKEEL_TEST_MEASURED")
	if verb == "" {
		t.Skip("runs as a child of the benchmarks only")
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	env := readEnv(t, os.Getenv("EVENKEEL_TEST_ENV"))
	started, before := time.Now(), used(t)
	c, err := apply.Connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var m measured
	plan, err := c.Plan(t.Context(), env, apply.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m.Sent, m.Summary = plan.Requests, plan.Summary
	if verb == "apply" {
		report, err := c.Apply(t.Context(), env, plan, apply.ApplyOptions{Yes: true, NoWait: true})
		if err != nil {
			t.Fatal(err)
		}
		m.Sent, m.Summary = report.Requests, report.Summary
	}
	m.Seconds, m.CPU = time.Since(started).Seconds(), (used(t) - before).Seconds()
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("measured: %s\n", raw)
}

// readEnv reads what newCommands wrote, object by object.
func readEnv(t *testing.T, path string) *schema.Environment {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	env := &schema.Environment{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(lines.Bytes()); err != nil {
			t.Fatal(err)
		}
		if ns := u.GetNamespace(); ns != "" {
			env.Name, env.Namespace = ns, ns
		}
		unit := u.GetLabels()[schema.LabelUnit]
		if n := len(env.Units); n == 0 || env.Units[n-1].Name != unit {
			env.Units = append(env.Units, schema.Unit{Name: unit})
		}
		last := &env.Units[len(env.Units)-1]
		last.Objects = append(last.Objects, schema.Object{Unstructured: u, Key: u.GetKind() + "/" + u.GetName()})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return env
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
	c.evenkeel(b, "apply")
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

// used is the processor time of this process.
func used(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peak is the most memory that a process had resident, in MB; Linux counts in KiB.
func peak(state *os.ProcessState) float64 {
	u, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return float64(u.Maxrss) * 1024 / 1e6
}
