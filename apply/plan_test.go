package apply_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/schema"
)

func TestPlanOfALevelEnvironment(t *testing.T) {
	w := newWorld(t)
	w.desires("web", webConfig, webService, webApp)
	w.applied()
	p := w.plan(apply.PlanOptions{})
	w.expect(p)
	if p.Differs(true) || p.Summary[apply.Unchanged] != 3 {
		t.Errorf("summary %v", p.Summary)
	}
	// Three kinds in one namespace: each listed once, nothing asked.
	want := kube.Requests{Discovery: 2, List: 3, Get: 3}
	if diff := cmp.Diff(want, p.Requests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestPlanSaysWhoChangedWhat(t *testing.T) {
	w := newWorld(t)
	w.desires("web", webConfig, webApp)
	w.applied()
	w.patch(webApp, `{"spec":{"replicas":5}}`, "kubectl-scale", "scale")
	w.patch(webApp, `{"metadata":{"labels":{"team":"blue"}}}`, "k9s")
	p := w.plan(apply.PlanOptions{})
	w.expect(p,
		"configured Deployment/web; spec.replicas: 5 -> 2 by kubectl-scale",
		"foreign Deployment/web; metadata.labels.team: blue -> <nil> by k9s")
	// The server records no time for the scale subresource.
	if at := p.Changes[1].Fields[0].At; at == nil || time.Since(*at) > time.Minute {
		t.Errorf("last write %v", at)
	}
	if !p.Differs(false) || p.Changes[0].Restarts {
		t.Errorf("differs %v, restarts %v", p.Differs(false), p.Changes[0].Restarts)
	}
	if p.Requests.DryRun != 1 {
		t.Errorf("%d dry-runs", p.Requests.DryRun)
	}
}

func TestPlanOfForeignFieldsAloneDiffersOnlyStrictly(t *testing.T) {
	w := newWorld(t)
	w.desires("web", webApp)
	w.applied()
	w.patch(webApp, `{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"harbor.od.com/app/web:1","args":["run"],"env":[{"name":"DEBUG","value":"1"}]}]}}}}`, "kubectl-edit")
	p := w.plan(apply.PlanOptions{})
	w.expect(p, "foreign Deployment/web; spec.template.spec.containers[name=main].env[name=DEBUG]: map[name:DEBUG value:1] -> <nil> by kubectl-edit")
	if p.Differs(false) || !p.Differs(true) {
		t.Errorf("differs %v, strictly %v", p.Differs(false), p.Differs(true))
	}
}

func TestPlanOfAFieldScaledAwayAndBack(t *testing.T) {
	w := newWorld(t)
	w.desires("web", webApp)
	w.applied()
	w.patch(webApp, `{"spec":{"replicas":5}}`, "kubectl", "scale")
	w.patch(webApp, `{"spec":{"replicas":2}}`, "kubectl", "scale")
	p := w.plan(apply.PlanOptions{})
	w.expect(p, "reowned Deployment/web")
	if p.Differs(true) {
		t.Error("ownership alone is a difference")
	}
}

func TestPlanConflicts(t *testing.T) {
	tests := []struct {
		name        string
		controllers []string
		edit        func(w *world)
		conflict    bool
	}{
		{name: "another tool's apply", conflict: true, edit: func(w *world) {
			w.must(w.editor.apply(w.Context(), w.parse(strings.Replace(webConfig, "one", "two", 1)), "other-tool"))
		}},
		{name: "kubectl apply --server-side", edit: func(w *world) {
			w.must(w.editor.apply(w.Context(), w.parse(strings.Replace(webConfig, "one", "two", 1)), "kubectl"))
		}},
		{name: "an edit by hand", edit: func(w *world) { w.patch(webConfig, `{"data":{"a":"two"}}`, "kubectl-edit") }},
		{name: "an unknown manager", edit: func(w *world) { w.patch(webConfig, `{"data":{"a":"two"}}`, "some-operator") }},
		{name: "a declared controller", conflict: true, controllers: []string{"some-operator"}, edit: func(w *world) {
			w.patch(webConfig, `{"data":{"a":"two"}}`, "some-operator")
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.env.Controllers = test.controllers
			w.desires("web", webConfig)
			w.applied()
			test.edit(w)
			p := w.plan(apply.PlanOptions{})
			if got := len(p.Refused()) == 1 && p.Changes[0].Action == apply.Conflict; got != test.conflict {
				t.Errorf("conflict %v: %v", got, changes(p))
			}
			if test.conflict && !strings.Contains(p.Changes[0].Refused, "data.a") {
				t.Errorf("refused: %s", p.Changes[0].Refused)
			}
			forced := w.plan(apply.PlanOptions{ForceConflicts: true})
			if len(forced.Refused()) != 0 || forced.Changes[0].Action != apply.Configured {
				t.Errorf("forced: %v", changes(forced))
			}
		})
	}
}

func TestPlanAdoption(t *testing.T) {
	w := newWorld(t)
	w.desires("web", webApp)
	// As kubectl apply on the client side leaves it, with a field that git lacks.
	clientSide := w.parse(webApp)
	clientSide.SetAnnotations(map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "by hand"})
	containers, _, _ := unstructured.NestedSlice(clientSide.Object, "spec", "template", "spec", "containers")
	containers[0].(map[string]any)["env"] = []any{map[string]any{"name": "OLD", "value": "1"}}
	w.must(unstructured.SetNestedSlice(clientSide.Object, containers, "spec", "template", "spec", "containers"))
	_, err := w.editor.resource(clientSide).Create(w.Context(), clientSide, metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"})
	w.must(err)

	p := w.plan(apply.PlanOptions{})
	set := schema.ApplySetID(w.env.Name, w.env.Namespace)
	w.expect(p, "adopted Deployment/web; metadata.labels: <nil> -> map[app.kubernetes.io/managed-by:evenkeel applyset.kubernetes.io/part-of:"+set+" evenkeel.dev/unit:web]"+
		"; metadata.annotations.note: by hand -> removed by kubectl-client-side-apply"+
		"; spec.template.spec.containers[name=main].env[name=OLD]: map[name:OLD value:1] -> removed by kubectl-client-side-apply")
	if c := p.Changes[0]; !c.Restarts || !strings.Contains(c.Message, "kubectl-client-side-apply") {
		t.Errorf("restarts %v, message %q", c.Restarts, c.Message)
	}
}

func TestPlanAdoptionOfEqualTemplateRestartsNothing(t *testing.T) {
	w := newWorld(t)
	w.desires("web", webApp)
	same := w.parse(webApp)
	_, err := w.editor.resource(same).Create(w.Context(), same, metav1.CreateOptions{FieldManager: "kubectl-create"})
	w.must(err)
	p := w.plan(apply.PlanOptions{})
	if len(p.Changes) != 1 || p.Changes[0].Action != apply.Adopted || p.Changes[0].Restarts || len(p.Changes[0].Fields) != 1 {
		t.Errorf("%v", changes(p))
	}
}

func TestPlanLeavesWhatBelongsToOthers(t *testing.T) {
	owners := map[string]string{
		"labels: {" + schema.LabelPartOf + ": " + schema.ApplySetID("other", "other") + "}":          "ApplySet",
		"annotations: {meta.helm.sh/release-name: shop}":                                             "Helm release shop",
		"labels: {kustomize.toolkit.fluxcd.io/name: a, kustomize.toolkit.fluxcd.io/namespace: flux}": "Flux Kustomization flux/a",
		"labels: {helm.toolkit.fluxcd.io/name: a, helm.toolkit.fluxcd.io/namespace: flux}":           "Flux HelmRelease flux/a",
		"labels: {argocd.argoproj.io/instance: shop}":                                                "Argo CD application shop",
		"annotations: {argocd.argoproj.io/tracking-id: \"shop:/ConfigMap:x/web\"}":                   "Argo CD application shop",
		"ownerReferences: [{apiVersion: v1, kind: Foo, name: f, uid: u, controller: true}]":          "Foo/f",
	}
	for meta, owner := range owners {
		t.Run(owner, func(t *testing.T) {
			w := newWorld(t)
			w.desires("web", webConfig)
			theirs := w.parse("{apiVersion: v1, kind: ConfigMap, metadata: {name: web, " + meta + "}}")
			_, err := w.editor.resource(theirs).Create(w.Context(), theirs, metav1.CreateOptions{FieldManager: "tool"})
			w.must(err)
			p := w.plan(apply.PlanOptions{})
			if r := p.Refused(); len(r) != 1 || !strings.Contains(r[0].Refused, owner) || r[0].Action != apply.Conflict {
				t.Errorf("%+v", p.Changes)
			}
			if p := w.plan(apply.PlanOptions{TakeOwnership: true}); len(p.Refused()) != 0 || p.Changes[0].Action != apply.Adopted {
				t.Errorf("taken: %v", changes(p))
			}
		})
	}
}

func TestPlanMovesBetweenEnvironments(t *testing.T) {
	w := newWorld(t)
	w.desires("web", webConfig, strings.Replace(webConfig, "web", "stays", 1))
	w.applied()
	here, there := *w.env, &schema.Environment{Name: "there", Namespace: w.env.Namespace}
	moved := schema.Object{Unstructured: here.Units[0].Objects[0].DeepCopy()}
	moved.SetLabels(map[string]string{schema.LabelPartOf: schema.ApplySetID(there.Name, there.Namespace)})
	there.Units = []schema.Unit{{Name: "web", Objects: []schema.Object{moved}}}
	here.Units = []schema.Unit{{Name: "web", Objects: here.Units[0].Objects[1:]}}

	// The one that lets go first keeps it for the other.
	w.env = &here
	p := w.plan(apply.PlanOptions{Siblings: []*schema.Environment{there}})
	if len(p.Changes) != 1 || p.Changes[0].Action != apply.Kept {
		t.Errorf("let go: %v", changes(p))
	}
	if p := w.plan(apply.PlanOptions{}); len(p.Changes) != 1 || p.Changes[0].Action != apply.Deleted {
		t.Errorf("without the sibling: %v", changes(p))
	}
	// The one that takes it over may.
	w.env = there
	if p := w.plan(apply.PlanOptions{}); len(p.Refused()) != 1 {
		t.Errorf("taken without the sibling: %v", changes(p))
	}
	p = w.plan(apply.PlanOptions{Siblings: []*schema.Environment{&here}})
	if len(p.Refused()) != 0 || len(p.Changes) != 1 || p.Changes[0].Action != apply.Adopted {
		t.Errorf("taken: %v", changes(p))
	}
}

func TestPlanPruneCandidates(t *testing.T) {
	w := newWorld(t)
	named := func(name string) string { return strings.Replace(webConfig, "web", name, 1) }
	claim := `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: disk}, spec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 1Gi}}}}`
	w.desires("web", named("gone"), named("unlabelled"), claim, webService, named("stays"),
		strings.Replace(named("pinned"), "name: pinned", `name: pinned, annotations: {evenkeel.dev/prune: disabled}`, 1))
	w.desires("other", named("elsewhere"))
	w.applied()
	w.patch(named("unlabelled"), `{"metadata":{"labels":{"`+schema.LabelPartOf+`":null}}}`, "kubectl-label")
	// Somebody copied a labelled object.
	copied := w.parse(named("copy"))
	copied.SetLabels(w.env.Units[0].Objects[0].GetLabels())
	_, err := w.editor.resource(copied).Create(w.Context(), copied, metav1.CreateOptions{FieldManager: "kubectl-create"})
	w.must(err)
	// A controller did, too: the EndpointSlice of the Service, which the unit
	// makes the plan look at by rendering one of its own.
	slice := `{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: own}, addressType: IPv4, endpoints: []}`

	recorded := []schema.Ref{}
	for _, o := range w.env.Units[0].Objects {
		recorded = append(recorded, schema.Ref{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()})
	}
	w.env.Units = nil
	w.desires("web", named("stays"), webService, slice, strings.ReplaceAll(claim, "disk", "disk2"))
	w.applied()
	w.untilSlices(2)

	p := w.plan(apply.PlanOptions{Recorded: recorded})
	got := map[string]apply.Action{}
	for _, c := range p.Changes {
		name := c.Name
		if c.Kind == "EndpointSlice" && name != "own" {
			name = "copied-slice"
		}
		got[c.Kind+"/"+name] = c.Action
	}
	delete(got, "EndpointSlice/own")
	want := map[string]apply.Action{
		"ConfigMap/gone":             apply.Deleted,
		"ConfigMap/unlabelled":       apply.Deleted,
		"ConfigMap/elsewhere":        apply.Deleted,
		"ConfigMap/pinned":           apply.Kept,
		"ConfigMap/copy":             apply.CopiedLabel,
		"PersistentVolumeClaim/disk": apply.Kept,
		"EndpointSlice/copied-slice": apply.CopiedLabel,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("candidates (-want +got):\n%s", diff)
	}
	allowed := w.plan(apply.PlanOptions{Prune: []string{"PersistentVolumeClaim/disk"}, Units: []string{"web"}})
	names := map[string]apply.Action{}
	for _, c := range allowed.Changes {
		names[c.Kind+"/"+c.Name] = c.Action
	}
	if names["PersistentVolumeClaim/disk"] != apply.Deleted {
		t.Errorf("allowed by name: %v", names)
	}
	if _, found := names["ConfigMap/elsewhere"]; found {
		t.Error("the plan of unit web prunes what is of unit other")
	}
}

func (w *world) untilSlices(n int) {
	w.Helper()
	slice := w.parse("{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: x}}")
	for range 100 {
		list, err := w.editor.resource(slice).List(w.Context(), metav1.ListOptions{})
		w.must(err)
		if len(list.Items) >= n {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.Fatal("the Service got no EndpointSlice")
}

func TestPlanOfWhatTheServerCannotJudgeYet(t *testing.T) {
	w := newWorld(t)
	space := w.env.Namespace + "-new"
	group := w.env.Namespace + ".example.com"
	w.desires("environment",
		"{apiVersion: v1, kind: Namespace, metadata: {name: "+space+"}}",
		`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: things.`+group+`},
		  spec: {group: `+group+`, names: {kind: Thing, plural: things}, scope: Namespaced,
		  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]}}`)
	w.desires("web",
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: inside, namespace: "+space+"}}",
		"{apiVersion: "+group+"/v1, kind: Thing, metadata: {name: custom}}",
		webConfig)
	p := w.plan(apply.PlanOptions{})
	w.expect(p,
		"created Namespace/"+space, "created CustomResourceDefinition/things."+group,
		"unverified-created ConfigMap/inside", "unverified-created Thing/custom", "created ConfigMap/web")
	for _, c := range p.Changes {
		if unverified := c.Action == apply.UnverifiedCreated; c.Verified == unverified {
			t.Errorf("%s: verified %v", c.Ref, c.Verified)
		}
	}
	_, err := w.cluster.Plan(t.Context(), w.env, apply.PlanOptions{Units: []string{"web"}})
	for _, want := range []string{"unit web: ConfigMap/" + space + "/inside", "unit web: Thing/"} {
		if err == nil || !strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), "Thing") {
			t.Errorf("without the unit that brings them: %v, want %s", err, want)
		}
	}
}

