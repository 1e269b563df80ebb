package lint

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// hostPort is a port of the node that pods take.
type hostPort struct {
	number   int64
	protocol string
	source   podSource
	path     typed.Path
}

func hostPorts(w *world) []hostPort {
	var found []hostPort
	for _, p := range w.pods {
		host := p.spec()["hostNetwork"] == true
		p.containers(func(c map[string]any, path typed.Path) {
			tree.Each(c["ports"], func(i int, port map[string]any) {
				field := "hostPort"
				if port["hostPort"] == nil && host {
					field = "containerPort"
				}
				if n, ok := port[field].(int64); ok && (host || field == "hostPort") {
					at := append(slices.Clip(path), "ports", i, field)
					found = append(found, hostPort{n, tree.Text(port["protocol"]), p, at})
				}
			})
		})
	}
	return found
}

// checkHostPorts: two pods cannot have one port of a node, and a DaemonSet that
// has one cannot surge: the new pod would wait for the old one for ever.
func checkHostPorts(w *world) {
	type key struct {
		number   int64
		protocol string
	}
	first := map[key]podSource{}
	for _, h := range hostPorts(w) {
		k := key{h.number, h.protocol}
		if other, ok := first[k]; ok && other.ref() != h.source.ref() {
			f := h.source.located.at("host-port", h.path...)
			f.Message = fmt.Sprintf("port %d of the node is taken by %s of unit %s too", h.number, other.ref(), other.unit.Name)
			w.report(f)
			continue
		}
		first[k] = h.source
		if h.source.Kind != "DaemonSet" {
			continue
		}
		surge := tree.At(h.source.Content, "spec", "updateStrategy", "rollingUpdate", "maxSurge")
		if surge != nil && surge != int64(0) && surge != "0" && surge != "0%" {
			f := h.source.located.at("host-port", "spec", "updateStrategy", "rollingUpdate", "maxSurge")
			f.Message = fmt.Sprintf("two pods cannot share port %d of a node: a rollout would wait for ever", h.number)
			f.Hint = "set maxSurge to 0 and maxUnavailable to 1"
			w.report(f)
		}
	}
}

// checkNodePorts: a port of the nodes leads to one Service.
func checkNodePorts(w *world) {
	first := map[string]located{}
	for _, n := range nodePorts(w) {
		if other, taken := first[n.key]; taken {
			f := n.service.at("node-port", n.path...)
			f.Message = fmt.Sprintf("port %s of the nodes is taken by %s of unit %s too", n.key, other.ref(), other.unit.Name)
			w.report(f)
			continue
		}
		first[n.key] = n.service
	}
}

// nodePort is a port of all nodes that a Service asks for, such as 30080/TCP.
type nodePort struct {
	key     string
	service located
	path    typed.Path
}

func nodePorts(w *world) []nodePort {
	var found []nodePort
	for _, o := range w.byKind["Service"] {
		tree.Each(tree.At(o.Content, "spec", "ports"), func(i int, port map[string]any) {
			if n, ok := port["nodePort"].(int64); ok {
				protocol := cmp.Or(tree.Text(port["protocol"]), "TCP")
				found = append(found, nodePort{fmt.Sprintf("%d/%s", n, protocol), o, typed.Path{"spec", "ports", i, "nodePort"}})
			}
		})
	}
	return found
}

// checkStrategies: a rollout that may have neither a pod more nor a pod less cannot
// begin; the server refuses it.
func checkStrategies(w *world) {
	none := func(v any) bool { return v == int64(0) || v == "0" || v == "0%" }
	for _, o := range w.byKind["Deployment"] {
		rolling := tree.Map(tree.At(o.Content, "spec", "strategy", "rollingUpdate"))
		if !none(rolling["maxSurge"]) || !none(rolling["maxUnavailable"]) {
			continue
		}
		f := o.at("strategy", "spec", "strategy", "rollingUpdate", "maxSurge")
		f.Message = "no pod more (maxSurge 0) and no pod less (maxUnavailable 0): a rollout could not begin"
		f.Hint = "allow one of them"
		w.report(f)
	}
}

// namedRegistry is one of the registries of an environment.
type namedRegistry struct {
	name string // empty for that of all apps that name none
	path typed.Path
	data map[string]any
}

func (w *world) registries() []namedRegistry {
	all := []namedRegistry{{path: typed.Path{"registry"}, data: w.env.Registry}}
	for _, name := range sortedKeys(w.env.Registries) {
		all = append(all, namedRegistry{name, typed.Path{"registries", name}, tree.Map(w.env.Registries[name])})
	}
	return all
}

