package handbook

import (
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/way"
)

// failures are what happens when a host that the site names is gone.
func (w *writer) failures(c *cluster) []any {
	t := table{head: []string{w.say("Host"), w.say("Address"), w.say("When it is gone")}}
	hosts := c.hosts()
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		var says []string
		for _, ask := range []func(*cluster, string) []string{w.withoutEdge, w.withoutDNS, w.withoutNode, w.withoutAPIServer, w.withoutAddress} {
			says = append(says, ask(c, hosts[name])...)
		}
		if len(says) > 0 {
			t.rows = append(t.rows, []string{code(name), code(hosts[name]), strings.Join(says, " ")})
		}
	}
	if len(t.rows) == 0 {
		return nil
	}
	return []any{t, paragraph(w.say("Pods of a node that is gone start on others after about five minutes (the default of Kubernetes), if these have room. Of an app with several pods, those on other nodes go on."))}
}

// hosts are the addresses of the hosts that the site names, by name.
func (c *cluster) hosts() map[string]string {
	all := map[string]string{}
	for _, name := range c.model.Environments() {
		site := c.model.Environment(name).Site
		for _, group := range [][]string{{"hosts"}, {"edge", "hosts"}, {"nodes"}, {"apiServers"}} {
			for host, address := range tree.Map(tree.At(site, group...)) {
				at := tree.Text(address)
				if at == "" || slices.Contains(slices.Collect(maps.Values(all)), at) {
					continue // the same host by another name
				}
				all[host] = at
			}
		}
	}
	return all
}

func without(list []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == one })
}

func (w *writer) withoutEdge(c *cluster, address string) []string {
	f := c.model.Front()
	if f == nil {
		return nil
	}
	holders := f.Holders()
	at := slices.IndexFunc(holders, func(name string) bool { return f.Hosts[name].Address == address })
	if at < 0 {
		return nil
	}
	others := without(holders, holders[at])
	switch {
	case len(others) == 0:
		return []string{w.say("The virtual address %s is gone: no URL is answered.", code(f.VIP))}
	case at == 0:
		return []string{w.say("The virtual address %s moves to %s after about %d seconds; requests go on.", code(f.VIP), code(others[0]), 3*max(f.AdvertSeconds, 1)+1)}
	}
	if len(others) > 1 {
		return []string{w.say("The virtual address %s stays at %s.", code(f.VIP), code(holders[0]))}
	}
	return []string{w.say("The virtual address %s stays at %s, which has no standby then.", code(f.VIP), code(holders[0]))}
}

func (w *writer) withoutDNS(c *cluster, address string) []string {
	f := c.model.Front()
	if f == nil || !slices.Contains(f.DNSServers, address) {
		return nil
	}
	if others := without(f.DNSServers, address); len(others) > 0 {
		return []string{w.say("Names of %s are still answered by %s.", code(f.L7.Domain), codes(others))}
	}
	return []string{w.say("Names of %s are no longer resolved: %s is their only name server. Clients that know an address go on until it leaves their cache.", code(f.L7.Domain), code(address))}
}

func (w *writer) withoutNode(c *cluster, address string) []string {
	var says []string
	nodes := map[string]string{}
	for _, name := range c.model.Environments() {
		for node, at := range tree.Map(c.model.Environment(name).Site["nodes"]) {
			nodes[node] = tree.Text(at)
		}
	}
	if !slices.Contains(slices.Collect(maps.Values(nodes)), address) {
		return nil
	}
	if f := c.model.Front(); f != nil && slices.Contains(f.L7.Nodes, address) {
		if others := without(f.L7.Nodes, address); len(others) > 0 {
			says = append(says, w.say("nginx passes requests on to %s.", codes(others)))
		} else {
			says = append(says, w.say("nginx has no node left to pass requests on to: no URL is answered."))
		}
	}
	if left := len(nodes) - 1; left == 1 {
		says = append(says, w.say("1 of %d nodes is left.", len(nodes)))
	} else {
		says = append(says, w.say("%d of %d nodes are left.", left, len(nodes)))
	}
	var single []string
	c.cards(func(env string, card way.Card) {
		if slices.Contains(card.Lines, c.model.Say("1 pod")) {
			single = append(single, env+"/"+strings.TrimPrefix(card.Name, env+"/"))
		}
	})
	if len(single) > 0 {
		says = append(says, w.say("Apps with one pod do not answer until it has started elsewhere, if it ran here: %s.", codes(single)))
	}
	return says
}

