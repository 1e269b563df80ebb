package server

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/featuregate"
	"k8s.io/kubernetes/pkg/api/job"
	"k8s.io/kubernetes/pkg/api/persistentvolume"
	"k8s.io/kubernetes/pkg/api/persistentvolumeclaim"
	"k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/api/service"
	"k8s.io/kubernetes/pkg/apis/apps"
	appsv1 "k8s.io/kubernetes/pkg/apis/apps/v1"
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/autoscaling"
	autoscalingv1 "k8s.io/kubernetes/pkg/apis/autoscaling/v1"
	autoscalingv2 "k8s.io/kubernetes/pkg/apis/autoscaling/v2"
	autoscalingvalidation "k8s.io/kubernetes/pkg/apis/autoscaling/validation"
	"k8s.io/kubernetes/pkg/apis/batch"
	batchv1 "k8s.io/kubernetes/pkg/apis/batch/v1"
	batchvalidation "k8s.io/kubernetes/pkg/apis/batch/validation"
	"k8s.io/kubernetes/pkg/apis/coordination"
	coordinationv1 "k8s.io/kubernetes/pkg/apis/coordination/v1"
	coordinationvalidation "k8s.io/kubernetes/pkg/apis/coordination/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	corev1 "k8s.io/kubernetes/pkg/apis/core/v1"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/discovery"
	discoveryv1 "k8s.io/kubernetes/pkg/apis/discovery/v1"
	discoveryvalidation "k8s.io/kubernetes/pkg/apis/discovery/validation"
	"k8s.io/kubernetes/pkg/apis/networking"
	networkingv1 "k8s.io/kubernetes/pkg/apis/networking/v1"
	networkingvalidation "k8s.io/kubernetes/pkg/apis/networking/validation"
	"k8s.io/kubernetes/pkg/apis/node"
	nodev1 "k8s.io/kubernetes/pkg/apis/node/v1"
	nodevalidation "k8s.io/kubernetes/pkg/apis/node/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	policyv1 "k8s.io/kubernetes/pkg/apis/policy/v1"
	policyvalidation "k8s.io/kubernetes/pkg/apis/policy/validation"
	"k8s.io/kubernetes/pkg/apis/rbac"
	rbacv1 "k8s.io/kubernetes/pkg/apis/rbac/v1"
	rbacvalidation "k8s.io/kubernetes/pkg/apis/rbac/validation"
	"k8s.io/kubernetes/pkg/apis/scheduling"
	schedulingv1 "k8s.io/kubernetes/pkg/apis/scheduling/v1"
	schedulingvalidation "k8s.io/kubernetes/pkg/apis/scheduling/validation"
	"k8s.io/kubernetes/pkg/apis/storage"
	storagev1 "k8s.io/kubernetes/pkg/apis/storage/v1"
	storagevalidation "k8s.io/kubernetes/pkg/apis/storage/validation"
	"k8s.io/kubernetes/pkg/features"
	volumevalidation "k8s.io/kubernetes/pkg/volume/validation"
)

// newScheme has the kinds that the server knows in both forms, with the defaults and
// the generated validation of their versions.
func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		apps.AddToScheme, appsv1.AddToScheme,
		autoscaling.AddToScheme, autoscalingv1.AddToScheme, autoscalingv2.AddToScheme,
		batch.AddToScheme, batchv1.AddToScheme,
		coordination.AddToScheme, coordinationv1.AddToScheme,
		core.AddToScheme, corev1.AddToScheme,
		discovery.AddToScheme, discoveryv1.AddToScheme,
		networking.AddToScheme, networkingv1.AddToScheme,
		node.AddToScheme, nodev1.AddToScheme,
		policy.AddToScheme, policyv1.AddToScheme,
		rbac.AddToScheme, rbacv1.AddToScheme,
		scheduling.AddToScheme, schedulingv1.AddToScheme,
		storage.AddToScheme, storagev1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			panic(err) // two packages of Kubernetes claim one kind: a broken build
		}
	}
	return scheme
}

