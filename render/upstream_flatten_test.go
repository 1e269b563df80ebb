package render_test

import (
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// flatten writes an object as paths and values, without what says the same to the
// API server in another way: list items go by their key, rules by what they grant,
// arguments by their flag, and the API's defaults and the marks of the tools that
// made the object are left out.
func flatten(obj map[string]any) map[string]string {
	out := flat{}
	for key, value := range obj {
		if key != "apiVersion" && key != "kind" {
			out.add(key, value)
		}
	}
	return out
}

type flat map[string]string

func (f flat) add(path string, value any) {
	switch v := value.(type) {
	case nil:
	case map[string]any:
		for key, value := range v {
			f.add(path+"."+key, value)
		}
		if len(v) == 0 && strings.HasSuffix(path, ".emptyDir") {
			f[path] = "{}"
		}
	case []any:
		f.list(path, v)
	case string:
		f.text(path, v)
	default:
		f.scalar(path, fmt.Sprint(v))
	}
}

func (f flat) list(path string, items []any) {
	last := path[strings.LastIndex(path, ".")+1:]
	for i, item := range items {
		switch v := item.(type) {
		case map[string]any:
			if last == "rules" && v["verbs"] != nil {
				f.rule(path, v)
				continue
			}
			f.add(fmt.Sprintf("%s[%s]", path, key(last, v, i)), without(v, last))
		case string:
			if last == "args" {
				flag, value, _ := strings.Cut(v, "=")
				f[fmt.Sprintf("%s[%s]", path, flag)] = value
				continue
			}
			f.scalar(fmt.Sprintf("%s[%d]", path, i), v)
		default:
			f[fmt.Sprintf("%s[%d]", path, i)] = fmt.Sprint(v)
		}
	}
}

// key is what tells items of a list apart.
func key(list string, item map[string]any, i int) string {
	if list == "tolerations" {
		return fmt.Sprintf("%v %v", item["key"], item["effect"])
	}
	for _, name := range keys(list) {
		v, ok := item[name]
		if ok && list == "ports" && item["protocol"] == "UDP" {
			return fmt.Sprintf("%v/UDP", v)
		}
		if ok {
			return fmt.Sprint(v)
		}
	}
	return fmt.Sprint(i)
}

func keys(list string) []string {
	switch list {
	case "volumeMounts":
		return []string{"mountPath"}
	case "rules":
		return []string{"host"}
	case "ports":
		return []string{"containerPort", "port"}
	case "paths":
		return []string{"path"}
	}
	return []string{"name", "key", "type"}
}

// without drops the field that already stands in the path.
func without(item map[string]any, list string) map[string]any {
	rest := map[string]any{}
	for name, value := range item {
		if list == "tolerations" && (name == "key" || name == "effect") {
			continue
		}
		rest[name] = value
	}
	if list == "tolerations" && len(rest) == 0 {
		rest["tolerated"] = true
	}
	return rest
}

// rule adds a line for each verb on each resource.
func (f flat) rule(path string, rule map[string]any) {
	names := texts(rule["resourceNames"])
	if len(names) == 0 {
		names = []string{"*"}
	}
	for _, group := range texts(rule["apiGroups"]) {
		for _, resource := range texts(rule["resources"]) {
			for _, name := range names {
				id := fmt.Sprintf("%s[%s/%s %s]", path, group, resource, name)
				verbs := append(strings.Fields(f[id]), texts(rule["verbs"])...)
				slices.Sort(verbs)
				f[id] = strings.Join(slices.Compact(verbs), " ")
			}
		}
	}
}

func texts(list any) []string {
	items, _ := list.([]any)
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = fmt.Sprint(item)
	}
	return out
}

// text takes files apart: YAML and JSON by field, others by line.
func (f flat) text(path, value string) {
	if !strings.Contains(value, "\n") {
		f.scalar(path, value)
		return
	}
	var parsed map[string]any
	if err := yaml.Unmarshal([]byte(value), &parsed); err == nil && len(parsed) > 0 {
		f.add(path, parsed)
		return
	}
	for line := range strings.Lines(value) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		f[fmt.Sprintf("%s[%s]", path, name)] = value
	}
}

func (f flat) scalar(path, value string) {
	last := path[strings.LastIndex(path, ".")+1:]
	if slices.Contains(defaults(last), value) || mark(path) {
		return
	}
	if last == "image" {
		value = strings.TrimPrefix(value, "docker.io/") // what an image without a registry is from
	}
	f[path] = value
}

// defaults are the values that the API server gives a field that is absent.
func defaults(field string) []string {
	return map[string][]string{
		"protocol":                      {"TCP"},
		"scheme":                        {"HTTP"},
		"apiVersion":                    {"v1"},
		"successThreshold":              {"1"},
		"failureThreshold":              {"3"},
		"periodSeconds":                 {"10"},
		"timeoutSeconds":                {"1"},
		"initialDelaySeconds":           {"0"},
		"imagePullPolicy":               {"IfNotPresent"},
		"terminationGracePeriodSeconds": {"30"},
		"dnsPolicy":                     {"ClusterFirst"},
		"restartPolicy":                 {"Always"},
		"revisionHistoryLimit":          {"10"},
		"defaultMode":                   {"420"},
		"privileged":                    {"false"},
		"hostUsers":                     {"true"},
		"hostNetwork":                   {"false"},
		"type":                          {"ClusterIP", "Opaque", "RollingUpdate"},
		"internalTrafficPolicy":         {"Cluster"},
		"ipFamilyPolicy":                {"SingleStack"},
		"ipFamilies[0]":                 {"IPv4"},
		"minReadySeconds":               {"0"},
		"scope":                         {"*"},
		"maxSurge":                      {"25%"},
	}[field]
}

// mark is true for labels by which a tool knows what it made. Selectors are
// compared all the same.
func mark(path string) bool {
	path = strings.TrimPrefix(path, "spec.template.")
	return slices.ContainsFunc([]string{
		"app.kubernetes.io/", "applyset.kubernetes.io/part-of", "evenkeel.dev/unit", "helm.sh/chart", "addonmanager.kubernetes.io/mode",
	}, func(label string) bool { return strings.HasPrefix(path, "metadata.labels."+label) })
}
