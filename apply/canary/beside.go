package canary

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// beside is a unit as it was, and so many pods of the new version beside it: for each
// Deployment that is another one now a second Deployment, the ConfigMaps and Secrets
// that are other ones as copies of its own, and what its pods cannot do without.
func beside(was, now *schema.Unit, pods, replicas int) (*schema.Unit, error) {
	unit := keeping(was, now)
	unit.Objects = slices.Clone(was.Objects)
	own := map[string]map[string]bool{} // by kind: the names that have a copy
	for i := range now.Objects {
		o := &now.Objects[i]
		old := find(was, o)
		switch kind := o.GetKind(); kind {
		case "ConfigMap", "Secret":
			if old == nil || !same(o.Object, old.Object) {
				if own[kind] == nil {
					own[kind] = map[string]bool{}
				}
				own[kind][o.GetName()] = true
				unit.Objects = append(unit.Objects, renamed(o))
			}
		case "ServiceAccount", "Role", "RoleBinding", "PersistentVolumeClaim":
			if old == nil {
				unit.Objects = append(unit.Objects, *o)
			}
		}
	}
	for _, o := range changed(now, was) {
		deployment, err := second(o, own, pods, now.Canary.Env)
		if err != nil {
			return nil, err
		}
		if routes := routesOf(now, was, o); len(routes) > 0 {
			if err := weighed(&unit, now, o, &deployment, routes, pods, replicas); err != nil {
				return nil, err
			}
		}
		unit.Objects = append(unit.Objects, deployment)
	}
	return &unit, nil
}

// second is the Deployment of a canary.
func second(o *schema.Object, own map[string]map[string]bool, pods int, env []schema.CanaryEnv) (schema.Object, error) {
	canary := renamed(o)
	for _, path := range [][]string{{"spec", "selector", "matchLabels"}, {"spec", "template", "metadata", "labels"}} {
		all, _, err := unstructured.NestedStringMap(canary.Object, path...)
		if err != nil {
			return canary, err
		}
		if all == nil {
			all = map[string]string{}
		}
		all[Label] = o.GetName()
		if err := unstructured.SetNestedStringMap(canary.Object, all, path...); err != nil {
			return canary, err
		}
	}
	if err := unstructured.SetNestedField(canary.Object, int64(pods), "spec", "replicas"); err != nil {
		return canary, err
	}
	template, _, err := unstructured.NestedMap(canary.Object, "spec", "template")
	if err != nil {
		return canary, err
	}
	refer(template, own)
	for _, e := range env {
		if e.Deployment == o.GetName() {
			setVariable(template, e)
		}
	}
	return canary, unstructured.SetNestedMap(canary.Object, template, "spec", "template")
}

// setVariable sets a variable of a container of a pod template.
func setVariable(template map[string]any, e schema.CanaryEnv) {
	spec, _ := template["spec"].(map[string]any)
	containers, _ := spec["containers"].([]any)
	for _, item := range containers {
		container, _ := item.(map[string]any)
		if container["name"] != e.Container {
			continue
		}
		all, _ := container["env"].([]any)
		for _, item := range all {
			if variable, _ := item.(map[string]any); variable["name"] == e.Name {
				value := e.Value
				if e.Append {
					value = fmt.Sprint(variable["value"]) + value
				}
				variable["value"] = value
				delete(variable, "valueFrom")
				return
			}
		}
		container["env"] = append(all, map[string]any{"name": e.Name, "value": e.Value})
	}
}

// renamed is a copy of an object by the name that it has in a canary.
func renamed(o *schema.Object) schema.Object {
	canary := *o
	canary.Unstructured = o.DeepCopy()
	canary.Key = o.Key + suffix
	canary.SetName(o.GetName() + suffix)
	labels := canary.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[Label] = o.GetName()
	canary.SetLabels(labels)
	return canary
}

// refer makes a pod template read the copies, wherever it names what has one.
func refer(v any, own map[string]map[string]bool) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			refer(item, own)
		}
	case map[string]any:
		for field, value := range v {
			// Volumes, projected volumes, env and envFrom name them so (core/v1).
			switch field {
			case "configMap", "configMapRef", "configMapKeyRef":
				rename(value, "name", own["ConfigMap"])
			case "secretRef", "secretKeyRef":
				rename(value, "name", own["Secret"])
			case "secret":
				rename(value, "secretName", own["Secret"])
				rename(value, "name", own["Secret"])
			}
			refer(value, own)
		}
	}
}

func rename(reference any, field string, own map[string]bool) {
	fields, _ := reference.(map[string]any)
	if name, ok := fields[field].(string); ok && own[name] {
		fields[field] = name + suffix
	}
}

// Possible are the objects that canaries of an environment may have, for who gives
// rights: each Deployment, ConfigMap and Secret of an app that has one, and what routes
// lead to it by.
func Possible(env *schema.Environment) []schema.Object {
	var all []schema.Object
	for i := range env.Units {
		u := &env.Units[i]
		if u.Canary == nil || len(u.Canary.Steps) == 0 {
			continue
		}
		for j := range u.Objects {
			o := &u.Objects[j]
			if isDeployment(o) || o.GetAPIVersion() == "v1" && (o.GetKind() == "ConfigMap" || o.GetKind() == "Secret") {
				all = append(all, renamed(o))
			}
		}
		all = append(all, possibleWeighed(u)...)
	}
	return all
}
