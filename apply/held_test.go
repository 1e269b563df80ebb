package apply_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// TestDeleteFirst moves what one object alone can have to another name.
func TestDeleteFirst(t *testing.T) {
	t.Parallel()
	cfg := applytest.Cluster(t)
	hostPort := 20000 + rand.Int64N(9000)
	for _, test := range []struct {
		name    string
		objects func(s *scenario, name string) []schema.Object
		with    func(t *testing.T, s *scenario) // before the move
		has     string                          // what the plan says that the old one has
		refused bool                            // without the flag
	}{
		{
			name: "a node port", has: "node port ", refused: true,
			objects: func(s *scenario, name string) []schema.Object { return []schema.Object{s.nodePort(name, s.port)} },
		},
		{
			name: "a port for health checks", has: "node port ", refused: true,
			objects: func(s *scenario, name string) []schema.Object {
				svc := s.nodePort(name, s.port)
				spec, _, _ := unstructured.NestedMap(svc.Object, "spec")
				spec["type"], spec["externalTrafficPolicy"], spec["healthCheckNodePort"] = "LoadBalancer", "Local", s.others[0]
				_ = unstructured.SetNestedMap(svc.Object, spec, "spec")
				return []schema.Object{svc}
			},
		},
		{
			name: "an address", has: "address ", refused: true,
			objects: func(s *scenario, name string) []schema.Object {
				svc := s.service(name, "1")
				_ = unstructured.SetNestedField(svc.Object, s.address, "spec", "clusterIP")
				return []schema.Object{svc}
			},
		},
		{
			name: "a host port", has: fmt.Sprintf("host port %d", hostPort),
			objects: func(s *scenario, name string) []schema.Object {
				return []schema.Object{s.daemonSet(name, hostPort)}
			},
		},
		{
			name: "a volume for one node", has: "volume ",
			objects: func(s *scenario, name string) []schema.Object {
				d := s.deployment(name, "x:1")
				_ = unstructured.SetNestedSlice(d.Object, []any{
					map[string]any{"name": "data", "persistentVolumeClaim": map[string]any{"claimName": "data"}},
				}, "spec", "template", "spec", "volumes")
				return []schema.Object{d, s.object("v1", "PersistentVolumeClaim", "data", map[string]any{"spec": map[string]any{
					"accessModes": []any{"ReadWriteOnce"}, "resources": map[string]any{"requests": map[string]any{"storage": "1Gi"}},
				}})}
			},
		},
		{
			name: "a volume for one pod, which a StatefulSet has made", has: "volume ",
			objects: func(s *scenario, name string) []schema.Object {
				if name == "old" {
					set := s.deployment(name, "x:1")
					set.SetKind("StatefulSet")
					_ = unstructured.SetNestedField(set.Object, name, "spec", "serviceName")
					_ = unstructured.SetNestedSlice(set.Object, []any{map[string]any{
						"metadata": map[string]any{"name": "data"},
						"spec": map[string]any{
							"accessModes": []any{"ReadWriteOncePod"}, "resources": map[string]any{"requests": map[string]any{"storage": "1Gi"}},
						},
					}}, "spec", "volumeClaimTemplates")
					return []schema.Object{set}
				}
				d := s.deployment(name, "x:1")
				_ = unstructured.SetNestedSlice(d.Object, []any{
					map[string]any{"name": "data", "persistentVolumeClaim": map[string]any{"claimName": "data-old-0"}},
				}, "spec", "template", "spec", "volumes")
				return []schema.Object{d}
			},
		},
		{
			name: "a host that is counted", has: "host shop.example.org/", refused: true,
			objects: func(s *scenario, name string) []schema.Object { return []schema.Object{s.ingress(name)} },
			with:    func(t *testing.T, s *scenario) { t.Helper(); s.countHosts(t) },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newScenario(t, cfg)
			s.apply(t, s.env(s.home()))
			s.allocate(t)
			s.apply(t, s.env(s.home(), unit("app", test.objects(s, "old")...)))
			if test.with != nil {
				test.with(t, s)
			}
			after := s.env(s.home(), unit("app", test.objects(s, "moved")...))
			old, moved := test.objects(s, "old")[0], test.objects(s, "moved")[0]

			plan, err := s.connect(t).Plan(t.Context(), after, apply.PlanOptions{})
			if err != nil {
				t.Fatal(err)
			}
			says, flag := schema.RefOf(old.Unstructured).String()+" has "+test.has, "--delete-first "+old.GetKind()+"/old"
			text := strings.Join(plan.Warnings, "\n")
			for _, c := range plan.Refused() {
				text += "\n" + c.Refused + "\n" + c.Hint
			}
			if !strings.Contains(text, says) || !strings.Contains(text, flag) {
				t.Errorf("the plan does not say %q and %q: %s", says, flag, text)
			}
			if refused := plan.Refused(); (len(refused) > 0) != test.refused {
				t.Errorf("refused: %v", refused)
			}

			opts := tortureOptions()
			if test.refused {
				if _, err := s.run(t.Context(), after, opts); exitCode(err) != 4 {
					t.Errorf("an apply that nobody asked to delete first: %v", err)
				}
			}
			opts.DeleteFirst, opts.NoPrune = []string{old.GetKind() + "/old"}, true
			if _, err := s.run(t.Context(), after, opts); exitCode(err) != 4 {
				t.Errorf("an apply that deletes nothing: %v", err)
			}
			if s.uidOf(t, old) == "" {
				t.Fatal("what is to be deleted first is gone before that")
			}
			opts.NoPrune = false
			var order []string
			opts.On = func(e apply.Event) {
				if e.Name == "old" || e.Name == "moved" {
					order = append(order, string(e.Action)+" "+e.Name)
				}
			}
			report, err := s.run(t.Context(), after, opts)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(order, ", "); got != "deleted old, created moved" {
				t.Errorf("in the order %s; changes %+v", got, report.Changes)
			}
			if s.uidOf(t, old) != "" || s.uidOf(t, moved) == "" {
				t.Error("not moved")
			}
			if again := s.apply(t, after); again.Requests.Write != 2 || len(again.Changes) > 0 {
				t.Errorf("and again: %+v", again.Changes)
			}
		})
	}
}

