package health

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	contract "github.com/seed-428f4edd/evenkeel/schema"
)

func TestWaitHealthy(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	targets := b.apply(
		deployment("web", "v1", 2),
		deployment("none", "v1", 0),
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: env}\ndata: {a: b}",
		"apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}",
		"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: zk}\nspec: {serviceName: zk, replicas: 2, selector: {matchLabels: {app: zk}}, template: {metadata: {labels: {app: zk}}, spec: {containers: [{name: zk, image: zk:v1}]}}}",
		"apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent}\nspec: {selector: {matchLabels: {app: agent}}, template: {metadata: {labels: {app: agent}}, spec: {containers: [{name: a, image: agent:v1}]}}}",
		"apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate}\nspec: {template: {spec: {restartPolicy: Never, containers: [{name: m, image: migrate:v1}]}}}",
		"apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: web}\nspec: {minAvailable: 1, selector: {matchLabels: {app: web}}}",
	)
	updates, lines, err := b.wait(targets, time.Minute)
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(lines, "\n"))
	}
	for i, u := range updates {
		if u.State != Healthy || u.Name != targets[i].Name {
			t.Errorf("%s is %s (%s), want healthy", u.Target, u.State, u.Message)
		}
	}
	if updates[0].Ready != 2 || updates[0].Desired != 2 {
		t.Errorf("%s: %d of %d ready, want 2 of 2", updates[0].Target, updates[0].Ready, updates[0].Desired)
	}
	if n := b.faults.count("list configmaps"); n != 0 {
		t.Errorf("%d LISTs of ConfigMaps, which need no watch", n)
	}
}

// Each cause is told within seconds, long before the timeout.
func TestWaitFailsEarly(t *testing.T) {
	t.Parallel()
	const soon = 90 * time.Second // crash loops of a slow test machine included
	workload := func(kind, extra string) func(tag string) string {
		return func(tag string) string {
			return fmt.Sprintf("apiVersion: apps/v1\nkind: %s\nmetadata: {name: w}\nspec: {%s selector: {matchLabels: {app: w}}, template: {metadata: {labels: {app: w}}, spec: {containers: [{name: main, image: 'harbor.od.com/app/w:%s'}]}}}", kind, extra, tag)
		}
	}
	asDeployment := func(tag string) string { return deployment("w", tag, 2) }
	asJob := func(tag string) string {
		return fmt.Sprintf("apiVersion: batch/v1\nkind: Job\nmetadata: {name: w}\nspec: {backoffLimit: 0, template: {spec: {restartPolicy: Never, containers: [{name: main, image: 'harbor.od.com/app/w:%s'}]}}}", tag)
	}
	for _, c := range []struct {
		name     string
		manifest func(tag string) string
		tag      string
		want     []string
		log      string
	}{
		{"image not found", asDeployment, "broken-pull", []string{"0 of 2 ready: pod w-", "and 1 more: container main: ImagePullBackOff: harbor.od.com/app/w:broken-pull: not found"}, ""},
		{"image not allowed", asDeployment, "broken-pull-auth", []string{"ImagePullBackOff: harbor.od.com/app/w:broken-pull-auth: pull access denied", "(the pod has no imagePullSecrets)"}, ""},
		{"registry unknown", asDeployment, "broken-pull-host", []string{"ImagePullBackOff: ", "no such host"}, ""},
		{"crash", asDeployment, "broken-crash", []string{"container main: CrashLoopBackOff after ", "exit 1: last log line: panic: no registry available"}, "ERROR cannot connect to zk1.od.com:2181"},
		{"out of memory", asDeployment, "broken-oom", []string{"CrashLoopBackOff after ", "OOMKilled (memory limit 64Mi)"}, "price list"},
		{"segmentation fault", asDeployment, "broken-segv", []string{"exit 139 (SIGSEGV)"}, ""},
		{"ends by itself", asDeployment, "broken-exit", []string{"exit 0: the process ended by itself"}, ""},
		{"no such command", asDeployment, "broken-command", []string{"StartError", "no such file or directory"}, ""},
		{"killed by its liveness probe", asDeployment, "broken-liveness", []string{"exit 137 (SIGKILL)", "Liveness probe failed"}, ""},
		{"ConfigMap missing", asDeployment, "broken-config", []string{"CreateContainerConfigError", "not found"}, ""},
		{"StatefulSet", workload("StatefulSet", "serviceName: w, replicas: 2,"), "broken-pull", []string{"0 of 2 ready: pod w-0: container main: ImagePullBackOff"}, ""},
		{"DaemonSet", workload("DaemonSet", ""), "broken-crash", []string{"CrashLoopBackOff after ", "exit 1"}, "panic"},
		{"Job", asJob, "job-fail", []string{"BackoffLimitExceeded", "exit 1: last log line: ERROR table orders"}, "migrating 17 tables"},
		{"Job without image", asJob, "broken-pull", []string{"ImagePullBackOff: harbor.od.com/app/w:broken-pull: not found"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			started := time.Now()
			_, lines, err := b.wait(b.apply(c.manifest(c.tag)), 5*time.Minute)
			failure := asNotHealthy(t, err)
			t.Logf("after %s: %v", time.Since(started).Round(time.Second), err)
			if failure.After != 0 || time.Since(started) > soon {
				t.Errorf("it took %s (timeout %s)\n%s", time.Since(started), failure.After, strings.Join(lines, "\n"))
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the message lacks %q:\n%v", want, err)
				}
			}
			if u := failure.Updates[0]; !strings.Contains(u.Log, c.log) {
				t.Errorf("the log lacks %q: %q", c.log, u.Log)
			}
		})
	}
}

