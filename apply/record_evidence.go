package apply

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// AppRevision is the revision that brought the images of an app, and until when the
// app had them: the next one's time, or zero where it has them still. A revision is
// recorded when all that it wrote was healthy, so that is how long they were in use
// after somebody had seen them healthy.
type AppRevision struct {
	Revision
	// Images are those of the app's workloads, in their order.
	Images []string  `json:"images"`
	Until  time.Time `json:"until,omitzero"`
}

// For is how long the app had the images.
func (r AppRevision) For(now time.Time) time.Duration {
	if r.Until.IsZero() {
		return now.Sub(r.Time)
	}
	return r.Until.Sub(r.Time)
}

// AppHistory lists what an app has run as, the newest first: one entry for each change
// of its images that the recorded revisions show. A revision that cannot be read is
// left out.
func (c *Cluster) AppHistory(ctx context.Context, name, namespace, app string) ([]AppRevision, error) {
	history, err := c.History(ctx, name, namespace)
	if err != nil {
		return nil, err
	}
	var all []AppRevision
	for _, meta := range slices.Backward(history) {
		r, err := c.Revision(ctx, name, namespace, meta.Number)
		if errors.Is(err, errUnreadable) {
			continue
		}
		if err != nil {
			return nil, err
		}
		images := imagesOf(r, app)
		if n := len(all); n > 0 && all[n-1].Until.IsZero() {
			if slices.Equal(all[n-1].Images, images) {
				continue
			}
			all[n-1].Until = r.Time
		}
		if len(images) > 0 {
			r.Environment = nil
			all = append(all, AppRevision{Revision: *r, Images: images})
		}
	}
	slices.Reverse(all)
	return all, nil
}

// imagesOf are the images of the workloads of a unit in a revision.
func imagesOf(r *Revision, app string) []string {
	unit := r.Environment.Unit(app)
	if unit == nil {
		return nil
	}
	var images []string
	for _, o := range unit.Objects {
		for _, path := range [][]string{{"spec", "template", "spec"}, {"spec", "jobTemplate", "spec", "template", "spec"}} {
			for _, list := range []string{"initContainers", "containers"} {
				containers, _, _ := unstructured.NestedSlice(o.Object, append(slices.Clone(path), list)...)
				for _, item := range containers {
					container, _ := item.(map[string]any)
					if image, ok := container["image"].(string); ok && !slices.Contains(images, image) {
						images = append(images, image)
					}
				}
			}
		}
	}
	return images
}

// Proven is how long an app has had an image in a row, at the longest, by revisions
// that are signed; false where it never had it. An image with a digest has been there
// where its tag was.
func Proven(history []AppRevision, image string, now time.Time) (time.Duration, bool) {
	var longest time.Duration
	found := false
	for _, r := range history {
		if r.Authenticated && slices.ContainsFunc(r.Images, func(had string) bool { return had == image || strings.HasPrefix(image, had+"@") }) {
			longest, found = max(longest, r.For(now)), true
		}
	}
	return longest, found
}