// checkRegistry: a registry has servers, and apps that call others have a registry.
func checkRegistry(w *world) {
	there := map[string]bool{}
	for _, r := range w.registries() {
		there[r.name] = r.data["zookeeper"] != nil || r.data["nacos"] != nil
		for _, kind := range []string{"zookeeper", "nacos"} {
			if registry := tree.Map(r.data[kind]); registry != nil && len(tree.Texts(registry["servers"])) == 0 {
				w.report(Finding{
					Rule: "registry", Path: append(slices.Clip(r.path), kind),
					Message:  NoServers,
					Expected: "servers, each as host:port, here or as zookeeper of the site",
				})
			}
		}
	}
	for _, u := range w.env.Units {
		if u.Registers() && len(u.Consumes) > 0 && !there[tree.Text(u.at("registry"))] {
			w.report(Finding{
				Rule: "registry", Warning: true, Unit: u.Name, Path: typed.Path{"consumes"},
				Message: fmt.Sprintf("the environment has no registry in which %s finds %s", u.Name, strings.Join(u.Consumes, ", ")),
				Hint:    "registry: zookeeper: {}, or registry: nacos",
			})
		}
	}
}

// checkConsumes: whom an app calls is an app of the environment, and one that
// registers.
func checkConsumes(w *world) {
	var names []string
	types, registries := map[string]string{}, map[string]string{}
	for _, u := range w.env.Units {
		if u.App {
			names = append(names, u.Name)
			types[u.Name], registries[u.Name] = u.Type, tree.Text(u.at("registry"))
		}
	}
	missed := w.missed()
	for _, name := range sortedKeys(missed) {
		if by := missed[name]; len(by) > 1 { // that it is left out is the one mistake
			w.report(Finding{
				Rule: "consumes", Path: typed.Path{"apps", name, "enabled"},
				Message: fmt.Sprintf("left out of this environment, and %s consume it", enumerate(by)),
			})
		}
	}
	for _, u := range w.env.Units {
		for i, name := range u.Consumes {
			f := Finding{Rule: "consumes", Unit: u.Name, Path: typed.Path{"consumes", i}}
			kind, ok := types[name]
			switch {
			case len(missed[name]) > 1:
				continue
			case slices.Contains(w.env.Disabled, name):
				f.Message = LeftOut(name)
			case !ok:
				f.Message = fmt.Sprintf("no app %q in this environment", name)
				f.DidYouMean = typed.Closest(name, names)
			case strings.HasPrefix(u.Type, "Dubbo") && kind != "DubboProvider":
				f.Message = fmt.Sprintf("%s is a %s and provides nothing", name, kind)
				f.Expected = "a DubboProvider"
			case name == u.Name:
				f.Message = "an app does not consume itself"
			case u.Registers() && strings.HasPrefix(kind, "Dubbo") && registries[name] != registries[u.Name]:
				f.Message = fmt.Sprintf("%s registers elsewhere: %s would not find it", name, u.Name)
				f.Hint = "give both the same registry"
			default:
				continue
			}
			w.report(f)
		}
		w.checkRoutes(&u, names, missed)
	}
}

// missed are the units that consume one that the environment leaves out, by its name.
func (w *world) missed() map[string][]string {
	missed := map[string][]string{}
	for _, u := range w.env.Units {
		for _, name := range u.Consumes {
			if _, silenced := u.Silence["consumes"]; slices.Contains(w.env.Disabled, name) && !silenced {
				missed[name] = append(missed[name], u.Name)
			}
		}
		for _, route := range sortedKeys(tree.Map(u.at("routes"))) {
			to := tree.Text(u.at("routes", route, "to"))
			if _, silenced := u.Silence["consumes"]; u.Type == "Gateway" && slices.Contains(w.env.Disabled, to) && !silenced && !slices.Contains(missed[to], u.Name) {
				missed[to] = append(missed[to], u.Name)
			}
		}
	}
	return missed
}

func enumerate(names []string) string {
	n := len(names) - 1
	return strings.Join(names[:n], ", ") + " and " + names[n]
}

// LeftOut says that a unit which is referred to is one that the environment leaves out.
func LeftOut(name string) string {
	return fmt.Sprintf("%q "+LeftOutHere, name)
}