// What starts slowly, flaps or crashes once passes.
func TestWaitIsPatient(t *testing.T) {
	t.Parallel()
	for _, tag := range []string{"slow", "flapping", "crash-once"} {
		t.Run(tag, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			_, lines, err := b.wait(b.apply(deployment("w", tag, 2)), 2*time.Minute)
			if err != nil {
				t.Errorf("%v\n%s", err, strings.Join(lines, "\n"))
			}
		})
	}
}

// What may still come is waited for until the timeout, whose message has the cause.
func TestWaitTimesOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, manifest string
		want           []string
	}{
		{"never ready", deployment("w", "never-ready", 2), []string{"not healthy after 12s", "0 of 2 ready", "not ready: Readiness probe failed"}},
		{"half ready", deployment("w", "half-ready", 2), []string{"not ready: Readiness probe failed"}},
		{"network plug-in", deployment("w", "broken-sandbox", 1), []string{"FailedCreatePodSandBox"}},
		{"does not fit", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: w}\nspec: {selector: {matchLabels: {app: w}}, template: {metadata: {labels: {app: w}}, spec: {containers: [{name: main, image: w:v1, resources: {requests: {memory: 900Ti}}}]}}}", []string{"cannot be scheduled: 0/", "Insufficient memory"}},
		{"load balancer", "apiVersion: v1\nkind: Service\nmetadata: {name: w}\nspec: {type: LoadBalancer, selector: {app: w}, ports: [{port: 80}]}", []string{"no address yet"}},
		{"Job that runs on", "apiVersion: batch/v1\nkind: Job\nmetadata: {name: w}\nspec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: 'w:job-forever'}]}}}", []string{"0 of 1 succeeded, 1 running"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			_, lines, err := b.wait(b.apply(c.manifest), 12*time.Second)
			if failure := asNotHealthy(t, err); failure.After != 12*time.Second {
				t.Errorf("ended before the timeout: %v\n%s", err, strings.Join(lines, "\n"))
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the message lacks %q:\n%v\n%s", want, err, strings.Join(lines, "\n"))
				}
			}
		})
	}
}

