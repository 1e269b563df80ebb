package render

import (
	"context"
	"errors"
	"slices"

	"github.com/seed-428f4edd/evenkeel/render/budget"
	"github.com/seed-428f4edd/evenkeel/render/lint"
)

// Vet checks the named environments, all of them when none is named, with the
// rules between environments. It returns the warnings, and all that is wrong as
// Findings. Where environments are named, the notices of their units are warnings.
func (r *Repo) Vet(ctx context.Context, names ...string) (Findings, error) {
	chosen, err := r.chosen(names)
	if err != nil {
		return nil, err
	}
	all, err := budget.Within(ctx, r.Budget, &r.Renderings, func(ctx context.Context) (renderedSet, error) {
		all, err := r.renderSet(ctx, names, true)
		if err == nil {
			all.ways()
			all.refused(dirNames(chosen))
		}
		return all, err
	})
	if err != nil {
		return nil, err
	}
	var findings Findings
	for _, dir := range chosen {
		one := all.named(dir.name)
		findings = append(findings, one.findings...)
		if len(names) > 0 {
			findings = append(findings, one.notices...)
		}
	}
	errs, warnings := findings.everywhere().split()
	errs.atHome(r)
	if len(chosen) > 1 {
		errs.ofOne(chosen, r)
	}
	if len(names) > 0 {
		for _, f := range all.others(names) {
			if !slices.ContainsFunc(errs, func(e Finding) bool { return e.at() == f.at() }) { // of one list that both take
				warnings = append(warnings, f)
			}
		}
	}
	if len(errs) > 0 {
		return warnings, errs
	}
	return warnings, nil
}

func (r *Repo) chosen(names []string) ([]envDir, error) {
	if len(names) == 0 {
		dirs, err := r.scan()
		if err == nil && len(dirs) == 0 {
			return nil, errors.New("no environments: no directory below envs has a field \"environment\"")
		}
		return dirs, err
	}
	var dirs []envDir
	for _, name := range names {
		dir, err := r.find(name)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

func dirNames(dirs []envDir) []string {
	names := make([]string, len(dirs))
	for i, dir := range dirs {
		names[i] = dir.name
	}
	return names
}

// Upgrade finds the API versions and fields of what the named environments render that
// are removed, or deprecated as a warning, in a version of Kubernetes such as 1.38; fields
// whose feature gate is off there, and releases of systems that it was not tested with. Rules
// that a unit silences speak as well: they would break all the same.
func (r *Repo) Upgrade(ctx context.Context, version string, names ...string) (Findings, error) {
	r.target = version
	defer func() { r.target = "" }()
	warnings, err := r.Vet(ctx, names...)
	var wrong Findings
	if err != nil && !errors.As(err, &wrong) {
		return nil, err
	}
	var found Findings
	for _, f := range append(wrong, warnings...) {
		switch {
		case slices.Contains([]string{lint.RuleVersion, lint.RuleDeprecated, lint.RuleGate, lint.RuleTested}, f.Rule):
			found = append(found, f)
		case f.Rule == "" && !f.Warning: // it does not render
			return nil, wrong
		}
	}
	return found, nil
}
