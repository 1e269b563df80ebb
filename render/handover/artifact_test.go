package handover_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"log"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/checkout"
	"github.com/seed-428f4edd/evenkeel/render/handover"
	"github.com/seed-428f4edd/evenkeel/schema"
)

func renderEnv(t *testing.T, name string) *schema.Environment {
	t.Helper()
	repo, err := render.Open("../..")
	if err != nil {
		t.Fatal(err)
	}
	res, err := repo.Render(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return res.Env
}

// TestArtifact pushes an environment to a registry, twice, and pulls it again.
func TestArtifact(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	env := renderEnv(t, "infra")
	origin := checkout.Origin{
		URL: "https://git.od.com/ops/deploy.git", Commit: strings.Repeat("ab", 20), Branch: "main",
		Time: time.Date(2026, 11, 24, 12, 0, 0, 0, time.FixedZone("CST", 8*3600)),
	}
	to := strings.TrimPrefix(server.URL, "http://") + "/deploy/infra"
	digests := map[string]bool{}
	for range 2 {
		image, err := handover.Artifact(env, render.OutputOptions{}, origin)
		if err != nil {
			t.Fatal(err)
		}
		address, digest, err := handover.Push(t.Context(), image, to, true)
		if err != nil {
			t.Fatal(err)
		}
		if address != to+":latest" {
			t.Errorf("pushed to %s", address)
		}
		digests[digest] = true
	}
	if len(digests) != 1 {
		t.Errorf("two digests for one commit: %v", digests)
	}

	ref, err := name.ParseReference(to)
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	got := []string{string(manifest.MediaType), string(manifest.Config.MediaType), string(manifest.Layers[0].MediaType)}
	want := []string{"application/vnd.oci.image.manifest.v1+json", "application/vnd.cncf.flux.config.v1+json", "application/vnd.cncf.flux.content.v1.tar+gzip"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("media types (-want +got):\n%s", diff)
	}
	annotations := map[string]string{
		"org.opencontainers.image.created":  "2026-11-24T04:00:00Z",
		"org.opencontainers.image.source":   "https://git.od.com/ops/deploy.git",
		"org.opencontainers.image.revision": "main@sha1:" + strings.Repeat("ab", 20),
	}
	if diff := cmp.Diff(annotations, manifest.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}

	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	content, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	files := unpack(t, content)
	var names []string
	for _, u := range env.Units {
		names = append(names, u.Name+".yaml")
		var out bytes.Buffer
		if err := render.WriteYAML(&out, env, render.OutputOptions{Units: []string{u.Name}}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(out.String(), files[u.Name+".yaml"]); diff != "" {
			t.Errorf("%s (-rendered +pulled):\n%s", u.Name, diff)
		}
	}
	slices.Sort(names)
	names = slices.DeleteFunc(names, func(n string) bool { return n == "edge.yaml" }) // renders no objects
	if diff := cmp.Diff(names, slices.Sorted(maps.Keys(files))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if strings.Contains(strings.Join(slices.Collect(maps.Values(files)), ""), "kind: Secret\n") {
		t.Error("a Secret was packed without being asked for")
	}
}

func unpack(t *testing.T, packed io.Reader) map[string]string {
	t.Helper()
	zip, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(zip); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(data)
	}
}
