package handover

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/checkout"
	"github.com/seed-428f4edd/evenkeel/render/internal/registry"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// The media types and annotations of an artifact that Flux reads:
// github.com/fluxcd/pkg/oci, CanonicalConfigMediaType, CanonicalContentMediaType
// and the annotations of the OCI image specification.
const (
	configType  types.MediaType = "application/vnd.cncf.flux.config.v1+json"
	contentType types.MediaType = "application/vnd.cncf.flux.content.v1.tar+gzip"

	annotationCreated  = "org.opencontainers.image.created"
	annotationSource   = "org.opencontainers.image.source"
	annotationRevision = "org.opencontainers.image.revision"
)

// Revision is a commit as Flux writes it: BRANCH@sha1:COMMIT.
func Revision(o checkout.Origin) string {
	branch := o.Branch
	if branch != "" {
		branch += "@"
	}
	commit := branch + "sha1:" + o.Commit
	if o.Dirty {
		commit += "-dirty"
	}
	return commit
}

// Artifact packs the manifests of an environment, one file per unit, into an
// image: the same rendering of the same commit gives the same digest, because
// nothing in it is of the time or place of packing.
func Artifact(env *schema.Environment, opts render.OutputOptions, o checkout.Origin) (v1.Image, error) {
	content, err := pack(env, opts)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}, tarball.WithMediaType(contentType))
	if err != nil {
		return nil, err
	}
	image, err := mutate.Append(empty.Image, mutate.Addendum{Layer: layer, MediaType: contentType})
	if err != nil {
		return nil, err
	}
	image = mutate.ConfigMediaType(mutate.MediaType(image, types.OCIManifestSchema1), configType)
	annotated, ok := mutate.Annotations(image, map[string]string{
		annotationCreated:  o.Time.UTC().Format(time.RFC3339),
		annotationSource:   o.URL,
		annotationRevision: Revision(o),
	}).(v1.Image)
	if !ok {
		return nil, fmt.Errorf("%T is not an image", image)
	}
	return annotated, nil
}

// pack is a gzipped tar of UNIT.yaml files, without times and owners.
func pack(env *schema.Environment, opts render.OutputOptions) ([]byte, error) {
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zip)
	for i := range env.Units {
		var file bytes.Buffer
		one := opts
		one.Units = []string{env.Units[i].Name}
		if err := render.WriteYAML(&file, env, one); err != nil {
			return nil, err
		}
		if file.Len() == 0 {
			continue
		}
		header := &tar.Header{Name: env.Units[i].Name + ".yaml", Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(file.Len()), Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := file.WriteTo(archive); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// What a registry may cost who pushes to it. A push takes some ten requests, whose answers
// are short.
const (
	mostRequests = 100
	mostBytes    = 8 << 20
	patience     = 10 * time.Minute
)

// Push uploads an image with the credentials of the Docker configuration and
// returns its address, with tag, and its digest. plainHTTP allows a registry
// without TLS. The image and the credentials go to the registry, and to the token
// server of its domain, alone.
func Push(ctx context.Context, image v1.Image, to string, plainHTTP bool) (address, digest string, err error) {
	var opts []name.Option
	if plainHTTP {
		opts = append(opts, name.Insecure)
	}
	ref, err := name.NewTag(to, opts...)
	if err != nil {
		return "", "", err
	}
	hash, err := image.Digest()
	if err != nil {
		return "", "", err
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	guard := registry.NewGuard(registry.Transport(), ref.RegistryStr(), plainHTTP || isLoopback(ref.RegistryStr()), registry.Most{Requests: mostRequests, Bytes: mostBytes})
	err = remote.Write(ref, image, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithTransport(guard))
	return ref.Name(), hash.String(), err
}

// isLoopback says that a registry, HOST or HOST:PORT, is of this machine: nobody between
// reads what it is sent.
func isLoopback(host string) bool {
	name := (&url.URL{Host: host}).Hostname()
	ip, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && ip.IsLoopback()
}
