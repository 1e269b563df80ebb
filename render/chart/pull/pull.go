// Package pull brings the archive of a Helm chart from a repository into the source.
// Nothing else of evenkeel fetches charts: a rendering has what the repository holds.
// What comes is held against the digest that the repository names, read as hostile,
// and only then written, below the root of the source.
package pull

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/seed-428f4edd/evenkeel/render/chart"
	"github.com/seed-428f4edd/evenkeel/render/internal/below"
	"github.com/seed-428f4edd/evenkeel/render/internal/registry"
)

// Dir is where archives lie in the source.
const Dir = "charts"

// What is read of an archive and of the list of a repository. The largest list that the
// world uses has 30 MiB.
const (
	mostArchive = 32 << 20
	mostIndex   = 128 << 20
	// mostOther is what a container registry says beside the archive: tags and manifests.
	mostOther    = 8 << 20
	mostRequests = 200
	patience     = 2 * time.Minute
	layerType    = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// Request is which chart is wanted.
type Request struct {
	Name string
	// Repo is the URL of a chart repository, or oci://REGISTRY/PATH.
	Repo string
	// Version is one; empty means the newest that is not a preview.
	Version string
	// PlainHTTP allows a repository without TLS.
	PlainHTTP bool
}

// Pulled is a chart as it came.
type Pulled struct {
	Name, Version, Digest string
	// Unverified says that the repository names no digest to hold the archive against.
	Unverified bool
	Deprecated bool

	data []byte
}

// Pull fetches a chart.
func Pull(ctx context.Context, req Request) (*Pulled, error) {
	if !chart.IsName(req.Name) {
		return nil, fmt.Errorf("%q is not the name of a chart", req.Name)
	}
	if req.Version != "" && !chart.IsVersion(req.Version) {
		return nil, fmt.Errorf("%q is not a chart version", req.Version)
	}
	var p *Pulled
	var err error
	if to, ok := strings.CutPrefix(req.Repo, "oci://"); ok {
		p, err = fromRegistry(ctx, registry.Transport(), req, strings.TrimSuffix(to, "/"))
	} else {
		p, err = fromRepository(ctx, req)
	}
	if err != nil {
		return nil, err
	}
	c, err := chart.Read(p.data)
	if err != nil {
		return nil, fmt.Errorf("what came is refused: %w", err)
	}
	if c.Name != req.Name || p.Version != "" && !sameVersion(c.Version, p.Version) {
		return nil, fmt.Errorf("what came is the chart %s %s, not %s %s", c.Name, c.Version, req.Name, p.Version)
	}
	if !chart.IsVersion(c.Version) {
		return nil, fmt.Errorf("%q is not a chart version", c.Version)
	}
	p.Name, p.Version, p.Digest, p.Deprecated = c.Name, c.Version, c.Digest, c.Deprecated
	return p, nil
}

// File is the name of the archive below the root of the source.
func (p *Pulled) File() string { return path.Join(Dir, p.Name+"-"+p.Version+".tgz") }

// Write puts the archive into the source. One that is there and differs stays: a version
// that changes is for a person to look at.
func (p *Pulled) Write(root string) error {
	top, err := below.Open(root, "the repository", ".")
	if err != nil {
		return err
	}
	defer func() { _ = top.Close() }() // nothing is written by that
	if have, err := top.ReadFile(p.File()); err == nil && !bytes.Equal(have, p.data) {
		return fmt.Errorf("%s is there, and is another one: what came has %s; remove the file to take it", p.File(), p.Digest)
	}
	return top.WriteFile(p.File(), p.data, 0o666)
}

func sameVersion(a, b string) bool { return strings.TrimPrefix(a, "v") == strings.TrimPrefix(b, "v") }

// fromRegistry fetches an OCI artifact. The client holds what comes against the digests
// of the manifest.
func fromRegistry(ctx context.Context, base http.RoundTripper, req Request, to string) (*Pulled, error) {
	var opts []name.Option
	if req.PlainHTTP {
		opts = append(opts, name.Insecure)
	}
	repo, err := name.NewRepository(to+"/"+req.Name, opts...)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	guard := registry.NewGuard(base, repo.RegistryStr(), req.PlainHTTP, registry.Most{Requests: mostRequests, Bytes: mostArchive + mostOther})
	with := []remote.Option{
		remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithTransport(guard),
		remote.WithRetryPredicate(func(error) bool { return false }), remote.WithRetryStatusCodes(),
	}
	version := req.Version
	if version == "" {
		tags, err := remote.List(repo, with...)
		if err != nil {
			return nil, err
		}
		for i := range tags {
			tags[i] = strings.ReplaceAll(tags[i], "_", "+") // tags have no plus sign
		}
		if version = newest(tags); version == "" {
			return nil, fmt.Errorf("%s has only preview versions; name one with --version", repo)
		}
	}
	image, err := remote.Image(repo.Tag(strings.ReplaceAll(version, "+", "_")), with...)
	if err != nil {
		return nil, err
	}
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	for _, layer := range layers {
		if kind, err := layer.MediaType(); err != nil || kind != layerType {
			continue
		}
		content, err := layer.Compressed()
		if err != nil {
			return nil, err
		}
		data, err := readMost(content, mostArchive)
		return &Pulled{Version: version, data: data}, err
	}
	return nil, fmt.Errorf("%s:%s holds no Helm chart", repo, version)
}

// Versions lists those of a chart that the index.yaml of a repository names.
func Versions(ctx context.Context, req Request) ([]string, error) {
	f, base, err := newFetcher(req)
	if err != nil {
		return nil, err
	}
	entries, err := f.index(ctx, base, req.Name)
	return versionsOf(entries), err
}

// index reads what the index.yaml of a repository says of a chart.
func (f fetcher) index(ctx context.Context, base *url.URL, chart string) ([]entry, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	body, err := f.open(ctx, base.JoinPath("index.yaml"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // all that is wanted was read
	versions, err := entriesOf(ctx, &bounded{from: body, left: mostIndex}, chart)
	if err != nil {
		return nil, fmt.Errorf("the index.yaml of %s: %w", base.Redacted(), err)
	}
	if len(versions) == 0 {
		return nil, fmt.Errorf("%s has no chart %q", base.Redacted(), chart)
	}
	return versions, nil
}

// fromRepository fetches an archive that the index.yaml of a repository names.
func fromRepository(ctx context.Context, req Request) (*Pulled, error) {
	f, base, err := newFetcher(req)
	if err != nil {
		return nil, err
	}
	versions, err := f.index(ctx, base, req.Name)
	if err != nil {
		return nil, err
	}
	want := req.Version
	if want == "" {
		var all []string
		for _, e := range versions {
			all = append(all, e.Version)
		}
		if want = newest(all); want == "" {
			return nil, fmt.Errorf("%s %s has only preview versions; name one with --version", base.Redacted(), req.Name)
		}
	}
	for _, e := range versions {
		if !sameVersion(e.Version, want) || e.URLs == "" {
			continue
		}
		from, err := base.Parse(string(e.URLs))
		if err != nil {
			return nil, err
		}
		if from.Scheme == "oci" {
			return fromRegistry(ctx, f.transport, Request{Name: req.Name, Version: e.Version, PlainHTTP: req.PlainHTTP}, strings.TrimSuffix(from.Host+path.Dir(from.Path), "/"))
		}
		data, err := f.get(ctx, from, mostArchive)
		if err != nil {
			return nil, err
		}
		p := &Pulled{Version: e.Version, data: data, Unverified: e.Digest == ""}
		if is := chart.DigestOf(data); e.Digest != "" && is != "sha256:"+strings.TrimPrefix(e.Digest, "sha256:") {
			return nil, fmt.Errorf("%s is not what the repository lists: it has %s, listed is %s", from.Redacted(), is, e.Digest)
		}
		return p, nil
	}
	return nil, fmt.Errorf("%s has no version %s of %s; the newest is %s", base.Redacted(), want, req.Name, cmp.Or(newest(versionsOf(versions)), versions[0].Version))
}

func versionsOf(entries []entry) []string {
	all := make([]string, len(entries))
	for i, e := range entries {
		all[i] = e.Version
	}
	return all
}

// newest is the highest version that is no preview.
func newest(versions []string) string {
	var best *semver.Version
	var text string
	for _, v := range versions {
		parsed, err := semver.NewVersion(v)
		if err != nil || parsed.Prerelease() != "" {
			continue
		}
		if best == nil || parsed.GreaterThan(best) {
			best, text = parsed, v
		}
	}
	return text
}

// fetcher gets files of a repository by HTTP.
type fetcher struct {
	plainHTTP bool
	transport http.RoundTripper
}

func newFetcher(req Request) (fetcher, *url.URL, error) {
	base, err := url.Parse(strings.TrimSuffix(req.Repo, "/") + "/")
	if err != nil || base.Host == "" {
		return fetcher{}, nil, fmt.Errorf("%q is no URL of a chart repository", req.Repo)
	}
	return fetcher{plainHTTP: req.PlainHTTP, transport: registry.From(base.Hostname())}, base, nil
}

func (f fetcher) get(ctx context.Context, from *url.URL, most int64) ([]byte, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	body, err := f.open(ctx, from)
	if err != nil {
		return nil, err
	}
	return readMost(body, most)
}

// open begins to get a file.
func (f fetcher) open(ctx context.Context, from *url.URL) (io.ReadCloser, error) {
	if err := f.allowed(from); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: f.transport, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) > 5 {
			return errors.New("too many redirects")
		}
		return f.allowed(req.URL)
	}}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		_ = res.Body.Close()
		return nil, fmt.Errorf("%s answers %s", from.Redacted(), res.Status)
	}
	return res.Body, nil
}

func (f fetcher) allowed(u *url.URL) error {
	if u.Scheme == "https" || u.Scheme == "http" && f.plainHTTP {
		return nil
	}
	if u.Scheme == "http" {
		return fmt.Errorf("%s has no TLS; --plain-http allows that", u.Redacted())
	}
	return fmt.Errorf("%s is neither https:// nor oci://", u.Redacted())
}

// bounded fails where more comes than is allowed.
type bounded struct {
	from io.Reader
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("what comes is larger than %d MiB", mostIndex>>20)
	}
	n, err := b.from.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// readMost reads all of what has a limit, and closes it.
func readMost(from io.ReadCloser, most int64) (data []byte, err error) {
	defer func() { err = errors.Join(err, from.Close()) }()
	data, err = io.ReadAll(io.LimitReader(from, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("what comes is larger than %d MiB", most>>20)
	}
	return data, err
}
