package way

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
)

// What an ingress controller is.
const (
	traefik      = "Traefik"
	ingressNginx = "ingress-nginx"
	unknownKind  = "ingress controller" // that the environments do not make
)

// controller is an ingress controller with the routes that it serves.
type controller struct {
	kind    string
	pods    *pods // nil where the environments do not make it
	options map[string]string
	points  []entryPoint
	classes []string
	routers []*router
}

// entryPoint is a port that a controller takes requests on.
type entryPoint struct {
	name       string
	port       int
	tls        bool   // all connections are
	redirectTo string // the entry point that requests are sent to
	notDefault bool   // only for routes that name it
}

// backend is where a route leads.
type backend struct {
	kind      string // Service, or what Traefik calls internal
	namespace string
	name      string
	port      any // name or number of the port of the Service
	weight    int64
	at        Place
}

// router is one route of a controller.
type router struct {
	object   *object
	provider string // of Traefik
	path     []any  // the field of the object that decides
	text     string
	hosts    []string
	prefix   []string // the paths that it is for, as examples of what it takes
	exact    bool

	match       func(r request, unknown bool) bool
	priority    int
	tls         bool
	plain       bool     // not on entry points that end TLS
	unasked     bool     // Traefik adds it: the object says nothing of TLS
	points      []string // entry points; none means the default ones
	middlewares []middlewareRef
	backends    []backend
	secret      []secretRef // of the listeners that a route of the Gateway API attaches to
	leftOut     *Break      // the controller does not take the route
	at          *Place      // of leftOut
	rewrites    []rewrite
	host        int  // 2: exact host, 1: wildcard, 0: any; for ingress-nginx
	length      int  // of the path, for ingress-nginx
	redirect    bool // plain requests are sent to HTTPS
}

func (m *Model) findControllers() []*controller {
	var found []*controller
	for _, p := range m.podSources {
		p.containers(func(c map[string]any, _ []any) {
			args := append(tree.Texts(c["command"]), tree.Texts(c["args"])...)
			options := map[string]string{}
			for _, arg := range args {
				name, value, given := strings.Cut(strings.TrimLeft(arg, "-"), "=")
				if !given {
					value = "true"
				}
				options[strings.ToLower(name)] = value
			}
			one := &controller{pods: p, options: options}
			switch {
			case options["/nginx-ingress-controller"] != "" || options["nginx-ingress-controller"] != "":
				one.kind = ingressNginx
				one.points = []entryPoint{{name: "http", port: one.portOption("http-port", 80)}, {name: "https", port: one.portOption("https-port", 443), tls: true}}
			case slices.ContainsFunc(args, func(arg string) bool {
				return strings.HasPrefix(strings.ToLower(arg), "--providers.kubernetes")
			}):
				one.kind = traefik
				one.points = traefikPoints(options)
			default:
				return
			}
			found = append(found, one)
		})
	}
	if len(found) == 0 {
		found = append(found, &controller{kind: unknownKind, points: []entryPoint{{name: "http", port: 80}, {name: "https", port: 443, tls: true}}})
	}
	for _, c := range found {
		c.routers = m.routersOf(c)
	}
	return found
}

func (c *controller) portOption(name string, fallback int) int {
	if n, err := strconv.Atoi(c.options[name]); err == nil {
		return n
	}
	return fallback
}

// traefikPoints are the entry points that the arguments of a Traefik declare.
func traefikPoints(options map[string]string) []entryPoint {
	var points []entryPoint
	asDefault := false
	for _, key := range slices.Sorted(maps.Keys(options)) {
		name, ok := strings.CutPrefix(key, "entrypoints.")
		if name, ok = cut(name, ".address", ok); !ok {
			continue
		}
		address, protocol, _ := strings.Cut(options[key], "/")
		port, err := strconv.Atoi(address[strings.LastIndex(address, ":")+1:])
		if err != nil || protocol == "udp" {
			continue
		}
		at := "entrypoints." + name + "."
		_, tls := options[at+"http.tls"]
		e := entryPoint{
			name: name, port: port, tls: tls && options[at+"http.tls"] != "false" || options[at+"http.tls.certresolver"] != "",
			redirectTo: options[at+"http.redirections.entrypoint.to"],
			notDefault: name == "traefik" || options[at+"asdefault"] != "true",
		}
		asDefault = asDefault || !e.notDefault
		points = append(points, e)
	}
	for i := range points {
		if !asDefault { // then all but Traefik's own are
			points[i].notDefault = points[i].name == "traefik"
		}
	}
	if len(points) == 0 {
		points = []entryPoint{{name: "http", port: 80}}
	}
	return points
}

