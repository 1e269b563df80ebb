package importer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// podFields are those that all types have for their pods.
func (w *workload) podFields(a *app, beside map[string]besideObject) {
	if name := text(w.main, "name"); name != w.name {
		a.fields.set("containerName", name)
	}
	for _, name := range []string{"command", "args"} {
		if w.main[name] != nil {
			a.fields.set(name, w.main[name])
		}
	}
	w.envFields(a)
	w.probeFields(a)
	a.fields.set("resources", resourceFields(w.main))
	w.securityFields(a)
	w.stopFields(a)
	w.placeFields(a)
	w.labelFields(a)
	w.volumeFields(a, beside)
	for _, group := range []struct{ list, name string }{{"initContainers", "initContainers"}, {"containers", "sidecars"}} {
		var all fields
		for i, c := range list(w.pod, group.list) {
			if group.list == "initContainers" || i > 0 {
				all.set(text(c, "name"), sidecarFields(c, a.fields.names("volumes")))
			}
		}
		a.fields.set(group.name, all)
	}
}

func (w *workload) envFields(a *app) {
	env, refs, from := variables(w.main, func(name string) bool { return madeByType(a.typ, name) })
	a.fields.set("env", env)
	a.fields.set("envRef", refs)
	a.fields.set("envFrom", from)
}

// variables are those of a container, but those that are made, and where others are
// taken from.
func variables(container any, made func(name string) bool) (env, refs, from fields) {
	for _, e := range list(container, "env") {
		name := text(e, "name")
		if made(name) {
			continue
		}
		value := mapping(e, "valueFrom")
		if value == nil {
			env.set(name, text(e, "value"))
			continue
		}
		var ref fields
		for _, source := range []struct{ in, out string }{{"secretKeyRef", "secret"}, {"configMapKeyRef", "configMap"}} {
			if m := mapping(value, source.in); m != nil {
				ref.set(source.out, m["name"])
				ref.set("key", m["key"])
				ref.setUnless("optional", m["optional"], nil)
			}
		}
		ref.setUnless("field", at(value, "fieldRef", "fieldPath"), nil)
		ref.setUnless("resource", at(value, "resourceFieldRef", "resource"), nil)
		refs.set(name, ref)
	}
	var maps, secrets []any
	for _, f := range list(container, "envFrom") {
		if name := text(f, "configMapRef", "name"); name != "" {
			maps = append(maps, name)
		}
		if name := text(f, "secretRef", "name"); name != "" {
			secrets = append(secrets, name)
		}
	}
	if len(maps) > 0 {
		from.set("configMaps", maps)
	}
	if len(secrets) > 0 {
		from.set("secrets", secrets)
	}
	return env, refs, from
}

// probeFields: what a type has by itself is off where the manifests have none.
func (w *workload) probeFields(a *app) {
	probes := fields{}
	has := a.typ == "WebApp" || a.typ == "SpringService" || strings.HasPrefix(a.typ, "Dubbo") // probes of its own
	if a.typ == "DubboConsumer" && w.httpPort() == nil && !w.answersQoS() {
		has = false
	}
	starts := 30
	if a.typ == "SpringService" {
		starts = 60
	}
	for _, p := range []struct {
		name     string
		period   any
		failures any
	}{{"startup", 5, starts}, {"readiness", 5, nil}, {"liveness", 10, nil}} {
		probe := mapping(w.main, p.name+"Probe")
		if probe == nil {
			if has {
				probes.set(p.name, fields{{name: "off", value: true}})
			}
			continue
		}
		one := probeField(probe)
		period, failures := probe["periodSeconds"], probe["failureThreshold"]
		if has {
			if period = or(period, 10); same(period, p.period) {
				period = nil
			}
			if p.failures != nil {
				failures = or(failures, 3)
			}
		}
		one.setUnless("periodSeconds", period, nil)
		one.setUnless("failureThreshold", failures, nil)
		probes.set(p.name, one)
	}
	a.fields.set("probes", probes)
}

