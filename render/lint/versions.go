package lint

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

//go:embed lifecycle.tsv
var lifecycleTable string

// lifecycle is when an API version of a kind was deprecated and removed, as minor
// versions; zero is never.
type lifecycle struct {
	deprecated, removed int
	instead             string
}

// Removed says whether an API version of a kind existed once and is gone, or going.
func Removed(group, version, kind string) bool {
	_, ok := lifecycles()[group+"/"+version+"/"+kind]
	return ok
}

// Gone says of an API version that Kubernetes does not have any more in a minor version
// that it is so, and what took its place; "" of all others.
func Gone(group, version, kind string, minor int) string {
	lc := lifecycles()[group+"/"+version+"/"+kind]
	if lc.removed == 0 || lc.removed > minor {
		return ""
	}
	gone := fmt.Sprintf("%s/%s was removed in Kubernetes 1.%d", group, version, lc.removed)
	if lc.instead != "" {
		gone += ": use " + lc.instead
	}
	return gone
}

// lifecycles is the embedded table.
var lifecycles = sync.OnceValue(readLifecycles) //nolint:gochecknoglobals // read once, and only read

// readLifecycles reads the embedded table, by group/version/kind.
func readLifecycles() map[string]lifecycle {
	table := map[string]lifecycle{}
	for line := range strings.Lines(lifecycleTable) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 6 || strings.HasPrefix(line, "#") {
			continue
		}
		if f[0] == "core" {
			f[0] = ""
		}
		lc := lifecycle{deprecated: Minor(f[3]), removed: Minor(f[4])}
		if f[5] != "-" {
			lc.instead = f[5]
		}
		table[f[0]+"/"+f[1]+"/"+f[2]] = lc
	}
	return table
}

// Minor is the second number of a version such as 1.37, 0 where there is none.
func Minor(version string) int {
	_, rest, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(rest)
	if err != nil {
		return 0
	}
	return n
}

func checkVersions(w *world) {
	table := lifecycles()
	now := Minor(w.env.KubernetesVersion)
	for _, o := range w.objects {
		apiVersion := tree.Text(o.Content["apiVersion"])
		group, version, ok := strings.Cut(apiVersion, "/")
		if !ok {
			group, version = "", apiVersion
		}
		if lc, ok := table[group+"/"+version+"/"+o.Kind]; ok {
			w.reportLifecycle(o, apiVersion, lc, now)
		}
		checkFields(w, o, now)
	}
	for _, p := range w.pods {
		checkPodFields(w, p)
	}
}

func (w *world) reportLifecycle(o located, apiVersion string, lc lifecycle, now int) {
	f := o.at(RuleVersion, "apiVersion")
	if lc.instead != "" {
		f.Hint = "use " + lc.instead
	}
	switch {
	case lc.removed > 0 && lc.removed <= now:
		f.Message = fmt.Sprintf("%s %s was removed in Kubernetes 1.%d", apiVersion, o.Kind, lc.removed)
	case lc.deprecated > 0 && lc.deprecated <= now:
		f.Rule, f.Warning = RuleDeprecated, true
		f.Message = fmt.Sprintf("%s %s is deprecated since Kubernetes 1.%d", apiVersion, o.Kind, lc.deprecated)
		if lc.removed > 0 {
			f.Message += fmt.Sprintf(" and goes in 1.%d", lc.removed)
		}
	default:
		return
	}
	w.report(f)
}

