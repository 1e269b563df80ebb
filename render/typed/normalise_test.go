package typed

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

func parse(t *testing.T, text []byte) map[string]any {
	t.Helper()
	data, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	var obj map[string]any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &obj); err != nil {
		t.Fatal(err)
	}
	return obj
}

func typeOf(t *testing.T, k *Kinds, obj map[string]any) (reflect.Type, bool) {
	t.Helper()
	u := unstructured.Unstructured{Object: obj}
	return k.Type(u.GroupVersionKind())
}

// TestNormaliseLikeTheTypes compares the walk with what it stands for: decode into
// the Go type, encode again, and keep of the source what survived.
func TestNormaliseLikeTheTypes(t *testing.T) {
	names, err := filepath.Glob(filepath.Join("..", "..", "testdata", "golden", "*.yaml"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no golden manifests: %v", err)
	}
	var docs [][]byte
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, bytes.Split(data, []byte("---\n"))...)
	}
	for _, doc := range awkward() {
		docs = append(docs, []byte(doc))
	}
	k := New()
	checked := 0
	for _, doc := range docs {
		if len(bytes.TrimSpace(doc)) == 0 {
			continue
		}
		typ, ok := typeOf(t, k, parse(t, doc))
		if !ok {
			continue // a custom resource
		}
		checked++
		got := parse(t, doc)
		if problems, _ := k.Normalise(got, typ, 0); len(problems) > 0 {
			t.Errorf("%v\n%s", problems, doc)
			continue
		}
		if diff := cmp.Diff(survivors(t, parse(t, doc), typ), got); diff != "" {
			t.Errorf("(-types +walk)\n%s\n%s", diff, doc)
		}
	}
	if checked < 60 {
		t.Errorf("only %d objects of built-in kinds", checked)
	}
}

// survivors decodes and encodes an object with its type.
func survivors(t *testing.T, source map[string]any, typ reflect.Type) map[string]any {
	t.Helper()
	data, err := json.Marshal(source)
	if err != nil {
		t.Fatal(err)
	}
	value := reflect.New(typ).Interface()
	if err := json.Unmarshal(data, value); err != nil {
		t.Fatal(err)
	}
	if data, err = json.Marshal(value); err != nil {
		t.Fatal(err)
	}
	var encoded map[string]any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &encoded); err != nil {
		t.Fatal(err)
	}
	return common(source, encoded).(map[string]any)
}

// common keeps the shape of the source and the values of what was encoded.
func common(source, encoded any) any {
	switch s := source.(type) {
	case map[string]any:
		e, ok := encoded.(map[string]any)
		if !ok {
			return encoded
		}
		out := map[string]any{}
		for key, value := range s {
			there, ok := e[key]
			if list, isList := there.([]any); isList && len(list) == 0 {
				continue // null in storage
			}
			if ok && there != nil && value != nil {
				out[key] = common(value, there)
			}
		}
		return out
	case []any:
		e, ok := encoded.([]any)
		if !ok || len(e) != len(s) {
			return encoded
		}
		out := make([]any, len(s))
		for i := range s {
			out[i] = common(s[i], e[i])
		}
		return out
	}
	return encoded
}