// probeField is a probe but for its period and failures, which types have too.
func probeField(probe map[string]any) fields {
	var one fields
	one.setUnless("path", at(probe, "httpGet", "path"), nil)
	one.setUnless("port", or(at(probe, "httpGet", "port"), at(probe, "tcpSocket", "port")), nil)
	one.setUnless("scheme", at(probe, "httpGet", "scheme"), nil)
	one.setUnless("command", at(probe, "exec", "command"), nil)
	one.setUnless("grpc", at(probe, "grpc", "port"), nil)
	one.setUnless("initialDelaySeconds", probe["initialDelaySeconds"], nil)
	one.setUnless("timeoutSeconds", probe["timeoutSeconds"], nil)
	return one
}

func resourceFields(container any) fields {
	var out, limits fields
	requests, limit := mapping(container, "resources", "requests"), mapping(container, "resources", "limits")
	for _, name := range []string{"cpu", "memory"} {
		out.setUnless(name, quantity(requests[name]), nil)
	}
	limits.setUnless("cpu", quantity(limit["cpu"]), nil)
	limits.setUnless("memory", quantity(limit["memory"]), quantity(requests["memory"]))
	out.set("limits", limits)
	return out
}

func (w *workload) securityFields(a *app) {
	level := "baseline"
	if same(at(w.main, "securityContext", "allowPrivilegeEscalation"), false) &&
		same(at(w.main, "securityContext", "capabilities", "drop"), []any{"ALL"}) && same(at(w.pod, "securityContext", "runAsNonRoot"), true) {
		level = "restricted"
	}
	a.fields.set("security", level)
	for _, f := range []struct{ in, out string }{{"runAsUser", "user"}, {"fsGroup", "fsGroup"}} {
		if n, ok := number(at(w.pod, "securityContext", f.in)); ok && n > 0 {
			a.fields.set(f.out, int(n))
		}
	}
}

// stopFields: how the container ends.
func (w *workload) stopFields(a *app) {
	wait, command := 0, ""
	if n, ok := number(at(w.main, "lifecycle", "preStop", "sleep", "seconds")); ok {
		wait = int(n)
	}
	if len(list(w.main, "lifecycle", "preStop", "exec", "command")) == 3 {
		line, _ := list(w.main, "lifecycle", "preStop", "exec", "command")[2].(string)
		if before, seconds, ok := cutSleep(line); ok {
			wait, command = seconds, before
		}
	}
	byType := map[string]int{"WebApp": 5, "DubboProvider": 10, "DubboConsumer": 10, "SpringService": 10}[a.typ]
	a.fields.setUnless("preStopSeconds", wait, byType)
	if command != "" {
		a.fields.set("preStopCommand", command)
	}
	a.fields.set("terminationGracePeriodSeconds", or(w.pod["terminationGracePeriodSeconds"], 30))
}

func (w *workload) placeFields(a *app) {
	for _, f := range []struct{ in, out string }{
		{"nodeSelector", "nodeSelector"},
		{"tolerations", "tolerations"},
		{"serviceAccountName", "serviceAccount"},
		{"priorityClassName", "priorityClass"},
	} {
		if w.pod[f.in] != nil {
			a.fields.set(f.out, w.pod[f.in])
		}
	}
	a.fields.set("pod", w.rareFields())
}

// rareFields are what few pods have.
func (w *workload) rareFields() fields {
	var pod fields
	pod.setUnless("imagePullPolicy", w.main["imagePullPolicy"], nil)
	for _, name := range []string{"affinity", "dnsConfig", "hostAliases", "runtimeClassName"} {
		pod.setUnless(name, w.pod[name], nil)
	}
	policy := w.pod["dnsPolicy"]
	if same(w.pod["hostNetwork"], true) {
		pod.set("hostNetwork", true)
		pod.setUnless("dnsPolicy", or(policy, "ClusterFirst"), "ClusterFirstWithHostNet")
	} else {
		pod.setUnless("dnsPolicy", policy, "ClusterFirst")
	}
	pod.setUnless("shareProcessNamespace", w.pod["shareProcessNamespace"], false)
	pod.setUnless("schedulerName", w.pod["schedulerName"], "default-scheduler")
	return pod
}

const nameLabel = "app.kubernetes.io/name"

func (w *workload) labelFields(a *app) {
	selector := mapping(w.spec, "selector", "matchLabels")
	if a.typ != "Job" && a.typ != "CronJob" && !same(selector, map[string]any{nameLabel: w.name}) {
		a.fields.set("selector", selector)
	}
	var labels fields
	for _, name := range sortedNames(w.labels) {
		if _, selected := selector[name]; !selected && (name != nameLabel || w.labels[name] != w.name) && name != nameLabel {
			labels.set(name, w.labels[name])
		}
	}
	a.fields.set("podLabels", labels)
	template := mapping(w.spec, "template")
	if a.typ == "CronJob" {
		template = mapping(w.spec, "jobTemplate", "spec", "template")
	}
	if notes := mapping(template, "metadata", "annotations"); len(notes) > 0 {
		a.fields.set("podAnnotations", notes)
	}
}

