package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
)

// savePlan writes a plan for apply --plan. The file is there as a whole or not at
// all.
func (g *global) savePlan(name string, plan *apply.Plan) error {
	raw, err := plan.Save()
	if err != nil {
		return err
	}
	dir, err := render.OutputDir(g.dir, filepath.Dir(name))
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // nothing is written by that
	return dir.WriteFileMode(filepath.Base(name), append(raw, '\n'), 0o600)
}

// checkSaved refuses a plan that is not the one that was reviewed, and shows what
// of it the review did not see.
func (g *global) checkSaved(name string, now *apply.Plan) error {
	raw, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	saved, err := apply.ReadSavedPlan(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	again := []string{fmt.Sprintf("evenkeel diff %s --save %s makes the plan anew: look at it, and apply that", now.Environment, name)}
	unseen, err := saved.Against(now)
	if err != nil {
		return &hint.Refused{Reason: fmt.Sprintf("%s: %v", name, err), Hints: again}
	}
	if len(unseen) == 0 {
		return nil
	}
	part := &apply.Plan{Environment: now.Environment, Cluster: now.Cluster, Changes: unseen, Summary: map[apply.Action]int{}}
	for _, c := range unseen {
		part.Summary[c.Action]++
	}
	fmt.Fprintf(g.err, "what %s does not say:\n", name)
	if err := report.Text(painted(g.err), part, report.Options{Color: g.colored(g.err)}); err != nil {
		return err
	}
	return &hint.Refused{Reason: fmt.Sprintf("the cluster moved since %s was saved: apply would do more", name), Hints: again}
}
