package health

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
)

// judgeService waits only for what somebody else must give: the address of a
// load balancer. The pods behind a Service are judged where they are declared.
func judgeService(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	svc, err := as[corev1.Service](obj)
	if err != nil {
		return unreadable(err)
	}
	switch {
	case svc.Spec.Type == corev1.ServiceTypeExternalName:
		return healthy("service-external-name", "")
	case svc.Spec.Type == corev1.ServiceTypeLoadBalancer:
		return judgeLoadBalancer(svc, related, now)
	case svc.Spec.ClusterIP == corev1.ClusterIPNone:
		return healthy("service-headless", "")
	case svc.Spec.ClusterIP == "":
		return progressing("service-cluster-ip", "no cluster IP yet")
	}
	return healthy("service-cluster-ip", "")
}

func judgeLoadBalancer(svc *corev1.Service, related Related, now time.Time) verdict {
	for _, in := range svc.Status.LoadBalancer.Ingress {
		if in.IP != "" || in.Hostname != "" {
			return healthy("service-load-balancer", "")
		}
	}
	msg := "no address yet"
	if class := ptr.Deref(svc.Spec.LoadBalancerClass, ""); class != "" {
		msg += " from load balancer class " + class
	}
	for _, e := range related.events(svc.UID, now, "SyncLoadBalancerFailed", "CreatingLoadBalancerFailed", "AllocationFailed", "UnAvailableLoadBalancer") {
		return progressing("service-load-balancer", join(msg, e.Reason, oneLine(e.Message, 400)))
	}
	if age := now.Sub(svc.CreationTimestamp.Time); !svc.CreationTimestamp.IsZero() && age > 30*time.Second {
		msg += " after " + short(age) + ": does the cluster have a load-balancer controller? If none is to come, declare that it is ready without: ready: <key>: cel: \"true\""
	}
	return progressing("service-load-balancer", msg)
}

// judgeIngress takes existence for health: many controllers (Traefik behind host
// ports, for one) never publish an address.
func judgeIngress(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
	ing, err := as[networkingv1.Ingress](obj)
	if err != nil {
		return unreadable(err)
	}
	for _, in := range ing.Status.LoadBalancer.Ingress {
		if in.IP != "" || in.Hostname != "" {
			return healthy("ingress-address", "")
		}
	}
	return healthy("ingress-exists", "no address in its status; not every controller publishes one")
}
