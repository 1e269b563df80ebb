package apply

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// What moves to another name is still held under the former one: pruning comes last,
// so that nothing is missing before its successor is there. A node port, an address, a
// host port, a volume for one node, and a host of an Ingress where a webhook counts
// them, can be in one place only. The plan says who has them. PlanOptions.DeleteFirst
// has the holder deleted just before its successor is written.

// allocated is what the allocators of node ports and addresses say of a taken one.
var allocated = regexp.MustCompile(`(?:Invalid value: |HealthCheck NodePort )\[?"?([0-9a-fA-F.:]+?)"?\]?: [^;]*?(?:port|IP|address)[^;]*? already allocated`)

// findHeld looks for what the plan writes and what another object, which the plan
// deletes or changes, still has.
func (p *planner) findHeld(ctx context.Context) error {
	for _, it := range p.items {
		if it.change == nil || !slices.Contains([]Action{Rejected, Created, Configured, Adopted, UnverifiedCreated, UnverifiedChanged}, it.change.Action) {
			continue
		}
		if err := p.settleHeld(ctx, it); err != nil {
			return it.wrap(err)
		}
	}
	for again := true; again; { // one that gets its port may have given up another
		again = false
		for _, it := range p.items {
			again = p.awaitHeld(it) || again
		}
	}
	for _, it := range p.items {
		p.sayGiver(it)
	}
	return nil
}

// settleHeld plans one object that takes what another one still has.
func (p *planner) settleHeld(ctx context.Context, it *item) error {
	holders, what := p.holders(it)
	if len(holders) == 0 {
		return nil
	}
	if i := slices.IndexFunc(holders, func(c *Change) bool { return !p.goesFirst(c) }); i >= 0 {
		p.sayHeld(it, holders[i], what[i])
		return nil
	}
	if isUnique(it.obj.Unstructured) {
		if done, err := p.tryWithout(ctx, it, what); done || err != nil {
			return err
		}
		if it.change.waits == "" {
			p.unverified(it, holders[0].String())
		}
	}
	for i, holder := range holders {
		it.change.after = append(it.change.after, holder.Ref)
		if holder.Action == Deleted {
			holder.Message = fmt.Sprintf("deleted first: %s takes over %s", it.ref, what[i])
		}
	}
	it.change.Message = fmt.Sprintf("written after %s is deleted, which has %s", holders[0].Ref, what[0])
	return nil
}

// sayHeld says of an object that it must wait, and what to type.
func (p *planner) sayHeld(it *item, holder *Change, what string) {
	has := fmt.Sprintf("%s has %s, and is deleted last", holder.Ref, what)
	hint := "--delete-first " + holder.Kind + "/" + holder.Name + " deletes it just before this one is written"
	if isUnique(it.obj.Unstructured) {
		p.reject(it, has, hint)
	} else {
		p.warn(fmt.Sprintf("%s: %s: the new pods wait for it where they meet; %s", it.ref, has, hint))
	}
}

// goesFirst reports whether an object is on its way out before what takes over from it
// is written.
func (p *planner) goesFirst(c *Change) bool {
	return c.Action == Terminating || slices.Contains(p.opts.DeleteFirst, c.Kind+"/"+c.Name)
}

// holders are the objects on their way out that still have what an object is the first
// to take, each with what that is.
func (p *planner) holders(it *item) (holders []*Change, what []string) {
	wanted := p.takes(it.obj.Unstructured)
	if it.live != nil {
		had := p.takes(it.live)
		wanted = slices.DeleteFunc(wanted, func(w string) bool { return slices.Contains(had, w) })
	}
	switch refused := func(w string) bool { return isRefusedFor(it, w) }; {
	case it.ref.Kind == "Ingress":
		wanted = slices.DeleteFunc(wanted, func(w string) bool { return !refused(w) })
	case it.change.Action == Rejected && !slices.ContainsFunc(wanted, refused): // the allocators stop at the first
		return nil, nil
	}
	for i := range p.pruned {
		c := &p.pruned[i]
		if c.live == nil || c.Action != Deleted && c.Action != Terminating {
			continue
		}
		had := p.takes(c.live)
		for _, w := range wanted {
			if slices.Contains(had, w) {
				holders, what = append(holders, c), append(what, w)
			}
		}
	}
	return holders, what
}

