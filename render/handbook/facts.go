package handbook

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/way"
)

// urls are what the environments answer, and who does.
func (w *writer) urls(c *cluster) []any {
	t := table{head: []string{w.say("URL"), w.say("App"), w.say("Pods"), w.say("TLS ends at"), w.say("Calls")}}
	broken := table{head: []string{w.say("URL"), w.say("Breaks at"), w.say("Why"), w.say("What to change")}}
	for _, row := range c.rows {
		app, pods := "-", "-"
		if row.App != nil {
			app = code(row.App.Unit)
			if row.App.Environment != row.Environment {
				app = code(row.App.Environment + "/" + row.App.Unit)
			}
			pods = w.podCount(row.App.Pods, row.App.PodsMax)
			for _, h := range row.Hops {
				if h.Kind == way.Pods && h.Calls == 0 {
					pods += " " + w.say("of %s", code(h.Name))
					break
				}
			}
		}
		t.rows = append(t.rows, []string{code(row.URL), app, pods, w.place(row.TLS), dash(codes(unique(row.Providers())))})
		for _, h := range row.Breaks() {
			broken.rows = append(broken.rows, []string{code(row.URL), string(h.Kind) + " " + code(h.Name), h.Break.Reason, h.Break.Fix})
		}
	}
	if len(t.rows) == 0 {
		return []any{paragraph(w.say("No URL leads to these environments."))}
	}
	blocks := []any{t}
	if len(broken.rows) > 0 {
		blocks = append(blocks, paragraph(w.say("These are not answered, or not in full:")), broken)
	}
	return append(blocks, paragraph(w.say("Hop by hop, with the line of the source that decides each: %s", code("evenkeel trace "+c.names[0]+" URL"))))
}

func dash(text string) string { return cmp.Or(text, "-") }

func (w *writer) place(where string) string {
	if where == "" {
		return "-"
	}
	return w.say(where)
}

func (w *writer) podCount(least, most int) string {
	if most > least {
		return w.say("%d to %d pods", least, most)
	}
	if least == 1 {
		return w.say("1 pod")
	}
	return w.say("%d pods", least)
}

// front are the hosts in front of the cluster.
func (w *writer) front(c *cluster) []any {
	f := c.model.Front()
	if f == nil {
		return []any{paragraph(w.say("Host names lead to the load balancer of the cloud, which passes requests on to the ingress controller. Its address is in the status of the controller's Service."))}
	}
	hosts := table{head: []string{w.say("Host"), w.say("Address"), w.say("Holds the virtual address")}}
	for i, name := range f.Holders() {
		when := w.say("first")
		if i > 0 {
			when = w.say("when %s is gone", codes(f.Holders()[:i]))
		}
		hosts.rows = append(hosts.rows, []string{code(name), code(f.Hosts[name].Address), when})
	}
	return []any{
		paragraph(w.say("nginx on these hosts takes requests at the virtual address %s and passes them on to port %d of %s. keepalived moves the address.", code(f.VIP), f.L7.Port, codes(f.L7.Nodes))),
		hosts,
	}
}

// dns are the records that must be there.
func (w *writer) dns(c *cluster) []any {
	t := table{head: []string{w.say("Name"), w.say("Leads to"), w.say("Zone")}}
	f := c.model.Front()
	if f == nil {
		for _, host := range hostsOf(c.rows) {
			t.rows = append(t.rows, []string{code(host), w.say("the load balancer"), "-"})
		}
		if len(t.rows) == 0 {
			return nil
		}
		return []any{t}
	}
	for _, host := range slices.Sorted(slices.Values(unique(slices.Concat(f.IngressHosts, hostsOf(c.rows))))) {
		zone := w.say("outside of %s", code(f.L7.Domain))
		if f.Covers(host) {
			zone = code(f.L7.Domain)
		}
		t.rows = append(t.rows, []string{code(host), code(f.VIP), zone})
	}
	var blocks []any
	if len(t.rows) > 0 {
		blocks = append(blocks, t)
	}
	if len(f.DNSServers) > 0 {
		blocks = append(blocks, paragraph(w.say("These names are all that the cluster answers, of other environments too. The zone %s is on %s; %s writes the records of these names for it, and no others.", code(f.L7.Domain), codes(f.DNSServers), code("evenkeel edge"))))
	}
	return blocks
}

