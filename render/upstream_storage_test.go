package render_test

// storageUpstreams are the provisioners of volumes.
func storageUpstreams() []upstream {
	return []upstream{
		{
			system: "nfs-provisioner", unit: "nfs-provisioner", files: []string{"rbac.yaml", "deployment.yaml", "class.yaml"},
			values: map[string]string{"namespace: default": "namespace: nfs-provisioner", "10.3.243.101": "nfs.lab.example", "/ifs/kubernetes": "/data/volumes"},
			known: []difference{
				{"the namespace and its Pod Security level belong to the stack", `
					Namespace/nfs-provisioner: only here`},
				{"every object bears the label of the system", `
					ClusterRole/nfs-client-provisioner-runner metadata.labels.app: none -> nfs-client-provisioner
					ClusterRoleBinding/run-nfs-client-provisioner metadata.labels.app: none -> nfs-client-provisioner
					Role/leader-locking-nfs-client-provisioner metadata.labels.app: none -> nfs-client-provisioner
					RoleBinding/leader-locking-nfs-client-provisioner metadata.labels.app: none -> nfs-client-provisioner
					ServiceAccount/nfs-client-provisioner metadata.labels.app: none -> nfs-client-provisioner
					StorageClass/nfs-client metadata.labels.app: none -> nfs-client-provisioner`},
				{"every container asks for what it needs", `
					Deployment/nfs-client-provisioner spec.template.spec.containers[nfs-client-provisioner].resources.*`},
				{"what the level baseline leaves to be had", `
					Deployment/nfs-client-provisioner spec.template.spec.containers[nfs-client-provisioner].securityContext.allowPrivilegeEscalation: none -> false
					Deployment/nfs-client-provisioner spec.template.spec.enableServiceLinks: none -> false
					Deployment/nfs-client-provisioner spec.template.spec.securityContext.seccompProfile.type: none -> RuntimeDefault`},
				{"data that is deleted by mistake is still there", `
					StorageClass/nfs-client parameters.archiveOnDelete: false -> true`},
				{"the defaults of Kubernetes, written down", `
					StorageClass/nfs-client reclaimPolicy: none -> Delete
					StorageClass/nfs-client volumeBindingMode: none -> Immediate`},
			},
		},
		{
			system: "local-path", unit: "local-path", files: []string{"local-path-storage.yaml"},
			known: []difference{
				{"the Pod Security level that pods with hostPath need", `
					Namespace/local-path-storage metadata.labels.pod-security.kubernetes.io/enforce: none -> privileged`},
				{"every object bears the label of the system", `
					ClusterRole/local-path-provisioner-role metadata.labels.app: none -> local-path-provisioner
					ClusterRoleBinding/local-path-provisioner-bind metadata.labels.app: none -> local-path-provisioner
					ConfigMap/local-path-config metadata.labels.app: none -> local-path-provisioner
					Deployment/local-path-provisioner metadata.labels.app: none -> local-path-provisioner
					Namespace/local-path-storage metadata.labels.app: none -> local-path-provisioner
					Role/local-path-provisioner-role metadata.labels.app: none -> local-path-provisioner
					RoleBinding/local-path-provisioner-bind metadata.labels.app: none -> local-path-provisioner
					ServiceAccount/local-path-provisioner-service-account metadata.labels.app: none -> local-path-provisioner
					StorageClass/local-path metadata.labels.app: none -> local-path-provisioner`},
				{"an image without a tag is another one tomorrow", `
					ConfigMap/local-path-config data.helperPod.yaml.spec.containers[helper-pod].image: library/busybox -> library/busybox:1.37.0`},
				{"a change of the configuration restarts the pod", `
					Deployment/local-path-provisioner spec.template.metadata.annotations.evenkeel.dev/config-hash: none -> *`},
				{"debug output is for those who look for a fault", `
					Deployment/local-path-provisioner spec.template.spec.containers[local-path-provisioner].command[*`},
				{"the startup probe waits in their place", `
					Deployment/local-path-provisioner spec.template.spec.containers[local-path-provisioner].livenessProbe.initialDelaySeconds: 10 -> none
					Deployment/local-path-provisioner spec.template.spec.containers[local-path-provisioner].readinessProbe.initialDelaySeconds: 5 -> none
					Deployment/local-path-provisioner spec.template.spec.containers[local-path-provisioner].startupProbe.initialDelaySeconds: 5 -> none`},
				{"every container asks for what it needs", `
					Deployment/local-path-provisioner spec.template.spec.containers[local-path-provisioner].resources.*`},
				{"the provisioner itself, in an image of one binary, needs no rights", `
					Deployment/local-path-provisioner spec.template.spec.containers[local-path-provisioner].securityContext.*
					Deployment/local-path-provisioner spec.template.spec.containers[local-path-provisioner].volumeMounts[/etc/config/].readOnly: none -> true
					Deployment/local-path-provisioner spec.template.spec.enableServiceLinks: none -> false
					Deployment/local-path-provisioner spec.template.spec.securityContext.*`},
				{"the environment says so", `
					StorageClass/local-path metadata.annotations.storageclass.kubernetes.io/is-default-class: none -> true`},
			},
		},
	}
}