// isRefusedFor reports whether the server refused an object because something that it
// takes is taken. Webhooks that count the hosts of Ingresses name the host.
func isRefusedFor(it *item, what string) bool {
	if it.change.Action != Rejected {
		return false
	}
	_, value, _ := strings.Cut(what, " ")
	if it.ref.Kind == "Ingress" {
		host, _, _ := strings.Cut(value, "/")
		return strings.Contains(it.change.Refused, host)
	}
	for _, m := range allocated.FindAllStringSubmatch(it.change.Refused, -1) {
		if strings.HasSuffix(what, " "+m[1]) {
			return true
		}
	}
	return false
}

// isUnique reports whether the server refuses an object as long as another one has what
// it takes. Pods are taken, and wait.
func isUnique(u *unstructured.Unstructured) bool {
	return u.GetKind() == "Service" || u.GetKind() == "Ingress"
}

// tryWithout asks the server about a Service without what is still taken. done says
// that it refuses that too, so that nothing need be deleted for it.
func (p *planner) tryWithout(ctx context.Context, it *item, taken []string) (done bool, err error) {
	if it.ref.Kind != "Service" || p.opts.ListOnly || it.change.waits != "" {
		return false, nil
	}
	body := it.obj.DeepCopy()
	giveUp(body, taken)
	if _, _, err := p.cluster.DryRun(ctx, it.mapping, body); err != nil {
		if !isRejection(err) {
			return true, err
		}
		p.reject(it, p.words(it, err), p.hintOf(ctx, it, err))
		return true, nil
	}
	return false, nil
}

// giveUp takes node ports and addresses out of a Service.
func giveUp(service *unstructured.Unstructured, taken []string) {
	ip, _, _ := unstructured.NestedString(service.Object, "spec", "clusterIP")
	if slices.Contains(taken, addressOf(ip)) {
		unstructured.RemoveNestedField(service.Object, "spec", "clusterIP")
		unstructured.RemoveNestedField(service.Object, "spec", "clusterIPs")
	}
	if port, ok, _ := unstructured.NestedFieldNoCopy(service.Object, "spec", "healthCheckNodePort"); ok && slices.Contains(taken, nodePort(port)) {
		unstructured.RemoveNestedField(service.Object, "spec", "healthCheckNodePort")
	}
	ports, _, _ := unstructured.NestedSlice(service.Object, "spec", "ports")
	for _, item := range ports {
		if port, ok := item.(map[string]any); ok && slices.Contains(taken, nodePort(port["nodePort"])) {
			delete(port, "nodePort")
		}
	}
	if len(ports) > 0 {
		_ = unstructured.SetNestedSlice(service.Object, ports, "spec", "ports")
	}
}

// awaitHeld plans a Service whose node port another one of the environment gives up in
// the same plan, without being deleted, and before. It reports whether it did.
func (p *planner) awaitHeld(it *item) bool {
	if it.change == nil || it.change.Action != Rejected || it.ref.Kind != "Service" {
		return false
	}
	wanted := slices.DeleteFunc(allocations(it.obj.Unstructured), func(w string) bool { return !isRefusedFor(it, w) })
	for _, other := range p.items {
		if other.live == nil || other == it || other.change == nil || other.change.Action == Rejected || other.ref.Kind != "Service" ||
			other.unit != it.unit && !p.writtenBefore(other, it) {
			continue
		}
		had, keeps := allocations(other.live), keepsAllocated(other)
		i := slices.IndexFunc(wanted, func(w string) bool { return slices.Contains(had, w) && !slices.Contains(keeps, w) })
		if i >= 0 {
			p.unverified(it, other.ref.String())
			it.change.Message += ", which gives up " + wanted[i]
			return true
		}
	}
	return false
}

