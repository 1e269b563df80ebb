package importer

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/seed-428f4edd/evenkeel/render/internal/crd"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// Import is what becomes of a set of objects.
type Import struct {
	Units []Unit
	// charts are those that objects of other tools ask for; they have no objects here.
	charts []Unit
	// Secrets are left out; the environment declares them with their keys.
	Secrets []Secret
	// Absent are objects that others refer to and that are not among them; the environment
	// declares them.
	Absent []lint.Absent
	// Left are objects that are not imported, each with the reason.
	Left []string
	// Notes are what else was changed, each with the reason.
	Notes []string
	// Level is the Pod Security level that the environment's Namespace enforces.
	Level string
	// Labels and Annotations are what else the Namespace has: a mesh, say, injects by them.
	Labels, Annotations map[string]any

	// Upgraded are objects of API versions that are gone, each with its successor.
	Upgraded []string

	objects     []Object // those of all units
	opts        Options
	kinds       *typed.Kinds
	definitions crd.Set
	from        map[string]string // where an object was read, by its identity
	original    map[string]Object // as it was read
	hooks       map[string]string // the unit of a hook, by the identity of the object
	whole       map[string]string // why a workload is no app of a type, by its name
}

// Namespace is that of the environment, "" where the objects do not say.
func (imp *Import) Namespace() string { return imp.opts.Namespace }

// Unit is one unit: an app of a type, or whole objects.
type Unit struct {
	Name string
	// Type is that of the schema; Objects has nothing but whole objects.
	Type string
	// Objects are those that the type does not make, by key.
	Objects map[string]Object
	// Definitions are the keys of those that stand in files of their own.
	Definitions []string
	// Reloads are the keys of what pods read that shall go on running when it changes.
	Reloads []string
	// Recreate are the keys of Jobs that a change makes anew.
	Recreate []string
	// After are the units that are applied before this one.
	After []string
	// Silence are rules that are off, each with the reason.
	Silence map[string]string

	app     *app
	release *release
	patch   map[string]map[string]any // by the key of the object
	text    []byte                    // the source, where nothing changed since it was written
}

// Secret names a Secret and its keys, never its values.
type Secret struct {
	Name, Namespace string
	Keys            []string
}

// Options say where objects come from and where they go.
type Options struct {
	// Namespace is that of the environment; "" is the one that all objects name, or
	// else the name of the environment.
	Namespace string
	Env       string
	Live      bool // from a cluster: without what the server fills in
	Whole     bool // no apps of a type
}

// namespace keeps what the environment does not say of its Namespace by itself. The
// namespaces of the cluster are not made by environments.
func (imp *Import) namespace(obj Object) {
	switch imp.opts.Namespace {
	case "default", "kube-system", "kube-public", "kube-node-lease":
		return
	}
	clean(obj)
	imp.Labels, imp.Annotations = mapping(obj, "metadata", "labels"), mapping(obj, "metadata", "annotations")
	for _, own := range []string{"kubernetes.io/metadata.name", "pod-security.kubernetes.io/enforce"} {
		delete(imp.Labels, own)
	}
	drop(imp.Labels, Object{"pod-security.kubernetes.io/audit": "restricted"})
}

// plan sorts the objects into units: an app of a type for each workload that one
// comes near, with what belongs to it alone, and the others by the app that they
// say they belong to.
func (imp *Import) plan() {
	units := map[string]*Unit{}
	unit := func(name string) *Unit {
		if units[name] == nil {
			units[name] = &Unit{Name: name, Type: "Objects", Objects: map[string]Object{}, Silence: map[string]string{}}
		}
		return units[name]
	}
	workloads := map[string][]string{} // by the group that they say they belong to
	made := map[uintptr]bool{}
	byName := map[string][]Object{}
	for _, obj := range imp.objects {
		name := text(obj, "metadata", "name")
		byName[name] = append(byName[name], obj)
	}
	for _, obj := range imp.objects {
		if a := imp.appOf(obj, units, byName, made); a != nil {
			u := unit(a.name)
			u.Type, u.app = a.typ, a
			workloads[unitName(obj)] = append(workloads[unitName(obj)], a.name)
			for _, o := range a.made {
				made[pointer(o)] = true
			}
		}
	}
	users, read := usersOf(units), imp.reads()
	for _, obj := range imp.objects {
		if made[pointer(obj)] {
			continue
		}
		group := unitName(obj)
		if apps := workloads[group]; len(apps) == 1 && group != others {
			group = apps[0]
		}
		if mapping(obj, "metadata")["namespace"] == nil && group == others {
			if by := users[used{"", text(obj, "kind"), text(obj, "metadata", "name")}]; len(by) == 1 {
				group = by[0]
			}
		}
		hook := imp.hooks[imp.identity(obj)]
		u := unit(cmp.Or(hook, group))
		key := freeKey(u.Objects, obj)
		u.Objects[key] = obj
		switch kind := text(obj, "kind"); {
		case kind == crd.Kind && fileName(text(obj, "metadata", "name")):
			u.Definitions = append(u.Definitions, key)
		case kind == "Job" && hook != "":
			u.Recreate = append(u.Recreate, key)
		case (kind == "ConfigMap" || kind == "Secret") && read[used{text(obj, "metadata", "namespace"), kind, text(obj, "metadata", "name")}]:
			u.Reloads = append(u.Reloads, key)
		}
	}
	imp.Units = nil
	names := slices.Sorted(maps.Keys(units))
	for _, name := range names {
		u := units[name]
		slices.Sort(u.Reloads)
		if units[hooksBefore] != nil && name != hooksBefore {
			u.After = append(u.After, hooksBefore)
		}
		if name == hooksAfter {
			u.After = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == hooksAfter })
		}
		imp.Units = append(imp.Units, *u)
	}
	imp.Units = append(imp.Units, imp.charts...)
	slices.SortFunc(imp.Secrets, func(a, b Secret) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace))
	})
}

