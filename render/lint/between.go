package lint

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// betweenRule is a check of all environments at once. Findings are reported in
// the environment at the same index.
type betweenRule struct {
	name  string
	check func(worlds []*world)
}

func betweenRules() []betweenRule {
	return []betweenRule{
		{"cluster-network", checkClusterNetworks},
		{"order", checkOrder},
		{"isolation", checkIsolation},
		{"host-taken", checkHostsTaken},
		{"host-port", checkHostPortsTaken},
		{"node-port", checkNodePortsTaken},
		{"ingress-class", checkIngressClasses},
		{"ingress-class", checkDefaultClasses},
		{"provider", checkProviders},
		{RuleDefinition, checkDefinitions},
		{"object-taken", checkObjectsTaken},
		{"namespace-taken", checkNamespacesTaken},
		{"edge", checkEdgeHosts},
		{"edge", checkRouters},
		{"registry", checkLogins},
		{"registry", checkNacosPorts},
		{"registry", checkRegistryServices},
		{RuleReference, checkClasses},
		{"namespace", checkNamespaces},
		{"network", checkController},
	}
}

// Between applies the rules between environments. Its findings stand at the index
// of the environment that they are about. Broken are the names of environments that
// are there and do not evaluate.
func Between(envs []Environment, broken []string) [][]Finding {
	worlds := make([]*world, len(envs))
	for i, env := range envs {
		worlds[i] = newWorld(env)
		worlds[i].broken = broken
	}
	findMistaken(worlds)
	for _, r := range betweenRules() {
		r.check(worlds)
	}
	found := make([][]Finding, len(envs))
	for i, w := range worlds {
		found[i] = w.spoken()
	}
	return found
}

// pairs calls fn for each two environments of one cluster, the later one first:
// it is the one that gets the finding.
func pairs(worlds []*world, fn func(w, other *world)) {
	for i, w := range worlds {
		for _, other := range worlds[:i] {
			if w.env.Cluster == other.env.Cluster && !w.mistaken && !other.mistaken {
				fn(w, other)
			}
		}
	}
}

// fewTaken is how many objects two environments may both make before their cluster
// or namespace is what is wrong, and each of the objects only follows from it.
const fewTaken = 2

// findMistaken finds environments that make the same objects as another one: they are
// meant for another cluster or namespace. What else they have in common is not said.
func findMistaken(worlds []*world) {
	pairs(worlds, func(w, other *world) {
		var both []located
		for _, o := range w.objects {
			_, silenced := o.unit.Silence["object-taken"]
			if _, taken := other.taken(o); taken && !silenced {
				both = append(both, o)
			}
		}
		if len(both) <= fewTaken {
			return
		}
		if w.fits(worlds) && !other.fits(worlds) {
			w, other = other, w // the other one came from elsewhere
		}
		w.mistaken = true
		f := Finding{
			Rule: "object-taken", Path: typed.Path{"cluster"},
			Message: fmt.Sprintf("environment %s of the same cluster makes %d of the same objects, %s among them", other.env.Name, len(both), both[len(both)-1].ref()),
			Hint:    "two environments need two clusters: cluster: context, or objects of other names",
		}
		if w.env.Namespace == other.env.Namespace {
			f.Path = typed.Path{"namespace"}
			f.Message = fmt.Sprintf("environment %s of the same cluster has the namespace %s too, and makes %d of the same objects", other.env.Name, w.env.Namespace, len(both))
			f.Hint = "give this one a namespace of its own, or another cluster: context"
		}
		w.report(f)
	})
}

// fits says whether a further environment of the cluster has the same networks.
func (w *world) fits(worlds []*world) bool {
	return slices.ContainsFunc(worlds, func(other *world) bool {
		return other != w && other.env.Cluster == w.env.Cluster && reflect.DeepEqual(other.env.Site["networks"], w.env.Site["networks"])
	})
}

// taken is the object of another environment that is the same one on the cluster.
func (w *world) taken(o located) (located, bool) {
	theirs, ok := w.byID[id{o.Kind, o.Namespace, o.Name}]
	return theirs, ok && group(theirs.Object) == group(o.Object)
}