// TestGivenUp takes a node port that another Service gives up in the same plan: in no
// order to it, or for the port that it takes itself. Neither is recreated for it.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.env(s.home()))
	s.allocate(t)
	in := func(one, two int64) *schema.Environment {
		return s.env(s.home(), unit("first", s.nodePort("one", one)), unit("second", s.nodePort("two", two)))
	}
	s.apply(t, in(s.port, s.others[0]))
	for _, test := range []struct {
		name string
		env  *schema.Environment
		want string
	}{
		{"elsewhere", in(s.others[0], s.others[1]), `Service/` + s.namespace + `/two gives up node port ` + fmt.Sprint(s.others[0]) + `: put after: ["second"] into unit first`},
		{"not named, and kept", in(s.others[0], 0), "another Service has the port"},
		{"swapped", in(s.others[0], s.port), "where they swap, give one of them another port first"},
	} {
		opts := tortureOptions()
		opts.Recreate = []string{"Service/one", "Service/two"}
		before := s.uids(t)
		if _, err := s.run(t.Context(), test.env, opts); exitCode(err) != 4 {
			t.Errorf("%s: %v", test.name, err)
		}
		if after := s.uids(t); after["Service/one"] != before["Service/one"] || after["Service/two"] != before["Service/two"] {
			t.Errorf("%s: recreated", test.name)
		}
		plan, err := s.connect(t).Plan(t.Context(), test.env, apply.PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if refused := plan.Refused(); len(refused) == 0 || !strings.Contains(refused[0].Hint, test.want) {
			t.Errorf("%s: no hint %q: %+v", test.name, test.want, refused)
		}
	}
}

// TestDeleteFirstWhatNobodyTakes deletes what is named before all else, also where the
// plan does not know what for.
func TestDeleteFirstWhatNobodyTakes(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.env(s.home(), unit("app", s.configMap("old", "k", "1"), s.configMap("c", "k", "1"))))
	opts := tortureOptions()
	opts.DeleteFirst = []string{"ConfigMap/old"}
	var order []string
	opts.On = func(e apply.Event) {
		if e.Kind == "ConfigMap" && e.Action != "" {
			order = append(order, string(e.Action)+" "+e.Name)
		}
	}
	if _, err := s.run(t.Context(), s.env(s.home(), unit("app", s.configMap("c", "k", "2"))), opts); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, ", "); got != "deleted old, configured c" {
		t.Errorf("in the order %s", got)
	}
}

// TestNodePortGivenUp hands a node port from one Service to another, both of which
// stay; two that would swap theirs are refused.
func TestNodePortGivenUp(t *testing.T) {
	t.Parallel()
	s := newScenario(t, applytest.Cluster(t))
	s.apply(t, s.env(s.home()))
	s.allocate(t)
	first := s.port
	s.allocate(t)
	second := s.port
	s.apply(t, s.env(s.home(), unit("app", s.nodePort("a", first))))
	s.apply(t, s.env(s.home(), unit("app", s.nodePort("a", second), s.nodePort("b", first))))
	if got := s.nodePortOf(t, "b"); got != first {
		t.Errorf("b has %d, want %d", got, first)
	}
	if _, err := s.run(t.Context(), s.env(s.home(), unit("app", s.nodePort("a", first), s.nodePort("b", second))), tortureOptions()); exitCode(err) != 4 {
		t.Errorf("two that swap: %v", err)
	}
}

func (s *scenario) nodePort(name string, port int64) schema.Object {
	svc := s.service(name, "1")
	svc.Object["spec"] = map[string]any{
		"type": "NodePort", "selector": map[string]any{"app": "a"},
		"ports": []any{map[string]any{"name": "http", "port": int64(80), "protocol": "TCP"}},
	}
	if port != 0 {
		svc.Object["spec"].(map[string]any)["ports"].([]any)[0].(map[string]any)["nodePort"] = port //nolint:forcetypeassert // as it was made
	}
	return svc
}

