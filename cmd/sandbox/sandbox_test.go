package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// asSandbox makes the test binary be the sandbox: what is tested is the whole
// program with its real arguments, and nothing is linked twice.
const asSandbox = "EVENKEEL_TEST_AS_SANDBOX"

func TestMain(m *testing.M) {
	if os.Getenv(asSandbox) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// sandboxCommand is the program with the arguments, as a shell would start it.
func sandboxCommand(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), asSandbox+"=1")
	return cmd
}

// running is a sandbox that the test started.
type running struct {
	cmd        *exec.Cmd
	kubeconfig string
	dataDir    string
	client     *kubernetes.Clientset
}

// start runs "sandbox up" and waits for its ready line.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	dir := t.TempDir()
	r := &running{kubeconfig: filepath.Join(dir, "kubeconfig"), dataDir: filepath.Join(dir, "data")}
	r.cmd = sandboxCommand(append([]string{"up", "--kubeconfig", r.kubeconfig, "--data-dir", r.dataDir}, args...)...)
	r.cmd.Stderr = os.Stderr
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.cmd.Process.Signal(syscall.SIGTERM); _ = r.cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready") {
		t.Fatalf("sandbox up printed %q, %v", line, err)
	}
	t.Log(strings.TrimSpace(line))
	r.client = clientFor(t, r.kubeconfig)
	return r
}