// sayGiver says what helps a Service that stays refused although another one gives up
// what it takes: in a unit that comes in no order to its own, or for what it has itself.
func (p *planner) sayGiver(it *item) {
	if it.change == nil || it.change.Action != Rejected || it.ref.Kind != "Service" {
		return
	}
	wanted := slices.DeleteFunc(allocations(it.obj.Unstructured), func(w string) bool { return !isRefusedFor(it, w) })
	for _, other := range p.items {
		if other.live == nil || other == it || other.change == nil || other.ref.Kind != "Service" {
			continue
		}
		had, keeps := allocations(other.live), keepsAllocated(other)
		switch i := slices.IndexFunc(wanted, func(w string) bool { return slices.Contains(had, w) && !slices.Contains(keeps, w) }); {
		case i < 0:
		case other.change.Action == Rejected:
			it.change.Hint = fmt.Sprintf("%s has %s and is refused too: where they swap, give one of them another port first, in a commit of its own", other.ref, wanted[i])
		default:
			it.change.Hint = fmt.Sprintf("%s gives up %s: put after: [%q] into unit %s, or apply --unit %s first", other.ref, wanted[i], other.unit, it.unit, other.unit)
		}
	}
}

// keepsAllocated is what a live Service has after the plan: the server leaves a node port
// that git does not name where it is.
func keepsAllocated(it *item) []string {
	switch {
	case it.change.Action == Unchanged:
		return allocations(it.live)
	case it.change.dryRun != nil:
		return allocations(it.change.dryRun)
	}
	return allocations(it.obj.Unstructured)
}

// takes is what an object has that no other one can have: as people call it.
func (p *planner) takes(u *unstructured.Unstructured) []string {
	switch {
	case u.GetKind() == "Service":
		return allocations(u)
	case u.GetKind() == "Ingress":
		return hostPaths(u)
	}
	var out []string
	for _, port := range hostPorts(u) {
		out = append(out, "host port "+port)
	}
	for _, claim := range p.exclusiveClaims(u) {
		out = append(out, "volume "+claim)
	}
	return out
}

// allocations are the node ports and the address of a Service.
func allocations(service *unstructured.Unstructured) []string {
	var out []string
	if ip, _, _ := unstructured.NestedString(service.Object, "spec", "clusterIP"); ip != "" && ip != "None" {
		out = append(out, addressOf(ip))
	}
	if port, ok, _ := unstructured.NestedFieldNoCopy(service.Object, "spec", "healthCheckNodePort"); ok {
		out = append(out, nodePort(port))
	}
	ports, _, _ := unstructured.NestedSlice(service.Object, "spec", "ports")
	for _, item := range ports {
		if port, ok := item.(map[string]any); ok && port["nodePort"] != nil {
			out = append(out, nodePort(port["nodePort"]))
		}
	}
	return out
}

func addressOf(ip string) string { return "address " + ip }

func nodePort(number any) string { return fmt.Sprintf("node port %v", number) }

// hostPaths are the hosts and paths of an Ingress.
func hostPaths(ingress *unstructured.Unstructured) []string {
	var out []string
	rules, _, _ := unstructured.NestedSlice(ingress.Object, "spec", "rules")
	for _, item := range rules {
		rule, _ := item.(map[string]any)
		host, _ := rule["host"].(string)
		if host == "" {
			continue
		}
		paths, _, _ := unstructured.NestedSlice(rule, "http", "paths")
		for _, item := range paths {
			path, _ := item.(map[string]any)
			at, _ := path["path"].(string)
			if at == "" {
				at = "/"
			}
			out = append(out, "host "+host+at)
		}
	}
	return out
}

// podSpec is where the pods of a workload that goes on are described; nil is none.
func podSpec(u *unstructured.Unstructured) []string {
	switch {
	case u.GetKind() == "Pod":
		return []string{"spec"}
	case kinds.Wave(u.GroupVersionKind().GroupKind()) != kinds.WaveWorkload, u.GetKind() == "Job": // one that has run holds nothing
		return nil
	}
	return []string{"spec", "template", "spec"}
}

