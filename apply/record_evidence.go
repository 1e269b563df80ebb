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

	// spans are when signed revisions show that the app had them, one behind the other.
	spans []span
}

// span is a time, to now where it has no end.
type span struct{ from, to time.Time }

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
	signer := c.signer(name, namespace)
	history, err := c.history(ctx, signer)
	if err != nil {
		return nil, err
	}
	newest, err := signer.newest(ctx)
	if err != nil {
		return nil, err
	}
	shown := spans(history, newest)
	if newest > 0 && (len(history) == 0 || history[0].Number < newest) {
		c.Warn(goneNewest(name, newest))
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
				all[n-1].show(r, shown)
				continue
			}
			all[n-1].Until = r.Time
		}
		if len(images) > 0 {
			r.Environment = nil
			entry := AppRevision{Revision: *r, Images: images}
			entry.show(r, shown)
			all = append(all, entry)
		}
	}
	slices.Reverse(all)
	return all, nil
}

// spans are how long what signed revisions hold was there: until the next number, which
// has to be signed as well. Who may delete revisions, or write others between them, could
// else have one pass for what was there longer than it was. newest is the number of the
// newest one that was signed, 0 where that is not known.
func spans(history []Revision, newest int) map[int]span {
	at := map[int]time.Time{}
	last := 0
	for _, r := range history {
		if r.Authenticated {
			at[r.Number], last = r.Time, max(last, r.Number)
		}
	}
	if newest == 0 {
		newest = last
	}
	shown := map[int]span{}
	for number, from := range at {
		if to, ok := at[number+1]; ok {
			shown[number] = span{from, to}
		} else if number == newest {
			shown[number] = span{from: from}
		}
	}
	return shown
}

// show adds the time of a revision, if one is known.
func (r *AppRevision) show(by *Revision, shown map[int]span) {
	s, ok := shown[by.Number]
	if !ok || !by.Authenticated {
		return
	}
	if n := len(r.spans); n > 0 && r.spans[n-1].to.Equal(s.from) {
		r.spans[n-1].to = s.to
		return
	}
	r.spans = append(r.spans, s)
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
// that are signed and of which none is missing; false where it never had it. An image with
// a digest has been there where its tag was.
func Proven(history []AppRevision, image string, now time.Time) (time.Duration, bool) {
	var longest time.Duration
	found := false
	for _, r := range history {
		if !slices.ContainsFunc(r.Images, func(had string) bool { return had == image || strings.HasPrefix(image, had+"@") }) {
			continue
		}
		found = found || r.Authenticated || len(r.spans) > 0
		for _, s := range r.spans {
			if s.to.IsZero() {
				s.to = now
			}
			longest = max(longest, s.to.Sub(s.from))
		}
	}
	return longest, found
}