// appOf maps a workload to a type; where none comes near, it keeps the reason.
func (imp *Import) appOf(obj Object, units map[string]*Unit, byName map[string][]Object, made map[uintptr]bool) *app {
	name := text(obj, "metadata", "name")
	if !isWorkload(obj) || imp.opts.Whole || imp.hooks[imp.identity(obj)] != "" || imp.whole[workloadName(obj)] != "" {
		return nil
	}
	if units[name] != nil {
		imp.whole[workloadName(obj)] = "another workload has its name"
		return nil
	}
	// What a type makes has the name of the workload, or is a claim that its pods name.
	near := slices.Clone(byName[name])
	for _, pod := range podSpecs(obj) {
		claims := map[string]bool{name: true}
		eachUsed(pod, func(kind, claim string) {
			if kind == "PersistentVolumeClaim" && !claims[claim] {
				claims[claim] = true
				near = append(near, byName[claim]...)
			}
		})
	}
	near = slices.DeleteFunc(near, func(o Object) bool { return made[pointer(o)] })
	a, why := appOf(imp.kinds, obj, near)
	if a == nil {
		imp.whole[workloadName(obj)] = why
	}
	return a
}

// workloadName names a workload in messages and in the list of those that stay whole.
func workloadName(obj Object) string {
	name := text(obj, "metadata", "name")
	if ns := text(obj, "metadata", "namespace"); ns != "" {
		name = ns + "/" + name
	}
	return name + " (" + text(obj, "kind") + ")"
}

func pointer(obj Object) uintptr { return reflect.ValueOf(obj).Pointer() }

func (imp *Import) identity(obj Object) string { return identity(obj, imp.opts.Namespace) }

// reads are the ConfigMaps and Secrets that pods of the import read when they start: a
// rendering marks their template with a hash of them, which would restart them.
func (imp *Import) reads() map[used]bool {
	read := map[used]bool{}
	for _, o := range imp.objects {
		if text(o, "kind") == "Pod" || text(o, "kind") == "Job" {
			continue
		}
		for _, pod := range podSpecs(o) {
			eachUsed(pod, func(kind, name string) { read[used{text(o, "metadata", "namespace"), kind, name}] = true })
		}
	}
	return read
}

// fileName says whether a name can be that of a file: one of DNS.
func fileName(name string) bool {
	return len(validation.IsDNS1123Subdomain(name)) == 0
}

// usersOf are the apps whose pods name a ConfigMap, a claim or a ServiceAccount.
func usersOf(units map[string]*Unit) map[used][]string {
	users := map[used][]string{}
	for _, u := range units {
		if u.app == nil {
			continue
		}
		add := func(kind, name string) {
			if by := users[used{"", kind, name}]; kind != "Secret" && name != "" && !slices.Contains(by, u.Name) {
				users[used{"", kind, name}] = append(by, u.Name)
			}
		}
		for _, o := range u.app.made {
			for _, pod := range podSpecs(o) {
				add("ServiceAccount", text(pod, "serviceAccountName"))
				eachUsed(pod, add)
			}
		}
	}
	return users
}

// leftOut says why an object is not imported.
func leftOut(obj Object, opts Options) string {
	if why := notRun(obj); why != "" {
		return why
	}
	if len(list(obj, "metadata", "ownerReferences")) > 0 {
		return "made by " + text(list(obj, "metadata", "ownerReferences")[0], "kind")
	}
	kind, name := text(obj, "kind"), text(obj, "metadata", "name")
	switch kind {
	case "Event", "Endpoints", "EndpointSlice", "Lease", "ControllerRevision", "PodMetrics":
		return "made by the cluster"
	case "Pod":
		if opts.Live {
			return "a pod of its own: give it a Deployment"
		}
	case "ConfigMap":
		if name == "kube-root-ca.crt" || name == "istio-ca-root-cert" {
			return "made by the cluster"
		}
		if strings.HasPrefix(text(mapping(obj, "metadata", "labels"), "evenkeel.dev/part"), "state") {
			return "the record of evenkeel"
		}
	case "ServiceAccount":
		if name == "default" {
			return "made by the cluster"
		}
	case "Secret":
		switch t := text(obj, "type"); {
		case strings.HasPrefix(t, "helm.sh/"):
			return "the record of helm"
		case t == "kubernetes.io/service-account-token" && len(mapping(obj, "data")) > 0, t == "bootstrap.kubernetes.io/token":
			return "made by the cluster"
		}
	}
	return ""
}