// checkOrder: "after" names environments, and they do not wait for each other.
func checkOrder(worlds []*world) {
	byName := map[string]*world{}
	for _, w := range worlds {
		byName[w.env.Name] = w
	}
	names := sortedKeys(byName)
	for _, w := range worlds {
		w.checkContext(byName)
		for i, name := range w.env.After {
			if byName[name] == nil && !slices.Contains(w.broken, name) {
				w.report(Finding{
					Rule: "order", Path: typed.Path{"after", i},
					Message: fmt.Sprintf("no environment %q", name), DidYouMean: typed.Closest(name, names),
				})
			}
		}
		if from := w.env.PromotionFrom; from != "" && byName[from] == nil && !slices.Contains(w.broken, from) {
			w.report(Finding{
				Rule: "order", Path: typed.Path{"promotion", "from"},
				Message: fmt.Sprintf("no environment %q: nothing can be promoted from it", from), DidYouMean: typed.Closest(from, names),
			})
		}
		if from := w.env.PromotionFrom; from == w.env.Name && from != "" {
			w.report(Finding{Rule: "order", Path: typed.Path{"promotion", "from"}, Message: "an environment is not promoted from itself", Found: quote(from)})
		} else if path := promotions(byName, w.env.Name); path != nil && slices.Min(path) == w.env.Name {
			w.report(Finding{
				Rule: "order", Path: typed.Path{"promotion", "from"},
				Message: "environments are promoted from each other: " + strings.Join(append(path, path[0]), " -> "),
			})
		}
		if other := byName[w.env.PromotionFrom]; other != nil && other != w && w.nothingFrom(other) {
			w.report(Finding{
				Rule: "order", Path: typed.Path{"promotion", "from"},
				Message: fmt.Sprintf("environment %s has none of the apps of this one: nothing can be promoted from it", other.env.Name),
				Hint:    "promote takes the images of apps that have the same name in both; its apps are " + strings.Join(other.apps(), ", "),
			})
		}
		if path := waits(byName, w.env.Name, w.env.Name, nil); path != nil && slices.Min(path) == w.env.Name {
			w.report(Finding{
				Rule: "order", Path: typed.Path{"after"},
				Message: "environments wait for each other: " + strings.Join(append(path, path[0]), " -> "),
			})
		}
	}
}

// checkContext: an environment that is alone on its cluster, and waits for one on a
// cluster of nearly the same name, is meant for that one.
func (w *world) checkContext(byName map[string]*world) {
	alone := true
	var near string
	for _, other := range byName {
		alone = alone && (other == w || other.env.Cluster != w.env.Cluster)
	}
	for _, name := range w.env.After {
		if other := byName[name]; other != nil && other.env.Cluster != w.env.Cluster {
			near = cmp.Or(near, typed.Closest(w.env.Cluster, []string{other.env.Cluster}))
		}
	}
	if alone && near != "" && w.env.Cluster != "" && len(near) > 3 && !differOnlyInNumber(near, w.env.Cluster) {
		w.report(Finding{
			Rule: "order", Warning: true, Path: typed.Path{"cluster", "context"},
			Message: "no other environment is on this cluster, and it comes after one of another", Found: w.env.Cluster, DidYouMean: near,
		})
	}
}

// differOnlyInNumber says whether two names are of one series, such as east-1 and east-2.
func differOnlyInNumber(a, b string) bool {
	digits := "0123456789"
	return strings.TrimRight(a, digits) == strings.TrimRight(b, digits) || strings.TrimLeft(a, digits) == strings.TrimLeft(b, digits)
}

// apps are the names of the apps of an environment, those that it leaves out among them.
func (w *world) apps() (names []string) {
	for _, u := range w.env.Units {
		if u.App {
			names = append(names, u.Name)
		}
	}
	return append(names, w.env.Disabled...)
}

// nothingFrom says whether two environments have no app in common, and both have some.
func (w *world) nothingFrom(other *world) bool {
	ours, theirs := w.apps(), other.apps()
	return len(ours) > 0 && len(theirs) > 0 && !slices.ContainsFunc(ours, func(name string) bool { return slices.Contains(theirs, name) })
}

// promotions are the environments from which one is promoted, where they lead back to it.
func promotions(byName map[string]*world, goal string) (path []string) {
	for at := goal; byName[at] != nil && !slices.Contains(path, at); {
		path = append(path, at)
		if at = byName[at].env.PromotionFrom; at == goal {
			return path
		}
	}
	return nil
}