// awkward are objects with values that storage drops or rewrites.
func awkward() []string {
	return []string{
		`{apiVersion: v1, kind: Pod, metadata: {name: a, labels: null, annotations: {}}, spec: {hostNetwork: false, nodeName: "", containers: [{name: a, image: b, args: [], env: [{name: A, value: ""}], resources: {requests: {cpu: 1000m, memory: "1073741824", x: 0.5}}, securityContext: {}, stdin: false, ports: [{containerPort: 0}]}], volumes: [{name: t, emptyDir: {}}, {name: s, emptyDir: {sizeLimit: 1024Mi, medium: ""}}], terminationGracePeriodSeconds: 0}}`,
		`{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, creationTimestamp: null}, spec: {replicas: 0, paused: false, minReadySeconds: 0, strategy: {rollingUpdate: {maxSurge: "25%", maxUnavailable: 0}}, selector: {matchLabels: {a: b}, matchExpressions: []}, template: {metadata: {labels: {a: b}}, spec: {containers: []}}}}`,
		`{apiVersion: v1, kind: Secret, metadata: {name: a}, type: "", data: {a: "", b: aGVsbG8=}, immutable: false}`,
		`{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {}, binaryData: {a: aGVsbG8=}}`,
		`{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 80, targetPort: 8080, nodePort: 0}, {port: 81, targetPort: http}], clusterIP: "", publishNotReadyAddresses: false, allocateLoadBalancerNodePorts: false}}`,
		`{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}, spec: {podSelector: {}, ingress: [{}], egress: [], policyTypes: [Ingress]}}`,
		`{apiVersion: batch/v1, kind: CronJob, metadata: {name: a}, spec: {schedule: "* * * * *", suspend: false, failedJobsHistoryLimit: 0, jobTemplate: {spec: {template: {spec: {containers: [{name: a, image: b}], restartPolicy: Never}}}}}}`,
		`{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: a}, spec: {maxReplicas: 3, scaleTargetRef: {kind: Deployment, name: a, apiVersion: apps/v1}, metrics: [{type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: "1000Mi"}}}]}}`,
		`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a.b.c}, spec: {group: b.c, scope: Namespaced, preserveUnknownFields: false, names: {plural: a, kind: A, shortNames: []}, versions: [{name: v1, served: true, storage: false, deprecated: false, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, additionalProperties: true, nullable: false, default: {x: {}}, x-kubernetes-preserve-unknown-fields: true}, list: {type: array, items: {type: string, enum: [a, 1, null], maxLength: 0, minimum: 0.5}}}}}, subresources: {status: {}}}]}}`,
		`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: a}, rules: [], aggregationRule: {clusterRoleSelectors: [{matchLabels: {a: b}}]}}`,
		`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {storageClassName: "", accessModes: [ReadWriteOnce], resources: {requests: {storage: 1024Mi}}}}`,
		`{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: a}, spec: {minAvailable: "50%", selector: {}}}`,
		`{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: a}, spec: {leaseDurationSeconds: 15, acquireTime: "2026-11-21T10:00:00.000000Z"}}`,
		`{apiVersion: v1, kind: ResourceQuota, metadata: {name: a}, spec: {hard: {pods: 10, requests.cpu: 2, requests.memory: 0.5Gi}}}`,
	}
}

func TestProblems(t *testing.T) {
	tests := []struct{ doc, want string }{
		{`{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, dta: {}}`, `dta: unknown field, did you mean data`},
		{`{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {a: 1}}`, `data.a: wrong type, expected a string, found the number 1`},
		{`{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {a.b/c: true}}`, `data["a.b/c"]: wrong type, expected a string, found the boolean true`},
		{`{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: 99999999999}}`, `spec.replicas: wrong type, expected a whole number of 32 bits, found the number 99999999999`},
		{`{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: {name: a}}}}}`, `spec.template.spec.containers: wrong type, expected a list, found a map`},
		{`{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: [{name: a, resources: {limits: {cpu: lots}}}]}}}}`, `spec.template.spec.containers[0].resources.limits.cpu: not a quantity, expected such as 500m, 1 or 2Gi, found the string "lots"`},
		{`{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {a: "swordfish!"}}`, `data.a: not base64, expected base64`},
	}
	k := New()
	for _, test := range tests {
		obj := parse(t, []byte(test.doc))
		typ, _ := typeOf(t, k, obj)
		var got string
		problems, _ := k.Normalise(obj, typ, 0)
		for _, p := range problems {
			got += p.Path.String() + ": " + p.Message
			if p.Expected != "" {
				got += ", expected " + p.Expected
			}
			if p.Found != "" {
				got += ", found " + p.Found
			}
			if p.Hint != "" {
				got += ", did you mean " + p.Hint
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", test.doc, diff)
		}
	}
}

func TestClosest(t *testing.T) {
	names := []string{"image", "replicas", "host", "terminationGracePeriodSeconds", "port", "ports"}
	tests := map[string]string{
		"imgae": "image", "Image": "image", "replica": "replicas", "hots": "host", "prot": "port",
		"terminationGracePeriodSecond": "terminationGracePeriodSeconds", "zebra": "", "x": "", "por": "port",
	}
	for word, want := range tests {
		if got := Closest(word, names); got != want {
			t.Errorf("Closest(%q) = %q, want %q", word, got, want)
		}
	}
}
