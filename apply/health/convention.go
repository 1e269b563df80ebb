package health

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// convention returns the rule of a well-known kind of others, whose health its
// project has said how to read.
func convention(gk schema.GroupKind) (kindRule, bool) {
	switch {
	case gk.Group == "traefik.io", gk.Group == "traefik.containo.us":
		return configOnly("traefik-config"), true // Traefik's kinds have no status
	case strings.HasSuffix(gk.Group, ".toolkit.fluxcd.io"):
		if gk.Group == "notification.toolkit.fluxcd.io" && gk.Kind != "Receiver" {
			return judgeFluxConfig, true
		}
		return judgeFlux, true
	case gk.Group == "argoproj.io":
		return argo(gk.Kind)
	case gk.Group == "cert-manager.io", gk.Group == "acme.cert-manager.io":
		return judgeCertManager, true
	case gk.Group == "gateway.networking.k8s.io", gk.Group == "gateway.networking.x-k8s.io":
		return gateway(gk.Kind)
	case strings.HasSuffix(gk.Group, ".strimzi.io"):
		return judgeStrimzi, true
	case gk.Group == "monitoring.coreos.com":
		return monitoring(gk.Kind)
	case gk.Group == "snapshot.storage.k8s.io":
		return volumeSnapshot(gk.Kind)
	case gk.Group == "metallb.io":
		return configOnly("metallb-config"), true
	}
	return nil, false
}

// configOnly is for kinds that only configure: their controller reads them and
// reports elsewhere.
func configOnly(rule string) kindRule {
	return func(*unstructured.Unstructured, Related, time.Time) verdict { return healthy(rule, "") }
}

// judgeFluxConfig is for Alert and Provider, which report nothing since
// v1beta3, and a Ready condition before.
func judgeFluxConfig(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	if len(conditionsOf(obj)) == 0 {
		return healthy("flux-config", "")
	}
	return judgeFlux(obj, related, now)
}

// judgeFlux reads what Flux writes for kstatus: Reconciling, Stalled and Ready,
// with an observedGeneration (-1 until the first success).
func judgeFlux(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
	if suspended, _, _ := unstructured.NestedBool(obj.Object, "spec", "suspend"); suspended {
		return healthy("flux-suspended", "suspended")
	}
	conditions := conditionsOf(obj)
	ready, ok := find(conditions, "Ready")
	if c, stalled := find(conditions, "Stalled"); stalled && c.Status == "True" && !c.stale(obj.GetGeneration()) {
		return failed("flux-ready", join("stalled", c.Reason, oneLine(c.Message, 400)))
	}
	if ok && ready.Status == "False" && !ready.stale(obj.GetGeneration()) {
		return progressing("flux-ready", join(ready.Reason, oneLine(ready.Message, 400)))
	}
	if v, stale := staleStatus(obj, ready); stale {
		return v
	}
	if v, ok := standard(obj, conditions); ok {
		v.Rule = "flux-ready"
		return v
	}
	switch {
	case !ok:
		return progressing("flux-ready", "not reported yet")
	case ready.Status != "True":
		return progressing("flux-ready", join("Ready is "+ready.Status, ready.Reason, oneLine(ready.Message, 400)))
	}
	return healthy("flux-ready", "")
}

func argo(kind string) (kindRule, bool) {
	switch kind {
	case "Application":
		return judgeArgoApplication, true
	case "ApplicationSet":
		return judgeArgoApplicationSet, true
	case "AppProject":
		return configOnly("argocd-config"), true
	case "Rollout":
		return judgeArgoRollout, true
	case "AnalysisTemplate", "ClusterAnalysisTemplate", "WorkflowTemplate", "ClusterWorkflowTemplate":
		return configOnly("argo-config"), true
	}
	return nil, false
}