func clientFor(t *testing.T, kubeconfig string) *kubernetes.Clientset {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// eventually asks every 100 ms until the answer is nil.
func eventually(t *testing.T, within time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, within, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (r *running) kubectl(args ...string) (string, error) {
	cmd := sandboxCommand(append([]string{"kubectl", "--kubeconfig", r.kubeconfig}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestCluster(t *testing.T) {
	r := start(t)
	t.Run("nodes", r.testNodes)
	t.Run("rollout", r.testRollout)
	t.Run("rbac", r.testRBAC)
	t.Run("fates", r.testFates)
	t.Run("init containers", r.testInitContainers)
	t.Run("jobs", r.testJobs)
	t.Run("claims", r.testClaims)
	t.Run("pause", r.testPause)
	t.Run("restart", r.testRestart)
	t.Run("stop", r.testStop)
}

func (r *running) testNodes(t *testing.T) {
	for name, address := range map[string]string{"hdss7-21.host.com": "10.4.7.21", "hdss7-22.host.com": "10.4.7.22"} {
		n, err := r.client.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if n.Labels[corev1.LabelHostname] != name || n.Labels[corev1.LabelOSStable] != "linux" {
			t.Errorf("%s: labels %v", name, n.Labels)
		}
		if !strings.HasPrefix(n.Spec.PodCIDR, "172.7.") || n.Status.Addresses[0].Address != address {
			t.Errorf("%s: pod CIDR %q, addresses %v", name, n.Spec.PodCIDR, n.Status.Addresses)
		}
	}
	dns := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "dns"},
		Spec:       corev1.ServiceSpec{ClusterIP: "192.168.0.2", Ports: []corev1.ServicePort{{Port: 53}}},
	}
	if _, err := r.client.CoreV1().Services("default").Create(t.Context(), dns, metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
}

func (r *running) testRollout(t *testing.T) {
	if out, err := r.kubectl("create", "deployment", "web", "--replicas=3", "--image=harbor.od.com/app/web:v1"); err != nil {
		t.Fatal(out)
	}
	if out, err := r.kubectl("rollout", "status", "deployment/web", "--timeout=20s"); err != nil {
		t.Fatal(out)
	}
	pods, err := r.client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		t.Fatal(err)
	}
	addresses := map[string]bool{}
	for _, pod := range pods.Items {
		addresses[pod.Status.PodIP] = true
	}
	if len(addresses) != 3 || addresses[""] {
		t.Errorf("pod addresses %v, want 3 different ones", addresses)
	}
	if out, err := r.kubectl("logs", "deployment/web", "--tail=1"); err != nil || !strings.Contains(out, "listening on :8080") {
		t.Errorf("logs: %v\n%s", err, out)
	}
}

// testRBAC shows that neither authorization nor Pod Security is off.
func (r *running) testRBAC(t *testing.T) {
	out, err := r.kubectl("auth", "can-i", "list", "secrets", "--as=system:serviceaccount:default:default")
	if err == nil || strings.TrimSpace(out) != "no" {
		t.Errorf("a service account may list Secrets: %s", out)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "strict", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}
	if _, err := r.client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "Pod Security", func() error {
		out, err := r.kubectl("run", "p", "--namespace=strict", "--image=harbor.od.com/app/x:v1")
		if err == nil || !strings.Contains(out, "violates PodSecurity") {
			return fmt.Errorf("a pod against the Pod Security standard: %s", out)
		}
		return nil
	})
}

// testFates creates a Deployment per fate and waits for what each is to end in.
func (r *running) testFates(t *testing.T) {
	ctx := t.Context()
	tests := []struct {
		tag   string
		check func(p *corev1.Pod, c corev1.ContainerStatus) bool
		event string // reason: text
		logs  string
	}{
		{
			tag: "v2-broken-pull", check: waiting("ImagePullBackOff", "harbor.od.com/app/x:v2-broken-pull: not found"),
			event: `Failed: Failed to pull image "harbor.od.com/app/x:v2-broken-pull"`, logs: "trying and failing to pull image",
		},
		{tag: "broken-pull-auth", check: waiting("ImagePullBackOff", "authorization failed"), event: "BackOff: Back-off pulling image"},
		{tag: "broken-pull-host", check: waiting("ImagePullBackOff", "lookup harbor.od.com"), event: "Failed: Error: ImagePullBackOff"},
		{
			tag: "broken-crash", check: crashed(1, "Error", 2), event: "BackOff: Back-off restarting failed container x in pod broken-crash",
			logs: "panic: no registry available",
		},
		{tag: "broken-oom", check: crashed(137, "OOMKilled", 1), event: "BackOff: Back-off restarting"},
		{tag: "broken-segv", check: crashed(139, "Error", 1), event: "BackOff: Back-off restarting"},
		{tag: "broken-exit", check: crashed(0, "Completed", 1), event: "BackOff: Back-off restarting"},
		{tag: "broken-command", check: crashed(128, "StartError", 1), event: "BackOff: Back-off restarting"},
		{tag: "broken-liveness", check: crashed(137, "Error", 1), event: "Killing: Container x failed liveness probe, will be restarted"},
		{tag: "broken-config", check: waiting("CreateContainerConfigError", `configmap "app-config" not found`), event: `Failed: Error: configmap "app-config" not found`},
		{tag: "broken-volume", check: waiting("ContainerCreating", ""), event: `FailedMount: MountVolume.SetUp failed for volume "config"`},
		{tag: "broken-sandbox", check: waiting("ContainerCreating", ""), event: "FailedCreatePodSandBox: Failed to create pod sandbox"},
		{tag: "never-ready", check: unready, event: "Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503"},
		{tag: "crash-once", check: func(p *corev1.Pod, c corev1.ContainerStatus) bool {
			return isPodReady(p) && c.RestartCount == 1 && c.LastTerminationState.Terminated != nil
		}},
		{tag: "slow", check: unready, event: "Unhealthy: Readiness probe failed"},
		{tag: "flapping", check: unready, event: "Unhealthy: Readiness probe failed"},
	}
	for _, test := range tests {
		if out, err := r.kubectl("create", "deployment", test.tag, "--image=harbor.od.com/app/x:"+test.tag); err != nil {
			t.Fatal(out)
		}
	}
	for _, test := range tests {
		pod := r.awaitPod(t, test.tag, test.check)
		if test.event != "" {
			eventually(t, 5*time.Second, test.tag+" event "+test.event, func() error { return r.hasEvent(ctx, pod, test.event) })
		}
		if test.logs != "" {
			if out, _ := r.kubectl("logs", pod.Name); !strings.Contains(out, test.logs) {
				t.Errorf("%s: logs %q, want %q", test.tag, out, test.logs)
			}
		}
	}
	ready := func(p *corev1.Pod, _ corev1.ContainerStatus) bool { return isPodReady(p) }
	r.awaitPod(t, "flapping", ready)
	r.awaitPod(t, "slow", ready)
}

func (r *running) awaitPod(t *testing.T, app string, check func(*corev1.Pod, corev1.ContainerStatus) bool) *corev1.Pod {
	t.Helper()
	var found *corev1.Pod
	eventually(t, 20*time.Second, app, func() error {
		pods, err := r.client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
		if err != nil {
			return err
		}
		for i := range pods.Items {
			p := &pods.Items[i]
			if len(p.Status.ContainerStatuses) == 1 && check(p, p.Status.ContainerStatuses[0]) {
				found = p
				return nil
			}
		}
		return fmt.Errorf("%d pods, none as expected: %+v", len(pods.Items), statusOf(pods.Items))
	})
	return found
}

func statusOf(pods []corev1.Pod) []corev1.PodStatus {
	statuses := make([]corev1.PodStatus, len(pods))
	for i := range pods {
		statuses[i] = pods[i].Status
	}
	return statuses
}

func (r *running) hasEvent(ctx context.Context, pod *corev1.Pod, want string) error {
	events, err := r.client.CoreV1().Events(pod.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(pod.UID)})
	if err != nil {
		return err
	}
	var seen []string
	for _, e := range events.Items {
		if text := e.Reason + ": " + e.Message; strings.HasPrefix(text, want) {
			return nil
		} else {
			seen = append(seen, text)
		}
	}
	return fmt.Errorf("events %q", seen)
}

func waiting(reason, message string) func(*corev1.Pod, corev1.ContainerStatus) bool {
	return func(p *corev1.Pod, c corev1.ContainerStatus) bool {
		w := c.State.Waiting
		return p.Status.Phase == corev1.PodPending && w != nil && w.Reason == reason && strings.Contains(w.Message, message) && !isPodReady(p)
	}
}

func crashed(exit int32, reason string, restarts int32) func(*corev1.Pod, corev1.ContainerStatus) bool {
	return func(p *corev1.Pod, c corev1.ContainerStatus) bool {
		w, last := c.State.Waiting, c.LastTerminationState.Terminated
		return w != nil && w.Reason == "CrashLoopBackOff" && strings.HasPrefix(w.Message, "back-off ") && last != nil &&
			last.ExitCode == exit && last.Reason == reason && c.RestartCount >= restarts && !isPodReady(p)
	}
}

func unready(p *corev1.Pod, c corev1.ContainerStatus) bool {
	return p.Status.Phase == corev1.PodRunning && c.State.Running != nil && !c.Ready && !isPodReady(p)
}

func isPodReady(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// testInitContainers: the fate of an init container holds up the pod, and one
// that recovers lets it go.
func (r *running) testInitContainers(t *testing.T) {
	for name, tag := range map[string]string{"init-crash": "broken-crash", "init-once": "crash-once"} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}}, Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "wait", Image: "harbor.od.com/app/wait:v1"}, {Name: "migrate", Image: "harbor.od.com/app/x:" + tag}},
			Containers:     []corev1.Container{{Name: "x", Image: "harbor.od.com/app/x:v1"}},
		}}
		if _, err := r.client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	r.awaitPod(t, "init-crash", func(p *corev1.Pod, c corev1.ContainerStatus) bool {
		inits := p.Status.InitContainerStatuses
		return p.Status.Phase == corev1.PodPending && c.State.Waiting != nil && c.State.Waiting.Reason == "PodInitializing" &&
			inits[0].Ready && inits[1].State.Waiting != nil && inits[1].State.Waiting.Reason == "CrashLoopBackOff"
	})
	r.awaitPod(t, "init-once", func(p *corev1.Pod, _ corev1.ContainerStatus) bool {
		migrate := p.Status.InitContainerStatuses[1]
		return isPodReady(p) && migrate.RestartCount == 1 && migrate.State.Terminated != nil && migrate.State.Terminated.ExitCode == 0
	})
}

