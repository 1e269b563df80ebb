package main

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// confirm shows the plan and asks, on a terminal and without --yes. Elsewhere
// the guards of apply decide alone.
func (g *global) confirm(env *schema.Environment, plan *apply.Plan, opts *applyOptions) error {
	if opts.yes.given || !isTerminal(g.in) || !isTerminal(g.err) || !plan.Differs(false) {
		return nil
	}
	if err := report.Text(g.err, plan, report.Options{Color: g.colored(g.err)}); err != nil {
		return err
	}
	question, want := fmt.Sprintf("Apply to %s? [y/N] ", plan.Cluster.Server), "y"
	if env.Protected {
		question, want = fmt.Sprintf("%s is protected. Type its name to apply to %s: ", env.Name, plan.Cluster.Server), env.Name
	}
	fmt.Fprint(g.err, "\n"+question)
	answer, err := bufio.NewReader(g.in).ReadString('\n')
	if err != nil {
		return err
	}
	if answer = strings.TrimSpace(answer); !strings.EqualFold(answer, want) {
		return &apply.Refused{Reason: "not applied: the answer was no"}
	}
	opts.run.Yes = true
	return nil
}
