package lint

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// This file holds names that lead nowhere and settings without effect: the server
// takes them, and the pod waits for ever or the setting does nothing.

// checkProbes: a probe or hook that names a port means one of its container.
func checkProbes(w *world) {
	for _, p := range w.pods {
		p.containers(func(c map[string]any, path typed.Path) {
			var names []string
			tree.Each(c["ports"], func(_ int, port map[string]any) {
				if name := tree.Text(port["name"]); name != "" {
					names = append(names, name)
				}
			})
			for _, at := range [][]string{{"readinessProbe"}, {"livenessProbe"}, {"startupProbe"}, {"lifecycle", "preStop"}, {"lifecycle", "postStart"}} {
				for _, how := range []string{"httpGet", "tcpSocket"} {
					name, ok := tree.At(c, append(slices.Clone(at), how, "port")...).(string)
					if !ok || name == "" || slices.Contains(names, name) {
						continue
					}
					steps := slices.Clip(path)
					for _, step := range append(slices.Clone(at), how, "port") {
						steps = append(steps, step)
					}
					f := p.located.at("probe", steps...)
					f.Message = fmt.Sprintf("no port named %q in container %s: it would never answer", name, tree.Text(c["name"]))
					f.DidYouMean = typed.Closest(name, names)
					w.report(f)
				}
			}
			w.checkProbeNumbers(p, c, path)
		})
	}
}

// checkProbeNumbers: a container of an app that says which ports it listens on is asked
// on one of them, or on one that its command, an argument or a variable names. What
// others publish often has a port for its health that it does not list.
func (w *world) checkProbeNumbers(p podSource, c map[string]any, path typed.Path) {
	known := slices.Concat(tree.Texts(c["command"]), tree.Texts(c["args"]))
	tree.Each(c["env"], func(_ int, env map[string]any) { known = append(known, tree.Text(env["value"])) })
	var declared []string
	tree.Each(c["ports"], func(_ int, port map[string]any) { declared = append(declared, fmt.Sprint(port["containerPort"])) })
	if len(declared) == 0 || !p.unit.made() {
		return
	}
	for _, probe := range []string{"readinessProbe", "livenessProbe", "startupProbe"} {
		for _, how := range []string{"httpGet", "tcpSocket", "grpc"} {
			number, ok := tree.At(c, probe, how, "port").(int64)
			text := fmt.Sprint(number)
			if !ok || slices.Contains(declared, text) || slices.ContainsFunc(known, func(s string) bool { return strings.Contains(s, text) }) ||
				tree.Text(tree.At(c, probe, how, "host")) != "" {
				continue
			}
			f := p.located.at("probe", append(slices.Clip(path), probe, how, "port")...)
			f.Warning = true
			f.Message = fmt.Sprintf("container %s does not say that it listens on port %s", tree.Text(c["name"]), text)
			f.Expected = "one of " + strings.Join(declared, ", ")
			w.report(f)
		}
	}
}

// variable matches $(NAME), and $$(NAME), which stands for itself.
var variable = regexp.MustCompile(`\$?\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)`)