// TestPlanReportsAllRefusals shows what the server refuses beside what it takes,
// without the values of Secrets.
func TestPlanReportsAllRefusals(t *testing.T) {
	w := newWorld(t)
	w.desires("a", strings.Replace(webService, "port: 80", "port: 99999", 1), webConfig)
	w.desires("b", "{apiVersion: v1, kind: ConfigMap, metadata: {name: none, namespace: not-there}}",
		"{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {password: hunter2!}}")
	p := w.plan(apply.PlanOptions{})
	refused := map[string]string{}
	for _, c := range p.Refused() {
		if c.Action != apply.Rejected {
			t.Errorf("%s: %s", c.Ref, c.Action)
		}
		refused[c.Unit+" "+c.Kind+"/"+c.Name] = c.Refused + "; " + c.Hint
	}
	for name, want := range map[string]string{"a Service/web": "99999", "b ConfigMap/none": "is namespace not-there part of what is applied?", "b Secret/s": "withheld"} {
		if !strings.Contains(refused[name], want) {
			t.Errorf("%s: %q, want %q", name, refused[name], want)
		}
	}
	if len(refused) != 3 || p.Summary[apply.Created] == 0 || strings.Contains(fmt.Sprint(p.Changes, refused), "hunter2") {
		t.Errorf("got %v and %v", p.Summary, refused)
	}
}