// redirectPort is the port that an entry point sends clients to: the one that stands
// there, or that of the other entry point, whatever leads to it from outside.
func (c *controller) redirectPort(e *entryPoint) int {
	if port, err := strconv.Atoi(strings.TrimPrefix(e.redirectTo, ":")); err == nil {
		return port
	}
	if to := c.named(e.redirectTo); to != nil {
		return to.port
	}
	return 443
}

func cut(text, suffix string, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	return strings.CutSuffix(text, suffix)
}

// point is the entry point of a container port.
func (c *controller) point(port int) *entryPoint {
	for i := range c.points {
		if c.points[i].port == port {
			return &c.points[i]
		}
	}
	return nil
}

// named is the entry point of a name.
func (c *controller) named(name string) *entryPoint {
	for i := range c.points {
		if c.points[i].name == strings.TrimPrefix(strings.ToLower(name), ":") || ":"+itoa(c.points[i].port) == name {
			return &c.points[i]
		}
	}
	return nil
}

// reads says whether a Traefik has a provider.
func (c *controller) reads(provider string) bool {
	for key, value := range c.options {
		if (key == "providers."+provider || strings.HasPrefix(key, "providers."+provider+".")) && value != "false" {
			return true
		}
	}
	return false
}

// routersOf are the routes that a controller serves.
func (m *Model) routersOf(c *controller) []*router {
	var all []*router
	for _, o := range m.byKind["Ingress"] {
		provider, class, ok := m.serves(c, o)
		if !ok {
			continue
		}
		if !slices.Contains(c.classes, class) && class != "" {
			c.classes = append(c.classes, class)
		}
		if c.kind == traefik {
			all = append(all, m.traefikIngress(c, o, provider)...)
		} else {
			all = append(all, m.nginxIngress(o)...)
		}
	}
	if c.kind == traefik && c.reads("kubernetescrd") {
		for _, o := range m.byKind["IngressRoute"] {
			all = append(all, m.ingressRoute(c, o)...)
		}
	}
	if c.kind == unknownKind || c.kind == traefik && c.reads("kubernetesgateway") {
		for _, kind := range routeKinds() {
			for _, o := range m.byKind[kind] {
				all = append(all, m.gatewayRoute(c, o)...)
			}
		}
	}
	return all
}

// Names of controllers in an IngressClass.
const (
	classOfTraefik = "traefik.io/ingress-controller"
	classOfNginx   = "k8s.io/ingress-nginx"
)

// class is the class of an Ingress: of its field, of the old annotation, or the
// default class of the cluster, which the API server fills in.
func (m *Model) class(o *object) (name string, annotated bool) {
	if name := tree.Text(o.spec()["ingressClassName"]); name != "" {
		return name, false
	}
	if name := tree.Text(o.annotations()["kubernetes.io/ingress.class"]); name != "" {
		return name, true
	}
	for _, c := range m.byKind["IngressClass"] {
		if tree.Text(c.annotations()["ingressclass.kubernetes.io/is-default-class"]) == "true" {
			return c.Name, false
		}
	}
	return "", false
}

// serves says whether a controller takes an Ingress, and with which provider.
func (m *Model) serves(c *controller, o *object) (provider, class string, ok bool) {
	class, annotated := m.class(o)
	of := ""
	if object := m.byID[id{"IngressClass", "", class}]; object != nil {
		of = tree.Text(object.spec()["controller"])
	}
	switch c.kind {
	case unknownKind:
		return "", class, true
	case ingressNginx:
		own := cmp.Or(c.options["controller-class"], classOfNginx)
		return "", class, !annotated && of == own || annotated && class == cmp.Or(c.options["ingress-class"], "nginx") ||
			class == "" && c.options["watch-ingress-without-class"] == "true"
	}
	only := c.options["providers.kubernetesingress.ingressclass"]
	if c.reads("kubernetesingress") {
		switch {
		case !annotated && class != "":
			ok = of == classOfTraefik && (only == "" || only == class)
		default:
			ok = class == only || only == "" && class == "traefik"
		}
		if ok {
			return "kubernetesingress", class, true
		}
	}
	if c.reads("kubernetesingressnginx") {
		if !annotated && of == classOfNginx || annotated && class == "nginx" {
			return "kubernetesingressnginx", class, true
		}
	}
	return "", class, false
}
