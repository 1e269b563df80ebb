package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// app is a workload as a type of the schema would have it: the fields that make
// the type render it, and the objects that the type makes, by their keys.
type app struct {
	name   string
	typ    string
	fields fields
	made   map[string]Object
}

// field is one line of a unit; the value is fields, a map, a list or a scalar.
type field struct {
	name    string
	value   any
	comment string
}

type fields []field

func (f *fields) set(name string, value any) {
	if inner, ok := value.(fields); ok && len(inner) == 0 {
		return
	}
	*f = append(*f, field{name: name, value: value})
}

// setUnless leaves out what the type has by itself.
func (f *fields) setUnless(name string, value, byType any) {
	if value != nil && !same(value, byType) {
		f.set(name, value)
	}
}

// values are the fields as an item of a list.
func (f fields) values() map[string]any {
	m := map[string]any{}
	for _, one := range f {
		m[one.name] = one.value
	}
	return m
}

// workload is what the mapping of an app reads: the object in its plainest form.
type workload struct {
	obj    Object
	name   string
	spec   map[string]any
	labels map[string]any // of the pods
	pod    map[string]any
	main   map[string]any
}

// keyOf is the key of the workload in the objects of its type.
func keyOf(kind string) string {
	switch kind {
	case "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob":
		return strings.ToLower(kind[:1]) + kind[1:]
	}
	return ""
}

// isWorkload says whether an object runs pods.
func isWorkload(obj Object) bool {
	switch text(obj, "kind") {
	case "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod", "ReplicaSet", "ReplicationController":
		return true
	}
	return false
}

// readWorkload returns the reason where no type can have the workload.
func readWorkload(kinds *typed.Kinds, obj Object) (w *workload, why string) {
	kind := text(obj, "kind")
	switch ns := text(obj, "metadata", "namespace"); {
	case keyOf(kind) == "":
		return nil, "no type describes a " + kind
	case ns != "":
		return nil, fmt.Sprintf("its namespace %s is not that of the environment", ns)
	case !unitForm(text(obj, "metadata", "name")):
		return nil, "an app cannot have its name"
	}
	plain := meaning(kinds, runtime.DeepCopyJSON(obj))
	w = &workload{obj: plain, name: text(plain, "metadata", "name"), spec: mapping(plain, "spec")}
	template := mapping(w.spec, "template")
	if kind == "CronJob" {
		template = mapping(w.spec, "jobTemplate", "spec", "template")
	}
	w.labels, w.pod = mapping(template, "metadata", "labels"), mapping(template, "spec")
	containers := list(w.pod, "containers")
	if len(containers) == 0 {
		return nil, "it has no containers"
	}
	w.main, _ = containers[0].(map[string]any)
	switch {
	case text(w.main, "image") == "":
		return nil, "its container has no image"
	case or(at(w.spec, "selector", "matchLabels", nameLabel), w.name) != any(w.name):
		return nil, fmt.Sprintf("its selector has another %s than its name", nameLabel)
	case !uniqueNames(list(w.main, "env")):
		return nil, "its environment has a variable twice"
	}
	return w, ""
}

func uniqueNames(env []any) bool {
	seen := map[string]bool{}
	for _, e := range env {
		name := text(e, "name")
		if seen[name] {
			return false
		}
		seen[name] = true
	}
	return true
}

// appOf maps a workload and the objects beside it to a type; where no type comes
// near, it says why.
func appOf(kinds *typed.Kinds, obj Object, others []Object) (a *app, why string) {
	w, why := readWorkload(kinds, obj)
	if w == nil {
		return nil, why
	}
	a = &app{name: w.name, made: map[string]Object{keyOf(text(obj, "kind")): obj}}
	beside := w.beside(kinds, others)
	switch text(obj, "kind") {
	case "Deployment":
		a.typ = w.deploymentType(beside)
	case "StatefulSet":
		a.typ = "StatefulApp"
	case "DaemonSet":
		a.typ = "DaemonApp"
	default:
		a.typ = text(obj, "kind")
	}
	if _, served := beside["service"]; a.typ == "StatefulApp" && !served {
		return nil, "it has no Service of its name"
	}
	a.fields.set("image", w.main["image"])
	w.typeFields(a)
	switch text(obj, "kind") {
	case "Deployment":
		w.deploymentFields(a, beside)
	case "StatefulSet":
		w.statefulFields(a, beside)
	case "DaemonSet":
		w.daemonFields(a)
	case "Job":
		w.jobFields(a, w.spec)
	case "CronJob":
		w.cronFields(a)
	}
	w.podFields(a, beside)
	w.networkFields(a, beside)
	for key, o := range beside {
		a.made[key] = o.source
	}
	return a, ""
}