func (r *running) testJobs(t *testing.T) {
	for tag, wanted := range map[string]corev1.PodPhase{"v1": corev1.PodSucceeded, "job-fail": corev1.PodFailed, "job-forever": corev1.PodRunning} {
		if out, err := r.kubectl("create", "job", "job-"+tag, "--image=harbor.od.com/app/x:"+tag); err != nil {
			t.Fatal(out)
		}
		eventually(t, 10*time.Second, "Job "+tag, func() error {
			pods, err := r.client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{LabelSelector: "job-name=job-" + tag})
			if err == nil && (len(pods.Items) == 0 || pods.Items[0].Status.Phase != wanted) {
				err = fmt.Errorf("pods %+v", statusOf(pods.Items))
			}
			return err
		})
	}
	if out, err := r.kubectl("wait", "--for=condition=complete", "job/job-v1", "--timeout=10s"); err != nil {
		t.Error(out)
	}
}

// testClaims: a claim of the default class is bound, one of the waiting class is
// when a pod uses it, one of an unknown class never.
func (r *running) testClaims(t *testing.T) {
	ctx, claims := t.Context(), r.client.CoreV1().PersistentVolumeClaims("default")
	phase := func(name string, want corev1.PersistentVolumeClaimPhase) func() error {
		return func() error {
			claim, err := claims.Get(ctx, name, metav1.GetOptions{})
			if err == nil && claim.Status.Phase != want {
				err = fmt.Errorf("phase %s", claim.Status.Phase)
			}
			return err
		}
	}
	unknown, wait := "unknown", "standard-wait"
	for name, class := range map[string]*string{"now": nil, "later": &wait, "never": &unknown} {
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: class,
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		}}
		if _, err := claims.Create(ctx, claim, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 10*time.Second, "claim of the default class", phase("now", corev1.ClaimBound))
	if err := phase("later", corev1.ClaimPending)(); err != nil {
		t.Error(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "claimant"}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "x", Image: "harbor.od.com/app/x:v1"}},
		Volumes:    []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "later"}}}},
	}}
	if _, err := r.client.CoreV1().Pods("default").Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "claim of the waiting class", phase("later", corev1.ClaimBound))
	if err := phase("never", corev1.ClaimPending)(); err != nil {
		t.Error(err)
	}
}