func TestPlanOfImmutableFields(t *testing.T) {
	w := newWorld(t)
	job := `{apiVersion: batch/v1, kind: Job, metadata: {name: job}, spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: main, image: "x:1"}]}}}}`
	set := `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: set}, spec: {serviceName: a, replicas: 0, selector: {matchLabels: {app: x}}, template: {metadata: {labels: {app: x}}, spec: {containers: [{name: main, image: x}]}}}}`
	claim := `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: disk}, spec: {accessModes: [ReadWriteOnce], storageClassName: a, resources: {requests: {storage: 1Gi}}}}`
	binding := `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: b}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: one}, subjects: [{kind: ServiceAccount, name: default, namespace: NS}]}`
	w.desires("web", webApp, job, set, claim, binding)
	w.applied()
	w.env.Units = nil
	w.desires("web",
		strings.ReplaceAll(webApp, "app: web", "app: other"), strings.Replace(job, "x:1", "x:2", 1),
		strings.Replace(set, "serviceName: a", "serviceName: b", 1), strings.Replace(claim, "storageClassName: a", "storageClassName: b", 1),
		strings.Replace(binding, "name: one", "name: two", 1))
	w.env.Units[0].Objects[1].Recreate = true
	p := w.plan(apply.PlanOptions{Recreate: []string{"StatefulSet/set", "PersistentVolumeClaim/disk"}})
	type seen struct {
		Action  apply.Action
		Refused string
	}
	got := map[string]seen{}
	for _, c := range p.Changes {
		got[c.Kind] = seen{c.Action, c.Refused}
	}
	want := map[string]seen{
		"Deployment":            {apply.Recreated, "recreation is not allowed"},
		"Job":                   {apply.Recreated, ""},
		"StatefulSet":           {apply.Recreated, ""},
		"PersistentVolumeClaim": {apply.Recreated, "a PersistentVolumeClaim is never recreated"},
		"RoleBinding":           {apply.Recreated, "recreation is not allowed"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("recreations (-want +got):\n%s", diff)
	}
	for _, c := range p.Changes {
		if len(c.Fields) == 0 {
			t.Errorf("%s: no fields, %s", c.Ref, c.Message)
		}
	}
}

func TestPlanMasksSecrets(t *testing.T) {
	w := newWorld(t)
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	secret := func(value string) string {
		return "{apiVersion: v1, kind: Secret, metadata: {name: s}, type: Opaque, data: {password: " + encode(value) + "}}"
	}
	w.desires("web", secret("hunter2"))
	w.applied()
	w.patch(secret(""), `{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{\"password\":\"`+encode("hunter3")+`\"}}"}}, "data":{"password":"`+encode("hunter3")+`","extra":"`+encode("hunter4")+`"}}`, "kubectl-client-side-apply")
	p := w.plan(apply.PlanOptions{})
	if len(p.Changes) != 2 || p.Changes[0].Fields[0].Path != "data.password" {
		t.Errorf("%v", changes(p))
	}
	saved, err := p.Save()
	w.must(err)
	raw, err := json.Marshal([]any{p, p.Changes[0].Before, p.Changes[0].After, p.Changes[1].Before})
	w.must(err)
	for _, value := range []string{"hunter2", "hunter3", "hunter4"} {
		for _, leak := range []string{value, encode(value)} {
			if strings.Contains(string(raw)+string(saved), leak) {
				t.Errorf("the plan holds %s", leak)
			}
		}
	}
}

func TestPlanIgnoresFields(t *testing.T) {
	w := newWorld(t)
	w.desires("web", webConfig, webApp)
	w.env.Units[0].Objects[0].Ignore = []string{"/data/a"}
	w.env.Units[0].Objects[1].Ignore = []string{"/spec/replicas", "/spec/template/spec/containers/0/image"}
	p := w.plan(apply.PlanOptions{})
	if len(p.Changes) != 2 || p.Changes[0].Action != apply.Created {
		t.Errorf("first: %v", changes(p))
	}
	w.applied()
	w.expect(w.plan(apply.PlanOptions{}))
	// Neither a live edit nor a change in git is written over it.
	w.patch(webConfig, `{"data":{"a":"filled in"}}`, "operator")
	w.patch(webApp, `{"spec":{"replicas":7}}`, "kubectl-scale", "scale")
	w.must(unstructured.SetNestedField(w.env.Units[0].Objects[1].Object, int64(3), "spec", "replicas"))
	p = w.plan(apply.PlanOptions{})
	w.expect(p)
	if p.Differs(true) {
		t.Errorf("summary %v", p.Summary)
	}
}

func TestPlanHandsOverToAnAutoscaler(t *testing.T) {
	w := newWorld(t)
	w.desires("web", webApp)
	w.applied()
	w.patch(webApp, `{"spec":{"replicas":2}}`, "kubectl", "scale")
	w.env.Units = nil
	hpa := `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: web}, spec: {maxReplicas: 9, minReplicas: 1, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]}}`
	w.desires("web", strings.Replace(webApp, "  replicas: 2\n", "", 1), hpa)
	p := w.plan(apply.PlanOptions{})
	w.expect(p, "configured Deployment/web", "created HorizontalPodAutoscaler/web")
	if !strings.Contains(p.Changes[0].Message, "goes over to the autoscaler") {
		t.Errorf("message %q", p.Changes[0].Message)
	}
}

func TestPlanTakesReplicasBackFromAnAutoscaler(t *testing.T) {
	w := newWorld(t)
	w.desires("web", webApp)
	w.applied()
	w.patch(webApp, `{"spec":{"replicas":5}}`, "kube-controller-manager", "scale")
	hpa := w.parse(`{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: web}, spec: {maxReplicas: 9, minReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]}}`)
	_, err := w.editor.resource(hpa).Create(t.Context(), hpa, metav1.CreateOptions{FieldManager: "kubectl-create"})
	w.must(err)
	p := w.plan(apply.PlanOptions{})
	w.expect(p, "conflict Deployment/web; spec.replicas: 5 -> 2 by kube-controller-manager")
	w.must(w.editor.resource(hpa).Delete(t.Context(), "web", metav1.DeleteOptions{}))
	w.expect(w.plan(apply.PlanOptions{}), "configured Deployment/web; spec.replicas: 5 -> 2 by kube-controller-manager")
}

func TestPlanByListsAlone(t *testing.T) {
	w := newWorld(t)
	w.desires("web", webConfig, webApp)
	w.applied()
	w.patch(webApp, `{"spec":{"replicas":5}}`, "kubectl", "scale")
	w.desires("web", webService)
	byHand := strings.Replace(webConfig, "web", "by-hand", 1)
	there := w.parse(strings.Replace(byHand, "one", "zero", 1))
	_, err := w.editor.resource(there).Create(t.Context(), there, metav1.CreateOptions{FieldManager: "kubectl-create"})
	w.must(err)
	w.desires("web", byHand)
	p := w.plan(apply.PlanOptions{ListOnly: true})
	w.expect(p,
		"unverified-changed Deployment/web; spec.replicas: 5 -> 2 by kubectl",
		"unverified-created Service/web",
		"unverified-changed ConfigMap/by-hand; data.a: zero -> one by kubectl-create; metadata.labels: <nil> -> map[app.kubernetes.io/managed-by:evenkeel applyset.kubernetes.io/part-of:"+
			schema.ApplySetID(w.env.Name, w.env.Namespace)+" evenkeel.dev/unit:web]")
	if p.Requests.DryRun+p.Requests.Write != 0 {
		t.Errorf("requests %+v", p.Requests)
	}
}

func TestPlanOfTerminatingObjects(t *testing.T) {
	w := newWorld(t)
	w.desires("web", strings.Replace(webConfig, "name: web", "name: web, finalizers: [example.com/hold]", 1))
	w.applied()
	u := w.parse(webConfig)
	w.must(w.editor.resource(u).Delete(t.Context(), "web", metav1.DeleteOptions{}))
	p := w.plan(apply.PlanOptions{})
	w.expect(p, "terminating ConfigMap/web")
	if !strings.Contains(p.Changes[0].Message, "example.com/hold") || !p.Differs(false) {
		t.Errorf("message %q", p.Changes[0].Message)
	}
	w.patch(webConfig, `{"metadata":{"finalizers":null}}`, "kubectl-patch")
}

func TestSavedPlan(t *testing.T) {
	w := newWorld(t)
	w.desires("web", webConfig, webApp)
	w.applied()
	w.must(unstructured.SetNestedField(w.env.Units[0].Objects[0].Object, "two", "data", "a"))
	reviewed := w.plan(apply.PlanOptions{})
	raw, err := reviewed.Save()
	w.must(err)
	saved, err := apply.ReadSavedPlan(raw)
	w.must(err)
	against := func() []apply.Change {
		unseen, err := saved.Against(w.plan(apply.PlanOptions{}))
		w.must(err)
		return unseen
	}
	if unseen := against(); len(unseen) != 0 {
		t.Errorf("the same world: %v", unseen)
	}
	// What does not touch the plan does not matter.
	w.patch(webConfig, `{"metadata":{"annotations":{"note":"x"}}}`, "kubectl-annotate")
	if unseen := against(); len(unseen) != 0 {
		t.Errorf("another version, the same plan: %v", unseen)
	}
	// What the review did not see does.
	w.patch(webConfig, `{"data":{"a":"three"}}`, "kubectl-edit")
	w.patch(webApp, `{"spec":{"replicas":4}}`, "kubectl", "scale")
	unseen := against()
	if len(unseen) != 2 {
		t.Errorf("a moved world: %v", unseen)
	}
	w.must(unstructured.SetNestedField(w.env.Units[0].Objects[0].Object, "four", "data", "a"))
	if _, err := saved.Against(w.plan(apply.PlanOptions{})); err == nil {
		t.Error("a plan of another render was accepted")
	}
}

func TestPlanHonoursItsContext(t *testing.T) {
	w := newWorld(t)
	w.desires("web", webConfig)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.cluster.Plan(ctx, w.env, apply.PlanOptions{})
	if exitCode(err) != 130 || err.Error() != "interrupted: nothing was written" {
		t.Errorf("a cancelled plan says: %v", err)
	}
}

func TestPlanOfManyNamespaces(t *testing.T) {
	w := newWorld(t)
	cfg := applytest.Cluster(t)
	spaces := []string{w.env.Namespace}
	for range 5 {
		spaces = append(spaces, applytest.Namespace(t, cfg, "plan-many"))
	}
	for _, ns := range spaces {
		w.desires("web", strings.Replace(webConfig, "name: web", "name: web, namespace: "+ns, 1))
	}
	w.applied()
	p := w.plan(apply.PlanOptions{})
	w.expect(p)
	if p.Requests.List != 1 {
		t.Errorf("%d LISTs for one kind in %d namespaces", p.Requests.List, len(spaces))
	}
}

func TestPlanDoubtsEntriesOlderThanTheSchema(t *testing.T) {
	w := newWorld(t)
	group := w.env.Namespace + ".example.com"
	crd := func(mapType string) string {
		return `{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: things.` + group + `},
		  spec: {group: ` + group + `, names: {kind: Thing, listKind: ThingList, plural: things, singular: thing}, scope: Namespaced,
		  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object,
		  properties: {labels: {type: object, x-kubernetes-map-type: ` + mapType + `, additionalProperties: {type: string}}}}}}}}]}}`
	}
	thing := "{apiVersion: " + group + "/v1, kind: Thing, metadata: {name: thing}, spec: {labels: {ours: a}}}"
	w.desires("web", crd("granular"))
	w.applied()
	w.untilServed(group, "things")
	w.desires("web", thing)
	time.Sleep(1100 * time.Millisecond) // managedFields have seconds
	w.applied()
	w.patch(thing, `{"spec":{"labels":{"theirs":"b"}}}`, "kubectl-edit")
	p := w.plan(apply.PlanOptions{})
	w.expect(p, "foreign Thing/thing; spec.labels.theirs: b -> <nil> by kubectl-edit")
	if p.Requests.DryRun != 0 {
		t.Errorf("%d dry-runs before the schema changed", p.Requests.DryRun)
	}

	objects := w.env.Units[0].Objects
	w.env.Units = nil
	w.desires("web", crd("atomic"))
	w.applied()
	w.env.Units[0].Objects = append(w.env.Units[0].Objects, objects[1])
	want := "configured Thing/thing; spec.labels.theirs: b -> <nil> by kubectl-edit"
	for range 50 { // until the server uses the new schema
		if p = w.plan(apply.PlanOptions{}); len(p.Changes) > 0 && changes(p)[0] == want {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if got := changes(p); len(got) == 0 || got[0] != want {
		t.Errorf("after the schema changed: %v, want %s", got, want)
	}
}

func (w *world) untilServed(group, resource string) {
	w.Helper()
	for range 100 {
		_, err := w.cluster.Dynamic.Resource(customResource(group, resource)).Namespace(w.env.Namespace).List(w.Context(), metav1.ListOptions{})
		if err == nil {
			w.cluster.Mapper.Reset()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.Fatalf("%s.%s is not served", resource, group)
}

func TestPlanTrustsReceipts(t *testing.T) {
	w := newWorld(t)
	// The server writes the quantity in another way, so that nothing can be proven.
	odd := `{apiVersion: apps/v1, kind: Deployment, metadata: {name: odd}, spec: {replicas: 0, selector: {matchLabels: {app: x}}, template: {metadata: {labels: {app: x}}, spec: {containers: [{name: main, image: x, resources: {limits: {cpu: 1000m}}}]}}}}`
	w.desires("web", odd)
	run := func() {
		t.Helper()
		_, err := w.cluster.Apply(t.Context(), w.env, w.plan(apply.PlanOptions{}), apply.ApplyOptions{NoWait: true, Yes: true})
		w.must(err)
	}
	dryRuns := func(want int) {
		t.Helper()
		if p := w.plan(apply.PlanOptions{}); p.Requests.DryRun != want || len(p.Changes) != 0 {
			t.Errorf("%d dry-runs, want %d: %v", p.Requests.DryRun, want, changes(p))
		}
	}
	run()
	dryRuns(1)
	run()
	dryRuns(0)
	w.patch(odd, `{"status":{"conditions":[{"type":"X","status":"True"}]}}`, "controller", "status")
	dryRuns(0)
	w.patch(odd, `{"spec":{"minReadySeconds":1}}`, "kubectl-edit")
	if p := w.plan(apply.PlanOptions{}); p.Requests.DryRun != 1 {
		t.Errorf("a receipt outlived an edit: %+v", p.Requests)
	}
}
