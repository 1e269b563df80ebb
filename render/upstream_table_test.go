package render_test

// upstreams are the systems that are compared with upstream, each with all that
// is different and why.
func upstreams() []upstream {
	return []upstream{
		{
			system: "flannel", unit: "flannel", files: []string{"kube-flannel.yml"},
			known: []difference{
				{"the network is the site's, so that it equals --cluster-cidr", `
					ConfigMap/kube-flannel-cfg data.net-conf.json.Network: 10.244.0.0/16 -> 172.7.0.0/16`},
				{"flanneld does not reread its ConfigMap, so that the hash restarts it", `
					DaemonSet/kube-flannel-ds spec.template.metadata.annotations.evenkeel.dev/config-hash: none -> *`},
			},
		},
		{
			system: "coredns", unit: "coredns", files: []string{"kubernetes-addon-coredns.yaml"},
			values: map[string]string{
				"__DNS__DOMAIN__": "cluster.local", "__DNS__MEMORY__LIMIT__": "170Mi", "__DNS__SERVER__": "192.168.0.2",
			},
			known: []difference{
				{"every object bears the labels of the system; kube-up's marks mean something to its add-on manager alone", `
					ClusterRole/system:coredns metadata.labels.*
					ClusterRoleBinding/system:coredns metadata.labels.*
					ConfigMap/coredns metadata.labels.*
					ServiceAccount/coredns metadata.labels.*`},
				{"the API server makes no binding of this name: there is nothing to update by itself", `
					ClusterRoleBinding/system:coredns metadata.annotations.rbac.authorization.kubernetes.io/autoupdate: true -> none`},
				{"as kubeadm has it: names of the cluster are not cached, they are as fast to look up and change often", `
					ConfigMap/coredns data.Corefile[cache 30 {]: none -> *
					ConfigMap/coredns data.Corefile[disable denial cluster.local]: none -> *
					ConfigMap/coredns data.Corefile[disable success cluster.local]: none -> *`},
				{"the site's own zone is asked of the site's name servers", `
					ConfigMap/coredns data.Corefile[forward . 10.4.7.11]: none -> *
					ConfigMap/coredns data.Corefile[lab.example:53 {]: none -> *`},
				{"kubeadm's two replicas, as no add-on autoscaler owns the number, and a budget so that a drain leaves one", `
					Deployment/coredns spec.replicas: none -> 2
					PodDisruptionBudget/coredns: only here`},
				{"as kubeadm has it: a cluster of control-plane nodes needs names too", `
					Deployment/coredns spec.template.spec.tolerations[node-role.kubernetes.io/control-plane NoSchedule].tolerated: none -> true`},
				{"the target is named, which says the same: a port without target goes to its own number", `
					Service/kube-dns spec.ports[53/UDP].targetPort: none -> dns
					Service/kube-dns spec.ports[53].targetPort: none -> dns-tcp
					Service/kube-dns spec.ports[9153].targetPort: none -> metrics`},
			},
		},
		{
			system: "traefik", unit: "traefik", files: []string{"chart-rendered-daemonset-hostport81.yaml"},
			values: map[string]string{"harbor.od.com/public/traefik": "library/traefik"},
			known: []difference{
				{"the chart leaves its CRDs and the namespace to others; hostPort needs a privileged one", `
					CustomResourceDefinition/*
					Namespace/traefik: only here`},
				{"one Traefik in the namespace: there are no releases to tell apart", `
					DaemonSet/traefik spec.selector.matchLabels.app.kubernetes.io/instance: traefik-traefik -> none
					Service/traefik spec.selector.app.kubernetes.io/instance: traefik-traefik -> none`},
				{"the edge hosts' X-Forwarded headers are believed", `
					DaemonSet/traefik spec.template.spec.containers[traefik].args[--entryPoints.web.forwardedHeaders.trustedIPs]: none -> 10.4.7.11,10.4.7.12`},
				{"TLS ends at the edge, so websecure would listen for nobody", `
					DaemonSet/traefik spec.template.spec.containers[traefik].args[--entryPoints.websecure.address]: :8443/tcp -> none
					DaemonSet/traefik spec.template.spec.containers[traefik].args[--entryPoints.websecure.http.tls]: true -> none
					DaemonSet/traefik spec.template.spec.containers[traefik].ports[8443].*`},
				{"a ClusterIP Service publishes no address: Ingresses show the virtual address of the edge", `
					DaemonSet/traefik spec.template.spec.containers[traefik].args[--providers.kubernetesingress.ingressendpoint.ip]: none -> 10.4.7.10
					DaemonSet/traefik spec.template.spec.containers[traefik].args[--providers.kubernetesingress.ingressendpoint.publishedservice]: traefik/traefik -> none`},
				{"no cluster serves Ingresses in the group extensions any more, and pods are read for OpenTelemetry alone", `
					ClusterRole/traefik-traefik rules[/pods *]: get -> none
					ClusterRole/traefik-traefik rules[extensions/ingressclasses *]: get list watch -> none
					ClusterRole/traefik-traefik rules[extensions/ingresses *]: get list watch -> none
					ClusterRole/traefik-traefik rules[extensions/ingresses/status *]: update -> none`},
				{"3.7.13 fixes vulnerabilities; the newest chart that could be rendered has 3.7.11", `
					DaemonSet/traefik spec.template.spec.containers[traefik].image: library/traefik:v3.7.11 -> library/traefik:v3.7.13`},
				{"Traefik reads no variable USER", `
					DaemonSet/traefik spec.template.spec.containers[traefik].env[USER].*`},
				{"every container asks for what it needs, and all traffic stands on this one", `
					DaemonSet/traefik spec.template.spec.containers[traefik].resources.*
					DaemonSet/traefik spec.template.spec.priorityClassName: none -> system-cluster-critical`},
				{"only the two paths of the page, and only for the listed addresses", `
					IngressRoute/traefik-dashboard spec.routes[0].match: *
					IngressRoute/traefik-dashboard spec.routes[0].middlewares[dashboard-allow].name: none -> dashboard-allow
					Middleware/dashboard-allow: only here`},
			},
		},
		{
			system: "dashboard", unit: "dashboard", files: []string{"recommended.yaml"},
			known: []difference{
				{"a viewer without Secrets, in place of the cluster-admin that tutorials make", `
					ClusterRole/dashboard-viewer: only here
					ClusterRoleBinding/dashboard-viewer-view: only here
					ClusterRoleBinding/dashboard-viewer: only here
					ServiceAccount/dashboard-viewer: only here`},
				{"the way in from Traefik, which checks certificates unless a ServersTransport says not to", `
					Ingress/kubernetes-dashboard: only here
					ServersTransport/kubernetes-dashboard: only here
					Service/kubernetes-dashboard metadata.annotations.traefik.ingress.kubernetes.io/service.serverstransport: none -> kubernetes-dashboard-kubernetes-dashboard@kubernetescrd`},
				{"ports go by name", `
					Deployment/kubernetes-dashboard spec.template.spec.containers[kubernetes-dashboard].livenessProbe.httpGet.port: 8443 -> https
					Deployment/kubernetes-dashboard spec.template.spec.containers[kubernetes-dashboard].ports[8443].name: none -> https
					Deployment/dashboard-metrics-scraper spec.template.spec.containers[dashboard-metrics-scraper].livenessProbe.httpGet.port: 8000 -> http
					Deployment/dashboard-metrics-scraper spec.template.spec.containers[dashboard-metrics-scraper].ports[8000].name: none -> http
					Service/dashboard-metrics-scraper spec.ports[8000].name: none -> http
					Service/dashboard-metrics-scraper spec.ports[8000].targetPort: 8000 -> http
					Service/kubernetes-dashboard spec.ports[443].name: none -> https
					Service/kubernetes-dashboard spec.ports[443].targetPort: 8443 -> https`},
				{"upstream has no readiness probe: a Service would send requests to pods that do not listen yet", `
					Deployment/kubernetes-dashboard spec.template.spec.containers[kubernetes-dashboard].readinessProbe.*
					Deployment/dashboard-metrics-scraper spec.template.spec.containers[dashboard-metrics-scraper].readinessProbe.*`},
				{"every container asks for what it needs", `
					Deployment/kubernetes-dashboard spec.template.spec.containers[kubernetes-dashboard].resources.*
					Deployment/dashboard-metrics-scraper spec.template.spec.containers[dashboard-metrics-scraper].resources.*`},
				{"what Pod Security restricted asks for, the user set for the whole pod, and the level enforced", `
					Deployment/kubernetes-dashboard spec.template.spec.containers[kubernetes-dashboard].securityContext.*
					Deployment/kubernetes-dashboard spec.template.spec.securityContext.*
					Deployment/dashboard-metrics-scraper spec.template.spec.containers[dashboard-metrics-scraper].securityContext.*
					Deployment/dashboard-metrics-scraper spec.template.spec.securityContext.*
					Namespace/kubernetes-dashboard metadata.labels.pod-security.kubernetes.io/enforce: none -> restricted`},
				{"no node has the taint master since 1.25", `
					Deployment/kubernetes-dashboard spec.template.spec.tolerations[node-role.kubernetes.io/control-plane NoSchedule].tolerated: none -> true
					Deployment/kubernetes-dashboard spec.template.spec.tolerations[node-role.kubernetes.io/master NoSchedule].tolerated: true -> none
					Deployment/dashboard-metrics-scraper spec.template.spec.tolerations[node-role.kubernetes.io/control-plane NoSchedule].tolerated: none -> true
					Deployment/dashboard-metrics-scraper spec.template.spec.tolerations[node-role.kubernetes.io/master NoSchedule].tolerated: true -> none`},
				{"the tag never moves, and a node without the registry still starts the pod", `
					Deployment/kubernetes-dashboard spec.template.spec.containers[kubernetes-dashboard].imagePullPolicy: Always -> none`},
				{"a change of the mounted Secret restarts the pods", `
					Deployment/kubernetes-dashboard spec.template.metadata.annotations.evenkeel.dev/config-hash: none -> *`},
				{"heapster was retired in 2018", `
					Role/kubernetes-dashboard rules[/services heapster]: proxy -> none
					Role/kubernetes-dashboard rules[/services/proxy heapster]: get -> none
					Role/kubernetes-dashboard rules[/services/proxy http:heapster:]: get -> none
					Role/kubernetes-dashboard rules[/services/proxy https:heapster:]: get -> none`},
				{"the dashboard fills the key: an empty one in the manifest would log everybody out at each apply", `
					Secret/kubernetes-dashboard-csrf data.csrf:  -> none`},
				{"every object bears the label of the system", `
					ClusterRoleBinding/kubernetes-dashboard metadata.labels.k8s-app: none -> kubernetes-dashboard
					Namespace/kubernetes-dashboard metadata.labels.k8s-app: none -> kubernetes-dashboard`},
			},
		},
		{
			system: "headlamp", unit: "headlamp", files: []string{"chart-default.yaml"},
			values: map[string]string{"namespace: default": "namespace: headlamp"},
			known: []difference{
				{"people bring their own tokens: Headlamp needs no rights, least of all cluster-admin; a viewer without Secrets in its place", `
					ClusterRoleBinding/headlamp-admin: only upstream
					ClusterRole/headlamp-viewer: only here
					ClusterRoleBinding/headlamp-viewer-view: only here
					ClusterRoleBinding/headlamp-viewer: only here
					ServiceAccount/headlamp-viewer: only here`},
				{"one Headlamp in the namespace: there are no releases to tell apart", `
					Deployment/headlamp spec.selector.matchLabels.app.kubernetes.io/instance: headlamp -> none
					Service/headlamp spec.selector.app.kubernetes.io/instance: headlamp -> none`},
				{"every container asks for what it needs", `
					Deployment/headlamp spec.template.spec.containers[headlamp].resources.*`},
				{"what Pod Security restricted asks for, and directories to write to where the root is read-only", `
					Deployment/headlamp spec.template.spec.containers[headlamp].securityContext.*
					Deployment/headlamp spec.template.spec.securityContext.*
					Deployment/headlamp spec.template.spec.containers[headlamp].volumeMounts*
					Deployment/headlamp spec.template.spec.volumes*`},
				{"the chart leaves the namespace to others and makes no Ingress unless told", `
					Ingress/headlamp: only here
					Namespace/headlamp: only here`},
				{"an empty Secret that nothing reads without OpenID Connect", `
					Secret/oidc: only upstream`},
			},
		},
		{
			system: "ingress-nginx", unit: "ingress-nginx", files: []string{"baremetal-deploy.yaml"},
			known: []difference{
				{"replicas are declared, and spread over nodes where there are several", `
					Deployment/ingress-nginx-controller spec.replicas: none -> 1
					Deployment/ingress-nginx-controller spec.template.spec.topologySpreadConstraints*`},
				{"a limit, so that a leak does not take the node along", `
					Deployment/ingress-nginx-controller spec.template.spec.containers[controller].resources.limits.memory: none -> 512Mi`},
				{"what Pod Security restricted asks for, and the level enforced", `
					Deployment/ingress-nginx-controller spec.template.spec.securityContext.seccompProfile.type: none -> RuntimeDefault
					Namespace/ingress-nginx metadata.labels.pod-security.kubernetes.io/enforce: none -> restricted`},
				{"a pod template has no name, and Jobs that vanish when done would be made again by each apply", `
					Job/ingress-nginx-admission-create spec.template.metadata.name: ingress-nginx-admission-create -> none
					Job/ingress-nginx-admission-create spec.ttlSecondsAfterFinished: 0 -> none
					Job/ingress-nginx-admission-patch spec.template.metadata.name: ingress-nginx-admission-patch -> none
					Job/ingress-nginx-admission-patch spec.ttlSecondsAfterFinished: 0 -> none`},
			},
		},
		{
			system: "dubbo-admin", unit: "dubbo-admin",
			files: []string{"configmap.yaml", "deployment.yaml", "pvc.yaml", "rbac.yaml", "service.yaml"},
			roles: map[string]string{"ConfigMap/dubbo-admin": "ConfigMap/dubbo-admin-files"},
			values: map[string]string{
				"namespace: default": "namespace: systems", "application.properties: |": "config_application.properties: |",
			},
			known: []difference{
				{"the admin never asks the API server, and upstream's rules name groups that do not hold the resources", `
					ClusterRole/dubbo-admin: only upstream
					ClusterRoleBinding/dubbo-admin: only upstream
					ServiceAccount/dubbo-admin: only upstream
					Deployment/dubbo-admin spec.template.spec.serviceAccountName: dubbo-admin -> none
					Deployment/dubbo-admin spec.template.spec.automountServiceAccountToken: none -> false
					Deployment/dubbo-admin spec.template.spec.enableServiceLinks: none -> false`},
				{"the login and the key of upstream are published: here they come from a Secret", `
					ConfigMap/dubbo-admin-files data.config_application.properties[admin.check.signSecret]: *
					ConfigMap/dubbo-admin-files data.config_application.properties[admin.root.user.name]: root -> ${ADMIN_USERNAME}
					ConfigMap/dubbo-admin-files data.config_application.properties[admin.root.user.password]: root -> ${ADMIN_PASSWORD}
					Deployment/dubbo-admin spec.template.spec.containers[dubbo-admin].env[ADMIN_*`},
				{"the environment's registry, with the environment's group in all three places", `
					ConfigMap/dubbo-admin-files data.config_application.properties[admin.config-center]: *
					ConfigMap/dubbo-admin-files data.config_application.properties[admin.metadata-report.address]: *
					ConfigMap/dubbo-admin-files data.config_application.properties[admin.registry.address]: *`},
				{"the ports of application.properties, written out; upstream's manifest says 8080 and its Service 38080", `
					ConfigMap/dubbo-admin-files data.config_application.properties[dubbo.application.qos-port]: none -> 32222
					ConfigMap/dubbo-admin-files data.config_application.properties[dubbo.protocol.port]: none -> 30880
					ConfigMap/dubbo-admin-files data.config_application.properties[server.port]: none -> 38080
					Deployment/dubbo-admin spec.template.spec.containers[dubbo-admin].ports[*
					Service/dubbo-admin spec.ports[38080].name: dubbo-admin -> http`},
				{"what the image has by itself, or the ingress in front does", `
					ConfigMap/dubbo-admin-files data.config_application.properties[dubbo.application.logger]: slf4j -> none
					ConfigMap/dubbo-admin-files data.config_application.properties[server.compression.*`},
				{"0.6.0 is the release that the configuration is of", `
					Deployment/dubbo-admin spec.template.spec.containers[dubbo-admin].image: apache/dubbo-admin:0.5.0 -> apache/dubbo-admin:0.6.0`},
				{"a startup probe waits for the JVM, so the other probes need no delay", `
					Deployment/dubbo-admin spec.template.spec.containers[dubbo-admin].livenessProbe.*
					Deployment/dubbo-admin spec.template.spec.containers[dubbo-admin].readinessProbe.*
					Deployment/dubbo-admin spec.template.spec.containers[dubbo-admin].startupProbe.*`},
				{"Spring Boot and its database in memory need 1Gi, of which the heap takes a share", `
					Deployment/dubbo-admin spec.template.spec.containers[dubbo-admin].env[JAVA_TOOL_OPTIONS]*
					Deployment/dubbo-admin spec.template.spec.containers[dubbo-admin].resources.*`},
				{"not as root; what Pod Security restricted asks for", `
					Deployment/dubbo-admin spec.template.spec.containers[dubbo-admin].securityContext.*
					Deployment/dubbo-admin spec.template.spec.securityContext.*`},
				{"one file is mounted and not the directory; its hash restarts the pod; the database is in memory, so that no volume holds anything", `
					Deployment/dubbo-admin spec.template.metadata.annotations.evenkeel.dev/config-hash: none -> *
					Deployment/dubbo-admin spec.template.spec.containers[dubbo-admin].volumeMounts[*
					Deployment/dubbo-admin spec.template.spec.volumes[*
					PersistentVolumeClaim/dubbo-admin-pvc: only upstream`},
				{"apps are labelled, placed and rolled out alike", `
					Deployment/dubbo-admin metadata.labels.app: dubbo-admin -> none
					Deployment/dubbo-admin metadata.namespace: none -> systems
					Deployment/dubbo-admin spec.progressDeadlineSeconds: none -> 600
					Deployment/dubbo-admin spec.selector.matchLabels.*
					Deployment/dubbo-admin spec.strategy.*
					Deployment/dubbo-admin spec.template.metadata.labels.app: dubbo-admin -> none
					Service/dubbo-admin spec.selector.*`},
				{"people come by the Ingress, not by a port on every node", `
					Service/dubbo-admin spec.type: NodePort -> none`},
			},
		},
	}
}
