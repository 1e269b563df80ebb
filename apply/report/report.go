// Package report writes plans, runs and health for people: text for terminals,
// Markdown for the comment on a pull request, HTML for a page of its own, and
// files for the reader's own diff program. It only reads; secret values were
// masked before they got here.
//
// The path of the data: *apply.Plan -> view (units, what many objects share) ->
// one of the formats.
package report

import (
	"fmt"
	"strings"

	"github.com/seed-428f4edd/evenkeel/apply"
)

// Options say how much is written and how. The zero value is the short form
// without colour.
type Options struct {
	Color bool
	// Strict counts foreign additions as differences.
	Strict bool
	// Unified shows the bodies of changed objects as unified diffs of YAML, with
	// Context unchanged lines around a change; zero means 3, negative none.
	Unified bool
	Context int
	// Against names what the environments are compared with, such as a git ref;
	// empty means their clusters.
	Against string
}

func (o Options) context() int {
	switch {
	case o.Context == 0:
		return 3
	case o.Context < 0:
		return 0
	}
	return o.Context
}

// actions are all actions in the order of summaries; the most consequential
// stand last, next to where the eye rests.
func actions() []apply.Action {
	return []apply.Action{
		apply.Created, apply.UnverifiedCreated, apply.Adopted, apply.Configured, apply.UnverifiedChanged,
		apply.Reowned, apply.Recreated, apply.Deleted, apply.Terminating, apply.Kept,
		apply.Foreign, apply.CopiedLabel, apply.Conflict, apply.Rejected, apply.Unchanged,
	}
}

// Summary is a plan in one line: "2 created, 1 configured, 40 unchanged".
func Summary(p *apply.Plan) string { return counts(p.Summary) }

// Changes is Summary for what a revision says of its run, by the names of actions.
func Changes(n map[string]int) string {
	actions := make(map[apply.Action]int, len(n))
	for action, n := range n {
		actions[apply.Action(action)] = n
	}
	return counts(actions)
}

func counts(n map[apply.Action]int) string {
	return countsOf(n, func(action apply.Action, n int) string { return fmt.Sprintf("%d %s", n, action) })
}

func countsOf(n map[apply.Action]int, say func(apply.Action, int) string) string {
	var parts []string
	for _, action := range actions() {
		if n[action] > 0 {
			parts = append(parts, say(action, n[action]))
		}
	}
	if len(parts) == 0 {
		return "no objects"
	}
	return strings.Join(parts, ", ")
}

// meaning explains an action to those who meet it for the first time; empty where
// the word says it all.
func meaning(a apply.Action) string {
	switch a {
	case apply.Adopted:
		return "exists already and is taken over"
	case apply.Reowned:
		return "only the ownership of fields differs"
	case apply.Kept:
		return "no longer rendered, but not deleted"
	case apply.Foreign:
		return "fields that others added; an apply leaves them alone"
	case apply.CopiedLabel:
		return "bears the environment's label without being of it"
	case apply.Terminating:
		return "is being deleted right now"
	case apply.Rejected:
		return "the server refuses what the environment wants of it"
	case apply.UnverifiedCreated, apply.UnverifiedChanged:
		return "the server could not be asked about it yet"
	}
	return ""
}