// checkFields warns of fields and annotations that do nothing, or will not for
// long (Kubernetes deprecation guide; KEP-5707 for externalIPs).
func checkFields(w *world, o located, now int) {
	deprecated := func(message, hint string, path ...any) {
		f := o.at(RuleDeprecated, path...)
		f.Warning, f.Message, f.Hint = true, message, hint
		w.report(f)
	}
	spec := tree.Map(o.Content["spec"])
	switch o.Kind {
	case "Service":
		if spec["externalIPs"] != nil && now >= 36 {
			deprecated("externalIPs is deprecated since Kubernetes 1.36; kube-proxy ignores it from 1.40", "use a LoadBalancer or the Gateway API", "spec", "externalIPs")
		}
		if spec["loadBalancerIP"] != nil {
			deprecated("loadBalancerIP is deprecated since Kubernetes 1.24", "use the annotation of the load balancer", "spec", "loadBalancerIP")
		}
	case "Ingress":
		if annotation(o.Content, "kubernetes.io/ingress.class") {
			deprecated("the annotation kubernetes.io/ingress.class is deprecated since Kubernetes 1.18", "use spec.ingressClassName", "metadata", "annotations", "kubernetes.io/ingress.class")
		}
	case "PersistentVolumeClaim":
		if annotation(o.Content, "volume.beta.kubernetes.io/storage-class") {
			deprecated("the annotation volume.beta.kubernetes.io/storage-class is deprecated", "use spec.storageClassName", "metadata", "annotations", "volume.beta.kubernetes.io/storage-class")
		}
	}
}

func annotation(obj map[string]any, name string) bool {
	_, ok := tree.Map(tree.At(obj, "metadata", "annotations"))[name]
	return ok
}

func checkPodFields(w *world, p podSource) {
	deprecated := func(message, hint string, steps ...any) {
		f := p.located.at(RuleDeprecated, p.at(steps...)...)
		f.Warning, f.Message, f.Hint = true, message, hint
		w.report(f)
	}
	spec := p.spec()
	tree.Each(spec["volumes"], func(i int, v map[string]any) {
		if v["gitRepo"] != nil {
			deprecated("gitRepo volumes are switched off since Kubernetes 1.33, for good since 1.36", "use an init container that clones into an emptyDir", "spec", "volumes", i, "gitRepo")
		}
	})
	if spec["serviceAccount"] != nil {
		deprecated("serviceAccount is an old name", "use serviceAccountName", "spec", "serviceAccount")
	}
	for _, key := range sortedKeys(tree.Map(spec["nodeSelector"])) {
		if key == "beta.kubernetes.io/os" || key == "beta.kubernetes.io/arch" {
			deprecated("the label "+key+" is deprecated since Kubernetes 1.14", "use "+strings.TrimPrefix(key, "beta."), "spec", "nodeSelector", key)
		}
	}
	current := false // the taint of today is tolerated, too
	tree.Each(spec["tolerations"], func(_ int, t map[string]any) {
		key, all := t["key"], t["operator"] == "Exists"
		current = current || key == "node-role.kubernetes.io/control-plane" || all && (key == nil || key == "")
	})
	tree.Each(spec["tolerations"], func(i int, t map[string]any) {
		if tree.Text(t["key"]) == "node-role.kubernetes.io/master" && !current {
			deprecated("no node has the taint node-role.kubernetes.io/master since Kubernetes 1.25", "use node-role.kubernetes.io/control-plane", "spec", "tolerations", i, "key")
		}
	})
	dead := map[string]string{
		"scheduler.alpha.kubernetes.io/critical-pod": "use priorityClassName",
		"scheduler.alpha.kubernetes.io/tolerations":  "use tolerations",
		"pod.alpha.kubernetes.io/initialized":        "remove it",
	}
	for _, key := range sortedKeys(tree.Map(tree.At(p.template, "metadata", "annotations"))) {
		hint, ok := dead[key]
		switch {
		case ok:
		case strings.HasPrefix(key, "seccomp.security.alpha.kubernetes.io/"):
			hint = "use securityContext.seccompProfile"
		case strings.HasPrefix(key, "container.apparmor.security.beta.kubernetes.io/"):
			hint = "use securityContext.appArmorProfile"
		default:
			continue
		}
		deprecated("the annotation "+key+" does nothing", hint, typed.Path{"metadata", "annotations", key}...)
	}
}
