package way

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
)

// middlewareRef names a Middleware of Traefik: namespace and name, or in one word
// as annotations do: NAMESPACE-NAME@kubernetescrd.
type middlewareRef struct {
	namespace, name, full string
	path                  []any // of the reference, in the object of the router
}

// effect is what a middleware does to a request.
type effect struct {
	says     string
	path     string   // the path afterwards, escaped; empty where it stays
	redirect *request // the client is sent here
}

// middleware finds what a reference names; nil with a Break where it is not there.
func (m *Model) middleware(of *object, ref middlewareRef) (*object, string, *Break) {
	namespace, name := ref.namespace, ref.name
	if namespace == "" {
		namespace = of.Namespace
	}
	full := ref.full
	if full == "" && strings.Contains(name, "@") {
		full = name
	}
	if full != "" {
		words, provider, _ := strings.Cut(full, "@")
		if provider != "kubernetescrd" {
			return nil, m.Say("%s, which the Middleware objects do not hold", full), nil
		}
		for _, o := range m.byKind["Middleware"] {
			if o.Namespace+"-"+o.Name == words {
				return o, "", nil
			}
		}
		namespace, name = "", words
	} else if o := m.byID[id{"Middleware", namespace, name}]; o != nil {
		return o, "", nil
	}
	reason := m.Say("no Middleware %q in namespace %s%s: Traefik leaves the route out", name, namespace, m.didYouMean(name, m.names("Middleware", namespace)))
	if namespace == "" {
		reason = m.Say("no Middleware %q; its name is NAMESPACE-NAME@kubernetescrd: Traefik leaves the route out", name)
	}
	return nil, "", &Break{Reason: reason, Fix: m.Say("make the Middleware, or correct its name")}
}

// effects are what a Middleware does to a request.
func (m *Model) effects(o *object, r request, depth int) ([]effect, *Break) {
	spec := o.spec()
	var all []effect
	for _, kind := range slices.Sorted(maps.Keys(spec)) {
		options := tree.Map(spec[kind])
		if kind != "chain" {
			e := m.effectOf(kind, options, r)
			all = append(all, e)
			continue
		}
		if depth > 4 {
			return all, &Break{Reason: m.Say("%s leads to itself", o.ref()), Fix: m.Say("take the chain apart")}
		}
		for _, item := range tree.List(options["middlewares"]) {
			ref := tree.Map(item)
			inner, _, broken := m.middleware(o, middlewareRef{namespace: tree.Text(ref["namespace"]), name: tree.Text(ref["name"])})
			if broken != nil {
				return all, broken
			}
			if inner == nil {
				continue
			}
			more, broken := m.effects(inner, r, depth+1)
			if broken != nil {
				return all, broken
			}
			for _, e := range more {
				if e.path != "" {
					r = r.withPath(e.path)
				}
			}
			all = append(all, more...)
		}
	}
	return all, nil
}