// testPause: without its controller a Deployment is not observed, with it it is.
func (r *running) testPause(t *testing.T) {
	control := func(verb string) {
		if out, err := sandboxCommand(verb, "kube-controller-manager", "--kubeconfig", r.kubeconfig).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", verb, err, out)
		}
	}
	observed := func() error {
		d, err := r.client.AppsV1().Deployments("default").Get(t.Context(), "web", metav1.GetOptions{})
		if err == nil && d.Status.ObservedGeneration != d.Generation {
			err = fmt.Errorf("generation %d, observed %d", d.Generation, d.Status.ObservedGeneration)
		}
		return err
	}
	control("pause")
	if out, err := r.kubectl("set", "image", "deployment/web", "*=harbor.od.com/app/web:v2"); err != nil {
		t.Fatal(out)
	}
	time.Sleep(time.Second)
	if err := observed(); err == nil {
		t.Error("observed while the controller manager is paused")
	}
	control("resume")
	eventually(t, 10*time.Second, "observed generation", observed)
}

// testRestart: the API server comes back at the same place, and all the others
// find it again.
func (r *running) testRestart(t *testing.T) {
	if out, err := sandboxCommand("restart", "--kubeconfig", r.kubeconfig).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := r.kubectl("create", "deployment", "after", "--replicas=2", "--image=harbor.od.com/app/web:v1"); err != nil {
		t.Fatal(out)
	}
	if out, err := r.kubectl("rollout", "status", "deployment/after", "--timeout=40s"); err != nil {
		t.Fatal(out)
	}
}

func (r *running) testStop(t *testing.T) {
	processes := r.processes(t)
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Wait(); err != nil {
		t.Errorf("sandbox up after SIGTERM: %v", err)
	}
	assertGone(t, processes)
	for _, path := range []string{r.dataDir, r.kubeconfig} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s after the stop: %v", path, err)
		}
	}
}