// prepare does what the server does between decoding and validation: it drops fields
// behind closed feature gates and writes what only the server writes.
func prepare(obj runtime.Object) {
	switch o := obj.(type) {
	case *apps.Deployment:
		pod.DropDisabledTemplateFields(&o.Spec.Template, nil)
	case *apps.DaemonSet:
		pod.DropDisabledTemplateFields(&o.Spec.Template, nil)
	case *apps.StatefulSet:
		pod.DropDisabledTemplateFields(&o.Spec.Template, nil)
	case *apps.ReplicaSet:
		pod.DropDisabledTemplateFields(&o.Spec.Template, nil)
	case *core.ReplicationController:
		if o.Spec.Template != nil {
			pod.DropDisabledTemplateFields(o.Spec.Template, nil)
		}
	case *core.PodTemplate:
		pod.DropDisabledTemplateFields(&o.Template, nil)
	case *core.Pod:
		pod.DropDisabledPodFields(o, nil)
		pod.DefaultPodLevelResources(o)
	case *batch.Job:
		selectPods(o)
		job.DropDisabledFields(&o.Spec, nil)
		pod.DropDisabledTemplateFields(&o.Spec.Template, nil)
	case *batch.CronJob:
		job.DropDisabledFields(&o.Spec.JobTemplate.Spec, nil)
		pod.DropDisabledTemplateFields(&o.Spec.JobTemplate.Spec.Template, nil)
	case *core.PersistentVolume:
		persistentvolume.DropDisabledSpecFields(&o.Spec, nil)
	case *core.PersistentVolumeClaim:
		persistentvolumeclaim.DropDisabledFields(&o.Spec, nil)
		persistentvolumeclaim.EnforceDataSourceBackwardsCompatibility(&o.Spec, nil)
		persistentvolumeclaim.NormalizeDataSources(&o.Spec)
	case *core.Service:
		if o.Spec.ClusterIP != "" && len(o.Spec.ClusterIPs) == 0 {
			o.Spec.ClusterIPs = []string{o.Spec.ClusterIP} // normalizeClusterIPs of pkg/registry/core/service/storage
		}
		if service.NeedsHealthCheck(o) && o.Spec.HealthCheckNodePort == 0 {
			o.Spec.HealthCheckNodePort = anyNodePort // allocHealthCheckNodePort, there too
		}
	case *core.Namespace:
		o.Spec.Finalizers = append(o.Spec.Finalizers, core.FinalizerKubernetes)
	}
}

// anyNodePort stands for the port that the server would find free.
const anyNodePort = 32767

// selectPods gives a Job the labels and the selector that the server makes for it
// (pkg/registry/batch/job, generateSelector), with a UID that stands for its own.
func selectPods(o *batch.Job) {
	if o.UID == "" {
		o.UID = "00000000-0000-0000-0000-000000000000"
	}
	if o.Spec.ManualSelector != nil && *o.Spec.ManualSelector {
		return
	}
	if o.Spec.Template.Labels == nil {
		o.Spec.Template.Labels = map[string]string{}
	}
	for name, value := range map[string]string{
		batch.LegacyJobNameLabel: o.Name, batch.JobNameLabel: o.Name,
		batch.LegacyControllerUidLabel: string(o.UID), batch.ControllerUidLabel: string(o.UID),
	} {
		if _, found := o.Spec.Template.Labels[name]; !found {
			o.Spec.Template.Labels[name] = value
		}
	}
	if o.Spec.Selector == nil {
		o.Spec.Selector = &metav1.LabelSelector{}
	}
	if o.Spec.Selector.MatchLabels == nil {
		o.Spec.Selector.MatchLabels = map[string]string{}
	}
	if _, found := o.Spec.Selector.MatchLabels[batch.ControllerUidLabel]; !found {
		o.Spec.Selector.MatchLabels[batch.ControllerUidLabel] = string(o.UID)
	}
}

// validate calls the validation of the kind with the options that the server gives it
// at creation (Validate in pkg/registry/*/*/strategy.go); ok is false for others.
func validate(obj runtime.Object) (errs field.ErrorList, ok bool) {
	switch o := obj.(type) {
	case *apps.Deployment:
		return appsvalidation.ValidateDeployment(o, templateOptions(&o.Spec.Template)), true
	case *apps.DaemonSet:
		return appsvalidation.ValidateDaemonSet(o, templateOptions(&o.Spec.Template)), true
	case *apps.StatefulSet:
		return appsvalidation.ValidateStatefulSet(o, appsvalidation.StatefulSetValidationOptions{
			AllowStatefulSetRecreateStrategy: enabled(features.StatefulSetRecreateStrategy),
		}, templateOptions(&o.Spec.Template)), true
	case *apps.ReplicaSet:
		return appsvalidation.ValidateReplicaSet(o, templateOptions(&o.Spec.Template)), true
	case *autoscaling.HorizontalPodAutoscaler:
		return autoscalingvalidation.ValidateHorizontalPodAutoscaler(o, autoscalerOptions(o)), true
	case *batch.CronJob:
		return batchvalidation.ValidateCronJobCreate(o, templateOptions(&o.Spec.JobTemplate.Spec.Template)), true
	case *batch.Job:
		return batchvalidation.ValidateJobCreate(o, batchvalidation.JobValidationOptions{
			PodValidationOptions: templateOptions(&o.Spec.Template), RequirePrefixedLabels: true,
		}), true
	case *coordination.Lease:
		return coordinationvalidation.ValidateLease(o), true
	case *discovery.EndpointSlice:
		return discoveryvalidation.ValidateEndpointSliceCreate(o), true
	case *networking.Ingress:
		return networkingvalidation.ValidateIngressCreate(o), true
	case *networking.IngressClass:
		return networkingvalidation.ValidateIngressClass(o), true
	case *networking.NetworkPolicy:
		return networkingvalidation.ValidateNetworkPolicy(o, networkingvalidation.ValidationOptionsForNetworking(o, nil)), true
	case *node.RuntimeClass:
		return nodevalidation.ValidateRuntimeClass(o), true
	case *policy.PodDisruptionBudget:
		return policyvalidation.ValidatePodDisruptionBudget(o, policyvalidation.PodDisruptionBudgetValidationOptions{}), true
	case *rbac.Role:
		return rbacvalidation.ValidateRole(o), true
	case *rbac.ClusterRole:
		return rbacvalidation.ValidateClusterRole(o, rbacvalidation.ClusterRoleValidationOptions{}), true
	case *rbac.RoleBinding:
		return rbacvalidation.ValidateRoleBinding(o), true
	case *rbac.ClusterRoleBinding:
		return rbacvalidation.ValidateClusterRoleBinding(o), true
	case *scheduling.PriorityClass:
		return schedulingvalidation.ValidatePriorityClass(o), true
	case *storage.StorageClass:
		return storagevalidation.ValidateStorageClass(o), true
	case *storage.CSIDriver:
		return storagevalidation.ValidateCSIDriver(o), true
	case *storage.VolumeAttributesClass:
		return storagevalidation.ValidateVolumeAttributesClass(o), true
	}
	return validateCore(obj)
}

