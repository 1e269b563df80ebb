package importer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// typeFields are those that only the type of the app has. Its ports are in
// portFields.
func (w *workload) typeFields(a *app) {
	switch a.typ {
	case "DubboProvider", "DubboConsumer":
		var dubbo fields
		if !w.answersQoS() {
			dubbo = append(dubbo, field{name: "version", value: "2.7", comment: "the manifests do not say; from 3.0 on probes ask the QoS server"})
		}
		if p := w.dubboPort(); a.typ == "DubboProvider" && p != nil {
			if text(p, "name") == "tri" {
				dubbo.set("protocol", "tri")
				dubbo.setUnless("port", p["containerPort"], 50051)
			} else {
				dubbo.setUnless("port", p["containerPort"], 20880)
			}
		}
		a.fields.set("dubbo", dubbo)
		var java fields
		if jar := w.env("JAR_BALL"); jar != "" {
			java.set("jar", jar)
		}
		if port, err := strconv.Atoi(w.env("M_PORT")); err == nil {
			java.set("jmxPort", port)
		}
		a.fields.set("java", java)
		if a.typ == "DubboConsumer" {
			if p := w.httpPort(); p != nil {
				a.fields.setUnless("port", p["containerPort"], 8080)
			} else {
				a.fields.set("http", false)
			}
		}
	case "WebApp", "SpringService":
		a.fields.setUnless("port", w.httpPort()["containerPort"], 8080)
		if profile := or(w.env("SPRING_PROFILES_ACTIVE"), w.env("spring.profiles.active")); a.typ == "SpringService" && profile != nil {
			a.fields.set("spring", fields{{name: "profile", value: profile}})
		}
	}
}

// answersQoS says whether a probe asks the QoS server of Dubbo.
func (w *workload) answersQoS() bool {
	for _, name := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
		path := text(w.main, name, "httpGet", "path")
		if path == "/startup" || path == "/ready" || path == "/live" {
			return true
		}
	}
	return false
}

// madeByType are environment variables that the type writes.
func madeByType(typ, name string) bool {
	switch name {
	case "SPRING_PROFILES_ACTIVE", "SPRING_APPLICATION_NAME", "SERVER_PORT", "SERVER_SHUTDOWN", "SERVER_FORWARD_HEADERS_STRATEGY",
		"SPRING_LIFECYCLE_TIMEOUT_PER_SHUTDOWN_PHASE", "MANAGEMENT_ENDPOINT_HEALTH_PROBES_ENABLED",
		"SPRING_CLOUD_NACOS_DISCOVERY_SERVER_ADDR", "SPRING_CLOUD_NACOS_DISCOVERY_NAMESPACE", "SPRING_CLOUD_NACOS_DISCOVERY_GROUP",
		"SPRING_CLOUD_NACOS_CONFIG_SERVER_ADDR", "SPRING_CLOUD_NACOS_CONFIG_NAMESPACE", "SPRING_CLOUD_NACOS_CONFIG_GROUP",
		"SPRING_CLOUD_NACOS_DISCOVERY_IP", "SPRING_CLOUD_NACOS_USERNAME", "SPRING_CLOUD_NACOS_PASSWORD":
		return typ == "SpringService"
	case "JAVA_TOOL_OPTIONS":
		return strings.HasPrefix(typ, "Dubbo") || typ == "SpringService"
	case "JAR_BALL", "M_PORT", "C_OPTS", "DUBBO_IP_TO_REGISTRY", "REGISTRY_USERNAME", "REGISTRY_PASSWORD":
		return strings.HasPrefix(typ, "Dubbo")
	}
	return false
}

func (w *workload) deploymentFields(a *app, beside map[string]besideObject) {
	scaler, scaled := beside["autoscaler"]
	replicas := w.spec["replicas"]
	if scaled {
		a.fields.set("autoscale", scaleFields(scaler.plain))
	} else if replicas != nil {
		a.fields.set("replicas", replicas)
	}
	many, _ := number(replicas)
	w.budget(a, beside, scaled || many > 1)

	var strategy fields
	if text(w.spec, "strategy", "type") == "Recreate" {
		strategy.set("type", "Recreate")
	} else {
		rolling := mapping(w.spec, "strategy", "rollingUpdate")
		strategy.setUnless("maxSurge", or(rolling["maxSurge"], "25%"), 1)
		strategy.setUnless("maxUnavailable", or(rolling["maxUnavailable"], "25%"), 0)
	}
	a.fields.set("strategy", strategy)
	ready := 0
	if strings.HasPrefix(a.typ, "Dubbo") || a.typ == "SpringService" {
		ready = 10
	}
	a.fields.setUnless("minReadySeconds", or(w.spec["minReadySeconds"], 0), ready)
	a.fields.setUnless("progressDeadlineSeconds", w.spec["progressDeadlineSeconds"], 600)
	a.fields.setUnless("revisionHistoryLimit", w.spec["revisionHistoryLimit"], 10)
}