func (s *scenario) daemonSet(name string, hostPort int64) schema.Object {
	labels := map[string]any{"app": name}
	return s.object("apps/v1", "DaemonSet", name, map[string]any{"spec": map[string]any{
		"selector": map[string]any{"matchLabels": labels},
		"template": map[string]any{
			"metadata": map[string]any{"labels": labels},
			"spec": map[string]any{"containers": []any{map[string]any{"name": "c", "image": "x:1", "ports": []any{
				map[string]any{"containerPort": int64(80), "hostPort": hostPort, "protocol": "TCP"},
			}}}},
		},
	}})
}

func (s *scenario) ingress(name string) schema.Object {
	return s.object("networking.k8s.io/v1", "Ingress", name, map[string]any{"spec": map[string]any{"rules": []any{map[string]any{
		"host": "shop.example.org", "http": map[string]any{"paths": []any{map[string]any{
			"path": "/", "pathType": "Prefix", "backend": map[string]any{"service": map[string]any{"name": "web", "port": map[string]any{"number": int64(80)}}},
		}}},
	}}}})
}

// allocate finds a node port and an address that are free: the server chooses them for
// a Service that is deleted again.
func (s *scenario) allocate(t *testing.T) {
	t.Helper()
	client := s.services(t)
	svc := s.nodePort("probe", 0)
	_ = unstructured.SetNestedSlice(svc.Object, []any{
		map[string]any{"name": "http", "port": int64(80), "protocol": "TCP"},
		map[string]any{"name": "b", "port": int64(81), "protocol": "TCP"},
		map[string]any{"name": "c", "port": int64(82), "protocol": "TCP"},
	}, "spec", "ports")
	live, err := client.Create(t.Context(), svc.Unstructured, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.port = nodePortOf(live)
	ports, _, _ := unstructured.NestedSlice(live.Object, "spec", "ports")
	for i := range s.others {
		s.others[i], _ = ports[i+1].(map[string]any)["nodePort"].(int64)
	}
	s.address, _, _ = unstructured.NestedString(live.Object, "spec", "clusterIP")
	if err := client.Delete(t.Context(), "probe", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (s *scenario) nodePortOf(t *testing.T, name string) int64 {
	t.Helper()
	live, err := s.services(t).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return nodePortOf(live)
}

func (s *scenario) services(t *testing.T) dynamic.ResourceInterface {
	t.Helper()
	return s.client(t).Resource(kschema.GroupVersionResource{Version: "v1", Resource: "services"}).Namespace(s.namespace)
}

func nodePortOf(service *unstructured.Unstructured) int64 {
	ports, _, _ := unstructured.NestedSlice(service.Object, "spec", "ports")
	for _, item := range ports {
		if port, ok := item.(map[string]any); ok {
			number, _ := port["nodePort"].(int64)
			return number
		}
	}
	return 0
}

// countHosts makes the server refuse a second Ingress of a host in the namespace.
func (s *scenario) countHosts(t *testing.T) {
	t.Helper()
	group := kschema.GroupVersion{Group: "admissionregistration.k8s.io", Version: "v1"}
	for resource, spec := range map[string]map[string]any{
		"validatingadmissionpolicies": {
			"paramKind": map[string]any{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress"},
			"matchConstraints": map[string]any{
				"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": s.namespace}},
				"resourceRules": []any{map[string]any{
					"apiGroups": []any{"networking.k8s.io"}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE", "UPDATE"}, "resources": []any{"ingresses"},
				}},
			},
			"validations": []any{map[string]any{
				"expression":        "object.metadata.name == params.metadata.name || !object.spec.rules.exists(r, params.spec.rules.exists(q, q.host == r.host))",
				"messageExpression": "'host ' + object.spec.rules[0].host + ' is already defined in ingress ' + params.metadata.name",
			}},
		},
		"validatingadmissionpolicybindings": {
			"policyName": s.namespace, "validationActions": []any{"Deny"},
			"paramRef": map[string]any{"selector": map[string]any{}, "parameterNotFoundAction": "Allow"},
		},
	} {
		kind := map[string]string{"validatingadmissionpolicies": "ValidatingAdmissionPolicy", "validatingadmissionpolicybindings": "ValidatingAdmissionPolicyBinding"}[resource]
		client := s.client(t).Resource(group.WithResource(resource))
		_, err := client.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": group.String(), "kind": kind, "metadata": map[string]any{"name": s.namespace}, "spec": spec,
		}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Delete(context.WithoutCancel(t.Context()), s.namespace, metav1.DeleteOptions{}) })
	}
	ingresses := s.client(t).Resource(kschema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}).Namespace(s.namespace)
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		_, err := ingresses.Create(t.Context(), s.ingress("probe").Unstructured, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("the policy does not count after a minute")
}
