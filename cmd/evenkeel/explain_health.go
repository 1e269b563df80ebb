package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

func newExplainHealthCmd(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health KIND",
		Short: "Show when an object of a kind counts as healthy, and where that is from",
		Long: `Show the rule that objects of a kind are judged by, what its project says of it, and
examples. A kind is named by itself or with its API group; where projects give a kind
the same name, all of them are shown. The kinds of Kubernetes itself and those without
a rule of their own are in docs/health.md.`,
		Example: `  evenkeel explain health Kafka
  evenkeel explain health Cluster.postgresql.cnpg.io
  evenkeel explain health Certificate -o json`,
		Args: cobra.ExactArgs(1),
	}
	g.addOutput(cmd, "text", "json")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return runExplainHealth(g, args[0])
	}
	return cmd
}

func runExplainHealth(g *global, kind string) error {
	rules, err := health.FindRules(kind)
	if err != nil {
		return err
	}
	if len(rules) == 0 {
		return noRule(kind)
	}
	if g.output == "json" {
		out := make([]health.Explained, len(rules))
		for i, r := range rules {
			out[i] = r.Explain()
		}
		return writeJSON(g.out, out)
	}
	for i, r := range rules {
		if i > 0 {
			fmt.Fprintln(g.out)
		}
		if _, err := fmt.Fprint(g.out, r.Text()); err != nil {
			return err
		}
	}
	return nil
}

// noRule says what a kind without a rule of its own is judged by, or what was
// meant.
func noRule(kind string) error {
	if health.OfKubernetes(kind) {
		return &hint.Error{Err: fmt.Errorf("%s is a kind of Kubernetes itself, which the table of rules does not have", kind), Hint: "docs/health.md says what it is judged by"}
	}
	known, err := health.KnownKinds()
	if err != nil {
		return err
	}
	e := &hint.Error{Err: fmt.Errorf("no rule for kind %q: it is judged by its conditions, as docs/health.md says", kind), Hint: "ready of a unit or a site declares a rule for it"}
	if near := typed.Closest(kind, known); near != "" {
		e.Hint = fmt.Sprintf("did you mean %q?", near)
	}
	return e
}
