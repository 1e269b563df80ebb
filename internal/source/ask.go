package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile/remote"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/program"
	"github.com/seed-428f4edd/evenkeel/render/budget"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Command is the argument with which this binary is started to answer a Request.
const Command = "render-child"

// Request is what the other process is asked on its standard input, which
// stays open as long as the answer is wanted. What it says on standard output are
// messages; they hold Secrets.
type (
	Request struct {
		Dir    string            `json:"dir"`
		Clone  string            `json:"clone,omitempty"` // a directory to clone into
		Head   bool              `json:"head,omitempty"`  // only tell which commit is the newest
		Fetch  bool              `json:"fetch,omitempty"` // only clone
		Try    bool              `json:"try,omitempty"`   // only say whether it stays within the budget
		Git    remote.Git        `json:"git"`
		All    bool              `json:"all"`
		Names  []string          `json:"names"`
		Budget budget.Budget     `json:"budget"`
		Skip   map[string]string `json:"skip,omitempty"`
		Serial bool              `json:"serial,omitempty"`
	}
	// message is one of its fields. The last message has a response, unless
	// the process came to its end before.
	message struct {
		Fetched  bool    `json:"fetched,omitempty"` // the repository is here
		Begun    string  `json:"begun,omitempty"`   // an environment
		Ended    string  `json:"ended,omitempty"`
		Response *answer `json:"response,omitempty"`
	}
	answer struct {
		Git          record.GitInfo        `json:"git"`
		Environments []*schema.Environment `json:"environments"`
		// Siblings share a cluster with those; Incomplete says that not all of
		// them evaluate.
		Siblings []*schema.Environment `json:"siblings"`
		// Ancestors of the commit, where it has to descend from the one applied last.
		Ancestors  []string          `json:"ancestors,omitempty"`
		Incomplete bool              `json:"incomplete"`
		Wrong      map[string]string `json:"wrong"` // by environment
		Error      string            `json:"error"` // where there is no environment to name
		// Source is why the git server did not give the repository; Limit which one of
		// ours it met, if that is why.
		Source string `json:"source,omitempty"`
		Limit  string `json:"limit,omitempty"`
		// Over says that environments took too much, one of them or each.
		Over *budget.Over `json:"over,omitempty"`
	}
)

// ask renders in other processes of this binary. One that an environment is too
// much for is followed by one that leaves it out, as it does those that are in
// gaveUp already.
func (s *Source) ask(ctx context.Context, gaveUp map[string]string) (*answer, error) {
	serial := false
	for {
		response, running, err := s.askOnce(ctx, gaveUp, serial)
		var over *budget.Over
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			over = &budget.Over{Envs: running, Limit: budget.LimitMemory}
		case response.Over == nil:
			return response, nil
		default:
			over, err = response.Over, response.Over
		}
		switch {
		case len(over.Envs) == 0:
			return nil, err
		case len(over.Envs) == 1 || over.Limit == budget.LimitTime:
			for _, name := range over.Envs {
				gaveUp[name] = strings.TrimPrefix(err.Error(), "env "+name+": ")
			}
		case serial:
			return nil, err
		}
		serial = serial || over.Limit != budget.LimitTime
	}
}

// askOnce renders in one process. Where that ends without an answer, it names the
// environments that were being rendered.
func (s *Source) askOnce(ctx context.Context, gaveUp map[string]string, serial bool) (response *answer, running []string, err error) {
	request := Request{Dir: s.Dir, Git: s.Git, All: s.All, Names: s.Names, Budget: s.Budget, Skip: gaveUp, Serial: serial}
	if s.Git.URL != "" {
		// Whatever becomes of the other process, its clone goes.
		if request.Clone, err = os.MkdirTemp("", "evenkeel-git-"); err != nil {
			return nil, nil, err
		}
		defer func() { _ = os.RemoveAll(request.Clone) }()
	}
	return request.send(ctx)
}

// send has another process answer the request.
func (r *Request) send(ctx context.Context) (response *answer, running []string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	asked, err := json.Marshal(r)
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.CommandContext(ctx, self, Command)
	cmd.Args[0] = os.Args[0]
	cmd.Env = program.Environ()
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
	heard, err := readMessages(stdout, r.answerLimit())
	if err != nil {
		_ = cmd.Process.Kill()
	}
	_ = stdin.Close()
	ended := cmd.Wait()
	switch {
	case heard.response != nil && heard.response.Source != "":
		return nil, nil, &unfetched{text: heard.response.Source, limit: reconcile.GivenUp(heard.response.Limit)}
	case heard.response != nil:
		return heard.response, nil, nil
	case errors.Is(err, errAnswer):
		return nil, nil, err
	}
	if ctx.Err() != nil {
		return nil, nil, fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
	text := said.firstLine()
	over := r.Budget.Ended(heard.running, text)
	switch {
	case text == "" && ended != nil:
		text = ended.Error()
	case text == "":
		text = "no answer"
	}
	switch {
	case len(heard.running) > 0 && over != nil:
		return nil, heard.running, over
	case len(heard.running) > 0: // it was ended by the system, or by Go
		text = "given up: the rendering process came to its end: " + text
	case r.Git.URL != "" && !heard.fetched && over != nil:
		return nil, nil, notFetched(&r.Git, over)
	case r.Git.URL != "" && !heard.fetched:
		return nil, nil, notFetched(&r.Git, remote.TooMuch("the process that fetches the repository came to its end: "+text))
	}
	return nil, heard.running, errors.New(text)
}

// unfetched says why a git server did not give the repository. Its text may quote the
// server; limit quotes nobody.
type unfetched struct {
	text  string
	limit reconcile.GivenUp // empty where none was met
}

func (u *unfetched) Error() string { return u.text }

// Unwrap returns the limit.
func (u *unfetched) Unwrap() error {
	if u.limit == "" {
		return nil
	}
	return u.limit
}

// notFetched is what came of fetching a repository under a budget.
func notFetched(git *remote.Git, err error) *unfetched {
	if over, ok := errors.AsType[*budget.Over](err); ok {
		err = remote.TooMuch("fetching the repository takes more than " + over.Most + " of memory")
	}
	limit, ok := errors.AsType[remote.TooMuch](err)
	if !ok {
		return &unfetched{text: err.Error()}
	}
	return &unfetched{text: fmt.Sprintf("git %s: %v", git.Shown(), limit), limit: reconcile.GivenUp(limit.Error())}
}

// answerLimit bounds what is read of an answer: decoded, it takes several times its
// size in this process, which has to live on.
func (r *Request) answerLimit() int64 { return max(r.Budget.Given().Memory/4, 64<<20) }

var errAnswer = errors.New("the environments together are too large to be handed over; --render-memory allows four times as much as they take")

// heard is what another process said. Where it came to its end without a response,
// fetched and running say how far it was.
type heard struct {
	response *answer
	fetched  bool
	running  []string // environments that had begun
}

// readMessages reads until there is a response.
func readMessages(from io.Reader, most int64) (heard, error) {
	limited := &io.LimitedReader{R: from, N: most}
	var h heard
	for dec := json.NewDecoder(limited); ; {
		var m message
		err := dec.Decode(&m)
		switch {
		case err != nil && limited.N <= 0:
			return heard{}, errAnswer
		case err != nil:
			return h, fmt.Errorf("the answer of the rendering process: %w", err)
		case m.Response != nil:
			return heard{response: m.Response}, nil
		case m.Fetched:
			h.fetched = true
		case m.Begun != "":
			h.running = append(h.running, m.Begun)
		default:
			h.running = slices.DeleteFunc(h.running, func(name string) bool { return name == m.Ended })
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
