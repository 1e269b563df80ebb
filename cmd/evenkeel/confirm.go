package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// confirm shows the plan and asks, on a terminal and without --yes. Elsewhere
// the guards of apply decide alone.
func (g *global) confirm(ctx context.Context, env *schema.Environment, plan *apply.Plan, opts *applyOptions) error {
	if opts.yes.given || !isTerminal(g.in) || !isTerminal(g.err) || !plan.Differs(false) {
		return nil
	}
	if err := report.Text(painted(g.err), plan, report.Options{Color: g.colored(g.err)}); err != nil {
		return err
	}
	question, want := fmt.Sprintf("Apply to %s? [y/N] ", plan.Cluster.Server), "y"
	if env.Protected {
		question, want = fmt.Sprintf("%s is protected. Type its name to apply to %s: ", env.Name, plan.Cluster.Server), env.Name
	}
	fmt.Fprint(g.err, "\n"+question)
	answer, err := g.readLine(ctx)
	if err != nil {
		return err
	}
	if answer = strings.TrimSpace(answer); !strings.EqualFold(answer, want) {
		return &hint.Refused{Reason: "not applied: the answer was no"}
	}
	opts.run.Yes = true
	return nil
}

// confirmDoubts shows the plan of a rollback that reaches further than what git says
// vouches for, and wants to hear that it was seen: the environment's name on a
// terminal, elsewhere the code of exactly this plan.
func (g *global) confirmDoubts(ctx context.Context, env *schema.Environment, plan *apply.Plan, back *apply.Rollback, doubts []string, opts *rollbackOptions) error {
	if len(doubts) == 0 || !plan.Differs(false) {
		return nil
	}
	code, err := back.Code(plan)
	if err != nil || opts.confirm == code {
		return err
	}
	if err := report.Text(g.err, plan, report.Options{Color: g.colored(g.err)}); err != nil {
		return err
	}
	refused := &hint.Refused{
		Reason: "this rollback must be looked at:\n  " + strings.Join(doubts, "\n  "),
		Hints:  []string{"the plan is above; if it is right, give --confirm " + code + " (--yes does not answer this)"},
	}
	if !isTerminal(g.in) || !isTerminal(g.err) {
		return refused
	}
	fmt.Fprintf(g.err, "\n%s\nType %s to go on: ", refused.Reason, env.Name)
	answer, err := g.readLine(ctx)
	if err != nil {
		return err
	}
	if strings.TrimSpace(answer) != env.Name {
		return &hint.Refused{Reason: "not applied: the answer was no"}
	}
	opts.yes.given, opts.run.Yes = true, true
	return nil
}

// readLine reads a line of input, or ends with ctx: a read of a terminal does
// not end by itself when Ctrl-C is caught.
func (g *global) readLine(ctx context.Context) (string, error) {
	type reply struct {
		line string
		err  error
	}
	read := make(chan reply, 1)
	go func() {
		line, err := bufio.NewReader(g.in).ReadString('\n')
		read <- reply{line, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(g.err)
		return "", &apply.Interrupted{Cause: context.Cause(ctx)}
	case r := <-read:
		if errors.Is(r.err, syscall.EIO) { // a terminal that was closed, whose signal is on its way
			return "", &apply.Interrupted{Cause: r.err}
		}
		return r.line, r.err
	}
}
