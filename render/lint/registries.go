package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// NoServers is what is said of a registry whose servers nobody names.
const NoServers = "a registry without servers"

// LeftOutHere ends what is said of a unit that an environment does not have, and others name.
const LeftOutHere = "is left out of this environment by enabled: false"

// checkRegistryServices: the address of a registry that is a name of the cluster leads to
// a Service of one of its environments.
func checkRegistryServices(worlds []*world) {
	clusters := map[string]*servicesOf{}
	for _, w := range worlds {
		if len(w.broken) > 0 {
			return // what is not there may be in one of those
		}
		if clusters[w.env.Cluster] == nil {
			clusters[w.env.Cluster] = &servicesOf{ports: map[string][]string{}}
		}
		clusters[w.env.Cluster].add(w)
	}
	for _, w := range worlds {
		if w.mistaken || !usesRegistry(w) {
			continue
		}
		for _, r := range w.registries() {
			for _, kind := range []string{"zookeeper", "nacos"} {
				for i, server := range tree.Texts(tree.At(r.data[kind], "servers")) {
					f := Finding{Rule: "registry", Warning: true, Path: append(slices.Clip(r.path), kind, "servers", i)}
					if clusters[w.env.Cluster].miss(&f, server, w.env.Namespace) {
						w.report(f)
					}
				}
			}
		}
	}
}

// servicesOf are the Services and the namespaces that the environments of a cluster make.
type servicesOf struct {
	names      []string // as service.namespace
	namespaces []string
	ports      map[string][]string
	custom     []string // custom resources, as name.namespace: their controllers make Services
}

func (s *servicesOf) add(w *world) {
	s.namespaces = append(s.namespaces, w.env.Namespace)
	for _, o := range w.objects {
		switch g := group(o.Object); {
		case o.Kind == "Service":
			name := o.Name + "." + o.Namespace
			s.names = append(s.names, name)
			tree.Each(tree.At(o.Content, "spec", "ports"), func(_ int, p map[string]any) {
				s.ports[name] = append(s.ports[name], fmt.Sprint(p["port"]))
			})
		case o.Kind == "Namespace":
			s.namespaces = append(s.namespaces, o.Name)
		case !typed.OwnGroup(g):
			s.custom = append(s.custom, o.Name+"."+o.Namespace)
		}
	}
}

// miss says what is wrong with the address of a server, a host and a port; false where it
// leads to a Service, or out of the cluster.
func (s *servicesOf) miss(f *Finding, server, own string) bool {
	host, port, _ := strings.Cut(server, ":")
	short, domain, inCluster := strings.Cut(strings.TrimSuffix(host, "."), ".svc")
	if near := typed.Closest(domain, []string{clusterDomain}); inCluster && near != "" {
		f.Message, f.Found = "no cluster has this domain, as a rule", quote(server)
		f.DidYouMean = short + ".svc" + near + ":" + port
		return true
	}
	if domain != "" && domain != clusterDomain {
		return false
	}
	labels := strings.Split(short, ".")
	switch {
	case len(labels) == 1:
		labels = append(labels, own)
	case len(labels) > 2 && !inCluster:
		return false
	}
	labels = labels[len(labels)-2:] // before them, the pod of a StatefulSet
	service, namespace := labels[0], labels[1]
	name := service + "." + namespace
	if ports, ok := s.ports[name]; ok && len(ports) > 0 && !slices.Contains(ports, port) {
		f.Message, f.Found = fmt.Sprintf("the Service %s has no port %s", name, port), quote(server)
		f.Expected = "one of " + strings.Join(ports, ", ")
		return true
	}
	if slices.Contains(s.names, name) || slices.ContainsFunc(s.custom, func(c string) bool {
		of, at, _ := strings.Cut(c, ".")
		return at == namespace && strings.HasPrefix(service, of)
	}) {
		return false
	}
	near := typed.Closest(name, s.names)
	if near == "" {
		near = s.elsewhere(service)
	}
	switch {
	case slices.Contains(s.namespaces, namespace):
		f.Message = fmt.Sprintf("no environment of this cluster makes a Service %s in the namespace %s", service, namespace)
	case near != "" || inCluster:
		f.Message = fmt.Sprintf("no environment of this cluster makes the namespace %s", namespace)
	default:
		return false // a name of two parts may be one of the DNS
	}
	f.Found = quote(server)
	if near != "" {
		f.DidYouMean = near + ":" + port
	}
	return true
}

// clusterDomain is what a cluster calls itself in its DNS unless it is told otherwise.
const clusterDomain = ".cluster.local"

// elsewhere is the only Service of a name, as service.namespace.
func (s *servicesOf) elsewhere(service string) (found string) {
	for _, name := range s.names {
		if strings.HasPrefix(name, service+".") {
			if found != "" {
				return ""
			}
			found = name
		}
	}
	return found
}
