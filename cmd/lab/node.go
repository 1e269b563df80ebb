package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// startNodes starts both nodes and waits until they have registered. They are not
// ready before there is a CNI: flannel is for evenkeel to apply.
func (l *lab) startNodes(ctx context.Context) error {
	var names []string
	group, groupCtx := errgroup.WithContext(ctx)
	for _, h := range hosts() {
		if h.node {
			names = append(names, h.fqdn())
			group.Go(func() error { return l.startNode(groupCtx, h) })
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return wait(ctx, 2*time.Minute, "two registered nodes", func() error {
		_, err := l.on(ctx, opsHost, append([]string{"kubectl", "get", "node"}, names...)...)
		return err
	})
}

func (l *lab) startNode(ctx context.Context, h host) error {
	dir := l.state("hosts", h.name)
	plugins, err := os.ReadDir(l.path("bin", "cni"))
	if err != nil {
		return err
	}
	for _, p := range plugins {
		if p.Name() == "flannel" { // comes with its image
			continue
		}
		data, err := os.ReadFile(l.path("bin", "cni", p.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "optcni", "bin", p.Name()), data, 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"containerd.toml": containerdConfig, "kubelet.yaml": fmt.Sprintf(kubeletConfig, clusterDNS, shared), "kube-proxy.yaml": fmt.Sprintf(proxyConfig, podCIDR, h.fqdn(), shared),
	} {
		if err := os.WriteFile(filepath.Join(dir, "run", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := l.start(ctx, h.name, "containerd", l.path("bin", "containerd"), "--config", "/run/containerd.toml"); err != nil {
		return err
	}
	err = wait(ctx, time.Minute, "containerd of "+h.name, func() error {
		_, err := l.on(ctx, h.name, "ctr", "version")
		return err
	})
	if err != nil {
		return l.logged(err, h.name, "containerd")
	}
	if err := l.importImages(ctx, h); err != nil {
		return err
	}
	err = l.start(ctx, h.name, "kubelet", l.path("bin", "kubelet"), "--config=/run/kubelet.yaml",
		"--kubeconfig="+shared+"/pki/"+h.fqdn()+".kubeconfig", "--node-ip="+h.address, "--hostname-override="+h.fqdn(), "--v=2")
	if err != nil {
		return err
	}
	return l.start(ctx, h.name, "kube-proxy", l.path("bin", "kube-proxy"), "--config=/run/kube-proxy.yaml", "--v=2")
}

// importImages gives a node the images that it cannot pull: no registry is reachable.
func (l *lab) importImages(ctx context.Context, h host) error {
	have, err := l.on(ctx, h.name, "ctr", "-n", "k8s.io", "images", "list", "-q")
	if err != nil {
		return err
	}
	for _, image := range l.imageList() {
		if strings.Contains(have, image.names[0]) {
			continue
		}
		if _, err := l.on(ctx, h.name, "ctr", "-n", "k8s.io", "images", "import", "--digests=false", l.path("images", image.file+".tar")); err != nil {
			return err
		}
	}
	return nil
}

const containerdConfig = `version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = 'localhost/pause:1'
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = 'runc'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = 'io.containerd.runc.v2'
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        BinaryName = '/usr/sbin/runc'
        SystemdCgroup = false
`

const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
clusterDNS: [%s]
clusterDomain: cluster.local
resolvConf: /etc/resolv.conf
maxOpenFiles: 20000
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %s/pki/ca.crt}}
authorization: {mode: Webhook}
evictionHard: {memory.available: 100Mi, nodefs.available: 1%%, imagefs.available: 1%%}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
nodeStatusReportFrequency: 30s
`

const proxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: %s
hostnameOverride: %s
clientConnection: {kubeconfig: %s/pki/kube-proxy.kubeconfig}
conntrack: {maxPerCore: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
`