// waits is the way from one environment along "after" back to the goal.
func waits(byName map[string]*world, at, goal string, path []string) []string {
	if slices.Contains(path, at) || byName[at] == nil {
		return nil
	}
	path = append(slices.Clip(path), at)
	for _, next := range byName[at].env.After {
		if next == goal {
			return path
		}
		if found := waits(byName, next, goal, path); found != nil {
			return found
		}
	}
	return nil
}

// checkIsolation: two environments that register in the same place call each
// other's pods; a Kubernetes namespace does not keep them apart.
func checkIsolation(worlds []*world) {
	first := map[string]*world{}
	for _, w := range worlds {
		if !usesRegistry(w) {
			continue
		}
		for _, r := range w.registries() {
			for _, kind := range []string{"zookeeper", "nacos"} {
				w.checkPlace(first, r, kind)
			}
		}
	}
}

// checkPlace reports a registry in which another environment registers too; first are
// the places by what sets them apart.
func (w *world) checkPlace(first map[string]*world, r namedRegistry, kind string) {
	registry := tree.Map(r.data[kind])
	for _, server := range tree.Texts(registry["servers"]) {
		place := strings.Join([]string{kind, server, tree.Text(registry["namespace"]), tree.Text(registry["group"])}, " ")
		other, taken := first[place]
		if !taken {
			first[place] = w
			continue
		}
		if other == w {
			continue
		}
		w.report(Finding{
			Rule: "isolation", Path: append(slices.Clip(r.path), kind),
			Message: fmt.Sprintf("registers at %s in the same place as environment %s: they would call each other's pods", server, other.env.Name),
			Hint:    "give each its own group or namespace",
		})
		return
	}
}

// checkLogins: the stack nacos asks its clients for a login.
func checkLogins(worlds []*world) {
	type place struct{ cluster, service, namespace string }
	locked := map[place]bool{}
	for _, w := range worlds {
		for _, o := range w.byKind["Service"] {
			if o.unit.Type == "nacos" {
				locked[place{w.env.Cluster, o.Name, o.Namespace}] = true
			}
		}
	}
	for _, w := range worlds {
		for _, r := range w.registries() {
			nacos := tree.Map(r.data["nacos"])
			if tree.Text(nacos["secret"]) != "" {
				continue
			}
			for i, server := range tree.Texts(nacos["servers"]) {
				host, _, _ := strings.Cut(server, ":")
				labels := append(strings.Split(host, "."), w.env.Namespace) // a short name is one of the own namespace
				if locked[place{w.env.Cluster, labels[0], labels[1]}] {
					w.report(Finding{
						Rule: "registry", Warning: true, Path: append(slices.Clip(r.path), "nacos", "servers", i),
						Message: "this Nacos asks for a login, and no Secret says whose",
						Hint:    `registry: nacos: secret: "nacos", a Secret with the keys username and password`,
					})
				}
			}
		}
	}
}

// usesRegistry says whether an environment has apps that register.
func usesRegistry(w *world) bool {
	return slices.ContainsFunc(w.env.Units, Unit.Registers)
}

// checkHostsTaken: one host and path belongs to one environment of a cluster.
func checkHostsTaken(worlds []*world) {
	type claim struct{ cluster, class, host, path string }
	first := map[claim]located{}
	owner := map[claim]*world{}
	for _, w := range worlds {
		copied := map[*world][]string{} // hosts of another environment
		begun := map[*world]int{}
		for _, h := range hostNames(w) {
			for _, path := range h.paths {
				c := claim{w.env.Cluster, h.class, h.host, path}
				other, taken := first[c]
				if !taken {
					first[c], owner[c] = h.object, w
					continue
				}
				if owner[c] == w || c.host == "" {
					continue
				}
				of := owner[c]
				if slices.Contains(copied[of], c.host) {
					continue // by another path
				}
				if copied[of] = append(copied[of], c.host); len(copied[of]) > 1 {
					w.findings[begun[of]].Hint = "so do " + strings.Join(copied[of][1:], ", ")
					continue
				}
				f := h.object.at("host-taken", h.path...)
				f.Message = fmt.Sprintf("%s%s belongs to %s of environment %s", c.host, c.path, other.ref(), of.env.Name)
				begun[of] = len(w.findings)
				w.report(f)
			}
		}
	}
}

