package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// checkLists finds two items with one key in the lists that server-side apply
// merges by key: the server refuses them, or merges them into one.
func checkLists(w *world) {
	for _, p := range w.pods {
		unique(w, p.located, p.spec()["volumes"], p.at("spec", "volumes"), "name")
		unique(w, p.located, p.spec()["imagePullSecrets"], p.at("spec", "imagePullSecrets"), "name")
		unique(w, p.located, p.spec()["hostAliases"], p.at("spec", "hostAliases"), "ip")
		unique(w, p.located, p.spec()["topologySpreadConstraints"], p.at("spec", "topologySpreadConstraints"), "topologyKey", "whenUnsatisfiable")
		unique(w, p.located, p.spec()["resourceClaims"], p.at("spec", "resourceClaims"), "name")
		unique(w, p.located, p.spec()["schedulingGates"], p.at("spec", "schedulingGates"), "name")
		names := map[string]bool{}
		p.containers(func(c map[string]any, path typed.Path) {
			if name := tree.Text(c["name"]); names[name] {
				f := p.located.at("duplicate", append(path, "name")...)
				f.Message = fmt.Sprintf("a second container %q", name)
				w.report(f)
			} else {
				names[name] = true
			}
			unique(w, p.located, c["env"], append(path, "env"), "name")
			unique(w, p.located, c["ports"], append(path, "ports"), "containerPort", "protocol")
			unique(w, p.located, c["ports"], append(path, "ports"), "name")
			unique(w, p.located, c["volumeMounts"], append(path, "volumeMounts"), "mountPath")
			unique(w, p.located, c["volumeDevices"], append(path, "volumeDevices"), "devicePath")
			unique(w, p.located, c["resizePolicy"], append(path, "resizePolicy"), "resourceName")
		})
	}
	for _, o := range slices.Concat(w.byKind["ValidatingWebhookConfiguration"], w.byKind["MutatingWebhookConfiguration"]) {
		unique(w, o, o.Content["webhooks"], typed.Path{"webhooks"}, "name")
	}
	for _, o := range w.byKind["ServiceAccount"] {
		unique(w, o, o.Content["secrets"], typed.Path{"secrets"}, "name")
	}
	for _, o := range w.byKind["Service"] {
		ports := tree.At(o.Content, "spec", "ports")
		unique(w, o, ports, typed.Path{"spec", "ports"}, "port", "protocol")
		unique(w, o, ports, typed.Path{"spec", "ports"}, "name")
		if n := len(tree.List(ports)); n > 1 {
			tree.Each(ports, func(i int, port map[string]any) {
				if tree.Text(port["name"]) == "" {
					f := o.at("duplicate", "spec", "ports", i)
					f.Message = fmt.Sprintf("a port without a name beside %d others", n-1)
					w.report(f)
				}
			})
		}
	}
}

// unique reports items whose keys all equal those of an earlier item. Items that
// lack the first key are left alone.
func unique(w *world, o located, items any, path typed.Path, keys ...string) {
	seen := map[string]int{}
	names := map[int]string{}
	tree.Each(items, func(i int, item map[string]any) {
		if item[keys[0]] == nil {
			return
		}
		parts := make([]string, len(keys))
		for j, key := range keys {
			parts[j] = fmt.Sprint(item[key])
		}
		value := strings.Join(parts, "/")
		names[i] = tree.Text(item["name"])
		first, ok := seen[value]
		if !ok {
			seen[value] = i
			return
		}
		f := o.at("duplicate", append(slices.Clip(path), i, keys[0])...)
		f.Message = fmt.Sprintf("the same %s as item %d: %s", strings.Join(keys, " and "), first, value)
		if before := tree.Map(tree.List(items)[first]); o.unit.App && keys[0] == "name" && path[len(path)-1] == "env" && (before["valueFrom"] == nil) != (item["valueFrom"] == nil) {
			f.Message, f.Hint = "envRef has "+value+" too", "take one of them out"
		}
		if names[first] != "" && names[i] != "" && names[first] != names[i] && keys[0] != "name" {
			f.Message = fmt.Sprintf("%s is both %s and %s", value, names[first], names[i])
		}
		w.report(f)
	})
}
