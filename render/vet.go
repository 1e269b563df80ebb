package render

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"
)

// Vet checks the named environments, all of them when none is named, with the
// rules between environments. It returns the warnings, and all that is wrong as
// Findings.
func (r *Repo) Vet(ctx context.Context, names ...string) (Findings, error) {
	defer lazyGC()()
	dirs, err := r.chosen(names)
	if err != nil {
		return nil, err
	}
	results := make([]*rendered, len(dirs))
	found := make([]Findings, len(dirs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel())
	for i, dir := range dirs {
		g.Go(func() error {
			var err error
			results[i], err = r.render(ctx, dir)
			if errors.As(err, &found[i]) {
				return nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	findings := slices.Concat(found...)
	for _, res := range results {
		if res != nil {
			findings = append(findings, res.result.Warnings...)
		}
	}
	errs, warnings := findings.split()
	if len(errs) > 0 {
		return warnings, errs
	}
	return warnings, nil
}

func (r *Repo) chosen(names []string) ([]envDir, error) {
	if len(names) == 0 {
		return r.scan()
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