// readable matches the names of variables that programs read.
var readable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// checkVariables: $(NAME) in a variable's value means one that stands before it;
// another stays as it is written.
func checkVariables(w *world) {
	for _, p := range w.pods {
		p.containers(func(c map[string]any, path typed.Path) {
			at := map[string]int{}
			var names []string
			tree.Each(c["env"], func(i int, env map[string]any) {
				name := tree.Text(env["name"])
				at[name] = i
				names = append(names, name)
				if readable.MatchString(name) || name == "" || strings.Contains(name, "=") {
					return // what has none or an = is refused by the server
				}
				f := p.located.at("variable", append(slices.Clip(path), "env", i, "name")...)
				f.Warning = true
				f.Message, f.Found = "no shell reads a variable of this name", quote(name)
				w.report(f)
			})
			w.checkDashes(p, c, path)
			from := len(tree.List(c["envFrom"])) > 0
			tree.Each(c["env"], func(i int, env map[string]any) {
				value := tree.Text(env["value"])
				if strings.Contains(value, "{{") && helmTemplate.MatchString(value) {
					f := p.located.at("variable", append(slices.Clip(path), "env", i, "value")...)
					f.Warning = true
					f.Message, f.Hint = "a template of Helm, which nothing fills in here", "write the value"
					w.report(f)
				}
				if !strings.Contains(value, "$(") {
					return // as most, and to match long ones takes time
				}
				for _, m := range variable.FindAllStringSubmatch(value, -1) {
					j, known := at[m[1]]
					if strings.HasPrefix(m[0], "$$") || known && j < i || !known && (from || serviceVariable(m[1])) {
						continue
					}
					f := p.located.at("variable", append(slices.Clip(path), "env", i, "value")...)
					switch {
					case known && j == i:
						continue // of the image: PATH: "$(PATH):/x" is not expanded either, but seen at once
					case known:
						f.Message = fmt.Sprintf("$(%s) stands before the variable %s, and stays as it is written", m[1], m[1])
						f.Hint = "a variable may refer to those before it"
					default:
						f.Warning = true
						f.Message = fmt.Sprintf("no variable %s in this container: $(%s) stays as it is written", m[1], m[1])
						f.DidYouMean = typed.Closest(m[1], names)
					}
					w.report(f)
				}
			})
		})
	}
}

// helmTemplate matches what a chart is asked to fill in.
var helmTemplate = regexp.MustCompile(`\{\{-?\s*(?:\.(?:Values|Release|Chart|Capabilities)\b|include\s|tpl\s)`)

// checkDashes: an option begins with a dash, and not with a longer one that a word
// processor has made of it.
func (w *world) checkDashes(p podSource, c map[string]any, path typed.Path) {
	for _, field := range []string{"command", "args"} {
		for i, text := range tree.Texts(c[field]) {
			if dash, n := utf8.DecodeRuneInString(text); dash >= '‐' && dash <= '―' || dash == '−' {
				f := p.located.at("variable", append(slices.Clip(path), field, i)...)
				f.Warning = true
				f.Message = fmt.Sprintf("an option begins with -, and this with %q (%U)", string(dash), dash)
				f.DidYouMean = "--" + text[n:]
				w.report(f)
			}
		}
	}
}

// serviceVariable says whether the kubelet may make the variable for a Service.
func serviceVariable(name string) bool {
	return strings.Contains(name, "_SERVICE_") || strings.Contains(name, "_PORT") || strings.HasPrefix(name, "KUBERNETES_")
}

// checkContainers: a patch that names no container of the pod adds one.
func checkContainers(w *world) {
	for _, p := range w.pods {
		var names []string
		p.containers(func(c map[string]any, _ typed.Path) {
			if tree.Text(c["image"]) != "" {
				names = append(names, tree.Text(c["name"]))
			}
		})
		p.containers(func(c map[string]any, path typed.Path) {
			if tree.Text(c["image"]) != "" {
				return
			}
			name := tree.Text(c["name"])
			f := p.located.at("container", path...)
			f.Message = fmt.Sprintf("the container %q has no image", name)
			if len(names) > 0 {
				f.Hint = "a patch of a container that is not there adds one; this pod has " + strings.Join(names, ", ")
			}
			f.DidYouMean = typed.Closest(name, names)
			w.report(f)
		})
	}
}

// checkContainerPorts: containers of a pod share its address, and only one of them can
// listen on a port.
func checkContainerPorts(w *world) {
	type key struct {
		number   any
		protocol string
	}
	for _, p := range w.pods {
		takes := map[key]string{}
		tree.Each(p.spec()["containers"], func(i int, c map[string]any) {
			name := tree.Text(c["name"])
			tree.Each(c["ports"], func(j int, port map[string]any) {
				k := key{port["containerPort"], cmp.Or(tree.Text(port["protocol"]), "TCP")}
				if other := takes[k]; other != "" && other != name {
					f := p.located.at("container", p.at("spec", "containers", i, "ports", j, "containerPort")...)
					f.Warning = true
					if label := tree.Text(port["name"]); label != "" && i > 0 && p.unit.made() {
						f.Path, f.Key = typed.Path{"sidecars", name, "ports", label}, ""
					}
					f.Message = fmt.Sprintf("the container %s has port %v of the pod already: %s cannot listen there", other, k.number, name)
					w.report(f)
					return
				}
				takes[k] = name
			})
		})
	}
}