// effectOf is what the middleware of one kind does.
func (m *Model) effectOf(kind string, options map[string]any, r request) effect {
	path := r.path()
	switch kind {
	case "stripPrefix":
		for _, prefix := range tree.Texts(options["prefixes"]) {
			if rest, ok := strings.CutPrefix(path, prefix); ok {
				return effect{says: m.Say("strips %s", prefix), path: slashed(rest)}
			}
		}
		return effect{says: m.Say("strips no prefix of this path")}
	case "stripPrefixRegex":
		for _, text := range tree.Texts(options["regex"]) {
			if re, err := regexp.Compile(text); err == nil {
				if at := re.FindStringIndex(path); at != nil && at[0] == 0 {
					return effect{says: m.Say("strips %s", path[:at[1]]), path: slashed(path[at[1]:])}
				}
			}
		}
		return effect{says: m.Say("strips no prefix of this path")}
	case "addPrefix":
		prefix := tree.Text(options["prefix"])
		return effect{says: m.Say("puts %s in front", prefix), path: slashed(prefix + path)}
	case "replacePath":
		return effect{says: m.Say("makes the path %s", tree.Text(options["path"])), path: slashed(tree.Text(options["path"]))}
	case "replacePathRegex":
		re, err := regexp.Compile(tree.Text(options["regex"]))
		if err != nil || !re.MatchString(path) {
			return effect{says: m.Say("replaces nothing in this path")}
		}
		to := re.ReplaceAllString(path, tree.Text(options["replacement"]))
		return effect{says: m.Say("makes the path %s", to), path: slashed(to)}
	case "redirectScheme":
		scheme := tree.Text(options["scheme"])
		if scheme == "" || scheme == r.forwarded {
			return effect{says: m.Say("leaves %s as it is", r.forwarded)}
		}
		if scheme == "https" {
			to := r.secured()
			return effect{says: m.Say("sends the client to %s", to.text()), redirect: &to}
		}
	case "redirectRegex":
		re, err := regexp.Compile(tree.Text(options["regex"]))
		asked := r
		asked.scheme = r.forwarded
		if err == nil && re.MatchString(asked.text()) {
			if to, err := parse(re.ReplaceAllString(asked.text(), tree.Text(options["replacement"]))); err == nil {
				return effect{says: m.Say("sends the client to %s", to.text()), redirect: &to}
			}
		}
		return effect{says: m.Say("sends nobody elsewhere")}
	case "basicAuth", "digestAuth":
		return effect{says: m.Say("asks for a user name and a password")}
	case "forwardAuth":
		return effect{says: m.Say("asks %s whether the request may pass", m.hostOf(tree.Text(options["address"])))}
	case "ipAllowList", "ipWhiteList":
		return effect{says: m.Say("lets only %s pass", strings.Join(tree.Texts(options["sourceRange"]), ", "))}
	}
	return effect{says: kind}
}

func slashed(path string) string {
	if !strings.HasPrefix(path, "/") {
		return "/" + path
	}
	return path
}

func (m *Model) hostOf(text string) string {
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		return u.Host
	}
	return m.Say("another server")
}

// filters are those of an HTTPRoute's rule that change the path, or redirect.
func (r *router) filters(m *Model, rule map[string]any, prefix string) {
	tree.Each(rule["filters"], func(i int, filter map[string]any) {
		at := r.object.at(append(r.path[:3:3], "filters", i)...)
		switch tree.Text(filter["type"]) {
		case "URLRewrite":
			r.rewrites = append(r.rewrites, rewrite{at, func(req request) effect {
				to, ok := replaced(tree.Map(tree.At(filter, "urlRewrite", "path")), prefix, req.path())
				if !ok {
					return effect{says: m.Say("changes the host name")}
				}
				return effect{says: m.Say("makes the path %s", to), path: to}
			}})
		case "RequestRedirect":
			r.rewrites = append(r.rewrites, rewrite{at, func(req request) effect {
				to := req
				spec := tree.Map(filter["requestRedirect"])
				if tree.Text(spec["scheme"]) == "https" && req.forwarded != "https" {
					to = req.secured()
				}
				if host := tree.Text(spec["hostname"]); host != "" {
					to.host = host
				}
				if path, ok := replaced(tree.Map(spec["path"]), prefix, req.path()); ok {
					to = to.withPath(path)
				}
				return effect{says: m.Say("sends the client to %s", to.text()), redirect: &to}
			}})
		}
	})
}

func replaced(spec map[string]any, prefix, path string) (string, bool) {
	if full := tree.Text(spec["replaceFullPath"]); full != "" {
		return slashed(full), true
	}
	with, ok := spec["replacePrefixMatch"].(string)
	if !ok {
		return "", false
	}
	rest := strings.TrimPrefix(path, strings.TrimSuffix(prefix, "/"))
	return slashed(strings.TrimSuffix(with, "/") + rest), true
}

// rewrite is what a route itself does to a request.
type rewrite struct {
	at Place
	do func(request) effect
}
