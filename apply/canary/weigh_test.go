package canary_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-428f4edd/evenkeel/apply/canary"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// routed is an app with an Ingress of Traefik, a route of a Gateway and a NetworkPolicy.
func routed(t *testing.T, version string, weight int) schema.Unit {
	t.Helper()
	u := app(t, "a", version, steps...)
	u.Canary.Weight = weight
	for _, text := range []string{
		`{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"a","namespace":"ns","labels":{"evenkeel.dev/unit":"a"},"annotations":{
		  "traefik.ingress.kubernetes.io/router.entrypoints":"web, websecure","traefik.ingress.kubernetes.io/router.tls":"true",
		  "traefik.ingress.kubernetes.io/router.middlewares":"ns-slow@kubernetescrd,ns-auth@kubernetescrd"}},
		  "spec":{"ingressClassName":"traefik","rules":[{"host":"a.example.org","http":{"paths":[
		    {"path":"/","pathType":"Prefix","backend":{"service":{"name":"a","port":{"name":"http"}}}},
		    {"path":"/other","pathType":"Prefix","backend":{"service":{"name":"other","port":{"name":"http"}}}},
		    {"path":"/one","pathType":"Exact","backend":{"service":{"name":"a","port":{"number":80}}}}]}}]}}`,
		`{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"name":"a","namespace":"ns"},"spec":{"hostnames":["a.example.org"],"rules":[
		  {"backendRefs":[{"group":"","kind":"Service","name":"a","port":80,"weight":1}]},{"backendRefs":[{"name":"other","port":80}]}]}}`,
		`{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"a","namespace":"ns"},"spec":{
		  "podSelector":{"matchExpressions":[{"key":"app.kubernetes.io/name","operator":"In","values":["a","a-canary"]}]},"ingress":[{"from":[{"podSelector":{}}]}]}}`,
	} {
		u.Objects = append(u.Objects, object(t, text))
	}
	u.Objects[4] = object(t, `{"apiVersion":"v1","kind":"Service","metadata":{"name":"a","namespace":"ns","labels":{"evenkeel.dev/unit":"a"},"annotations":{"a":"b"}},"spec":{"type":"NodePort",
		"selector":{"app.kubernetes.io/name":"a"},"ports":[{"name":"http","port":80,"targetPort":"http","nodePort":30080}]}}`)
	for _, kind := range []string{"Ingress", "HTTPRoute"} {
		u.Canary.Routes = append(u.Canary.Routes, schema.CanaryRoute{Deployment: "a", Service: "a", Label: "app.kubernetes.io/name", Kind: kind, Name: "a"})
	}
	return u
}

// TestComposeWeighed has routes that lead to a canary by weights.
func TestComposeWeighed(t *testing.T) {
	base, desired := environment(routed(t, "1", 0)), environment(routed(t, "2", 5))
	before := text(t, []any{base.Units, desired.Units})
	c, err := canary.Compose(desired, base, nil, all)
	if err != nil {
		t.Fatal(err)
	}
	if mine, sum := c.Share(); mine != 5 || sum != 405 {
		t.Errorf("the share is %d of %d, want 5 of 405", mine, sum)
	}
	got := map[string]string{}
	for _, o := range c.Environment.Unit("a").Objects {
		ref := o.GetKind() + "/" + o.GetName()
		if o.Stage != 0 {
			ref += " afterwards"
		}
		if was := named(base, o); was == nil || text(t, was.Object) != text(t, o.Object) {
			got[ref] = text(t, o.Object["spec"])
		}
	}
	for ref := range got {
		if strings.HasPrefix(ref, "ConfigMap/") || strings.HasPrefix(ref, "Secret/") {
			delete(got, ref)
		}
	}
	want := map[string]string{
		"Service/a-canary": `{"ports":[{"name":"http","port":80,"targetPort":"http"}],"selector":{"evenkeel.dev/canary":"a"},"type":"ClusterIP"}`,
		"IngressRoute/a-canary afterwards": `{"entryPoints":["web","websecure"],"routes":[` +
			`{"kind":"Rule","match":"Host(\"a.example.org\") \u0026\u0026 PathPrefix(\"/\")","middlewares":[{"name":"slow"},{"name":"auth"}],"services":[{"name":"a","port":"http","weight":400},{"name":"a-canary","port":"http","weight":5}]},` +
			`{"kind":"Rule","match":"Host(\"a.example.org\") \u0026\u0026 Path(\"/one\")","middlewares":[{"name":"slow"},{"name":"auth"}],"services":[{"name":"a","port":80,"weight":400},{"name":"a-canary","port":80,"weight":5}]}],"tls":{}}`,
		"HTTPRoute/a afterwards": `{"hostnames":["a.example.org"],"rules":[` +
			`{"backendRefs":[{"group":"","kind":"Service","name":"a","port":80,"weight":400},{"group":"","kind":"Service","name":"a-canary","port":80,"weight":5}]},{"backendRefs":[{"name":"other","port":80}]}]}`,
		"NetworkPolicy/a-canary": `{"ingress":[{"from":[{"podSelector":{}}]}],"podSelector":{"matchLabels":{"evenkeel.dev/canary":"a"}}}`,
	}
	deployment := got["Deployment/a-canary"]
	delete(got, "Deployment/a-canary")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, part := range []string{
		`"selector":{"matchLabels":{"app.kubernetes.io/name":"a-canary","evenkeel.dev/canary":"a"}}`, `"labels":{"app.kubernetes.io/name":"a-canary","evenkeel.dev/canary":"a"}`,
		`"minReadySeconds":5`, `"strategy":{"rollingUpdate":{"maxSurge":1,"maxUnavailable":0},"type":"RollingUpdate"}`,
	} {
		if !strings.Contains(deployment, part) {
			t.Errorf("not in the canary: %s\n%s", part, deployment)
		}
	}
	if after := text(t, []any{base.Units, desired.Units}); after != before {
		t.Error("what git says was changed")
	}

	// The shares go with the pods of a step, and back to one Service at the end.
	next := c.State.Next(2)
	half, err := canary.Compose(desired, base, &next, all)
	if err != nil {
		t.Fatal(err)
	}
	if mine, sum := half.Share(); mine != 10 || sum != 410 {
		t.Errorf("the share of step 2 is %d of %d, want 10 of 410", mine, sum)
	}
	if aborted := c.Without(desired, base); text(t, aborted.Unit("a").Objects) != text(t, base.Unit("a").Objects) {
		t.Error("aborted, the app is not as it was")
	}
}

// TestComposeWeighedFirst has a version that brings the route: it is not there before it.
func TestComposeWeighedFirst(t *testing.T) {
	base, desired := environment(app(t, "a", "1", steps...)), environment(routed(t, "2", 5))
	c, err := canary.Compose(desired, base, nil, all)
	if err != nil {
		t.Fatal(err)
	}
	if mine, _ := c.Share(); mine != 0 || strings.Contains(summary(t, c.Environment.Unit("a")), "Route") {
		t.Errorf("a route that is not there leads to the canary:\n%s", summary(t, c.Environment.Unit("a")))
	}
}

func named(env *schema.Environment, o schema.Object) *schema.Object {
	for i, other := range env.Units[0].Objects {
		if other.GetKind() == o.GetKind() && other.GetName() == o.GetName() {
			return &env.Units[0].Objects[i]
		}
	}
	return nil
}
