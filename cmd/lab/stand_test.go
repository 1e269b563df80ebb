//go:build lab

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// insideVar tells the test that it runs in namespaces of its own.
const insideVar = "EVENKEEL_STAND_INSIDE"

// standNetwork is the LAN with all addresses that are asked for, and the pods' network.
const standNetwork = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
printf '127.0.0.1 localhost\n10.4.7.11 zk1.od.com zk2.od.com zk3.od.com\n' > "$1/hosts"
mount --bind "$1/hosts" /etc/hosts
ip link set lo up
ip link add br0 address 02:00:0a:04:07:0a type bridge # one of its own, as pods come and go
for address in 10 11 21 22 200; do ip address add "10.4.7.$address/24" dev br0; done
ip address add 172.7.0.1/16 dev br0
ip link set br0 up
ip route add default via 10.4.7.254 dev br0
mkdir -p /run/netns
`

// TestCanary runs the check canary without containers: a real Traefik, a real ZooKeeper
// and real dubbo-go behind a real control plane, whose pods are processes, each in a
// network of its own. It needs root, and what make test-stand builds.
func TestCanary(t *testing.T) {
	if os.Getenv(insideVar) == "" {
		cmd := exec.CommandContext(t.Context(), "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
			os.Args[0], "-test.run=^TestCanary$", "-test.v", "-test.timeout=20m")
		cmd.Env = append(os.Environ(), insideVar+"=1")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		return
	}
	s := newStand(t)
	err := canaries(t.Context(), s)
	for _, line := range s.results {
		t.Log(line)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// newStand starts everything, and is the site for a check.
func newStand(t *testing.T) *site {
	t.Helper()
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Chdir(repo)
	l := &lab{dir: filepath.Join(repo, ".cache", "lab"), out: os.Stdout}
	t.Setenv("PATH", filepath.Join(repo, ".cache", "bin")+":"+os.Getenv("PATH"))
	kubeconfig, ready := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "ready")
	t.Setenv("KUBECONFIG", kubeconfig)
	must := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	start := func(log string, args ...string) {
		t.Helper()
		t.Cleanup(startLogged(t, filepath.Join(dir, log), args...))
	}
	must("sh", "-c", standNetwork, "sh", dir)
	start("zookeeper.log", "java", fmt.Sprintf("-Xmx%dm", zookeeperMax), "-XX:+UseSerialGC", "-cp", "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar",
		"-Dzookeeper.admin.enableServer=false", "org.apache.zookeeper.server.ZooKeeperServerMain", "2181", filepath.Join(dir, "zookeeper"))
	start("sandbox.log", "sandbox", "up", "--context", contextName, "--kubeconfig", kubeconfig, "--ready-file", ready)
	if err := wait(t.Context(), 3*time.Minute, "the control plane", func() error { _, err := os.Stat(ready); return err }); err != nil {
		t.Fatalf("%v\n%s", err, tail(filepath.Join(dir, "sandbox.log")))
	}
	must("sandbox", "pause", "kwok", "--kubeconfig", kubeconfig) // pods are real from here on
	k := newKubelet(t, l, dir, kubeconfig)
	go k.run(t.Context())
	class := filepath.Join(dir, "class.yaml")
	if err := os.WriteFile(class, []byte("{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: traefik}, spec: {controller: traefik.io/ingress-controller}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	must("kubectl", "apply", "-f", class)
	must("sh", "-c", "evenkeel render infra --unit traefik -o json | jq '.items[] | select(.kind == \"CustomResourceDefinition\")' | kubectl apply --server-side -f -")
	start("traefik.log", l.path("bin", "traefik"), "--entryPoints.web.address="+vip+":80/tcp", "--providers.kubernetesingress", "--providers.kubernetesingress.allowEmptyServices=true",
		"--providers.precedence=kubernetescrd,kubernetes", "--providers.kubernetescrd", "--providers.kubernetescrd.allowEmptyServices=true")
	s := &site{lab: l, repo: filepath.Join(dir, "repo")}
	if err := s.copyExample(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func startLogged(t *testing.T, log string, args ...string) (stop func()) {
	t.Helper()
	file, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = file.Close()
	}
}

// kubelet runs the pods of all nodes as processes.
type kubelet struct {
	t      *testing.T
	lab    *lab
	dir    string
	client *clientset.Clientset
	pods   map[types.UID]*process
}

// process is a pod that runs.
type process struct {
	cmd      *exec.Cmd
	network  string
	address  string
	exited   chan struct{}
	ready    bool
	stopping bool
}

func newKubelet(t *testing.T, l *lab, dir, kubeconfig string) *kubelet {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = -1, -1
	client, err := clientset.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &kubelet{t: t, lab: l, dir: dir, client: client, pods: map[types.UID]*process{}}
}

// run brings what runs to what should run, over and over.
func (k *kubelet) run(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		if n%40 == 0 {
			k.heartbeat(ctx)
		}
		list, err := k.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err == nil {
			for i := range list.Items {
				if pod := &list.Items[i]; pod.Spec.NodeName != "" {
					k.sync(ctx, pod)
				}
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (k *kubelet) heartbeat(ctx context.Context) {
	leases, err := k.client.CoordinationV1().Leases("kube-node-lease").List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	now := metav1.NowMicro()
	for i := range leases.Items {
		leases.Items[i].Spec.RenewTime = &now
		_, _ = k.client.CoordinationV1().Leases("kube-node-lease").Update(ctx, &leases.Items[i], metav1.UpdateOptions{})
	}
}

func (k *kubelet) sync(ctx context.Context, pod *corev1.Pod) {
	p := k.pods[pod.UID]
	switch {
	case p == nil && pod.DeletionTimestamp == nil:
		if err := k.begin(pod); err != nil {
			k.lab.say("pod %s: %v", pod.Name, err)
			return
		}
		k.tell(ctx, pod)
	case p == nil:
		k.gone(pod)
	case pod.DeletionTimestamp != nil && !p.stopping:
		p.stopping = true
		go k.end(pod, p)
	case !p.ready && pod.DeletionTimestamp == nil && p.answers(pod):
		p.ready = true
		k.tell(ctx, pod)
	}
}

// begin starts the program of a pod in a network of its own.
func (k *kubelet) begin(pod *corev1.Pod) error {
	c := pod.Spec.Containers[0]
	var found *image
	for _, candidate := range k.lab.imageList() {
		if candidate.names[0] == c.Image {
			found = &candidate
		}
	}
	if found == nil {
		return fmt.Errorf("no image %s", c.Image)
	}
	n := 2 + len(k.pods)
	p := &process{network: "p" + strconv.Itoa(n), address: fmt.Sprintf("172.7.%d.%d", n/250, n%250), exited: make(chan struct{})}
	env := map[string]string{"POD_NAME": pod.Name}
	for _, v := range c.Env {
		env[v.Name] = v.Value
	}
	env["DUBBO_IP_TO_REGISTRY"] = p.address
	for _, v := range found.env {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	options := map[string]string{}
	for option := range strings.FieldsSeq(env["C_OPTS"]) {
		if key, value, ok := strings.Cut(strings.TrimPrefix(option, "-D"), "="); ok && strings.HasPrefix(option, "-Ddubbo.") {
			options[key] = value
		}
	}
	config, err := dubboGoConfig(options)
	if err != nil {
		return err
	}
	file := filepath.Join(k.dir, pod.Name+".yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	env["DUBBO_GO_CONFIG_PATH"] = file
	script := fmt.Sprintf(`set -e
