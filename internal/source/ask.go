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

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile/remote"
	"github.com/seed-428f4edd/evenkeel/render"
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
		Git    remote.Git        `json:"git"`
		All    bool              `json:"all"`
		Names  []string          `json:"names"`
		Budget render.Budget     `json:"budget"`
		Skip   map[string]string `json:"skip,omitempty"`
		Serial bool              `json:"serial,omitempty"`
	}
	// message is one of its fields. The last message has a response, unless
	// the process came to its end before.
	message struct {
		Begun    string  `json:"begun,omitempty"` // an environment
		Ended    string  `json:"ended,omitempty"`
		Response *answer `json:"response,omitempty"`
	}
	answer struct {
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
func (s *Source) ask(ctx context.Context, gaveUp map[string]string) (*answer, error) {
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
func (s *Source) askOnce(ctx context.Context, gaveUp map[string]string, serial bool) (response *answer, running []string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	request := Request{Dir: s.Dir, Git: s.Git, All: s.All, Names: s.Names, Budget: s.Budget, Skip: gaveUp, Serial: serial}
	if s.Git.URL != "" {
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
	cmd := exec.CommandContext(ctx, self, Command)
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
	if over := s.Budget.Ended(running, text); over != nil && len(running) > 0 {
		return nil, running, over
	}
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
func (s *Source) answerLimit() int64 { return max(s.Budget.Given().Memory/4, 64<<20) }

var errAnswer = errors.New("the environments together are too large to be handed over; --render-memory allows four times as much as they take")

// readMessages reads until there is a response; without one it names the
// environments that had begun.
func readMessages(from io.Reader, most int64) (*answer, []string, error) {
	limited := &io.LimitedReader{R: from, N: most}
	var running []string
	for dec := json.NewDecoder(limited); ; {
		var m message
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
