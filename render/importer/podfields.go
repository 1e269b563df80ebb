package importer

import (
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
	var env, refs fields
	for _, e := range list(w.main, "env") {
		name := text(e, "name")
		if madeByType(a.typ, name) {
			continue
		}
		from := mapping(e, "valueFrom")
		if from == nil {
			env.set(name, text(e, "value"))
			continue
		}
		var ref fields
		for _, source := range []struct{ in, out string }{{"secretKeyRef", "secret"}, {"configMapKeyRef", "configMap"}} {
			if m := mapping(from, source.in); m != nil {
				ref.set(source.out, m["name"])
				ref.set("key", m["key"])
				ref.setUnless("optional", m["optional"], nil)
			}
		}
		ref.setUnless("field", at(from, "fieldRef", "fieldPath"), nil)
		ref.setUnless("resource", at(from, "resourceFieldRef", "resource"), nil)
		refs.set(name, ref)
	}
	a.fields.set("env", env)
	a.fields.set("envRef", refs)
	var maps, secrets []any
	for _, f := range list(w.main, "envFrom") {
		if name := text(f, "configMapRef", "name"); name != "" {
			maps = append(maps, name)
		}
		if name := text(f, "secretRef", "name"); name != "" {
			secrets = append(secrets, name)
		}
	}
	var from fields
	if len(maps) > 0 {
		from.set("configMaps", maps)
	}
	if len(secrets) > 0 {
		from.set("secrets", secrets)
	}
	a.fields.set("envFrom", from)
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
		var one fields
		one.setUnless("path", at(probe, "httpGet", "path"), nil)
		one.setUnless("port", or(at(probe, "httpGet", "port"), at(probe, "tcpSocket", "port")), nil)
		one.setUnless("scheme", at(probe, "httpGet", "scheme"), nil)
		one.setUnless("command", at(probe, "exec", "command"), nil)
		one.setUnless("grpc", at(probe, "grpc", "port"), nil)
		one.setUnless("initialDelaySeconds", probe["initialDelaySeconds"], nil)
		one.setUnless("timeoutSeconds", probe["timeoutSeconds"], nil)
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

// volumeFields are the volumes that are mounted once, in the main container.
func (w *workload) volumeFields(a *app, beside map[string]besideObject) {
	var volumes fields
	volume := func(name string, source fields) {
		var mounts []map[string]any
		for _, m := range list(w.main, "volumeMounts") {
			if text(m, "name") == name {
				mount, _ := m.(map[string]any)
				mounts = append(mounts, mount)
			}
		}
		if len(mounts) != 1 || len(source) == 0 {
			return // whatever it is, the patch has it
		}
		one := fields{{name: "path", value: mounts[0]["mountPath"]}}
		one.setUnless("subPath", mounts[0]["subPath"], nil)
		one.setUnless("readOnly", mounts[0]["readOnly"], false)
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
	return f
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
	for _, name := range []string{"command", "args"} {
		one.setUnless(name, at(c, name), nil)
	}
	var env, ports, mounts fields
	for _, e := range list(c, "env") {
		if at(e, "valueFrom") == nil {
			env.set(text(e, "name"), text(e, "value"))
		}
	}
	for _, p := range list(c, "ports") {
		if text(p, "name") != "" && text(p, "protocol") == "" {
			ports.set(text(p, "name"), at(p, "containerPort"))
		}
	}
	for _, m := range list(c, "volumeMounts") {
		if slices.Contains(volumes, text(m, "name")) { // else the patch has both
			mounts.set(text(m, "name"), text(m, "mountPath"))
		}
	}
	one.set("env", env)
	one.set("ports", ports)
	one.set("mounts", mounts)
	one.set("resources", resourceFields(c))
	return one
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
