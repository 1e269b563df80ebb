package render_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// TestReplacements tries what is said to be written in place of each annotation of
// ingress-nginx: what is CUE in the text is put into an app as it stands there, an object that
// it names is made, and all of it is vetted with the definitions of Traefik and of the Gateway
// API. A text that names something that is not tried fails.
func TestReplacements(t *testing.T) {
	table, err := os.ReadFile(filepath.Join("lint", "nginx-annotations.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	gateway, traefik := map[string][]string{}, map[string][]string{}
	for line := range strings.Lines(string(table)) {
		if f := strings.Split(strings.TrimSuffix(line, "\n"), "\t"); len(f) == 3 {
			gateway[f[1]], traefik[f[2]] = append(gateway[f[1]], f[0]), append(traefik[f[2]], f[0])
		}
	}
	definitions, err := os.ReadFile(filepath.Join("..", "testdata", "gateway-api", "crds.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range []struct {
		name, site string
		texts      map[string][]string
	}{
		{"gateway", `routes: "gateway", gateway: {name: "traefik", namespace: "traefik"}`, gateway},
		{"traefik", `ingressClass: "traefik"`, traefik},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			if len(way.texts) < 30 {
				t.Fatalf("%d texts", len(way.texts))
			}
			root := shop(t, &txtar.Archive{})
			write := func(name, text string) {
				t.Helper()
				file := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			write("envs/site/way.cue", "package shop\n\n#Site: {"+way.site+"}\n")
			write("crds/gateway.yaml", string(definitions))
			write("crds/traefik.yaml", traefikDefinitions(t, root))
			apps := map[string]string{}
			for text := range way.texts {
				app := fmt.Sprintf("a%03d", len(apps))
				body, rest := tried(text, app)
				if untried.MatchString(rest) {
					t.Errorf("%v: %s\n  is not tried: %s", way.texts[text], text, rest)
				}
				apps[app] = text
				write("envs/dev/"+app+".cue", appFile(app, body))
			}
			wrong := "extraObjects: o1: {apiVersion: \"traefik.io/v1alpha1\", kind: \"Middleware\", metadata: name: \"wrong\", spec: basicAuth: sekret: \"users\"}"
			write("envs/dev/wrong.cue", appFile("wrong", wrong))
			found := false
			for line := range strings.Lines(report(t, root)) {
				file, _, _ := strings.Cut(filepath.Base(strings.SplitN(line, ":", 2)[0]), ".")
				switch {
				case file == "wrong":
					found = true
				case !strings.HasPrefix(line, "warning: "):
					t.Errorf("%v: %s\n  %s", way.texts[apps[file]], apps[file], line)
				}
			}
			if !found {
				t.Error("a field that no Middleware has is not found, so nothing here is")
			}
		})
	}
}

func appFile(app, body string) string {
	return fmt.Sprintf(`package dev

import "github.com/seed-428f4edd/evenkeel/schema"

environment: {
	external: secrets: {users: optional: true, ca: optional: true}
	external: configMaps: ca: optional: true
	apps: %q: schema.#WebApp & {
		image: "harbor.shop.example/app/web:1.0.0"
		host:  "%s.shop.example"
		%s
	}
}
`, app, app, body)
}

// traefikDefinitions are those that the stack brings.
func traefikDefinitions(t *testing.T, root string) string {
	t.Helper()
	dir := filepath.Join(root, "envs", "definitions")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text := `package definitions

import (
	"example.com/shop/envs/site:shop"
	"github.com/seed-428f4edd/evenkeel/schema"
)

environment: schema.#Environment & {
	name: "definitions"
	site: shop.#Site
	stacks: traefik: providers: crd: true
}
`
	if err := os.WriteFile(filepath.Join(dir, "env.cue"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	out := renderEnvUnit(t, root, "definitions", "traefik")
	var crds []string
	for doc := range strings.SplitSeq(out, "---\n") {
		if strings.Contains(doc, "\nkind: CustomResourceDefinition\n") {
			crds = append(crds, doc)
		}
	}
	if len(crds) < 8 {
		t.Fatalf("%d definitions of Traefik", len(crds))
	}
	return strings.Join(crds, "---\n")
}

var (
	// what is written in a text as it goes into an app
	literal = regexp.MustCompile(`(?:service|ingress)(?:: [a-zA-Z]+)+(?:(?:: "[^"]*")+|: \{[^}]*\})?`)
	// what a text must not keep once all that can be tried is out of it
	untried = regexp.MustCompile(`"|\{|[a-z]: [a-z]+: |[a-z][A-Z]|\b[A-Z][a-z]+[A-Z]`)
	names   = regexp.MustCompile(`NAMESPACE-NAME@`)
)

// tried is what the text says, as fields of the app and as objects, and what is left of the text.
func tried(text, app string) (body, rest string) {
	var fields, objects []string
	rest = text
	for _, word := range []string{", or \"h2c\" for gRPC", "gRPC: ", "in extraObjects"} {
		rest = strings.ReplaceAll(rest, word, "")
	}
	take := func(re *regexp.Regexp, make func(m []string)) {
		for _, m := range re.FindAllStringSubmatch(rest, -1) {
			make(m)
		}
		rest = re.ReplaceAllString(rest, "")
	}
	object := func(apiVersion, kind, spec string) {
		objects = append(objects, fmt.Sprintf("extraObjects: o%d: {apiVersion: %q, kind: %q, metadata: name: %q, spec: %s}", len(objects), apiVersion, kind, fmt.Sprintf("%s-%d", app, len(objects)), spec))
	}
	route := func(rule string) {
		object("gateway.networking.k8s.io/v1", "HTTPRoute", fmt.Sprintf(`{parentRefs: [{name: "traefik", namespace: "traefik"}], hostnames: ["other-%s.shop.example"], rules: [%s]}`, app, rule))
	}
	backend := fmt.Sprintf(`{name: %q, port: 8080}`, app)

	take(literal, func(m []string) {
		field := names.ReplaceAllString(m[0], "dev-"+app+"-0@")
		if !strings.ContainsAny(field, `"{`) {
			field += `: ["also-` + app + `.shop.example"]`
		}
		fields = append(fields, field)
	})
	take(regexp.MustCompile(`rollout: canary`), func([]string) { fields = append(fields, `rollout: canary: {}`) })
	take(regexp.MustCompile(`two backendRefs with weights`), func([]string) {
		route(fmt.Sprintf(`{backendRefs: [%s & {weight: 9}, %s & {weight: 1}]}`, backend, backend))
	})
	take(regexp.MustCompile(`sessionPersistence of a route`), func([]string) {
		route(`{sessionPersistence: {type: "Cookie", cookie: name: "s"}, backendRefs: [` + backend + `]}`)
	})
	take(regexp.MustCompile(`(?:an HTTPRoute |a route )?[^;,]*a filter ([A-Za-z]+)`), func(m []string) {
		filter := map[string]string{
			"CORS":                   `cors: allowOrigins: ["https://www.shop.example"]`,
			"RequestMirror":          `requestMirror: backendRef: ` + backend,
			"RequestRedirect":        `requestRedirect: {scheme: "https", statusCode: 301, hostname: "www.shop.example"}`,
			"ExtensionRef":           `extensionRef: {group: "traefik.io", kind: "Middleware", name: "` + app + `-0"}`,
			"ResponseHeaderModifier": `responseHeaderModifier: set: [{name: "X-Name", value: "value"}]`,
		}[m[1]]
		rule := fmt.Sprintf(`{filters: [{type: %q, %s}], backendRefs: [%s]}`, m[1], filter, backend)
		if m[1] == "RequestRedirect" {
			rule = fmt.Sprintf(`{filters: [{type: %q, %s}]}`, m[1], filter)
		}
		// a Middleware that it refers to is named before it in the text
		if mw := middleware.FindStringSubmatch(m[0]); mw != nil {
			object("traefik.io/v1alpha1", "Middleware", middlewareSpec(mw, backend))
		}
		route(rule)
	})
	take(middleware, func(m []string) { object("traefik.io/v1alpha1", "Middleware", middlewareSpec(m, backend)) })
	take(regexp.MustCompile(`(?:spec: tls: ([a-z: ]+) of the Gateway)`), func(m []string) {
		inner := map[string]string{
			"frontend: default: validation": `: {caCertificateRefs: [{group: "", kind: "ConfigMap", name: "ca"}]}`,
			"backend":                       `: {clientCertificateRef: {name: "ca"}}`,
		}[m[1]]
		object("gateway.networking.k8s.io/v1", "Gateway", fmt.Sprintf(`{gatewayClassName: "traefik", tls: %s%s, listeners: [{name: "web", port: 8080, protocol: "HTTP"}]}`, m[1], inner))
	})
	for kind, spec := range map[string][2]string{
		"a TLSOption with clientAuth":                    {"TLSOption", `{clientAuth: {secretNames: ["ca"], clientAuthType: "RequireAndVerifyClientCert"}}`},
		"a TLSOption with cipherSuites":                  {"TLSOption", `{cipherSuites: ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"], minVersion: "VersionTLS12"}`},
		"a ServersTransport":                             {"ServersTransport", `{serverName: "app", rootCAs: [{secret: "ca"}], certificatesSecrets: ["ca"], forwardingTimeouts: {dialTimeout: "5s", responseHeaderTimeout: "60s"}}`},
		"a TraefikService with mirroring":                {"TraefikService", `{mirroring: ` + backend + ` & {mirrors: [` + backend + ` & {percent: 10}]}}`},
		"an IngressRoute to it":                          {"IngressRoute", `{routes: [{kind: "Rule", match: "Host(\"other.shop.example\")", services: [{kind: "TraefikService", name: "` + app + `-0"}]}]}`},
		"an IngressRoute with PathRegexp":                {"IngressRoute", `{routes: [{kind: "Rule", match: "Host(\"other.shop.example\") && PathRegexp(\"^/a/[0-9]+$\")", services: [` + backend + `]}]}`},
		"an IngressRouteTCP with tls: passthrough: true": {"IngressRouteTCP", `{routes: [{match: "HostSNI(\"other.shop.example\")", services: [` + backend + `]}], tls: passthrough: true}`},
	} {
		take(regexp.MustCompile(kind), func([]string) { object("traefik.io/v1alpha1", spec[0], spec[1]) })
	}
	take(regexp.MustCompile(`a BackendTLSPolicy`), func([]string) {
		object("gateway.networking.k8s.io/v1", "BackendTLSPolicy", `{targetRefs: [{group: "", kind: "Service", name: "`+app+`"}], validation: {hostname: "app.shop.example", caCertificateRefs: [{group: "", kind: "ConfigMap", name: "ca"}]}}`)
	})
	take(regexp.MustCompile(`a TLSRoute`), func([]string) {
		object("gateway.networking.k8s.io/v1", "TLSRoute", `{parentRefs: [{name: "traefik", namespace: "traefik"}], hostnames: ["other.shop.example"], rules: [{backendRefs: [`+backend+`]}]}`)
	})
	return strings.Join(slices.Concat(fields, objects), "\n\t\t"), rest
}

var middleware = regexp.MustCompile(`a Middleware ((?:[a-z]+[A-Z]|headers|buffering|errors|retry)[a-zA-Z]*)(?: or [a-zA-Z]+)?(?:: ([a-z][a-zA-Z]+))?`)

// middlewareSpec is a Middleware of the kind that a text names, with the field that it names.
func middlewareSpec(m []string, backend string) string {
	fields := map[string]string{
		"basicAuth":                            `secret: "users"`,
		"forwardAuth":                          `{address: "http://auth.dev.svc:8080", authResponseHeaders: ["X-User"]}`,
		"ipAllowList":                          `sourceRange: ["10.0.0.0/8"]`,
		"redirectRegex":                        `{regex: "^https?://[^/]+/$", replacement: "https://www.shop.example/start"}`,
		"redirectScheme":                       `{scheme: "https", permanent: true}`,
		"buffering":                            `maxRequestBodyBytes: 8388608`,
		"headers":                              `customResponseHeaders: "X-Name": "value"`,
		"headers accessControlAllowOriginList": `{accessControlAllowOriginList: ["https://www.shop.example"], accessControlAllowMethods: ["GET"], accessControlAllowHeaders: ["X-Name"], accessControlExposeHeaders: ["X-Name"], accessControlAllowCredentials: true, accessControlMaxAge: 600}`,
		"headers customRequestHeaders":         `customRequestHeaders: Host: "name"`,
		"errors":                               `{status: ["500-599"], query: "/{status}.html", service: ` + backend + `}`,
		"rateLimit":                            `{average: 10, burst: 20}`,
		"inFlightReq":                          `amount: 10`,
		"retry":                                `{attempts: 3, initialInterval: "100ms"}`,
		"stripPrefix":                          `prefixes: ["/api"]`,
	}
	key := strings.TrimSpace(m[1] + " " + m[2])
	if m[1] != "headers" {
		key = m[1]
	}
	return fmt.Sprintf("%s: %s", m[1], fields[key])
}