// checkPolicies: a NetworkPolicy for pods that are not there protects nothing.
func checkPolicies(w *world) {
	for _, o := range w.byKind["NetworkPolicy"] {
		raw := tree.Map(tree.At(o.Content, "spec", "podSelector"))
		selector, err := selectorOf(raw)
		if len(raw) == 0 || err != nil || w.selectsAny(o.Namespace, selector, tree.Map(raw["matchLabels"])) || w.madeByOperator(o, selector) {
			continue
		}
		f := o.at("selector", "spec", "podSelector")
		f.Warning = true
		f.Message, f.Found = "selects no pod of this environment", selector.String()
		w.meantLabel(&f, o, tree.Map(raw["matchLabels"]), "matchLabels")
		w.report(f)
	}
}

// checkBudgets: a budget that lets no pod go stops every drain of a node.
func checkBudgets(w *world) {
	for _, o := range w.byKind["PodDisruptionBudget"] {
		most, least := tree.At(o.Content, "spec", "maxUnavailable"), tree.At(o.Content, "spec", "minAvailable")
		f := o.at("disruption-budget", "spec", "maxUnavailable")
		switch {
		case most == int64(0) || most == "0" || most == "0%":
		case least == "100%", w.staysAll(o, least):
			f.Path = typed.Path{"spec", "minAvailable"}
		default:
			continue
		}
		f.Warning = true
		f.Message = "no pod may go: a node with one of them cannot be drained"
		w.report(f)
	}
}

// staysAll says whether as many pods must stay as the unit's workload has.
func (w *world) staysAll(budget located, least any) bool {
	n, ok := least.(int64)
	return ok && slices.ContainsFunc(w.pods, func(p podSource) bool {
		replicas, set := tree.At(p.Content, "spec", "replicas").(int64)
		return p.unit == budget.unit && set && replicas > 0 && n >= replicas && p.Namespace == budget.Namespace &&
			matches(tree.Map(tree.At(budget.Content, "spec", "selector", "matchLabels")), p.labels())
	})
}

// checkReplicas: what a number of pods makes pointless, or impossible.
func checkReplicas(w *world) {
	for _, o := range w.byKind["StatefulSet"] {
		partition, ok := tree.At(o.Content, "spec", "updateStrategy", "rollingUpdate", "partition").(int64)
		replicas, set := tree.At(o.Content, "spec", "replicas").(int64)
		if !set {
			replicas = 1
		}
		if ok && partition > 0 && partition >= replicas {
			f := o.at("partition", "spec", "updateStrategy", "rollingUpdate", "partition")
			f.Warning = true
			f.Message, f.Found = fmt.Sprintf("of %d pods none is updated: their numbers are all below the partition", replicas), fmt.Sprint(partition)
			w.report(f)
		}
	}
	for _, p := range w.pods {
		replicas, _ := tree.At(p.Content, "spec", "replicas").(int64)
		if p.Kind != "Deployment" {
			continue
		}
		tree.Each(p.spec()["volumes"], func(i int, v map[string]any) {
			name := tree.Text(tree.At(v, "persistentVolumeClaim", "claimName"))
			claim, ok := w.byID[id{"PersistentVolumeClaim", p.Namespace, name}]
			if !ok {
				return
			}
			modes := tree.Texts(tree.At(claim.Content, "spec", "accessModes"))
			if slices.Contains(modes, "ReadWriteMany") || slices.Contains(modes, "ReadOnlyMany") {
				return
			}
			f := p.located.at("claim", p.at("spec", "volumes", i)...)
			f.Warning = true
			alone := slices.Contains(modes, "ReadWriteOncePod")
			switch {
			case replicas > 1 && alone:
				f.Message = fmt.Sprintf("%d pods share the claim %s, which one pod may have at a time: the others wait for ever", replicas, name)
				f.Hint = "one replica, a claim with ReadWriteMany, or a StatefulSet with a claim for each pod"
			case replicas > 1:
				f.Message = fmt.Sprintf("%d pods share the claim %s, which one node may have at a time: pods on another wait for ever", replicas, name)
				f.Hint = "one replica, a claim with ReadWriteMany, or a StatefulSet with a claim for each pod"
			case alone && surges(p):
				f.Message = fmt.Sprintf("one pod may have the claim %s at a time, and the old one stays until the new one is ready: a rollout waits for ever", name)
				f.Hint = `strategy: type: "Recreate"`
			default:
				return
			}
			w.report(f)
		})
	}
}

