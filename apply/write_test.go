package apply

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

func TestWavesKeepTheOrderOfKinds(t *testing.T) {
	var changes []*Change
	for _, ref := range []schema.Ref{
		{APIVersion: "apps/v1", Kind: "Deployment"},
		{APIVersion: "v1", Kind: "ConfigMap"},
		{APIVersion: "example.org/v1", Kind: "Widget"},
		{APIVersion: "serving.knative.dev/v1", Kind: "Service"}, // a custom resource by another's name
		{APIVersion: "v1", Kind: "ServiceAccount"},
		{APIVersion: "v1", Kind: "Secret"},
		{APIVersion: "networking.k8s.io/v1", Kind: "Ingress"},
		{APIVersion: "v1", Kind: "Service"},
		{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding"},
		{APIVersion: "admissionregistration.k8s.io/v1", Kind: "ValidatingWebhookConfiguration"},
		{APIVersion: "v1", Kind: "Namespace"},
	} {
		changes = append(changes, &Change{Ref: ref})
	}
	var got []string
	for _, wave := range waves(changes) {
		var kinds []string
		for _, change := range wave {
			kinds = append(kinds, change.Kind)
		}
		got = append(got, strings.Join(kinds, " "))
	}
	want := []string{
		"Namespace", "ServiceAccount", "ConfigMap Secret RoleBinding", "Service", "Deployment", "Widget Service", "Ingress",
		"ValidatingWebhookConfiguration",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("waves (-want +got):\n%s", diff)
	}
}

// TestLaterStage has a run that was killed after it had written the first stage: what comes
// later still waits for its health.
func TestLaterStage(t *testing.T) {
	object := func(kind string, stage int) schema.Object {
		return schema.Object{Stage: stage, Unstructured: &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": "x"}}}}
	}
	unit := &schema.Unit{Objects: []schema.Object{object("First", 0), object("Second", 1)}}
	for kind, want := range map[string]bool{"First": false, "Second": true} {
		stage := []*Change{{Ref: schema.Ref{APIVersion: "v1", Kind: kind, Name: "x"}}}
		if got := later(unit, stage); got != want {
			t.Errorf("%s waits for a stage before it: %v, want %v", kind, got, want)
		}
	}
	if later(unit, nil) {
		t.Error("nothing waits")
	}
}

func TestPruneStages(t *testing.T) {
	ordered := []schema.Ref{
		{APIVersion: "traefik.io/v1alpha1", Kind: "IngressRoute"},
		{APIVersion: "admissionregistration.k8s.io/v1", Kind: "ValidatingWebhookConfiguration"},
		{APIVersion: "networking.k8s.io/v1", Kind: "Ingress"},
		{APIVersion: "apps/v1", Kind: "Deployment"},
		{APIVersion: "v1", Kind: "Service"},
		{APIVersion: "v1", Kind: "ConfigMap"},
		{APIVersion: "v1", Kind: "ServiceAccount"},
		{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition"},
		{APIVersion: "v1", Kind: "Namespace"},
	}
	for i := range len(ordered) - 1 {
		before, after := &Change{Ref: ordered[i]}, &Change{Ref: ordered[i+1]}
		if pruneStage(before) >= pruneStage(after) {
			t.Errorf("%s is not deleted before %s", before.Kind, after.Kind)
		}
	}
}

func TestPruneLimit(t *testing.T) {
	for _, test := range []struct {
		pruned, remaining, confirmed int
		allowed                      bool
	}{
		{0, 1, 0, true},
		{5, 1, 0, true},    // few
		{6, 12, 0, true},   // a third
		{6, 11, 0, false},  // more than a third
		{10, 100, 0, true}, // most
		{11, 1000, 0, false},
		{11, 1000, 11, true},
		{11, 1000, 12, false},
		{12, 0, 12, true},
	} {
		err := pruneLimit(test.pruned, test.remaining, test.confirmed)
		if (err == nil) != test.allowed {
			t.Errorf("prune %d, %d remain, %d confirmed: %v", test.pruned, test.remaining, test.confirmed, err)
		}
	}
}

func testConfigMap(namespace, name string, pairs ...string) *unstructured.Unstructured {
	data := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		data[pairs[i]] = pairs[i+1]
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"namespace": namespace, "name": name},
		"data":     data,
	}}
}
