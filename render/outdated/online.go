package outdated

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/seed-428f4edd/evenkeel/internal/plain"
	"github.com/seed-428f4edd/evenkeel/render/chart/pull"
	"github.com/seed-428f4edd/evenkeel/render/internal/registry"
)

// What one registry or chart repository may cost. Docker Hub has ten thousand tags of some
// images, in pages of a hundred or a thousand; a page of those has 100 KB.
const (
	mostRequests = 200
	mostBytes    = 8 << 20
	pageSize     = 1000
	atOnce       = 4
	patience     = time.Minute
	mostWhy      = 160 // of an error of a chart repository
)

// online asks registries and chart repositories.
type online struct {
	opts Options
	base http.RoundTripper
}

func newOnline(opts Options) *online {
	return &online{opts: opts, base: registry.Transport()}
}

// ask judges images and charts, a few repositories at a time, each once.
func (o *online) ask(ctx context.Context, items []Item) {
	answers := map[string]func() ([]string, error){}
	for i := range items {
		key, look := o.about(ctx, items[i])
		if look != nil && answers[key] == nil {
			answers[key] = sync.OnceValues(look)
		}
	}
	var wg sync.WaitGroup
	turn := make(chan struct{}, atOnce)
	for _, look := range answers {
		wg.Go(func() {
			turn <- struct{}{}
			_, _ = look() // each item that is about it is told
			<-turn
		})
	}
	wg.Wait()
	for i := range items {
		if items[i].Status != "" || items[i].Kind == KindStack {
			continue
		}
		o.compare(&items[i], func() ([]string, error) {
			key, _ := o.about(ctx, items[i])
			return answers[key]()
		})
	}
}

// about is whom to ask about an item, and how; nothing where no answer would help.
func (o *online) about(ctx context.Context, i Item) (key string, look func() ([]string, error)) {
	if _, ok := o.comparable(i); !ok {
		return "", nil
	}
	switch to, oci := strings.CutPrefix(i.From, "oci://"); {
	case i.Kind == KindImage:
		return i.Name, func() ([]string, error) { return o.tags(ctx, i.Name) }
	case i.Kind == KindChart && oci:
		to = strings.TrimSuffix(to, "/") + "/" + i.Name
		return to, func() ([]string, error) {
			tags, err := o.tags(ctx, to)
			for n := range tags {
				tags[n] = strings.ReplaceAll(tags[n], "_", "+") // tags have no plus sign
			}
			return tags, err
		}
	case i.Kind == KindChart && i.From != "":
		return i.From + " " + i.Name, func() ([]string, error) {
			ctx, stop := context.WithTimeout(ctx, patience)
			defer stop()
			return pull.Versions(ctx, pull.Request{Name: i.Name, Repo: i.From, PlainHTTP: o.opts.PlainHTTP})
		}
	}
	return "", nil
}

// comparable parses the version of an item. Charts have versions with and without a v of
// the same release.
func (o *online) comparable(i Item) (version, bool) {
	if i.Kind == KindChart {
		return parse(strings.TrimPrefix(i.Version, "v"))
	}
	return parse(i.Version)
}

func (o *online) compare(i *Item, answer func() ([]string, error)) {
	is, form := o.comparable(*i)
	i.Status = Unknown
	switch {
	case i.Kind == KindChart && i.From == "":
		i.Why = "the unit does not say where its chart is from (repo)"
		return
	case !form:
		i.Why = noVersion(i.Version)
		return
	}
	tags, err := answer()
	if err != nil {
		if i.Why = reason(err); i.Kind == KindChart && !strings.HasPrefix(i.From, "oci://") {
			i.Why = plain.Line(err.Error(), mostWhy)
		}
		return
	}
	if i.Kind == KindChart {
		for n := range tags {
			tags[n] = strings.TrimPrefix(tags[n], "v")
		}
	}
	best := is.newest(tags)
	i.Status, i.Newest = Current, i.Version
	if best.tag != is.tag {
		i.Status, i.Newest = Outdated, best.tag
	}
}

// tags lists those of a repository, with the credentials of the Docker configuration for
// its registry.
func (o *online) tags(ctx context.Context, repository string) ([]string, error) {
	var opts []name.Option
	if o.opts.PlainHTTP {
		opts = append(opts, name.Insecure)
	}
	repo, err := name.NewRepository(repository, opts...)
	if err != nil {
		return nil, errors.New("no registry has such a name")
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	g := registry.NewGuard(o.base, repo.RegistryStr(), o.opts.PlainHTTP, registry.Most{Requests: mostRequests, Bytes: mostBytes})
	return remote.List(repo,
		remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithTransport(g),
		remote.WithPageSize(pageSize), remote.WithRetryPredicate(func(error) bool { return false }), remote.WithRetryStatusCodes(),
	)
}

// reason is an error in words of ours, where those of a registry could be anything.
func reason(err error) string {
	if r, ok := errors.AsType[registry.Refusal](err); ok {
		return r.Error()
	}
	if answered, ok := errors.AsType[*transport.Error](err); ok {
		switch answered.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			return "it wants a login (docker login)"
		case http.StatusNotFound:
			return "the registry does not have it"
		}
		return fmt.Sprintf("the registry answers %d", answered.StatusCode)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "it did not answer in time"
	}
	if timeout, ok := errors.AsType[net.Error](err); ok {
		if timeout.Timeout() {
			return "it did not answer in time"
		}
		return "it cannot be reached"
	}
	return "its answer is not what a registry says"
}
