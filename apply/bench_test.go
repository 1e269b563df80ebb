package apply_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"golang.org/x/sync/errgroup"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// BenchmarkPlanNoop plans an environment in which nothing differs. With
// EVENKEEL_BENCH_PEER set it runs `kubectl diff --server-side` over the same
// objects once and reports the ratio; EVENKEEL_BENCH_OBJECTS overrides the sizes.
func BenchmarkPlanNoop(b *testing.B) {
	sizes := []int{1000}
	if os.Getenv("EVENKEEL_BENCH_LARGE") != "" {
		sizes = append(sizes, 10000)
	}
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			cfg := applytest.Cluster(b)
			env := largeEnv(applytest.Namespace(b, cfg, "bench"), size)
			load(b, cfg, env)
			c, err := apply.Connect(cfg)
			if err != nil {
				b.Fatal(err)
			}
			var last *apply.Plan
			for b.Loop() {
				if last, err = c.Plan(b.Context(), env, apply.PlanOptions{}); err != nil {
					b.Fatal(err)
				}
			}
			if len(last.Changes) != 0 || last.Summary[apply.Unchanged] != size {
				b.Fatalf("not level: %v", last.Summary)
			}
			b.ReportMetric(float64(last.Requests.Total()), "requests")
			b.ReportMetric(float64(last.Requests.DryRun), "dry-runs")
			ours := b.Elapsed() / time.Duration(b.N)
			if os.Getenv("EVENKEEL_BENCH_PEER") != "" {
				theirs := kubectlDiff(b, cfg, env)
				b.ReportMetric(theirs.Seconds(), "kubectl-s")
				b.ReportMetric(ours.Seconds()/theirs.Seconds(), "of-kubectl")
			}
		})
	}
}

// largeEnv resembles Dubbo apps: a Deployment, a Service and a ConfigMap each.
func largeEnv(namespace string, size int) *schema.Environment {
	env := &schema.Environment{Name: namespace, Namespace: namespace}
	for i := 0; len(env.Units) == 0 || i < size; i++ {
		name := fmt.Sprintf("app-%d", i/3)
		if i%3 == 0 {
			env.Units = append(env.Units, schema.Unit{Name: name})
		}
		unit := &env.Units[len(env.Units)-1]
		var content map[string]any
		apiVersion, kind := "v1", "ConfigMap"
		switch i % 3 {
		case 0:
			content = map[string]any{"data": map[string]any{"application.properties": strings.Repeat("dubbo.registry.address=zookeeper://zk1.od.com:2181\n", 10)}}
		case 1:
			kind = "Service"
			content = map[string]any{"spec": map[string]any{
				"selector": map[string]any{"app": name},
				"ports":    []any{map[string]any{"name": "http", "port": int64(80), "protocol": "TCP", "targetPort": "http"}},
			}}
		case 2:
			apiVersion, kind = "apps/v1", "Deployment"
			content = map[string]any{"spec": map[string]any{
				"replicas": int64(0),
				"selector": map[string]any{"matchLabels": map[string]any{"app": name}},
				"template": map[string]any{
					"metadata": map[string]any{"labels": map[string]any{"app": name}},
					"spec": map[string]any{"containers": []any{map[string]any{
						"name":  "main",
						"image": "harbor.od.com/app/" + name + ":1",
						"env": []any{
							map[string]any{"name": "JAR_BALL", "value": "app.jar"},
							map[string]any{"name": "C_OPTS", "value": "-Denv=prod -Dapollo.meta=http://config.od.com"},
						},
						"ports":          []any{map[string]any{"name": "http", "containerPort": int64(8080), "protocol": "TCP"}, map[string]any{"name": "dubbo", "containerPort": int64(20880), "protocol": "TCP"}},
						"resources":      map[string]any{"requests": map[string]any{"cpu": "100m", "memory": "256Mi"}, "limits": map[string]any{"memory": "512Mi"}},
						"readinessProbe": map[string]any{"tcpSocket": map[string]any{"port": "dubbo"}, "periodSeconds": int64(5)},
					}}},
				},
			}}
		}
		u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind}}
		maps.Copy(u.Object, content)
		u.SetName(name)
		u.SetNamespace(namespace)
		u.SetLabels(map[string]string{
			schema.LabelPartOf:    schema.ApplySetID(namespace, namespace),
			schema.LabelManagedBy: schema.Manager,
			schema.LabelUnit:      unit.Name,
		})
		unit.Objects = append(unit.Objects, schema.Object{Unstructured: u, Key: name})
	}
	return env
}

// load applies all objects, 32 at a time, with nothing around it.
func load(tb testing.TB, cfg *rest.Config, env *schema.Environment) {
	tb.Helper()
	c, err := apply.Connect(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	group, ctx := errgroup.WithContext(tb.Context())
	group.SetLimit(32)
	for _, unit := range env.Units {
		for _, o := range unit.Objects {
			group.Go(func() error {
				gvk := o.GroupVersionKind()
				m, err := c.Mapper.RESTMappingWithContext(ctx, gvk.GroupKind(), gvk.Version)
				if err != nil {
					return err
				}
				_, err = c.Dynamic.Resource(m.Resource).Namespace(o.GetNamespace()).
					Apply(ctx, o.GetName(), o.Unstructured, metav1.ApplyOptions{FieldManager: schema.Manager, Force: true})
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		tb.Fatal(err)
	}
}

func kubectlDiff(b *testing.B, cfg *rest.Config, env *schema.Environment) time.Duration {
	b.Helper()
	return kubectl(b, cfg, env, "diff", "--server-side", "--force-conflicts", "--field-manager", schema.Manager)
}

// kubectl runs the kubectl of the sandbox, or the one in PATH, over all objects.
func kubectl(b *testing.B, cfg *rest.Config, env *schema.Environment, args ...string) time.Duration {
	b.Helper()
	dir := b.TempDir()
	manifests, kubeconfig := filepath.Join(dir, "all.yaml"), filepath.Join(dir, "kubeconfig")
	var all bytes.Buffer
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
			all.WriteString("---\n")
			all.Write(text)
		}
	}
	if err := os.WriteFile(manifests, all.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	if err := clientcmd.WriteToFile(kubeconfigOf(cfg), kubeconfig); err != nil {
		b.Fatal(err)
	}
	command := []string{"kubectl"}
	if sandbox := os.Getenv(applytest.EnvSandbox); sandbox != "" {
		command = []string{sandbox, "kubectl"}
	}
	command = append(command, "--kubeconfig", kubeconfig)
	command = append(command, args...)
	command = append(command, "-f", manifests)
	started := time.Now()
	out, err := exec.CommandContext(b.Context(), command[0], command[1:]...).CombinedOutput()
	if err != nil {
		b.Fatalf("%v\n%.2000s", err, out)
	}
	return time.Since(started)
}

func kubeconfigOf(cfg *rest.Config) clientcmdapi.Config {
	out := clientcmdapi.NewConfig()
	out.Clusters["c"] = &clientcmdapi.Cluster{Server: cfg.Host, CertificateAuthority: cfg.CAFile, CertificateAuthorityData: cfg.CAData, InsecureSkipTLSVerify: cfg.Insecure}
	out.AuthInfos["u"] = &clientcmdapi.AuthInfo{
		ClientCertificate: cfg.CertFile, ClientCertificateData: cfg.CertData,
		ClientKey: cfg.KeyFile, ClientKeyData: cfg.KeyData, Token: cfg.BearerToken,
	}
	out.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	out.CurrentContext = "x"
	return *out
}
