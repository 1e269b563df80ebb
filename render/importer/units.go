package importer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
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

	objects []Object // those of all units
}

// Unit is one unit of whole objects, by key.
type Unit struct {
	Name    string
	Objects map[string]Object
	// Silence are rules that are off, each with the reason.
	Silence map[string]string
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
}

// Objects sorts objects into units. Those that others make (controllers, the
// server itself) are left out, as are Secrets: their values never reach a file.
func Objects(objs []Object, opts Options) *Import {
	imp := &Import{Level: "privileged"}
	units := map[string]map[string]Object{}
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
			imp.Left = append(imp.Left, ref(obj)+": the environment makes it")
			continue
		}
		clean(obj)
		if opts.Live {
			dropDefaults(obj)
		}
		if text(obj, "metadata", "namespace") == opts.Namespace {
			delete(mapping(obj, "metadata"), "namespace")
		}
		name := unitName(obj)
		if units[name] == nil {
			units[name] = map[string]Object{}
		}
		units[name][freeKey(units[name], obj)] = obj
		imp.objects = append(imp.objects, obj)
	}
	for _, name := range slices.Sorted(maps.Keys(units)) {
		imp.Units = append(imp.Units, Unit{Name: name, Objects: units[name], Silence: map[string]string{}})
	}
	slices.SortFunc(imp.Secrets, func(a, b Secret) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace))
	})
	return imp
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
	return "others"
}

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
