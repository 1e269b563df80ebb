package apply_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// randomEnv makes environments whose objects have every shape that the
// certificate has a rule for: keyed, set and atomic lists, atomic and granular
// maps, empty maps, nested keyed lists, free-form fields.
type randomEnv struct {
	*rand.Rand
	namespace string
}

// object parses YAML in which a line may start with "?": it stays with a chance
// of one half.
func (r *randomEnv) object(t *testing.T, name, text string) schema.Object {
	t.Helper()
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if rest, maybe := strings.CutPrefix(line, "?"); maybe {
			if r.IntN(2) == 0 {
				continue
			}
			line = rest
		}
		lines = append(lines, line)
	}
	raw, err := yaml.YAMLToJSON([]byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(raw); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	u.SetName(name)
	if u.GetNamespace() == "" {
		u.SetNamespace(r.namespace)
	}
	return schema.Object{Unstructured: u, Key: name}
}

// env has n objects of random kinds, beside its CRDs.
func (r *randomEnv) env(t *testing.T, n int) *schema.Environment {
	t.Helper()
	unit := schema.Unit{Name: "all"}
	for i := range n {
		kinds := r.kinds()
		kind := kinds[i%len(kinds)]
		unit.Objects = append(unit.Objects, r.object(t, fmt.Sprintf("o%d", i), kind))
	}
	env := &schema.Environment{Name: r.namespace, Namespace: r.namespace, Units: []schema.Unit{unit}}
	for _, o := range unit.Objects {
		labels := o.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[schema.LabelPartOf] = schema.ApplySetID(env.Name, env.Namespace)
		labels[schema.LabelManagedBy] = schema.Manager
		labels[schema.LabelUnit] = unit.Name
		o.SetLabels(labels)
	}
	return env
}

func (r *randomEnv) word() string { return fmt.Sprintf("w%d", r.IntN(1000)) }

func (r *randomEnv) podTemplate(restart string) string {
	return `
  template:
    metadata:
      labels: {app: x}
?      annotations: {note: "` + r.word() + `"}
    spec:
?      nodeSelector: {disk: none}
?      serviceAccountName: default
?      securityContext: {}
?      hostAliases: [{ip: "10.0.0.1", hostnames: [a, b]}, {ip: "10.0.0.2", hostnames: [c]}]
?      tolerations: [{key: a, operator: Exists}, {key: b, operator: Exists}]
?      topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: x}}}]
?      affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}}
` + restart + `
      containers:
      - name: main
        image: "harbor.od.com/app/main:` + r.word() + `"
?        args: [run, "--level=` + r.word() + `"]
?        resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}
?        env: [{name: A, value: "1"}, {name: B, value: "2"}, {name: C, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: metadata.name}}}]
?        ports: [{name: http, containerPort: 8080, protocol: TCP}, {name: dubbo, containerPort: 20880, protocol: TCP}]
?        readinessProbe: {httpGet: {path: /ok, port: http}, periodSeconds: 5}
?        volumeMounts: [{name: tmp, mountPath: /tmp}, {name: logs, mountPath: /logs}]
?        securityContext: {capabilities: {drop: [ALL]}}
      - name: side
        image: "harbor.od.com/app/side:1"
?        command: [sleep, "` + r.word() + `"]
      volumes:
      - {name: tmp, emptyDir: {}}
      - {name: logs, emptyDir: {medium: Memory}}
`
}

// kinds are templates in the form that render leaves them in.
func (r *randomEnv) kinds() []string {
	meta := `
metadata:
?  annotations: {owner: "` + r.word() + `", example.com/note: "` + r.word() + `"}
  labels: {app: x, tier: "` + r.word() + `"}
?  finalizers: [example.com/a, example.com/b]
`
	odd := "\nmetadata: {labels: {app: x, tier: x}, annotations: {odd: x}}\n"
	secret := base64.StdEncoding.EncodeToString([]byte(r.word()))
	return []string{
		"apiVersion: apps/v1\nkind: Deployment" + meta + `
spec:
?  replicas: 0
?  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  selector: {matchLabels: {app: x}}
` + r.podTemplate(""),
		"apiVersion: apps/v1\nkind: StatefulSet" + meta + `
spec:
  serviceName: x
?  replicas: 0
?  podManagementPolicy: Parallel
  selector: {matchLabels: {app: x}}
` + r.podTemplate(""),
		"apiVersion: apps/v1\nkind: DaemonSet" + meta + `
spec:
?  minReadySeconds: 5
  selector: {matchLabels: {app: x}}
` + strings.ReplaceAll(r.podTemplate(""), "?      nodeSelector: {disk: none}", "      nodeSelector: {disk: none}"),
		"apiVersion: v1\nkind: Service" + meta + `
spec:
  selector: {app: x}
?  sessionAffinity: ClientIP
  ports:
  - {name: http, port: 80, protocol: TCP, targetPort: http}
  - {name: dns, port: 53, protocol: UDP, targetPort: 53}
?  - {name: dns-tcp, port: 53, protocol: TCP, targetPort: 53}
?  - {name: web, port: 443, protocol: TCP}
`,
		"apiVersion: v1\nkind: ConfigMap" + meta + `
data: {a: "` + r.word() + `", b: "line\nline\r\n", c: ""}
?binaryData: {d: "` + secret + `"}
`,
		"apiVersion: v1\nkind: Secret" + meta + `
type: Opaque
data: {password: "` + secret + `", other: "` + secret + `"}
`,
		"apiVersion: v1\nkind: ServiceAccount" + meta + `
?automountServiceAccountToken: false
?imagePullSecrets: [{name: a}, {name: b}]
`,
		"apiVersion: networking.k8s.io/v1\nkind: Ingress" + meta + `
spec:
  ingressClassName: traefik
  rules:
  - {host: "` + r.word() + `.od.com", http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: x, port: {name: http}}}}]}}
?  tls: [{hosts: [a.od.com], secretName: t}]
`,
		"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy" + meta + `
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
?  ingress: [{from: [{podSelector: {matchLabels: {a: b}}}], ports: [{port: 80, protocol: TCP}]}]
`,
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: Role" + meta + `
rules:
- {apiGroups: [""], resources: [pods, services], verbs: [get, list]}
?- {apiGroups: [apps], resources: [deployments], verbs: [get]}
`,
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding" + meta + `
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: x}
subjects: [{kind: ServiceAccount, name: default, namespace: ` + r.namespace + `}]
`,
		"apiVersion: policy/v1\nkind: PodDisruptionBudget" + meta + `
spec:
  maxUnavailable: 1
  selector: {matchLabels: {app: x}}
`,
		"apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler" + meta + `
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: nothing}
  minReplicas: 2
  maxReplicas: 5
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
?  behavior: {scaleDown: {stabilizationWindowSeconds: 60}}
`,
		"apiVersion: batch/v1\nkind: CronJob" + meta + `
