package health

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
)

// judgeClaim does not wait for a claim whose class binds it to its first pod,
// as long as there is no such pod.
func judgeClaim(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	claim, err := as[corev1.PersistentVolumeClaim](obj)
	if err != nil {
		return unreadable(err)
	}
	switch claim.Status.Phase {
	case corev1.ClaimBound:
		return healthy("claim-bound", resizing(claim))
	case corev1.ClaimLost:
		return failed("claim-bound", fmt.Sprintf("lost: volume %s no longer exists", claim.Spec.VolumeName))
	}
	for _, e := range related.events(claim.UID, now, "ProvisioningFailed", "ProvisioningCleanupFailed", "FailedBinding", "VolumeMismatch", "ClaimMisbound") {
		return progressing("claim-bound", join("pending", e.Reason, oneLine(e.Message, 400)))
	}
	return pendingClaim(claim, related)
}

func pendingClaim(claim *corev1.PersistentVolumeClaim, related Related) verdict {
	name := ptr.Deref(claim.Spec.StorageClassName, "")
	switch {
	case claim.Spec.VolumeName != "":
		return progressing("claim-bound", "pending: volume "+claim.Spec.VolumeName+" is not bound to it yet")
	case claim.Spec.StorageClassName != nil && name == "":
		return progressing("claim-bound", "pending: no volume fits, and its storage class is \"\": no volume will be made for it")
	case related.Classes == nil:
		return progressing("claim-bound", join("pending", class(name)))
	}
	sc := classOf(name, related.Classes)
	switch {
	case sc == nil && name != "":
		return progressing("claim-bound", fmt.Sprintf("pending: storage class %q does not exist", name))
	case sc == nil:
		return progressing("claim-bound", "pending: it names no storage class and the cluster has no default one")
	case ptr.Deref(sc.VolumeBindingMode, storagev1.VolumeBindingImmediate) != storagev1.VolumeBindingWaitForFirstConsumer:
		return progressing("claim-bound", join("pending", class(sc.Name), "waiting for provisioner "+sc.Provisioner))
	}
	if pod := consumer(claim, related.Pods); pod != nil {
		return progressing("claim-bound", fmt.Sprintf("pending: storage class %s: waiting for pod %s to be scheduled and for provisioner %s", sc.Name, pod.Name, sc.Provisioner))
	}
	return healthy("claim-first-consumer", fmt.Sprintf("storage class %s binds it when a pod uses it (WaitForFirstConsumer)", sc.Name))
}

func class(name string) string {
	if name == "" {
		return ""
	}
	return "storage class " + name
}

// classOf returns the class of that name; for no name, the default one (the
// newest, as the admission plug-in picks it).
func classOf(name string, classes []*storagev1.StorageClass) *storagev1.StorageClass {
	var found *storagev1.StorageClass
	for _, c := range classes {
		if name != "" && c.Name == name {
			return c
		}
		if name == "" && c.Annotations[defaultClassAnnotation] == "true" &&
			(found == nil || found.CreationTimestamp.Before(&c.CreationTimestamp)) {
			found = c
		}
	}
	return found
}

// consumer returns a pod that mounts the claim.
func consumer(claim *corev1.PersistentVolumeClaim, pods []*corev1.Pod) *corev1.Pod {
	for _, p := range pods {
		if p.Namespace != claim.Namespace {
			continue
		}
		for _, v := range p.Spec.Volumes {
			if v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim.Name ||
				v.Ephemeral != nil && p.Name+"-"+v.Name == claim.Name {
				return p
			}
		}
	}
	return nil
}

// resizing tells about a bound claim that is being made larger; it serves
// meanwhile.
func resizing(claim *corev1.PersistentVolumeClaim) string {
	for _, c := range claim.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case corev1.PersistentVolumeClaimFileSystemResizePending:
			return "grows when its pod is started again"
		case corev1.PersistentVolumeClaimResizing:
			return "is being resized"
		case corev1.PersistentVolumeClaimControllerResizeError, corev1.PersistentVolumeClaimNodeResizeError:
			return join("cannot be resized", oneLine(c.Message, 300))
		}
	}
	return ""
}

func judgeVolume(obj *unstructured.Unstructured, _ Related, _ time.Time) verdict {
	pv, err := as[corev1.PersistentVolume](obj)
	if err != nil {
		return unreadable(err)
	}
	switch pv.Status.Phase {
	case corev1.VolumeAvailable:
		return healthy("volume-available", "")
	case corev1.VolumeBound:
		return healthy("volume-bound", "")
	case corev1.VolumeReleased:
		msg := "released: it still names its former claim, no other can bind it"
		if ref := pv.Spec.ClaimRef; ref != nil {
			msg = fmt.Sprintf("released: it still names its former claim %s/%s, no other can bind it", ref.Namespace, ref.Name)
		}
		return healthy("volume-released", msg)
	case corev1.VolumeFailed:
		return failed("volume-available", join(pv.Status.Reason, pv.Status.Message))
	}
	return progressing("volume-available", join("pending", pv.Status.Message))
}
