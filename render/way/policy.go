package way

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
)

// policy is the hop of a NetworkPolicy that keeps the sender from the pods; nil
// where none does.
func (m *Model) policy(sender from, to *pods, port int) *Hop {
	if sender.pods != nil && sender.pods.podSpec()["hostNetwork"] == true {
		sender.pods = nil // it comes from the address of a node
	}
	if h := m.closed(to, "Ingress", "ingress", "from", sender.pods, to, port); h != nil {
		h.Break.Reason = m.Say("it lets nobody like %s in to port %d of %s", sender.name, port, to.ref())
		return h
	}
	if sender.pods == nil {
		return nil
	}
	if h := m.closed(sender.pods, "Egress", "egress", "to", to, to, port); h != nil {
		h.Break.Reason = m.Say("it lets %s out to nobody like %s on port %d", sender.name, to.ref(), port)
		return h
	}
	return nil
}

// closed finds a NetworkPolicy for pods that, with all others for them, does not
// allow the peer.
func (m *Model) closed(of *pods, direction, field, peers string, peer, to *pods, port int) *Hop {
	var last *object
	for _, o := range m.byKind["NetworkPolicy"] {
		if o.Namespace != of.Namespace || !selects(tree.Map(o.spec()["podSelector"]), of.labels()) {
			continue
		}
		types := tree.Texts(o.spec()["policyTypes"])
		if len(types) == 0 {
			types = []string{"Ingress"}
			if o.spec()["egress"] != nil {
				types = append(types, "Egress")
			}
		}
		if !slices.Contains(types, direction) {
			continue
		}
		last = o
		for _, item := range tree.List(o.spec()[field]) {
			if rule := tree.Map(item); m.allows(o, rule, peers, peer) && portAllowed(rule, to, port) {
				return nil
			}
		}
	}
	if last == nil {
		return nil
	}
	return &Hop{
		Kind: Policy, Name: last.ref(), Says: m.Say("stops it"), By: last.at("spec", field),
		Break: &Break{Fix: m.Say("allow it there: %s: [{%s: [...], ports: [{port: %d}]}]", field, peers, port)},
	}
}

func (m *Model) allows(policy *object, rule map[string]any, field string, peer *pods) bool {
	list := tree.List(rule[field])
	if len(list) == 0 || peer == nil { // a sender that is not known cannot be judged
		return true
	}
	for _, item := range list {
		entry := tree.Map(item)
		if entry["ipBlock"] != nil {
			// Addresses of pods change: a block that is named is taken to mean them.
			return true
		}
		switch namespaces := tree.Map(entry["namespaceSelector"]); {
		case entry["namespaceSelector"] == nil && peer.Namespace != policy.Namespace:
			continue
		case entry["namespaceSelector"] != nil && !selects(namespaces, m.namespaceLabels(peer.Namespace)):
			continue
		}
		if entry["podSelector"] == nil || selects(tree.Map(entry["podSelector"]), peer.labels()) {
			return true
		}
	}
	return false
}

// namespaceLabels are those of a Namespace, with the one that the API server adds.
func (m *Model) namespaceLabels(name string) map[string]any {
	all := map[string]any{"kubernetes.io/metadata.name": name}
	if o := m.byID[id{"Namespace", "", name}]; o != nil {
		maps.Copy(all, tree.Map(tree.At(o.Content, "metadata", "labels")))
	}
	return all
}

func selects(selector, of map[string]any) bool {
	var s metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(selector, &s); err != nil {
		return false
	}
	parsed, err := metav1.LabelSelectorAsSelector(&s)
	return err == nil && parsed.Matches(labels.Set(labelSet(of)))
}

func portAllowed(rule map[string]any, to *pods, port int) bool {
	list := tree.List(rule["ports"])
	if len(list) == 0 {
		return true
	}
	for _, item := range list {
		p := tree.Map(item)
		if protocol := tree.Text(p["protocol"]); protocol != "" && protocol != "TCP" {
			continue
		}
		switch n := p["port"].(type) {
		case nil:
			return true
		case int64:
			if int(n) == port || p["endPort"] != nil && int(n) <= port && port <= int(number(p["endPort"], 0)) {
				return true
			}
		case string:
			named := false
			to.containers(func(c map[string]any, _ []any) {
				tree.Each(c["ports"], func(_ int, cp map[string]any) {
					named = named || tree.Text(cp["name"]) == n && int(number(cp["containerPort"], 0)) == port
				})
			})
			if named {
				return true
			}
		}
	}
	return false
}
