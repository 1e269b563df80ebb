// Package defaults writes what the API server would add of itself where it becomes part
// of what an apply owns.
package defaults

import (
	"encoding/base64"
	"strings"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
)

// SpellOut writes the defaults that stand in the keys of keyed lists and inside
// atomic values. There the server's default is part of what we own: left out, the
// field would differ from what is stored for ever. Nothing else is added.
func SpellOut(gvk kschema.GroupVersionKind, obj map[string]any) {
	spec := tree.Map(obj["spec"])
	switch gvk.Kind {
	case "Service":
		eachMap(spec["ports"], defaultProtocol)
	case "StatefulSet":
		eachMap(spec["volumeClaimTemplates"], defaultClaimTemplate)
	case "RoleBinding", "ClusterRoleBinding":
		eachMap(obj["subjects"], defaultSubject)
		setDefault(tree.Map(obj["roleRef"]), "apiGroup", "rbac.authorization.k8s.io")
	case "PersistentVolumeClaim":
		defaultClaimSource(spec)
	case "ResourceClaim":
		defaultDevices(spec)
	case "ResourceClaimTemplate":
		defaultDevices(tree.Map(spec["spec"]))
	case "NetworkPolicy":
		defaultNetworkPolicy(spec)
	case "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration":
		eachMap(obj["webhooks"], func(hook map[string]any) {
			eachMap(hook["rules"], func(rule map[string]any) { setDefault(rule, "scope", "*") })
		})
	case "ValidatingAdmissionPolicy", "MutatingAdmissionPolicy":
		defaultMatch(tree.Map(spec["matchConstraints"]))
	case "ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicyBinding":
		defaultMatch(tree.Map(spec["matchResources"]))
	case "Endpoints":
		eachMap(obj["subsets"], func(subset map[string]any) { eachMap(subset["ports"], defaultProtocol) })
	case "EndpointSlice":
		defaultEndpointSlice(obj)
	case "LimitRange":
		eachMap(spec["limits"], defaultLimit)
	}
	template, _ := tree.PodTemplate(obj)
	defaultPod(tree.Map(template["spec"]))
	if gvk.Kind == "Job" {
		defaultJob(spec)
	}
	if gvk.Kind == "CronJob" {
		defaultJob(tree.Map(tree.Map(spec["jobTemplate"])["spec"]))
	}
}

func defaultProtocol(port map[string]any) { setDefault(port, "protocol", "TCP") }

// defaultPod: ports are keyed by number and protocol; a fieldRef, a
// resourceFieldRef and a projected token are parts of atomic values.
func defaultPod(spec map[string]any) {
	for _, name := range []string{"initContainers", "containers", "ephemeralContainers"} {
		eachMap(spec[name], func(c map[string]any) {
			eachMap(c["ports"], defaultProtocol)
			eachMap(c["env"], func(env map[string]any) { defaultReference(tree.Map(env["valueFrom"])) })
		})
	}
	eachMap(spec["volumes"], func(v map[string]any) {
		eachMap(tree.Map(v["downwardAPI"])["items"], defaultReference)
		eachMap(tree.Map(v["projected"])["sources"], func(src map[string]any) {
			eachMap(tree.Map(src["downwardAPI"])["items"], defaultReference)
			if token, ok := src["serviceAccountToken"].(map[string]any); ok {
				setDefault(token, "expirationSeconds", int64(3600))
			}
		})
		if claim, ok := tree.Map(v["ephemeral"])["volumeClaimTemplate"].(map[string]any); ok {
			setDefault(tree.Map(claim["spec"]), "volumeMode", "Filesystem")
			defaultClaimSource(tree.Map(claim["spec"]))
		}
	})
}

func defaultReference(from map[string]any) {
	if ref, ok := from["fieldRef"].(map[string]any); ok {
		setDefault(ref, "apiVersion", "v1")
	}
	if ref, ok := from["resourceFieldRef"].(map[string]any); ok {
		setDefault(ref, "divisor", "0")
	}
}

// defaultClaimTemplate: volumeClaimTemplates is an atomic list of whole objects.
func defaultClaimTemplate(claim map[string]any) {
	setDefault(claim, "apiVersion", "v1")
	setDefault(claim, "kind", "PersistentVolumeClaim")
	setDefault(tree.Map(claim["spec"]), "volumeMode", "Filesystem")
	defaultClaimSource(tree.Map(claim["spec"]))
	claim["status"] = map[string]any{"phase": "Pending"}
}