func (w *writer) withoutAPIServer(c *cluster, address string) []string {
	f := c.model.Front()
	if f == nil || !f.L4.Enabled {
		return nil
	}
	var others []string
	found := false
	for _, backend := range f.L4.Backends {
		if host, _, err := net.SplitHostPort(backend); err == nil && host == address {
			found = true
			continue
		}
		others = append(others, backend)
	}
	switch {
	case !found:
		return nil
	case len(others) == 0:
		return []string{w.say("There is no API server left: what runs goes on, and nothing can be changed.")}
	}
	return []string{w.say("The API server is still answered by %s.", codes(others))}
}

// withoutAddress finds Services whose addresses are written by hand.
func (w *writer) withoutAddress(c *cluster, address string) []string {
	var says []string
	c.units(func(_ *way.Environment, u *lint.Unit) {
		for _, o := range u.Objects {
			if o.Kind != "EndpointSlice" {
				continue
			}
			var all []string
			tree.Each(o.Content["endpoints"], func(_ int, e map[string]any) { all = append(all, tree.Texts(e["addresses"])...) })
			if slices.Contains(all, address) {
				says = append(says, w.say("%s has %d of %d addresses left.", code(refOf(o)), len(without(all, address)), len(all)))
			}
		}
	})
	return says
}

// typed is what to type to look, to act and to go back.
func (w *writer) typed(c *cluster) []any {
	name, blocks := c.names[0], []any(nil)
	if len(c.names) > 1 {
		name = "ENV"
		blocks = append(blocks, paragraph(w.say("ENV is one of these environments: %s.", codes(c.names))))
	}
	for _, one := range []struct{ says, command string }{
		{w.say("How it is now, with the cause of what is wrong:"), "evenkeel status " + name + "\nevenkeel trace " + name + " URL --live --probe\nevenkeel logs " + name + " APP --tail 100"},
		{w.say("What differs between the source and the cluster, and who changed it:"), "evenkeel diff " + name},
		{w.say("A new version: set it in the source, look, apply:"), "evenkeel set image " + name + " APP=IMAGE\nevenkeel diff " + name + "\nevenkeel apply " + name},
		{w.say("Back to the revision before, or to revision N of the history; then set the same in the source, or the next apply goes forward again:"), "evenkeel history " + name + "\nevenkeel rollback " + name + "\nevenkeel rollback " + name + " --to N\nevenkeel set image " + name + " APP=IMAGE"},
		{w.say("Stop a rollout after its first pods, and go on:"), "evenkeel rollout pause " + name + " APP\nevenkeel rollout resume " + name + " APP"},
	} {
		blocks = append(blocks, paragraph(one.says), commands(one.command))
	}
	if c.model.Front() != nil {
		blocks = append(blocks, paragraph(w.say("Write the files of the edge hosts again, to be installed there with the install.sh among them:")), commands("evenkeel edge "+w.edgeOf(c)+" --output-dir DIR"))
	}
	return blocks
}

// edgeOf is the environment that describes the hosts in front.
func (w *writer) edgeOf(c *cluster) string {
	for _, name := range c.model.Environments() {
		if c.model.Environment(name).Edge != nil {
			return name
		}
	}
	return ""
}

func (w *writer) changes(c *cluster) []any {
	var lines []string
	for _, name := range c.names {
		lines = append(lines, "evenkeel history "+name)
	}
	typed := commands(strings.Join(lines, "\n") + "\ngit log --oneline -- envs")
	if w.last == 0 {
		return []any{paragraph(w.say("They are not on this page, which is the same for the same source: the cluster and git know them.")), typed}
	}
	t := table{head: []string{w.say("Day"), w.say("Who"), w.say("Change"), w.say("Commit")}}
	for _, one := range w.commits {
		t.rows = append(t.rows, []string{one.Day, one.Who, one.Subject, code(one.Commit)})
	}
	return []any{
		paragraph(w.say("Commits that changed the source of environments. What was applied when, and by whom, the cluster knows:")),
		t, typed,
	}
}
