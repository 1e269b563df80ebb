package way_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/render/edge"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/way"
)

// controllers are what serves the routes of a test; %s is the arguments.
const controllers = `
{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: traefik}, spec: {controller: traefik.io/ingress-controller}}
---
{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: nginx}, spec: {controller: k8s.io/ingress-nginx}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: main, namespace: app}, spec: {gatewayClassName: traefik, listeners: [{name: web, port: 8000, protocol: HTTP}]}}
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: controller, namespace: infra}, spec: {template: {metadata: {labels: {name: controller}}, spec: {containers: [{name: c, args: [%s], ports: [{containerPort: 8000%s}, {containerPort: 80%[2]s}]}]}}}}
`

// hostPort leads from the edge to the controller.
const hostPort = ", hostPort: 81"

// front are the hosts in front of a cluster: they serve every name that ends with com or
// org, end the TLS of tls.com, and send requests for moved.com to HTTPS.
func front() *edge.Config {
	return &edge.Config{
		Site: "od", VIP: "10.4.7.10", VRID: 251, Mode: "nopreempt", Unicast: true, AdvertSeconds: 1, Network: "10.4.7.0/24",
		Hosts: map[string]edge.Host{
			"hdss7-11": {Address: "10.4.7.11", Priority: 100, Interface: "eth0"},
			"hdss7-12": {Address: "10.4.7.12", Priority: 90, Interface: "eth0"},
		},
		Check: edge.Check{IntervalSeconds: 1, TimeoutSeconds: 2, Fall: 3, Rise: 2},
		L7: edge.L7{
			Domain: "od.com", Names: []string{"*.com", "*.org"}, Nodes: []string{"10.4.7.21", "10.4.7.22"}, Port: 81, BodySize: "50m", ReadSeconds: 3600,
			TLS: map[string]edge.TLS{"tls.com": {}, "moved.com": {Redirect: true}},
		},
	}
}

const (
	traefikArgs = "'--entryPoints.web.address=:8000/tcp', '--entryPoints.web.forwardedHeaders.trustedIPs=10.4.7.11,10.4.7.12', --providers.kubernetesingress, --providers.kubernetescrd, --providers.kubernetesgateway, --providers.kubernetesingressnginx"
	secureArgs  = "'--entryPoints.web.address=:8000/tcp', '--entryPoints.websecure.address=:8443/tcp', --providers.kubernetesingress, --providers.kubernetescrd, --providers.kubernetesgateway, --providers.kubernetesingressnginx"
	alwaysArgs  = secureArgs + ", '--entryPoints.websecure.http.tls=true'"
	strictArgs  = traefikArgs + ", --providers.kubernetesingress.strictPrefixMatching=true"
	precedence  = traefikArgs + ", '--providers.precedence" // v3.6 does not start with it
	nginxArgs   = "/nginx-ingress-controller"
)

// ingress is an Ingress to a Service of its own name.
func ingress(name, class, host, path, pathType string) string {
	return fmt.Sprintf("{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: %s, namespace: app}, spec: {ingressClassName: %s, rules: [{host: %q, http: {paths: [{path: %q, pathType: %s, backend: {service: {name: %[1]s, port: {number: 80}}}}]}}]}}",
		name, class, host, path, pathType)
}

func ingressRoute(name, match string, priority int) string {
	return fmt.Sprintf("{apiVersion: traefik.io/v1alpha1, kind: IngressRoute, metadata: {name: %s, namespace: app}, spec: {routes: [{kind: Rule, match: %q, priority: %d, services: [{name: %[1]s, port: 80}]}]}}", name, match, priority)
}

// annotated is an Ingress with annotations, noted one with those of Traefik.
func annotated(name, class, host, path, pathType, annotations string) string {
	return strings.Replace(ingress(name, class, host, path, pathType), "namespace: app}", "namespace: app, annotations: {"+annotations+"}}", 1)
}

func noted(name, host, path, pathType, annotation string) string {
	return annotated(name, "traefik", host, path, pathType, "traefik.ingress.kubernetes.io/"+annotation)
}

// with is an IngressRoute with a middleware.
func with(name, match, middleware string) string {
	return strings.Replace(ingressRoute(name, match, 0), "services:", "middlewares: [{name: "+middleware+"}], services:", 1)
}

func middleware(name, spec string) string {
	return fmt.Sprintf("{apiVersion: traefik.io/v1alpha1, kind: Middleware, metadata: {name: %s, namespace: app}, spec: {%s}}", name, spec)
}

// secretOf gives an Ingress a certificate for its host.
func secretOf(ingress, host, secret string) string {
	return strings.Replace(ingress, "rules:", fmt.Sprintf("tls: [{hosts: [%q], secretName: %s}], rules:", host, secret), 1)
}

// certified is an Ingress of Traefik with a certificate, and an annotation.
func certified(name, host, secret, annotation string) string {
	if annotation == "" {
		return secretOf(ingress(name, "traefik", host, "/", "Prefix"), host, secret)
	}
	return secretOf(noted(name, host, "/", "Prefix", annotation), host, secret)
}

// secured is an IngressRoute with TLS.
func secured(name, match, tls string) string {
	return strings.Replace(ingressRoute(name, match, 0), "spec: {", "spec: {tls: "+tls+", ", 1)
}

// certificate is a Secret with a certificate of a host.
func certificate(name, host string) string {
	pair := pairOf(host)
	return fmt.Sprintf("{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, metadata: {name: %s, namespace: app}, stringData: {tls.crt: %q, tls.key: %q}}", name, pair[0], pair[1])
}

var pairs sync.Map