// checkRoutes: a gateway finds services by the name that they register with, as a
// rule that of an app.
func (w *world) checkRoutes(u *Unit, apps []string, missed map[string][]string) {
	if u.Type != "Gateway" {
		return
	}
	routes := tree.Map(u.at("routes"))
	for _, name := range sortedKeys(routes) {
		f := Finding{Rule: "consumes", Unit: u.Name, Path: typed.Path{"routes", name}}
		to := tree.Text(tree.At(routes[name], "to"))
		switch {
		case to == "" && tree.At(routes[name], "uri") == nil:
			f.Message, f.Expected = "the route leads nowhere", "to (a service that registers) or uri (an address)"
		case len(missed[to]) > 1:
			continue
		case slices.Contains(w.env.Disabled, to):
			f.Path, f.Message = append(f.Path, "to"), LeftOut(to)
		case to != "" && !slices.Contains(apps, to):
			f.Path, f.Warning = append(f.Path, "to"), true
			f.Message, f.DidYouMean = fmt.Sprintf("no app %q in this environment", to), typed.Closest(to, apps)
		default:
			continue
		}
		w.report(f)
	}
}

// checkShutdown: what a pod does before it stops must fit into the grace period,
// or it is killed in the middle of calls, and its registration stays until the
// session times out.
func checkShutdown(w *world) {
	for _, p := range w.pods {
		grace, ok := p.spec()["terminationGracePeriodSeconds"].(int64)
		if !ok {
			grace = 30
		}
		wait, _ := p.unit.at("dubbo", "shutdownSeconds").(int64)
		if spring, ok := p.unit.at("spring", "shutdownSeconds").(int64); ok {
			wait = spring
		}
		if !p.unit.App {
			wait = 0
		}
		p.containers(func(c map[string]any, _ typed.Path) {
			wait := max(wait, shutdownWait(c))
			stop, _ := tree.At(c, "lifecycle", "preStop", "sleep", "seconds").(int64)
			if stop == 0 {
				stop = sleeps(tree.Texts(tree.At(c, "lifecycle", "preStop", "exec", "command")))
			}
			if stop == 0 {
				stop, _ = p.unit.at("preStopSeconds").(int64)
			}
			if tree.At(c, "lifecycle", "preStop") == nil {
				stop = 0
			}
			if stop+wait < grace || stop == 0 && wait <= 30 {
				return
			}
			f := p.located.at("shutdown", p.at("spec", "terminationGracePeriodSeconds")...)
			f.Message = fmt.Sprintf("container %s stops in %d seconds before the signal and %d after it", tree.Text(c["name"]), stop, wait)
			f.Expected, f.Found = fmt.Sprintf("more than %d", stop+wait), fmt.Sprint(grace)
			w.report(f)
		})
	}
}

// shutdownOption matches how long an app waits for calls that are under way, in small
// letters: Dubbo in milliseconds, Spring in a unit that is milliseconds unless it is said.
var shutdownOption = regexp.MustCompile(`(?:dubbo[._]service[._]shutdown[._]wait|spring[._]lifecycle[._]timeout[-_.]?per[-_.]?shutdown[-_.]?phase)=(\d{1,9})(ms|s|m)?(?:$|[\s"'])`)

// shutdownWait is the longest such time in seconds that a variable, the command or an
// argument of the container says.
func shutdownWait(c map[string]any) int64 {
	texts := slices.Concat(tree.Texts(c["command"]), tree.Texts(c["args"]))
	tree.Each(c["env"], func(_ int, env map[string]any) {
		texts = append(texts, tree.Text(env["name"])+"="+tree.Text(env["value"]))
	})
	var wait int64
	for _, text := range texts {
		text = from(strings.ToLower(text), "shutdown", len("spring.lifecycle.timeout-per-")) // a variable has its name in capitals
		for _, m := range shutdownOption.FindAllStringSubmatch(text, -1) {
			n, _ := strconv.ParseInt(m[1], 10, 64) // at most nine digits
			switch m[2] {
			case "s":
			case "m":
				n *= 60
			default:
				n /= 1000
			}
			wait = max(wait, n)
		}
	}
	return wait
}

// from is a text from so many bytes before a word on, or nothing where it has no such
// word. An expression that begins with alternatives is tried at every letter, and options
// of a JVM are long.
func from(text, word string, before int) string {
	at := strings.Index(text, word)
	if at < 0 {
		return ""
	}
	return text[max(0, at-before):]
}

// sleepCommand matches sleep N, as a program or in the text of a shell.
var sleepCommand = regexp.MustCompile(`(?:^|[;&|({\s/"'])sleep\s+(\d{1,6})(?:\.\d{1,6})?([smh]?)(?:$|[;&|)}\s"'])`)

// sleeps is how many seconds a command sleeps.
func sleeps(command []string) int64 {
	unit := map[string]int64{"": 1, "s": 1, "m": 60, "h": 3600}
	var sum int64
	for _, m := range sleepCommand.FindAllStringSubmatch(from(strings.Join(command, " "), "sleep", 1), -1) {
		n, _ := strconv.ParseInt(m[1], 10, 64) // at most six digits
		sum += n * unit[m[2]]
	}
	return sum
}