// besideObject is an object that the type of an app makes too.
type besideObject struct{ source, plain Object }

// beside finds, by the key that the type gives them, the objects that belong to
// the workload alone and have its name.
func (w *workload) beside(kinds *typed.Kinds, others []Object) map[string]besideObject {
	found := map[string]besideObject{}
	serves := slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet"}, text(w.obj, "kind"))
	for _, o := range others {
		meta := mapping(o, "metadata")
		if meta["namespace"] != nil || !serves {
			continue
		}
		name, spec := text(o, "metadata", "name"), mapping(o, "spec")
		key := ""
		switch text(o, "kind") {
		case "Service":
			if name == w.name && text(spec, "type") != "ExternalName" && w.selects(mapping(spec, "selector")) {
				key = "service"
			}
		case "Ingress":
			if name == w.name && w.plainIngress(o) {
				key = "ingress"
			}
		case "PodDisruptionBudget":
			if name == w.name && text(w.obj, "kind") != "DaemonSet" && (spec["maxUnavailable"] != nil || spec["minAvailable"] != nil) && same(mapping(spec, "selector", "matchLabels"), mapping(w.spec, "selector", "matchLabels")) {
				key = "disruptionBudget"
			}
		case "HorizontalPodAutoscaler":
			if name == w.name && plainAutoscaler(o) && text(o, "spec", "scaleTargetRef", "kind") == text(w.obj, "kind") {
				key = "autoscaler"
			}
		case "PersistentVolumeClaim":
			if volume, ok := strings.CutPrefix(name, w.name+"-"); ok && w.mounts(volume, name) && plainClaim(o) {
				key = "claim-" + volume
			}
		}
		if key != "" {
			found[key] = besideObject{source: o, plain: meaning(kinds, runtime.DeepCopyJSON(o))}
		}
	}
	if text(w.obj, "kind") != "Deployment" {
		maps.DeleteFunc(found, func(key string, _ besideObject) bool { return strings.HasPrefix(key, "claim-") })
	}
	if _, served := found["service"]; !served {
		delete(found, "ingress")
	}
	return found
}

// selects says whether a selector finds the pods of the workload.
func (w *workload) selects(selector map[string]any) bool {
	for name, value := range selector {
		if w.labels[name] != value {
			return false
		}
	}
	return len(selector) > 0
}

func (w *workload) mounts(volume, claim string) bool {
	return slices.ContainsFunc(list(w.pod, "volumes"), func(v any) bool {
		return text(v, "name") == volume && text(v, "persistentVolumeClaim", "claimName") == claim
	})
}

func plainClaim(obj Object) bool {
	spec := mapping(obj, "spec")
	return len(list(spec, "accessModes")) == 1 && at(spec, "resources", "requests", "storage") != nil && spec["volumeName"] == nil
}

// plainAutoscaler says whether autoscale of a type can say the same.
func plainAutoscaler(obj Object) bool {
	return text(obj, "apiVersion") == "autoscaling/v2" && at(obj, "spec", "minReplicas") != nil
}

// averageUse is the resource whose average use, in percent of the request, a metric
// looks at; empty for another metric.
func averageUse(metric any) string {
	name := text(metric, "resource", "name")
	if text(metric, "type") != "Resource" || at(metric, "resource", "target", "averageUtilization") == nil || name != "cpu" && name != "memory" {
		return ""
	}
	return name
}

// plainIngress says whether host, paths and ingress of a type can say the same:
// the same paths for each host, all to one port of the Service of the app.
func (w *workload) plainIngress(obj Object) bool {
	rules := list(obj, "spec", "rules")
	if len(rules) == 0 || at(obj, "spec", "defaultBackend") != nil {
		return false
	}
	first := at(rules[0], "http", "paths")
	for _, r := range rules {
		if text(r, "host") == "" || !same(at(r, "http", "paths"), first) {
			return false
		}
	}
	paths := list(rules[0], "http", "paths")
	for _, p := range paths {
		if text(p, "path") == "" || text(p, "backend", "service", "name") != w.name ||
			!same(at(p, "pathType"), at(paths[0], "pathType")) || !same(at(p, "backend"), at(paths[0], "backend")) {
			return false
		}
	}
	return len(paths) > 0
}