// scaleFields are what an autoscaler says. CPU comes first in the type, then memory.
func scaleFields(scaler Object) fields {
	scale := fields{{name: "min", value: at(scaler, "spec", "minReplicas")}, {name: "max", value: at(scaler, "spec", "maxReplicas")}}
	used := map[string]any{}
	var others []any
	for _, m := range list(scaler, "spec", "metrics") {
		if name := averageUse(m); name != "" && used[name] == nil {
			used[name] = at(m, "resource", "target", "averageUtilization")
			continue
		}
		others = append(others, m)
	}
	scale.set("cpu", or(used["cpu"], "off"))
	scale.setUnless("memory", used["memory"], nil)
	if len(others) > 0 {
		scale.set("metrics", others)
	}
	scale.setUnless("behavior", at(scaler, "spec", "behavior"), nil)
	return scale
}

// budget takes over the disruption budget, or switches off that of the type.
func (w *workload) budget(a *app, beside map[string]besideObject, many bool) {
	if !many {
		delete(beside, "disruptionBudget")
		return
	}
	budget, ok := beside["disruptionBudget"]
	if !ok {
		a.fields.set("disruptionBudget", fields{{name: "enabled", value: false}})
		return
	}
	if stay := at(budget.plain, "spec", "minAvailable"); stay != nil {
		a.fields.set("disruptionBudget", fields{{name: "minAvailable", value: stay}})
	} else if limit := at(budget.plain, "spec", "maxUnavailable"); !same(limit, 1) {
		a.fields.set("disruptionBudget", fields{{name: "maxUnavailable", value: limit}})
	}
}

func (w *workload) daemonFields(a *app) {
	var update fields
	if text(w.spec, "updateStrategy", "type") == "OnDelete" {
		update.set("type", "OnDelete")
	} else {
		rolling := mapping(w.spec, "updateStrategy", "rollingUpdate")
		update.setUnless("maxUnavailable", or(rolling["maxUnavailable"], 1), 1)
		update.setUnless("maxSurge", or(rolling["maxSurge"], 0), 0)
	}
	a.fields.set("updateStrategy", update)
	a.fields.setUnless("minReadySeconds", or(w.spec["minReadySeconds"], 0), 0)
	a.fields.setUnless("revisionHistoryLimit", w.spec["revisionHistoryLimit"], 10)
}

func (w *workload) statefulFields(a *app, beside map[string]besideObject) {
	scaler, scaled := beside["autoscaler"]
	if scaled {
		a.fields.set("autoscale", scaleFields(scaler.plain))
	} else if replicas := w.spec["replicas"]; replicas != nil {
		a.fields.set("replicas", replicas)
	}
	many, _ := number(w.spec["replicas"])
	w.budget(a, beside, scaled || many > 1)
	a.fields.setUnless("podManagementPolicy", w.spec["podManagementPolicy"], "OrderedReady")
	a.fields.setUnless("partition", at(w.spec, "updateStrategy", "rollingUpdate", "partition"), 0)
	if text(w.spec, "updateStrategy", "type") == "OnDelete" {
		a.fields.set("updateOnDelete", true)
	}
	a.fields.setUnless("minReadySeconds", w.spec["minReadySeconds"], 0)
	a.fields.setUnless("revisionHistoryLimit", w.spec["revisionHistoryLimit"], 10)
}

func (w *workload) jobFields(a *app, spec map[string]any) {
	a.fields.setUnless("backoffLimit", or(spec["backoffLimit"], 6), 3)
	for _, name := range []string{"activeDeadlineSeconds", "completions", "parallelism", "ttlSecondsAfterFinished"} {
		a.fields.setUnless(name, spec[name], nil)
	}
}

func (w *workload) cronFields(a *app) {
	a.fields.set("schedule", w.spec["schedule"])
	a.fields.setUnless("timeZone", w.spec["timeZone"], nil)
	a.fields.setUnless("concurrencyPolicy", or(w.spec["concurrencyPolicy"], "Allow"), "Forbid")
	a.fields.setUnless("suspend", w.spec["suspend"], false)
	a.fields.setUnless("startingDeadlineSeconds", w.spec["startingDeadlineSeconds"], nil)
	a.fields.setUnless("successfulJobsHistoryLimit", w.spec["successfulJobsHistoryLimit"], 3)
	a.fields.setUnless("failedJobsHistoryLimit", w.spec["failedJobsHistoryLimit"], 1)
	w.jobFields(a, mapping(w.spec, "jobTemplate", "spec"))
}