spec:
  schedule: "0 3 * * *"
?  suspend: true
  jobTemplate:
    spec:
?      backoffLimit: 2
      template:
        spec:
          restartPolicy: Never
          containers: [{name: main, image: "x:1", args: [a]}]
`,
		"apiVersion: v1\nkind: PersistentVolumeClaim" + meta + `
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: none
  resources: {requests: {storage: 1Gi}}
`,
		"apiVersion: v1\nkind: ResourceQuota" + meta + `
spec: {hard: {count/events: "` + fmt.Sprint(10001+r.IntN(98)) + `", count/leases.coordination.k8s.io: 9k}}
`,
		// Odd shapes on purpose: none of these may be certified wrongly, whether
		// they are certified or not.
		"apiVersion: v1\nkind: Service" + odd + `
spec: {clusterIP: None, selector: {app: x}, ports: [{name: a, port: 80}, {port: 81, name: b, targetPort: 81, protocol: TCP}]}
`,
		"apiVersion: apps/v1\nkind: Deployment" + odd + `
spec:
  replicas: 0
  strategy: {}
  selector: {matchLabels: {app: x}}
  template:
    metadata: {labels: {app: x}, creationTimestamp: null}
    spec:
      containers: [{name: main, image: x, resources: {limits: {cpu: "1000m"}}, ports: [{containerPort: 80}], env: []}]
`,
		"apiVersion: " + r.group() + "/v1\nkind: Structural" + meta + `
spec:
?  mode: fast
?  size: 3
?  ratio: 0.5
?  either: 8080
  hosts: [a, b]
?  atomic: {x: "1", y: {z: "2"}}
?  free: {a: 1, b: {c: [1, 2]}, d: null}
  ports: [{name: http, port: 80}, {name: tls, port: 443, note: "` + r.word() + `"}]
?  args: [a, "` + r.word() + `"]
?  labels: {one: "1", two: "2"}
?  nested: [{key: k, inner: [{id: 1, value: a}, {id: 2, value: b}]}]
`,
		"apiVersion: " + r.group() + "/v1\nkind: Free" + meta + `
spec:
  anything: {list: [1, 2, {a: b}], empty: {}, none: null, emptyList: [], flag: false, text: "` + r.word() + `"}
?  more: {deep: {deeper: {deepest: 1}}}
`,
	}
}

func (r *randomEnv) group() string { return r.namespace + ".example.com" }

// crds of the two custom kinds: with a structural schema of every list and map
// type, and with x-kubernetes-preserve-unknown-fields.
func (r *randomEnv) crds(t *testing.T) []schema.Object {
	t.Helper()
	crd := func(kind, openapi string) schema.Object {
		plural := strings.ToLower(kind) + "s"
		o := r.object(t, plural+"."+r.group(), `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  group: `+r.group()+`
  names: {kind: `+kind+`, listKind: `+kind+`List, plural: `+plural+`, singular: `+strings.ToLower(kind)+`}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
          spec: `+openapi+`
`)
		o.SetNamespace("")
		return o
	}
	return []schema.Object{
		crd("Structural", `
            type: object
            properties:
              mode: {type: string, default: slow}
              size: {type: integer}
              ratio: {type: number}
              either: {x-kubernetes-int-or-string: true}
              hosts: {type: array, x-kubernetes-list-type: set, items: {type: string}}
              atomic: {type: object, x-kubernetes-map-type: atomic, x-kubernetes-preserve-unknown-fields: true}
              free: {type: object, x-kubernetes-preserve-unknown-fields: true}
              args: {type: array, items: {type: string}}
              labels: {type: object, additionalProperties: {type: string}}
              ports:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties: {name: {type: string}, port: {type: integer}, note: {type: string}, protocol: {type: string, default: TCP}}
              nested:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [key]
                items:
                  type: object
                  required: [key]
                  properties:
                    key: {type: string}
                    inner:
                      type: array
                      x-kubernetes-list-type: map
                      x-kubernetes-list-map-keys: [id]
                      items: {type: object, required: [id], properties: {id: {type: integer}, value: {type: string}}}`),
		crd("Free", `{type: object, x-kubernetes-preserve-unknown-fields: true}`),
	}
}
