package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// reference is a name in a pod that must lead to an object.
type reference struct {
	kind     string
	name     string
	keys     []string
	optional bool
	path     typed.Path
}

// manyKeys is how many keys a message does not list.
const manyKeys = 12

// keyPath is where a reference names its key, where that is the only one.
func (r reference) keyPath() typed.Path {
	n := len(r.path) - 1
	if step := r.path[n-1]; r.path[n] == "name" && (step == "secretKeyRef" || step == "configMapKeyRef") {
		return append(slices.Clone(r.path[:n]), "key")
	}
	return r.path
}

// checkReferences: what pods refer to is in the environment, or declared to be
// made by others.
func checkReferences(w *world) {
	wrong := w.misdeclared()
	for _, p := range w.pods {
		p.containers(func(c map[string]any, path typed.Path) {
			tree.Each(c["env"], func(i int, env map[string]any) {
				if from, ok := env["valueFrom"].(map[string]any); ok && len(from) == 0 {
					f := p.located.at(RuleReference, append(slices.Clip(path), "env", i, "valueFrom")...)
					f.Message = fmt.Sprintf("the variable %s has no source", tree.Text(env["name"]))
					f.Expected = "a Secret, a ConfigMap, a field of the pod or a resource of the container"
					w.report(f)
				}
			})
		})
		for _, ref := range podReferences(p) {
			if ref.name == "" || ref.optional || wrong[id{ref.kind, p.Namespace, ref.name}] {
				continue
			}
			w.checkReference(p, ref)
		}
	}
	for _, o := range slices.Concat(w.byKind["RoleBinding"], w.byKind["ClusterRoleBinding"]) {
		w.checkRoleRef(o)
	}
	w.checkSecrets()
}

// misdeclared are objects that several pods refer to, and that external has by nearly the
// name: one that nothing refers to is misspelt where it is declared.
func (w *world) misdeclared() map[id]bool {
	uses := map[id]int{} // by how many pods
	for _, p := range w.pods {
		own := map[id]bool{}
		for _, ref := range podReferences(p) {
			if ref.name != "" && !ref.optional {
				own[id{ref.kind, p.Namespace, ref.name}] = true
			}
		}
		for use := range own {
			uses[use]++
		}
	}
	wrong := map[id]bool{}
	for _, kind := range []string{"ConfigMap", "PersistentVolumeClaim", "Secret", "ServiceAccount"} {
		for _, name := range w.externals(kind, w.env.Namespace) {
			if o, own := w.byID[id{kind, w.env.Namespace, name}]; own && (kind == "ConfigMap" || kind == "PersistentVolumeClaim") {
				w.report(Finding{
					Rule: RuleReference, Warning: true, Path: typed.Path{"external", externalField(kind), name},
					Message: "unit " + o.unit.Name + " makes this, and not others", Hint: "take it out here, or give one of the two another name",
				})
				continue
			}
			var missed []string
			for use, n := range uses {
				_, made := w.byID[use]
				if _, declared := w.external(kind, use.namespace, use.name); use.kind == kind && use.namespace == w.env.Namespace && n > 1 && !made && !declared {
					missed = append(missed, use.name)
				}
			}
			slices.Sort(missed)
			near := typed.Closest(name, missed)
			if near == "" || uses[id{kind, w.env.Namespace, name}] > 0 || w.namesSecret(name) ||
				names(w.env.Registry, near) || names(w.env.Registries, near) || names(w.env.Site, near) { // one word of the environment, in many pods
				continue
			}
			wrong[id{kind, w.env.Namespace, near}] = true
			w.report(Finding{
				Rule: RuleReference, Path: typed.Path{"external", externalField(kind), name},
				Message: "nothing refers to this, and to what is missing several pods do", DidYouMean: near,
			})
		}
	}
	return wrong
}

// namesSecret says whether what is no pod names a Secret.
func (w *world) namesSecret(name string) bool {
	return slices.ContainsFunc(w.objects, func(o located) bool {
		return (o.Kind == "Ingress" || o.Kind == "Middleware" || o.Kind == "ServiceAccount" || o.Kind == "Gateway" || o.Kind == "ListenerSet") && names(o.Content, name)
	})
}