// volumeFields are the volumes with the places where the main container has them.
func (w *workload) volumeFields(a *app, beside map[string]besideObject) {
	var volumes fields
	volume := func(name string, source fields) {
		var places []any
		for _, m := range list(w.main, "volumeMounts") {
			if text(m, "name") == name {
				places = append(places, m)
			}
		}
		if len(source) == 0 {
			return // whatever it is, the patch has it
		}
		var one fields
		if len(places) > 0 && at(places[0], "subPathExpr") == nil && at(places[0], "mountPropagation") == nil {
			one = mountFields(places[0])
			places = places[1:]
		}
		var more []any
		for _, p := range places {
			more = append(more, mountFields(p).values())
		}
		if len(more) > 0 {
			one.set("mounts", more)
		}
		volumes.set(name, append(one, source...))
	}
	for _, v := range list(w.pod, "volumes") {
		name := text(v, "name")
		claim, made := beside["claim-"+name]
		if made {
			volume(name, claimFields(claim.plain))
			continue
		}
		volume(name, sourceFields(v))
	}
	for _, c := range list(w.spec, "volumeClaimTemplates") {
		if claim, _ := c.(map[string]any); claim != nil && plainClaim(claim) {
			volume(text(c, "metadata", "name"), claimFields(claim))
		}
	}
	a.fields.set("volumes", volumes)
}

// mountFields are a place in a container where a volume is.
func mountFields(mount any) fields {
	one := fields{{name: "path", value: at(mount, "mountPath")}}
	one.setUnless("subPath", at(mount, "subPath"), nil)
	one.setUnless("subPathExpr", at(mount, "subPathExpr"), nil)
	one.setUnless("readOnly", at(mount, "readOnly"), false)
	one.setUnless("mountPropagation", at(mount, "mountPropagation"), nil)
	return one
}

func claimFields(claim Object) fields {
	spec := mapping(claim, "spec")
	one := fields{{name: "size", value: quantity(at(spec, "resources", "requests", "storage"))}}
	one.setUnless("storageClass", spec["storageClassName"], nil)
	one.setUnless("accessMode", list(spec, "accessModes")[0], "ReadWriteOnce")
	return fields{{name: "claim", value: one}}
}

func sourceFields(v any) fields {
	var f fields
	f.setUnless("existingClaim", at(v, "persistentVolumeClaim", "claimName"), nil)
	f.setUnless("secret", at(v, "secret", "secretName"), nil)
	f.setUnless("configMap", at(v, "configMap", "name"), nil)
	for _, source := range []string{"secret", "configMap", "downwardAPI", "projected"} {
		from := mapping(v, source)
		if mode, ok := number(from["defaultMode"]); ok && mode != 0o644 {
			f.set("mode", fmt.Sprintf("%04o", int(mode)))
		}
		if source == "secret" || source == "configMap" {
			f.set("items", itemFields(from["items"]))
			f.setUnless("optional", from["optional"], nil)
		}
	}
	if files := downwardFields(at(v, "downwardAPI")); files != nil {
		f.set("downwardAPI", files)
	}
	if sources := projections(list(v, "projected", "sources")); sources != nil {
		f.set("projected", sources)
	}
	if empty, ok := at(v, "emptyDir").(map[string]any); ok {
		one := map[string]any{}
		if size := quantity(empty["sizeLimit"]); size != nil {
			one["size"] = size
		}
		if text(empty, "medium") == "Memory" {
			one["memory"] = true
		}
		f.set("empty", one)
	}
	if nfs := mapping(v, "nfs"); len(nfs) == 2 {
		f.set("nfs", nfs)
	}
	f.setUnless("hostPath", at(v, "hostPath", "path"), nil)
	f.setUnless("hostPathType", at(v, "hostPath", "type"), "")
	for _, other := range []string{"csi", "ephemeral", "iscsi", "cephfs", "image"} {
		if source := mapping(v, other); source != nil {
			f.set("source", map[string]any{other: source})
		}
	}
	return f
}

