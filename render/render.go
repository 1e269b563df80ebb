package render

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// Result is a rendered environment.
type Result struct {
	Env *schema.Environment
	// Warnings are findings that do not stand in the way.
	Warnings Findings
	// Notices are what units want to be told to whoever applies them.
	Notices []string
}

// Render renders one environment. All that is wrong with the input comes back at
// once, as Findings; a name that no environment has, as UnknownEnv.
func (r *Repo) Render(ctx context.Context, name string) (*Result, error) {
	results, err := r.RenderAll(ctx, []string{name})
	if err != nil {
		return nil, err
	}
	return results[0], nil
}

// RenderAll renders the named environments, in their order. The findings of all
// of them come back as one error.
func (r *Repo) RenderAll(ctx context.Context, names []string) ([]*Result, error) {
	defer lazyGC()()
	dirs := make([]envDir, len(names))
	for i, name := range names {
		dir, err := r.find(name)
		if err != nil {
			return nil, err
		}
		dirs[i] = dir
	}
	all, findings, err := r.renderDirs(ctx, dirs)
	if err != nil {
		return nil, err
	}
	if errs, _ := findings.split(); len(errs) > 0 {
		return nil, errs
	}
	results := make([]*Result, len(all))
	for i, one := range all {
		results[i] = one.result
	}
	return results, nil
}

// renderDirs renders side by side. An environment that is wrong leaves a nil and
// its findings.
func (r *Repo) renderDirs(ctx context.Context, dirs []envDir) ([]*rendered, Findings, error) {
	all := make([]*rendered, len(dirs))
	found := make([]Findings, len(dirs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel())
	for i, dir := range dirs {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			one, err := r.render(ctx, dir)
			if errors.As(err, &found[i]) {
				return nil
			}
			all[i] = one
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	return all, slices.Concat(found...), nil
}

// rendered is an environment with what the rules between environments look at.
type rendered struct {
	ev       *evaluated
	header   header
	units    []*unit
	result   *Result
	findings Findings // with errors only where the environment is complete all the same
}

func (r *Repo) render(ctx context.Context, dir envDir) (*rendered, error) {
	ev, err := r.evaluate(dir, nil)
	if err == nil {
		err = ev.validate()
	}
	if err != nil {
		return nil, r.explain(ctx, dir, ev, err)
	}
	if found := ev.forbidden(); len(found) > 0 {
		return nil, found.tidy()
	}
	h, err := ev.header()
	if err != nil {
		return nil, err
	}
	units, err := ev.decode()
	if err != nil {
		return nil, r.cueFindings(err, ev)
	}
	units, findings := ev.sortUnits(units)
	findings = append(findings, ev.finish(ctx, h, units)...)
	errs, warnings := findings.split()
	if len(errs) > 0 {
		return nil, append(errs, warnings...)
	}
	res := &Result{Env: environment(h, units), Warnings: warnings}
	for _, u := range units {
		if u.data.Notice != "" {
			res.Notices = append(res.Notices, u.data.Name+": "+u.data.Notice)
		}
	}
	return &rendered{ev: ev, header: h, units: units, result: res}, nil
}

// environment is the contract's form of what was rendered.
func environment(h header, units []*unit) *schema.Environment {
	env := &schema.Environment{
		Name: h.Name, Namespace: h.Namespace, Cluster: h.Cluster,
		After: h.After, Protected: h.Protected, KubernetesVersion: h.KubernetesVersion,
		Controllers: h.Controllers, Was: h.Was,
	}
	for _, u := range units {
		timeout, _ := u.data.timeout() // checked by finish
		out := schema.Unit{Name: u.data.Name, Type: u.data.Type, After: u.data.After, Timeout: timeout}
		if u.data.Name != schema.UnitEnvironment && len(units) > 0 && units[0].data.Name == schema.UnitEnvironment {
			out.After = withEnvironment(u.data.After)
		}
		for _, o := range u.objs {
			obj := schema.Object{Unstructured: &o.Unstructured, Key: o.key, Ignore: u.data.Ignore[o.key]}
			for _, key := range u.data.Recreate {
				obj.Recreate = obj.Recreate || key == o.key
			}
			if rule, ok := u.data.Ready[o.key]; ok {
				obj.Ready = &rule
			}
			out.Objects = append(out.Objects, obj)
		}
		env.Units = append(env.Units, out)
	}
	return env
}

// withEnvironment adds the unit that all others stand on.
func withEnvironment(after []string) []string {
	for _, name := range after {
		if name == schema.UnitEnvironment {
			return after
		}
	}
	return append([]string{schema.UnitEnvironment}, after...)
}

func quote(s string) string { return strconv.Quote(s) }