func hostsOf(rows []way.Row) []string {
	var hosts []string
	for _, row := range rows {
		_, rest, _ := strings.Cut(row.URL, "://")
		host, _, _ := strings.Cut(rest, "/")
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		hosts = append(hosts, host)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// ports are where something listens.
func (w *writer) ports(c *cluster) []any {
	t := table{head: []string{w.say("Where"), w.say("Port"), w.say("Leads to")}}
	if f := c.model.Front(); f != nil {
		for _, port := range f.Ports() {
			to := w.say("port %d of %s", f.L7.Port, codes(f.L7.Nodes))
			if f.L4.Enabled && port == f.L4.Listen {
				to = w.say("the API servers: %s", codes(f.L4.Backends))
			}
			t.rows = append(t.rows, []string{code(f.VIP), strconv.Itoa(port), to})
		}
		for _, server := range f.DNSServers {
			t.rows = append(t.rows, []string{code(server), "53", w.say("the zone %s", code(f.L7.Domain))})
		}
	}
	c.units(func(_ *way.Environment, u *lint.Unit) {
		for _, o := range u.Objects {
			w.hostPorts(&t, o)
			w.servicePorts(&t, o)
		}
		if u.App {
			w.podPorts(&t, u)
		}
	})
	if len(t.rows) == 0 {
		return nil
	}
	return []any{t}
}

func (w *writer) hostPorts(t *table, o lint.Object) {
	template, _ := tree.PodTemplate(o.Content)
	spec := tree.Map(template["spec"])
	tree.Each(spec["containers"], func(_ int, container map[string]any) {
		tree.Each(container["ports"], func(_ int, p map[string]any) {
			port := p["hostPort"]
			if port == nil && spec["hostNetwork"] == true {
				port = p["containerPort"]
			}
			if port == nil {
				return
			}
			where := w.say("nodes of the pods")
			if o.Kind == "DaemonSet" {
				where = w.say("every node")
			}
			t.rows = append(t.rows, []string{where, numbered(port, p), w.say("port %v of %s", cmp.Or[any](p["name"], p["containerPort"]), code(refOf(o)))})
		})
	})
}

// podPorts are those of an app that no Service leads to: others find its pods in the
// registry, and connect to them.
func (w *writer) podPorts(t *table, u *lint.Unit) {
	if slices.ContainsFunc(u.Objects, func(o lint.Object) bool { return o.Kind == "Service" }) {
		return
	}
	for _, o := range u.Objects {
		template, _ := tree.PodTemplate(o.Content)
		tree.Each(tree.Map(template["spec"])["containers"], func(_ int, container map[string]any) {
			tree.Each(container["ports"], func(_ int, p map[string]any) {
				t.rows = append(t.rows, []string{w.say("pods of %s", code(refOf(o))), numbered(p["containerPort"], p), w.say("the app itself, without a Service")})
			})
		})
	}
}

// numbered is a port with its protocol, where that is not TCP.
func numbered(port any, spec map[string]any) string {
	if protocol := tree.Text(spec["protocol"]); protocol != "" && protocol != "TCP" {
		return fmt.Sprintf("%v/%s", port, protocol)
	}
	return fmt.Sprint(port)
}

func (w *writer) servicePorts(t *table, o lint.Object) {
	if o.Kind != "Service" {
		return
	}
	spec := tree.Map(o.Content["spec"])
	tree.Each(spec["ports"], func(_ int, p map[string]any) {
		target := p["targetPort"]
		if target == nil {
			target = p["port"]
		}
		to := w.say("port %v of the pods", target)
		if name := tree.Text(spec["externalName"]); name != "" {
			to = code(name)
		} else if spec["selector"] == nil {
			to = w.say("addresses that are written by hand")
		}
		t.rows = append(t.rows, []string{code(refOf(o)), numbered(p["port"], p), to})
		if p["nodePort"] != nil {
			t.rows = append(t.rows, []string{w.say("every node"), numbered(p["nodePort"], p), code(refOf(o))})
		}
	})
}

func refOf(o lint.Object) string {
	if o.Namespace == "" {
		return o.Kind + "/" + o.Name
	}
	return o.Kind + "/" + o.Namespace + "/" + o.Name
}

// units calls fn for each unit of the environments of the page.
func (c *cluster) units(fn func(env *way.Environment, u *lint.Unit)) {
	for _, name := range c.names {
		env := c.model.Environment(name)
		for i := range env.Units {
			fn(env, &env.Units[i])
		}
	}
}

// cards calls fn for each app of the picture.
func (c *cluster) cards(fn func(env string, card way.Card)) {
	for _, band := range c.graph.Bands {
		for _, column := range append(slices.Clone(band.Columns), band.Alone) {
			for _, card := range column {
				if card.Kind == way.App {
					fn(band.Environment, card)
				}
			}
		}
	}
}

// apps are the units that make pods.
func (w *writer) apps(c *cluster) []any {
	t := table{head: []string{w.say("Environment"), w.say("App"), w.say("Type"), w.say("Runs"), w.say("Images")}}
	c.units(func(env *way.Environment, u *lint.Unit) {
		var runs, images []string
		for _, o := range u.Objects {
			template, _ := tree.PodTemplate(o.Content)
			if template == nil {
				continue
			}
			runs = append(runs, refOf(o))
			for _, group := range []string{"initContainers", "containers"} {
				tree.Each(tree.Map(template["spec"])[group], func(_ int, container map[string]any) { images = append(images, tree.Text(container["image"])) })
			}
		}
		if len(runs) > 0 {
			t.rows = append(t.rows, []string{code(env.Name), code(u.Name), code(u.Type), codes(runs), codes(unique(images))})
		}
	})
	if len(t.rows) == 0 {
		return nil
	}
	return []any{t}
}

// calls are the wires of the picture.
func (w *writer) calls(c *cluster) []any {
	t := table{head: []string{w.say("Environment"), w.say("App"), w.say("Calls"), w.say("Breaks")}}
	broken := false
	for _, band := range c.graph.Bands {
		names := map[string]string{}
		for _, column := range band.Columns {
			for _, card := range column {
				names[card.ID] = card.Name
			}
		}
		for _, wire := range band.Wires {
			breaks := ""
			if wire.Broken {
				breaks, broken = "✗", true
			}
			t.rows = append(t.rows, []string{code(band.Environment), code(names[wire.From]), code(names[wire.To]), breaks})
		}
	}
	if len(t.rows) == 0 {
		return []any{paragraph(w.say("Nobody calls anybody, as far as the environments say."))}
	}
	if !broken {
		t.drop(3)
	}
	return []any{t}
}

// registries are where apps find each other.
func (w *writer) registries(c *cluster) []any {
	t := table{head: []string{w.say("Environment"), w.say("Registry")}}
	for _, band := range c.graph.Bands {
		if band.Registry != "" {
			t.rows = append(t.rows, []string{code(band.Environment), code(band.Registry)})
		}
	}
	if len(t.rows) == 0 {
		return nil
	}
	return []any{t}
}

// certificates are where those that clients see come from.
func (w *writer) certificates(c *cluster) []any {
	t := table{head: []string{w.say("Host"), w.say("TLS ends at"), w.say("Certificate")}}
	f := c.model.Front()
	if f != nil {
		for _, host := range slices.Sorted(maps.Keys(f.L7.TLS)) {
			t.rows = append(t.rows, []string{code(host), w.say("edge"), w.say("the file %s on the edge hosts", code(f.Server(host, 443).Certificate))})
		}
	}
	c.units(func(_ *way.Environment, u *lint.Unit) {
		for _, o := range u.Objects {
			if o.Kind != "Ingress" {
				continue
			}
			tree.Each(tree.At(o.Content, "spec", "tls"), func(_ int, entry map[string]any) {
				for _, host := range tree.Texts(entry["hosts"]) {
					from := w.say("the default certificate of the controller")
					if secret := tree.Text(entry["secretName"]); secret != "" {
						from = w.say("the Secret %s", code(o.Namespace+"/"+secret))
					}
					t.rows = append(t.rows, []string{code(host), w.say("controller"), from})
				}
			})
		}
	})
	for _, row := range c.rows { // routes of other kinds
		host, _, _ := strings.Cut(strings.TrimPrefix(row.URL, "https://"), "/")
		if row.TLS != "controller" || slices.ContainsFunc(t.rows, func(known []string) bool { return known[0] == code(host) }) {
			continue
		}
		from := w.say("the default certificate of the controller")
		if secret, ok := strings.CutPrefix(row.Certificate, "Secret/"); ok {
			from = w.say("the Secret %s", code(secret))
		}
		t.rows = append(t.rows, []string{code(host), w.say("controller"), from})
	}
	if len(t.rows) == 0 {
		return []any{paragraph(w.say("No host of these environments is served by TLS."))}
	}
	return []any{t}
}

// external is what the environments refer to and others make.
func (w *writer) external(c *cluster) []any {
	t := table{head: []string{w.say("Environment"), w.say("Object"), w.say("Keys"), w.say("When")}}
	kinds := []struct{ field, kind string }{{"secrets", "Secret"}, {"configMaps", "ConfigMap"}, {"claims", "PersistentVolumeClaim"}, {"serviceAccounts", "ServiceAccount"}}
	for _, name := range c.names {
		env := c.model.Environment(name)
		for _, k := range kinds {
			all := tree.Map(env.External[k.field])
			for _, object := range slices.Sorted(maps.Keys(all)) {
				entry := tree.Map(all[object])
				namespace := cmp.Or(tree.Text(entry["namespace"]), env.Namespace)
				must := w.say("before an apply")
				if entry["optional"] == true {
					must = w.say("before pods that use it can start")
				}
				t.rows = append(t.rows, []string{code(name), code(k.kind + "/" + namespace + "/" + object), dash(codes(tree.Texts(entry["keys"]))), must})
			}
		}
	}
	if len(t.rows) == 0 {
		return []any{paragraph(w.say("Nothing: the environments make all that they refer to."))}
	}
	return []any{paragraph(w.say("Secrets and other objects that evenkeel does not make: whoever runs the site does. Their values are not in the source.")), t}
}

// images are those that the nodes pull.
func (w *writer) images(c *cluster) []any {
	t := table{head: []string{w.say("Image"), w.say("Copied from"), w.say("Used by")}}
	for _, i := range render.MergeImages(w.results(c)) {
		t.rows = append(t.rows, []string{code(i.Image), dash(codesOf(i.Source)), codes(i.Units)})
	}
	if len(t.rows) == 0 {
		return nil
	}
	return []any{t, paragraph(w.say("An image that is copied from nowhere is pushed there by those who build it, or pulled from where it is made."))}
}

func codesOf(text string) string {
	if text == "" {
		return ""
	}
	return code(text)
}

func (w *writer) results(c *cluster) []*render.Result {
	var all []*render.Result
	for _, name := range c.names {
		all = append(all, w.ways.Results[name])
	}
	return all
}