// checkSecrets looks at the Secrets that are named by what is no pod.
func (w *world) checkSecrets() {
	for _, o := range w.objects {
		switch o.Kind {
		case "Middleware", "MiddlewareTCP":
			for _, path := range []typed.Path{
				{"spec", "basicAuth", "secret"},
				{"spec", "digestAuth", "secret"},
				{"spec", "forwardAuth", "tls", "certSecret"},
				{"spec", "forwardAuth", "tls", "caSecret"},
			} {
				w.checkSecret(o, tree.Text(path.In(o.Content)), false, path...)
			}
		case "Ingress":
			tree.Each(tree.At(o.Content, "spec", "tls"), func(i int, tls map[string]any) {
				w.checkSecret(o, tree.Text(tls["secretName"]), true, "spec", "tls", i, "secretName")
			})
		case "IngressRoute", "IngressRouteTCP":
			w.checkSecret(o, tree.Text(tree.At(o.Content, "spec", "tls", "secretName")), true, "spec", "tls", "secretName")
		case "TLSStore":
			w.checkSecret(o, tree.Text(tree.At(o.Content, "spec", "defaultCertificate", "secretName")), true, "spec", "defaultCertificate", "secretName")
		case "Gateway", "ListenerSet", "XListenerSet":
			w.checkListeners(o)
		case "ServiceAccount":
			for _, field := range []string{"imagePullSecrets", "secrets"} {
				tree.Each(o.Content[field], func(i int, ref map[string]any) {
					w.checkSecret(o, tree.Text(ref["name"]), true, field, i, "name")
				})
			}
		}
	}
}

// checkListeners: listeners of the Gateway API show the certificates of Secrets. One of
// another namespace is for those to make who make that namespace.
func (w *world) checkListeners(o located) {
	if g := group(o.Object); g != "gateway.networking.k8s.io" && g != "gateway.networking.x-k8s.io" {
		return
	}
	tree.Each(tree.At(o.Content, "spec", "listeners"), func(i int, l map[string]any) {
		tree.Each(tree.At(l, "tls", "certificateRefs"), func(j int, ref map[string]any) {
			kind, namespace := tree.Text(ref["kind"]), tree.Text(ref["namespace"])
			if (kind == "" || kind == "Secret") && tree.Text(ref["group"]) == "" && (namespace == "" || namespace == o.Namespace) {
				w.checkSecret(o, tree.Text(ref["name"]), true, "spec", "listeners", i, "tls", "certificateRefs", j, "name")
			}
		})
	})
}

// checkSecret is checkReference for what is not a pod: without its Secret an
// Ingress shows another certificate, and a Middleware stops its routes.
func (w *world) checkSecret(o located, name string, warning bool, path ...any) {
	if _, made := w.byID[id{"Secret", o.Namespace, name}]; made || name == "" {
		return
	}
	if _, declared := w.external("Secret", o.Namespace, name); declared || annotated(o.Content, "cert-manager.io/") || w.operatorMakes(o.Namespace, name) {
		return
	}
	f := o.at(RuleReference, path...)
	f.Warning = warning
	f.Message = fmt.Sprintf("no Secret %q in namespace %s", name, o.Namespace)
	f.DidYouMean = typed.Closest(name, append(w.names("Secret", o.Namespace), w.externals("Secret", o.Namespace)...))
	f.Hint = w.externalHint("Secret", o.Namespace, name)
	f.Absent = &Absent{Kind: "Secret", Namespace: o.Namespace, Name: name}
	w.report(f)
}

// operatorMakes says whether an operator may make a Secret: that of a custom resource of
// the namespace which names it, such as a Certificate or an ExternalSecret, or bears the
// name that the Secret begins with, as those of databases do.
func (w *world) operatorMakes(namespace, name string) bool {
	return slices.ContainsFunc(w.objects, func(o located) bool {
		g := group(o.Object)
		if o.Namespace != namespace && o.Namespace != "" || typed.OwnGroup(g) {
			return false
		}
		switch g {
		case "gateway.networking.k8s.io", "gateway.networking.x-k8s.io", "monitoring.coreos.com", "traefik.io", "traefik.containo.us":
			return false // they only read it
		}
		rest, begins := strings.CutPrefix(name, o.Name)
		return begins && (rest == "" || strings.ContainsAny(rest[:1], "-.")) || names(o.Content["spec"], name)
	})
}