// validateCore is validate for the kinds of v1.
func validateCore(obj runtime.Object) (errs field.ErrorList, ok bool) {
	switch o := obj.(type) {
	case *core.Pod:
		options := pod.GetValidationOptionsFromPodSpecAndMeta(&o.Spec, nil, &o.ObjectMeta, nil)
		options.ResourceIsPod = true
		return corevalidation.ValidatePodCreate(o, options), true
	case *core.PodTemplate:
		return corevalidation.ValidatePodTemplate(o, templateOptions(&o.Template)), true
	case *core.ReplicationController:
		return corevalidation.ValidateReplicationController(o, templateOptions(o.Spec.Template)), true
	case *core.Service:
		return corevalidation.ValidateServiceCreate(o), true
	case *core.ConfigMap:
		return corevalidation.ValidateConfigMap(o), true
	case *core.Secret:
		return corevalidation.ValidateSecret(o), true
	case *core.Namespace:
		return corevalidation.ValidateNamespace(o), true
	case *core.ServiceAccount:
		return corevalidation.ValidateServiceAccount(o), true
	case *core.Endpoints:
		return corevalidation.ValidateEndpointsCreate(o), true
	case *core.LimitRange:
		return corevalidation.ValidateLimitRange(o), true
	case *core.ResourceQuota:
		return corevalidation.ValidateResourceQuota(o), true
	case *core.PersistentVolume:
		errs := corevalidation.ValidatePersistentVolume(o, corevalidation.ValidationOptionsForPersistentVolume(o, nil))
		return append(errs, volumevalidation.ValidatePersistentVolume(o)...), true
	case *core.PersistentVolumeClaim:
		return corevalidation.ValidatePersistentVolumeClaim(o, corevalidation.ValidationOptionsForPersistentVolumeClaim(o, nil)), true
	}
	return nil, false
}

func templateOptions(template *core.PodTemplateSpec) corevalidation.PodValidationOptions {
	return pod.GetValidationOptionsFromPodTemplate(template, nil)
}

func autoscalerOptions(o *autoscaling.HorizontalPodAutoscaler) autoscalingvalidation.HorizontalPodAutoscalerSpecValidationOptions {
	options := autoscalingvalidation.HorizontalPodAutoscalerSpecValidationOptions{
		MinReplicasLowerBound:           1,
		ScaleTargetRefValidationOptions: autoscalingvalidation.CrossVersionObjectReferenceValidationOptions{RequiredCoveredByDeclarative: true},
		ObjectMetricsValidationOptions:  autoscalingvalidation.CrossVersionObjectReferenceValidationOptions{AllowEmptyAPIGroup: true},
	}
	if enabled(features.HPAScaleToZero) {
		options.MinReplicasLowerBound = 0
	}
	if o.Spec.ScaleTargetRef.Kind == "ReplicationController" {
		options.ScaleTargetRefValidationOptions.AllowEmptyAPIGroup = true
	}
	return options
}

// declared configures the generated validation (DeclarativeValidationConfig of the
// same strategies).
func declared(obj runtime.Object) rest.DeclarativeValidationConfig {
	switch obj.(type) {
	case *autoscaling.HorizontalPodAutoscaler:
		return rest.DeclarativeValidationConfig{Options: map[string]bool{
			string(features.HPAScaleToZero): enabled(features.HPAScaleToZero),
		}}
	case *batch.Job, *batch.CronJob:
		return rest.DeclarativeValidationConfig{Options: map[string]bool{
			string(features.WorkloadWithJob): enabled(features.WorkloadWithJob),
		}}
	case *rbac.RoleBinding, *rbac.ClusterRoleBinding:
		return rest.DeclarativeValidationConfig{ShortCircuitMismatch: true}
	case *node.RuntimeClass:
		return rest.DeclarativeValidationConfig{NormalizationRules: nodevalidation.NodeNormalizationRules}
	}
	return rest.DeclarativeValidationConfig{}
}

func enabled(gate featuregate.Feature) bool { return utilfeature.DefaultFeatureGate.Enabled(gate) }
