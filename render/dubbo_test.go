package render_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/seed-428f4edd/evenkeel/internal/program"
	"github.com/seed-428f4edd/evenkeel/render"
)

// TestDubbo runs the programs of testdata/dubbo against a real ZooKeeper with
// the environment variables and files that are rendered for their pods, once for
// dev and once for test, each pod in a network namespace with an address of its
// own. It shows that an environment registers under its own root, that calls
// work within it, that none is lost when a provider is stopped, and that one
// environment does not see the other.
func TestDubbo(t *testing.T) {
	t.Parallel()
	needsPods(t)
	archive, err := txtar.ParseFile(filepath.Join("testdata", "dubbo.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	unpack(t, dir, archive)
	repo, err := render.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	results, err := repo.RenderAll(t.Context(), []string{"dev", "test"})
	if err != nil {
		t.Fatal(err)
	}
	dev, test := results[0], results[1]

	n := newPodNet(t)
	n.zookeeper()
	n.start(dev, "provider", "172.7.21.11")
	n.start(dev, "provider", "172.7.22.12")
	n.start(dev, "consumer", "172.7.21.13")
	n.start(test, "provider", "172.7.21.21")
	n.start(test, "consumer", "172.7.22.23")

	n.eventually("calls within dev", func() bool { return n.call("172.7.21.13").Provider.Environment == "dubbo-dev" })
	n.eventually("calls within test", func() bool { return n.call("172.7.22.23").Provider.Environment == "dubbo-test" })
	want := map[string][]string{
		"dubbo-dev":  {"dubbo://172.7.21.11:20880", "dubbo://172.7.22.12:20880"},
		"dubbo-test": {"dubbo://172.7.21.21:20880"},
	}
	if diff := cmp.Diff(want, n.providers()); diff != "" {
		t.Errorf("what is registered, by root (-want +got):\n%s", diff)
	}

	pods := map[string]bool{} // the registry knows both before the consumer does
	n.eventually("calls reach both providers of dev", func() bool {
		if a := n.call("172.7.21.13"); a.Error == "" {
			pods[a.Provider.Pod] = true
		}
		return len(pods) == 2
	})

	// One of two providers stops: no call fails meanwhile.
	stopped := n.stop("172.7.21.11")
	for calls := 0; ; calls++ {
		if got := n.call("172.7.21.13"); got.Provider.Environment != "dubbo-dev" {
			t.Fatalf("call %d while a provider stops: %+v", calls, got)
		}
		select {
		case err := <-stopped:
			if err != nil {
				t.Errorf("the provider's end: %v\n%s", err, n.log("172.7.21.11"))
			}
			if calls < 10 {
				t.Errorf("%d calls while a provider stopped, want more", calls)
			}
		default:
			continue
		}
		break
	}

	// The last one of dev stops: dev has none left, though test's would answer.
	<-n.stop("172.7.22.12") //nolint:errcheck // how it ends does not matter
	n.eventually("no provider left in dev", func() bool { return n.call("172.7.21.13").Error != "" })
	if got := n.call("172.7.22.23"); got.Provider.Environment != "dubbo-test" {
		t.Errorf("a call in test when dev's providers are gone: %+v", got)
	}
	// What a provider did not take back itself ends with its session.
	want = map[string][]string{"dubbo-test": want["dubbo-test"]}
	n.eventually("nothing of dev is registered", func() bool { return cmp.Equal(want, n.providers()) })
}

const zookeeperJar = "/usr/share/java/zookeeper.jar"

// needsPods skips a test where the machine cannot run it, and fails it in CI.
func needsPods(t *testing.T) {
	t.Helper()
	missing := func(format string, args ...any) {
		t.Helper()
		reason := fmt.Sprintf(format, args...)
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s; CI must have it", reason)
		}
		t.Skip(reason)
	}
	for _, name := range []string{"java", "ip", "curl", "unshare", "nsenter"} {
		if _, err := program.Find(name); err != nil {
			missing("%s is not installed (Debian: apt-get install zookeeper iproute2 curl)", name)
		}
	}
	if _, err := os.Stat(zookeeperJar); err != nil {
		missing("ZooKeeper is not installed (Debian: apt-get install zookeeper)")
	}
	if out, err := program.Command(t.Context(), "unshare", "--net", "--mount", "--pid", "--fork", "true").CombinedOutput(); err != nil || os.Geteuid() != 0 {
		missing("no right to make namespaces: run as root (%v %s)", err, bytes.TrimSpace(out))
	}
}

// A podNet is a bridge in a network namespace, with the ZooKeeper at 10.4.7.11,
// and pods on it. It ends with the test, or after podNetLife.
type podNet struct {
	t        *testing.T
	programs string // the directory of the built programs
	bridge   int    // a process in the bridge's namespace
	pods     map[string]*exec.Cmd
	logs     map[string]string // files
	last     answer            // of a consumer
}

const podNetLife = "120"

func newPodNet(t *testing.T) *podNet {
	t.Helper()
	n := &podNet{t: t, programs: t.TempDir(), pods: map[string]*exec.Cmd{}, logs: map[string]string{}}
	build := program.Command(t.Context(), "go", "build", "-trimpath", "-o", n.programs, "./provider", "./consumer")
	build.Dir = filepath.Join("..", "testdata", "dubbo")
	build.Env = append(build.Env, "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build in testdata/dubbo: %v\n%s", err, out)
	}
	n.bridge = n.hold("unshare", "--net", "--fork", "--kill-child", "sleep", podNetLife)
	for _, args := range []string{
		"link set lo up", "link add br0 type bridge", "link set br0 up",
		"address add 10.4.7.11/24 dev br0", "address add 172.7.0.1/16 dev br0",
	} {
		n.inBridge("ip", strings.Fields(args)...)
	}
	return n
}