// judgeArgoApplication takes Argo CD's own words. It has no observedGeneration:
// status.sync.comparedTo repeats the spec that it has looked at.
func judgeArgoApplication(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
	const rule = "argocd-health"
	get := func(path ...string) string {
		s, _, _ := unstructured.NestedString(obj.Object, append([]string{"status"}, path...)...)
		return s
	}
	health, sync := get("health", "status"), get("sync", "status")
	for _, field := range []string{"source", "sources", "destination"} {
		seen, ok, _ := unstructured.NestedFieldNoCopy(obj.Object, "status", "sync", "comparedTo", field)
		want, declared, _ := unstructured.NestedFieldNoCopy(obj.Object, "spec", field)
		if ok && declared && !equality.Semantic.DeepEqual(seen, want) {
			return progressing("observed-generation", "Argo CD has not compared with the present spec."+field+" yet")
		}
	}
	for _, c := range conditionsOf(obj) {
		if strings.HasSuffix(c.Type, "Error") { // InvalidSpecError, ComparisonError, SyncError
			return failed(rule, join(c.Type, oneLine(c.Message, 400)))
		}
	}
	if phase := get("operationState", "phase"); phase == "Failed" || phase == "Error" {
		if sync != "Synced" {
			return failed(rule, join("sync "+strings.ToLower(phase), oneLine(get("operationState", "message"), 400)))
		}
	}
	msg := oneLine(get("health", "message"), 400)
	switch health {
	case "Healthy":
		if sync == "Synced" {
			return healthy(rule, "")
		}
		if _, automated, _ := unstructured.NestedMap(obj.Object, "spec", "syncPolicy", "automated"); automated {
			return progressing(rule, join("Healthy, but "+sync, msg))
		}
		return healthy(rule, "Healthy, "+sync+" (it is synced by hand)")
	case "Suspended":
		return healthy(rule, join("Suspended", msg))
	case "Degraded":
		return failed(rule, join("Degraded", msg))
	case "Unknown":
		return unknown(rule, join("Argo CD does not know its health", msg))
	case "":
		return progressing(rule, "not reported yet")
	}
	return progressing(rule, join(health, msg)) // Progressing, Missing
}

func judgeArgoApplicationSet(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
	const rule = "argocd-applicationset"
	conditions := conditionsOf(obj)
	if c, ok := find(conditions, "ErrorOccurred"); ok && c.Status == "True" {
		return failed(rule, join(c.Reason, oneLine(c.Message, 400)))
	}
	if c, ok := find(conditions, "ResourcesUpToDate"); ok && c.Status == "True" {
		return healthy(rule, "")
	}
	return progressing(rule, "its Applications are not up to date yet")
}

// judgeArgoRollout reads status.phase; observedGeneration is a string there.
func judgeArgoRollout(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
	const rule = "argo-rollout"
	if seen, ok, _ := unstructured.NestedString(obj.Object, "status", "observedGeneration"); !ok || seen != fmt.Sprint(obj.GetGeneration()) {
		return progressing("observed-generation", "its controller has not seen the present generation")
	}
	phase, _, _ := unstructured.NestedString(obj.Object, "status", "phase")
	msg, _, _ := unstructured.NestedString(obj.Object, "status", "message")
	switch phase {
	case "Healthy":
		return healthy(rule, msg)
	case "Degraded":
		return failed(rule, join("Degraded", msg))
	}
	return progressing(rule, join(phase, msg)) // Progressing, Paused
}

// judgeCertManager reads Ready; an issuance that failed is tried again after an
// hour or more, which no gate waits for.
func judgeCertManager(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	const rule = "cert-manager-ready"
	kind, conditions := obj.GetKind(), conditionsOf(obj)
	if kind == "Challenge" || kind == "Order" {
		return judgeACME(obj)
	}
	for _, bad := range []string{"Denied", "InvalidRequest"} {
		if c, ok := find(conditions, bad); ok && c.Status == "True" {
			return failed(rule, join(bad, c.Reason, oneLine(c.Message, 400)))
		}
	}
	if c, ok := find(conditions, "Issuing"); ok && kind == "Certificate" && c.Status == "False" && c.Reason == "Failed" && !c.stale(obj.GetGeneration()) {
		if r, ok := find(conditions, "Ready"); !ok || r.Status != "True" {
			return failed(rule, join(c.Reason, oneLine(c.Message, 400)))
		}
	}
	c, ok := find(conditions, "Ready")
	if !ok {
		return progressing(rule, "not reported yet")
	}
	if c.Reason == "Failed" && kind == "CertificateRequest" {
		return failed(rule, join(c.Reason, oneLine(c.Message, 400)))
	}
	v := judgeReadyLike(obj, c, related, now)
	if v.Rule == "condition Ready" {
		v.Rule = rule
	}
	return v
}

func judgeACME(obj *unstructured.Unstructured) verdict {
	const rule = "cert-manager-state"
	state, _, _ := unstructured.NestedString(obj.Object, "status", "state")
	reason, _, _ := unstructured.NestedString(obj.Object, "status", "reason")
	switch state {
	case "valid":
		return healthy(rule, "")
	case "invalid", "expired", "errored":
		return failed(rule, join(state, oneLine(reason, 400)))
	case "":
		return progressing(rule, "not reported yet")
	}
	return progressing(rule, join(state, oneLine(reason, 400)))
}

