package way

import (
	"cmp"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
)

// Row is a URL that the environments answer, or are to answer.
type Row struct {
	*Way
	// Environment is the one that declares the URL.
	Environment string `json:"environment"`
	// Object declares it.
	Object string `json:"object"`

	declared *router
}

// Table are the URLs of environments, in the order of hosts and paths; of all of
// the cluster where none is named.
func (m *Model) Table(names ...string) []Row {
	var rows []Row
	seen := map[string]bool{}
	for _, r := range m.declaredRouters() {
		if len(names) > 0 && !slices.Contains(names, r.object.env.Name) {
			continue
		}
		for _, url := range m.urls(r) {
			key := url + " " + r.object.ref()
			if seen[key] {
				continue
			}
			seen[key] = true
			row := m.row(r, url)
			m.locate(row.Way, false)
			rows = append(rows, row)
		}
	}
	slices.SortStableFunc(rows, func(a, b Row) int {
		return cmp.Or(
			cmp.Compare(trimScheme(a.URL), trimScheme(b.URL)), cmp.Compare(a.URL, b.URL),
			cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Object, b.Object),
		)
	})
	return rows
}

func trimScheme(url string) string { return url[strings.Index(url, "://")+3:] }

// row follows the URL of a route.
func (m *Model) row(r *router, text string) Row {
	row := Row{Environment: r.object.env.Name, Object: r.object.ref(), declared: r}
	asked, err := parse(strings.Replace(text, "://*.", "://"+anyLabel+".", 1))
	if err != nil { // a path that is no path, such as a regular expression
		row.Way = m.newWay(text)
		row.Hops = []Hop{{Kind: Route, Name: r.object.ref(), Says: m.Say("matches %s", r.text), By: r.object.at(r.path...)}}
		return row
	}
	asked.anyPath = !r.exact
	row.Way = m.follow(asked)
	row.URL = strings.Replace(row.URL, "://"+anyLabel+".", "://*.", 1)
	if chosen := row.route; chosen != nil && chosen.object != r.object && len(row.Breaks()) == 0 {
		for i := range row.Hops {
			if h := &row.Hops[i]; h.Kind == Route && h.Calls == 0 {
				h.Break = &Break{
					Reason: m.Say("%s takes what %s declares", chosen.object.ref(), r.object.ref()),
					Fix:    m.Say("give each its own host or path, or %s a higher priority", r.object.ref()),
				}
			}
		}
	}
	return row
}

// anyLabel stands for the wildcard of a host name.
const anyLabel = "any-name"

// declaredRouters are the routes of all objects, also of those that no controller
// reads.
func (m *Model) declaredRouters() []*router {
	var all []*router
	read := map[*object]bool{}
	for _, c := range m.controllers {
		for _, r := range c.routers {
			read[r.object] = true
			if !r.unasked {
				all = append(all, r)
			}
		}
	}
	for _, o := range m.byKind["Ingress"] {
		if !read[o] {
			all = append(all, m.nginxIngress(o)...)
		}
	}
	for _, o := range m.byKind["IngressRoute"] {
		if !read[o] {
			all = append(all, m.ingressRoute(&controller{kind: unknownKind}, o)...)
		}
	}
	for _, kind := range routeKinds() {
		for _, o := range m.byKind[kind] {
			if !read[o] {
				all = append(all, m.gatewayRoute(&controller{kind: unknownKind}, o)...)
			}
		}
	}
	return all
}

// urls are what people type for a route.
func (m *Model) urls(r *router) []string {
	var all []string
	prefixes := r.prefix
	if len(prefixes) == 0 {
		prefixes = []string{"/"}
	}
	for _, host := range r.hosts {
		if host == "" {
			continue
		}
		scheme := "http"
		switch {
		case m.front != nil:
			if _, ok := m.front.L7.TLS[host]; ok {
				scheme = "https"
			}
		case r.tls || certified(r.object, host):
			scheme = "https"
		}
		for _, path := range prefixes {
			if !strings.HasPrefix(path, "/") {
				path = "/" + path
			}
			all = append(all, scheme+"://"+host+path)
		}
	}
	return all
}

// certified says whether an Ingress names a certificate for a host.
func certified(o *object, host string) bool {
	return o.Kind == "Ingress" && slices.ContainsFunc(tree.List(o.spec()["tls"]), func(item any) bool {
		return slices.Contains(tree.Texts(tree.Map(item)["hosts"]), host)
	})
}

// Fault is a hop where a URL breaks.
type Fault struct {
	URL    string
	By     Place
	Reason string
	Fix    string
}

// Unnamed are the faults of all URLs that no rule of the checks names: each once,
// with the first URL that it breaks.
func (m *Model) Unnamed() []Fault {
	type key struct{ unit, object, field, reason string }
	seen := map[key]bool{}
	var all []Fault
	for _, row := range m.Table() {
		for _, h := range row.Breaks() {
			k := key{h.By.Environment + "/" + h.By.Unit, h.By.Object, h.By.Field, h.Break.Reason}
			if h.Break.Named || seen[k] {
				continue
			}
			seen[k] = true
			by := h.By
			if by.Environment == "" {
				by = row.declared.object.at()
			}
			all = append(all, Fault{URL: row.URL, By: by, Reason: h.Break.Reason, Fix: h.Break.Fix})
		}
	}
	return all
}