// defaultClaimSource: a source is atomic, and a group that is left out is stored
// as null. The empty group would be another value, and claims do not change.
func defaultClaimSource(spec map[string]any) {
	for _, name := range []string{"dataSource", "dataSourceRef"} {
		if source, ok := spec[name].(map[string]any); ok {
			setDefault(source, "apiGroup", nil)
		}
	}
}

// defaultDevices: the requests of a claim are atomic.
func defaultDevices(spec map[string]any) {
	fill := func(request map[string]any) {
		setDefault(request, "allocationMode", "ExactCount")
		if request["allocationMode"] == "ExactCount" {
			setDefault(request, "count", int64(1))
		}
	}
	eachMap(tree.Map(spec["devices"])["requests"], func(request map[string]any) {
		if exactly, ok := request["exactly"].(map[string]any); ok {
			fill(exactly)
		}
		eachMap(request["firstAvailable"], fill)
	})
}

// defaultSubject: subjects is atomic; the group of a service account is the empty
// one, which storage drops.
func defaultSubject(subject map[string]any) {
	switch tree.Text(subject["kind"]) {
	case "User", "Group":
		setDefault(subject, "apiGroup", "rbac.authorization.k8s.io")
	}
}

// defaultNetworkPolicy: the lists of rules are atomic.
func defaultNetworkPolicy(spec map[string]any) {
	for _, direction := range []string{"ingress", "egress"} {
		eachMap(spec[direction], func(rule map[string]any) { eachMap(rule["ports"], defaultProtocol) })
	}
}

// defaultMatch: matchConstraints and matchResources are atomic.
func defaultMatch(match map[string]any) {
	if match == nil {
		return
	}
	setDefault(match, "matchPolicy", "Equivalent")
	setDefault(match, "namespaceSelector", map[string]any{})
	setDefault(match, "objectSelector", map[string]any{})
	for _, name := range []string{"resourceRules", "excludeResourceRules"} {
		eachMap(match[name], func(rule map[string]any) { setDefault(rule, "scope", "*") })
	}
}

// defaultEndpointSlice: endpoints is atomic; ports is too.
func defaultEndpointSlice(obj map[string]any) {
	eachMap(obj["endpoints"], func(e map[string]any) {
		if _, ok := e["conditions"]; !ok {
			e["conditions"] = map[string]any{}
		}
	})
	eachMap(obj["ports"], func(p map[string]any) {
		setDefault(p, "name", "")
		setDefault(p, "protocol", "TCP")
	})
}

// defaultLimit: limits is atomic, and for containers the server derives the
// default request from the default limit, and that from the maximum.
func defaultLimit(limit map[string]any) {
	if tree.Text(limit["type"]) != "Container" {
		return
	}
	fill := func(to, from string) {
		source := tree.Map(limit[from])
		if len(source) == 0 {
			return
		}
		target, ok := limit[to].(map[string]any)
		if !ok {
			target = map[string]any{}
			limit[to] = target
		}
		for name, value := range source {
			setDefault(target, name, value)
		}
	}
	fill("default", "max")
	fill("defaultRequest", "default")
	fill("defaultRequest", "min")
}

// defaultJob: the rules of a podFailurePolicy are atomic.
func defaultJob(spec map[string]any) {
	eachMap(tree.Map(spec["podFailurePolicy"])["rules"], func(rule map[string]any) {
		eachMap(rule["onPodConditions"], func(c map[string]any) { setDefault(c, "status", "True") })
	})
}

// PlainSecret turns stringData into data, as the server does on a write; and
// takes line breaks out of base64, which it accepts and does not keep.
func PlainSecret(obj map[string]any, gvk kschema.GroupVersionKind) {
	if gvk.Kind != "Secret" || gvk.Group != "" {
		return
	}
	data := tree.Map(obj["data"])
	for key, value := range data {
		if s, ok := value.(string); ok && strings.ContainsAny(s, "\r\n") {
			data[key] = strings.NewReplacer("\r", "", "\n", "").Replace(s)
		}
	}
	plain := tree.Map(obj["stringData"])
	if plain == nil {
		return
	}
	if data == nil {
		data = map[string]any{}
	}
	for key, value := range plain {
		s, ok := value.(string)
		if !ok {
			return // a wrong type, reported where it stands
		}
		data[key] = base64.StdEncoding.EncodeToString([]byte(s))
	}
	delete(obj, "stringData")
	if len(data) > 0 {
		obj["data"] = data
	}
}

func eachMap(v any, fn func(map[string]any)) {
	for _, item := range tree.List(v) {
		if m, ok := item.(map[string]any); ok {
			fn(m)
		}
	}
}

func setDefault(m map[string]any, name string, value any) {
	if m == nil {
		return
	}
	if _, ok := m[name]; !ok {
		m[name] = value
	}
}