// surges says whether a Deployment makes a new pod before it takes an old one away, and
// takes none away before.
func surges(p podSource) bool {
	strategy := tree.Map(tree.At(p.Content, "spec", "strategy"))
	if tree.Text(strategy["type"]) == "Recreate" {
		return false
	}
	most := func(name string) int {
		value := intstr.FromString("25%")
		switch v := tree.At(strategy, "rollingUpdate", name).(type) {
		case int64:
			value = intstr.FromInt32(int32(min(v, math.MaxInt32)))
		case string:
			value = intstr.Parse(v)
		}
		n, err := intstr.GetScaledValueFromIntOrPercent(&value, 1, name == "maxSurge") // of one pod, as the controller rounds it
		if err != nil {
			return 0
		}
		return n
	}
	return most("maxSurge") > 0 && most("maxUnavailable") == 0
}

// checkScopes: a kind of the whole cluster has no namespace.
func checkScopes(w *world) {
	for _, o := range w.objects {
		if o.Namespace == "" {
			continue
		}
		gv, err := schema.ParseGroupVersion(tree.Text(o.Content["apiVersion"]))
		if err != nil || !typed.ClusterScoped(schema.GroupKind{Group: gv.Group, Kind: o.Kind}) {
			continue
		}
		f := o.at("namespace", "metadata", "namespace")
		f.Message, f.Found = fmt.Sprintf("a %s belongs to the whole cluster and has no namespace", o.Kind), quote(o.Namespace)
		w.report(f)
	}
}

// maxObject is what etcd takes in one request (--max-request-bytes), less a little
// for what the server adds.
const maxObject = 1_500_000

// checkSizes: an object that is too large is refused by the store of the server.
func checkSizes(w *world) {
	for _, o := range w.objects {
		if n := size(o.Content); n > maxObject {
			f := o.at("size")
			f.Message, f.Expected = fmt.Sprintf("%s has %d bytes: the API server cannot store it", o.ref(), n), "1.5 MB at most"
			w.report(f)
		}
	}
}

// checkUnits: a quantity without its unit is a number of bytes, or of whole CPUs.
func checkUnits(w *world) {
	leastMemory, mostCPU := leastMemory(), resource.MustParse("200")
	for _, p := range w.pods {
		p.containers(func(c map[string]any, path typed.Path) {
			for _, name := range []string{"memory", "cpu"} {
				for _, field := range []string{"requests", "limits"} {
					text := tree.Text(tree.At(c, "resources", field, name))
					q, err := resource.ParseQuantity(text)
					f := p.located.at("size", append(slices.Clip(path), "resources", field, name)...)
					f.Warning, f.Found = true, quote(text)
					switch {
					case err != nil:
						continue
					case name == "memory" && q.Sign() > 0 && q.Cmp(leastMemory) < 0:
						f.Message, f.Expected = "a few bytes of memory: no container starts with them", "a unit, such as 256Mi"
						limit, err := resource.ParseQuantity(tree.Text(tree.At(c, "resources", "limits", "memory")))
						f.Warning = err != nil || limit.Cmp(leastMemory) >= 0 // what is asked for alone does no harm
					case name == "cpu" && q.Cmp(mostCPU) >= 0:
						f.Message, f.Expected = "so many whole CPUs: no node has them", "thousandths, such as 250m"
					default:
						continue
					}
					w.report(f)
					break // a limit is that of the request, as a rule
				}
			}
		})
	}
}