// checkHostPortsTaken: the nodes of a cluster are shared.
func checkHostPortsTaken(worlds []*world) {
	pairs(worlds, func(w, other *world) {
		taken := map[string]hostPort{}
		for _, h := range hostPorts(other) {
			taken[fmt.Sprint(h.number, h.protocol)] = h
		}
		for _, h := range hostPorts(w) {
			if o, ok := taken[fmt.Sprint(h.number, h.protocol)]; ok {
				f := h.source.located.at("host-port", h.path...)
				f.Message = fmt.Sprintf("port %d of the node is taken by %s of environment %s", h.number, o.source.ref(), other.env.Name)
				w.report(f)
			}
		}
	})
}

// checkNodePortsTaken: a port of the nodes leads to one Service of the cluster.
func checkNodePortsTaken(worlds []*world) {
	pairs(worlds, func(w, other *world) {
		taken := map[string]located{}
		for _, n := range nodePorts(other) {
			taken[n.key] = n.service
		}
		for _, n := range nodePorts(w) {
			if o, ok := taken[n.key]; ok {
				f := n.service.at("node-port", n.path...)
				f.Message = fmt.Sprintf("port %s of the nodes is taken by %s of environment %s", n.key, o.ref(), other.env.Name)
				w.report(f)
			}
		}
	})
}

// checkDefaultClasses: Ingresses that name no class belong to one controller.
func checkDefaultClasses(worlds []*world) {
	first := map[string]located{}
	for _, w := range worlds {
		for _, o := range w.byKind["IngressClass"] {
			if tree.Text(tree.At(o.Content, "metadata", "annotations", "ingressclass.kubernetes.io/is-default-class")) != "true" {
				continue
			}
			other, taken := first[w.env.Cluster]
			if !taken {
				first[w.env.Cluster] = o
				continue
			}
			f := o.at("ingress-class", "metadata", "annotations", "ingressclass.kubernetes.io/is-default-class")
			f.Message = fmt.Sprintf("%s is the default class of the cluster too: one class takes the Ingresses that name none", other.ref())
			f.Hint = "keep one of them"
			w.report(f)
		}
	}
}

// checkProviders: objects of Traefik's own kinds are of use where Traefik reads them.
func checkProviders(worlds []*world) {
	reads := map[string]bool{} // whether a Traefik of the cluster does, where there is one
	first := map[string]bool{} // whether one that does has them go before Ingresses
	for _, w := range worlds {
		for _, u := range w.env.Units {
			if u.Type == "traefik" {
				on, _ := u.at("providers", "crd").(bool)
				reads[w.env.Cluster] = reads[w.env.Cluster] || on
				first[w.env.Cluster] = first[w.env.Cluster] || on && ownRoutesFirst(tree.Texts(u.at("args")))
			}
		}
	}
	for _, w := range worlds {
		on, ours := reads[w.env.Cluster]
		if !first[w.env.Cluster] {
			w.unweighed(on || !ours)
		}
		if on || !ours {
			continue
		}
		for _, o := range w.objects {
			if group(o.Object) != "traefik.io" {
				continue
			}
			f := o.at("provider")
			f.Message = fmt.Sprintf("the Traefik of this cluster does not read %s", o.ref())
			f.Hint = "set providers: crd: true on the stack traefik"
			w.report(f)
		}
	}
}

// ownRoutesFirst reports whether arguments of Traefik have an IngressRoute go before an
// Ingress with the same rule. The order that Traefik documents for when it is told none
// is not in force: seen with v3.7.13.
func ownRoutesFirst(args []string) bool {
	for _, arg := range args {
		name, order, _ := strings.Cut(strings.ToLower(strings.TrimLeft(arg, "-")), "=")
		if name != "providers.precedence" {
			continue
		}
		names := strings.Split(order, ",")
		crd, ingress := slices.Index(names, "kubernetescrd"), slices.Index(names, "kubernetes")
		return crd >= 0 && (ingress < 0 || crd < ingress)
	}
	return false
}

