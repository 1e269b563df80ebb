package look

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/internal/plain"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Obstacle is what a cluster has that stands in the way of a version of Kubernetes.
type Obstacle struct {
	// Where is an object, a node or what else is meant.
	Where   string `json:"where"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Warning is one that the upgrade would survive, or that could not be looked for.
	Warning bool `json:"warning,omitempty"`
}

func (o Obstacle) String() string {
	line := o.Where + ": " + o.Message
	if o.Hint != "" {
		line += " (" + o.Hint + ")"
	}
	return line
}

// Gone says of an API version that it is not there in 1.minor any more, and what took
// its place; "" of all others.
type Gone func(group, version, kind string, minor int) string

// Upgrade looks in a cluster for what stands in the way of Kubernetes 1.minor: versions
// of the control plane, nodes, container runtimes and cgroups, the mode of kube-proxy,
// API versions that clients ask for, and those that objects of a namespace were last
// written in. What may not be read is a warning.
//
// Sources: the version skew policy (kubernetes.io/releases/version-skew-policy),
// KEP-4033 (containerd 1.x ends with 1.35), KEP-5573 (cgroup v1), KEP-5495 (IPVS), and
// KEP-1693 (the metric of deprecated APIs).
func Upgrade(ctx context.Context, c *apply.Cluster, namespace string, minor int, gone Gone) ([]Obstacle, error) {
	u := &upgrade{c: c, minor: minor, gone: gone}
	for _, look := range []func(context.Context) error{u.server, u.nodes, u.proxy, u.requested} {
		if err := look(ctx); err != nil {
			return nil, err
		}
	}
	err := u.written(ctx, namespace)
	return u.found, err
}

type upgrade struct {
	c     *apply.Cluster
	minor int
	gone  Gone
	found []Obstacle
}

func (u *upgrade) add(where, message, hint string) {
	u.found = append(u.found, Obstacle{Where: where, Message: message, Hint: hint})
}

func (u *upgrade) warn(where, message, hint string) {
	u.found = append(u.found, Obstacle{Where: where, Message: message, Hint: hint, Warning: true})
}

// unless makes a warning of an answer that says that something may not be read, or is
// not there to answer.
func (u *upgrade) unless(where string, err error) error {
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		u.warn(where, "may not be read, and was not looked at", "")
		return nil
	}
	return fmt.Errorf("%s: %w", where, err)
}

var minorForm = regexp.MustCompile(`^v?1\.(\d+)`)

// minorOf is 36 of v1.36.2, and 0 of what is no version of Kubernetes.
func minorOf(version string) int {
	found := minorForm.FindStringSubmatch(version)
	if found == nil {
		return 0
	}
	n, _ := strconv.Atoi(found[1])
	return n
}

func (u *upgrade) server(ctx context.Context) error {
	info, err := u.c.Discovery.ServerVersionWithContext(ctx)
	if err != nil {
		return err
	}
	switch is := minorOf(info.GitVersion); {
	case is > u.minor:
		u.warn("kube-apiserver", fmt.Sprintf("it is %s already", info.GitVersion), "")
	case is < u.minor-1:
		u.add("kube-apiserver", "it is "+info.GitVersion+", and a control plane goes up one minor version at a time", fmt.Sprintf("1.%d first", is+1))
	}
	return nil
}

func (u *upgrade) nodes(ctx context.Context) error {
	data, err := u.c.REST.Get().AbsPath("/api/v1/nodes").Do(ctx).Raw()
	if err := u.unless("nodes", err); err != nil || data == nil {
		return err
	}
	var nodes corev1.NodeList
	if err := json.Unmarshal(data, &nodes); err != nil {
		return fmt.Errorf("nodes: %w", err)
	}
	for i := range nodes.Items {
		node := &nodes.Items[i]
		where, info := "Node/"+node.Name, node.Status.NodeInfo
		if is := minorOf(info.KubeletVersion); is > 0 && is < u.minor-3 {
			u.add(where, "its kubelet is "+info.KubeletVersion+": at most three minor versions behind the control plane work", fmt.Sprintf("1.%d or newer first", u.minor-3))
		}
		if runtime := info.ContainerRuntimeVersion; strings.HasPrefix(runtime, "containerd://1.") && u.minor >= 36 {
			u.add(where, runtime+": from Kubernetes 1.36 the kubelet needs containerd 2", "")
		}
		u.cgroup(ctx, node.Name)
	}
	return nil
}

var cgroupMetric = regexp.MustCompile(`(?m)^kubelet_cgroup_version(?:\{[^}]*\})? (\d)`)

// cgroup asks the kubelet of a node, by way of the API server.
func (u *upgrade) cgroup(ctx context.Context, node string) {
	if u.minor < 35 {
		return
	}
	where := "Node/" + node
	data, err := u.c.REST.Get().AbsPath("/api/v1/nodes", node, "proxy", "metrics").Do(ctx).Raw()
	if err != nil {
		u.warn(where, "its kubelet did not say which version of cgroups it has", "on the node: stat -fc %T /sys/fs/cgroup says cgroup2fs for version 2")
		return
	}
	if version := cgroupMetric.FindSubmatch(data); version != nil && string(version[1]) == "1" {
		u.add(where, "it has cgroups of version 1: from Kubernetes 1.35 the kubelet does not start there", "boot it with cgroup v2, or set failCgroupV1: false for a while")
	}
}

var ipvsForm = regexp.MustCompile(`(?m)^\s*mode:\s*"?ipvs"?\s*$`)

func (u *upgrade) proxy(ctx context.Context) error {
	const where = "ConfigMap/kube-system/kube-proxy"
	data, err := u.c.REST.Get().AbsPath("/api/v1/namespaces/kube-system/configmaps/kube-proxy").Do(ctx).Raw()
	if apierrors.IsNotFound(err) && u.minor >= 35 {
		u.warn("kube-proxy", "it is not configured by "+where+", so its mode is not known", "on a node: curl -s localhost:10249/proxyMode; ipvs is deprecated since Kubernetes 1.35")
	}
	if err := u.unless(where, err); err != nil || data == nil {
		return err
	}
	var config corev1.ConfigMap
	if err := json.Unmarshal(data, &config); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	if ipvsForm.MatchString(config.Data["config.conf"]) && u.minor >= 35 {
		u.warn(where, "mode ipvs is deprecated since Kubernetes 1.35", "go over to nftables")
	}
	return nil
}

var metricLabel = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)

// requested finds the deprecated API versions that clients asked this API server for
// since it started, whoever they are.
func (u *upgrade) requested(ctx context.Context) error {
	data, err := u.c.REST.Get().AbsPath("/metrics").Do(ctx).Raw()
	if err := u.unless("kube-apiserver's metrics", err); err != nil || data == nil {
		return err
	}
	u.found = append(u.found, deprecatedRequests(data, u.minor)...)
	return nil
}

// deprecatedRequests reads the metric in which an API server counts them.
func deprecatedRequests(metrics []byte, minor int) []Obstacle {
	var found []Obstacle
	for line := range strings.Lines(string(metrics)) {
		labels, ok := strings.CutPrefix(line, "apiserver_requested_deprecated_apis{")
		if !ok {
			continue
		}
		values := map[string]string{}
		for _, m := range metricLabel.FindAllStringSubmatch(labels, -1) {
			values[m[1]] = m[2]
		}
		removed := minorOf(values["removed_release"])
		if removed == 0 || removed > minor || values["subresource"] != "" {
			continue
		}
		name := strings.TrimPrefix(values["group"]+"/"+values["version"], "/") + " " + values["resource"]
		found = append(found, Obstacle{
			Where: "kube-apiserver", Message: fmt.Sprintf("clients ask for %s, which goes in 1.%d", name, removed),
			Hint: "the audit log (annotation k8s.io/deprecated) says which clients",
		})
	}
	return found
}

// written finds objects that were last written in an API version that is gone then:
// who wrote them will fail.
func (u *upgrade) written(ctx context.Context, namespace string) error {
	var found []Obstacle
	skipped, err := u.c.EachOf(ctx, namespace, func(o *unstructured.Unstructured) error {
		for _, e := range o.GetManagedFields() {
			gv, err := kschema.ParseGroupVersion(e.APIVersion)
			if err != nil {
				continue
			}
			if why := u.gone(gv.Group, gv.Version, o.GetKind(), u.minor); why != "" && len(found) <= mostWritten {
				found = append(found, Obstacle{
					Where: schema.RefOf(o).String(), Hint: why,
					Message: plain.Line(fmt.Sprintf("%s wrote it as %s (last write %s)", e.Manager, e.APIVersion, when(e.Time)), mostSaid),
				})
			}
		}
		return nil
	})
	if err != nil {
		return u.unless("namespace "+namespace, err)
	}
	if len(skipped) > 0 {
		u.warn("namespace "+namespace, "may not be read, and were not looked at: "+strings.Join(skipped, ", "), "")
	}
	slices.SortStableFunc(found, func(a, b Obstacle) int { return strings.Compare(a.Where, b.Where) })
	u.found = append(u.found, found[:min(len(found), mostWritten)]...)
	if len(found) > mostWritten {
		u.warn("namespace "+namespace, fmt.Sprintf("more than these %d were written in API versions that go", mostWritten), "")
	}
	return nil
}

// mostWritten bounds the objects that are told of as last written in an API version that
// goes, mostSaid what is said of one: who may write there may write many.
const (
	mostWritten = 1000
	mostSaid    = 500
)

func when(t *metav1.Time) string {
	if t == nil {
		return "unknown"
	}
	return t.UTC().Format("2006-01-02T15:04Z")
}