// gateway returns the rules of the Gateway API
// (gateway-api.sigs.k8s.io/geps/gep-1364).
func gateway(kind string) (kindRule, bool) {
	switch {
	case kind == "Gateway":
		return judgeGateway, true
	case kind == "GatewayClass":
		return allConditions("gateway-accepted", "Accepted"), true
	case strings.HasSuffix(kind, "ListenerSet"):
		return allConditions("gateway-programmed", "Accepted", "Programmed"), true
	case strings.HasSuffix(kind, "Route"):
		return func(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
			return parents(obj, "parents", "route-accepted", "Accepted", "ResolvedRefs")
		}, true
	case strings.HasSuffix(kind, "Policy"):
		return func(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
			return parents(obj, "ancestors", "policy-accepted", "Accepted")
		}, true
	case kind == "ReferenceGrant":
		return configOnly("gateway-config"), true
	}
	return nil, false
}

func judgeGateway(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	v := allConditions("gateway-programmed", "Accepted", "Programmed")(obj, related, now)
	if v.State != Healthy {
		return v
	}
	listeners, _, err := unstructured.NestedSlice(obj.Object, "status", "listeners")
	if err != nil {
		return unreadable(err)
	}
	for _, item := range listeners {
		m, ok := item.(map[string]any)
		if !ok {
			continue
		}
		found, _, _ := unstructured.NestedSlice(m, "conditions")
		for _, kind := range []string{"Programmed", "ResolvedRefs"} {
			c, ok := find(readConditions(found), kind)
			if ok && c.Status == "False" {
				return progressing("gateway-programmed", join("listener "+text(m["name"]), kind+" is False", c.Reason, oneLine(c.Message, 300)))
			}
		}
	}
	return v
}

// allConditions wants each of the conditions True and of the present generation.
func allConditions(rule string, kinds ...string) kindRule {
	return func(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
		conditions := conditionsOf(obj)
		for _, kind := range kinds {
			c, ok := find(conditions, kind)
			if v, stale := staleStatus(obj, c); stale {
				return v
			}
			switch {
			case !ok || c.Status == "Unknown":
				return progressing(rule, join(kind+" not reported yet", c.Message))
			case c.Status != "True":
				return progressing(rule, join(kind+" is "+c.Status, c.Reason, oneLine(c.Message, 400)))
			}
		}
		return healthy(rule, "")
	}
}

// judgeStrimzi reads Ready and NotReady; a reconciliation that is paused leaves
// only ReconciliationPaused.
func judgeStrimzi(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
	const rule = "strimzi-ready"
	if v, stale := staleStatus(obj, condition{}); stale {
		return v
	}
	conditions := conditionsOf(obj)
	if c, ok := find(conditions, "ReconciliationPaused"); ok && c.Status == "True" {
		return healthy("strimzi-paused", "reconciliation is paused")
	}
	if c, ok := find(conditions, "NotReady"); ok && c.Status == "True" {
		msg := join(c.Reason, oneLine(c.Message, 400))
		if strings.Contains(c.Reason, "Invalid") {
			return failed(rule, msg)
		}
		return progressing(rule, msg)
	}
	if c, ok := find(conditions, "Ready"); ok && c.Status == "True" {
		return healthy(rule, "")
	}
	return progressing(rule, "not reported yet")
}

// monitoring returns the rules of the Prometheus operator, whose workloads have
// conditions and whose configuration has none.
func monitoring(kind string) (kindRule, bool) {
	switch kind {
	case "Prometheus", "Alertmanager", "ThanosRuler", "PrometheusAgent":
		return allConditions("prometheus-available", "Reconciled", "Available"), true
	}
	return configOnly("prometheus-config"), true
}

func volumeSnapshot(kind string) (kindRule, bool) {
	switch kind {
	case "VolumeSnapshot", "VolumeSnapshotContent":
		return judgeSnapshot, true
	}
	return configOnly("exists"), true
}

func judgeSnapshot(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
	const rule = "snapshot-ready"
	if ready, _, _ := unstructured.NestedBool(obj.Object, "status", "readyToUse"); ready {
		return healthy(rule, "")
	}
	msg, _, _ := unstructured.NestedString(obj.Object, "status", "error", "message")
	return progressing(rule, join("not ready to use", oneLine(msg, 400)))
}