// unweighed reports the Ingresses whose canaries would get no request: the IngressRoute
// beside is not read, or does not go first.
func (w *world) unweighed(read bool) {
	for _, o := range w.byKind["Ingress"] {
		if !o.unit.Weighed {
			continue
		}
		f := o.at("provider")
		f.Message = fmt.Sprintf("the Traefik of this cluster does not read the IngressRoute beside %s, by which the canary has its weight", o.ref())
		f.Hint = `set providers: crd: true and args: ["--providers.precedence=kubernetescrd,kubernetes"] on the stack traefik, or leave the weight out`
		if read {
			f.Message = fmt.Sprintf("no Traefik of this cluster is known to have the IngressRoute go before %s, by which the canary has its weight", o.ref())
			f.Hint = `set args: ["--providers.precedence=kubernetescrd,kubernetes"] on the stack traefik (3.7 or newer), or leave the weight out`
		}
		w.report(f)
	}
}

// checkIngressClasses: some environment of the cluster makes the class.
func checkIngressClasses(worlds []*world) {
	classes := map[string][]string{}
	for _, w := range worlds {
		for _, o := range w.byKind["IngressClass"] {
			classes[w.env.Cluster] = append(classes[w.env.Cluster], o.Name)
		}
	}
	for _, w := range worlds {
		known := classes[w.env.Cluster]
		if len(known) == 0 {
			continue // the cluster's controller is not ours
		}
		for _, o := range w.byKind["Ingress"] {
			class := tree.Text(tree.At(o.Content, "spec", "ingressClassName"))
			if class == "" || slices.Contains(known, class) {
				continue
			}
			f := o.at("ingress-class", "spec", "ingressClassName")
			f.Warning = true
			f.Message = fmt.Sprintf("no IngressClass %q in the environments of this cluster", class)
			f.DidYouMean = typed.Closest(class, known)
			w.report(f)
		}
	}
}

// checkObjectsTaken: two environments that make one object undo each other.
func checkObjectsTaken(worlds []*world) {
	pairs(worlds, func(w, other *world) {
		for _, o := range w.objects {
			theirs, ok := other.taken(o)
			if !ok {
				continue
			}
			f := o.at("object-taken")
			f.Message = fmt.Sprintf("%s is made by unit %s of environment %s too", o.ref(), theirs.unit.Name, other.env.Name)
			w.report(f)
		}
	})
}

func group(o Object) string {
	g, _, ok := strings.Cut(tree.Text(o.Content["apiVersion"]), "/")
	if !ok {
		return ""
	}
	return g
}

// checkNamespacesTaken: the namespace holds the lock and the revisions.
func checkNamespacesTaken(worlds []*world) {
	pairs(worlds, func(w, other *world) {
		if w.env.Namespace == other.env.Namespace {
			w.report(Finding{
				Rule: "namespace-taken", Path: typed.Path{"namespace"}, Warning: true,
				Message: fmt.Sprintf("environment %s has the namespace %s too", other.env.Name, w.env.Namespace),
			})
		}
	})
}

// checkClusterNetworks: environments of one cluster agree about its networks.
func checkClusterNetworks(worlds []*world) {
	pairs(worlds, func(w, other *world) {
		ours, theirs := tree.Map(w.env.Site["networks"]), tree.Map(other.env.Site["networks"])
		var differ []Finding
		for _, name := range sortedKeys(ours) {
			a, errA := netip.ParsePrefix(tree.Text(ours[name]))
			b, errB := netip.ParsePrefix(tree.Text(theirs[name]))
			if cmp.Or(errA, errB) != nil || a == b {
				continue
			}
			differ = append(differ, Finding{
				Rule: "cluster-network", Path: typed.Path{"site", "networks", name},
				Message: fmt.Sprintf("environment %s of the same cluster says %s", other.env.Name, b), Found: a.String(),
			})
		}
		if len(differ) < len(ours) || len(ours) < 2 {
			w.findings = append(w.findings, differ...)
			return
		}
		// All of them: it is another cluster.
		if w.fits(worlds) && !other.fits(worlds) {
			w, other = other, w
		}
		if slices.Contains(other.env.After, w.env.Name) && !other.fits(worlds) {
			w, other = other, w // which stands on what has its network for longer
		}
		w.mistaken = true
		w.report(Finding{
			Rule: "cluster-network", Path: typed.Path{"cluster"},
			Message: fmt.Sprintf("environment %s of the same cluster has other networks: its nodes are in %s", other.env.Name, tree.Text(tree.At(other.env.Site, "networks", "nodes"))),
			Found:   tree.Text(tree.At(w.env.Site, "networks", "nodes")),
			Hint:    "two sites have two clusters: see cluster: context, and site",
		})
	})
}