// itemFields are the keys of a Secret or ConfigMap with their files; those with a mode
// of their own are left to the patch.
func itemFields(items any) fields {
	var f fields
	for _, item := range list(items) {
		f.set(text(item, "key"), text(item, "path"))
	}
	return f
}

// downwardFields are the files of what Kubernetes knows of the pod.
func downwardFields(v any) fields {
	var f fields
	for _, item := range list(v, "items") {
		f.set(text(item, "path"), or(at(item, "fieldRef", "fieldPath"), at(item, "resourceFieldRef", "resource")))
	}
	return f
}

// projections are the sources of a projected volume; nil where one has no field.
func projections(sources []any) []any {
	var all []any
	for _, s := range sources {
		var one fields
		for _, source := range []string{"secret", "configMap"} {
			if from := mapping(s, source); from != nil {
				one.set(source, from["name"])
				one.set("items", itemFields(from["items"]))
				one.setUnless("optional", from["optional"], nil)
			}
		}
		if files := downwardFields(at(s, "downwardAPI")); files != nil {
			one.set("downwardAPI", files)
		}
		if token := mapping(s, "serviceAccountToken"); token != nil {
			one.set("serviceAccountToken", token)
		}
		if len(one) == 0 {
			return nil
		}
		all = append(all, one)
	}
	return all
}

// names are the names of the fields of a field.
func (f fields) names(name string) []string {
	var names []string
	for _, one := range f {
		if inner, ok := one.value.(fields); ok && one.name == name {
			for _, field := range inner {
				names = append(names, field.name)
			}
		}
	}
	return names
}

func sidecarFields(c any, volumes []string) fields {
	one := fields{{name: "image", value: text(c, "image")}}
	for _, name := range []string{"imagePullPolicy", "restartPolicy", "command", "args"} {
		one.setUnless(name, at(c, name), nil)
	}
	env, refs, from := variables(c, func(string) bool { return false })
	var ports, mounts, probes fields
	for _, p := range list(c, "ports") {
		name := text(p, "name")
		switch {
		case name == "":
		case text(p, "protocol") == "" && at(p, "hostPort") == nil:
			ports.set(name, at(p, "containerPort"))
		default:
			port := fields{{name: "port", value: at(p, "containerPort")}}
			port.setUnless("protocol", at(p, "protocol"), "TCP")
			port.setUnless("hostPort", at(p, "hostPort"), nil)
			ports.set(name, port)
		}
	}
	for _, m := range list(c, "volumeMounts") {
		name := text(m, "name")
		if !slices.Contains(volumes, name) || slices.Contains(mounts.own(), name) { // the patch has both, or the second
			continue
		}
		if place := mountFields(m); len(place) > 1 {
			mounts.set(name, place)
		} else {
			mounts.set(name, text(m, "mountPath"))
		}
	}
	for _, name := range []string{"startup", "readiness", "liveness"} {
		if probe := mapping(c, name+"Probe"); probe != nil {
			f := probeField(probe)
			f.setUnless("periodSeconds", probe["periodSeconds"], nil)
			f.setUnless("failureThreshold", probe["failureThreshold"], nil)
			probes.set(name, f)
		}
	}
	one.set("env", env)
	one.set("envRef", refs)
	one.set("envFrom", from)
	one.set("ports", ports)
	one.set("mounts", mounts)
	one.set("probes", probes)
	if n, ok := number(at(c, "securityContext", "runAsUser")); ok && n > 0 {
		one.set("user", int(n))
	}
	if n, ok := number(at(c, "lifecycle", "preStop", "sleep", "seconds")); ok {
		one.set("preStopSeconds", int(n))
	}
	one.set("resources", resourceFields(c))
	return one
}

// own are the names of the fields.
func (f fields) own() []string {
	names := make([]string, len(f))
	for i, one := range f {
		names[i] = one.name
	}
	return names
}

// cutSleep takes the wait off the end of a command line: "x; sleep 10".
func cutSleep(line string) (before string, seconds int, ok bool) {
	at := strings.LastIndex(line, "; sleep ")
	if at < 0 {
		return "", 0, false
	}
	seconds, err := strconv.Atoi(strings.TrimSpace(line[at+len("; sleep "):]))
	return line[:at], seconds, err == nil
}
