package main

import (
	"context"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/version"
)

// node is a machine that does not exist.
type node struct {
	name    string
	address netip.Addr
}

// createNodes registers the nodes as their kubelets would.
func createNodes(ctx context.Context, client kubernetes.Interface, nodes []node, kubeletPort int) error {
	for _, n := range nodes {
		_, err := client.CoreV1().Nodes().Create(ctx, n.object(kubeletPort), metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

func (n node) object(kubeletPort int) *corev1.Node {
	// Large enough that only a pod that means to is unschedulable.
	resources := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("1000"),
		corev1.ResourceMemory:           resource.MustParse("4Ti"),
		corev1.ResourceEphemeralStorage: resource.MustParse("10Ti"),
		corev1.ResourcePods:             resource.MustParse("100000"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: n.name,
			Labels: map[string]string{
				corev1.LabelHostname:           n.name,
				corev1.LabelOSStable:           "linux",
				corev1.LabelArchStable:         "amd64",
				"type":                         "kwok",
				"node-role.kubernetes.io/node": "",
			},
			Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"},
		},
		Status: corev1.NodeStatus{
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: n.address.String()},
				{Type: corev1.NodeHostName, Address: n.name},
				{Type: corev1.NodeInternalDNS, Address: "localhost"},
			},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(kubeletPort)}},
			Capacity:        resources,
			Allocatable:     resources,
			NodeInfo: corev1.NodeSystemInfo{
				Architecture:            "amd64",
				OperatingSystem:         "linux",
				OSImage:                 "simulated",
				KubeletVersion:          version.Get().GitVersion,
				ContainerRuntimeVersion: "containerd://2.1.4",
			},
		},
	}
}

// nodesReady is nil when pods can run: every node is Ready, has a pod CIDR and no
// taint, and the service account that pods run as is there.
func nodesReady(ctx context.Context, client kubernetes.Interface, nodes []node) error {
	for _, n := range nodes {
		live, err := client.CoreV1().Nodes().Get(ctx, n.name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !isReady(live) || live.Spec.PodCIDR == "" || len(live.Spec.Taints) > 0 {
			return fmt.Errorf("node %s: ready %t, pod CIDR %q, %d taints", n.name, isReady(live), live.Spec.PodCIDR, len(live.Spec.Taints))
		}
	}
	_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err
}

func isReady(n *corev1.Node) bool {
	for _, condition := range n.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