func TestWaitRefusedPods(t *testing.T) {
	t.Parallel()
	t.Run("quota", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		quota := b.apply("apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: pods}\nspec: {hard: {pods: '1'}}")[0]
		b.until("the quota is counted, and so enforced", func() bool {
			live, err := b.resource(kind("v1", "ResourceQuota")).Get(t.Context(), quota.Name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			used, _, _ := unstructured.NestedString(live.Object, "status", "used", "pods")
			return used != ""
		})
		_, _, err := b.wait(b.apply(deployment("w", "v1", 3)), time.Minute)
		failure := asNotHealthy(t, err)
		if failure.After != 0 || !strings.Contains(err.Error(), "1 of 3 ready: FailedCreate: pods \"w-") || !strings.Contains(err.Error(), "exceeded quota: pods") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("Pod Security", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		patch := []byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`)
		ns := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
		if _, err := b.resource(ns).Patch(t.Context(), b.namespace, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		_, _, err := b.wait(b.apply(deployment("w", "v1", 1)), time.Minute)
		failure := asNotHealthy(t, err)
		if failure.After != 0 || !strings.Contains(err.Error(), "violates PodSecurity") || time.Since(started) > 30*time.Second {
			t.Errorf("after %s: %v", time.Since(started), err)
		}
	})
}

// The gate passes on nothing older than the write: twenty rollouts in a row, each
// waited for at once.
func TestWaitNeverPassesOnTheFormerGeneration(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 20 {
		manifest := deployment("w", fmt.Sprintf("v%d", i), 2)
		targets := b.apply(manifest)
		if _, lines, err := b.wait(targets, time.Minute); err != nil {
			t.Fatalf("rollout %d: %v\n%s", i, err, strings.Join(lines, "\n"))
		}
		live, err := b.resource(&unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment"}}).Get(t.Context(), "w", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		observed, _, _ := unstructured.NestedInt64(live.Object, "status", "observedGeneration")
		updated, _, _ := unstructured.NestedInt64(live.Object, "status", "updatedReplicas")
		if observed < targets[0].MinGeneration || updated != 2 {
			t.Fatalf("rollout %d passed at observed generation %d of %d with %d updated", i, observed, targets[0].MinGeneration, updated)
		}
	}
}

// With the controllers halted, the status says "available" of the former
// generation for as long as they are. Not parallel: the others need them.
func TestWaitWhileControllersAreHalted(t *testing.T) {
	b := newBench(t)
	targets := b.apply(deployment("w", "v1", 2), "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s}\nspec: {serviceName: s, selector: {matchLabels: {app: s}}, template: {metadata: {labels: {app: s}}, spec: {containers: [{name: main, image: 's:v1'}]}}}")
	if _, lines, err := b.wait(targets, time.Minute); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(lines, "\n"))
	}
	applytest.Sandbox(t, "pause", "kube-controller-manager")
	resumed := false
	resume := func() {
		if !resumed {
			applytest.Sandbox(t, "resume", "kube-controller-manager")
			resumed = true
		}
	}
	defer resume()
	targets = b.apply(deployment("w", "v2", 2), "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s}\nspec: {serviceName: s, selector: {matchLabels: {app: s}}, template: {metadata: {labels: {app: s}}, spec: {containers: [{name: main, image: 's:v2'}]}}}")
	updates, lines, err := b.wait(targets, 6*time.Second)
	if failure := asNotHealthy(t, err); failure.After == 0 || len(failure.Updates) != 2 {
		t.Fatalf("%v\n%s", err, strings.Join(lines, "\n"))
	}
	for _, u := range updates {
		if u.Rule != "observed-generation" || u.Message != "its controller has seen generation 1 of 2" {
			t.Errorf("%s: %s %q", u.Target, u.Rule, u.Message)
		}
	}
	resume()
	if _, lines, err := b.wait(targets, time.Minute); err != nil {
		t.Errorf("%v\n%s", err, strings.Join(lines, "\n"))
	}
}

// The API server goes away in the middle of a gate and comes back. Not parallel,
// for the sake of the others.
func TestWaitWhileTheServerRestarts(t *testing.T) {
	b := newBench(t)
	targets := b.apply(deployment("w", "slow", 2), deployment("x", "crash-once", 1), deployment("z", "v1", 1))
	go func() {
		time.Sleep(3 * time.Second)
		applytest.Sandbox(t, "restart")
	}()
	started := time.Now()
	if _, lines, err := b.wait(targets, 2*time.Minute); err != nil {
		t.Errorf("%v\n%s", err, strings.Join(lines, "\n"))
	}
	t.Logf("%s, %d requests: %v", time.Since(started).Round(time.Second), b.faults.sent.Load(), b.faults.counts)
	if watches := b.faults.count("watch deployments"); watches < 2 {
		t.Errorf("%d watches: the restart was not noticed", watches)
	}
}

// A controller that reports seconds late: the status of the former generation,
// Ready as it is, does not pass.
func TestWaitForALateController(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	gadget := b.crd("Gadget", true)
	targets := b.apply(gadget("one", 1))
	status := func(generation int64) {
		patch := fmt.Appendf(nil, `{"status":{"observedGeneration":%d,"conditions":[{"type":"Ready","status":"True","lastTransitionTime":"2026-03-02T09:55:00Z","reason":"Up","message":""}]}}`, generation)
		if _, err := b.resource(kind("health.example.com/v1", "Gadget")).Patch(context.WithoutCancel(t.Context()), "one", types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
			t.Error(err)
		}
	}
	status(1)
	if _, lines, err := b.wait(targets, 30*time.Second); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(lines, "\n"))
	}
	targets = b.apply(gadget("one", 2))
	var reported time.Time
	after(t.Context(), 4*time.Second, func() { reported = time.Now(); status(2) })
	_, lines, err := b.wait(targets, 30*time.Second)
	if err != nil || reported.IsZero() {
		t.Errorf("passed before the controller reported: %v\n%s", err, strings.Join(lines, "\n"))
	}
}

func TestWaitUnknown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	silent, plain := b.crd("Silent", true), b.crd("Plain", false)
	report := func(kindOf, name, status string) {
		patch := []byte(`{"status":` + status + `}`)
		subresources := []string{"status"}
		if kindOf == "Plain" {
			subresources = nil
		}
		if _, err := b.resource(kind("health.example.com/v1", kindOf)).Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}, subresources...); err != nil {
			t.Error(err)
		}
	}
	t.Run("no report yet", func(t *testing.T) {
		updates, _, err := b.wait(b.apply(silent("late", 1)), 12*time.Second)
		if failure := asNotHealthy(t, err); failure.After == 0 || updates[0].State != Progressing {
			t.Errorf("%+v: %v", updates, err)
		}
	})
	t.Run("failed, without a status subresource", func(t *testing.T) {
		targets := b.apply(plain("broken", 1))
		report("Plain", "broken", `{"phase":"Failed"}`)
		b.watcher.opts.Lasting = 2 * time.Second
		defer func() { b.watcher.opts.Lasting = 0 }()
		if updates, _, err := b.wait(targets, time.Minute); err == nil || updates[0].State != Failed {
			t.Errorf("%v %+v", err, updates)
		}
	})
	t.Run("report that says nothing", func(t *testing.T) {
		started := time.Now()
		targets := b.apply(silent("one", 1), deployment("w", "v1", 1))
		report("Silent", "one", `{"address":"x"}`)
		updates, _, err := b.wait(targets, time.Minute)
		failure := asNotHealthy(t, err)
		if len(failure.Updates) != 1 || failure.Updates[0].State != Unknown || !strings.Contains(err.Error(), "declare a condition or a CEL expression") || time.Since(started) > 30*time.Second {
			t.Errorf("after %s: %v", time.Since(started), err)
		}
		if updates[1].State != Healthy {
			t.Errorf("the Deployment is %s", updates[1].State)
		}
	})
	t.Run("kind without status", func(t *testing.T) {
		if updates, _, err := b.wait(b.apply(plain("one", 1)), time.Minute); err != nil || updates[0].Rule != "no-status" {
			t.Errorf("%v %+v", err, updates)
		}
	})
	// The API server drops what is no field of a schema: nobody can report there.
	for name, status := range map[string]string{"Empty": "{type: object}", "Bare": "{type: object, description: none yet, properties: {}}"} {
		t.Run("kind whose status has no fields, "+name, func(t *testing.T) {
			empty := b.crdOf(name, "subresources: {status: {}}, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}, status: "+status+"}}}")
			targets := b.apply(empty("one", 1))
			report(name, "one", `{"phase":"Failed"}`)
			if updates, _, err := b.wait(targets, time.Minute); err != nil || updates[0].Rule != "no-status" {
				t.Errorf("%v %+v", err, updates)
			}
		})
	}
	t.Run("kind whose status has fields, and no word yet", func(t *testing.T) {
		slow := b.crdOf("Mute", "subresources: {status: {}}, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}, status: {type: object, properties: {phase: {type: string}}}}}}")
		updates, lines, err := b.wait(b.apply(slow("one", 1)), 15*time.Second)
		if failure := asNotHealthy(t, err); failure.After != 15*time.Second || updates[0].State != Progressing {
			t.Errorf("ended before the timeout: %v\n%s", err, strings.Join(lines, "\n"))
		}
	})
	t.Run("declared", func(t *testing.T) {
		targets := b.apply(silent("two", 1))
		targets[0].Ready = &contract.ReadyRule{CEL: "self.spec.size == 1"}
		if _, _, err := b.wait(targets, time.Minute); err != nil {
			t.Error(err)
		}
	})
}

// A rule that does not come to an end holds up neither the end of the wait nor the
// verdict.
func TestWaitExpensiveRule(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	keys := make([]string, 3000)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%d: x", i)
	}
	slow := func(prefix string, count int) (targets []Target) {
		for i := range count {
			target := b.apply(fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s%d}\ndata: {%s}", prefix, i, strings.Join(keys, ", ")))[0]
			target.Ready = &contract.ReadyRule{CEL: "self.data.all(a, self.data.all(b, self.data.all(c, a + b + c != '')))"}
			targets = append(targets, target)
		}
		return targets
	}
	t.Run("verdict", func(t *testing.T) {
		updates, _, err := b.wait(slow("few", 5), 10*time.Minute)
		if failure := asNotHealthy(t, err); len(failure.Updates) != 5 {
			t.Errorf("%d not healthy: %v", len(failure.Updates), err)
		}
		for _, u := range updates {
			if u.State != Unknown || !regexp.MustCompile("longer than|cost limit").MatchString(u.Message) {
				t.Errorf("%s by rule %s: %s", u.State, u.Rule, u.Message)
			}
		}
	})
	t.Run("timeout", func(t *testing.T) {
		targets := slow("many", 60)
		started := time.Now()
		if _, _, err := b.wait(targets, 3*time.Second); err == nil {
			t.Error("no error")
		}
		if took := time.Since(started); took > time.Minute {
			t.Errorf("took %s", took)
		}
	})
}

// crd makes a kind of its own for the test and returns its manifests.
func (b *bench) crd(name string, status bool) func(object string, size int) string {
	b.Helper()
	subresources := ""
	if status {
		subresources = "subresources: {status: {}}, "
	}
	return b.crdOf(name, subresources+"schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}")
}

// crdOf makes a kind of its own, with these fields of its version.
func (b *bench) crdOf(name, version string) func(object string, size int) string {
	b.Helper()
	plural, group := strings.ToLower(name)+"s", "health.example.com"
	targets := b.apply(fmt.Sprintf("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: %[1]s.%[2]s}\nspec: {group: %[2]s, scope: Namespaced, names: {kind: %[3]s, plural: %[1]s}, versions: [{name: v1, served: true, storage: true, %[4]s}]}", plural, group, name, version))
	if _, _, err := b.wait(targets, 30*time.Second); err != nil {
		b.Fatal(err)
	}
	for range 100 { // discovery lags behind Established
		b.mapper.ResetWithContext(b.Context())
		if _, err := b.mapper.RESTMappingWithContext(b.Context(), kind(group+"/v1", name).GroupVersionKind().GroupKind(), "v1"); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return func(object string, size int) string {
		return fmt.Sprintf("apiVersion: %s/v1\nkind: %s\nmetadata: {name: %s}\nspec: {size: %d}", group, name, object, size)
	}
}

func kind(apiVersion, name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": name}}
}

// An object that loses its label has not been deleted; one that is deleted has.
func TestWaitLeftSelector(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	targets := b.apply(deployment("w", "slow", 1))
	after(t.Context(), 3*time.Second, func() {
		patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:null}}}`, memberLabel)
		if _, err := b.resource(kind("apps/v1", "Deployment")).Patch(context.WithoutCancel(t.Context()), "w", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Error(err)
		}
	})
	if _, lines, err := b.wait(targets, time.Minute); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(lines, "\n"))
	}

	targets = b.apply(deployment("gone", "never-ready", 1))
	after(t.Context(), 3*time.Second, func() {
		if err := b.resource(kind("apps/v1", "Deployment")).Delete(context.WithoutCancel(t.Context()), "gone", metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	_, _, err := b.wait(targets, time.Minute)
	if failure := asNotHealthy(t, err); failure.After != 0 || failure.Updates[0].Rule != "exists" {
		t.Errorf("got %v", err)
	}
}

// Watches that drop, expire or meet a server that restarts are renewed.
func TestWaitThroughFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		fail func(req *http.Request) (*http.Response, error)
	}{
		{"dropped", nil},
		{"expired", func(req *http.Request) (*http.Response, error) {
			if isWatch(req) {
				return answer(req, http.StatusGone, metav1.StatusReasonExpired), nil
			}
			return nil, nil
		}},
		{"server restarts", func(*http.Request) (*http.Response, error) { return nil, syscall.ECONNREFUSED }},
		{"server not ready", func(req *http.Request) (*http.Response, error) {
			return answer(req, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable), nil
		}},
		{"watches refused for a while", func(req *http.Request) (*http.Response, error) {
			if isWatch(req) {
				return answer(req, http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests), nil
			}
			return nil, nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			targets := b.apply(deployment("w", "slow", 2), deployment("x", "slow", 1))
			after(t.Context(), 2*time.Second, func() { b.faults.set(c.fail); b.faults.cut() })
			after(t.Context(), 5*time.Second, b.faults.cut)
			after(t.Context(), 13*time.Second, func() { b.faults.set(nil) })
			started := time.Now()
			if _, lines, err := b.wait(targets, 2*time.Minute); err != nil {
				t.Errorf("%v\n%s", err, strings.Join(lines, "\n"))
			}
			if took := time.Since(started); took > time.Minute {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// A watch that says nothing any more is not believed: what is there when the time
// is over decides, and before that, what a GET finds after a while of silence.
func TestWaitDespiteSilence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		timeout time.Duration
		most    time.Duration
	}{
		{"until the time is over", 8 * time.Second, 20 * time.Second},
		{"for a while", 2 * time.Minute, 45 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			targets := b.apply(deployment("w", "never-ready", 1))
			b.faults.mute.Store(true)
			after(t.Context(), 3*time.Second, func() {
				b.apply(deployment("w", "v1", 1))
			})
			started := time.Now()
			if _, lines, err := b.wait(targets, c.timeout); err != nil {
				t.Errorf("%v\n%s", err, strings.Join(lines, "\n"))
			}
			if took := time.Since(started); took > c.most {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// Who may only get is told so, and waits all the same.
func TestWaitWithoutRightToWatch(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	user := rest.CopyConfig(cfg)
	user.Impersonate = rest.ImpersonationConfig{UserName: "reader-" + strings.ToLower(t.Name())}
	b := newBenchFor(t, cfg, user)
	b.apply(
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader}\nrules: [{apiGroups: [apps], resources: [deployments], verbs: [get]}]",
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: reader}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}\nsubjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "+user.Impersonate.UserName+"}]")
	mine, err := kubernetes.NewForConfig(user)
	if err != nil {
		t.Fatal(err)
	}
	b.until("the authoriser has seen the role", func() bool {
		_, err := mine.AppsV1().Deployments(b.namespace).Get(t.Context(), "w", metav1.GetOptions{})
		return !apierrors.IsForbidden(err)
	})
	_, lines, err := b.wait(b.apply(deployment("w", "slow", 1)), time.Minute)
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(lines, "\n"))
	}
	if all := strings.Join(lines, "\n"); !strings.Contains(all, "no right to watch deployments") {
		t.Errorf("nothing says that it polls:\n%s", all)
	}
	targets := b.apply("apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: w}\nspec: {minAvailable: 1, selector: {matchLabels: {app: w}}}")
	_, _, err = b.wait(targets, time.Minute)
	if failure := asNotHealthy(t, err); failure.Updates[0].State != Unknown || !strings.Contains(err.Error(), "cannot get resource") {
		t.Errorf("got %v", err)
	}
}

func TestWaitInterrupted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("interrupted")
	targets := b.apply(deployment("w", "never-ready", 1))
	after(ctx, 2*time.Second, func() { cancel(stop) })
	updates, err := b.watcher.Wait(ctx, targets, time.Minute, nil)
	if !errors.Is(err, stop) || len(updates) != 1 || updates[0].State != Progressing {
		t.Errorf("got %v, %+v", err, updates)
	}
}

