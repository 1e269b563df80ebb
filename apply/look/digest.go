package look

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// digest matches what container runtimes report of an image that they pulled.
var digest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

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
		if image := asked[s.Name]; ok && image != "" && digest.MatchString(sum) {
			pulled[image] = sum
		}
	}
	return pulled
}

// Pulled is an image of an app, pinned to the digest by which the ready pods of a unit
// pulled it: IMAGE@sha256:... An error says where they pulled none, or several under one
// tag.
func Pulled(ctx context.Context, c *apply.Cluster, env *schema.Environment, unit, image string) (string, error) {
	if strings.Contains(image, "@") {
		return image, nil
	}
	u := env.Unit(unit)
	if u == nil {
		return "", fmt.Errorf("env %s has no unit %s", env.Name, unit)
	}
	var refs []schema.Ref
	for _, o := range u.Objects {
		refs = append(refs, schema.RefOf(o.Unstructured))
	}
	objects, err := Objects(ctx, c, env, refs)
	if err != nil {
		return "", err
	}
	found := map[string]bool{}
	for _, o := range objects {
		for _, p := range o.Pods {
			if sum := p.Digests[image]; p.Ready && sum != "" {
				found[sum] = true
			}
		}
	}
	switch sums := slices.Sorted(maps.Keys(found)); len(sums) {
	case 1:
		return image + "@" + sums[0], nil
	case 0:
		return "", fmt.Errorf("no ready pod of %s in %s says by which digest it pulled %s", unit, env.Name, image)
	default:
		return "", fmt.Errorf("the pods of %s in %s pulled %s under several digests: %s", unit, env.Name, image, strings.Join(sums, ", "))
	}
}
