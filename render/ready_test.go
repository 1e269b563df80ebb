package render_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// A site's rule is for all objects of a kind: one by kind and group comes before
// one by kind alone, and an object's own before both.
func TestReadyOfAKind(t *testing.T) {
	dir := shop(t, &txtar.Archive{Files: []txtar.File{{Name: "envs/dev/ready.cue", Data: []byte(`package dev

environment: {
	site: ready: {
		"Tenant.example.com": condition: "Provisioned"
		Tenant: cel: "false"
		Bookmark: cel: "true"
	}
	apps: gateway: {
		extraObjects: {
			one: {apiVersion: "example.com/v1", kind: "Tenant", metadata: name: "one"}
			two: {apiVersion: "example.com/v1", kind: "Tenant", metadata: name: "two"}
			mark: {apiVersion: "example.com/v1", kind: "Bookmark", metadata: name: "mark"}
		}
		ready: two: condition: "Mine"
	}
}
`)}}})
	repo, err := render.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	res, err := repo.Render(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]schema.ReadyRule{}
	for _, u := range res.Env.Units {
		for _, o := range u.Objects {
			if o.Ready != nil {
				got[o.Key] = *o.Ready
			}
		}
	}
	want := map[string]schema.ReadyRule{"one": {Condition: "Provisioned"}, "two": {Condition: "Mine"}, "mark": {CEL: "true"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