// A Job that is deleted because it is done is done.
func TestWaitJobWithTTL(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	targets := b.apply(
		"apiVersion: batch/v1\nkind: Job\nmetadata: {name: w}\nspec: {ttlSecondsAfterFinished: 0, template: {spec: {restartPolicy: Never, containers: [{name: main, image: 'w:v1'}]}}}",
		deployment("w", "slow", 1))
	updates, lines, err := b.wait(targets, time.Minute)
	if err != nil || updates[0].State != Healthy || updates[0].Rule != "job-complete" {
		t.Errorf("%v\n%s", err, strings.Join(lines, "\n"))
	}
	if _, err := b.resource(kind("batch/v1", "Job")).Get(t.Context(), "w", metav1.GetOptions{}); err == nil {
		t.Error("the Job is still there: this shows nothing")
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	targets := b.apply(deployment("w", "slow", 1), "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2}")
	targets = append(targets, Target{GVK: kind("nobody.example.com/v1", "Thing").GroupVersionKind(), Name: "x"})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var seen []string
	err := b.watcher.Watch(ctx, targets, func(u Update) {
		seen = append(seen, fmt.Sprintf("%s %s", u.GVK.Kind, u.State))
		switch seen[len(seen)-1] {
		case "Deployment healthy":
			if err := b.resource(kind("v1", "Secret")).Delete(context.WithoutCancel(ctx), "s", metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		case "Secret failed":
			cancel()
		}
	})
	all := strings.Join(seen, "\n")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v\n%s", err, all)
	}
	for _, want := range []string{"Thing failed", "Secret healthy", "Deployment progressing"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q was not told:\n%s", want, all)
		}
	}
}

