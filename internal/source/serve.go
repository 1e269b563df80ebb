package source

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/budget"
	"github.com/seed-428f4edd/evenkeel/render/checkout"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Serve answers the one Request on in. It holds Secrets, so it goes to out alone.
// Once in ends, nobody waits for the answer and Serve returns.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	asked := json.NewDecoder(in)
	var request Request
	if err := asked.Decode(&request); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, in) // until nobody waits for the answer
		cancel()
	}()
	fetched := false
	defer func() {
		if ctx.Err() != nil && request.Clone != "" && !fetched {
			_ = os.RemoveAll(request.Clone) // whoever made it may be gone
		}
		cancel()
	}()
	response := &answer{Wrong: map[string]string{}}
	messages := &messages{enc: json.NewEncoder(out)}
	if request.Git.URL != "" {
		err := request.fetch(ctx, response)
		switch {
		case err != nil && ctx.Err() != nil:
			return err
		case err != nil:
			why := notFetched(&request.Git, err)
			return messages.send(message{Response: &answer{Source: why.text, Limit: string(why.limit)}})
		case request.Head, request.Fetch:
			fetched = true // whoever asked has it from here on
			return messages.send(message{Response: response})
		}
		if err := messages.send(message{Fetched: true}); err != nil {
			return err
		}
	}
	answering := func() error { return response.fill(ctx, request, messages.progress) }
	if request.Try {
		answering = func() error { return request.try(ctx, messages.progress) }
	}
	if err := answering(); err != nil {
		if ctx.Err() != nil {
			return err
		}
		response.Error = err.Error()
		if over, ok := errors.AsType[*budget.Over](err); ok {
			response = &answer{Over: over}
		}
	}
	return messages.send(message{Response: response})
}

// fetch asks the git server, within the budget: what it sends is not to be trusted.
func (r *Request) fetch(ctx context.Context, response *answer) error {
	return r.Budget.Within(ctx, func(ctx context.Context) (err error) {
		if r.Head {
			response.Git.Commit, err = r.Git.Head(ctx)
			return err
		}
		at, err := r.Git.Clone(ctx, r.Clone)
		response.Git.Commit, response.Ancestors = at.Commit, at.Ancestors
		r.Dir = filepath.Join(r.Clone, filepath.FromSlash(r.Git.Path))
		return err
	})
}

// messages writes one message after the other.
type messages struct {
	mu  sync.Mutex
	enc *json.Encoder
}

func (m *messages) send(message message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.enc.Encode(message)
}

func (m *messages) progress(env string, begun bool) {
	said := message{Ended: env}
	if begun {
		said = message{Begun: env}
	}
	_ = m.send(said) // where nobody reads, the response fails as well
}

// fill renders what was asked for, and with it the environments that share a
// cluster with that.
func (r *answer) fill(ctx context.Context, request Request, progress func(string, bool)) error {
	repo, err := render.Open(request.Dir)
	if err != nil {
		return err
	}
	repo.Budget, repo.Skip, repo.Serial, repo.Renderings.Told = request.Budget, request.Skip, request.Serial, progress
	if request.Git.URL == "" {
		if r.Git.Commit, r.Git.Dirty, err = checkout.Head(repo.Root()); err != nil {
			return err
		}
	}
	summaries, err := repo.Envs(ctx)
	if err != nil {
		return err
	}
	names := request.Names
	if request.All {
		names = nil
		for _, s := range summaries {
			names = append(names, s.Name)
		}
	}
	if r.Environments, err = r.renderEach(ctx, repo, names, true); err != nil {
		return err
	}
	var siblings []string
	for _, s := range summaries {
		switch {
		case slices.Contains(names, s.Name):
		case request.Skip[s.Name] != "":
			r.Incomplete = true // its cluster is not known
		case slices.ContainsFunc(r.Environments, func(e *schema.Environment) bool { return e.Cluster == s.Cluster }):
			siblings = append(siblings, s.Name)
		}
	}
	wrong := len(r.Wrong)
	if len(siblings) > 0 {
		if r.Siblings, err = r.renderEach(ctx, repo, siblings, false); err != nil {
			return err
		}
	}
	r.Incomplete = r.Incomplete || len(r.Wrong) > 0
	if len(r.Wrong) > wrong {
		for _, name := range siblings {
			delete(r.Wrong, name)
		}
	}
	return nil
}

// renderEach renders environments, and decrypts the Secrets of each if asked; one
// that is wrong does not keep the others.
func (r *answer) renderEach(ctx context.Context, repo *render.Repo, names []string, unseal bool) ([]*schema.Environment, error) {
	var known []string
	for _, name := range names {
		if err := repo.Has(name); err != nil {
			r.Wrong[name] = err.Error()
			continue
		}
		known = append(known, name)
	}
	results, wrong, err := repo.RenderEach(ctx, known)
	if err != nil {
		return nil, err
	}
	for name, findings := range wrong {
		r.Wrong[name] = findings.Error()
	}
	var envs []*schema.Environment
	for _, result := range results {
		if unseal {
			if err := render.Unseal(ctx, result); err != nil {
				r.Wrong[result.Env.Name] = err.Error()
				continue
			}
		}
		envs = append(envs, result.Env)
	}
	return envs, nil
}