// leastMemory is less than any container needs to start.
func leastMemory() resource.Quantity { return resource.MustParse("1Mi") }

// size is about what the value takes as JSON.
func size(v any) int {
	switch v := v.(type) {
	case map[string]any:
		n := 2
		for key, item := range v {
			n += len(key) + 4 + size(item)
		}
		return n
	case []any:
		n := 2
		for _, item := range v {
			n += 1 + size(item)
		}
		return n
	case string:
		return len(v) + 2
	}
	return 4
}

// checkNamespaces: a namespace that is nearly one of those of the cluster's environments
// was meant to be that one.
func checkNamespaces(worlds []*world) {
	made := map[string][]string{} // by cluster
	for _, w := range worlds {
		made[w.env.Cluster] = append(made[w.env.Cluster], w.env.Namespace, "default", "kube-system", "kube-public")
		for _, o := range w.byKind["Namespace"] {
			made[w.env.Cluster] = append(made[w.env.Cluster], o.Name)
		}
	}
	for _, w := range worlds {
		w.checkForeign(worlds)
		for _, o := range w.objects {
			known := made[w.env.Cluster]
			near := typed.Closest(o.Namespace, known)
			if o.Namespace == "" || near == "" || slices.Contains(known, o.Namespace) {
				continue
			}
			f := o.at("namespace", "metadata", "namespace")
			f.Warning = true
			f.Message, f.DidYouMean = fmt.Sprintf("no environment of this cluster makes the namespace %q", o.Namespace), near
			w.report(f)
		}
	}
}

// serviceName matches the name of a Service of another namespace in an address.
var serviceName = regexp.MustCompile(`(?:^|[/@,=\s])([a-z0-9][-a-z0-9]*)\.([a-z0-9][-a-z0-9]*)(?:\.svc(?:\.[-a-z0-9.]+)?)?(?:[:/,\s]|$)`)

// checkForeign: an app makes nothing in the namespace of another environment, and calls
// nothing there, unless that is one that its own comes after.
func (w *world) checkForeign(worlds []*world) {
	other := map[string]*world{} // by namespace
	for _, o := range worlds {
		if o != w && o.env.Cluster == w.env.Cluster && o.env.Namespace != w.env.Namespace && !slices.Contains(w.env.After, o.env.Name) {
			other[o.env.Namespace] = o
		}
	}
	if len(other) == 0 {
		return
	}
	for _, o := range w.objects {
		if of := other[o.Namespace]; of != nil && o.unit.App {
			f := o.at("namespace", "metadata", "namespace")
			f.Warning = true
			f.Message = fmt.Sprintf("the namespace %s is that of environment %s", o.Namespace, of.env.Name)
			f.Hint = "what that environment needs stands in it; without a namespace, the object is in that of its own"
			w.report(f)
		}
	}
	for _, p := range w.pods {
		p.containers(func(c map[string]any, path typed.Path) {
			tree.Each(c["env"], func(i int, env map[string]any) {
				value := tree.Text(env["value"])
				if !p.unit.App || !strings.Contains(value, ".") {
					return
				}
				for _, m := range serviceName.FindAllStringSubmatch(value, -1) {
					of := other[m[2]]
					if of == nil {
						continue
					}
					if _, made := of.byID[id{"Service", m[2], m[1]}]; !made {
						continue
					}
					f := p.located.at("namespace", append(slices.Clip(path), "env", i, "value")...)
					f.Warning = true
					f.Message = fmt.Sprintf("%s.%s is a Service of environment %s", m[1], m[2], of.env.Name)
					f.Hint = "name the one of this environment, or say that it comes after that one: after"
					w.report(f)
				}
			})
		})
	}
}

