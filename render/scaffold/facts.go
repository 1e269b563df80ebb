// Package scaffold writes source for people: the files of a new repository, a new
// app in an environment, a new environment beside another one. It returns or
// changes CUE text and evaluates nothing; whoever calls it renders the result.
package scaffold

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The examples that a repository can start from.
const (
	Minimal = "minimal" // Traefik, and one web app
	Dubbo   = "od"      // the whole Dubbo site: network, DNS, ingress, dashboard, demo services
	Cloud   = "cloud"   // Spring services on a rented cluster
)

// Facts are what a new repository is made from. There are no defaults for what
// only the owner of the site knows: Missing says what is still to be asked.
type Facts struct {
	From   string // Minimal, Dubbo or Cloud
	Module string // CUE module path; without it the domain
	Domain string // of the site's host names
	Harbor string // host name of the private registry
	VIP    string // virtual address of the edge; NoVIP where a load balancer stands in front
	// Envs are the environments beside infra. One on a cluster of its own is written
	// ENV@CONTEXT, until it has been checked.
	Envs  []string
	Nodes []Host
	Edge  []Host // without it the nodes
	DNS   []string
	// ZooKeeper are the servers that Dubbo services register at, each as host:port;
	// without them zk1 to zk3 of the domain.
	ZooKeeper []string

	Pods     string // CIDR of the pods; without it one that is free
	Services string // CIDR of the Services; without it one that is free
	// ClusterDNS is the address of the cluster's DNS Service; without it the tenth
	// of the Services, where kubeadm puts it.
	ClusterDNS string
	Context    string // of the kubeconfig
	CI         string // service that the pipeline is written for: github, gitlab, jenkins, shell, flow, gitee; NoCI for none
	Version    string // of evenkeel, for the pipeline

	contexts map[string]string // by environment, where they are on several clusters
}

// NoVIP stands for a site without an edge of its own.
const NoVIP = "none"

// Host is a machine: its name and its address.
type Host struct{ Name, Address string }

// Question is a fact that is missing: the flag that gives it and the words that
// ask for it.
type Question struct {
	Flag    string
	Text    string
	Default string
}

// Missing lists the facts without which nothing can be written.
func (f *Facts) Missing() []Question {
	var all []Question
	ask := func(missing bool, q Question) {
		if missing {
			all = append(all, q)
		}
	}
	ask(f.Domain == "", Question{Flag: "domain", Text: "domain of the host names, such as example.com"})
	ask(f.Harbor == "", Question{Flag: "harbor", Text: "host name of the private registry, such as harbor.example.com"})
	ask(len(f.Envs) == 0, Question{Flag: "envs", Text: "environments beside infra, separated by commas", Default: "dev,prod"})
	if f.From != Cloud {
		ask(f.VIP == "", Question{Flag: "vip", Text: "virtual address of the edge hosts, or none where a load balancer stands in front"})
	}
	if f.From != Cloud && f.VIP != NoVIP {
		ask(len(f.Nodes) == 0, Question{Flag: "nodes", Text: "nodes of the cluster as name=address, separated by commas"})
	}
	if f.From == Dubbo {
		ask(len(f.DNS) == 0, Question{Flag: "dns", Text: "addresses of the name servers of the domain, separated by commas"})
	}
	ask(f.CI == "", Question{Flag: "ci", Text: "pipeline for github, gitlab, jenkins, flow, gitee, shell, or none", Default: "github"})
	return all
}

// Set gives the fact that a question asked for. With an error it is still missing.
func (f *Facts) Set(flag, answer string) error {
	next := *f
	switch flag {
	case "domain":
		next.Domain = answer
	case "harbor":
		next.Harbor = answer
	case "vip":
		next.VIP = answer
	case "ci":
		next.CI = answer
	case "envs":
		next.Envs = split(answer)
	case "dns":
		next.DNS = split(answer)
	case "nodes":
		hosts, err := ParseHosts(split(answer))
		if err != nil {
			return err
		}
		next.Nodes = hosts
	default:
		return fmt.Errorf("no fact %q", flag)
	}
	if errs := next.wrong(flag); len(errs) > 0 {
		return errors.Join(errs...)
	}
	*f = next
	return nil
}

// ParseHosts reads name=address pairs.
func ParseHosts(pairs []string) ([]Host, error) {
	hosts := make([]Host, len(pairs))
	for i, pair := range pairs {
		name, address, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is not name=address, such as node1=10.0.0.21", pair)
		}
		hosts[i] = Host{Name: name, Address: address}
	}
	return hosts, nil
}

