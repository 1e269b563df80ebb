package health

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	contract "github.com/seed-428f4edd/evenkeel/schema"
)

// Judge says whether obj does what it was declared to do. rule replaces the
// rule of the object's kind unless it is nil; related is what belongs to obj;
// now is the time that ages are counted to.
func Judge(obj *unstructured.Unstructured, rule *contract.ReadyRule, related Related, now time.Time) Result {
	var declared *declaredRule
	if rule != nil {
		d := compileRule(*rule)
		declared = &d
	}
	return judge(obj, declared, related, now).Result
}

// verdict is a Result with what the watcher and its callers need besides.
type verdict struct {
	Result
	ready, desired int    // pods, for workloads
	crash          *crash // whose log lines would explain the result
}

func judge(obj *unstructured.Unstructured, declared *declaredRule, related Related, now time.Time) verdict {
	if v, deleting := judgeDeleting(obj, now); deleting {
		return v
	}
	byKind := judgeKind(obj, related, now)
	if declared == nil {
		return byKind
	}
	v := declared.judge(obj)
	v.ready, v.desired = byKind.ready, byKind.desired
	if v.State == Progressing && byKind.State == Failed {
		return byKind // the declared rule is not met, and the kind's says why
	}
	return v
}

// judgeKind picks the rule of the object's kind. The version plays no part: the
// fields that are read are the same in all versions that are still served.
func judgeKind(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	gk := obj.GroupVersionKind().GroupKind()
	if rule, ok := builtin(gk); ok {
		return rule(obj, related, now)
	}
	if rule, ok := ruleOf(gk); ok {
		return rule.judge(obj, related, now)
	}
	return judgeCustom(obj, related, now)
}

// kindRule judges the objects of one kind.
type kindRule func(obj *unstructured.Unstructured, related Related, now time.Time) verdict

// builtin returns the rule of a kind of Kubernetes itself.
func builtin(gk schema.GroupKind) (kindRule, bool) {
	switch gk.String() {
	case "Deployment.apps":
		return judgeDeployment, true
	case "StatefulSet.apps":
		return judgeStatefulSet, true
	case "DaemonSet.apps":
		return judgeDaemonSet, true
	case "ReplicaSet.apps":
		return judgeReplicaSet, true
	case "ReplicationController":
		return judgeReplicationController, true
	case "Pod":
		return judgePod, true
	case "Job.batch":
		return judgeJob, true
	case "CronJob.batch":
		return judgeCronJob, true
	case "Service":
		return judgeService, true
	case "Ingress.networking.k8s.io":
		return judgeIngress, true
	case "PersistentVolumeClaim":
		return judgeClaim, true
	case "PersistentVolume":
		return judgeVolume, true
	case "PodDisruptionBudget.policy":
		return judgeDisruptionBudget, true
	case "HorizontalPodAutoscaler.autoscaling":
		return judgeAutoscaler, true
	case "ResourceQuota":
		return judgeQuota, true
	case "Namespace":
		return judgeNamespace, true
	case "Node":
		return judgeNode, true
	case "CustomResourceDefinition.apiextensions.k8s.io":
		return judgeCRD, true
	case "APIService.apiregistration.k8s.io":
		return judgeAPIService, true
	case "ValidatingAdmissionPolicy.admissionregistration.k8s.io":
		return judgeAdmissionPolicy, true
	case "FlowSchema.flowcontrol.apiserver.k8s.io":
		return judgeFlowSchema, true
	case "CertificateSigningRequest.certificates.k8s.io":
		return judgeSigningRequest, true
	case "Application.argoproj.io":
		return judgeArgoApplication, true
	}
	if exists(gk) {
		return judgeExists, true
	}
	return nil, false
}

