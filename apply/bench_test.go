package apply_test

import (
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// The benchmarks run evenkeel and kubectl as their users do, over the same objects
// on the same API server, and print a table of what the whole processes took:
// evenkeel starts, renders an environment of CUE and asks the cluster, kubectl
// reads the manifests.

// BenchmarkNoop plans environments in which nothing differs, as kubectl diff and
// kubectl apply go over the same objects. Of ten thousand objects kubectl, whose
// time grows with their number, gets a tenth, and the table says so; with
// EVENKEEL_TORTURE set it goes over all.
func BenchmarkNoop(b *testing.B) {
	for _, latency := range []time.Duration{0, 25 * time.Millisecond} {
		b.Run(fmt.Sprintf("round trip %s", latency), func(b *testing.B) {
			cluster := applytest.FreshKubeconfig(b, "bench", "--latency", latency.String())
			for _, size := range []int{1000, 10000} {
				b.Run(fmt.Sprintf("%d objects", size), func(b *testing.B) {
					env := withNamespace(largeEnv(fmt.Sprintf("bench-%d", size), size-1))
					all := newCommands(b, cluster, env)
					all.applied(b, env.Namespace)
					for b.Loop() {
						noop(b, all, env, latency)
					}
				})
			}
		})
	}
}

func noop(b *testing.B, all *commands, env *schema.Environment, latency time.Duration) {
	b.Helper()
	ours := all.evenkeel(b, "diff")
	size := all.objects
	if ours.Summary[apply.Unchanged] != size || len(ours.Summary) != 1 {
		b.Fatalf("not level: %v", ours.Summary)
	}
	part := all
	if size > 1000 && os.Getenv("EVENKEEL_TORTURE") == "" {
		part = newCommands(b, all.kubeconfig, &schema.Environment{Name: env.Name, Namespace: env.Namespace, Units: env.Units[:len(env.Units)/10]})
	}
	force := []string{"--server-side", "--force-conflicts", "--field-manager", schema.Manager}
	diff := part.kubectl(b, append([]string{"diff"}, force...)...).scaled(part.objects, size)
	write := part.kubectl(b, append([]string{"apply"}, force...)...).scaled(part.objects, size)
	table(b, fmt.Sprintf("nothing to do, %d objects, %s round trip", size, latency),
		row{"evenkeel diff", ours}, row{"kubectl diff --server-side", diff}, row{"kubectl apply --server-side", write})
	ours.report(b)
	b.ReportMetric(diff.Seconds/ours.Seconds, "times-kubectl-diff")
	b.ReportMetric(write.Seconds/ours.Seconds, "times-kubectl-apply")
}

// BenchmarkFirstApply plans and applies a thousand objects that are not there
// yet: into a namespace of the same plan, of which the server can be asked
// nothing beforehand, and into one that exists.
func BenchmarkFirstApply(b *testing.B) {
	cluster := applytest.FreshKubeconfig(b, "bench")
	for i, test := range []string{"new namespace", "existing namespace"} {
		b.Run(test, func(b *testing.B) {
			for n := 0; b.Loop(); n++ {
				prepared := func(tool string) *commands {
					env := withNamespace(largeEnv(fmt.Sprintf("%s-%d-%d", tool, i, n), 1000))
					if test == "existing namespace" {
						makeNamespace(b, cluster, env.Namespace)
					}
					return newCommands(b, cluster, env)
				}
				ours := prepared("ours").evenkeel(b, "apply", "--yes", "--no-wait")
				gated := prepared("gated").evenkeel(b, "apply", "--yes")
				if ours.Summary[apply.Created] < 1000 {
					b.Fatalf("%v", ours.Summary)
				}
				theirs := prepared("theirs").kubectl(b, "apply", "--server-side", "--field-manager", "kubectl")
				table(b, "first apply of 1000 objects, "+test, row{"evenkeel apply --no-wait", ours}, row{"evenkeel apply", gated}, row{"kubectl apply --server-side", theirs})
				ours.report(b)
				b.ReportMetric(theirs.Seconds/ours.Seconds, "times-kubectl-apply")
			}
		})
	}
}

// BenchmarkOneChange plans and applies one changed object among a thousand.
func BenchmarkOneChange(b *testing.B) {
	cluster := applytest.FreshKubeconfig(b, "bench")
	env := withNamespace(largeEnv("bench", 1000))
	newCommands(b, cluster, env).applied(b, env.Namespace)
	changed := func(to string) *commands {
		env.Units[7].Objects[0].Object["data"] = map[string]any{"k": to}
		return newCommands(b, cluster, env)
	}
	for n := 0; b.Loop(); n++ {
		ours := changed(fmt.Sprint("ours ", n)).evenkeel(b, "apply", "--yes", "--no-wait")
		if ours.Summary[apply.Configured] != 1 || ours.Summary[apply.Unchanged] != 1000 {
			b.Fatalf("%v", ours.Summary)
		}
		theirs := changed(fmt.Sprint("theirs ", n)).kubectl(b, "apply", "--server-side", "--force-conflicts", "--field-manager", schema.Manager)
		table(b, "one change among 1000 objects", row{"evenkeel apply --no-wait", ours}, row{"kubectl apply --server-side", theirs})
		ours.report(b)
		b.ReportMetric(theirs.Seconds/ours.Seconds, "times-kubectl-apply")
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

// makeNamespace creates a namespace as somebody else.
func makeNamespace(b *testing.B, kubeconfig, name string) {
	b.Helper()
	ns := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	ns.SetName(name)
	client, err := dynamic.NewForConfig(configOf(b, kubeconfig))
	if err != nil {
		b.Fatal(err)
	}
	namespaces := client.Resource(corev1.SchemeGroupVersion.WithResource("namespaces"))
	if _, err := namespaces.Create(b.Context(), ns, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
}

// withNamespace is env with its Namespace in a unit before all others.
func withNamespace(env *schema.Environment) *schema.Environment {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	u.SetName(env.Namespace)
	u.SetLabels(map[string]string{
		schema.LabelPartOf:    schema.ApplySetID(env.Name, env.Namespace),
		schema.LabelManagedBy: schema.Manager,
		schema.LabelUnit:      schema.UnitEnvironment,
	})
	home := schema.Unit{Name: schema.UnitEnvironment, Objects: []schema.Object{{Unstructured: u}}}
	env.Units = append([]schema.Unit{home}, env.Units...)
	return env
}