var (
	nameForm   = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	hostForm   = regexp.MustCompile(`^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	moduleForm = regexp.MustCompile(`^([a-z0-9][-a-z0-9]*\.)+[a-z0-9]+(/[a-z0-9][-._a-z0-9]*)*$`)
)

// CheckGiven finds all that is wrong with the facts that are there, whatever is
// still missing.
func (f *Facts) CheckGiven() error {
	var errs []error
	for _, fact := range []struct {
		flag  string
		given bool
	}{
		{"domain", f.Domain != ""},
		{"harbor", f.Harbor != ""},
		{"module", f.Module != ""},
		{"vip", f.VIP != ""},
		{"nodes", true},
		{"edge", true},
		{"dns", true},
		{"zookeeper", true},
		{"ci", f.CI != ""},
		{"envs", true},
	} {
		if fact.given {
			errs = append(errs, f.wrong(fact.flag)...)
		}
	}
	return errors.Join(errs...)
}

// Check finds all that is wrong with the facts when none is missing, and fills in
// what follows from them.
func (f *Facts) Check() error {
	if f.Module == "" {
		f.Module = f.Domain
	}
	if f.From == Cloud || f.VIP == "" {
		f.VIP = NoVIP
	}
	if len(f.ZooKeeper) == 0 {
		for _, name := range []string{"zk1", "zk2", "zk3"} {
			f.ZooKeeper = append(f.ZooKeeper, name+"."+f.Domain+":2181")
		}
	}
	if err := f.CheckGiven(); err != nil {
		return err
	}
	if len(f.Edge) == 0 && f.VIP != NoVIP {
		f.Edge = f.Nodes[:min(2, len(f.Nodes))]
	}
	return f.networks()
}

// wrong is what is wrong with one fact that is given.
func (f *Facts) wrong(flag string) []error {
	switch flag {
	case "domain":
		if !strings.Contains(f.Domain, ".") || !hostForm.MatchString(f.Domain) {
			return []error{fmt.Errorf("domain %q is not a domain name, such as example.com", f.Domain)}
		}
	case "harbor":
		if !hostForm.MatchString(f.Harbor) {
			return []error{fmt.Errorf("harbor %q is not a host name, such as harbor.example.com", f.Harbor)}
		}
	case "module":
		if f.Module != f.Domain && !moduleForm.MatchString(f.Module) {
			return []error{fmt.Errorf("module %q is not a CUE module path, such as example.com/deploy", f.Module)}
		}
	case "vip":
		if f.VIP != NoVIP {
			return wrongAddresses(f.VIP)
		}
	case "nodes":
		return wrongHosts(f.Nodes)
	case "edge":
		return wrongHosts(f.Edge)
	case "dns":
		return wrongAddresses(f.DNS...)
	case "zookeeper":
		return wrongServers(f.ZooKeeper)
	case "ci":
		if err := checkCI(f.CI); err != nil {
			return []error{err}
		}
	case "envs":
		return f.checkEnvs()
	}
	return nil
}

func wrongAddresses(addresses ...string) (errs []error) {
	for _, a := range addresses {
		if addr, err := netip.ParseAddr(a); err != nil || !addr.Is4() {
			errs = append(errs, fmt.Errorf("%q is not an IPv4 address, such as 10.0.0.10", a))
		}
	}
	return errs
}

func wrongServers(servers []string) (errs []error) {
	for _, s := range servers {
		host, port, _ := strings.Cut(s, ":")
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || !hostForm.MatchString(host) {
			errs = append(errs, fmt.Errorf("%q is not host:port, such as zk1.example.com:2181", s))
		}
	}
	return errs
}

func wrongHosts(hosts []Host) (errs []error) {
	for _, h := range hosts {
		errs = append(errs, wrongAddresses(h.Address)...)
		if !hostForm.MatchString(h.Name) {
			errs = append(errs, fmt.Errorf("%q is not the name of a host", h.Name))
		}
	}
	return errs
}

func (f *Facts) checkEnvs() []error {
	var errs []error
	f.takeContexts()
	if many := len(f.clusters()) > 1; many && (f.From == Dubbo || f.From == Cloud) {
		errs = append(errs, fmt.Errorf("several clusters begin with --from minimal: %s has one", f.From))
	} else if many && f.VIP != "" && f.VIP != NoVIP {
		errs = append(errs, errors.New("several clusters begin with --vip none: the edge hosts of a site lead to one of them"))
	}
	taken := map[string]bool{factsDir: true, appsDir: true}
	for _, context := range f.clusters() {
		if name := f.infraOf(context); taken[name] {
			errs = append(errs, fmt.Errorf("the environment %s of the context %q would have the name of another one", name, context))
		} else {
			taken[name] = true
		}
	}
	seen := map[string]bool{}
	for _, name := range f.Envs {
		switch {
		case !nameForm.MatchString(name):
			errs = append(errs, fmt.Errorf("environment %q: a name has lower case letters, digits and dashes, at most 63", name))
		case taken[name]:
			errs = append(errs, fmt.Errorf("environment %q: the name is taken by a directory of the new repository", name))
		case seen[name]:
			errs = append(errs, fmt.Errorf("environment %q is named twice", name))
		}
		seen[name] = true
	}
	return errs
}

// takeContexts parts environments from the contexts of their clusters.
func (f *Facts) takeContexts() {
	for i, name := range f.Envs {
		env, context, ok := strings.Cut(name, "@")
		if !ok {
			continue
		}
		if f.contexts == nil {
			f.contexts = map[string]string{}
		}
		f.Envs[i], f.contexts[env] = env, context
	}
	if all := f.clusters(); len(all) == 1 {
		f.Context = all[0]
	}
}

// contextOf is the context of an environment's cluster.
func (f *Facts) contextOf(env string) string { return cmp.Or(f.contexts[env], f.Context) }

// clusters are the contexts of the environments, each once.
func (f *Facts) clusters() []string {
	var all []string
	for _, env := range f.Envs {
		if context := f.contextOf(env); !slices.Contains(all, context) {
			all = append(all, context)
		}
	}
	return all
}

// infraOf is the environment that those of a cluster stand on.
func (f *Facts) infraOf(context string) string {
	if len(f.clusters()) < 2 {
		return infra
	}
	return strings.TrimRight(infra+"-"+notInName.ReplaceAllString(strings.ToLower(context), "-"), "-")
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// Infras are the environments that the others stand on, one for each cluster.
func (f Facts) Infras() []string {
	var names []string
	for _, context := range f.clusters() {
		names = append(names, f.infraOf(context))
	}
	return names
}

// addresses are those of the site, which the networks must not meet.
func (f Facts) addresses() []string {
	var all []string
	if f.VIP != NoVIP {
		all = append(all, f.VIP)
	}
	for _, h := range append(f.Nodes, f.Edge...) {
		all = append(all, h.Address)
	}
	return all
}

// networks checks the ranges of pods and Services, or picks free ones.
func (f *Facts) networks() error {
	taken := f.nodeNetworks()
	for _, n := range []struct {
		flag string
		to   *string
		free []string
	}{
		{"pods", &f.Pods, []string{"10.244.0.0/16", "172.30.0.0/16", "192.168.0.0/16"}},
		{"services", &f.Services, []string{"10.96.0.0/16", "172.31.0.0/16", "192.168.0.0/16"}},
	} {
		candidates := n.free
		if *n.to != "" {
			candidates = []string{*n.to}
		}
		net, err := firstFree(candidates, taken)
		if err != nil {
			return fmt.Errorf("--%s: %w", n.flag, err)
		}
		*n.to, taken = net.String(), append(taken, net)
	}
	services := taken[len(taken)-1]
	if f.ClusterDNS == "" {
		b := services.Addr().As4()
		b[3] += 10
		f.ClusterDNS = netip.AddrFrom4(b).String()
	}
	dns, err := netip.ParseAddr(f.ClusterDNS)
	if err != nil || !services.Contains(dns) {
		return fmt.Errorf("--cluster-dns: %q is not an address of the Services, %s", f.ClusterDNS, services)
	}
	return nil
}

func firstFree(candidates []string, taken []netip.Prefix) (netip.Prefix, error) {
	var last error
	for _, c := range candidates {
		net, err := netip.ParsePrefix(c)
		if err != nil || net.Masked() != net || !net.Addr().Is4() {
			return netip.Prefix{}, fmt.Errorf("%q is not a range such as 10.244.0.0/16", c)
		}
		last = nil
		for _, t := range taken {
			if net.Overlaps(t) {
				last = fmt.Errorf("the range %s overlaps %s", net, t)
			}
		}
		if last == nil {
			return net, nil
		}
	}
	return netip.Prefix{}, last
}

// nodeNetworks are the /24 networks that the machines stand in.
func (f Facts) nodeNetworks() []netip.Prefix {
	var nets []netip.Prefix
	for _, a := range f.addresses() {
		if addr, err := netip.ParseAddr(a); err == nil {
			nets = append(nets, netip.PrefixFrom(addr, 24).Masked())
		}
	}
	return nets
}

// NodeNetwork is the smallest range that holds all machines, at least a /24.
func (f Facts) NodeNetwork() string {
	nets := f.nodeNetworks()
	if len(nets) == 0 {
		return "10.0.0.0/24"
	}
	all := nets[0]
	for _, n := range nets {
		for !all.Contains(n.Addr()) {
			all = netip.PrefixFrom(all.Addr(), all.Bits()-1).Masked()
		}
	}
	return all.String()
}

func split(list string) []string {
	var out []string
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}
