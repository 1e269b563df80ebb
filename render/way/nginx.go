package way

import (
	"path"
	"regexp"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
)

// nginxIngress are the routes that ingress-nginx makes of an Ingress. Of a
// controller that the environments do not make they are what Kubernetes says of
// Ingress: the longest path, exact ones first.
func (m *Model) nginxIngress(o *object) []*router {
	notes := o.annotations()
	hasTLS := len(tree.List(o.spec()["tls"])) > 0
	redirect := hasTLS && tree.Text(notes["nginx.ingress.kubernetes.io/ssl-redirect"]) != "false" ||
		tree.Text(notes["nginx.ingress.kubernetes.io/force-ssl-redirect"]) == "true"
	regex := tree.Text(notes["nginx.ingress.kubernetes.io/use-regex"]) == "true" || tree.Text(notes["nginx.ingress.kubernetes.io/rewrite-target"]) != ""
	var all []*router
	eachPath(o, func(host, prefix, pathType string, spec map[string]any, at []any) {
		if prefix == "" {
			prefix = "/"
		}
		r := &router{
			object: o, path: at, hosts: []string{host}, prefix: []string{prefix}, exact: pathType == "Exact", redirect: redirect,
			text: strings.TrimSpace(host+" ") + prefix + " (" + pathType + ")", host: hostRank(host), length: len(prefix),
			backends: ingressBackend(o, tree.Map(spec["backend"]), append(at, "backend")),
		}
		var re *regexp.Regexp
		if regex && pathType != "Exact" {
			re, _ = regexp.Compile("(?i)^" + prefix)
		}
		r.match = func(req request, _ bool) bool {
			return hostMatches(host, req.host) && nginxPath(prefix, pathType, re, req.url.Path)
		}
		m.rewriteTarget(r, notes, false)
		all = append(all, r)
	})
	if spec := tree.Map(o.spec()["defaultBackend"]); spec != nil && len(tree.List(o.spec()["rules"])) == 0 {
		at := []any{"spec", "defaultBackend"}
		all = append(all, &router{
			object: o, path: at, prefix: []string{"/"}, text: m.Say("the default backend"),
			match: func(request, bool) bool { return true }, backends: ingressBackend(o, spec, at),
		})
	}
	return all
}

// hostRank orders host names: an exact name is before a wildcard, that before any.
func hostRank(host string) int {
	switch {
	case host == "":
		return 0
	case strings.HasPrefix(host, "*."):
		return 1
	}
	return 2
}

// hostMatches compares as Ingress does: a wildcard stands for one label.
func hostMatches(rule, host string) bool {
	if suffix, ok := strings.CutPrefix(rule, "*"); ok {
		label, found := strings.CutSuffix(host, suffix)
		return found && label != "" && !strings.Contains(label, ".")
	}
	return rule == "" || rule == host
}

// nginxPath compares paths as the locations do that ingress-nginx writes, on the
// path that nginx has decoded and cleaned.
func nginxPath(prefix, pathType string, re *regexp.Regexp, raw string) bool {
	asked := path.Clean("/" + raw)
	if strings.HasSuffix(raw, "/") && asked != "/" {
		asked += "/"
	}
	switch {
	case pathType == "Exact":
		return asked == prefix
	case re != nil:
		return re.MatchString(asked)
	case pathType == "Prefix":
		return prefix == "/" || asked == strings.TrimSuffix(prefix, "/") || strings.HasPrefix(asked, strings.TrimSuffix(prefix, "/")+"/")
	}
	return strings.HasPrefix(asked, prefix)
}

// groupRE are the references to groups in a rewrite-target.
var groupRE = regexp.MustCompile(`\$(\d)`)

// rewriteTarget is the annotation of ingress-nginx that changes the path. Traefik has it
// take the place of what it finds of the path, wherever that is, and nginx that of all.
func (m *Model) rewriteTarget(r *router, notes map[string]any, byTraefik bool) {
	target := tree.Text(notes["nginx.ingress.kubernetes.io/rewrite-target"])
	if target == "" || len(r.prefix) == 0 || byTraefik && target == r.prefix[0] {
		return
	}
	elsewhere := strings.Contains(target, "://")
	pattern := "(?i)" + r.prefix[0]
	if re, err := regexp.Compile(pattern); err == nil && byTraefik && elsewhere && re.NumSubexp() == 0 {
		pattern += ".*"
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return
	}
	to := groupRE.ReplaceAllString(target, "$${$1}")
	r.rewrites = append(r.rewrites, rewrite{r.object.at("metadata", "annotations", "nginx.ingress.kubernetes.io/rewrite-target"), func(req request) effect {
		found := re.FindStringSubmatchIndex(req.path())
		if found == nil {
			return effect{says: m.Say("rewrites nothing in this path")}
		}
		path := string(re.ExpandString(nil, to, req.path(), found))
		if byTraefik {
			path = re.ReplaceAllString(req.path(), target)
		}
		if elsewhere {
			if to, err := parse(path); err == nil {
				return effect{says: m.Say("sends the client to %s", to.text()), redirect: &to}
			}
		}
		path = slashed(path)
		return effect{says: m.Say("makes the path %s", path), path: path}
	}})
}