// deploymentType tells the apps of Dubbo and of Spring from others that listen, where
// something says that they are. Consoles of Dubbo are web apps.
func (w *workload) deploymentType(beside map[string]besideObject) string {
	switch {
	case w.isDubbo():
		_, ingress := beside["ingress"]
		if w.dubboPort() == nil || ingress || w.calls() || w.serves(beside["service"].plain) {
			return "DubboConsumer"
		}
		return "DubboProvider"
	case w.httpPort() == nil:
		if _, served := beside["service"]; served {
			return "WebApp"
		}
		return "Worker"
	case w.isSpring():
		return "SpringService"
	}
	return "WebApp"
}

// isDubbo says whether image, options, variables or the name of a port speak of Dubbo. A
// number alone is no evidence: any gRPC service may listen on 50051.
func (w *workload) isDubbo() bool {
	if strings.Contains(w.name, "monitor") || strings.Contains(w.name, "admin") || strings.Contains(w.repository(), "dubbo-admin") {
		return false
	}
	return w.speaksDubbo() || w.dubboPort() != nil
}

func (w *workload) speaksDubbo() bool {
	if strings.Contains(w.repository(), "dubbo") || strings.Contains(w.options(), "-Ddubbo.") {
		return true
	}
	return slices.ContainsFunc(list(w.main, "env"), func(e any) bool {
		name := strings.ToLower(text(e, "name"))
		return strings.HasPrefix(name, "dubbo_") || strings.HasPrefix(name, "dubbo.")
	})
}

// repository is the image without registry, tag and digest.
func (w *workload) repository() string {
	image, _, _ := strings.Cut(text(w.main, "image"), "@")
	name := image[strings.LastIndexByte(image, '/')+1:]
	name, _, _ = strings.Cut(name, ":")
	return name
}

// calls says whether the name tells that others are called, and nobody calls.
func (w *workload) calls() bool {
	for _, word := range strings.FieldsFunc(w.name+"-"+w.repository(), func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
		if slices.Contains([]string{"consumer", "frontend", "client", "web", "gateway"}, word) {
			return true
		}
	}
	return strings.Contains(w.name, "front-end")
}

// serves says whether a Service leads to the port that HTTP is served on.
func (w *workload) serves(service Object) bool {
	p := w.httpPort()
	return p != nil && service != nil && servicePort(service, p) != nil
}

// isSpring says whether variables or options are those of Spring.
func (w *workload) isSpring() bool {
	if strings.Contains(w.options(), "-Dspring.") || strings.Contains(w.options(), "--spring.") {
		return true
	}
	return slices.ContainsFunc(list(w.main, "env"), func(e any) bool {
		name := strings.ToLower(text(e, "name"))
		return strings.HasPrefix(name, "spring_") || strings.HasPrefix(name, "spring.")
	})
}

// options are the texts in which JVM options stand.
func (w *workload) options() string {
	var b strings.Builder
	for _, e := range list(w.main, "env") {
		b.WriteString(text(e, "value") + " ")
	}
	for _, name := range []string{"command", "args"} {
		for _, a := range list(w.main, name) {
			s, _ := a.(string)
			b.WriteString(s + " ")
		}
	}
	return b.String()
}

func (w *workload) env(name string) string {
	for _, e := range list(w.main, "env") {
		if text(e, "name") == name {
			return text(e, "value")
		}
	}
	return ""
}

// dubboPort is the port that Dubbo is called on: by its name, or by a number that is
// usual, where that is not everybody's.
func (w *workload) dubboPort() map[string]any {
	for _, p := range list(w.main, "ports") {
		number, _ := number(at(p, "containerPort"))
		name := text(p, "name")
		if name == "dubbo" || name == "tri" || name == "triple" || number >= 20880 && number < 20900 ||
			(number >= 50051 && number < 50060 || number >= 20900 && number < 21000) && w.speaksDubbo() {
			m, _ := p.(map[string]any)
			return m
		}
	}
	return nil
}

// httpPort is the port that is taken for that of HTTP: the one with that name,
// else the first.
func (w *workload) httpPort() map[string]any {
	var first map[string]any
	for _, p := range list(w.main, "ports") {
		m, _ := p.(map[string]any)
		if text(p, "protocol") != "" || same(m, w.dubboPort()) || isQoS(m) { // TCP was dropped, as the default
			continue
		}
		if text(p, "name") == "http" {
			return m
		}
		if first == nil {
			first = m
		}
	}
	return first
}

// isQoS says whether a port is that of Dubbo's QoS server.
func isQoS(port map[string]any) bool {
	return strings.Contains(text(port, "name"), "qos") || same(port["containerPort"], 22222)
}
