package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// readyTimeout bounds the start; on an idle machine it takes a tenth of it.
const readyTimeout = 2 * time.Minute

// cluster is one running control plane.
type cluster struct {
	upOptions
	nodeList   []node
	apiAddress string // where the API server listens
	url        string // where clients go: the API server or the delaying proxy
	kubeconfig string
	entry      *entry
	children   *children
	listeners  []net.Listener
	client     *kubernetes.Clientset
}

// newCluster checks the options and takes possession of the data directory.
func newCluster(opts upOptions) (*cluster, error) {
	nodes, err := parseNodes(opts.nodes)
	if err != nil {
		return nil, err
	}
	dir, err := prepareDataDir(opts.dataDir)
	if err != nil {
		return nil, err
	}
	opts.dataDir = dir
	c := &cluster{upOptions: opts, nodeList: nodes, kubeconfig: opts.kubeconfig, children: newChildren(dir)}
	if c.kubeconfig == "" {
		c.kubeconfig = filepath.Join(dir, "kubeconfig")
	}
	if c.kubeconfig, err = filepath.Abs(c.kubeconfig); err != nil {
		return nil, err
	}
	if err := refuseForeignFile(c.kubeconfig); err != nil {
		return nil, err
	}
	c.entry, err = register(entry{PID: os.Getpid(), DataDir: dir, Kubeconfig: c.kubeconfig})
	return c, err
}

// prepareDataDir makes the directory, a temporary one where none is given. One
// that holds something is refused, because all of it is removed at the stop.
func prepareDataDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "evenkeel-sandbox-")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("--data-dir %s: not empty, and the sandbox would remove it when it stops", dir)
	}
	return dir, err
}

// start starts everything and returns when pods can be scheduled.
func (c *cluster) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	serviceCIDR, err := netip.ParsePrefix(c.serviceCIDR)
	if err != nil {
		return fmt.Errorf("--service-cidr: %w", err)
	}
	if err := c.writeCertificates(serviceCIDR.Masked().Addr().Next()); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	c.apiAddress = fmt.Sprintf("127.0.0.1:%d", port)
	if err := c.children.start("etcd", c.dataDir); err != nil {
		return err
	}
	if err := c.children.start(apiserverName, c.apiserverArgs(port)...); err != nil {
		return err
	}
	if err := c.writeKubeconfigs(); err != nil {
		return err
	}
	kubeletPort, err := c.serveKubelet()
	if err != nil {
		return err
	}
	if err := writeStages(c.path("kwok.yaml"), c.nodeList); err != nil {
		return err
	}
	if err := c.waitFor(ctx, "the API server", c.apiReady); err != nil {
		return err
	}
	if err := createNodes(ctx, c.client, c.nodeList, kubeletPort); err != nil {
		return err
	}
	if err := createStorageClasses(ctx, c.client); err != nil {
		return err
	}
	for _, component := range []struct {
		name string
		args []string
	}{
		{"kube-controller-manager", c.controllerManagerArgs()},
		{"kube-scheduler", c.schedulerArgs()},
		{"kwok", c.kwokArgs()},
	} {
		if err := c.children.start(component.name, component.args...); err != nil {
			return err
		}
	}
	return c.waitFor(ctx, "the nodes", c.nodesReady)
}

// stop ends the components and removes every file of the sandbox.
func (c *cluster) stop() error {
	for _, listener := range c.listeners {
		_ = listener.Close()
	}
	c.children.stop()
	return c.entry.unregister()
}

// writeCertificates writes what the components prove themselves by. serviceIP is
// the cluster IP that the API server has inside the cluster.
func (c *cluster) writeCertificates(serviceIP netip.Addr) error {
	ca, err := newAuthority(c.dataDir, "ca")
	if err != nil {
		return err
	}
	proxyCA, err := newAuthority(c.dataDir, "front-proxy-ca")
	if err != nil {
		return err
	}
	loopback := net.IPv4(127, 0, 0, 1)
	return errors.Join(
		ca.server("kube-apiserver", []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
			[]net.IP{loopback, serviceIP.AsSlice()}),
		ca.server("kubelet", []string{"localhost"}, []net.IP{loopback}),
		ca.server("service-account", nil, nil), // only its key is used
		ca.client("admin", "sandbox-admin", "system:masters"),
		ca.client("kube-controller-manager", "system:kube-controller-manager"),
		ca.client("kube-scheduler", "system:kube-scheduler"),
		ca.client("kwok", "kwok", "system:masters"),
		ca.client("kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
		proxyCA.client("front-proxy-client", "front-proxy-client"),
	)
}

// writeKubeconfigs writes those of the components, which go straight to the API
// server, and the user's, which goes through the delay where one is asked for.
func (c *cluster) writeKubeconfigs() error {
	direct := "https://" + c.apiAddress
	for _, name := range []string{"kube-controller-manager", "kube-scheduler", "kwok"} {
		if err := writeKubeconfig(c.path(name+".kubeconfig"), name, direct, c.dataDir, name); err != nil {
			return err
		}
	}
	c.url = direct
	if c.latency > 0 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		c.listeners = append(c.listeners, listener)
		c.url = "https://" + listener.Addr().String()
		go func() { c.children.exited <- serveDelayed(listener, c.apiAddress, c.latency) }()
	}
	if err := writeKubeconfig(c.kubeconfig, c.context, c.url, c.dataDir, "admin"); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.path("kwok.kubeconfig"))
	if err != nil {
		return err
	}
	config.QPS = -1
	config.Proxy = nil
	c.client, err = kubernetes.NewForConfig(rest.AddUserAgent(config, "sandbox"))
	return err
}

// waitFor asks until the answer is nil. It ends early when a component does.
func (c *cluster) waitFor(ctx context.Context, what string, ready func(context.Context) error) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s not ready: %w", what, err)
		case err := <-c.children.exited:
			return err
		case <-ticker.C:
		}
	}
}

func (c *cluster) apiReady(ctx context.Context) error {
	return c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

func (c *cluster) nodesReady(ctx context.Context) error {
	return nodesReady(ctx, c.client, c.nodeList)
}

func (c *cluster) path(name string) string { return filepath.Join(c.dataDir, name) }

func etcdSocket(dir string) string { return filepath.Join(dir, "etcd.sock") }

// freePort returns a port of the loopback interface that was free a moment ago. It lies
// below those that Linux gives to connections (32768 and up, ip_local_port_range), or
// one of another process might take it in between.
func freePort() (port int, err error) {
	for range 100 {
		port = 20000 + rand.IntN(10000)
		var listener net.Listener
		if listener, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, listener.Close()
		}
	}
	return 0, err
}

// parseNodes reads NAME[=ADDRESS]. Addresses that are not given count up from
// 10.4.7.21.
func parseNodes(values []string) ([]node, error) {
	next := netip.AddrFrom4([4]byte{10, 4, 7, 21})
	var nodes []node
	for _, value := range values {
		name, text, given := strings.Cut(value, "=")
		address := next
		if given {
			var err error
			if address, err = netip.ParseAddr(text); err != nil {
				return nil, fmt.Errorf("--nodes %s: %w", value, err)
			}
		}
		nodes = append(nodes, node{name: name, address: address})
		next = address.Next()
	}
	if len(nodes) == 0 {
		return nil, errors.New("--nodes: at least one")
	}
	return nodes, nil
}
