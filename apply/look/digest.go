package look

import (
	"context"
	"fmt"
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

// Pulled are the digests by which ready pods pulled their images, by unit and image as it
// is asked for: sorted, one but for a tag that was pushed again.
type Pulled map[string]map[string][]string

// PulledBy looks at the pods of units of an environment.
func PulledBy(ctx context.Context, c *apply.Cluster, env *schema.Environment, units []string) (Pulled, error) {
	var refs []schema.Ref
	for unit, o := range env.Objects() {
		if slices.Contains(units, unit) {
			refs = append(refs, schema.RefOf(o.Unstructured))
		}
	}
	objects, err := Objects(ctx, c, env, refs)
	if err != nil {
		return nil, err
	}
	pulled := Pulled{}
	for _, o := range objects {
		for _, p := range o.Pods {
			for image, sum := range p.Digests {
				if !p.Ready || slices.Contains(pulled[o.Unit][image], sum) {
					continue
				}
				if pulled[o.Unit] == nil {
					pulled[o.Unit] = map[string][]string{}
				}
				pulled[o.Unit][image] = slices.Sorted(slices.Values(append(pulled[o.Unit][image], sum)))
			}
		}
	}
	return pulled, nil
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