ip netns add %[1]s
ip link add v%[1]s type veth peer name eth0 netns %[1]s
ip link set v%[1]s master br0 up
ip -n %[1]s link set lo up
ip -n %[1]s address add %[2]s/16 dev eth0
ip -n %[1]s link set eth0 up
ip -n %[1]s route add default via 172.7.0.1
`, p.network, p.address)
	if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	log, err := os.Create(filepath.Join(k.dir, pod.Name+".log"))
	if err != nil {
		return err
	}
	p.cmd = exec.Command("nsenter", "--net=/run/netns/"+p.network, k.lab.path("bin", found.files["/"+env["JAR_BALL"]]))
	p.cmd.Stdout, p.cmd.Stderr = log, log
	for name, value := range env {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		err := p.cmd.Wait()
		k.lab.say("pod %s ended: %v", pod.Name, err)
		_ = log.Close()
		close(p.exited)
	}()
	k.pods[pod.UID] = p
	return nil
}

// answers says whether the readiness probe of a pod passes.
func (p *process) answers(pod *corev1.Pod) bool {
	port := pod.Spec.Containers[0].Ports[0].ContainerPort
	conn, err := net.DialTimeout("tcp4", net.JoinHostPort(p.address, strconv.Itoa(int(port))), time.Second)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// tell writes the status of a pod.
func (k *kubelet) tell(ctx context.Context, pod *corev1.Pod) {
	p, now := k.pods[pod.UID], metav1.Now()
	status := pod.Status.DeepCopy()
	ready := corev1.ConditionFalse
	if p.ready {
		ready = corev1.ConditionTrue
	}
	status.Phase, status.PodIP, status.PodIPs = corev1.PodRunning, p.address, []corev1.PodIP{{IP: p.address}}
	if status.StartTime == nil {
		status.StartTime = &now
	}
	status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: now}, {Type: corev1.PodInitialized, Status: corev1.ConditionTrue, LastTransitionTime: now}, {Type: corev1.ContainersReady, Status: ready, LastTransitionTime: now}, {Type: corev1.PodReady, Status: ready, LastTransitionTime: now}}
	c := pod.Spec.Containers[0]
	status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: c.Name, Image: c.Image, ImageID: c.Image, Ready: p.ready, Started: &p.ready, ContainerID: "process://" + p.network,
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: *status.StartTime}},
	}}
	for range 5 {
		live, err := k.client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil || live.UID != pod.UID {
			return
		}
		live.Status = *status
		if _, err = k.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, live, metav1.UpdateOptions{}); err == nil {
			return
		}
		k.lab.say("status of pod %s: %v", pod.Name, err)
	}
}

// end ends a pod as a kubelet does: preStop, SIGTERM, SIGKILL when the time is over.
func (k *kubelet) end(pod *corev1.Pod, p *process) {
	deadline := time.After(time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second)
	if hooks := pod.Spec.Containers[0].Lifecycle; hooks != nil && hooks.PreStop != nil && hooks.PreStop.Sleep != nil {
		select {
		case <-time.After(time.Duration(hooks.PreStop.Sleep.Seconds) * time.Second):
		case <-p.exited:
		case <-deadline:
		}
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-deadline:
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
	_ = exec.Command("ip", "netns", "delete", p.network).Run()
	k.gone(pod)
}

func (k *kubelet) gone(pod *corev1.Pod) {
	now := int64(0)
	_ = k.client.CoreV1().Pods(pod.Namespace).Delete(context.WithoutCancel(k.t.Context()), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &pod.UID}})
}