// Requests grow with kinds, not with objects.
func TestWaitRequestsByKind(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var manifests []string
	for i := range 40 {
		manifests = append(manifests, deployment(fmt.Sprintf("w%d", i), "slow", 1))
	}
	if _, _, err := b.wait(b.apply(manifests...), 3*time.Minute); err != nil {
		t.Fatal(err)
	}
	// deployments, pods, ReplicaSets and warnings: one LIST and one watch each.
	if n := b.faults.sent.Load(); n > 8 {
		t.Errorf("%d requests for 40 Deployments, want at most 8: %v", n, b.faults.counts)
	}
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	targets := b.apply(deployment("web", "v1", 1), deployment("bad", "broken-crash", 1), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: env}")
	missing := targets[0]
	missing.Name, missing.UID = "missing", ""
	unserved := Target{GVK: kind("nobody.example.com/v1", "Thing").GroupVersionKind(), Namespace: b.namespace, Name: "x"}
	targets = append(targets, missing, unserved)
	var got []Update
	for range 60 {
		var err error
		if got, err = b.watcher.Snapshot(t.Context(), targets); err != nil {
			t.Fatal(err)
		}
		if got[0].State == Healthy && got[1].State == Failed {
			break
		}
		time.Sleep(time.Second)
	}
	for i, want := range []struct {
		state    State
		contains string
	}{
		{Healthy, ""},
		{Failed, "CrashLoopBackOff after "},
		{Healthy, ""},
		{Failed, "not found"},
		{Failed, "the cluster does not serve nobody.example.com/v1, Kind=Thing"},
	} {
		if got[i].State != want.state || !strings.Contains(got[i].Message, want.contains) {
			t.Errorf("%s: %s %q, want %s %q", got[i].Target, got[i].State, got[i].Message, want.state, want.contains)
		}
	}
	if !strings.Contains(got[1].Log, "panic: no registry available") {
		t.Errorf("log is %q", got[1].Log)
	}
}
