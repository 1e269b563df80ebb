package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile/remote"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// source gives the daemon its renderings. They are made in a process of their own,
// because what CUE needs to evaluate is many times what the result takes, and goes
// with the process; and because a process can be ended, and CUE cannot.
type source struct {
	dir   string // where there is no git
	git   remote.Git
	all   bool
	names []string

	budget render.Budget

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
	response *renderResponse
	err      error
}

// render returns what the source has, unless that is still the version last.
func (s *source) render(ctx context.Context, last string) (*reconcile.Rendering, error) {
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
	s.end()
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
		again.response, again.err = s.ask(ctx, again.gaveUp)
		close(again.done)
	}(s.retry)
	return r, nil
}

// end ends a retry that is under way, and waits until nothing of it is left.
func (s *source) end() {
	if s.retry != nil {
		s.retry.cancel()
		<-s.retry.done
		s.retry = nil
	}
}

// rendering is what was answered, in the words of the daemon.
func (s *source) rendering(version string, response *renderResponse) (*reconcile.Rendering, error) {
	r := &reconcile.Rendering{
		Version: version, Git: response.Git, Environments: response.Environments,
		Siblings: response.Siblings, Incomplete: response.Incomplete, Wrong: map[string]error{},
		Descends: remote.Descent(response.Ancestors),
	}
	if response.Git.Commit != "" && s.git.URL != "" {
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
func (s *source) version(ctx context.Context) (string, error) {
	if s.git.URL != "" {
		return s.git.Head(ctx)
	}
	repo, err := render.Open(s.dir)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	err = fs.WalkDir(repo.Files(), ".", func(path string, d fs.DirEntry, err error) error {
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

// renderRequest is what the other process is asked on its standard input, which
// stays open as long as the answer is wanted. What it says on standard output are
// renderMessages; they hold Secrets.
type (
	renderRequest struct {
		Dir    string            `json:"dir"`
		Clone  string            `json:"clone,omitempty"` // a directory to clone into
		Git    remote.Git        `json:"git"`
		All    bool              `json:"all"`
		Names  []string          `json:"names"`
		Budget render.Budget     `json:"budget"`
		Skip   map[string]string `json:"skip,omitempty"`
		Serial bool              `json:"serial,omitempty"`
	}
	// renderMessage is one of its fields. The last message has a response, unless
	// the process came to its end before.
	renderMessage struct {
		Begun    string          `json:"begun,omitempty"` // an environment
		Ended    string          `json:"ended,omitempty"`
		Response *renderResponse `json:"response,omitempty"`
	}
	renderResponse struct {
		Git          apply.GitInfo         `json:"git"`
		Environments []*schema.Environment `json:"environments"`
		// Siblings share a cluster with those; Incomplete says that not all of
		// them evaluate.
		Siblings []*schema.Environment `json:"siblings"`
		// Ancestors of the commit, where it has to descend from the one applied last.
		Ancestors  []string          `json:"ancestors,omitempty"`
		Incomplete bool              `json:"incomplete"`
		Wrong      map[string]string `json:"wrong"` // by environment
		Error      string            `json:"error"` // where there is no environment to name
		// Over says that environments took too much, one of them or each.
		Over *render.OverBudget `json:"over,omitempty"`
	}
)

// ask renders in other processes of this binary. One that an environment is too
// much for is followed by one that leaves it out, as it does those that are in
// gaveUp already.
func (s *source) ask(ctx context.Context, gaveUp map[string]string) (*renderResponse, error) {
	serial := false
	for {
		response, running, err := s.askOnce(ctx, gaveUp, serial)
		var over *render.OverBudget
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			over = &render.OverBudget{Envs: running, Limit: render.LimitMemory}
		case response.Over == nil:
			return response, nil
		default:
			over, err = response.Over, response.Over
		}
		switch {
		case len(over.Envs) == 0:
			return nil, err
		case len(over.Envs) == 1 || over.Limit == render.LimitTime:
			for _, name := range over.Envs {
				gaveUp[name] = strings.TrimPrefix(err.Error(), "env "+name+": ")
			}
		case serial:
			return nil, err
		}
		serial = serial || over.Limit != render.LimitTime
	}
}

// askOnce renders in one process. Where that ends without an answer, it names the
// environments that were being rendered.
func (s *source) askOnce(ctx context.Context, gaveUp map[string]string, serial bool) (response *renderResponse, running []string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	request := renderRequest{Dir: s.dir, Git: s.git, All: s.all, Names: s.names, Budget: s.budget, Skip: gaveUp, Serial: serial}
	if s.git.URL != "" {
		// Whatever becomes of the other process, its clone goes.
		if request.Clone, err = os.MkdirTemp("", "evenkeel-git-"); err != nil {
			return nil, nil, err
		}
		defer func() { _ = os.RemoveAll(request.Clone) }()
	}
	asked, err := json.Marshal(request)
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, self, "render-child")
	cmd.Args[0] = os.Args[0]
	cmd.WaitDelay = 5 * time.Second
	said := &tail{most: 64 << 10}
	cmd.Stderr = said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	_, _ = stdin.Write(asked) // where the process is gone, the answer is missing, too
	response, running, err = readMessages(stdout, s.answerLimit())
	if err != nil {
		_ = cmd.Process.Kill()
	}
	_ = stdin.Close()
	ended := cmd.Wait()
	switch {
	case response != nil:
		return response, nil, nil
	case errors.Is(err, errAnswer):
		return nil, nil, err
	}
	text := said.firstLine()
	switch {
	case text == "" && ended != nil:
		text = ended.Error()
	case text == "":
		text = "no answer"
	}
	if len(running) > 0 { // it was ended by the system, or by Go
		text = "given up: the rendering process came to its end: " + text
	}
	return nil, running, errors.New(text)
}

// answerLimit bounds what is read of an answer: decoded, it takes several times its
// size in this process, which has to live on.
func (s *source) answerLimit() int64 { return max(s.budget.Given().Memory/4, 64<<20) }

var errAnswer = errors.New("the environments together are too large to be handed over; --render-memory allows four times as much as they take")

// readMessages reads until there is a response; without one it names the
// environments that had begun.
func readMessages(from io.Reader, most int64) (*renderResponse, []string, error) {
	limited := &io.LimitedReader{R: from, N: most}
	var running []string
	for dec := json.NewDecoder(limited); ; {
		var m renderMessage
		err := dec.Decode(&m)
		switch {
		case err != nil && limited.N <= 0:
			return nil, nil, errAnswer
		case err != nil:
			return nil, running, fmt.Errorf("the answer of the rendering process: %w", err)
		case m.Response != nil:
			return m.Response, nil, nil
		case m.Begun != "":
			running = append(running, m.Begun)
		default:
			running = slices.DeleteFunc(running, func(name string) bool { return name == m.Ended })
		}
	}
}

// tail keeps the beginning of what a process says on standard error: a process that
// ends by a limit of the system says a lot.
type tail struct {
	kept bytes.Buffer
	most int
}

func (t *tail) Write(p []byte) (int, error) {
	t.kept.Write(p[:min(len(p), t.most-t.kept.Len())])
	return len(p), nil
}

func (t *tail) firstLine() string {
	line, _, _ := strings.Cut(strings.TrimSpace(t.kept.String()), "\n")
	return strings.TrimPrefix(line, "error: ")
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
	endsFirst()
	asked := json.NewDecoder(g.in)
	var request renderRequest
	if err := asked.Decode(&request); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, g.in) // until nobody waits for the answer
		cancel()
	}()
	defer func() {
		if ctx.Err() != nil && request.Clone != "" {
			_ = os.RemoveAll(request.Clone) // whoever made it may be gone
		}
		cancel()
	}()
	response := &renderResponse{Wrong: map[string]string{}}
	if request.Clone != "" {
		at, err := request.Git.Clone(ctx, request.Clone)
		if err != nil {
			return err
		}
		request.Dir = filepath.Join(request.Clone, filepath.FromSlash(request.Git.Path))
		response.Git.Commit, response.Ancestors = at.Commit, at.Ancestors
	}
	out := &messages{enc: json.NewEncoder(uncleaned(g.out))}
	if err := response.fill(ctx, request, out.progress); err != nil {
		if ctx.Err() != nil {
			return err
		}
		response.Error = err.Error()
		if over, ok := errors.AsType[*render.OverBudget](err); ok {
			response = &renderResponse{Over: over}
		}
	}
	return out.send(renderMessage{Response: response})
}

// messages writes one message after the other.
type messages struct {
	mu  sync.Mutex
	enc *json.Encoder
}

func (m *messages) send(message renderMessage) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.enc.Encode(message)
}

func (m *messages) progress(env string, begun bool) {
	message := renderMessage{Ended: env}
	if begun {
		message = renderMessage{Begun: env}
	}
	_ = m.send(message) // where nobody reads, the response fails as well
}

// fill renders what was asked for, and with it the environments that share a
// cluster with that.
func (r *renderResponse) fill(ctx context.Context, request renderRequest, progress func(string, bool)) error {
	repo, err := render.Open(request.Dir)
	if err != nil {
		return err
	}
	repo.Budget, repo.Skip, repo.Serial, repo.Progress = request.Budget, request.Skip, request.Serial, progress
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
func (r *renderResponse) renderEach(ctx context.Context, repo *render.Repo, names []string, unseal bool) ([]*schema.Environment, error) {
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