// checkController: what the network policies let in is a controller that is there.
func checkController(worlds []*world) {
	for _, w := range worlds {
		controller := tree.Map(w.env.NetworkPolicy["controller"])
		labels, namespace := tree.Map(controller["podLabels"]), tree.Text(controller["namespace"])
		if len(labels) == 0 || len(w.broken) > 0 || w.mistaken {
			continue
		}
		var there, others []string
		for _, o := range worlds {
			for _, p := range o.pods {
				if o.env.Cluster != w.env.Cluster || p.Namespace != namespace {
					continue
				}
				if there = append(there, p.ref()); matches(labels, p.labels()) {
					others = nil
					there = append(there, "")
					break
				}
				for key := range labels {
					if value := tree.Text(p.labels()[key]); value != "" {
						others = append(others, value)
					}
				}
			}
		}
		if len(there) == 0 || slices.Contains(there, "") {
			continue
		}
		f := Finding{Rule: "network", Warning: true, Path: typed.Path{"networkPolicy", "controller", "podLabels"}}
		f.Message = fmt.Sprintf("no pod of namespace %s has these labels: nobody reaches the hosts of the apps", namespace)
		for _, key := range sortedKeys(labels) {
			if near := typed.Closest(tree.Text(labels[key]), others); len(labels) == 1 {
				f.Path = append(f.Path, key)
				f.Found, f.DidYouMean = quote(tree.Text(labels[key])), near
			}
		}
		w.report(f)
	}
}

// checkNacosPorts: clients of Nacos 2 open a second connection, to the port 1000
// above; an address that offers only the first leaves them without a registry.
func checkNacosPorts(worlds []*world) {
	type offer struct{ cluster, host string }
	ports := map[offer]map[string]bool{}
	nodes := map[string]map[string]bool{} // by cluster
	for _, w := range worlds {
		if nodes[w.env.Cluster] == nil {
			nodes[w.env.Cluster] = map[string]bool{}
		}
		for _, n := range nodePorts(w) {
			nodes[w.env.Cluster][strings.TrimSuffix(n.key, "/TCP")] = true
		}
		for _, o := range w.byKind["Service"] {
			at := offer{w.env.Cluster, o.Name + "." + o.Namespace}
			ports[at] = map[string]bool{}
			tree.Each(tree.At(o.Content, "spec", "ports"), func(_ int, p map[string]any) { ports[at][fmt.Sprint(p["port"])] = true })
		}
	}
	for _, w := range worlds {
		for i, server := range tree.Texts(tree.At(w.env.Registry["nacos"], "servers")) {
			host, port, _ := strings.Cut(server, ":")
			var number int
			if _, err := fmt.Sscan(port, &number); err != nil {
				continue
			}
			labels := append(strings.Split(host, "."), w.env.Namespace)
			offered, service := ports[offer{w.env.Cluster, labels[0] + "." + labels[1]}]
			grpc := fmt.Sprint(number + 1000)
			f := Finding{Rule: "registry", Path: typed.Path{"registry", "nacos", "servers", i}, Found: quote(server)}
			switch {
			case number == 80 || number == 443:
				f.Warning = true
				f.Message = fmt.Sprintf("clients of Nacos 2 need port %s as well, which an Ingress does not give them", grpc)
				f.Hint = "name the Service of Nacos, such as nacos.NAMESPACE:8848"
			case service && offered[port] && !offered[grpc]:
				f.Message = fmt.Sprintf("clients of Nacos 2 need port %s as well, and the Service has none", grpc)
			case !service && nodes[w.env.Cluster][port] && !nodes[w.env.Cluster][grpc]:
				f.Message = fmt.Sprintf("clients of Nacos 2 need port %s of the nodes as well, and no Service takes it", grpc)
			default:
				continue
			}
			w.report(f)
		}
	}
}
