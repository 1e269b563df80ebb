// Package source gives the daemon its renderings: of a directory, or of a git
// repository that it clones.
//
// Each is made in a process of its own, Command, which this one asks (Source) and
// which answers (Serve): what an environment takes goes with the process, and one
// that takes too much is given up while the others are handed on.
package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile/remote"
	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/budget"
)

// Source gives the daemon its renderings. They are made in a process of their own,
// because what CUE needs to evaluate is many times what the result takes, and goes
// with the process; and because a process can be ended, and CUE cannot.
type Source struct {
	Dir    string // where there is no Git
	Git    remote.Git
	All    bool     // all environments of it
	Names  []string // or these
	Budget budget.Budget

	known []string // the environments of the last rendering
	// gaveUp are the environments that took too much last time, and why.
	gaveUp map[string]string
	retry  *retry
}

// retry renders a version again, with the environments that took too much in the
// one before it and were left out at first: they may take as long again, and the
// others are not to wait.
type retry struct {
	version string // of the source
	without string // what the rendering without them is called
	cancel  func()
	done    chan struct{}

	gaveUp   map[string]string
	response *answer
	err      error
}

// Render returns what the source has, unless that is still the version last.
func (s *Source) Render(ctx context.Context, last string) (*reconcile.Rendering, error) {
	version, err := s.version(ctx)
	if err != nil || version == last {
		return nil, err
	}
	if again := s.retry; again != nil && again.version == version && again.without == last {
		select {
		case <-again.done:
		default:
			return nil, nil // the rest is on its way
		}
		s.retry = nil
		if again.err != nil {
			return nil, again.err
		}
		s.gaveUp = again.gaveUp
		return s.rendering(version, again.response)
	}
	s.End()
	if len(s.gaveUp) == 0 {
		gaveUp := map[string]string{}
		response, err := s.ask(ctx, gaveUp)
		s.gaveUp = gaveUp
		if err != nil {
			return nil, err
		}
		return s.rendering(version, response)
	}
	response, err := s.ask(ctx, s.gaveUp)
	if err != nil {
		return nil, err
	}
	r, err := s.rendering(version, response)
	if err != nil {
		return nil, err
	}
	s.retry = &retry{version: r.Version, gaveUp: map[string]string{}, done: make(chan struct{})}
	r.Version += ", without " + strings.Join(slices.Sorted(maps.Keys(s.gaveUp)), ", ")
	s.retry.without = r.Version
	ctx, s.retry.cancel = context.WithCancel(ctx)
	go func(again *retry) {
		defer close(again.done)
		again.err = contain.Call(func() (err error) {
			again.response, err = s.ask(ctx, again.gaveUp)
			return err
		})
	}(s.retry)
	return r, nil
}

// End ends a retry that is under way, and waits until nothing of it is left.
func (s *Source) End() {
	if s.retry != nil {
		s.retry.cancel()
		<-s.retry.done
		s.retry = nil
	}
}

// rendering is what was answered, in the words of the daemon.
func (s *Source) rendering(version string, response *answer) (*reconcile.Rendering, error) {
	r := &reconcile.Rendering{
		Version: version, Git: response.Git, Environments: response.Environments,
		Siblings: response.Siblings, Incomplete: response.Incomplete, Wrong: map[string]error{},
		Descends: remote.Descent(response.Ancestors),
	}
	if response.Git.Commit != "" && s.Git.URL != "" {
		r.Version = response.Git.Commit // the branch may have moved in between
	}
	for name, text := range response.Wrong {
		r.Wrong[name] = errors.New(text)
		if why := s.gaveUp[name]; why != "" {
			r.Wrong[name] = reconcile.GivenUp(why)
		}
	}
	if response.Error != "" {
		if len(s.known) == 0 {
			return nil, errors.New(response.Error)
		}
		for _, name := range s.known {
			r.Wrong[name] = errors.New(response.Error)
		}
		return r, nil
	}
	s.known = nil
	for _, env := range r.Environments {
		s.known = append(s.known, env.Name)
	}
	for name := range r.Wrong {
		s.known = append(s.known, name)
	}
	return r, nil
}

// version tells two states of the source apart without evaluating them.
func (s *Source) version(ctx context.Context) (string, error) {
	if s.Git.URL != "" {
		return Head(ctx, &s.Git, s.Budget)
	}
	repo, err := render.Open(s.Dir)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	err = fs.WalkDir(repo.Files(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil && errors.Is(err, fs.ErrPermission) && d != nil && d.IsDir() {
			return fs.SkipDir // nothing renders from what may not be read
		}
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != "." {
			return fs.SkipDir
		}
		return stamp(sum, path, d)
	})
	// What is committed may change where no file does.
	for at := repo.Root(); ; at = filepath.Dir(at) {
		if head, err := os.Stat(filepath.Join(at, ".git", "logs", "HEAD")); err == nil {
			fmt.Fprintln(sum, head.Size(), head.ModTime().UnixNano())
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), err
}

// stamp adds name, size and time of a file to a digest.
func stamp(sum interface{ Write([]byte) (int, error) }, path string, d fs.DirEntry) error {
	if d.IsDir() {
		return nil
	}
	info, err := d.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(sum, path, info.Size(), info.ModTime().UnixNano())
	return nil
}