// hold starts unshare and returns the id of the process that it forks.
func (n *podNet) hold(args ...string) int {
	n.t.Helper()
	cmd := program.Command(context.WithoutCancel(n.t.Context()), args[0], args[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		_ = cmd.Process.Kill() // takes the namespaces with it: --kill-child
		_ = cmd.Wait()
	})
	var pid int
	n.eventually("a process in new namespaces", func() bool {
		out, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid))
		if err == nil && len(out) > 0 {
			pid, err = strconv.Atoi(strings.Fields(string(out))[0])
			return err == nil
		}
		return false
	})
	return pid
}

func (n *podNet) inBridge(name string, args ...string) {
	n.t.Helper()
	if out, err := n.enter(n.bridge, name, args...).Output(); err != nil {
		n.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// enter is a command in the namespaces of a process.
func (n *podNet) enter(pid int, name string, args ...string) *exec.Cmd {
	return program.Command(context.WithoutCancel(n.t.Context()), "nsenter", append([]string{"--target", strconv.Itoa(pid), "--net", "--mount", name}, args...)...)
}

func (n *podNet) eventually(what string, holds func() bool) {
	n.t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			for pod := range n.logs {
				lines := strings.Split(n.log(pod), "\n")
				n.t.Logf("%s: %s", pod, strings.Join(lines[max(0, len(lines)-20):], "\n"))
			}
			n.t.Fatalf("not within 30 s: %s; last answer %+v", what, n.last)
		}
	}
}

// zookeeper starts the server at zk1.shop.example. Sessions last for 15 s, as a
// busy machine may not run a provider for some.
func (n *podNet) zookeeper() {
	n.t.Helper()
	dir := n.t.TempDir()
	config := filepath.Join(dir, "zoo.cfg")
	err := os.WriteFile(config, fmt.Appendf(nil, "tickTime=500\nminSessionTimeout=15000\nmaxSessionTimeout=15000\ndataDir=%s/data\nclientPort=2181\nadmin.enableServer=false\n", dir), 0o644)
	if err != nil {
		n.t.Fatal(err)
	}
	cmd := n.enter(n.bridge, "java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", zookeeperJar, "org.apache.zookeeper.server.ZooKeeperServerMain", config)
	n.run("zookeeper", cmd)
	n.eventually("ZooKeeper serves", func() bool { // it listens before, and then drops who comes
		return strings.Contains(n.zkCli("ls", "/"), "[zookeeper]")
	})
}

