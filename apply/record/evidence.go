package record

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// AppRevision is the revision that brought the images of an app, and until when the
// app had them: the next one's time, or zero where it has them still.
type AppRevision struct {
	Revision
	// Images are those of the app's workloads, in their order.
	Images []string  `json:"images"`
	Until  time.Time `json:"until,omitzero"`
	// Pulled are the digests of the images that its ready pods ran when a run saw the app
	// healthy with them, by image.
	Pulled map[string][]string `json:"pulled,omitempty"`
	// Proven is for how many seconds in a row, at the longest, the app had the images
	// after a run had seen it healthy with them, as signed revisions show.
	Proven float64 `json:"proven"`

	// spans are the times of which signed revisions show that, one behind the other.
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
// of its images, or of what was pulled for them, that the recorded revisions show. A
// revision that cannot be read is left out.
func (c *Store) AppHistory(ctx context.Context, name, namespace, app string, now time.Time) ([]AppRevision, error) {
	signer := c.Signer(name, namespace)
	history, err := c.HistoryBy(ctx, signer)
	if err != nil {
		return nil, err
	}
	newest := signer.Known().Noted.Newest
	shown := spans(history, newest)
	if newest > 0 && (len(history) == 0 || history[0].Number < newest) {
		c.Warn(GoneNewest(name, newest))
	}
	var all []AppRevision
	for _, meta := range slices.Backward(history) {
		r, err := c.Revision(ctx, name, namespace, meta.Number)
		if errors.Is(err, ErrUnreadable) {
			continue
		}
		if err != nil {
			return nil, err
		}
		images := UnitImages(r.Environment.Unit(app))
		if n := len(all); n > 0 && all[n-1].Until.IsZero() {
			if all[n-1].goesOn(images, r.Healthy[app]) {
				all[n-1].show(r, app, shown)
				continue
			}
			all[n-1].Until = r.Time
		}
		if len(images) > 0 {
			entry := AppRevision{Revision: *r, Images: images}
			entry.Environment, entry.Healthy = nil, nil
			entry.show(r, app, shown)
			all = append(all, entry)
		}
	}
	for i := range all {
		all[i].Proven = longest(all[i].spans, now).Seconds()
	}
	slices.Reverse(all)
	return all, nil
}

// goesOn reports whether an app still has the images of an entry: by name, and where it
// is known, by digest.
func (r *AppRevision) goesOn(images []string, pulled map[string][]string) bool {
	for image, sums := range pulled {
		if had, ok := r.Pulled[image]; ok && !slices.Equal(had, sums) {
			return false
		}
	}
	return slices.Equal(r.Images, images)
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

// show adds what a revision shows of the app: that it was healthy, until when, and what
// its pods had pulled.
func (r *AppRevision) show(by *Revision, app string, shown map[int]span) {
	pulled, healthy := by.Healthy[app]
	if !healthy || !by.Authenticated {
		return
	}
	if r.Pulled == nil {
		r.Pulled = map[string][]string{}
	}
	maps.Copy(r.Pulled, pulled)
	s, ok := shown[by.Number]
	if !ok {
		return
	}
	if n := len(r.spans); n > 0 && r.spans[n-1].to.Equal(s.from) {
		r.spans[n-1].to = s.to
		return
	}
	r.spans = append(r.spans, s)
}

// longest is the longest of some times.
func longest(spans []span, now time.Time) time.Duration {
	var most time.Duration
	for _, s := range spans {
		if s.to.IsZero() {
			s.to = now
		}
		most = max(most, s.to.Sub(s.from))
	}
	return most
}

// UnitImages are the images of the workloads of a unit, each once.
func UnitImages(unit *schema.Unit) []string {
	if unit == nil {
		return nil
	}
	var images []string
	for _, o := range unit.Objects {
		for _, image := range imagesOf(o.Unstructured) {
			if !slices.Contains(images, image) {
				images = append(images, image)
			}
		}
	}
	return images
}

// imagesOf are the images of a workload.
func imagesOf(workload *unstructured.Unstructured) []string {
	var images []string
	for _, path := range [][]string{{"spec", "template", "spec"}, {"spec", "jobTemplate", "spec", "template", "spec"}} {
		for _, list := range []string{"initContainers", "containers"} {
			containers, _, _ := unstructured.NestedSlice(workload.Object, append(slices.Clone(path), list)...)
			for _, item := range containers {
				container, _ := item.(map[string]any)
				if image, ok := container["image"].(string); ok {
					images = append(images, image)
				}
			}
		}
	}
	return images
}

// Proven is how long an app has had an image in a row, at the longest, after a run had
// seen it healthy; false where none has. Only revisions count that are signed and of
// which none is missing. An image with a digest is one that was asked for so, or what
// all ready pods had pulled for the tag.
func Proven(history []AppRevision, image string, now time.Time) (time.Duration, bool) {
	var most time.Duration
	found := false
	for _, r := range history {
		if len(r.spans) == 0 && r.Pulled == nil || !slices.ContainsFunc(r.Images, func(had string) bool { return had == image || r.pulledAs(had) == image }) {
			continue
		}
		found, most = true, max(most, longest(r.spans, now))
	}
	return most, found
}

// PulledAs are the images with the digests by which the pods of an app had pulled one,
// when it was seen healthy last: IMAGE@sha256:..., none where nobody knows.
func PulledAs(history []AppRevision, image string) []string {
	for _, r := range history {
		var all []string
		for _, sum := range r.Pulled[image] {
			all = append(all, image+"@"+sum)
		}
		if len(all) > 0 {
			return all
		}
	}
	return nil
}

// pulledAs is an image with the digest by which all pods had pulled it; "" where there is
// none, or several.
func (r *AppRevision) pulledAs(image string) string {
	if sums := r.Pulled[image]; len(sums) == 1 {
		return image + "@" + sums[0]
	}
	return ""
}