// networkFields are the Service and the Ingress.
func (w *workload) networkFields(a *app, beside map[string]besideObject) {
	if a.typ == "Job" || a.typ == "CronJob" {
		return
	}
	w.portFields(a, beside["service"].plain)
	var service fields
	byType := "ClusterIP"
	switch {
	case a.typ == "DubboProvider", a.typ == "Worker", a.typ == "DaemonApp":
		byType = "none"
	case a.typ == "StatefulApp":
		byType = "headless"
	case a.typ == "DubboConsumer" && w.httpPort() == nil:
		byType = "none"
	}
	typ := "none"
	if s, ok := beside["service"]; ok {
		typ, _ = or(at(s.plain, "spec", "type"), "ClusterIP").(string)
		if text(s.plain, "spec", "clusterIP") == "None" {
			typ = "headless"
		}
		if notes := mapping(s.plain, "metadata", "annotations"); len(notes) > 0 {
			service.set("annotations", notes)
		}
		if text(s.plain, "spec", "externalTrafficPolicy") == "Local" {
			service.set("local", true)
		}
	}
	if typ != byType {
		service = append(fields{{name: "type", value: typ}}, service...)
	}
	a.fields.set("service", service)
	if i, ok := beside["ingress"]; ok {
		ingressFields(a, i.plain)
	}
}

// portFields are the ports of the container with those of the Service.
func (w *workload) portFields(a *app, service Object) {
	var ports fields
	for i, p := range list(w.main, "ports") {
		port, _ := p.(map[string]any)
		byType := ""
		switch {
		case a.typ == "DubboProvider" && same(port, w.dubboPort()):
			byType = or(text(port, "name"), "dubbo").(string)
			if byType != "tri" {
				byType = "dubbo"
			}
		case (a.typ == "WebApp" || a.typ == "SpringService" || a.typ == "DubboConsumer") && same(port, w.httpPort()):
			byType = "http"
		}
		var one fields
		name := byType
		if name == "" {
			fallback := "port-" + strconv.Itoa(i+1)
			if same(port, w.dubboPort()) {
				fallback = "dubbo"
			}
			name, _ = or(port["name"], fallback).(string)
			one.set("port", port["containerPort"])
			one.setUnless("protocol", port["protocol"], "TCP")
		}
		one.setUnless("hostPort", port["hostPort"], nil)
		if a.typ == "Worker" {
			ports.set(name, one)
			continue
		}
		if service != nil {
			served := servicePort(service, port)
			if served == nil {
				one.set("service", false)
			} else {
				one.setUnless("servicePort", served["port"], port["containerPort"])
				one.setUnless("nodePort", served["nodePort"], nil)
			}
		}
		ports.set(name, one)
	}
	a.fields.set("ports", ports)
}

// servicePort is the port of a Service that leads to a port of the container.
func servicePort(service Object, port map[string]any) map[string]any {
	for _, p := range list(service, "spec", "ports") {
		m, _ := p.(map[string]any)
		target := or(m["targetPort"], m["port"])
		if same(target, port["containerPort"]) || target == port["name"] && target != nil {
			return m
		}
	}
	return nil
}

func ingressFields(a *app, obj Object) {
	rules := list(obj, "spec", "rules")
	a.fields.set("host", text(rules[0], "host"))
	paths := list(rules[0], "http", "paths")
	var names []any
	for _, p := range paths {
		names = append(names, text(p, "path"))
	}
	a.fields.setUnless("paths", names, []any{"/"})
	if tls := list(obj, "spec", "tls"); len(tls) == 1 && text(tls[0], "secretName") != "" {
		a.fields.set("tls", text(tls[0], "secretName"))
	}
	var ingress fields
	ingress.setUnless("class", at(obj, "spec", "ingressClassName"), nil)
	var more []any
	for _, r := range rules[1:] {
		more = append(more, text(r, "host"))
	}
	if len(more) > 0 {
		ingress.set("hosts", more)
	}
	ingress.setUnless("pathType", at(paths[0], "pathType"), "Prefix")
	port := mapping(paths[0], "backend", "service", "port")
	ingress.setUnless("port", port["name"], "http")
	ingress.setUnless("portNumber", port["number"], nil)
	if notes := mapping(obj, "metadata", "annotations"); len(notes) > 0 {
		ingress.set("annotations", notes)
	}
	a.fields.set("ingress", ingress)
}

// or is the first value that is there.
func or(values ...any) any {
	at := slices.IndexFunc(values, func(v any) bool { return v != nil && v != "" })
	if at < 0 {
		return nil
	}
	return values[at]
}

// quantity is a quantity as text: YAML may have it as a number.
func quantity(v any) any {
	if v == nil {
		return nil
	}
	return fmt.Sprint(v)
}
