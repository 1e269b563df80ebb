package render

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"slices"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// hashConfig puts a hash of the ConfigMaps and Secrets that pods read only when
// they start on the pod template, so that a change of them rolls the pods. What a
// unit lists under "reloads" is read again at run time and left out.
//
// The template of a Job cannot be changed: one that may be recreated has the hash on
// itself, and runs again when it changes. On the template it would make every Job run
// again that was applied without it.
func hashConfig(units []*unit) {
	configs := map[configRef]*object{}
	reloaded := map[*object]bool{}
	for _, u := range units {
		for _, o := range u.objs {
			if kind := o.GetKind(); (kind == "ConfigMap" || kind == "Secret") && o.GetAPIVersion() == "v1" {
				configs[configRef{kind, o.GetNamespace(), o.GetName()}] = o
				reloaded[o] = slices.Contains(u.data.Reloads, o.key)
			}
		}
	}
	for _, u := range units {
		for _, o := range u.objs {
			switch {
			case o.GetKind() == "Pod":
				continue // immutable: nothing rolls
			case o.GetKind() == "Job" && !slices.Contains(u.data.Recreate, o.key):
				continue
			}
			template, _ := tree.PodTemplate(o.Object)
			if template == nil {
				continue
			}
			hashed := template
			if o.GetKind() == "Job" {
				hashed = o.Object
			}
			hashTemplate(o.GetNamespace(), template, hashed, configs, reloaded)
		}
	}
}

type configRef struct{ kind, namespace, name string }

// hashTemplate puts the hash of what a pod template reads on the metadata of hashed.
func hashTemplate(namespace string, template, hashed map[string]any, configs map[configRef]*object, reloaded map[*object]bool) {
	sum := sha256.New()
	var any bool
	for _, ref := range podConfigs(namespace, tree.Map(template["spec"])) {
		o := configs[ref]
		if o == nil || reloaded[o] {
			continue
		}
		any = true
		hashObject(sum, o)
	}
	if !any {
		return
	}
	meta := ensure(hashed, "metadata")
	ensure(meta, "annotations")[schema.AnnotationConfigHash] = hex.EncodeToString(sum.Sum(nil))[:16]
}

// podConfigs are the ConfigMaps and Secrets that a pod reads, in a stable order,
// each once.
func podConfigs(namespace string, spec map[string]any) []configRef {
	var refs []configRef
	add := func(kind string, name any) {
		ref := configRef{kind, namespace, tree.Text(name)}
		if ref.name != "" && !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	for _, group := range []string{"initContainers", "containers"} {
		tree.Each(spec[group], func(_ int, c map[string]any) {
			tree.Each(c["envFrom"], func(_ int, from map[string]any) {
				add("ConfigMap", tree.Map(from["configMapRef"])["name"])
				add("Secret", tree.Map(from["secretRef"])["name"])
			})
			tree.Each(c["env"], func(_ int, env map[string]any) {
				from := tree.Map(env["valueFrom"])
				add("ConfigMap", tree.Map(from["configMapKeyRef"])["name"])
				add("Secret", tree.Map(from["secretKeyRef"])["name"])
			})
		})
	}
	tree.Each(spec["volumes"], func(_ int, v map[string]any) {
		add("ConfigMap", tree.Map(v["configMap"])["name"])
		add("Secret", tree.Map(v["secret"])["secretName"])
		tree.Each(tree.Map(v["projected"])["sources"], func(_ int, src map[string]any) {
			add("ConfigMap", tree.Map(src["configMap"])["name"])
			add("Secret", tree.Map(src["secret"])["name"])
		})
	})
	return refs
}

// hashObject adds the content of a ConfigMap or Secret. Maps marshal in the order
// of their keys.
func hashObject(sum hash.Hash, o *object) {
	enc := json.NewEncoder(sum)
	for _, part := range []any{o.GetKind(), o.GetName(), o.Object["data"], o.Object["binaryData"]} {
		_ = enc.Encode(part) // plain JSON values into a hash: neither can fail
	}
}

func ensure(m map[string]any, name string) map[string]any {
	inner, ok := m[name].(map[string]any)
	if !ok {
		inner = map[string]any{}
		m[name] = inner
	}
	return inner
}
