package importer

import "testing"

// TestLevel: the Pod Security level of a new environment is the strictest that lets what
// was imported run, and that of the Namespace where it has one.
func TestLevel(t *testing.T) {
	t.Parallel()
	pod := func(ns, spec string) string {
		return `{apiVersion: apps/v1, kind: Deployment, metadata: {name: x, namespace: ` + ns + `}, spec: {selector: {matchLabels: {app: x}}, template: {metadata: {labels: {app: x}}, spec: ` + spec + `}}}`
	}
	const (
		strict = `{securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}, containers: [{name: c, image: i, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]}`
		plain  = `{containers: [{name: c, image: i}]}`
		host   = `{hostNetwork: true, containers: [{name: c, image: i}]}`
	)
	for _, c := range []struct {
		name, want string
		objects    []string
	}{
		{"restricted", "restricted", []string{pod("a", strict)}},
		{"baseline", "baseline", []string{pod("a", strict), `{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: a}, spec: ` + plain + `}`}},
		{"privileged", "privileged", []string{pod("a", plain), `{apiVersion: batch/v1, kind: CronJob, metadata: {name: p, namespace: a}, spec: {schedule: "@daily", jobTemplate: {spec: {template: {spec: ` + host + `}}}}}`}},
		{"the Namespace says it", "baseline", []string{pod("a", strict), `{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {pod-security.kubernetes.io/enforce: baseline}}}`}},
		{"a Namespace without labels", "restricted", []string{pod("a", strict), `{apiVersion: v1, kind: Namespace, metadata: {name: a}}`}},
		{"a mesh puts containers in", "privileged", []string{pod("a", strict), `{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {istio-injection: enabled}}}`}},
		{"an operator makes pods", "privileged", []string{pod("a", strict), `{apiVersion: example.org/v1, kind: Database, metadata: {name: d, namespace: a}}`}},
		{"no pods", "privileged", []string{`{apiVersion: v1, kind: ConfigMap, metadata: {name: m, namespace: a}}`}},
		{"pods elsewhere", "restricted", []string{pod("a", strict), `{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: b}, spec: ` + host + `}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var items []Item
			for _, text := range c.objects {
				value, err := decode([]byte(text))
				if err != nil {
					t.Fatal(err)
				}
				items = append(items, Item{Object: value.(map[string]any)})
			}
			imp, err := Objects(items, Options{Env: "a", Namespace: "a"})
			if err != nil {
				t.Fatal(err)
			}
			if imp.Level != c.want {
				t.Errorf("got %s, want %s", imp.Level, c.want)
			}
		})
	}
}
