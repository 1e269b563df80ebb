package render

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"

	"github.com/seed-428f4edd/evenkeel/render/edge"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// unitEdge is the type of the unit that describes the hosts in front of a cluster.
const unitEdge = "edge"

// edge is the configuration of the environment's edge, nil where it has none. The
// host names of Ingresses are added later: other environments have some too.
func (fin *finisher) edge() (*edge.Config, Findings) {
	i := slices.IndexFunc(fin.units, func(u *unit) bool { return u.data.Type == unitEdge })
	if i < 0 {
		return nil, nil
	}
	u := fin.units[i]
	c, err := edgeConfig(fin.header, u)
	if err != nil {
		f := fin.at(u, nil)
		f.Message = err.Error()
		return nil, Findings{f}
	}
	return c, fin.edgeFindings(u, c.Validate())
}

// edgeConfig is what the unit says, and what the site adds.
func edgeConfig(h header, u *unit) (*edge.Config, error) {
	data, err := json.Marshal(u.data.fields)
	if err != nil {
		return nil, err
	}
	c := &edge.Config{}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, err
	}
	c.Site = tree.Text(h.Site["name"])
	c.Network = tree.Text(tree.Map(h.Site["networks"])["nodes"])
	c.DNSServers = tree.Texts(tree.Map(h.Site["dns"])["servers"])
	return c, nil
}

// edgeFindings puts problems at the user's literals.
func (fin *finisher) edgeFindings(u *unit, err error) Findings {
	var problems edge.Problems
	if !errors.As(err, &problems) {
		return nil
	}
	var found Findings
	for _, p := range problems {
		f := fin.at(u, p.Field)
		if at := ofSite(p.Field); !f.literal && at != nil {
			if site := fin.atHeader(at); site.literal {
				f = site
			}
		}
		f.Message = p.Message
		found = append(found, f)
	}
	return found
}

// ingressHosts are the host names that the Ingresses of a cluster answer to, from
// all of its environments that evaluate.
func (set renderedSet) ingressHosts(cluster string) []string {
	var hosts []string
	for _, one := range set {
		if one.result != nil && one.header.cluster() == cluster {
			hosts = append(hosts, ingressHosts(one.result.Env)...)
		}
	}
	slices.Sort(hosts)
	return slices.DeleteFunc(slices.Compact(hosts), func(host string) bool { return host == "" })
}

// ruleHostRE finds host names in a rule of Traefik: Host(`a.od.com`).
var ruleHostRE = regexp.MustCompile("\\bHost\\(`([^`]+)`\\)")

// ingressHosts are the host names that an environment's Ingresses, IngressRoutes
// and HTTPRoutes answer to.
func ingressHosts(env *schema.Environment) []string {
	var hosts []string
	for _, u := range env.Units {
		for _, o := range u.Objects {
			spec := tree.Map(o.Object["spec"])
			switch o.GetKind() {
			case "Ingress":
				for _, rule := range tree.List(spec["rules"]) {
					hosts = append(hosts, tree.Text(tree.Map(rule)["host"]))
				}
			case "IngressRoute":
				for _, route := range tree.List(spec["routes"]) {
					for _, match := range ruleHostRE.FindAllStringSubmatch(tree.Text(tree.Map(route)["match"]), -1) {
						hosts = append(hosts, match[1])
					}
				}
			case "HTTPRoute":
				hosts = append(hosts, tree.Texts(spec["hostnames"])...)
			}
		}
	}
	return hosts
}

// ofSite is the fact of the site that a field of the edge takes; nil where it is none.
func ofSite(field typed.Path) typed.Path {
	switch {
	case len(field) == 1 && field[0] == "vip":
		return typed.Path{"site", "edge", "vip"}
	case len(field) == 3 && field[0] == "hosts" && field[2] == "address":
		return typed.Path{"site", "edge", "hosts", field[1]}
	}
	return nil
}
