package look

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

func TestMain(m *testing.M) { os.Exit(applytest.Main(m)) }

// TestUpgrade looks in a cluster with an old node, kube-proxy in the mode ipvs, and an
// object that was last written in an API version that is gone.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	namespace := applytest.Namespace(t, cfg, "look")
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "old-" + namespace}}
	node.Spec.Taints = []corev1.Taint{{Key: "test", Effect: corev1.TaintEffectNoSchedule}}
	if node, err = client.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.CoreV1().Nodes().Delete(t.Context(), node.Name, metav1.DeleteOptions{}) })
	// Whoever plays the kubelet fills in the status first.
	status := []byte(`{"status":{"nodeInfo":{"kubeletVersion":"v1.33.4","containerRuntimeVersion":"containerd://1.7.20"}}}`)
	for deadline := time.Now().Add(time.Minute); len(node.Status.Conditions) == 0 || node.Status.NodeInfo.KubeletVersion != "v1.33.4"; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the node stays %+v", node.Status)
		}
		if len(node.Status.Conditions) > 0 {
			if _, err := client.CoreV1().Nodes().PatchStatus(t.Context(), node.Name, status); err != nil {
				t.Fatal(err)
			}
			time.Sleep(200 * time.Millisecond)
		}
		if node, err = client.CoreV1().Nodes().Get(t.Context(), node.Name, metav1.GetOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	proxy := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kube-proxy"}, Data: map[string]string{"config.conf": "kind: KubeProxyConfiguration\nmode: \"ipvs\"\n"}}
	if _, err := client.CoreV1().ConfigMaps("kube-system").Create(t.Context(), proxy, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	old := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "old"}, Data: map[string]string{"a": "b"}}
	if _, err := client.CoreV1().ConfigMaps(namespace).Create(t.Context(), old, metav1.CreateOptions{FieldManager: "kubectl-create"}); err != nil {
		t.Fatal(err)
	}
	c, err := apply.Connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	gone := func(group, version, kind string, minor int) string {
		if group == "" && version == "v1" && kind == "ConfigMap" && minor >= 38 {
			return "use v2"
		}
		return ""
	}
	found, err := Upgrade(t.Context(), c, namespace, 38, gone)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, o := range found {
		lines = append(lines, fmt.Sprint(o.Warning, " ", o))
	}
	all := strings.Join(lines, "\n")
	for _, want := range []string{
		"false Node/" + node.Name + ": its kubelet is v1.33.4: at most three minor versions behind the control plane work (1.35 or newer first)",
		"false Node/" + node.Name + ": containerd://1.7.20: from Kubernetes 1.36 the kubelet needs containerd 2",
		"true Node/" + node.Name + ": its kubelet did not say which version of cgroups it has (on the node: stat -fc %T /sys/fs/cgroup says cgroup2fs for version 2)",
		"true ConfigMap/kube-system/kube-proxy: mode ipvs is deprecated since Kubernetes 1.35 (go over to nftables)",
		"false ConfigMap/" + namespace + "/old: kubectl-create wrote it as v1",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("not said: %s\n%s", want, all)
		}
	}
	if found, err = Upgrade(t.Context(), c, namespace, 40, gone); err != nil || !slices.ContainsFunc(found, func(o Obstacle) bool {
		return o.Where == "kube-apiserver" && strings.Contains(o.Message, "one minor version at a time")
	}) {
		t.Errorf("two versions ahead: %v, %v", found, err)
	}
}

// TestDeprecatedRequests reads what an API server counts.
func TestDeprecatedRequests(t *testing.T) {
	t.Parallel()
	metrics := `# HELP apiserver_requested_deprecated_apis Gauge of deprecated APIs that have been requested
apiserver_requested_deprecated_apis{group="flowcontrol.apiserver.k8s.io",removed_release="1.32",resource="flowschemas",subresource="",version="v1beta3"} 1
apiserver_requested_deprecated_apis{group="flowcontrol.apiserver.k8s.io",removed_release="1.32",resource="flowschemas",subresource="status",version="v1beta3"} 1
apiserver_requested_deprecated_apis{group="",removed_release="",resource="endpoints",subresource="",version="v1"} 1
apiserver_request_total{group="policy",version="v1"} 3
`
	found := deprecatedRequests([]byte(metrics), 32)
	if len(found) != 1 || found[0].Message != "clients ask for flowcontrol.apiserver.k8s.io/v1beta3 flowschemas, which goes in 1.32" {
		t.Errorf("found %v", found)
	}
	if found := deprecatedRequests([]byte(metrics), 31); len(found) > 0 {
		t.Errorf("of 1.31: %v", found)
	}
}