// TestKilledAndSlow holds what --latency adds, and that SIGKILL to the parent
// leaves no process and no port, and that the next start removes the files.
func TestKilledAndSlow(t *testing.T) {
	r := start(t, "--latency=50ms")
	direct := clientFor(t, filepath.Join(r.dataDir, "kwok.kubeconfig"))
	if slow, fast := medianTime(t, r.client), medianTime(t, direct); slow < fast+45*time.Millisecond || slow > fast+200*time.Millisecond {
		t.Errorf("a request takes %s through the delay of 50ms and %s without", slow, fast)
	} else {
		t.Logf("a request takes %s through the delay of 50ms and %s without", slow, fast)
	}
	processes := r.processes(t)
	address := direct.RESTClient().Get().URL().Host
	if len(processes) != 6 {
		t.Errorf("processes %v, want the sandbox and 5 components", processes)
	}
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = r.cmd.Wait()
	assertGone(t, processes)
	eventually(t, 5*time.Second, "end of "+address, func() error {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			return nil
		}
		return errors.Join(errors.New("still answers"), connection.Close())
	})
	if err := sweep(); err != nil { // what the next start does first
		t.Fatal(err)
	}
	if _, err := os.Stat(r.dataDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("data directory after the next start: %v", err)
	}
}

func TestDetachAndDown(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if out, err := sandboxCommand("up", "--detach", "--kubeconfig", kubeconfig).CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "ready") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { _ = sandboxCommand("down", "--kubeconfig", kubeconfig).Run() })
	if out, err := sandboxCommand("kubectl", "--kubeconfig", kubeconfig, "get", "nodes", "-o", "name").CombinedOutput(); err != nil || strings.Count(string(out), "node/") != 2 {
		t.Errorf("%v\n%s", err, out)
	}
	// A kubeconfig that stands there already may be the user's own.
	if out, err := sandboxCommand("up", "--kubeconfig", kubeconfig).CombinedOutput(); err == nil || !strings.Contains(string(out), "a file stands there already") {
		t.Errorf("over an existing kubeconfig: %v\n%s", err, out)
	}
	if out, err := sandboxCommand("down", "--kubeconfig", kubeconfig).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := os.Stat(kubeconfig); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("kubeconfig after down: %v", err)
	}
}

func TestWhilePID(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	gone := func() bool {
		_, err := os.Stat(kubeconfig)
		return errors.Is(err, os.ErrNotExist)
	}
	for _, keep := range []bool{false, true} {
		caller := exec.Command("sleep", "600")
		if err := caller.Start(); err != nil {
			t.Fatal(err)
		}
		out, err := sandboxCommand("up", "--detach", "--while-pid", strconv.Itoa(caller.Process.Pid), "--kubeconfig", kubeconfig).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Cleanup(func() { _ = sandboxCommand("down", "--kubeconfig", kubeconfig).Run() })
		if keep {
			if out, err := sandboxCommand("keep", "--kubeconfig", kubeconfig).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
		_ = caller.Process.Kill()
		_ = caller.Wait()
		if keep {
			time.Sleep(2 * time.Second)
			if gone() {
				t.Error("it ended although it was to be kept")
			}
			continue
		}
		eventually(t, 10*time.Second, "end of the sandbox with its caller", func() error {
			if !gone() {
				return errors.New("still there")
			}
			return nil
		})
	}
}

func medianTime(t *testing.T, client *kubernetes.Clientset) time.Duration {
	t.Helper()
	times := make([]time.Duration, 9)
	for i := range times {
		began := time.Now()
		if _, err := client.CoreV1().Namespaces().Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
			t.Fatal(err)
		}
		times[i] = time.Since(began)
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// processes are the ids of the sandbox and its children.
func (r *running) processes(t *testing.T) []int {
	t.Helper()
	pids := []int{r.cmd.Process.Pid}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		// PID (NAME) STATE PARENT ..., and the name may hold anything.
		_, rest, _ := strings.Cut(string(data), ") ")
		fields := strings.Fields(rest)
		if len(fields) > 1 && fields[1] == strconv.Itoa(pids[0]) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

func assertGone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		eventually(t, 5*time.Second, "end of process "+strconv.Itoa(pid), func() error {
			// An orphan is reaped by the first process, which may take its time.
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err != nil || strings.Contains(string(stat), ") Z ") {
				return nil
			}
			return errors.New(string(stat))
		})
	}
}
