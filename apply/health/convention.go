package health

import (
	"strings"
	"time"

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
