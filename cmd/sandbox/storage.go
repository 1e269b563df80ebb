package main

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// provisioner is the name under which volumeStages make volumes. A claim of any
// other class stays Pending, as it would without its provisioner.
const provisioner = "sandbox.evenkeel/none"

// volumeStages do what a provisioner does: a volume for every claim that the
// controller manager asks one for, and its removal. Binding is the controller
// manager's, as ever.
const volumeStages = `
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: claim-provision}
spec:
  resourceRef: {apiGroup: v1, kind: PersistentVolumeClaim}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
    - {key: .spec.volumeName, operator: DoesNotExist}
    - {key: '.metadata.annotations["volume.kubernetes.io/storage-provisioner"]', operator: In, values: [` + provisioner + `]}
  steps:
  - apply:
      template: |
        apiVersion: v1
        kind: PersistentVolume
        metadata:
          name: pvc-{{ .metadata.uid }}
          annotations: {pv.kubernetes.io/provisioned-by: ` + provisioner + `}
        spec:
          accessModes: {{ .spec.accessModes | toJson }}
          capacity: {{ .spec.resources.requests | toJson }}
          persistentVolumeReclaimPolicy: Delete
          storageClassName: {{ .spec.storageClassName }}
          volumeMode: {{ .spec.volumeMode | default "Filesystem" }}
          claimRef:
            apiVersion: v1
            kind: PersistentVolumeClaim
            namespace: {{ .metadata.namespace }}
            name: {{ .metadata.name }}
            uid: {{ .metadata.uid }}
          hostPath: {path: /var/lib/volumes/{{ .metadata.uid }}}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: volume-delete}
spec:
  resourceRef: {apiGroup: v1, kind: PersistentVolume}
  selector:
    matchExpressions:
    - {key: .status.phase, operator: In, values: [Released]}
    - {key: '.metadata.annotations["pv.kubernetes.io/provisioned-by"]', operator: In, values: [` + provisioner + `]}
  next: {delete: true}
`

// createStorageClasses makes the default class, which binds at once, and one that
// waits for the first pod that uses the claim.
func createStorageClasses(ctx context.Context, client kubernetes.Interface) error {
	policy, immediate, wait := corev1.PersistentVolumeReclaimDelete, storagev1.VolumeBindingImmediate, storagev1.VolumeBindingWaitForFirstConsumer
	for _, class := range []storagev1.StorageClass{
		{
			ObjectMeta:        metav1.ObjectMeta{Name: "standard", Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}},
			VolumeBindingMode: &immediate,
		},
		{ObjectMeta: metav1.ObjectMeta{Name: "standard-wait"}, VolumeBindingMode: &wait},
	} {
		class.Provisioner, class.ReclaimPolicy = provisioner, &policy
		if _, err := client.StorageV1().StorageClasses().Create(ctx, &class, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}