// names says whether a text stands somewhere in a value.
func names(v any, text string) bool {
	switch v := v.(type) {
	case string:
		return v == text
	case []any:
		return slices.ContainsFunc(v, func(item any) bool { return names(item, text) })
	case map[string]any:
		for _, item := range v {
			if names(item, text) {
				return true
			}
		}
	}
	return false
}

// annotated says whether an object has an annotation that begins so.
func annotated(content map[string]any, prefix string) bool {
	for key := range tree.Map(tree.At(content, "metadata", "annotations")) {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

func (w *world) checkReference(p podSource, ref reference) {
	if o, ok := w.byID[id{ref.kind, p.Namespace, ref.name}]; ok {
		w.checkKeys(p, ref, o)
		return
	}
	if keys, ok := w.external(ref.kind, p.Namespace, ref.name); ok {
		for _, key := range ref.keys {
			if len(keys) > 0 && !slices.Contains(keys, key) {
				f := p.located.at(RuleReference, ref.keyPath()...)
				f.Message = fmt.Sprintf("the external %s %s has no key %q", ref.kind, ref.name, key)
				if f.DidYouMean = typed.Closest(key, keys); f.DidYouMean == "" {
					f.Expected = "one of " + strings.Join(keys, ", ")
				}
				f.Absent = &Absent{Kind: ref.kind, Namespace: p.Namespace, Name: ref.name, Keys: []string{key}, Declared: true}
				w.report(f)
			}
		}
		return
	}
	if ref.kind == "Secret" && w.operatorMakes(p.Namespace, ref.name) {
		return
	}
	f := p.located.at(RuleReference, ref.path...)
	f.Message = fmt.Sprintf("no %s %q in namespace %s", ref.kind, ref.name, p.Namespace)
	f.DidYouMean = typed.Closest(ref.name, append(w.names(ref.kind, p.Namespace), w.externals(ref.kind, p.Namespace)...))
	f.Hint = w.externalHint(ref.kind, p.Namespace, ref.name)
	f.Absent = &Absent{Kind: ref.kind, Namespace: p.Namespace, Name: ref.name, Keys: ref.keys}
	w.report(f)
}

// externalHint is what to write for an object that others make.
func (w *world) externalHint(kind, namespace, name string) string {
	where := "{}"
	if namespace != w.env.Namespace {
		where = fmt.Sprintf("{namespace: %q}", namespace)
	}
	return fmt.Sprintf("if others make it, declare it: external: %s: %q: %s", externalField(kind), name, where)
}

func (w *world) names(kind, namespace string) []string {
	var names []string
	for _, o := range w.byKind[kind] {
		if o.Namespace == namespace {
			names = append(names, o.Name)
		}
	}
	return names
}

// checkKeys: the keys that a pod reads are in the ConfigMap or Secret. A Secret
// without data is filled at run time.
func (w *world) checkKeys(p podSource, ref reference, o located) {
	if ref.kind != "ConfigMap" && ref.kind != "Secret" {
		return
	}
	keys := slices.Concat(
		sortedKeys(tree.Map(o.Content["data"])),
		sortedKeys(tree.Map(o.Content["stringData"])),
		sortedKeys(tree.Map(o.Content["binaryData"])),
	)
	if len(keys) == 0 && ref.kind == "Secret" {
		return
	}
	for _, key := range ref.keys {
		if slices.Contains(keys, key) {
			continue
		}
		f := p.located.at(RuleReference, ref.keyPath()...)
		f.Message = fmt.Sprintf("%s has no key %q", o.ref(), key)
		if f.DidYouMean = typed.Closest(key, keys); f.DidYouMean == "" && len(keys) > 0 && len(keys) < manyKeys {
			f.Expected = "one of " + strings.Join(keys, ", ")
		}
		w.report(f)
	}
}

func externalField(kind string) string {
	switch kind {
	case "ConfigMap":
		return "configMaps"
	case "PersistentVolumeClaim":
		return "claims"
	case "ServiceAccount":
		return "serviceAccounts"
	}
	return "secrets"
}

// external finds an object that the environment declares to be made by others, in
// the environment's namespace unless it names another.
func (w *world) external(kind, namespace, name string) (keys []string, ok bool) {
	entry, ok := tree.Map(tree.Map(w.env.External)[externalField(kind)])[name]
	if !ok {
		return nil, false
	}
	at := tree.Text(tree.At(entry, "namespace"))
	if at == "" {
		at = w.env.Namespace
	}
	return tree.Texts(tree.At(entry, "keys")), at == namespace
}

// externals are the names of what external declares of a kind in a namespace.
func (w *world) externals(kind, namespace string) (names []string) {
	for _, name := range sortedKeys(tree.Map(w.env.External[externalField(kind)])) {
		if _, ok := w.external(kind, namespace, name); ok {
			names = append(names, name)
		}
	}
	return names
}

func podReferences(p podSource) []reference {
	var refs []reference
	add := func(kind string, from map[string]any, nameField, keyField string, path typed.Path) {
		if from == nil {
			return
		}
		ref := reference{kind: kind, name: tree.Text(from[nameField]), optional: from["optional"] == true, path: append(slices.Clip(path), nameField)}
		if keyField != "" {
			if key := tree.Text(from[keyField]); key != "" {
				ref.keys = []string{key}
			}
		}
		tree.Each(from["items"], func(_ int, item map[string]any) {
			ref.keys = append(ref.keys, tree.Text(item["key"]))
		})
		refs = append(refs, ref)
	}
	spec := p.spec()
	p.containers(func(c map[string]any, path typed.Path) {
		tree.Each(c["env"], func(i int, env map[string]any) {
			from, at := tree.Map(env["valueFrom"]), append(slices.Clip(path), "env", i, "valueFrom")
			if len(from) > 1 {
				return // the server takes one
			}
			add("ConfigMap", tree.Map(from["configMapKeyRef"]), "name", "key", append(slices.Clip(at), "configMapKeyRef"))
			add("Secret", tree.Map(from["secretKeyRef"]), "name", "key", append(slices.Clip(at), "secretKeyRef"))
		})
		tree.Each(c["envFrom"], func(i int, from map[string]any) {
			at := append(slices.Clip(path), "envFrom", i)
			add("ConfigMap", tree.Map(from["configMapRef"]), "name", "", append(slices.Clip(at), "configMapRef"))
			add("Secret", tree.Map(from["secretRef"]), "name", "", append(slices.Clip(at), "secretRef"))
		})
	})
	tree.Each(spec["volumes"], func(i int, v map[string]any) {
		at := func(steps ...any) typed.Path { return p.at(append([]any{"spec", "volumes", i}, steps...)...) }
		add("ConfigMap", tree.Map(v["configMap"]), "name", "", at("configMap"))
		add("Secret", tree.Map(v["secret"]), "secretName", "", at("secret"))
		add("PersistentVolumeClaim", tree.Map(v["persistentVolumeClaim"]), "claimName", "", at("persistentVolumeClaim"))
		add("Secret", tree.Map(v["azureFile"]), "secretName", "", at("azureFile"))
		add("Secret", tree.Map(tree.At(v, "csi", "nodePublishSecretRef")), "name", "", at("csi", "nodePublishSecretRef"))
		for _, source := range []string{"cephfs", "flexVolume", "iscsi", "rbd"} {
			add("Secret", tree.Map(tree.At(v, source, "secretRef")), "name", "", at(source, "secretRef"))
		}
		tree.Each(tree.At(v, "projected", "sources"), func(j int, src map[string]any) {
			add("ConfigMap", tree.Map(src["configMap"]), "name", "", at("projected", "sources", j, "configMap"))
			add("Secret", tree.Map(src["secret"]), "name", "", at("projected", "sources", j, "secret"))
		})
	})
	tree.Each(spec["imagePullSecrets"], func(i int, s map[string]any) {
		add("Secret", s, "name", "", p.at("spec", "imagePullSecrets", i))
	})
	if name := tree.Text(spec["serviceAccountName"]); name != "" && name != "default" {
		add("ServiceAccount", spec, "serviceAccountName", "", p.at("spec"))
		refs[len(refs)-1].keys = nil
	}
	for i := range refs {
		// kube-root-ca.crt is made in every namespace (the root CA publisher).
		if refs[i].kind == "ConfigMap" && refs[i].name == "kube-root-ca.crt" {
			refs[i].optional = true
		}
	}
	return refs
}

// checkRoleRef: a binding leads to a role of the environment, or to one that
// Kubernetes brings.
func (w *world) checkRoleRef(o located) {
	ref := tree.Map(o.Content["roleRef"])
	kind, name := tree.Text(ref["kind"]), tree.Text(ref["name"])
	namespace := ""
	if kind == "Role" {
		namespace = o.Namespace
	}
	if _, ok := w.byID[id{kind, namespace, name}]; ok || builtInRole(kind, namespace, name) {
		return
	}
	f := o.at(RuleReference, "roleRef", "name")
	f.Message = fmt.Sprintf("no %s %q in this environment", kind, name)
	f.DidYouMean = typed.Closest(name, w.names(kind, namespace))
	f.Warning = kind == "ClusterRole" // another environment may make it
	w.report(f)
}

// builtInRole knows the roles that the API server makes when it starts
// (plugin/pkg/auth/authorizer/rbac/bootstrappolicy).
func builtInRole(kind, namespace, name string) bool {
	if strings.HasPrefix(name, "system:") {
		return true
	}
	if kind == "Role" {
		return namespace == "kube-system" && name == "extension-apiserver-authentication-reader"
	}
	return slices.Contains([]string{"admin", "edit", "view", "cluster-admin"}, name)
}

// checkVolumes: volumes come from somewhere, and mounts name volumes of the pod.
func checkVolumes(w *world) {
	for _, p := range w.pods {
		var names []string
		tree.Each(p.spec()["volumes"], func(i int, v map[string]any) {
			names = append(names, tree.Text(v["name"]))
			if len(v) == 1 {
				f := p.located.at("volume", p.at("spec", "volumes", i)...)
				if name := tree.Text(v["name"]); p.unit.at("volumes", name) != nil {
					f = Finding{Rule: "volume", Unit: p.unit.Name, Path: typed.Path{"volumes", name}}
				}
				f.Message = fmt.Sprintf("the volume %q has no source", tree.Text(v["name"]))
				f.Expected = "a claim, an existing claim, a Secret, a ConfigMap, an empty directory, NFS or a path of the node"
				w.report(f)
			}
		})
		tree.Each(tree.At(p.Content, "spec", "volumeClaimTemplates"), func(_ int, v map[string]any) {
			names = append(names, tree.Text(tree.At(v, "metadata", "name")))
		})
		w.checkMounted(p)
		p.containers(func(c map[string]any, path typed.Path) {
			tree.Each(c["volumeMounts"], func(i int, m map[string]any) {
				name := tree.Text(m["name"])
				if at := tree.Text(m["mountPath"]); at != "" && !strings.HasPrefix(at, "/") && !strings.Contains(at, ":") {
					f := p.located.at("volume", append(slices.Clip(path), "volumeMounts", i, "mountPath")...)
					f.Warning = true
					f.Message, f.Found, f.DidYouMean = "not a path from the root", quote(at), "/"+at
					w.report(f)
				}
				if at := tree.Text(m["mountPath"]); m["subPath"] != nil && len(at) > 1 && strings.HasSuffix(at, "/") {
					f := p.located.at("volume", append(slices.Clip(path), "volumeMounts", i, "mountPath")...)
					f.Warning = true
					f.Message, f.Found, f.Hint = "the path of a file, and / at its end", quote(at), "name the file: "+at+"NAME"
					w.report(f)
				}
				if slices.Contains(names, name) {
					return
				}
				f := p.located.at("volume", append(path, "volumeMounts", i, "name")...)
				f.Message = fmt.Sprintf("no volume %q in this pod", name)
				f.DidYouMean = typed.Closest(name, names)
				w.report(f)
			})
		})
	}
}

// checkMounted: a volume of an app is there for a container of it.
func (w *world) checkMounted(p podSource) {
	if !p.unit.made() {
		return
	}
	mounted := map[string]bool{}
	p.containers(func(c map[string]any, _ typed.Path) {
		for _, field := range []string{"volumeMounts", "volumeDevices"} {
			tree.Each(c[field], func(_ int, m map[string]any) { mounted[tree.Text(m["name"])] = true })
		}
	})
	for _, name := range sortedKeys(tree.Map(p.unit.at("volumes"))) {
		if mounted[name] {
			continue
		}
		w.report(Finding{
			Rule: "volume", Warning: true, Unit: p.unit.Name, Path: typed.Path{"volumes", name},
			Message: "no container has this volume", Hint: "say where: path, or mounts of a sidecar",
		})
	}
}
