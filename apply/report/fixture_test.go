package report

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with testdata/<name>.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); run with -update:\n%s", path, diff)
	}
}

// fixture is one plan with every action, every kind of field and hostile text.
func fixture(t *testing.T) *apply.Plan {
	t.Helper()
	p := &apply.Plan{
		Environment: "prod",
		Cluster:     schema.Cluster{Context: "od", UID: "3f0e"},
		Warnings:    []string{"Deployment/app/dubbo-demo-consumer: spec.replicas was applied by kubectl, which may apply it again"},
		Incomplete:  []string{"metrics.k8s.io/v1beta1"},
		Summary:     map[apply.Action]int{apply.Unchanged: 40},
	}
	edited := time.Date(2026, 11, 21, 10, 32, 0, 0, time.UTC)
	add := func(c apply.Change) {
		p.Changes = append(p.Changes, c)
		p.Summary[c.Action]++
	}
	for i := range 6 {
		at := edited.Add(time.Duration(i) * time.Minute)
		name := fmt.Sprintf("dubbo-demo-service-%d", i)
		change := apply.Change{
			Action: apply.Configured, Unit: name, Ref: object("apps/v1", "Deployment", name), Verified: true, Restarts: true,
			Before: parse(t, deployment(name, "harbor.od.com/app/service:1", "old")),
			After:  parse(t, deployment(name, "harbor.od.com/app/service:1", "new")),
			Fields: []managed.Field{{Path: "spec.template.metadata.labels.team", From: "old", To: "new", By: "evenkeel", At: &at}},
		}
		if i == 0 {
			change.After = parse(t, deployment(name, "harbor.od.com/app/service:2", "new"))
			change.Fields = append(change.Fields, managed.Field{
				Path: "spec.template.spec.containers[name=app].image",
				From: "harbor.od.com/app/service:1", To: "harbor.od.com/app/service:2", By: "kubectl-edit", At: &edited,
			})
		}
		add(change)
	}
	add(apply.Change{
		Action: apply.Created, Unit: "dubbo-demo-consumer", Ref: object("v1", "Service", "dubbo-demo-consumer"), Verified: true,
		After: parse(t, "{apiVersion: v1, kind: Service, metadata: {name: dubbo-demo-consumer, namespace: app}, spec: {ports: [{port: 80, targetPort: http}]}}"),
	})
	add(apply.Change{
		Action: apply.Configured, Unit: "dubbo-demo-consumer", Ref: object("v1", "ConfigMap", "dubbo-demo-consumer"), Verified: true,
		Before: parse(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: dubbo-demo-consumer, namespace: app}, data: {nginx.conf: \"server {\\n  listen 80;\\n  root /a;\\n}\\n\"}}"),
		After:  parse(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: dubbo-demo-consumer, namespace: app}, data: {nginx.conf: \"server {\\n  listen 80;\\n  root /b;\\n}\\n\"}}"),
		Fields: []managed.Field{{
			Path: "data[nginx.conf]", From: "server {\n  listen 80;\n  root /a;\n}\n", To: "server {\n  listen 80;\n  root /b;\n}\n", By: "evenkeel",
		}},
	})
	add(apply.Change{
		Action: apply.Configured, Unit: "dubbo-demo-consumer", Ref: object("v1", "Secret", "registry"), Verified: true,
		Before: parse(t, "{apiVersion: v1, kind: Secret, metadata: {name: registry, namespace: app}, data: {password: \"secret:1f0c2a3b\"}}"),
		After:  parse(t, "{apiVersion: v1, kind: Secret, metadata: {name: registry, namespace: app}, data: {password: \"secret:9e8d7c6b\"}}"),
		Fields: []managed.Field{{Path: "data.password", From: "secret:1f0c2a3b", To: "secret:9e8d7c6b"}},
	})
	add(apply.Change{
		Action: apply.Conflict, Unit: "dubbo-demo-consumer", Ref: object("apps/v1", "Deployment", "dubbo-demo-consumer"), Verified: true,
		Fields:  []managed.Field{{Path: "spec.replicas", From: int64(5), To: int64(2), By: "argocd-controller", At: &edited}},
		Message: "other managers own spec.replicas (argocd-controller)",
		Refused: "other managers own spec.replicas (argocd-controller)",
		Hint:    "--force-conflicts takes the fields over; ignore on the object leaves them",
	})
	add(apply.Change{
		Action: apply.Foreign, Unit: "dubbo-demo-consumer", Ref: object("apps/v1", "Deployment", "dubbo-demo-consumer"), Verified: true,
		Fields: []managed.Field{
			{Path: "spec.paused", From: true, By: "kubectl-edit", At: &edited},
			{Path: "spec.template.spec.containers[name=app].env[name=DEBUG]", From: map[string]any{"name": "DEBUG", "value": "<b>*1*</b> | `x`"}, By: "k9s"},
		},
	})
	add(apply.Change{
		Action: apply.Recreated, Unit: "edge", Ref: object("batch/v1", "Job", "migrate"), Verified: true,
		Before:  parse(t, "{apiVersion: batch/v1, kind: Job, metadata: {name: migrate, namespace: app}, spec: {template: {spec: {restartPolicy: Never}}}}"),
		After:   parse(t, "{apiVersion: batch/v1, kind: Job, metadata: {name: migrate, namespace: app}, spec: {template: {spec: {restartPolicy: OnFailure}}}}"),
		Fields:  []managed.Field{{Path: "spec.template.spec.restartPolicy", From: "Never", To: "OnFailure", By: "evenkeel"}},
		Message: "must be recreated: spec.template cannot be changed",
		Refused: "recreation is not allowed",
		Hint:    "set recreate: true on the object, or pass --recreate Job/migrate",
	})
	add(apply.Change{
		Action: apply.Adopted, Unit: "edge", Ref: object("apps/v1", "Deployment", "web"), Verified: true, Restarts: true,
		Message: "taken over from kubectl-client-side-apply",
		Fields: []managed.Field{
			{Path: "metadata.labels[app.kubernetes.io/managed-by]", To: "evenkeel"},
			{Path: "spec.template.spec.containers[name=side]", From: map[string]any{
				"name": "side", "image": "harbor.od.com/infra/side:1", "args": []any{"--listen", ":9090", "--verbose"},
				"resources": map[string]any{"limits": map[string]any{"cpu": "100m", "memory": "64Mi"}},
			}, To: "removed", By: "kubectl-client-side-apply", At: &edited},
		},
	})
	add(apply.Change{Action: apply.Reowned, Unit: "edge", Ref: object("v1", "Service", "web"), Verified: true})
	add(apply.Change{
		Action: apply.Terminating, Unit: "edge", Ref: object("v1", "Service", "old"), Verified: true,
		Message: "is being deleted; waits for finalizer example.com/x",
	})
	add(apply.Change{
		Action: apply.UnverifiedCreated, Unit: "shop", Ref: object("shop.example/v1", "Shop", "main"),
		Message: "not verified by the server: waits for CustomResourceDefinition/shops.shop.example",
		After:   parse(t, "{apiVersion: shop.example/v1, kind: Shop, metadata: {name: main, namespace: app}, spec: {title: \"```\\n<script>alert(1)</script>\"}}"),
	})
	add(apply.Change{
		Action: apply.UnverifiedChanged, Unit: "shop", Ref: object("v1", "ConfigMap", "shop"),
		Fields: []managed.Field{{Path: "data.title", From: "\x1b[2Jgone", To: "a | b `c` <d> @all #1"}},
	})
	add(apply.Change{
		Action: apply.Deleted, Unit: "retired", Ref: object("v1", "Service", "retired"), Verified: true,
		Before: parse(t, "{apiVersion: v1, kind: Service, metadata: {name: retired, namespace: app}, spec: {ports: [{port: 80}]}}"),
	})
	add(apply.Change{
		Action: apply.Kept, Unit: "retired", Ref: object("v1", "PersistentVolumeClaim", "data-retired-0"), Verified: true,
		Message: "a PersistentVolumeClaim is pruned only by name",
	})
	add(apply.Change{
		Action: apply.CopiedLabel, Unit: "retired", Ref: object("discovery.k8s.io/v1", "EndpointSlice", "retired-x7d2k"), Verified: true,
		Message: "Service/retired made it and copied the label",
	})
	return p
}

func object(apiVersion, kind, name string) schema.Ref {
	return schema.Ref{APIVersion: apiVersion, Kind: kind, Namespace: "app", Name: name}
}

func deployment(name, image, team string) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: app, labels: {app.kubernetes.io/name: %[1]s}}
spec:
  replicas: 2
  selector: {matchLabels: {app.kubernetes.io/name: %[1]s}}
  template:
    metadata: {labels: {app.kubernetes.io/name: %[1]s, team: %[3]s}}
    spec:
      containers:
      - name: app
        image: %[2]s
        ports: [{name: dubbo, containerPort: 20880}]
        resources: {limits: {cpu: "1", memory: 512Mi}}
`, name, image, team)
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	var object map[string]any
	if err := yaml.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	return object
}
