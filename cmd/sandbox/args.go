package main

import "strconv"

// unlimited is the client-side limit of requests per second of the components.
// At their defaults of 20 to 50 a namespace of a few hundred objects takes a
// minute to delete.
const unlimited = 10000

func (c *cluster) apiserverArgs(port int) []string {
	return []string{
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(port),
		"--etcd-servers=unix://" + etcdSocket(c.dataDir),
		"--cert-dir=" + c.dataDir,
		"--tls-cert-file=" + c.path("kube-apiserver.crt"),
		"--tls-private-key-file=" + c.path("kube-apiserver.key"),
		"--client-ca-file=" + c.path("ca.crt"),
		"--kubelet-client-certificate=" + c.path("kubelet-client.crt"),
		"--kubelet-client-key=" + c.path("kubelet-client.key"),
		"--kubelet-certificate-authority=" + c.path("ca.crt"),
		// The addresses of the nodes lead nowhere; their InternalDNS is this host.
		"--kubelet-preferred-address-types=InternalDNS",
		"--requestheader-client-ca-file=" + c.path("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.path("front-proxy-client.crt"),
		"--proxy-client-key-file=" + c.path("front-proxy-client.key"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.path("service-account.crt"),
		"--service-account-signing-key-file=" + c.path("service-account.key"),
		"--service-cluster-ip-range=" + c.serviceCIDR,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		// An endpoint on the loopback interface is not valid, so there is none.
		"--endpoint-reconciler-type=none",
		"--profiling=false",
	}
}

func (c *cluster) controllerManagerArgs() []string {
	kubeconfig := c.path("kube-controller-manager.kubeconfig")
	return append(c.clientArgs(kubeconfig),
		"--authentication-kubeconfig="+kubeconfig,
		"--authorization-kubeconfig="+kubeconfig,
		"--root-ca-file="+c.path("ca.crt"),
		"--service-account-private-key-file="+c.path("service-account.key"),
		"--cluster-signing-cert-file="+c.path("ca.crt"),
		"--cluster-signing-key-file="+c.path("ca.key"),
		"--allocate-node-cidrs=true",
		"--cluster-cidr="+c.podCIDR,
		"--service-cluster-ip-range="+c.serviceCIDR,
		"--use-service-account-credentials=true",
		"--concurrent-deployment-syncs=20",
		"--concurrent-replicaset-syncs=20",
		"--concurrent-namespace-syncs=20",
	)
}

func (c *cluster) schedulerArgs() []string {
	kubeconfig := c.path("kube-scheduler.kubeconfig")
	return append(c.clientArgs(kubeconfig),
		"--authentication-kubeconfig="+kubeconfig,
		"--authorization-kubeconfig="+kubeconfig,
	)
}

// clientArgs are those that controller manager and scheduler have in common. They
// serve nothing: no port, no leader election with only one of them.
func (c *cluster) clientArgs(kubeconfig string) []string {
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--kube-api-qps=" + strconv.Itoa(unlimited),
		"--kube-api-burst=" + strconv.Itoa(unlimited),
		"--leader-elect=false",
		"--secure-port=0",
		"--profiling=false",
	}
}

// kwokArgs has no limit of requests to raise: kwok's client has none.
func (c *cluster) kwokArgs() []string {
	return []string{
		"--kubeconfig=" + c.path("kwok.kubeconfig"),
		"--config=" + c.path("kwok.yaml"),
		"--manage-all-nodes=true",
		"--v=WARN",
		"--node-lease-duration-seconds=40",
		"--cidr=" + c.podCIDR,
	}
}