func (n *podNet) run(name string, cmd *exec.Cmd) {
	n.t.Helper()
	out, err := os.Create(filepath.Join(n.t.TempDir(), "log"))
	if err != nil {
		n.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.pods[name], n.logs[name] = cmd, out.Name()
	n.t.Cleanup(func() {
		if n.pods[name] != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		_ = out.Close()
	})
}

func (n *podNet) log(name string) string {
	text, err := os.ReadFile(n.logs[name])
	if err != nil {
		n.t.Fatal(err)
	}
	return string(text)
}

// podSetup gives a pod its own /etc, with what is mounted there, before it runs.
const podSetup = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /etc
cp -r "$1/etc/." /etc
touch "$1/ready"
exec sleep "$2"
`

// start runs an app's program as the kubelet would: with the variables and the
// files of its pod template, at the address.
func (n *podNet) start(res *render.Result, app, ip string) {
	n.t.Helper()
	env, files := podOf(n.t, res, app, ip)
	root := n.t.TempDir()
	files["/etc/hosts"] = "127.0.0.1 localhost\n10.4.7.11 zk1.shop.example\n"
	for path, text := range files {
		name := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			n.t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			n.t.Fatal(err)
		}
	}
	pid := n.hold("unshare", "--net", "--mount", "--fork", "--kill-child", "sh", "-c", podSetup, "sh", root, podNetLife)
	n.eventually("the pod "+ip, func() bool {
		_, err := os.Stat(filepath.Join(root, "ready"))
		return err == nil
	})
	port := "v" + ip[strings.LastIndexByte(ip, '.')+1:]
	n.inBridge("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(pid))
	n.inBridge("ip", "link", "set", port, "master", "br0", "up")
	for _, args := range []string{"link set lo up", "address add " + ip + "/16 dev eth0", "link set eth0 up", "route add default via 172.7.0.1"} {
		if out, err := n.enter(pid, "ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			n.t.Fatalf("ip %s: %v\n%s", args, err, out)
		}
	}
	cmd := n.enter(pid, filepath.Join(n.programs, app))
	cmd.Env = append(env, "POD_NAME="+app+"-"+ip)
	n.run(ip, cmd)
	// dubbo-go gives up where two providers make the same root at once
	n.eventually("the program of "+ip, func() bool { return strings.Contains(n.log(ip), "demo: serving HTTP") })
}

// stop sends SIGTERM to a pod's program; the channel has how it ended.
func (n *podNet) stop(ip string) <-chan error {
	n.t.Helper()
	cmd := n.pods[ip]
	n.pods[ip] = nil
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		n.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return ended
}

// answer is what a consumer says.
type answer struct {
	Provider struct{ Environment, Pod string }
	Error    string
}

func (n *podNet) call(ip string) (a answer) {
	n.t.Helper()
	out, err := n.enter(n.bridge, "curl", "-s", "-m", "10", "http://"+ip+":8080/hello?name=x").Output()
	if err == nil {
		err = json.Unmarshal(out, &a)
	}
	if err != nil {
		a.Error = fmt.Sprintf("the consumer does not answer: %v", err)
	}
	n.last = a
	return a
}

var providerNode = regexp.MustCompile(`^/([^/]+)/com\.od\.dubbotest\.api\.HelloService/providers/(.+)$`)

// providers are the addresses that the registry holds, by root.
func (n *podNet) providers() map[string][]string {
	n.t.Helper()
	byRoot := map[string][]string{}
	for line := range strings.Lines(n.zkCli("ls", "-R", "/")) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "/") || strings.HasPrefix(line, "/zookeeper") {
			continue
		}
		if root, _, _ := strings.Cut(line[1:], "/"); root != "" && root != "dubbo-dev" && root != "dubbo-test" {
			n.t.Errorf("a root beside those of the environments: %s", line)
		}
		if m := providerNode.FindStringSubmatch(line); m != nil {
			text, err := url.PathUnescape(m[2])
			if err != nil {
				n.t.Fatal(err)
			}
			u, err := url.Parse(text)
			if err != nil {
				n.t.Fatal(err)
			}
			byRoot[m[1]] = append(byRoot[m[1]], u.Scheme+"://"+u.Host)
		}
	}
	for _, addresses := range byRoot {
		slices.Sort(addresses)
	}
	return byRoot
}

// zkCli is what ZooKeeper's own client prints; nothing where it fails.
func (n *podNet) zkCli(args ...string) string {
	out, _ := n.enter(n.bridge, "timeout", append([]string{
		"10", "java", "-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", zookeeperJar,
		"org.apache.zookeeper.ZooKeeperMain", "-server", "10.4.7.11:2181",
	}, args...)...).Output()
	return string(out)
}

// podOf is what the kubelet would give the container of an app's pod: variables
// and files.
func podOf(t *testing.T, res *render.Result, app, ip string) (env []string, files map[string]string) {
	t.Helper()
	var deployment appsv1.Deployment
	configMaps := map[string]corev1.ConfigMap{}
	for _, o := range res.Env.Unit(app).Objects {
		var err error
		switch o.GetKind() {
		case "Deployment":
			err = runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &deployment)
		case "ConfigMap":
			var cm corev1.ConfigMap
			err = runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &cm)
			configMaps[cm.Name] = cm
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	pod := deployment.Spec.Template.Spec
	container := pod.Containers[0]
	for _, v := range container.Env {
		switch {
		case v.ValueFrom == nil:
			env = append(env, v.Name+"="+v.Value)
		case v.ValueFrom.FieldRef != nil && v.ValueFrom.FieldRef.FieldPath == "status.podIP":
			env = append(env, v.Name+"="+ip)
		default:
			t.Fatalf("%s %s: this test has no value for it", app, v.Name)
		}
	}
	files = map[string]string{}
	for _, mount := range container.VolumeMounts {
		for _, volume := range pod.Volumes {
			if volume.Name != mount.Name || volume.ConfigMap == nil {
				continue
			}
			cm, ok := configMaps[volume.ConfigMap.Name]
			if !ok {
				t.Fatalf("%s mounts ConfigMap %s, which is not rendered", app, volume.ConfigMap.Name)
			}
			for key, text := range cm.Data {
				paths := map[string]string{key: key}
				if len(volume.ConfigMap.Items) > 0 {
					paths = map[string]string{}
					for _, item := range volume.ConfigMap.Items {
						paths[item.Key] = item.Path
					}
				}
				switch path, ok := paths[key]; {
				case !ok:
				case mount.SubPath == "":
					files[filepath.Join(mount.MountPath, path)] = text
				case mount.SubPath == path:
					files[mount.MountPath] = text
				}
			}
		}
	}
	if len(files) == 0 {
		t.Fatalf("%s: no files are rendered", app)
	}
	return env, files
}
