package importer

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// Import is what becomes of a set of objects.
type Import struct {
	Units []Unit
	// Secrets are left out; the environment declares them with their keys.
	Secrets []Secret
	// Left are objects that are not imported, each with the reason.
	Left []string
	// Level is the Pod Security level that the environment's Namespace enforces.
	Level string
	// Labels and Annotations are what else the Namespace has: a mesh, say, injects by them.
	Labels, Annotations map[string]any

	// Upgraded are objects of API versions that are gone, each with its successor.
	Upgraded []string

	objects []Object // those of all units
	opts    Options
	kinds   *typed.Kinds
	whole   map[string]bool // names of workloads that no type renders alike
}

// Unit is one unit: an app of a type, or whole objects.
type Unit struct {
	Name string
	// Type is that of the schema; Objects has nothing but whole objects.
	Type string
	// Objects are those that the type does not make, by key.
	Objects map[string]Object
	// Silence are rules that are off, each with the reason.
	Silence map[string]string

	app   *app
	patch map[string]map[string]any // by the key of the object
}

// Secret names a Secret and its keys, never its values.
type Secret struct {
	Name, Namespace string
	Keys            []string
}

// Options say where objects come from and where they go.
type Options struct {
	Namespace string // of the environment
	Live      bool   // from a cluster: without what the server fills in
	Whole     bool   // no apps of a type
}

// Objects sorts objects into units. Those that others make (controllers, the
// server itself) are left out, as are Secrets: their values never reach a file.
func Objects(objs []Object, opts Options) *Import {
	imp := &Import{Level: "privileged", opts: opts, kinds: typed.New(), whole: map[string]bool{}}
	for _, obj := range objs {
		if reason := leftOut(obj, opts); reason != "" {
			imp.Left = append(imp.Left, ref(obj)+": "+reason)
			continue
		}
		switch {
		case text(obj, "kind") == "Secret" && text(obj, "apiVersion") == "v1":
			imp.Secrets = append(imp.Secrets, secret(obj, opts))
			continue
		case text(obj, "kind") == "Namespace" && text(obj, "metadata", "name") == opts.Namespace:
			if level := text(mapping(obj, "metadata", "labels"), "pod-security.kubernetes.io/enforce"); level != "" {
				imp.Level = level
			}
			imp.namespace(obj)
			imp.Left = append(imp.Left, ref(obj)+": the environment makes it")
			continue
		}
		clean(obj)
		if old := upgrade(obj); old != "" {
			imp.Upgraded = append(imp.Upgraded, fmt.Sprintf("%s: from %s to %s", ref(obj), old, text(obj, "apiVersion")))
		}
		if opts.Live {
			dropDefaults(obj)
		}
		if text(obj, "metadata", "namespace") == opts.Namespace {
			delete(mapping(obj, "metadata"), "namespace")
		}
		imp.objects = append(imp.objects, obj)
	}
	imp.plan()
	slices.SortFunc(imp.Secrets, func(a, b Secret) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace))
	})
	return imp
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
	for _, own := range []string{"kubernetes.io/metadata.name", "pod-security.kubernetes.io/enforce", "pod-security.kubernetes.io/audit"} {
		delete(imp.Labels, own)
	}
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
	var rest []Object
	workloads := map[string][]string{} // by the group that they say they belong to
	for _, obj := range imp.objects {
		name := text(obj, "metadata", "name")
		if imp.opts.Whole || imp.whole[name] || units[name] != nil {
			continue
		}
		if a := appOf(imp.kinds, obj, imp.objects); a != nil {
			u := unit(name)
			u.Type, u.app = a.typ, a
			workloads[unitName(obj)] = append(workloads[unitName(obj)], name)
		}
	}
	for _, obj := range imp.objects {
		made := slices.ContainsFunc(slices.Collect(maps.Values(units)), func(u *Unit) bool { return u.makes(obj) })
		if !made {
			rest = append(rest, obj)
		}
	}
	for _, obj := range rest {
		group := unitName(obj)
		if apps := workloads[group]; len(apps) == 1 && group != others {
			group = apps[0]
		}
		if user := userOf(units, obj); group == others && user != "" {
			group = user
		}
		u := unit(group)
		u.Objects[freeKey(u.Objects, obj)] = obj
	}
	imp.Units = nil
	for _, name := range slices.Sorted(maps.Keys(units)) {
		imp.Units = append(imp.Units, *units[name])
	}
}

// makes says whether the type of the unit makes the object.
func (u *Unit) makes(obj Object) bool {
	if u.app == nil {
		return false
	}
	for _, o := range u.app.made {
		if reflect.ValueOf(o).Pointer() == reflect.ValueOf(obj).Pointer() {
			return true
		}
	}
	return false
}

// userOf is the only app whose pods name a ConfigMap, a claim or a ServiceAccount.
func userOf(units map[string]*Unit, obj Object) string {
	if mapping(obj, "metadata")["namespace"] != nil {
		return ""
	}
	name, user := text(obj, "metadata", "name"), ""
	for _, u := range units {
		if u.app == nil || !u.app.uses(text(obj, "kind"), name) {
			continue
		}
		if user != "" {
			return ""
		}
		user = u.Name
	}
	return user
}

// leftOut says why an object is not imported.
func leftOut(obj Object, opts Options) string {
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
		case t == "kubernetes.io/service-account-token", t == "bootstrap.kubernetes.io/token":
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

// Typed says whether there are apps of a type.
func (imp *Import) Typed() bool {
	return slices.ContainsFunc(imp.Units, func(u Unit) bool { return u.app != nil })
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
