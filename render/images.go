package render

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Image is a container image that an environment runs.
type Image struct {
	// Image is what the nodes pull.
	Image string `json:"image"`
	// Source is what Image mirrors; empty where the image is pushed there by those
	// who build it, or is pulled from where it is made.
	Source string `json:"source,omitempty"`
	// Units are those that run it.
	Units []string `json:"units"`
}

// Images are the images of the environment, by name: those of pods, and those
// that ConfigMaps name, such as the agents of Jenkins.
func (r *Result) Images() []Image {
	units := map[string][]string{}
	for _, u := range r.Env.Units {
		for _, o := range u.Objects {
			for _, image := range imagesOf(o) {
				if !slices.Contains(units[image], u.Name) {
					units[image] = append(units[image], u.Name)
				}
			}
		}
	}
	images := make([]Image, 0, len(units))
	for _, image := range slices.Sorted(maps.Keys(units)) {
		images = append(images, Image{Image: image, Source: r.source(image), Units: units[image]})
	}
	return images
}

// source is where a mirrored image comes from, by the longest prefix.
func (r *Result) source(image string) (source string) {
	longest := 0
	for registry, prefix := range r.mirrors {
		prefix := tree.Text(prefix)
		if name, ok := strings.CutPrefix(image, prefix+"/"); ok && prefix != registry && len(prefix) > longest {
			longest = len(prefix)
			source = registry + "/" + name
		}
	}
	return source
}

var imageLine = regexp.MustCompile(`(?m)^[\s-]*image:\s*["']?([^\s"']+)`)

func imagesOf(o schema.Object) (images []string) {
	content := shown(o.Object, o.Secret)
	if o.GetKind() == "ConfigMap" {
		for _, text := range tree.Map(content["data"]) {
			for _, m := range imageLine.FindAllStringSubmatch(tree.Text(text), -1) {
				images = append(images, m[1])
			}
		}
		return images
	}
	for _, path := range [][]string{
		{"spec"},
		{"spec", "template", "spec"},
		{"spec", "jobTemplate", "spec", "template", "spec"},
	} {
		for _, group := range []string{"initContainers", "containers"} {
			tree.Each(tree.Map(tree.At(content, path...))[group], func(_ int, c map[string]any) {
				if image := tree.Text(c["image"]); image != "" {
					images = append(images, image)
				}
			})
		}
	}
	return images
}

// MergeImages are the images of environments, each once; of several environments,
// units are named ENV/UNIT.
func MergeImages(results []*Result) []Image {
	images := []Image{}
	for _, res := range results {
		for _, i := range res.Images() {
			if len(results) > 1 {
				for n, unit := range i.Units {
					i.Units[n] = res.Env.Name + "/" + unit
				}
			}
			at, found := slices.BinarySearchFunc(images, i, func(a, b Image) int { return strings.Compare(a.Image, b.Image) })
			if found {
				images[at].Units = append(images[at].Units, i.Units...)
			} else {
				images = slices.Insert(images, at, i)
			}
		}
	}
	return images
}
