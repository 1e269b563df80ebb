package render_test

func checklist() []assertion {
	const (
		flannel   = "infra DaemonSet/kube-flannel-ds"
		cni       = "infra ConfigMap/kube-flannel-cfg"
		dns       = "infra Deployment/coredns"
		corefile  = "infra ConfigMap/coredns"
		traefik   = "infra DaemonSet/traefik"
		traefikRO = "infra ClusterRole/traefik-traefik"
		dashboard = "infra Deployment/kubernetes-dashboard"
		headlamp  = "systems Deployment/headlamp"
		edge      = "infra Edge/edge"
		provider  = "dev Deployment/dubbo-demo-service"
		consumer  = "dev Deployment/dubbo-demo-consumer"
	)
	return []assertion{
		{system: "flannel", says: "the namespace enforces privileged", check: is("infra Namespace/kube-flannel", "metadata.labels.pod-security.kubernetes.io/enforce", "privileged")},
		{system: "flannel", says: "Network is the cluster CIDR of the site", check: is(cni, "data.net-conf.json.Network", "172.7.0.0/16")},
		{system: "flannel", says: "both JSON values parse; the backend has its own options only", check: all(is(cni, "data.net-conf.json.Backend.Type", "host-gw"), hasNot(cni, "data.net-conf.json.Backend.VNI"), is(cni, "data.cni-conf.json.cniVersion", "1.0.0"))},
		{system: "flannel", says: "a DaemonSet for Linux that tolerates every NoSchedule taint", check: all(gone("infra Deployment/kube-flannel-ds"), has(flannel, ".affinity.nodeAffinity"), has(flannel, ".tolerations[<nil> NoSchedule]"))},
		{system: "flannel", says: "hostNetwork and system-node-critical", check: all(is(flannel, ".hostNetwork", "true"), is(flannel, ".priorityClassName", "system-node-critical"))},
		{system: "flannel", says: "the host's directories are mounted where they are needed", check: all(
			is(flannel, "[kube-flannel].volumeMounts[/run/flannel].name", "run"), is(flannel, "[kube-flannel].volumeMounts[/run/xtables.lock].name", "xtables-lock"),
			is(flannel, ".volumes[xtables-lock].hostPath.type", "FileOrCreate"),
			has(flannel, ".initContainers[install-cni-plugin].volumeMounts[/opt/cni/bin]"), has(flannel, ".initContainers[install-cni].volumeMounts[/etc/cni/net.d]"))},
		{system: "flannel", says: "NET_ADMIN and NET_RAW, not privileged", check: all(is(flannel, "[kube-flannel].securityContext.capabilities.add[0]", "NET_ADMIN"), is(flannel, "[kube-flannel].securityContext.capabilities.add[1]", "NET_RAW"), hasNot(flannel, "[kube-flannel].securityContext.privileged"))},
		{system: "flannel", says: "--ip-masq, --kube-subnet-mgr, POD_NAME and POD_NAMESPACE", check: all(has(flannel, "[kube-flannel].args[--ip-masq]"), has(flannel, "[kube-flannel].args[--kube-subnet-mgr]"), has(flannel, "[kube-flannel].env[POD_NAME].valueFrom"), has(flannel, "[kube-flannel].env[POD_NAMESPACE].valueFrom"))},
		{system: "flannel", says: "install-cni runs install-conf, which images have from 0.28.6 on", check: all(is(flannel, ".initContainers[install-cni].command[0]", "/opt/bin/install-conf"), contains(flannel, ".initContainers[install-cni].image", ":v0.28.10"))},
		{system: "flannel", says: "portmap is there for Traefik's hostPort", check: is(cni, "data.cni-conf.json.plugins[portmap].capabilities.portMappings", "true")},
		{system: "flannel", says: "the ClusterRole holds exactly what flanneld asks for", check: all(is("infra ClusterRole/flannel", "rules[/pods *]", "get"), is("infra ClusterRole/flannel", "rules[/nodes *]", "get list watch"), is("infra ClusterRole/flannel", "rules[/nodes/status *]", "patch"), every("infra ClusterRole/flannel", rightsAreNarrow))},
		{system: "flannel", says: "host-gw: nodes on one segment; vxlan, wireguard: the UDP port is open", because: "needs nodes and their network"},
		{system: "flannel", says: "br_netfilter and ip_forward on nodes", because: "needs nodes"},
		{system: "flannel", says: "a change of the ConfigMap restarts the pods", check: has(flannel, "spec.template.metadata.annotations.evenkeel.dev/config-hash")},

		{system: "coredns", says: "kube-system/kube-dns selects the pods, 53 by UDP and TCP", check: all(is("infra Service/kube-dns", "metadata.namespace", "kube-system"), is("infra Service/kube-dns", "spec.selector.k8s-app", "kube-dns"), is(dns, "spec.template.metadata.labels.k8s-app", "kube-dns"), has("infra Service/kube-dns", "spec.ports[53/UDP]"), has("infra Service/kube-dns", "spec.ports[53]"))},
		{system: "coredns", says: "clusterIP is the kubelets' clusterDNS", check: is("infra Service/kube-dns", "spec.clusterIP", "192.168.0.2")},
		{system: "coredns", says: "endpointslices list and watch", check: is("infra ClusterRole/system:coredns", "rules[discovery.k8s.io/endpointslices *]", "list watch")},
		{system: "coredns", says: "dnsPolicy Default", check: is(dns, ".dnsPolicy", "Default")},
		{system: "coredns", says: "health, ready and prometheus as the probes and ports ask", check: all(has(corefile, "data.Corefile[health {]"), has(corefile, "data.Corefile[ready]"), has(corefile, "data.Corefile[prometheus :9153]"), is(dns, "[coredns].livenessProbe.httpGet.port", "8080"), is(dns, "[coredns].readinessProbe.httpGet.port", "8181"), has(dns, "[coredns].ports[9153]"))},
		{system: "coredns", says: "the zone and the reverse zones with their fallthrough", check: all(has(corefile, "data.Corefile[kubernetes cluster.local in-addr.arpa ip6.arpa {]"), has(corefile, "data.Corefile[fallthrough in-addr.arpa ip6.arpa]"))},
		{system: "coredns", says: "requests are not forwarded to itself", check: all(has(corefile, "data.Corefile[forward . /etc/resolv.conf {]"), hasNot(corefile, "data.Corefile[forward . 192.168.0.2"), hasNot(corefile, "data.Corefile[forward . 127."))},
		{system: "coredns", says: "loop, reload, loadbalance, cache, and so no hash", check: all(has(corefile, "data.Corefile[loop]"), has(corefile, "data.Corefile[reload]"), has(corefile, "data.Corefile[loadbalance]"), has(corefile, "data.Corefile[cache 30"), hasNot(dns, "spec.template.metadata.annotations.evenkeel.dev/config-hash"))},
		{system: "coredns", says: "two replicas, apart, one away at most", check: all(is(dns, "spec.replicas", "2"), has(dns, ".affinity.podAntiAffinity"), is(dns, "spec.strategy.rollingUpdate.maxUnavailable", "1"))},
		{system: "coredns", says: "read-only root, ALL dropped, NET_BIND_SERVICE alone", check: all(is(dns, "[coredns].securityContext.readOnlyRootFilesystem", "true"), is(dns, "[coredns].securityContext.capabilities.drop[0]", "ALL"), is(dns, "[coredns].securityContext.capabilities.add[0]", "NET_BIND_SERVICE"), hasNot(dns, "[coredns].securityContext.capabilities.add[1]"))},
		{system: "coredns", says: "system-cluster-critical", check: is(dns, ".priorityClassName", "system-cluster-critical")},
		{system: "coredns", says: "1.15.0 or newer", check: contains(dns, "[coredns].image", ":v1.15.0")},
		{system: "coredns", says: "od.com is asked of the site's name server", check: all(has(corefile, "data.Corefile[od.com:53 {]"), has(corefile, "data.Corefile[forward . 10.4.7.11]"))},
		{system: "coredns", says: "no replicas where an autoscaler owns them", because: "no example scales CoreDNS by itself"},

		{system: "traefik", says: "the IngressClass with Traefik's controller", check: is("infra IngressClass/traefik", "spec.controller", "traefik.io/ingress-controller")},
		{system: "traefik", says: "every Ingress names class and path type by field", check: every(" Ingress/", servesV1)},
		{system: "traefik", says: "endpointslices, nodes, ingressclasses, ingresses/status", check: all(has(traefikRO, "rules[discovery.k8s.io/endpointslices *]"), has(traefikRO, "rules[/nodes *]"), has(traefikRO, "rules[networking.k8s.io/ingressclasses *]"), is(traefikRO, "rules[networking.k8s.io/ingresses/status *]", "update"))},
		{system: "traefik", says: "the CRDs are there when their provider is on", check: all(has(traefik, "[traefik].args[--providers.kubernetescrd]"), has("infra CustomResourceDefinition/serverstransports.traefik.io", "spec.names.kind"))},
		{system: "traefik", says: "hostPort 81 without surge", check: all(is(traefik, "[traefik].ports[8000].hostPort", "81"), is(traefik, "spec.updateStrategy.rollingUpdate.maxSurge", "0"), is(traefik, "spec.updateStrategy.rollingUpdate.maxUnavailable", "1"))},
		{system: "traefik", says: "/ping is both probes", check: all(is(traefik, "[traefik].args[--ping]", "true"), is(traefik, "[traefik].livenessProbe.httpGet.path", "/ping"), is(traefik, "[traefik].readinessProbe.httpGet.path", "/ping"))},
		{system: "traefik", says: "not root, read-only root, ALL dropped", check: all(is(traefik, ".securityContext.runAsNonRoot", "true"), is(traefik, "[traefik].securityContext.readOnlyRootFilesystem", "true"), is(traefik, "[traefik].securityContext.capabilities.drop[0]", "ALL"))},
		{system: "traefik", says: "no --api.insecure; the dashboard's router has an allow list", check: all(hasNot(traefik, "[traefik].args[--api.insecure]"), is("systems IngressRoute/traefik-dashboard", "spec.routes[0].middlewares[dashboard-allow].name", "dashboard-allow"))},
		{system: "traefik", says: "trustedIPs are the edge hosts", check: is(traefik, "[traefik].args[--entryPoints.web.forwardedHeaders.trustedIPs]", "10.4.7.11,10.4.7.12")},
		{system: "traefik", says: "Ingresses show the VIP", check: is(traefik, "[traefik].args[--providers.kubernetesingress.ingressendpoint.ip]", "10.4.7.10")},
		{system: "traefik", says: "the edge sends requests to the hostPort", check: is(edge, "l7.port", "81")},
		{system: "traefik", says: "no two Ingresses of a cluster have one host and path", check: all(claimedOnce("infra", "dev", "test", "pre", "prod"), claimedOnce("cloud-infra", "cloud-dev", "cloud-prod"))},
		{system: "traefik", says: "HTTPS backends have a ServersTransport", check: all(has("infra Service/kubernetes-dashboard", "metadata.annotations.traefik.ingress.kubernetes.io/service.serverstransport"), is("infra ServersTransport/kubernetes-dashboard", "spec.insecureSkipVerify", "true"))},
		{system: "traefik", says: "the Service has no metrics port", check: hasNot("infra Service/traefik", "spec.ports[9100]")},

		{system: "dashboard", says: "no cluster-admin, no wildcard, no Secrets at large", check: all(every("systems ClusterRole/dashboard", rightsAreNarrow), every("systems ClusterRoleBinding/", rightsAreNarrow), every("infra Role/kubernetes-dashboard", rightsAreNarrow), every("systems ClusterRole/headlamp", rightsAreNarrow))},
		{system: "dashboard", says: "the edge ends TLS for its host", check: has(edge, "l7.tls.dashboard.od.com")},
		{system: "dashboard", says: "HTTPS to the dashboard, 4466 to Headlamp", check: all(has("infra Service/kubernetes-dashboard", "spec.ports[443]"), has(headlamp, "[headlamp].ports[4466]"))},
		{system: "dashboard", says: "Secrets that it fills carry no data", check: all(hasNot("infra Secret/kubernetes-dashboard-csrf", "data"), hasNot("infra Secret/kubernetes-dashboard-certs", "data"), hasNot("infra Secret/kubernetes-dashboard-key-holder", "data"))},
		{system: "dashboard", says: "image pinned, not root, read-only root, ALL dropped, seccomp", check: all(every("Deployment/kubernetes-dashboard", pinned), is(dashboard, ".securityContext.runAsNonRoot", "true"), is(dashboard, "[kubernetes-dashboard].securityContext.readOnlyRootFilesystem", "true"), is(dashboard, "[kubernetes-dashboard].securityContext.capabilities.drop[0]", "ALL"), is(dashboard, ".securityContext.seccompProfile.type", "RuntimeDefault"))},
		{system: "headlamp", says: "image pinned, not root, read-only root, ALL dropped, seccomp", check: all(every("Deployment/headlamp", pinned), is(headlamp, ".securityContext.runAsNonRoot", "true"), is(headlamp, "[headlamp].securityContext.readOnlyRootFilesystem", "true"), is(headlamp, "[headlamp].securityContext.capabilities.drop[0]", "ALL"), is(headlamp, ".securityContext.seccompProfile.type", "RuntimeDefault"))},
		{system: "dashboard", says: "two replicas, spread", check: all(is(dashboard, "spec.replicas", "2"), has(dashboard, ".topologySpreadConstraints"))},
		{system: "dashboard", says: "the metrics scraper is there with metrics-server alone", check: all(gone("infra Deployment/dashboard-metrics-scraper"), gone("infra Deployment/metrics-server"), has("systems Deployment/dashboard-metrics-scraper", "spec"), has("systems Deployment/metrics-server", "spec"))},
		{system: "dashboard", says: "the toleration is for control-plane", check: all(has(dashboard, ".tolerations[node-role.kubernetes.io/control-plane NoSchedule]"), hasNot(dashboard, ".tolerations[node-role.kubernetes.io/master"))},
		{system: "dashboard", says: "no skipped or insecure login", check: all(hasNot(dashboard, "[kubernetes-dashboard].args[--enable-skip-login]"), hasNot(dashboard, "[kubernetes-dashboard].args[--enable-insecure-login]"), hasNot(dashboard, "[kubernetes-dashboard].args[--disable-settings-authorizer]"))},
		{system: "dashboard", says: "a readiness probe", check: all(has(dashboard, "[kubernetes-dashboard].readinessProbe"), has(headlamp, "[headlamp].readinessProbe"))},
		{system: "dashboard", says: "viewers per namespace, prod to look at only", check: all(is("cloud-prod RoleBinding/viewer-developers", "roleRef.name", "view"), is("cloud-dev RoleBinding/viewer-developers", "roleRef.name", "edit"))},
		{system: "dashboard", says: "says that it is archived", check: contains("infra Notice/dashboard", "text", "archived")},

		{system: "dubbo", says: "every environment has a registry group of its own", check: different("data.dubbo-monitor-simple_conf_dubbo.properties[dubbo.registry.group]", "dev ConfigMap/dubbo-monitor-files", "test ConfigMap/dubbo-monitor-files", "pre ConfigMap/dubbo-monitor-files", "prod ConfigMap/dubbo-monitor-files")},
		{system: "dubbo", says: "apps follow the environment's group", check: all(contains(provider, "[dubbo-demo-service].env[C_OPTS].value", "group=dubbo-dev"), contains(consumer, "[dubbo-demo-consumer].env[C_OPTS].value", "group=dubbo-dev"))},
		{system: "dubbo", says: "the registry's names are in a zone that CoreDNS forwards", check: all(contains(provider, "[dubbo-demo-service].env[C_OPTS].value", ".od.com:2181"), has(corefile, "data.Corefile[od.com:53 {]"))},
		{system: "dubbo", says: "all three ZooKeeper servers are named", check: contains(provider, "[dubbo-demo-service].env[C_OPTS].value", "zookeeper://zk1.od.com:2181?backup=zk2.od.com:2181,zk3.od.com:2181")},
		{system: "dubbo", says: "port 20880 and no Service in front of a provider", check: all(has(provider, "[dubbo-demo-service].ports[20880]"), gone("dev Service/dubbo-demo-service"))},
		{system: "dubbo", says: "the pod's address is registered", check: is(provider, "[dubbo-demo-service].env[DUBBO_IP_TO_REGISTRY].valueFrom.fieldRef.fieldPath", "status.podIP")},
		{system: "dubbo", says: "probes that Dubbo 2.6 answers: the port, and the consumer's page", check: all(is(provider, "[dubbo-demo-service].readinessProbe.tcpSocket.port", "dubbo"), is(provider, "[dubbo-demo-service].startupProbe.tcpSocket.port", "dubbo"), is(consumer, "[dubbo-demo-consumer].readinessProbe.tcpSocket.port", "http"))},
		{system: "dubbo", says: "maxUnavailable 0, minReadySeconds, a budget for two and more", check: all(is(provider, "spec.strategy.rollingUpdate.maxUnavailable", "0"), is(provider, "spec.minReadySeconds", "10"), has("prod PodDisruptionBudget/dubbo-demo-service", "spec"))},
		{system: "dubbo", says: "pause and Dubbo's wait fit into the grace period", check: every("Deployment/dubbo-demo-", endsInTime)},
		{system: "dubbo", says: "22222 in no Service", check: hasNot("dev Service/dubbo-demo-consumer", "spec.ports[22222]")},
		{system: "dubbo", says: "tags do not move, from Harbor, with a pull Secret", check: all(every("Deployment/dubbo-", pinned), contains(provider, "[dubbo-demo-service].image", "harbor.od.com/app/"), has(provider, ".imagePullSecrets[harbor]"))},
		{system: "dubbo", says: "the heap is below the memory limit", check: all(contains(provider, "[dubbo-demo-service].env[C_OPTS].value", "-Xmx160m"), is(provider, "[dubbo-demo-service].resources.limits.memory", "256Mi"))},
		{system: "dubbo", says: "the consumer's host is another in each environment", check: claimedOnce("dev", "test", "pre", "prod")},
		{system: "dubbo", says: "not root", because: "the images of 2019 run as root: the examples say podSecurity baseline"},
		{system: "dubbo", says: "no host path, no docker.sock", check: hasNot(provider, ".volumes")},
		{system: "dubbo", says: "the monitor is per environment, with its group", check: all(is("dev ConfigMap/dubbo-monitor-files", "data.dubbo-monitor-simple_conf_dubbo.properties[dubbo.registry.group]", "dubbo-dev"), is("prod ConfigMap/dubbo-monitor-files", "data.dubbo-monitor-simple_conf_dubbo.properties[dubbo.registry.group]", "dubbo-prod"))},
		{system: "dubbo", says: "the monitor is not reached without login", because: "the simple monitor has none: who may reach its host is the site's network to say"},
		{system: "dubbo", says: "the rollout's numbers are written out", check: all(has(provider, "spec.progressDeadlineSeconds"), has(provider, "spec.strategy.rollingUpdate.maxSurge"))},
		{system: "dubbo-admin", says: "login and signSecret come from a Secret; 0.6.0 on 38080, not as root", check: all(is("systems Deployment/dubbo-admin", "[dubbo-admin].env[ADMIN_SIGN_SECRET].valueFrom.secretKeyRef.key", "signSecret"), is("systems Deployment/dubbo-admin", "[dubbo-admin].image", "apache/dubbo-admin:0.6.0"), has("systems Deployment/dubbo-admin", "[dubbo-admin].ports[38080]"), is("systems Deployment/dubbo-admin", ".securityContext.runAsNonRoot", "true"))},
		{system: "zookeeper-external", says: "a headless Service and an EndpointSlice that no controller removes", check: all(is("systems Service/zookeeper", "spec.clusterIP", "None"), hasNot("systems Service/zookeeper", "spec.selector"), is("systems EndpointSlice/zookeeper-external", "metadata.labels.kubernetes.io/service-name", "zookeeper"), is("systems EndpointSlice/zookeeper-external", "metadata.labels.endpointslice.kubernetes.io/managed-by", "evenkeel"), is("systems EndpointSlice/zookeeper-external", "endpoints[0].hostname", "zk1"))},

		{system: "edge", says: "one VIP; priorities and addresses differ", check: all(is(edge, "vip", "10.4.7.10"), is(edge, "hosts.hdss7-11.address", "10.4.7.11"), is(edge, "hosts.hdss7-12.address", "10.4.7.12"), func(w world) string {
			if a := w[edge]["hosts.hdss7-11.priority"]; a == "" || a == w[edge]["hosts.hdss7-12.priority"] {
				return "both hosts have priority " + a
			}
			return ""
		})},
		{system: "edge", says: "VRID 1 to 255", check: is(edge, "vrid", "251")},
		{system: "edge", says: "L7 goes to Traefik's port on the nodes", check: is(edge, "l7.port", "81")},
		{system: "edge", says: "preemption, script security, headers, stream module, TLS, what the check covers", because: "are in the files, which the tests of render/edge look at with the real nginx -t and keepalived -t"},
		{system: "edge", says: "trustedIPs are the edge hosts", check: is(traefik, "[traefik].args[--entryPoints.web.forwardedHeaders.trustedIPs]", "10.4.7.11,10.4.7.12")},
		{system: "edge", says: "every Ingress of the cluster has a DNS record", check: has(edge, "ingressHosts[0]")},
		{system: "edge", says: "the certificate covers the name", because: "the certificate is on the hosts; install.sh looks at it"},

		{system: "nacos", says: "an odd number on MySQL, found before they are ready", check: all(is("systems StatefulSet/nacos", "spec.replicas", "3"), is("systems Service/nacos-headless", "spec.publishNotReadyAddresses", "true"), is("systems StatefulSet/nacos", "spec.podManagementPolicy", "Parallel"), has("systems StatefulSet/nacos", "[nacos].env[MYSQL_SERVICE_HOST]"))},
		{system: "nacos", says: "gRPC goes with HTTP", check: all(has("systems Service/nacos", "spec.ports[8848]"), has("systems Service/nacos", "spec.ports[9848]"))},
		{system: "nacos", says: "the keys come from a Secret; 2Gi or more; not public", check: all(is("systems StatefulSet/nacos", "[nacos].env[NACOS_AUTH_TOKEN].valueFrom.secretKeyRef.name", "nacos-auth"), is("systems StatefulSet/nacos", "[nacos].resources.requests.memory", "2Gi"), gone("systems Ingress/nacos"))},
		{system: "ingress-nginx", says: "class nginx, retired, the webhook fails closed", check: all(is("systems IngressClass/nginx", "spec.controller", "k8s.io/ingress-nginx"), contains("systems Notice/ingress-nginx", "text", "retired"), has("systems ValidatingWebhookConfiguration/ingress-nginx-admission", "webhooks[validate.nginx.ingress.kubernetes.io].failurePolicy"))},
		{system: "metrics-server", says: "the API, its reader and no rollout without a pod", check: all(is("systems APIService/v1beta1.metrics.k8s.io", "spec.group", "metrics.k8s.io"), is("systems Deployment/metrics-server", "spec.strategy.rollingUpdate.maxUnavailable", "0"), is("systems Deployment/metrics-server", "[metrics-server].securityContext.readOnlyRootFilesystem", "true"))},
		{system: "jenkins", says: "one replica, not root, no rights outside the namespace, no docker.sock", check: all(is("systems StatefulSet/jenkins", "spec.replicas", "1"), is("systems StatefulSet/jenkins", ".securityContext.runAsNonRoot", "true"), gone("systems ClusterRoleBinding/jenkins"), hasNot("systems StatefulSet/jenkins", ".volumes[docker"))},
		{system: "harbor", says: "externalURL is the Ingress host", check: all(is("systems Ingress/harbor-ingress", "spec.rules[harbor.lab.example].host", "harbor.lab.example"), has("systems ConfigMap/harbor-core", "data.EXT_ENDPOINT"))},
		{system: "harbor", says: "a robot account pulls; promoted tags do not move", because: "are set in the running Harbor"},
		{system: "evenkeel", says: "not root, read-only root, ALL dropped, seccomp; the namespace is restricted", check: all(is("systems Deployment/evenkeel", ".securityContext.runAsNonRoot", "true"), is("systems Deployment/evenkeel", ".securityContext.seccompProfile.type", "RuntimeDefault"), is("systems Deployment/evenkeel", "[evenkeel].securityContext.readOnlyRootFilesystem", "true"), is("systems Deployment/evenkeel", "[evenkeel].securityContext.capabilities.drop[0]", "ALL"), is("systems Namespace/evenkeel", "metadata.labels.pod-security.kubernetes.io/enforce", "restricted"))},
		{system: "evenkeel", says: "probes, and metrics on a Service", check: all(is("systems Deployment/evenkeel", "[evenkeel].livenessProbe.httpGet.path", "/healthz"), is("systems Deployment/evenkeel", "[evenkeel].readinessProbe.httpGet.path", "/readyz"), has("systems Service/evenkeel", "spec.ports[8080]"))},
		{system: "evenkeel", says: "no rights of its own: those that apply it grant them", check: all(gone("systems ClusterRole/evenkeel"), gone("systems ClusterRoleBinding/evenkeel"), gone("systems Role/evenkeel"))},
		{system: "evenkeel", says: "git's key is read-only, and for its group alone", check: all(is("systems Deployment/evenkeel", ".volumes[git].secret.defaultMode", "288"), has("systems Deployment/evenkeel", "[evenkeel].volumeMounts[/etc/evenkeel/git].readOnly"))},
	}
}
