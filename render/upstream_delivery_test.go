package render_test

// deliveryUpstreams are Jenkins and Harbor, compared with what their charts render
// from default values.
func deliveryUpstreams() []upstream {
	return []upstream{
		{
			system: "jenkins", unit: "jenkins", files: []string{"chart-rendered-without-secrets.yaml"},
			values: map[string]string{
				"jcasc-default-config.yaml": "jenkins.yaml", "jenkins-jenkins-agent": "jenkins-agent",
				"chart-admin-username": "username", "chart-admin-password": "password",
			},
			roles: map[string]string{
				"ConfigMap/jenkins-jenkins-jcasc-config": "ConfigMap/jenkins-casc",
				"ConfigMap/jenkins":                      "ConfigMap/jenkins-plugins",
			},
			known: []difference{
				{"2.580.3 is the newest long-term release; the newest chart that could be rendered has the one before", `
					StatefulSet/jenkins spec.template.spec.containers[jenkins].image: jenkins/jenkins:2.568.2-jdk21 -> jenkins/jenkins:2.580.3-jdk21
					StatefulSet/jenkins spec.template.spec.initContainers[init].image: jenkins/jenkins:2.568.2-jdk21 -> jenkins/jenkins:2.580.3-jdk21`},
				{"the namespace and its Pod Security level, and the way in, belong to the stack", `
					Ingress/jenkins: only here
					Namespace/jenkins: only here`},

				{"a setting that says what Jenkins does anyway is left out", `
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.addMasterProxyEnvVars: false -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.connectTimeout: 5 -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.credentialsId:  -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.defaultsProviderTemplate:  -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.maxRequestsPerHostStr: 32 -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.readTimeout: 15 -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.retentionTimeout: 5 -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.skipTlsVerify: false -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.usageRestricted: false -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.waitForPodSec: 600 -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.templates[default].containers[jnlp].alwaysPullImage: false -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.templates[default].containers[jnlp].envVars*
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.templates[default].containers[jnlp].ttyEnabled: false -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.templates[default].id: *
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.templates[default].idleMinutes: 0 -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.templates[default].inheritYamlMergeStrategy: false -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.templates[default].instanceCap: *
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.templates[default].nodeUsageMode: NORMAL -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.templates[default].showRawYaml: true -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.templates[default].slaveConnectTimeoutStr: 100 -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.templates[default].yamlMergeStrategy: override -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.labelString:  -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.markupFormatter: plainText -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.projectNamingStrategy: standard -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.securityRealm.local.enableCaptcha: false -> none
					ConfigMap/jenkins-casc data.jenkins.yaml.security.apiToken.usageStatisticsEnabled: true -> none`},

				{"agents keep to Pod Security restricted, and have an account of their own, without rights", `
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.restrictedPssSecurityContext: false -> true
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.templates[default].serviceAccount: default -> jenkins-agent
					ServiceAccount/jenkins-agent: only here`},

				{"builds that ask for no label find an agent", `
					ConfigMap/jenkins-casc data.jenkins.yaml.jenkins.clouds[0].kubernetes.templates[default].label: jenkins-agent  -> none`},

				{"links in mails lead to the host that people use", `
					ConfigMap/jenkins-casc data.jenkins.yaml.unclassified.location.url: http://jenkins:8080 -> http://jenkins.lab.example/`},

				{"the hash on the pod restarts Jenkins when its configuration changes: no sidecar that reads ConfigMaps, no token, no rights for it, and the configuration is not kept in the home", `
					ConfigMap/jenkins-casc metadata.labels.jenkins-jenkins-config: true -> none
					Role/jenkins-casc-reload: only upstream
					RoleBinding/jenkins-watch-configmaps: only upstream
					StatefulSet/jenkins spec.template.metadata.annotations.*
					StatefulSet/jenkins spec.template.spec.containers[config-reload]*
					StatefulSet/jenkins spec.template.spec.initContainers[config-reload-init]*
					StatefulSet/jenkins spec.template.spec.containers[jenkins].env[CASC_JENKINS_CONFIG]*
					StatefulSet/jenkins spec.template.spec.containers[jenkins].env[POD_NAME]*
					StatefulSet/jenkins spec.template.spec.containers[jenkins].volumeMounts[/var/jenkins_casc]*
					StatefulSet/jenkins spec.template.spec.containers[jenkins].volumeMounts[/var/jenkins_config]*
					StatefulSet/jenkins spec.template.spec.containers[jenkins].volumeMounts[/var/jenkins_home/casc_configs]*
					StatefulSet/jenkins spec.template.spec.volumes[casc]*
					StatefulSet/jenkins spec.template.spec.volumes[sc-config-volume]*`},

				{"the plugins are loaded by four lines in the pod, not by a script in a ConfigMap; the setup wizard is off by its switch", `
					ConfigMap/jenkins-plugins data.apply_config.sh*
					StatefulSet/jenkins spec.template.spec.containers[jenkins].env[JAVA_OPTS]*
					StatefulSet/jenkins spec.template.spec.initContainers[init].command[1]*
					StatefulSet/jenkins spec.template.spec.initContainers[init].command[2]*
					StatefulSet/jenkins spec.template.spec.initContainers[init].volumeMounts[/var/jenkins_config]*
					StatefulSet/jenkins spec.template.spec.volumes[jenkins-config]*
					StatefulSet/jenkins spec.template.spec.volumes[plugin-list]*`},

				{"the login is a Secret that the site makes, mounted as it is", `
					StatefulSet/jenkins spec.template.spec.containers[jenkins].volumeMounts[/run/secrets/additional].name: jenkins-secrets -> admin
					StatefulSet/jenkins spec.template.spec.volumes[admin]*
					StatefulSet/jenkins spec.template.spec.volumes[jenkins-secrets]*`},

				{"the tag is fixed: nothing to pull twice", `
					StatefulSet/jenkins spec.template.spec.containers[jenkins].imagePullPolicy: Always -> none
					StatefulSet/jenkins spec.template.spec.initContainers[init].imagePullPolicy: Always -> none`},

				{"the same in other words", `
					Service/jenkins spec.ports[8080].targetPort: 8080 -> http
					Service/jenkins-agent spec.ports[50000].targetPort: 50000 -> agent-listener
					StatefulSet/jenkins spec.template.spec.containers[jenkins].env[JENKINS_OPTS]*
					StatefulSet/jenkins spec.template.spec.containers[jenkins].resources.limits.*
					StatefulSet/jenkins spec.template.spec.initContainers[init].resources.limits.*
					StatefulSet/jenkins spec.template.spec.containers[jenkins].volumeMounts[/usr/share/jenkins/ref/plugins*
					StatefulSet/jenkins spec.template.spec.containers[jenkins].volumeMounts[/var/jenkins_home].readOnly: false -> none`},

				{"what Pod Security restricted asks for", `
					StatefulSet/jenkins spec.template.spec.containers[jenkins].securityContext.capabilities.drop[0]: none -> ALL
					StatefulSet/jenkins spec.template.spec.initContainers[init].securityContext.capabilities.drop[0]: none -> ALL
					StatefulSet/jenkins spec.template.spec.securityContext.seccompProfile.type: none -> RuntimeDefault`},

				{"running builds have a minute to note where they are", `
					StatefulSet/jenkins spec.template.spec.terminationGracePeriodSeconds: none -> 60`},
			},
		},
		{
			system: "harbor", unit: "harbor", files: []string{"chart-rendered-without-secrets.yaml"},
			values: map[string]string{"core.harbor.domain": "harbor.lab.example"},
			known: []difference{
				{"2.15.3 fixes vulnerabilities of 2026; the newest chart that could be rendered has the release before", `
					Deployment/harbor-core spec.template.spec.containers[core].image: goharbor/harbor-core:v2.15.2 -> goharbor/harbor-core:v2.15.3
					Deployment/harbor-jobservice spec.template.spec.containers[jobservice].image: goharbor/harbor-jobservice:v2.15.2 -> goharbor/harbor-jobservice:v2.15.3
					Deployment/harbor-portal spec.template.spec.containers[portal].image: goharbor/harbor-portal:v2.15.2 -> goharbor/harbor-portal:v2.15.3
					Deployment/harbor-registry spec.template.spec.containers[registry].image: goharbor/registry-photon:v2.15.2 -> goharbor/registry-photon:v2.15.3
					Deployment/harbor-registry spec.template.spec.containers[registryctl].image: goharbor/harbor-registryctl:v2.15.2 -> goharbor/harbor-registryctl:v2.15.3
					StatefulSet/harbor-database spec.template.spec.containers[database].image: goharbor/harbor-db:v2.15.2 -> goharbor/harbor-db:v2.15.3
					StatefulSet/harbor-database spec.template.spec.initContainers[data-permissions-ensurer].image: goharbor/harbor-db:v2.15.2 -> goharbor/harbor-db:v2.15.3
					StatefulSet/harbor-redis spec.template.spec.containers[redis].image: goharbor/valkey-photon:v2.15.2 -> goharbor/valkey-photon:v2.15.3
					StatefulSet/harbor-trivy spec.template.spec.containers[trivy].image: goharbor/trivy-adapter-photon:v2.15.2 -> goharbor/trivy-adapter-photon:v2.15.3`},
				{"every object bears the labels of the system; Helm's marks mean something to Helm alone", `
					ConfigMap/harbor-core metadata.labels.*
					ConfigMap/harbor-jobservice metadata.labels.*
					ConfigMap/harbor-jobservice-env metadata.labels.*
					ConfigMap/harbor-portal metadata.labels.*
					ConfigMap/harbor-registry metadata.labels.*
					Deployment/harbor-core metadata.labels.*
					Deployment/harbor-jobservice metadata.labels.*
					Deployment/harbor-portal metadata.labels.*
					Deployment/harbor-registry metadata.labels.*
					Ingress/harbor-ingress metadata.labels.*
					PersistentVolumeClaim/harbor-jobservice metadata.labels.*
					PersistentVolumeClaim/harbor-registry metadata.labels.*
					Service/harbor-core metadata.labels.*
					Service/harbor-database metadata.labels.*
					Service/harbor-jobservice metadata.labels.*
					Service/harbor-portal metadata.labels.*
					Service/harbor-redis metadata.labels.*
					Service/harbor-registry metadata.labels.*
					Service/harbor-trivy metadata.labels.*
					StatefulSet/harbor-database metadata.labels.*
					StatefulSet/harbor-redis metadata.labels.*
					StatefulSet/harbor-trivy metadata.labels.*
					Deployment/harbor-core spec.template.metadata.labels.chart: *
					Deployment/harbor-core spec.template.metadata.labels.heritage: *
					Deployment/harbor-jobservice spec.template.metadata.labels.chart: *
					Deployment/harbor-jobservice spec.template.metadata.labels.heritage: *
					Deployment/harbor-portal spec.template.metadata.labels.chart: *
					Deployment/harbor-portal spec.template.metadata.labels.heritage: *
					Deployment/harbor-registry spec.template.metadata.labels.chart: *
					Deployment/harbor-registry spec.template.metadata.labels.heritage: *
					StatefulSet/harbor-database spec.template.metadata.labels.chart: *
					StatefulSet/harbor-database spec.template.metadata.labels.heritage: *
					StatefulSet/harbor-redis spec.template.metadata.labels.chart: *
					StatefulSet/harbor-redis spec.template.metadata.labels.heritage: *
					StatefulSet/harbor-trivy spec.template.metadata.labels.chart: *
					StatefulSet/harbor-trivy spec.template.metadata.labels.heritage: *
					StatefulSet/harbor-database spec.volumeClaimTemplates[0].metadata.labels.*
					StatefulSet/harbor-database spec.volumeClaimTemplates[0].spec.volumeMode: none -> Filesystem
					StatefulSet/harbor-database spec.volumeClaimTemplates[0].status.phase: none -> Pending
					StatefulSet/harbor-redis spec.volumeClaimTemplates[0].metadata.labels.*
					StatefulSet/harbor-redis spec.volumeClaimTemplates[0].spec.volumeMode: none -> Filesystem
					StatefulSet/harbor-redis spec.volumeClaimTemplates[0].status.phase: none -> Pending
					StatefulSet/harbor-trivy spec.volumeClaimTemplates[0].metadata.labels.*
					StatefulSet/harbor-trivy spec.volumeClaimTemplates[0].spec.volumeMode: none -> Filesystem
					StatefulSet/harbor-trivy spec.volumeClaimTemplates[0].status.phase: none -> Pending`},
				{"a hash of what the pods read, in place of one for each file of the chart", `
					Deployment/harbor-core spec.template.metadata.annotations.*
					Deployment/harbor-jobservice spec.template.metadata.annotations.*
					Deployment/harbor-portal spec.template.metadata.annotations.*
					Deployment/harbor-registry spec.template.metadata.annotations.*
					StatefulSet/harbor-database spec.template.metadata.annotations.*
					StatefulSet/harbor-trivy spec.template.metadata.annotations.*`},
				{"what Pod Security restricted asks for, and no walk through all files at each start", `
					Deployment/harbor-core spec.template.spec.securityContext.*
					Deployment/harbor-jobservice spec.template.spec.securityContext.*
					Deployment/harbor-portal spec.template.spec.securityContext.*
					Deployment/harbor-registry spec.template.spec.securityContext.*
					StatefulSet/harbor-database spec.template.spec.securityContext.*
					StatefulSet/harbor-redis spec.template.spec.securityContext.*
					StatefulSet/harbor-trivy spec.template.spec.securityContext.*`},
				{"a scheduler that knows nothing of a pod overloads nodes", `
					Deployment/harbor-core spec.template.spec.containers[core].resources.requests.*
					Deployment/harbor-jobservice spec.template.spec.containers[jobservice].resources.requests.*
					Deployment/harbor-portal spec.template.spec.containers[portal].resources.requests.*
					Deployment/harbor-registry spec.template.spec.containers[registry].resources.requests.*
					Deployment/harbor-registry spec.template.spec.containers[registryctl].resources.requests.*
					StatefulSet/harbor-database spec.template.spec.containers[database].resources.requests.*
					StatefulSet/harbor-redis spec.template.spec.containers[redis].resources.requests.*
					StatefulSet/harbor-database spec.template.spec.initContainers[data-permissions-ensurer].resources.requests.*`},
				{"Pod Security level and namespace belong to the stack", `
					Namespace/harbor: only here`},

				{"no proxy is set, which empty variables say too; there is no exporter to leave out", `
					ConfigMap/harbor-core data.HTTPS_PROXY:*
					ConfigMap/harbor-core data.HTTP_PROXY:*
					ConfigMap/harbor-core data.NO_PROXY:*
					ConfigMap/harbor-jobservice-env data.HTTPS_PROXY:*
					ConfigMap/harbor-jobservice-env data.HTTP_PROXY:*
					ConfigMap/harbor-jobservice-env data.NO_PROXY:*
					StatefulSet/harbor-trivy spec.template.spec.containers[trivy].env[HTTPS_PROXY]*
					StatefulSet/harbor-trivy spec.template.spec.containers[trivy].env[HTTP_PROXY]*
					StatefulSet/harbor-trivy spec.template.spec.containers[trivy].env[NO_PROXY]*`},

				{"nginx reads one blank as many", `
					ConfigMap/harbor-portal data.nginx.conf[*`},

				{"the cache has no login: it is reached inside the namespace alone", `
					ConfigMap/harbor-registry data.config.yml.redis.password:*
					ConfigMap/harbor-registry data.config.yml.redis.username:*
					StatefulSet/harbor-trivy spec.template.spec.containers[trivy].env[SCANNER_JOB_QUEUE_REDIS_URL]*
					StatefulSet/harbor-trivy spec.template.spec.containers[trivy].env[SCANNER_REDIS_URL]*
					StatefulSet/harbor-trivy spec.template.spec.containers[trivy].env[SCANNER_STORE_REDIS_URL]*`},

				{"a ConfigMap without content", `
					ConfigMap/harbor-registryctl: only upstream
					Deployment/harbor-registry spec.template.spec.containers[registryctl].envFrom[0].configMapRef.name: harbor-registryctl -> none`},

				{"keys and passwords come from one Secret that the site makes: the chart's published ones must not be used, and those that it makes change with each render", `
					Deployment/harbor-core spec.template.spec.containers[core].envFrom[1]*
					Deployment/harbor-core spec.template.spec.containers[core].env[*
					Deployment/harbor-core spec.template.spec.volumes[secret-key]*
					Deployment/harbor-core spec.template.spec.volumes[token-service-private-key]*
					Deployment/harbor-jobservice spec.template.spec.containers[jobservice].envFrom[1]*
					Deployment/harbor-jobservice spec.template.spec.containers[jobservice].env[*
					Deployment/harbor-registry spec.template.spec.containers[registry].envFrom[0]*
					Deployment/harbor-registry spec.template.spec.containers[registry].env[*
					Deployment/harbor-registry spec.template.spec.containers[registryctl].envFrom[1]*
					Deployment/harbor-registry spec.template.spec.containers[registryctl].envFrom[2]*
					Deployment/harbor-registry spec.template.spec.containers[registryctl].env[*
					Deployment/harbor-registry spec.template.spec.volumes[registry-htpasswd]*
					StatefulSet/harbor-database spec.template.spec.containers[database].envFrom[0]*
					StatefulSet/harbor-database spec.template.spec.containers[database].env[*`},

				{"the certificate is the site's: the chart would make one, new at each render, and offer its authority for download", `
					Ingress/harbor-ingress spec.tls*
					Deployment/harbor-core spec.template.spec.containers[core].volumeMounts[/etc/core/ca]*
					Deployment/harbor-core spec.template.spec.volumes[ca-download]*`},

				{"the class is the site's, and the edge redirects to HTTPS", `
					Ingress/harbor-ingress metadata.annotations.ingress.kubernetes.io/*
					Ingress/harbor-ingress metadata.annotations.nginx.ingress.kubernetes.io/ssl-redirect: true -> none
					Ingress/harbor-ingress spec.ingressClassName: none -> traefik`},

				{"two of them at once would write to one volume, or migrate one database", `
					Deployment/harbor-core spec.strategy.type: none -> Recreate
					Deployment/harbor-jobservice spec.strategy.type: none -> Recreate
					Deployment/harbor-portal spec.strategy.type: none -> Recreate
					Deployment/harbor-registry spec.strategy.type: none -> Recreate`},

				{"prune keeps claims: no mark is needed", `
					PersistentVolumeClaim/harbor-jobservice metadata.annotations.helm.sh/resource-policy: keep -> none
					PersistentVolumeClaim/harbor-registry metadata.annotations.helm.sh/resource-policy: keep -> none`},

				{"ports are named and targets said, to the same effect", `
					Service/harbor-database spec.ports[*
					Service/harbor-portal spec.ports[*
					Service/harbor-redis spec.ports[*
					Service/harbor-registry spec.ports[*
					Service/harbor-trivy spec.ports[*
					StatefulSet/harbor-database spec.template.spec.containers[database].ports[*
					StatefulSet/harbor-redis spec.template.spec.containers[redis].ports[*`},

				{"as the other pods of the chart", `
					Deployment/harbor-portal spec.template.spec.terminationGracePeriodSeconds: none -> 120
					StatefulSet/harbor-trivy spec.template.spec.terminationGracePeriodSeconds: none -> 120`},

				{"no token, and what the scanner does anyway", `
					StatefulSet/harbor-trivy spec.template.spec.containers[trivy].env[SCANNER_TRIVY_GITHUB_TOKEN]*
					StatefulSet/harbor-trivy spec.template.spec.containers[trivy].env[SCANNER_TRIVY_SKIP_JAVA_DB_UPDATE]*
					StatefulSet/harbor-trivy spec.template.spec.containers[trivy].volumeMounts[/home/scanner/.cache].readOnly: false -> none`},
			},
		},
	}
}
