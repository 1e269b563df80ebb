package outdated_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/outdated"
)

// TestStacks holds the table level with the built-in stacks: it knows all their images and
// none of them is newer than what it knows. What upstream has released since, and the stacks
// do not install by themselves, is listed with the reason.
func TestStacks(t *testing.T) {
	repo, err := render.Open(filepath.Join("..", "..", "testdata", "stacks"))
	if err != nil {
		t.Fatal(err)
	}
	results, err := repo.RenderAll(t.Context(), []string{"systems"})
	if err != nil {
		t.Fatal(err)
	}
	behind := map[string]string{
		"image docker.io/library/traefik v3.8.0":    "its CRDs were not to be had when the stack was compared: version says v3.8.0",
		"stack traefik v3.8.0":                      "as its image",
		"image docker.io/nacos/nacos-server v3.3.0": "what its image is started with was not to be had when the stack was compared",
		"stack nacos v3.3.0":                        "as its image",
		"image docker.io/jenkins/inbound-agent ":    "its tags are no versions that can be compared",
		"image registry.lab.example/ops/evenkeel ":  "evenkeel itself, from the site's registry",
	}
	found := outdated.Look(t.Context(), results, outdated.Options{})
	kinds := map[string]int{}
	for _, i := range found.Items {
		kinds[i.Kind]++
		key := i.Kind + " " + i.Name + " " + i.Newest
		if i.Status != outdated.Current && behind[key] == "" {
			t.Errorf("%s %s %s is %s, newest %q: %s", i.Kind, i.Name, i.Version, i.Status, i.Newest, i.Why)
		}
		if i.Status != outdated.Current {
			delete(behind, key)
		}
		for _, unit := range i.Units {
			if !strings.HasPrefix(unit, "systems/") {
				t.Errorf("%s: unit %s", i.Name, unit)
			}
		}
	}
	for key := range behind {
		t.Errorf("listed as behind, and is not: %s", key)
	}
	if kinds["image"] < 20 || kinds["stack"] != 14 {
		t.Errorf("found %v", kinds)
	}
}
