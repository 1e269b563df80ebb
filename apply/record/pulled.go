package record

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Pulled are the digests by which ready pods pulled their images, by unit and image as it
// is asked for: sorted, one but for a tag that was pushed again. One that was not pulled
// from a registry has none.
type Pulled map[string]map[string][]string

// pulledDigest matches what container runtimes report of an image that they pulled.
var pulledDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Pulled looks at the pods of units of an environment. A cluster that env is not pinned
// to is *Refused.
func (c *Store) Pulled(ctx context.Context, env *schema.Environment, units []string) (Pulled, error) {
	if _, err := c.IdentityOf(ctx, env); err != nil {
		return nil, err
	}
	return c.PulledBy(ctx, env, func(unit string) bool { return slices.Contains(units, unit) })
}

// PulledBy lists the pods of each namespace in which a unit has workloads, once. Only pods
// count that the workloads own, not those that bear their labels: who may make a pod there
// would else say by which digest an image is pulled.
func (c *Store) PulledBy(ctx context.Context, env *schema.Environment, of func(unit string) bool) (Pulled, error) {
	all := map[string][]podsOf{} // by namespace
	for unit, o := range env.Objects() {
		if !of(unit) {
			continue
		}
		if selector := selectorOf(o.Unstructured); selector != nil {
			all[o.GetNamespace()] = append(all[o.GetNamespace()], podsOf{unit, schema.RefOf(o.Unstructured), selector, imagesOf(o.Unstructured)})
		}
	}
	pulled := Pulled{}
	for _, namespace := range slices.Sorted(maps.Keys(all)) {
		if err := c.pulledIn(ctx, env, namespace, all[namespace], pulled); err != nil {
			return nil, err
		}
	}
	return pulled, nil
}

func (c *Store) pulledIn(ctx context.Context, env *schema.Environment, namespace string, workloads []podsOf, to Pulled) error {
	type candidate struct {
		of    podsOf
		owner types.UID
		sums  map[string]string
	}
	var found []candidate
	viaReplicaSets := false
	err := c.eachPod(ctx, namespace, func(pod *corev1.Pod) {
		owner := metav1.GetControllerOf(pod)
		if owner == nil || !ready(pod) {
			return
		}
		for _, w := range workloads {
			if w.selector.Matches(labels.Set(pod.Labels)) {
				found = append(found, candidate{w, owner.UID, digests(pod)})
				viaReplicaSets = viaReplicaSets || owner.Kind == "ReplicaSet"
			}
		}
	})
	if err != nil || len(found) == 0 {
		return err
	}
	applied, err := c.workloadUIDs(ctx, env, namespace, workloads)
	if err != nil {
		return err
	}
	above := map[types.UID]types.UID{} // of ReplicaSets: who owns them
	if viaReplicaSets {
		sets, err := c.heads(ctx, kschema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}, namespace, "", "")
		if err != nil {
			return fmt.Errorf("ReplicaSets of namespace %s: %w", namespace, err)
		}
		for i := range sets {
			if owner := metav1.GetControllerOf(&sets[i]); owner != nil {
				above[sets[i].UID] = owner.UID
			}
		}
	}
	for _, one := range found {
		is := applied[one.of.ref.ID()]
		// A Deployment owns its pods by ReplicaSets. Of one that names it itself no controller
		// knows, which would delete it.
		direct := one.owner == is && one.of.ref.GVK().GroupKind() != kschema.GroupKind{Group: "apps", Kind: "Deployment"}
		if is != "" && (direct || above[one.owner] == is) {
			to.add(one.of.unit, one.of.images, one.sums)
		}
	}
	return nil
}

// workloadUIDs are those of workloads as evenkeel applied them.
func (c *Store) workloadUIDs(ctx context.Context, env *schema.Environment, namespace string, workloads []podsOf) (map[schema.ID]types.UID, error) {
	uids := map[schema.ID]types.UID{}
	seen := map[kschema.GroupVersionKind]bool{}
	for _, w := range workloads {
		gvk := w.ref.GVK()
		if seen[gvk] {
			continue
		}
		seen[gvk] = true
		mapping, err := c.Mapping(ctx, gvk)
		if err != nil {
			return nil, err
		}
		heads, err := c.heads(ctx, mapping.Resource, namespace, schema.LabelPartOf+"="+schema.ApplySetID(env.Name, env.Namespace), "")
		if err != nil {
			return nil, fmt.Errorf("%s of namespace %s: %w", mapping.Resource.GroupResource(), namespace, err)
		}
		for i := range heads {
			ref := w.ref
			ref.Name = heads[i].Name
			uids[ref.ID()] = heads[i].UID
		}
	}
	return uids, nil
}

// podsOf are the pods of a workload.
type podsOf struct {
	unit     string
	ref      schema.Ref
	selector labels.Selector
	images   []string // that it asks for
}

func selectorOf(workload *unstructured.Unstructured) labels.Selector {
	raw, ok, _ := unstructured.NestedMap(workload.Object, "spec", "selector")
	if _, template, _ := unstructured.NestedMap(workload.Object, "spec", "template"); !ok || !template {
		return nil
	}
	selector := &metav1.LabelSelector{}
	if runtime.DefaultUnstructuredConverter.FromUnstructured(raw, selector) != nil {
		return nil
	}
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil
	}
	return parsed
}

// eachPod calls do with the pods of a namespace.
func (c *Store) eachPod(ctx context.Context, namespace string, do func(*corev1.Pod)) error {
	from := c.Dynamic.Resource(kschema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(namespace)
	err := kube.Each(ctx, from, metav1.ListOptions{Limit: 500}, func(live *unstructured.Unstructured) (bool, error) {
		var pod corev1.Pod
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &pod); err != nil {
			return false, fmt.Errorf("%s: %w", schema.RefOf(live), err)
		}
		do(&pod)
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("pods of namespace %s: %w", namespace, err)
	}
	return nil
}

// ready reports whether a pod serves, and is not about to go.
func ready(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// digests reads the images of a pod. The kubelet reports REPOSITORY@DIGEST as imageID;
// an image that was loaded on the node has an ID that no registry knows.
func digests(pod *corev1.Pod) map[string]string {
	asked := map[string]string{} // by container
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		asked[c.Name] = c.Image
	}
	pulled := map[string]string{}
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		_, sum, ok := strings.Cut(s.ImageID, "@")
		if image := asked[s.Name]; ok && image != "" && pulledDigest.MatchString(sum) {
			pulled[image] = sum
		}
	}
	return pulled
}

// add adds what one pod pulled of the images that its workload asks for: pods of an
// older version ask for others.
func (p Pulled) add(unit string, images []string, sums map[string]string) {
	for image, sum := range sums {
		if !slices.Contains(images, image) || slices.Contains(p[unit][image], sum) {
			continue
		}
		if p[unit] == nil {
			p[unit] = map[string][]string{}
		}
		p[unit][image] = slices.Sorted(slices.Values(append(p[unit][image], sum)))
	}
}

// Pin is an image of a unit with the digest by which it was pulled: IMAGE@sha256:... An
// error says where no ready pod pulled it, or pods pulled several under one tag.
func (p Pulled) Pin(unit, image string) (string, error) {
	if strings.Contains(image, "@") {
		return image, nil
	}
	switch sums := p[unit][image]; len(sums) {
	case 1:
		return image + "@" + sums[0], nil
	case 0:
		return "", fmt.Errorf("no ready pod of %s says by which digest it pulled %s", unit, image)
	default:
		return "", fmt.Errorf("the pods of %s pulled %s under several digests: %s", unit, image, strings.Join(sums, ", "))
	}
}
