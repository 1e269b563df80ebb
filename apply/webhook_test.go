package apply_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

// webhook registers an admission webhook for the ConfigMaps of the scenario's
// namespace, of kind "Mutating" or "Validating".
func (s *scenario) webhook(t *testing.T, kind string, review func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse) {
	t.Helper()
	const probe = "probe"
	used := make(chan struct{}, 1000)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var r admissionv1.AdmissionReview
		if err := json.NewDecoder(req.Body).Decode(&r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if r.Request.Name == probe {
			used <- struct{}{}
			r.Response = &admissionv1.AdmissionResponse{Allowed: true}
		} else {
			r.Response = review(r.Request)
		}
		r.Response.UID = r.Request.UID
		_ = json.NewEncoder(w).Encode(r)
	}))
	t.Cleanup(server.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	group := kschema.GroupVersion{Group: "admissionregistration.k8s.io", Version: "v1"}
	client := s.client(t).Resource(group.WithResource(strings.ToLower(kind) + "webhookconfigurations"))
	_, err := client.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": group.String(), "kind": kind + "WebhookConfiguration",
		"metadata": map[string]any{"name": s.namespace},
		"webhooks": []any{map[string]any{
			"name":                    "test.example.com",
			"admissionReviewVersions": []any{"v1"},
			"sideEffects":             "None",
			"timeoutSeconds":          int64(1),
			"failurePolicy":           "Fail",
			"clientConfig":            map[string]any{"url": server.URL, "caBundle": base64.StdEncoding.EncodeToString(authority)},
			"namespaceSelector":       map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": s.namespace}},
			"objectSelector":          map[string]any{"matchExpressions": []any{map[string]any{"key": "evenkeel.dev/unit", "operator": "Exists"}}},
			"rules": []any{map[string]any{
				"apiGroups": []any{""}, "apiVersions": []any{"v1"}, "resources": []any{"configmaps"}, "operations": []any{"CREATE", "UPDATE"},
			}},
		}},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Delete(context.WithoutCancel(t.Context()), s.namespace, metav1.DeleteOptions{}) })
	maps := s.client(t).Resource(kschema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(s.namespace)
	for len(used) == 0 { // the server learns of it through a watch
		_, _ = maps.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": probe, "labels": map[string]any{"evenkeel.dev/unit": probe}},
		}}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if t.Context().Err() != nil {
			t.Fatal("the server does not use the webhook")
		}
	}
}

func TestMutatingWebhook(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.env(s.home()))
	s.webhook(t, "Mutating", func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		kind := admissionv1.PatchTypeJSONPatch
		return &admissionv1.AdmissionResponse{Allowed: true, PatchType: &kind, Patch: []byte(`[{"op":"replace","path":"/data/k","value":"webhook"}]`)}
	})
	env := s.env(s.home(), unit("app", s.configMap("c", "k", "git")))
	s.apply(t, env)
	if got := s.members(t)["ConfigMap/c"]; got != "map[k:webhook]" {
		t.Fatalf("the webhook did nothing: %s", got)
	}
	// It is not drift that apply would write for ever, and once known it is
	// not asked about again.
	s.apply(t, env)
	versions := s.versions(t)
	third := s.apply(t, env)
	if third.Requests.Write != 2 || third.Requests.DryRun != 0 {
		t.Errorf("the third apply sent %d writes and %d dry-runs, changes %v", third.Requests.Write, third.Requests.DryRun, third.Changes)
	}
	if now := s.versions(t); len(now) != len(versions) || now["ConfigMap/c"] != versions["ConfigMap/c"] {
		t.Error("the third apply wrote the object")
	}
}

func TestDenyingWebhook(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.before())
	s.webhook(t, "Validating", func(r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return &admissionv1.AdmissionResponse{Allowed: r.Name != "change", Result: &metav1.Status{Message: "not on a Friday"}}
	})
	versions := s.versions(t)
	_, err := s.run(t.Context(), s.after(), tortureOptions())
	if err == nil || !strings.Contains(err.Error(), "ConfigMap/"+s.namespace+"/change") || !strings.Contains(err.Error(), "not on a Friday") {
		t.Errorf("got %v, want the object and the webhook's reason", err)
	}
	for name, version := range s.versions(t) {
		if versions[name] != version {
			t.Errorf("%s was written although the plan failed", name)
		}
	}
}

// TestWebhookThatComesLate denies at the write what it allowed at the plan: all
// else of the wave is written, the error names the object, nothing is pruned.
func TestWebhookThatComesLate(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.before())
	c := s.connect(t)
	plan, err := c.Plan(t.Context(), s.after(), apply.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.webhook(t, "Validating", func(r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return &admissionv1.AdmissionResponse{Allowed: r.Name != "change" && r.Name != "new", Result: &metav1.Status{Message: "not on a Friday"}}
	})
	_, err = c.Apply(t.Context(), s.after(), plan, tortureOptions())
	if err == nil || !strings.Contains(err.Error(), "/change: ") || !strings.Contains(err.Error(), "/new: ") {
		t.Errorf("got %v, want both objects", err)
	}
	if members := s.members(t); members["ConfigMap/old-base"] == "" || members["ConfigMap/old-app"] == "" {
		t.Error("pruned although a write failed")
	}
}

func TestWebhookThatTimesOut(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.before())
	s.webhook(t, "Validating", func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		time.Sleep(3 * time.Second)
		return &admissionv1.AdmissionResponse{Allowed: true}
	})
	started := time.Now()
	_, err := s.run(t.Context(), s.after(), tortureOptions())
	if err == nil || !strings.Contains(err.Error(), "/change: ") {
		t.Errorf("got %v, want the object whose webhook did not answer", err)
	}
	if took := time.Since(started); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
}
