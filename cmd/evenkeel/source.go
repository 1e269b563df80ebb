package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// source gives the daemon its renderings. They are made in a process of their own,
// because what CUE needs to evaluate is many times what the result takes, and goes
// with the process.
type source struct {
	dir   string // where there is no git
	git   gitSource
	all   bool
	names []string

	known []string // the environments of the last rendering
}

// render returns what the source has, unless that is still the version last.
func (s *source) render(ctx context.Context, last string) (*reconcile.Rendering, error) {
	version, err := s.version(ctx)
	if err != nil || version == last {
		return nil, err
	}
	response, err := s.ask(ctx)
	if err != nil {
		return nil, err
	}
	r := &reconcile.Rendering{
		Version: version, Git: response.Git, Environments: response.Environments,
		Siblings: response.Siblings, Incomplete: response.Incomplete, Wrong: map[string]error{},
	}
	if response.Git.Commit != "" && s.git.URL != "" {
		r.Version = response.Git.Commit // the branch may have moved in between
	}
	for name, text := range response.Wrong {
		r.Wrong[name] = errors.New(text)
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
func (s *source) version(ctx context.Context) (string, error) {
	if s.git.URL != "" {
		return s.git.head(ctx)
	}
	repo, err := render.Open(s.dir)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	err = filepath.WalkDir(repo.Root(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != repo.Root() {
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

// renderRequest is what the other process is asked, and renderResponse what it
// answers, on its standard input and output. The answer holds Secrets.
type (
	renderRequest struct {
		Dir   string    `json:"dir"`
		Git   gitSource `json:"git"`
		All   bool      `json:"all"`
		Names []string  `json:"names"`
	}
	renderResponse struct {
		Git          apply.GitInfo         `json:"git"`
		Environments []*schema.Environment `json:"environments"`
		// Siblings share a cluster with those; Incomplete says that not all of
		// them evaluate.
		Siblings   []*schema.Environment `json:"siblings"`
		Incomplete bool                  `json:"incomplete"`
		Wrong      map[string]string     `json:"wrong"` // by environment
		Error      string                `json:"error"` // where there is no environment to name
	}
)

// ask renders in another process of this binary.
func (s *source) ask(ctx context.Context) (*renderResponse, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	request, err := json.Marshal(renderRequest{Dir: s.dir, Git: s.git, All: s.all, Names: s.names})
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "render-child")
	cmd.Args[0] = os.Args[0]
	cmd.Stdin = bytes.NewReader(request)
	var said bytes.Buffer
	cmd.Stderr = &said
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s", cmp.Or(strings.TrimPrefix(strings.TrimSpace(said.String()), "error: "), err.Error()))
	}
	response := &renderResponse{}
	if err := json.Unmarshal(output, response); err != nil {
		return nil, fmt.Errorf("the answer of the rendering process: %w", err)
	}
	return response, nil
}

func newRenderChildCmd(g *global) *cobra.Command {
	return &cobra.Command{
		Use:     "render-child",
		Short:   "Render for reconcile, which runs this by itself",
		Long:    "Render for reconcile: a request on standard input, the answer on standard output.",
		Example: "  evenkeel reconcile --all",
		Hidden:  true,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runRenderChild(cmd.Context(), g)
		},
	}
}

func runRenderChild(ctx context.Context, g *global) error {
	var request renderRequest
	if err := json.NewDecoder(g.in).Decode(&request); err != nil {
		return err
	}
	response := &renderResponse{Wrong: map[string]string{}}
	if request.Git.URL != "" {
		root, commit, done, err := request.Git.checkout(ctx)
		defer done()
		if err != nil {
			return err
		}
		request.Dir, response.Git.Commit = root, commit
	}
	if err := response.fill(ctx, request); err != nil {
		response.Error = err.Error()
	}
	return json.NewEncoder(g.out).Encode(response)
}

// fill renders what was asked for, and with it the environments that share a
// cluster with that.
func (r *renderResponse) fill(ctx context.Context, request renderRequest) error {
	repo, err := render.Open(request.Dir)
	if err != nil {
		return err
	}
	if request.Git.URL == "" {
		if r.Git.Commit, r.Git.Dirty, err = repo.Head(); err != nil {
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
	r.Environments = r.renderEach(ctx, repo, names, render.Unseal)
	var siblings []string
	for _, s := range summaries {
		if !slices.Contains(names, s.Name) && slices.ContainsFunc(r.Environments, func(e *schema.Environment) bool { return e.Cluster == s.Cluster }) {
			siblings = append(siblings, s.Name)
		}
	}
	wrong := len(r.Wrong)
	asTheyAre := func(context.Context, ...*render.Result) error { return nil }
	r.Siblings = r.renderEach(ctx, repo, siblings, asTheyAre)
	r.Incomplete = len(r.Wrong) > 0
	if len(r.Wrong) > wrong {
		for _, name := range siblings {
			delete(r.Wrong, name)
		}
	}
	return nil
}

// renderEach renders environments, and does with each what then does; one that is
// wrong does not keep the others.
func (r *renderResponse) renderEach(ctx context.Context, repo *render.Repo, names []string, then func(context.Context, ...*render.Result) error) []*schema.Environment {
	var envs []*schema.Environment
	results, err := repo.RenderAll(ctx, names)
	if err == nil && then(ctx, results...) == nil {
		for _, result := range results {
			envs = append(envs, result.Env)
		}
		return envs
	}
	for _, name := range names {
		result, err := repo.Render(ctx, name)
		if err == nil {
			err = then(ctx, result)
		}
		if err != nil {
			r.Wrong[name] = err.Error()
			continue
		}
		envs = append(envs, result.Env)
	}
	return envs
}
