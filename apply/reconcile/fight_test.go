package reconcile

import (
	"testing"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

func TestFights(t *testing.T) {
	web := schema.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "dev", Name: "web"}
	scaled := apply.Change{Action: apply.Configured, Ref: web, Fields: []managed.Field{{Path: "spec.replicas", By: "scaler"}}}
	image := apply.Change{Action: apply.Configured, Ref: web, Fields: []managed.Field{{Path: "spec.image", By: "kubectl"}}}
	deleted := apply.Change{Action: apply.Created, Ref: web}
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	type step struct {
		after  time.Duration
		change apply.Change
		field  string // of the fight that begins
	}
	tests := map[string][]step{
		"the same field again and again": {
			{0, scaled, ""},
			{time.Second, scaled, ""},
			{time.Second, scaled, "spec.replicas"},
			{time.Second, scaled, ""},
			{time.Second, scaled, ""},
			{time.Second, scaled, "spec.replicas"}, // after a truce it counts anew
		},
		"other fields are no fight": {
			{0, scaled, ""}, {time.Second, image, ""}, {time.Second, scaled, ""}, {time.Second, image, ""},
		},
		"now and then is none": {
			{0, scaled, ""}, {9 * time.Minute, scaled, ""}, {9 * time.Minute, scaled, ""}, {9 * time.Minute, scaled, ""},
		},
		"an object that goes": {
			{0, deleted, ""}, {time.Second, deleted, ""}, {time.Second, deleted, "its existence"},
		},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFights(3, 10*time.Minute, time.Hour)
			now := start
			for i, s := range steps {
				now = now.Add(s.after)
				begun := f.note(now, []apply.Change{s.change})
				if got := begun["Deployment/dev/web"].Field; got != s.field {
					t.Errorf("step %d: fight %q, want %q", i, got, s.field)
				}
				if s.field != "" && !begun["Deployment/dev/web"].Until.Equal(now.Add(time.Hour)) {
					t.Errorf("step %d: until %s", i, begun["Deployment/dev/web"].Until)
				}
			}
		})
	}
}
