package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// up brings the data centre up, in the order in which a site is built: hosts, the
// name server, the registry, the edge, the control plane, the nodes.
func (l *lab) up(ctx context.Context) error {
	if err := l.checkMachine(); err != nil {
		return err
	}
	if _, err := os.Stat(l.state()); err == nil {
		return fmt.Errorf("%s is there: a lab runs, or one was not taken down: lab down", l.state())
	}
	begin := time.Now()
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"keys and kubeconfigs", func(context.Context) error { return l.writeKeys() }},
		{"images", l.images},
		{"hosts on the LAN 10.4.7.0/24", l.startHosts},
		{"ZooKeeper on hdss7-11, hdss7-12 and hdss7-21", l.startZooKeeper},
		{"etcd and two API servers", l.startAPI},
		{"the edge, by nothing but evenkeel edge", l.startEdge},
		{"name server on " + nameServer, l.startDNS},
		{"controller manager and scheduler", l.startControllers},
		{"nodes", l.startNodes},
	} {
		l.say("%s", step.what)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	l.say("up after %s: an empty cluster of two nodes. Next:", time.Since(begin).Round(time.Second))
	fmt.Fprintf(l.out, `
  %[1]s run -- kubectl get nodes
  %[1]s run -- evenkeel apply infra --yes
  make test-lab
`, l.path("bin", "lab"))
	return nil
}

// checkMachine says what the machine lacks, all of it at once.
func (l *lab) checkMachine() error {
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root: namespaces, mounts and cgroups are its alone")
	}
	for program, pkg := range map[string]string{
		"nginx": "nginx libnginx-mod-stream", "keepalived": "keepalived", "runc": "runc", "nft": "nftables", "iptables": "iptables", "conntrack": "conntrack",
		"java": "zookeeper", "busybox": "busybox-static", "ip": "iproute2", "nsenter": "util-linux", "curl": "curl", "openssl": "openssl",
	} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program+" (Debian: "+pkg+")")
		}
	}
	for path, pkg := range map[string]string{"/usr/share/java/zookeeper.jar": "zookeeper", "/usr/lib/nginx/modules/ngx_stream_module.so": "libnginx-mod-stream"} {
		if _, err := os.Stat(path); err != nil {
			missing = append(missing, path+" (Debian: "+pkg+")")
		}
	}
	for _, name := range programs() {
		if _, err := os.Stat(l.path("bin", name)); err != nil {
			missing = append(missing, name+" (lab build)")
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("this machine lacks:\n  %s", strings.Join(missing, "\n  "))
	}
	return nil
}

func (l *lab) startHosts(ctx context.Context) error {
	for _, h := range hosts() {
		if err := l.startHost(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// startZooKeeper runs Debian's ZooKeeper as an ensemble of three.
func (l *lab) startZooKeeper(ctx context.Context) error {
	var config strings.Builder
	config.WriteString("tickTime=2000\ninitLimit=10\nsyncLimit=5\nclientPort=2181\ndataDir=/var/lib/zookeeper\nadmin.enableServer=false\n4lw.commands.whitelist=*\n")
	for _, h := range hosts() {
		if h.zookeeper > 0 {
			fmt.Fprintf(&config, "server.%d=%s:2888:3888\n", h.zookeeper, h.address)
		}
	}
	if err := os.WriteFile(l.state("shared", "zoo.cfg"), []byte(config.String()), 0o644); err != nil {
		return err
	}
	for _, h := range hosts() {
		if h.zookeeper > 0 {
			if err := l.startZooKeeperOn(ctx, h); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *lab) startZooKeeperOn(ctx context.Context, h host) error {
	id := fmt.Sprintf("%d\n", h.zookeeper)
	if err := os.WriteFile(l.state("hosts", h.name, "zookeeper", "myid"), []byte(id), 0o644); err != nil {
		return err
	}
	// without container support: Java trips over the cgroups of a node
	return l.start(ctx, h.name, "zookeeper", "java", fmt.Sprintf("-Xmx%dm", zookeeperMax), "-XX:+UseSerialGC", "-XX:-UseContainerSupport",
		"-cp", "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar", "org.apache.zookeeper.server.quorum.QuorumPeerMain", shared+"/zoo.cfg")
}

// startAPI runs etcd on the operators' host and an API server on each node, as
// processes of the host and not as pods, as on the site.
func (l *lab) startAPI(ctx context.Context) error {
	if err := os.MkdirAll(l.state("shared", "etcd"), 0o700); err != nil {
		return err
	}
	if err := l.start(ctx, opsHost, "etcd", l.repo(".cache", "bin", "sandbox"), "component", "etcd", shared+"/etcd"); err != nil {
		return err
	}
	err := wait(ctx, 30*time.Second, "etcd's socket", func() error {
		_, err := os.Stat(l.state("shared", "etcd", "etcd.sock"))
		return err
	})
	if err != nil {
		return l.logged(err, opsHost, "etcd")
	}
	for _, h := range hosts() {
		if h.node {
			if err := l.startAPIOn(ctx, h); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *lab) startAPIOn(ctx context.Context, h host) error {
	pki := shared + "/pki/"
	return l.start(ctx, h.name, "kube-apiserver", l.repo(".cache", "bin", "sandbox"), "component", "kube-apiserver",
		"--bind-address="+h.address, "--advertise-address="+h.address, "--secure-port=6443",
		"--etcd-servers=unix://"+shared+"/etcd/etcd.sock", "--cert-dir=/run",
		"--tls-cert-file="+pki+"kube-apiserver.crt", "--tls-private-key-file="+pki+"kube-apiserver.key",
		"--client-ca-file="+pki+"ca.crt",
		"--kubelet-client-certificate="+pki+"kubelet-client.crt", "--kubelet-client-key="+pki+"kubelet-client.key",
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file="+pki+"service-account.crt", "--service-account-signing-key-file="+pki+"service-account.key",
		"--service-cluster-ip-range="+serviceCIDR, "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true", "--profiling=false")
}

func (l *lab) startControllers(ctx context.Context) error {
	pki := shared + "/pki/"
	err := wait(ctx, 2*time.Minute, "the API server at "+apiURL, func() error {
		_, err := l.on(ctx, opsHost, "kubectl", "get", "--raw", "/readyz")
		return err
	})
	if err != nil {
		return l.logged(err, "hdss7-21", "kube-apiserver")
	}
	sandbox := l.repo(".cache", "bin", "sandbox")
	err = l.start(ctx, opsHost, "kube-controller-manager", sandbox, "component", "kube-controller-manager",
		"--kubeconfig="+pki+"kube-controller-manager.kubeconfig", "--root-ca-file="+pki+"ca.crt",
		"--service-account-private-key-file="+pki+"service-account.key",
		"--cluster-signing-cert-file="+pki+"ca.crt", "--cluster-signing-key-file="+pki+"ca.key",
		"--allocate-node-cidrs=true", "--cluster-cidr="+podCIDR, "--service-cluster-ip-range="+serviceCIDR,
		"--use-service-account-credentials=true", "--leader-elect=false", "--secure-port=0", "--profiling=false")
	return errors.Join(err, l.start(ctx, opsHost, "kube-scheduler", sandbox, "component", "kube-scheduler",
		"--kubeconfig="+pki+"kube-scheduler.kubeconfig", "--leader-elect=false", "--secure-port=0", "--profiling=false"))
}

// logged adds the end of a daemon's log to an error.
func (l *lab) logged(err error, host, log string) error {
	return fmt.Errorf("%w\n%s of %s:\n%s", err, log, host, tail(filepath.Join(l.state("hosts", host, "log"), log+".log")))
}