// hostPorts are the ports of the nodes that the pods of a workload take, with their
// protocol where it is not TCP.
func hostPorts(u *unstructured.Unstructured) []string {
	path := podSpec(u)
	if path == nil {
		return nil
	}
	containers, _, err := unstructured.NestedSlice(u.Object, append(slices.Clone(path), "containers")...)
	if err != nil {
		return nil
	}
	onHost, _, _ := unstructured.NestedBool(u.Object, append(slices.Clone(path), "hostNetwork")...)
	var out []string
	for _, item := range containers {
		c, _ := item.(map[string]any)
		ports, _ := c["ports"].([]any)
		for _, item := range ports {
			port, _ := item.(map[string]any)
			number := port["hostPort"]
			if number == nil && onHost {
				number = port["containerPort"]
			}
			if number == nil {
				continue
			}
			name := fmt.Sprint(number)
			if protocol, _ := port["protocol"].(string); protocol != "" && protocol != "TCP" {
				name += "/" + protocol
			}
			out = append(out, name)
		}
	}
	return out
}

// exclusiveClaims are the claims that a workload mounts, or makes for its pods, and that
// one node or one pod alone can have at a time.
func (p *planner) exclusiveClaims(u *unstructured.Unstructured) []string {
	path := podSpec(u)
	if path == nil {
		return nil
	}
	var out []string
	add := func(name string, modes []string) {
		if len(modes) > 0 && !slices.ContainsFunc(modes, func(mode string) bool { return strings.HasSuffix(mode, "Many") }) {
			out = append(out, u.GetNamespace()+"/"+name)
		}
	}
	volumes, _, _ := unstructured.NestedSlice(u.Object, append(slices.Clone(path), "volumes")...)
	for _, item := range volumes {
		volume, _ := item.(map[string]any)
		if name, _, _ := unstructured.NestedString(volume, "persistentVolumeClaim", "claimName"); name != "" {
			add(name, p.claimModes(u.GetNamespace(), name))
		}
	}
	own := claimsOf(u)
	for _, name := range slices.Sorted(maps.Keys(own)) {
		add(name, own[name])
	}
	return out
}

// claimModes are the access modes of a claim that the environment has, or that what is on
// its way out has left; none where it is not known.
func (p *planner) claimModes(namespace, name string) []string {
	ref := schema.Ref{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: namespace, Name: name}
	if claim := p.desired[ref.ID()]; claim != nil {
		return accessModes(claim.obj.Object)
	}
	for i := range p.pruned {
		switch live := p.pruned[i].live; {
		case live == nil || live.GetNamespace() != namespace:
		case p.pruned[i].ID() == ref.ID():
			return accessModes(live.Object)
		case claimsOf(live)[name] != nil:
			return claimsOf(live)[name]
		}
	}
	return nil
}

func accessModes(claim map[string]any) []string {
	modes, _, _ := unstructured.NestedStringSlice(claim, "spec", "accessModes")
	return modes
}

// claimsOf are the claims that a StatefulSet makes for its pods, with their access modes.
func claimsOf(set *unstructured.Unstructured) map[string][]string {
	if set.GetKind() != "StatefulSet" {
		return nil
	}
	first, _, _ := unstructured.NestedInt64(set.Object, "spec", "ordinals", "start")
	pods, given, _ := unstructured.NestedInt64(set.Object, "spec", "replicas")
	if !given {
		pods = 1
	}
	templates, _, _ := unstructured.NestedSlice(set.Object, "spec", "volumeClaimTemplates")
	claims := map[string][]string{}
	for _, item := range templates {
		template, _ := item.(map[string]any)
		name, _, _ := unstructured.NestedString(template, "metadata", "name")
		for n := first; n < first+min(pods, mostPods); n++ {
			claims[fmt.Sprintf("%s-%s-%d", name, set.GetName(), n)] = accessModes(template)
		}
	}
	return claims
}

// mostPods bounds how many pods of a StatefulSet are looked at.
const mostPods = 1000