// pairOf is a certificate of a host, and its key, always the same.
func pairOf(host string) [2]string {
	if pair, ok := pairs.Load(host); ok {
		return pair.([2]string)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	pair, _ := pairs.LoadOrStore(host, [2]string{
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	})
	return pair.([2]string)
}

// filtered is an HTTPRoute with a filter.
func filtered(name, host, prefix, filter string) string {
	route := httpRoute(name, host, "{path: {type: PathPrefix, value: "+prefix+"}}")
	if strings.Contains(filter, "RequestRedirect") {
		return strings.Replace(route, "backendRefs: [{name: "+name+", port: 80}]", "filters: ["+filter+"]", 1)
	}
	return strings.Replace(route, "backendRefs:", "filters: ["+filter+"], backendRefs:", 1)
}

func httpRoute(name, hosts, match string) string {
	return fmt.Sprintf("{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: %s, namespace: app}, spec: {parentRefs: [{name: main}], hostnames: [%s], rules: [{matches: [%s], backendRefs: [{name: %[1]s, port: 80}]}]}}", name, hosts, match)
}

func grpcRoute(name, hosts, match string) string {
	return strings.Replace(httpRoute(name, hosts, match), "HTTPRoute", "GRPCRoute", 1)
}

// gatewayOf is a Gateway whose controller the environments do not make, with a set of
// listeners beside it.
const gatewayOf = `
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: main, namespace: app}, spec: {gatewayClassName: cloud, allowedListeners: {namespaces: {from: Same}}, listeners: [
  {name: any, port: 80, protocol: HTTP},
  {name: wild, port: 80, protocol: HTTP, hostname: "*.wild.com"},
  {name: grpc, port: 80, protocol: HTTP, hostname: only.grpc.com, allowedRoutes: {kinds: [{kind: GRPCRoute}]}}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: closed, namespace: app}, spec: {gatewayClassName: cloud, listeners: [{name: any, port: 80, protocol: HTTP, hostname: closed.com}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: ListenerSet, metadata: {name: more, namespace: app}, spec: {parentRef: {name: main}, listeners: [
  {name: web, port: 80, protocol: HTTP, hostname: more.com}, {name: tls, port: 443, protocol: HTTPS, hostname: tls.com, tls: {certificateRefs: [{name: there}]}}, {name: none, port: 443, protocol: HTTPS, hostname: none.com, tls: {certificateRefs: [{name: missing}]}}]}}
---
{apiVersion: v1, kind: Secret, metadata: {name: there, namespace: app}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: ListenerSet, metadata: {name: shut, namespace: app}, spec: {parentRef: {name: closed}, listeners: [{name: web, port: 80, protocol: HTTP, hostname: shut.com}]}}
`

// to has a route name other parents.
func to(parents, route string) string {
	return strings.Replace(route, "parentRefs: [{name: main}]", "parentRefs: ["+parents+"]", 1)
}

// TestSpecified holds the order of routes, and what listeners take, by the specification
// of the Gateway API (HTTPRouteRule.matches, GRPCRouteRule.matches, Listener, ListenerSet).
func TestSpecified(t *testing.T) {
	const more, shut = "{kind: ListenerSet, name: more}", "{kind: ListenerSet, name: shut}"
	for _, tt := range []struct {
		name   string
		routes []string
		want   map[string]string
	}{
		{"the host before the path", []string{httpRoute("exact", "a.b.com", "{path: {type: PathPrefix, value: /}}"), httpRoute("wild", "'*.b.com'", "{path: {type: Exact, value: /x}}"), httpRoute("wider", "'*.com'", "{path: {type: Exact, value: /x}}"), httpRoute("any", "", "{path: {type: Exact, value: /x}}")}, map[string]string{
			"a.b.com/x": "exact", "c.b.com/x": "wild", "c.b.com/y": "", "c.d.b.com/x": "wild", "c.com/x": "wider", "c.org/x": "any",
		}},
		{"an exact path, then the longer one, a method, headers, queries", []string{
			httpRoute("exact", "a.com", "{path: {type: Exact, value: /x}}"), httpRoute("long", "a.com", "{path: {type: PathPrefix, value: /x/y}}"), httpRoute("short", "a.com", "{path: {type: PathPrefix, value: /x}}"),
			httpRoute("query", "a.com", "{path: {type: PathPrefix, value: /x}, queryParams: [{name: v, value: '2'}]}"), httpRoute("get", "a.com", "{path: {type: PathPrefix, value: /x/y}, method: GET}"),
		}, map[string]string{"a.com/x": "exact", "a.com/x/": "short", "a.com/x/z?v=2": "query", "a.com/x/y": "get", "a.com/xx": ""}},
		{"several hosts, each of its own", []string{httpRoute("two", "a.com, '*.b.com'", "{}"), httpRoute("one", "x.b.com", "{}")}, map[string]string{"a.com": "two", "y.b.com": "two", "x.b.com": "one"}},
		{"equal ones", []string{httpRoute("one", "a.com", "{}"), httpRoute("two", "a.com", "{}")}, map[string]string{"a.com": "?"}},
		{"gRPC: the longer service, then the longer method", []string{
			grpcRoute("all", "g.com", ""), grpcRoute("method", "g.com", "{method: {method: Add}}"), grpcRoute("service", "g.com", "{method: {service: Cart}}"), grpcRoute("both", "g.com", "{method: {service: Cart, method: Add}}"),
		}, map[string]string{"g.com/Cart/Add": "both", "g.com/Cart/Get": "service", "g.com/Order/Add": "method", "g.com/Order/Get": "all"}},
		{"the host name of a listener", []string{httpRoute("wild", "a.wild.com, a.com", "{}"), to("{name: main, sectionName: wild}", httpRoute("section", "'*.wild.com', b.com", "{}"))}, map[string]string{"a.wild.com": "wild", "a.com": "wild", "b.wild.com": "section", "b.com": ""}},
		{"the kinds of a listener", []string{to("{name: main, sectionName: grpc}", httpRoute("http", "only.grpc.com", "{}")), to("{name: main, sectionName: grpc}", grpcRoute("grpc", "only.grpc.com", ""))}, map[string]string{"only.grpc.com/": "grpc"}},
		{"a set of listeners", []string{to(more, httpRoute("more", "more.com, other.com", "{}")), to(more, httpRoute("tls", "tls.com", "{}")), to(more, httpRoute("none", "none.com", "{}")), to(shut, httpRoute("shut", "shut.com", "{}"))}, map[string]string{
			"more.com": "more", "other.com": "", "https://tls.com": "tls", "https://none.com": "!", "shut.com": "",
		}},
		{"a Gateway that is not there", []string{to("{name: mian}", httpRoute("a", "a.com", "{}"))}, map[string]string{"a.com": ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			model := modelAt(t, "loadBalancer", gatewayOf, tt.routes)
			for url, want := range tt.want {
				w, err := model.Trace(url)
				if err != nil {
					t.Fatal(err)
				}
				got := answer(w)
				for _, h := range w.Breaks() {
					if got != "" && strings.Contains(h.Break.Reason, `no Secret "missing"`) {
						got = "!"
					}
				}
				if got != want {
					t.Errorf("%s goes to %q, want %q: %v", url, got, want, w.Breaks())
				}
			}
		})
	}
	// Where nobody here makes a Gateway, the route alone says what it takes.
	model := modelOf(t, "{apiVersion: v1, kind: Namespace, metadata: {name: app}}", []string{httpRoute("a", "a.com", "{}")})
	if w, err := model.Trace("http://a.com/"); err != nil || answer(w) != "a" || len(w.Breaks()) > 0 {
		t.Errorf("%v, %v", w, err)
	}
	// Traefik reads them from v3.8 on, where its Gateway takes them.
	sets := strings.ReplaceAll(gatewayOf, "port: 80,", "port: 8000,")
	sets = sets[strings.Index(sets, "{apiVersion: gateway.networking.k8s.io/v1, kind: ListenerSet"):]
	takes := strings.Replace(fmt.Sprintf(controllers, traefikArgs, ""), "gatewayClassName: traefik,", "gatewayClassName: traefik, allowedListeners: {namespaces: {from: All}},", 1)
	for _, tt := range []struct{ controllers, image, breaks string }{
		{takes, "docker.io/library/traefik:v3.7.13", "Traefik reads ListenerSets from v3.8 on"},
		{fmt.Sprintf(controllers, traefikArgs, ""), "docker.io/library/traefik:v3.8.0", "spec.allowedListeners"},
		{takes, "docker.io/library/traefik:v3.8.0", ""},
	} {
		model = modelOf(t, strings.Replace(tt.controllers, "{name: c,", "{name: c, image: \""+tt.image+"\",", 1)+"---"+sets, []string{to(more, httpRoute("more", "more.com", "{}"))})
		w, err := model.Trace("http://more.com/")
		if err != nil {
			t.Fatal(err)
		}
		breaks := ""
		for _, b := range w.Breaks() {
			breaks += fmt.Sprint(b.Break)
		}
		if tt.breaks == "" && answer(w) != "more" || !strings.Contains(breaks, tt.breaks) {
			t.Errorf("%s: answered by %q, %s", tt.image, answer(w), breaks)
		}
	}
}

// choice is a set of routes, and who answers which URL: an app, with the path that it
// gets where that was rewritten, and "!" where the certificate is not one of the host; ""
// is a 404, "?" is left to chance, "edge" is not let in by the hosts in front.
type choice struct {
	name, args string
	routes     []string
	want       map[string]string
}

// answers are those of a release of Traefik. Before v3.7 it had a wildcard of an Ingress as
// a longer rule, Host took none, which of two providers was asked first was left to chance,
// and of the annotations of ingress-nginx it read less.
func (c choice) answers(release string) map[string]string {
	want := maps.Clone(c.want)
	if strings.HasPrefix(release, "v3.6.") {
		maps.Copy(want, map[string]map[string]string{
			"a wildcard and a name of its domain":                       {"name.a.com": "wild", "b.a.com": "wild"},
			"class nginx of Traefik: annotations of ingress-nginx":      {"a.com/old/x": "target", "a.com/old": "target", "d.com/x": "plain"},
			"a wildcard in a rule":                                      {"b.a.com": "", "b.com/all": ""},
			"equal rules of two providers, of which one is first":       {"a.com/x": "?", "b.com": "?"},
			"equal rules of two providers, of which the other is first": {"a.com/x": "?", "b.com": "?"},
			"class nginx of Traefik: a host with regular expressions": {
				"a.com/bc": "", "a.com/B/x": "", "c.com/b(c)": "strict", "d.com/v1/x": "deep", "d.com/V1": "", "d.com/v1/v1": "deep", "e.com/x": "away",
			},
		}[c.name])
	}
	return want
}

// direct says that requests go to the controller itself, which ends TLS.
func (c choice) direct() bool { return strings.HasPrefix(c.args, secureArgs) }

// choices holds which route takes a request. TestTraefik asks a real nginx and a real
// Traefik the same.
func choices() []choice {
	return []choice{
		{"prefixes of Traefik are no parts", traefikArgs, []string{ingress("v1", "traefik", "a.com", "/v1", "Prefix"), ingress("all", "traefik", "a.com", "/", "Prefix")}, map[string]string{
			"a.com/v1": "v1", "a.com/v1/x": "v1", "a.com/v12": "v1", "a.com/v": "all", "a.com/V1": "all", "a.com//v1": "v1", "a.com/x/../v1": "v1", "a.com/%761": "v1", "a.com/v1%2Fx": "v1", "b.com/v1": "",
		}},
		{"unless it is strict", strictArgs, []string{ingress("v1", "traefik", "a.com", "/v1/", "Prefix"), ingress("all", "traefik", "a.com", "/", "Prefix")}, map[string]string{
			"a.com/v1": "v1", "a.com/v1/": "v1", "a.com/v12": "all",
		}},
		{"class nginx of Traefik is strict", traefikArgs, []string{ingress("v1", "nginx", "a.com", "/v1", "Prefix"), ingress("all", "nginx", "a.com", "/", "Prefix")}, map[string]string{
			"a.com/v1": "v1", "a.com/v12": "all", "a.com/v1/": "v1",
		}},
		{"exact and prefix of Traefik: the longer rule", traefikArgs, []string{ingress("exact", "traefik", "a.com", "/x", "Exact"), ingress("prefix", "traefik", "a.com", "/x", "Prefix")}, map[string]string{
			"a.com/x": "prefix", "a.com/x/": "prefix",
		}},
		{"a wildcard and a name of its domain", traefikArgs, []string{ingress("wild", "traefik", "*.a.com", "/", "Prefix"), ingress("exact", "traefik", "name.a.com", "/", "Prefix"), ingress("letter", "traefik", "b.a.com", "/", "Prefix")}, map[string]string{
			"name.a.com": "exact", "b.a.com": "?", "c.a.com": "wild", "d.c.a.com": "", "a.com": "", // of equal length
		}},
		{"a trailing slash is part of an exact path", traefikArgs, []string{ingress("exact", "traefik", "a.com", "/x/", "Exact")}, map[string]string{"a.com/x/": "exact", "a.com/x": "", "a.com/x/y": ""}},
		{"no host takes any", traefikArgs, []string{ingress("any", "traefik", "", "/", "Prefix"), ingress("a", "traefik", "a.com", "/", "Prefix")}, map[string]string{"a.com": "a", "b.com": "any"}},
		{"priorities", traefikArgs, []string{ingressRoute("low", "Host(`a.com`) && PathPrefix(`/long/long/path`)", 1), ingressRoute("high", "Host(`a.com`)", 2), ingressRoute("other", "Host(`b.com`) || Host(`c.com`)", 0)}, map[string]string{
			"a.com/long/long/path": "high", "a.com": "high", "b.com": "other", "c.com/x": "other", "d.com": "",
		}},
		{"rules", traefikArgs, []string{ingressRoute("not", "Host(`a.com`) && !PathPrefix(`/b`)", 0), ingressRoute("re", "HostRegexp(`^[a-z]+\\.b\\.com$`) && PathRegexp(`^/[0-9]+$`)", 0), ingressRoute("q", "Host(`a.com`) && PathPrefix(`/b`) && Query(`v`, `2`)", 0), ingressRoute("head", "Host(`a.com`) && PathPrefix(`/b`) && Header(`X-Canary`, `1`)", 0)}, map[string]string{
			"a.com/a": "not", "a.com/b": "", "x.b.com/12": "re", "x.b.com/a": "", "x.y.b.com/1": "", "a.com/b?v=2": "q", "a.com/b?v=3": "",
		}},
		{"chance", traefikArgs, []string{ingressRoute("one", "Host(`a.com`)", 0), ingressRoute("two", "Host(`a.com`)", 0)}, map[string]string{"a.com": "?"}},
		{"Gateway: exact, then the longer prefix, then any", traefikArgs, []string{
			httpRoute("exact", "a.com", "{path: {type: Exact, value: /x}}"), httpRoute("long", "a.com", "{path: {type: PathPrefix, value: /x/y}}"), httpRoute("short", "a.com", "{path: {type: PathPrefix, value: /x}}"), httpRoute("any", "a.com", "{path: {type: PathPrefix, value: /}}"),
		}, map[string]string{"a.com/x": "exact", "a.com/x/": "short", "a.com/x/y": "long", "a.com/x/y/z": "long", "a.com/x/yy": "short", "a.com/xx": "any", "b.com": ""}},
		{"Gateway: the longer host of one path", traefikArgs, []string{httpRoute("wild", "'*.a.com'", "{}"), httpRoute("exact", "bb.a.com", "{}")}, map[string]string{
			"bb.a.com": "exact", "c.a.com": "wild", "d.c.a.com": "wild", "a.com": "",
		}},
		{"Gateway: gRPC, where Traefik takes the longer rule, and any method is five characters", traefikArgs, []string{
			grpcRoute("method", "g.com", "{method: {service: shop.v1.Cart, method: Checkout}}"), grpcRoute("less", "g.com", "{method: {service: shop.v1.Cart, method: Add}}"), grpcRoute("service", "g.com", "{method: {service: shop.v1.Cart}}"), grpcRoute("every", "g.com", ""), grpcRoute("re", "r.com", "{method: {type: RegularExpression, service: 'shop[.]v[0-9][.]Cart', method: 'Get.*'}}"),
		}, map[string]string{
			"g.com/shop.v1.Cart/Checkout": "method", "g.com/shop.v1.Cart/Add": "service", "g.com/shop.v1.Cart/Remove": "service", "g.com/shop.v1.Order/Add": "every", "g.com/": "every", "h.com/shop.v1.Cart/Add": "", "r.com/shop.v2.Cart/GetAll": "re", "r.com/shop.v2.Cart/Add": "",
		}},
		{"Gateway: Traefik has no anchors in what it makes of a method", traefikArgs, []string{grpcRoute("method", "g.com", "{method: {service: Cart, method: Add}}")}, map[string]string{"g.com/Cart/AddAll": "method", "g.com/x/Cart/Add": "method", "g.com/Carts/Add": ""}},
		{"at the edge", traefikArgs, []string{ingress("a", "traefik", "a.com", "/", "Prefix"), ingress("secure", "traefik", "tls.com", "/", "Prefix"), ingress("moved", "traefik", "moved.com", "/old", "Prefix")}, map[string]string{
			"a.com": "a", "A.com": "a", "a.com.": "a", "a.com:80": "a", "b.com": "", "a.net": "edge", "https://a.com": "edge",
			"tls.com/x": "secure", "https://tls.com/x": "secure", "moved.com/old/x": "moved", "https://moved.com/old": "moved", "moved.com/x": "",
			"a.com/../x": "edge", "a.com/%2e%2e/x": "edge", "a.com/x/../../y": "edge", "a.com/x/..": "a",
		}},
		{"encoded paths", traefikArgs, []string{
			ingress("all", "traefik", "a.com", "/", "Prefix"), ingress("v1", "traefik", "a.com", "/v1/", "Prefix"), ingress("space", "traefik", "a.com", "/a longer name", "Exact"), ingress("coffee", "traefik", "a.com", "/café/", "Prefix"),
		}, map[string]string{
			"a.com/v1/x": "v1", "a.com/v1": "all", "a.com/v1%2Fx": "all", "a.com/v1%2fx": "all", "a.com/%76%31/x": "v1", "a.com/x/%2e%2e/v1/x": "v1", "a.com/x/./v1/": "all", "a.com/./v1//x": "v1",
			"a.com/a%20longer%20name": "space", "a.com/a+b": "all", "a.com/a%2520b": "all", "a.com/caf%C3%A9/x": "coffee", "a.com/caf%c3%a9/": "coffee", "a.com/cafe/": "all", "a.com/v1/;x": "v1", "a.com/v1/?a=/../b": "v1",
		}},
		{"several Ingresses of one host", traefikArgs, []string{
			ingress("root", "traefik", "a.com", "/", "Prefix"), ingress("api", "traefik", "a.com", "/api", "Prefix"), ingress("v2", "traefik", "a.com", "/api/v2", "Prefix"), ingress("health", "traefik", "a.com", "/api/health", "Exact"), ingress("slash", "traefik", "a.com", "/docs/", "Exact"), ingress("own", "traefik", "a.com", "/own", "ImplementationSpecific"),
		}, map[string]string{
			"a.com/": "root", "a.com/api": "api", "a.com/api/v1": "api", "a.com/api/v2": "v2", "a.com/api/v2/x?y=z": "v2", "a.com/api/v22": "v2", "a.com/api/health": "health", "a.com/docs/": "root", "a.com/docs": "root", "a.com/own/x": "own",
		}},
		{"annotations of Traefik", traefikArgs, []string{
			ingress("all", "traefik", "a.com", "/", "Prefix"), noted("first", "a.com", "/", "Prefix", "router.priority: '1000'"), noted("regexp", "b.com", "/[0-9]+$", "ImplementationSpecific", "router.pathmatcher: PathRegexp"),
			noted("tls", "tls.com", "/", "Prefix", "router.tls: 'true'"), noted("elsewhere", "c.com", "/", "Prefix", "router.entrypoints: websecure"), noted("strip", "d.com", "/old", "Prefix", "router.middlewares: app-strip@kubernetescrd"), middleware("strip", "stripPrefix: {prefixes: [/old]}"),
		}, map[string]string{
			"a.com/x": "first", "b.com/12": "regexp", "b.com/x/1": "regexp", "b.com/1x": "", "c.com": "", "tls.com": "", "https://tls.com": "", "d.com/old/x": "strip /x", "d.com/old": "strip /", "d.com/older": "strip /er",
		}},
		{"a default backend comes last", traefikArgs, []string{
			"{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: rest, namespace: app}, spec: {ingressClassName: traefik, defaultBackend: {service: {name: rest, port: {number: 80}}}}}", ingress("a", "traefik", "a.com", "/x", "Exact"),
		}, map[string]string{"a.com/x": "a", "a.com/y": "rest", "b.org": "rest"}},
		{"rules as they may be written", traefikArgs, []string{
			ingressRoute("lower", "host(`a.com`) && pathprefix(`/x`)", 0), ingressRoute("upper", "HOST(`A.com`) && PATH(`/y`)", 0), ingressRoute("title", "Host(`b.com`) && Pathprefix(`/`)", 0), ingressRoute("both", "Host(`c.com`) && !(PathPrefix(`/a`) || PathPrefix(`/b`)) && Method(`get`)", 0), ingressRoute("post", "Host(`d.com`) && Method(`POST`)", 0),
		}, map[string]string{"a.com/x/y": "lower", "a.com/y": "upper", "a.com/y/": "", "b.com/z": "title", "c.com/a": "", "c.com/b/c": "", "c.com/c": "both", "d.com": ""}},
		{"rules of queries", traefikArgs, []string{
			ingressRoute("empty", "Host(`a.com`) && Query(`v`)", 0), ingressRoute("re", "Host(`b.com`) && QueryRegexp(`v`, `^[0-9]$`)", 0), ingressRoute("bare", "Host(`c.com`) && QueryRegexp(`v`)", 0),
		}, map[string]string{"a.com/?v": "empty", "a.com/?v=": "empty", "a.com/?v=1": "", "a.com/?w": "", "b.com/?v=1": "re", "b.com/?v=12": "", "b.com/?v=x&v=2": "re", "c.com/?v=1": "", "c.com/?v": "bare"}},
		{"rules that Traefik refuses", traefikArgs, []string{
			ingressRoute("path", "Host(`a.com`) && PathPrefix(`x`)", 0), ingressRoute("none", "Host(`b.com`) && PathPrefix(``)", 0), ingressRoute("many", "Host(`c.com`, `d.com`)", 0), ingressRoute("old", "Host(`e.com`) && Headers(`a`, `b`)", 0), ingressRoute("letters", "Host(`é.com`)", 0), ingressRoute("address", "Host(`f.com`) && !ClientIP(`10.0.0.0/33`)", 0), ingressRoute("good", "Host(`g.com`)", 0),
		}, map[string]string{"a.com/x": "", "b.com": "", "c.com": "", "d.com": "", "e.com": "", "f.com": "", "g.com": "good"}},
		{"hosts of rules", traefikArgs, []string{
			ingressRoute("dot", "Host(`a.com.`)", 0), ingressRoute("sub", "HostRegexp(`^(.+[.])?b[.]com$`)", 0), ingressRoute("loose", "HostRegexp(`c.com`)", 0), ingressRoute("upper", "HostRegexp(`^D[.]com$`)", 0),
		}, map[string]string{"a.com": "dot", "a.com.": "dot", "b.com": "sub", "x.y.b.com": "sub", "xc-com.com": "loose", "d.com": "", "x.c.com": "loose"}},
		{"Ingress, IngressRoute and HTTPRoute of one host", traefikArgs, []string{
			ingress("ingress", "traefik", "a.com", "/api", "Prefix"), ingressRoute("route", "Host(`a.com`) && PathPrefix(`/api/long/path`)", 0), httpRoute("gateway", "a.com", "{path: {type: PathPrefix, value: /api/long}}"), httpRoute("least", "a.com", "{}"),
		}, map[string]string{"a.com/api": "ingress", "a.com/api/long": "gateway", "a.com/api/long/path": "gateway", "a.com/api/longer": "ingress", "a.com/x": "least"}},
		{"middlewares", traefikArgs, []string{
			with("strip", "Host(`a.com`)", "strip"), middleware("strip", "stripPrefix: {prefixes: [/a, /b]}"), with("add", "Host(`b.com`)", "add"), middleware("add", "addPrefix: {prefix: /p}"), with("replace", "Host(`c.com`)", "replace"), middleware("replace", "replacePathRegex: {regex: '^/old/(.*)', replacement: /new/$1}"),
			with("chain", "Host(`d.com`)", "chain"), middleware("chain", "chain: {middlewares: [{name: strip}, {name: add}]}"), with("https", "Host(`tls.com`)", "https"), middleware("https", "redirectScheme: {scheme: https}"), with("lost", "Host(`e.com`)", "nowhere"), ingressRoute("rest", "HostRegexp(`^e`)", 1), with("regex", "Host(`f.com`)", "regex"), middleware("regex", "stripPrefixRegex: {regex: ['^/[a-z]+']}"),
		}, map[string]string{
			"a.com/a/x": "strip /x", "a.com/b": "strip /", "a.com/c": "strip", "b.com/x": "add /p/x", "c.com/old/x": "replace /new/x", "c.com/x": "replace", "d.com/a/x": "chain /p/x", "tls.com/x": "https", "https://tls.com/x": "https", "e.com": "rest", "f.com/abc/d": "regex /d", "f.com/1/d": "regex",
		}},
		{"Gateway: methods, headers, queries, several matches", traefikArgs, []string{
			httpRoute("get", "a.com", "{path: {type: PathPrefix, value: /x}, method: GET}"), httpRoute("post", "a.com", "{path: {type: PathPrefix, value: /x}, method: POST}"), httpRoute("query", "a.com", "{path: {type: PathPrefix, value: /x}, queryParams: [{name: v, value: '2'}]}"), httpRoute("two", "b.com, c.com", "{path: {type: Exact, value: /a}}, {path: {type: Exact, value: /b}}"), httpRoute("re", "b.com", "{path: {type: RegularExpression, value: '/[0-9]+'}}"),
		}, map[string]string{"a.com/x": "get", "a.com/x?v=2": "get", "b.com/a": "two", "c.com/b": "two", "c.com/c": "", "b.com/12": "re", "b.com/x/1": "re"}},
		{"Gateway: filters", traefikArgs, []string{
			filtered("prefix", "a.com", "/old", "{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}"), filtered("full", "b.com", "/", "{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /one}}}"), filtered("root", "c.com", "/old", "{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}"), filtered("there", "d.com", "/", "{type: RequestRedirect, requestRedirect: {hostname: a.com, path: {type: ReplaceFullPath, replaceFullPath: /old/z}}}"),
		}, map[string]string{"a.com/old/x": "prefix /new/x", "a.com/old": "prefix /new", "a.com/older": "", "b.com/x/y": "full /one", "c.com/old/x": "root /x", "c.com/old": "root /", "d.com/q": "prefix /new/z"}},
		{"Gateway: host names of listeners", traefikArgs, []string{
			"{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: narrow, namespace: app}, spec: {gatewayClassName: traefik, listeners: [{name: wild, port: 8000, protocol: HTTP, hostname: '*.wild.com'}, {name: one, port: 8000, protocol: HTTP, hostname: one.com}]}}",
			to("{name: narrow}", httpRoute("both", "a.wild.com, one.com, other.com", "{}")), to("{name: narrow, sectionName: wild}", httpRoute("section", "'*.b.wild.com'", "{}")), to("{name: narrow, sectionName: one}", httpRoute("any", "", "{path: {type: PathPrefix, value: /any}}")),
		}, map[string]string{"a.wild.com": "both", "one.com": "both", "other.com": "", "x.b.wild.com": "section", "b.wild.com": "", "one.com/any": "any", "c.wild.com/any": ""}},
		{"class nginx of Traefik: annotations of ingress-nginx", traefikArgs, []string{
			annotated("target", "nginx", "a.com", "/old(/|$)(.*)", "ImplementationSpecific", "nginx.ingress.kubernetes.io/rewrite-target: /$2, nginx.ingress.kubernetes.io/use-regex: 'true'"), ingress("exact", "nginx", "b.com", "/x", "Exact"), ingress("prefix", "nginx", "b.com", "/x", "Prefix"), ingress("wild", "nginx", "*.c.com", "/", "Prefix"), annotated("plain", "nginx", "d.com", "/", "Prefix", "nginx.ingress.kubernetes.io/rewrite-target: /app"),
		}, map[string]string{"a.com/old/x": "target /x", "a.com/old": "target /", "b.com/x": "prefix", "b.com/x/": "prefix", "b.com/xy": "", "e.c.com": "wild", "f.e.c.com": "", "c.com": "", "d.com/x": "plain /appx"}},
		{"TLS ends at the controller", secureArgs, []string{
			ingress("plain", "traefik", "plain.com", "/", "Prefix"), certified("noted", "noted.com", "noted", "router.tls: 'true'"), certificate("noted", "noted.com"), certified("unnoted", "unnoted.com", "unnoted", ""), certificate("unnoted", "unnoted.com"),
			certified("wild", "*.wild.com", "wild", "router.tls: 'true'"), certificate("wild", "*.wild.com"), certified("lost", "lost.com", "nowhere", "router.tls: 'true'"), noted("none", "none.com", "/", "Prefix", "router.tls: 'true'"), noted("beside", "noted.com", "/beside", "Prefix", "router.tls: 'true'"),
			noted("only", "only.com", "/", "Prefix", "router.entrypoints: websecure"), certified("both", "both.com", "both", "router.tls: 'true'"), ingress("both-plain", "traefik", "both.com", "/", "Prefix"), certificate("both", "both.com"),
			secured("route", "Host(`route.com`)", "{secretName: route}"), certificate("route", "route.com"), secured("bare", "Host(`bare.com`)", "{}"), secured("store", "Host(`store.com`)", "{}"), certified("other", "store.com", "store", ""), certificate("store", "store.com"),
		}, map[string]string{
			"plain.com": "plain", "https://plain.com": "", "noted.com": "", "https://noted.com/x": "noted", "unnoted.com": "unnoted", "https://unnoted.com": "", "https://a.wild.com": "wild", "https://b.a.wild.com": "", "https://lost.com": "lost!", "lost.com": "", "https://none.com": "none!",
			"https://noted.com/beside": "beside", "only.com": "", "https://only.com": "", "both.com": "both-plain", "https://both.com": "both",
			"https://route.com": "route", "route.com": "", "https://bare.com": "bare!", "https://store.com": "store", "store.com": "other", "plain.com:8000": "edge",
		}},
		{"an entry point that always ends TLS", alwaysArgs, []string{
			ingress("plain", "traefik", "plain.com", "/", "Prefix"), certified("own", "own.com", "own", ""), certificate("own", "own.com"), ingressRoute("route", "Host(`route.com`)", 0), httpRoute("gateway", "gateway.com", "{}"),
		}, map[string]string{"plain.com": "plain", "https://plain.com": "plain!", "own.com": "own", "https://own.com": "own", "route.com": "route", "https://route.com": "route!", "gateway.com": "gateway", "https://gateway.com": ""}},
		{"an entry point that sends to HTTPS", alwaysArgs + ", '--entryPoints.web.http.redirections.entryPoint.to=:443'", []string{certified("own", "own.com", "own", ""), certificate("own", "own.com")}, map[string]string{
			"own.com/x": "own", "https://own.com/x": "own", "other.com": "",
		}},
		{"an entry point that sends to the port of another one", alwaysArgs + ", '--entryPoints.web.http.redirections.entryPoint.to=websecure'", []string{certified("own", "own.com", "own", ""), certificate("own", "own.com")}, map[string]string{
			"own.com/x": "edge", "https://own.com/x": "own",
		}},
		{"Gateway: a listener that ends TLS", secureArgs, []string{
			"{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: tls, namespace: app}, spec: {gatewayClassName: traefik, listeners: [{name: good, port: 8443, protocol: HTTPS, hostname: good.com, tls: {certificateRefs: [{name: good}]}}]}}", certificate("good", "good.com"),
			to("{name: tls}", httpRoute("secure", "good.com, bad.com", "{}")), httpRoute("plain", "good.com", "{}"),
		}, map[string]string{"https://good.com/x": "secure", "good.com": "plain", "https://bad.com": "", "bad.com": ""}},
		{"class nginx of Traefik: TLS", alwaysArgs, []string{
			secretOf(ingress("tls", "nginx", "tls.com", "/", "Prefix"), "tls.com", "cert"), certificate("cert", "tls.com"), ingress("plain", "nginx", "plain.com", "/", "Prefix"), annotated("forced", "nginx", "forced.com", "/", "Prefix", "nginx.ingress.kubernetes.io/force-ssl-redirect: 'true'"),
			secretOf(annotated("stays", "nginx", "stays.com", "/", "Prefix", "nginx.ingress.kubernetes.io/ssl-redirect: 'false'"), "stays.com", "stays"), certificate("stays", "stays.com"),
		}, map[string]string{"tls.com/x": "tls", "https://tls.com/x": "tls", "plain.com": "plain", "https://plain.com": "plain!", "forced.com": "forced!", "stays.com": "stays", "https://stays.com": "stays"}},
		{"a wildcard in a rule", traefikArgs, []string{ingressRoute("wild", "Host(`*.a.com`)", 0), ingressRoute("all", "Host(`*`) && PathPrefix(`/all`)", 0)}, map[string]string{
			"b.a.com": "wild", "c.b.a.com": "", "a.com": "", "b.com/all": "all",
		}},
		{"equal rules of two providers", traefikArgs, []string{ingress("ingress", "traefik", "a.com", "/x", "Prefix"), ingressRoute("route", `Host("a.com") && PathPrefix("/x")`, 0), ingress("own", "traefik", "b.com", "/", "Prefix"), ingress("nginx", "nginx", "b.com", "/", "Prefix")}, map[string]string{"a.com/x": "?", "b.com": "?"}},
		{"equal rules of two providers, of which one is first", precedence + "=kubernetescrd,kubernetes'", []string{ingress("ingress", "traefik", "a.com", "/x", "Prefix"), ingressRoute("route", `Host("a.com") && PathPrefix("/x")`, 0), ingress("own", "traefik", "b.com", "/", "Prefix"), ingress("nginx", "nginx", "b.com", "/", "Prefix")}, map[string]string{"a.com/x": "route", "b.com": "own"}},
		{"equal rules of two providers, of which the other is first", precedence + "=kubernetesingressnginx,Kubernetes'", []string{ingress("ingress", "traefik", "a.com", "/x", "Prefix"), ingressRoute("route", `Host("a.com") && PathPrefix("/x")`, 0), ingress("own", "traefik", "b.com", "/", "Prefix"), ingress("nginx", "nginx", "b.com", "/", "Prefix")}, map[string]string{"a.com/x": "ingress", "b.com": "nginx"}},
		{"class nginx of Traefik: a host with regular expressions", traefikArgs, []string{
			annotated("re", "nginx", "a.com", "/[0-9]+$", "ImplementationSpecific", "nginx.ingress.kubernetes.io/use-regex: 'true'"), ingress("beside", "nginx", "a.com", "/b", "Prefix"), ingress("exact", "nginx", "a.com", "/E", "Exact"), ingress("other", "nginx", "b.com", "/b", "Prefix"), ingress("strict", "nginx", "c.com", "/b(c)", "Prefix"), ingress("strict-exact", "nginx", "c.com", "/bc", "Exact"),
			annotated("deep", "nginx", "d.com", "/v1", "Prefix", "nginx.ingress.kubernetes.io/rewrite-target: /v2"), annotated("away", "nginx", "e.com", "/", "Prefix", "nginx.ingress.kubernetes.io/rewrite-target: 'http://d.com/v1/z'"), annotated("same", "nginx", "f.com", "/same", "Prefix", "nginx.ingress.kubernetes.io/rewrite-target: /same"),
		}, map[string]string{
			"a.com/12": "re", "a.com/x/12": "", "a.com/bc": "beside", "a.com/B/x": "beside", "a.com/E": "exact", "a.com/e": "", "b.com/bc": "", "b.com/b/c": "other", "c.com/b(c)": "", "c.com/bc": "strict-exact",
			"d.com/v1/x": "deep /v2/x", "d.com/V1": "deep /v2", "d.com/v1/v1": "deep /v2/v2", "e.com/x": "deep /v2/z", "f.com/same/x": "same",
		}},
		{"ingress-nginx: host first, then the longest path", nginxArgs, []string{
			ingress("wild", "nginx", "*.a.com", "/deep/path", "Prefix"), ingress("exact", "nginx", "b.a.com", "/", "Prefix"), ingress("v1", "nginx", "b.a.com", "/v1", "Prefix"), ingress("v1x", "nginx", "b.a.com", "/v1", "Exact"),
		}, map[string]string{
			"b.a.com/deep/path": "exact", "c.a.com/deep/path": "wild", "c.a.com/deep/path/x": "wild", "c.a.com/deep/paths": "", "b.a.com/v1": "v1x", "b.a.com/v1/": "v1", "b.a.com/v12": "exact", "b.a.com/v1/x": "v1", "d.c.a.com/deep/path": "",
		}},
		{"a class that is not served", nginxArgs, []string{ingress("a", "traefik", "a.com", "/", "Prefix")}, map[string]string{"a.com": ""}},
	}
}

// TestChoice holds which route takes a request, by Traefik v3.6 and v3.7, and by the
// documentation of ingress-nginx.
func TestChoice(t *testing.T) {
	for _, tt := range choices() {
		for _, release := range []string{"v3.6.12", "v3.7.13"} {
			t.Run(tt.name+" "+release, func(t *testing.T) {
				entry, manifests := "edge", controllerOf(release, tt.args)
				if tt.direct() {
					entry = "loadBalancer"
					manifests = strings.NewReplacer("8000"+hostPort, "8000, hostPort: 80", "80"+hostPort, "8443, hostPort: 443").Replace(manifests)
				}
				model := modelAt(t, entry, manifests, tt.routes)
				for url, want := range tt.answers(release) {
					w, err := model.Trace(absolute(url))
					if err != nil {
						t.Fatal(err)
					}
					if got := answer(w); got != want {
						t.Errorf("%s goes to %q, want %q: %v", url, got, want, w.Breaks())
					}
				}
			})
		}
	}
}

// controllerOf are the controllers behind the edge, with a release of Traefik.
func controllerOf(release, args string) string {
	return strings.Replace(fmt.Sprintf(controllers, args, hostPort), "{name: c,", "{name: c, image: \"docker.io/library/traefik:"+release+"\",", 1)
}

// TestRewriteTarget holds that the annotation counts from Traefik v3.7 on.
func TestRewriteTarget(t *testing.T) {
	route := annotated("target", "nginx", "a.com", "/old(/|$)(.*)", "ImplementationSpecific", "nginx.ingress.kubernetes.io/rewrite-target: /$2, nginx.ingress.kubernetes.io/use-regex: 'true'")
	for release, want := range map[string]string{"v2.11.0": "target", "v3.6.12": "target", "v3.7.0": "target /x", "v3.7.13": "target /x", "latest": "target /x"} {
		w, err := modelOf(t, controllerOf(release, traefikArgs), []string{route}).Trace("http://a.com/old/x")
		if err != nil {
			t.Fatal(err)
		}
		if got := answer(w); got != want {
			t.Errorf("%s: %q, want %q", release, got, want)
		}
	}
}

// absolute is a URL with a scheme.
func absolute(url string) string {
	if strings.Contains(url, "://") {
		return url
	}
	return "http://" + url
}

// answer is the app that answers, as a choice says it.
func answer(w *way.Way) string {
	shown := ""
	for _, h := range w.Breaks() {
		switch {
		case h.Kind == way.Route && strings.Contains(h.Break.Reason, "chance"):
			return "?"
		case h.Kind == way.Edge || h.Kind == way.LoadBalancer:
			return "edge"
		case h.Kind == way.Route && strings.Contains(h.Break.Reason, "certificate"):
			shown = "!"
		}
	}
	for _, h := range w.Hops {
		if h.Kind == way.Pods {
			return strings.TrimSpace(h.Name[strings.LastIndex(h.Name, "/")+1:]+" "+w.Rewritten) + shown
		}
	}
	return ""
}

// modelOf makes a model of manifests, with a Service and pods for each route.
func modelOf(t *testing.T, manifests string, routes []string) *way.Model {
	t.Helper()
	return modelAt(t, "edge", manifests, routes)
}

// modelAt is modelOf for a site with an entry.
func modelAt(t *testing.T, entry, manifests string, routes []string) *way.Model {
	t.Helper()
	unit := lint.Unit{Name: "all"}
	add := func(text string) string {
		content := map[string]any{}
		if err := yaml.Unmarshal([]byte(text), &content); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		content = whole(content).(map[string]any)
		meta := content["metadata"].(map[string]any)
		name, _ := meta["name"].(string)
		namespace, _ := meta["namespace"].(string)
		kind, _ := content["kind"].(string)
		unit.Objects = append(unit.Objects, lint.Object{Key: fmt.Sprint(len(unit.Objects)), Kind: kind, Namespace: namespace, Name: name, Content: content})
		return name
	}
	for text := range strings.SplitSeq(manifests, "---") {
		add(text)
	}
	for _, text := range routes {
		name := add(text)
		add(fmt.Sprintf("{apiVersion: v1, kind: Service, metadata: {name: %s, namespace: app}, spec: {selector: {name: %[1]s}, ports: [{port: 80, targetPort: 8080}]}}", name))
		add(fmt.Sprintf("{apiVersion: apps/v1, kind: Deployment, metadata: {name: %s, namespace: app}, spec: {replicas: 1, template: {metadata: {labels: {name: %[1]s}}, spec: {containers: [{name: c, ports: [{containerPort: 8080}]}]}}}}", name))
	}
	env := way.Environment{Environment: lint.Environment{Name: "prod", Namespace: "app", Site: map[string]any{"entry": entry}, Units: []lint.Unit{unit}}}
	if strings.Contains(manifests, hostPort) {
		env.Edge = front()
	}
	return way.New([]way.Environment{env})
}

// whole makes whole numbers int64, as rendered objects have them.
func whole(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key := range v {
			v[key] = whole(v[key])
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case float64:
		return int64(v)
	}
	return v
}