func secret(obj Object, opts Options) Secret {
	s := Secret{Name: text(obj, "metadata", "name"), Namespace: text(obj, "metadata", "namespace")}
	if s.Namespace == opts.Namespace {
		s.Namespace = ""
	}
	for _, field := range []string{"data", "stringData"} {
		for key := range mapping(obj, field) {
			if !slices.Contains(s.Keys, key) {
				s.Keys = append(s.Keys, key)
			}
		}
	}
	slices.Sort(s.Keys)
	return s
}

// unitName is the app that an object says it belongs to, by the usual labels;
// else others.
func unitName(obj Object) string {
	labels := mapping(obj, "metadata", "labels")
	for _, label := range []string{"app.kubernetes.io/instance", "app.kubernetes.io/name", "k8s-app", "app"} {
		if name := strings.ToLower(text(labels, label)); unitForm(name) {
			return name
		}
	}
	return others
}

// others is the unit of objects that say of no app that they belong to it.
const others = "others"

// unitForm says whether a name can be that of a unit; "environment" is the
// environment's own, and an app with the name "objects" reads like a field.
func unitForm(name string) bool {
	if name == "" || len(name) > 63 || name == "environment" || name == "objects" {
		return false
	}
	for i, r := range name {
		if ('a' > r || r > 'z') && ('0' > r || r > '9') && (r != '-' || i <= 0 || i >= len(name)-1) {
			return false
		}
	}
	return true
}

// freeKey is the key of an object in its unit: kind and name, and the namespace
// or a number where that is taken.
func freeKey(taken map[string]Object, obj Object) string {
	kind := text(obj, "kind")
	key := strings.ToLower(kind[:1]) + kind[1:] + "-" + text(obj, "metadata", "name")
	if _, ok := taken[key]; !ok {
		return key
	}
	if ns := text(obj, "metadata", "namespace"); ns != "" {
		key += "-" + ns
	}
	for n, try := 2, key; ; n++ {
		if _, ok := taken[try]; !ok {
			return try
		}
		try = fmt.Sprintf("%s-%d", key, n)
	}
}

// Len is how many objects are imported.
func (imp *Import) Len() int { return len(imp.objects) }

// Typed says whether there are apps of a type, or charts.
func (imp *Import) Typed() bool {
	return slices.ContainsFunc(imp.Units, func(u Unit) bool { return u.app != nil || u.release != nil })
}

// Apps lists the apps of a type, each with it.
func (imp *Import) Apps() string {
	var names []string
	for _, u := range imp.Units {
		if u.app != nil {
			names = append(names, u.Name+" ("+u.Type+")")
		}
	}
	return strings.Join(names, ", ")
}

// Whole lists the workloads that stay whole objects, each with the reason; those of
// another namespace in one line.
func (imp *Import) Whole() []string {
	if imp.opts.Whole {
		return nil
	}
	var all []string
	elsewhere := map[string]int{}
	for _, obj := range imp.objects {
		why := imp.whole[workloadName(obj)]
		switch ns := text(obj, "metadata", "namespace"); {
		case why == "":
		case ns != "" && keyOf(text(obj, "kind")) != "":
			elsewhere[ns]++
		default:
			all = append(all, workloadName(obj)+": "+why)
		}
	}
	slices.Sort(all)
	for _, ns := range slices.Sorted(maps.Keys(elsewhere)) {
		all = append(all, fmt.Sprintf("%s in namespace %s, which is not that of the environment", some(elsewhere[ns], "workload", "workloads"), ns))
	}
	return slices.Compact(all)
}

// strangers are the namespaces, beside the environment's, that nothing here makes.
func (imp *Import) strangers() []string {
	missing := map[string]bool{}
	for _, obj := range imp.objects {
		if ns := text(obj, "metadata", "namespace"); ns != "" && !strings.HasPrefix(ns, "kube-") && ns != "default" {
			missing[ns] = true
		}
	}
	for _, obj := range imp.objects {
		if text(obj, "kind") == "Namespace" {
			delete(missing, text(obj, "metadata", "name"))
		}
	}
	delete(missing, imp.opts.Namespace) // the environment makes it
	var notes []string
	for _, ns := range slices.Sorted(maps.Keys(missing)) {
		notes = append(notes, fmt.Sprintf("namespace %s: nothing here makes it", ns))
	}
	return notes
}