// exists tells the built-in kinds that nobody reports on: to be stored is all
// that they can do.
func exists(gk schema.GroupKind) bool {
	switch gk.Group {
	case "":
		switch gk.Kind {
		case "ConfigMap", "Secret", "ServiceAccount", "Endpoints", "LimitRange", "PodTemplate", "Event":
			return true
		}
	case "rbac.authorization.k8s.io", "admissionregistration.k8s.io", "scheduling.k8s.io", "node.k8s.io",
		"discovery.k8s.io", "coordination.k8s.io", "storage.k8s.io", "flowcontrol.apiserver.k8s.io", "events.k8s.io",
		"certificates.k8s.io", "resource.k8s.io":
		return true
	case "networking.k8s.io":
		switch gk.Kind {
		case "NetworkPolicy", "IngressClass", "IPAddress", "ServiceCIDR":
			return true
		}
	case "apps":
		return gk.Kind == "ControllerRevision"
	}
	return false
}

// judgeDeleting answers for an object that is being deleted: a deletion cannot
// be taken back, so it will not be healthy again.
func judgeDeleting(obj *unstructured.Unstructured, now time.Time) (verdict, bool) {
	at := obj.GetDeletionTimestamp()
	if at == nil {
		return verdict{}, false
	}
	if succeeded(obj) {
		return deletedJob(), true // by its TTL, in the foreground
	}
	msg := "is being deleted"
	if age := now.Sub(at.Time); age > 0 {
		msg += " since " + short(age)
	}
	if f := obj.GetFinalizers(); len(f) > 0 {
		msg += ", held by " + plural(len(f), "finalizer") + " " + strings.Join(f, ", ")
	}
	if obj.GroupVersionKind().GroupKind().String() == "Namespace" {
		msg += namespaceRemains(obj)
	}
	return failed("terminating", msg), true
}

func judgeExists(*unstructured.Unstructured, Related, time.Time) verdict {
	return healthy("exists", "")
}

// missing is the verdict on an object that the API server does not have.
func missing() verdict {
	return failed("exists", notFound)
}

const notFound = "not found"

// Missing reports whether the API server does not have an object.
func (r *Result) Missing() bool { return r.Rule == "exists" && r.Message == notFound }

func healthy(rule, message string) verdict {
	return verdict{Result: Result{State: Healthy, Rule: rule, Message: message}}
}

func progressing(rule, message string) verdict {
	return verdict{Result: Result{State: Progressing, Rule: rule, Message: message}}
}

func failed(rule, message string) verdict {
	return verdict{Result: Result{State: Failed, Rule: rule, Message: message}}
}

func unknown(rule, message string) verdict {
	return verdict{Result: Result{State: Unknown, Rule: rule, Message: message}}
}

// behind answers for an object whose controller has not yet reported on the
// generation that is stored.
func behind(obj *unstructured.Unstructured, observed int64) (verdict, bool) {
	if generation := obj.GetGeneration(); observed < generation {
		return progressing("observed-generation", fmt.Sprintf("its controller has seen generation %d of %d", observed, generation)), true
	}
	return verdict{}, false
}

// as reads obj into its type of k8s.io/api, without what no rule reads and what
// takes most of the time: managed fields and the templates of workloads.
func as[T any](obj *unstructured.Unstructured) (*T, error) {
	slim := maps.Clone(obj.Object)
	dropFrom(slim, "metadata", "managedFields")
	dropFrom(slim, "spec", "template", "jobTemplate", "volumeClaimTemplates")
	out := new(T)
	return out, runtime.DefaultUnstructuredConverter.FromUnstructured(slim, out)
}

// dropFrom replaces a map of obj by a copy without some of its keys.
func dropFrom(obj map[string]any, field string, keys ...string) {
	m, ok := obj[field].(map[string]any)
	if !ok {
		return
	}
	m = maps.Clone(m)
	for _, k := range keys {
		delete(m, k)
	}
	obj[field] = m
}

// unreadable answers for an object that does not fit its type.
func unreadable(err error) verdict {
	return unknown("unreadable", err.Error())
}
