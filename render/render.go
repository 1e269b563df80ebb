package render

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/render/budget"
	"github.com/seed-428f4edd/evenkeel/render/edge"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/typed"
	"github.com/seed-428f4edd/evenkeel/render/way"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Result is a rendered environment.
type Result struct {
	Env *schema.Environment
	// Warnings are findings that do not stand in the way.
	Warnings Findings
	// Edge is the configuration of the hosts in front of the cluster, nil where the
	// environment has no edge.
	Edge *edge.Config
	// Notices are what units want to be told to whoever applies them.
	Notices []string

	mirrors map[string]any // registry to prefix, of the site
	charts  []Chart
	sealed  []*sealed // Secrets that Unseal decrypts

	way     func() *way.Model
	refused func() Findings
}

// Way is the model of the ways of requests in the cluster of the environment.
func (r *Result) Way() *way.Model { return r.way() }

// Refused is what the API server would refuse of the objects, as Vet says it: no other
// rendering asks, since a plan will.
func (r *Result) Refused() Findings { return r.refused() }

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
// of them come back as one error. The other environments of the repository are
// evaluated for the rules between environments; what is wrong with them alone is
// a warning here.
func (r *Repo) RenderAll(ctx context.Context, names []string) ([]*Result, error) {
	results, wrong, err := r.RenderEach(ctx, names)
	if err != nil {
		return nil, err
	}
	var findings Findings
	for _, name := range names {
		findings = append(findings, wrong[name]...)
	}
	if len(findings) > 0 {
		return nil, findings
	}
	return results, nil
}

// RenderEach is RenderAll where one environment that is wrong does not keep the
// others: it is not among the results, and its findings are in wrong by its name.
func (r *Repo) RenderEach(ctx context.Context, names []string) (results []*Result, wrong map[string]Findings, err error) {
	all, err := budget.Within(ctx, r.Budget, &r.Renderings, func(ctx context.Context) (renderedSet, error) {
		return r.renderSet(ctx, names, false)
	})
	if err != nil {
		return nil, nil, err
	}
	wrong = map[string]Findings{}
	for _, name := range names {
		one := all.named(name)
		errs, warnings := one.findings.split()
		if len(errs) > 0 {
			wrong[name] = errs
			continue
		}
		one.result.Warnings = warnings
		if front := one.result.Edge; front != nil {
			front.IngressHosts = all.ingressHosts(one.header.cluster())
		}
		one.result.refused = sync.OnceValue(one.asked)
		one.result.way = sync.OnceValue(func() *way.Model { return all.way(one.header.cluster(), false) })
		results = append(results, one.result)
	}
	if len(results) > 0 {
		results[0].Warnings = append(results[0].Warnings, all.others(names)...)
	}
	return results, wrong, nil
}

// renderSet renders all environments of the repository, among which are those that
// are named, and applies the rules between them. Only vet asks to be thorough.
func (r *Repo) renderSet(ctx context.Context, names []string, thorough bool) (renderedSet, error) {
	if _, err := r.chosen(names); err != nil {
		return nil, err
	}
	dirs, err := r.scan()
	if err != nil {
		return nil, err
	}
	all, err := r.renderDirs(ctx, dirs, thorough)
	if err != nil {
		return nil, err
	}
	all.between()
	return all, nil
}

// renderedSet are the environments of a repository, in the order of their names.
type renderedSet []*rendered

func (set renderedSet) named(name string) *rendered {
	for _, one := range set {
		if one.name == name {
			return one
		}
	}
	return nil
}

// between applies the rules between environments to those that evaluate.
func (set renderedSet) between() {
	var whole []*rendered
	var envs []lint.Environment
	var broken []string
	for _, one := range set {
		if one.result == nil {
			broken = append(broken, one.name)
			if one.header.Name != one.name {
				broken = append(broken, one.header.Name) // which others call it by
			}
			continue
		}
		whole = append(whole, one)
		envs = append(envs, one.lintable())
	}
	for i, found := range lint.Between(envs, broken) {
		found := whole[i].ev.hush(whole[i].explain(found), whole[i].units)
		whole[i].findings = append(whole[i].findings, found...)
	}
}

// others says, in one line each, which of the environments that were not asked
// for are wrong.
func (set renderedSet) others(names []string) Findings {
	var warnings Findings
	for _, one := range set {
		errs, _ := one.findings.split()
		if len(errs) == 0 || slices.Contains(names, one.name) {
			continue
		}
		f := errs[0]
		f.Warning = true
		f.Message = fmt.Sprintf("environment %s is wrong and was not compared with: %s", one.name, f.Message)
		if one.result != nil {
			f.Message = fmt.Sprintf("environment %s is wrong: %s", one.name, errs[0].Message)
		}
		if len(errs) > 1 {
			f.Hint = fmt.Sprintf("and %d more: evenkeel vet %s", len(errs)-1, one.name)
		}
		warnings = append(warnings, f)
	}
	return warnings
}

// renderDirs renders side by side. To compile the definitions takes as long as a
// small environment, so those share a context where they follow each other.
func (r *Repo) renderDirs(ctx context.Context, dirs []envDir, thorough bool) (renderedSet, error) {
	all := make(renderedSet, len(dirs))
	if len(dirs) == 0 {
		return all, nil
	}
	insts, err := r.load(dirs, nil)
	if err != nil {
		return nil, err
	}
	evs := make([]*evaluated, len(dirs))
	for i, dir := range dirs {
		if dir.wrong != nil {
			all[i] = &rendered{name: dir.name, findings: dir.wrong}
			continue
		}
		evs[i] = newEvaluated(r, dir, insts[i])
		evs[i].thorough = thorough
		evs[i].parts = evs[i].split() // before any is evaluated: it writes to the packages that they share
	}
	contexts := make(chan *cue.Context, r.parallel())
	for range cap(contexts) {
		contexts <- cuecontext.New()
	}
	g, ctx := contain.WithContext(ctx)
	g.SetLimit(cap(contexts))
	for i, dir := range dirs {
		if all[i] != nil {
			continue
		}
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if why, ok := r.Skip[dir.name]; ok {
				all[i] = &rendered{name: dir.name, findings: Findings{r.skipped(dir, why)}}
				return nil
			}
			shared := <-contexts
			defer func() { contexts <- shared }()
			defer r.Renderings.Begin(dir.name)()
			evs[i].shared = shared
			one, err := evs[i].render(ctx)
			if found, ok := errors.AsType[Findings](err); ok {
				if !found.wrong() { // or it would count as right, without a rendering
					found = append(found, r.skipped(dir, "the environment does not evaluate"))
				}
				all[i] = &rendered{name: dir.name, findings: evs[i].hushMade(ctx, found, nil)}
				return nil
			}
			if all[i] = one; one != nil {
				one.findings = evs[i].hushMade(ctx, one.findings, one.units)
			}
			return err
		})
	}
	return all, g.Wait()
}

// skipped is what is wrong with an environment that is not evaluated.
func (r *Repo) skipped(dir envDir, why string) Finding {
	return Finding{File: r.fileName(filepath.Join(r.root, dir.dir)), Environment: dir.name, Message: why}
}

// rendered is an environment with what the rules between environments look at.
type rendered struct {
	name     string
	ev       *evaluated
	header   header
	units    []*unit
	off      []string // the names of units that are left out
	result   *Result  // nil where the environment does not evaluate
	findings Findings
	notices  Findings // why one should move away from a unit
	sealed   []*sealed
}

func (ev *evaluated) render(ctx context.Context) (*rendered, error) {
	if found := append(ev.forbidden(), ev.misplacedMarks()...); len(found) > 0 {
		return nil, ev.repo.explain(ctx, ev.dir, ev, found)
	}
	h, units, ok := ev.inParts(ctx)
	if !ok {
		var err error
		if h, units, err = ev.inOne(ctx); err != nil {
			return nil, err
		}
	}
	lost, unread := append(ev.beside(), ev.dir.lost...).split()
	if len(lost) > 0 {
		return nil, lost
	}
	units, off := withoutOff(units)
	units, findings := ev.sortUnits(units, off)
	one := &rendered{name: ev.dir.name, ev: ev, header: h, units: units, off: off}
	one.sealed, one.findings = ev.seal(h, units)
	fin := &finisher{ev, h, units}
	one.findings = slices.Concat(unread, findings, one.findings, fin.finish(ctx))
	one.findings = append(one.findings, fin.later(one.findings.wrong())...)
	front, wrong := fin.edge()
	if same := one.explain(lint.SameAddress(h.Site)); len(same) > 0 {
		wrong = same
	}
	one.findings = append(one.findings, wrong...)
	if h.Name != ev.dir.name {
		f := one.place(lint.Finding{Path: typed.Path{"name"}})
		f.Message = "an environment has the name of its directory"
		f.Expected, f.Found = quote(ev.dir.name), quote(h.Name)
		one.findings = append(one.findings, f)
	}
	if errs, _ := one.findings.split(); len(errs) > 0 {
		return one, nil // the rules would report what follows from them
	}
	one.findings = append(one.findings, one.explain(lint.Check(one.lintable()))...)
	one.findings = append(one.findings, ev.overruled(units)...)
	one.findings = append(one.findings, ev.recreated(units)...)
	one.findings = append(one.findings, ev.bothBudgets(units)...)
	withheld, wrong := ev.mark(ctx, h, units)
	one.findings = append(one.findings, wrong...)
	one.findings = append(one.findings, ev.inClear(units, one.findings)...)
	one.result = &Result{Env: environment(h, units), Edge: front, sealed: one.sealed, mirrors: tree.Map(tree.At(h.Site, "images", "mirror"))}
	one.result.Env.Withheld, one.result.Env.Disabled = withheld, off
	one.result.markSealed()
	for _, u := range units {
		if u.data.chart != nil {
			one.result.charts = append(one.result.charts, u.data.chart.is)
		}
		for _, text := range []string{u.data.Notice, u.data.left} {
			if text == "" {
				continue
			}
			f := ev.at(u, nil)
			f.Warning, f.Message = true, text
			one.notices = append(one.notices, f)
		}
	}
	one.notices = ev.hush(one.notices, units)
	for _, f := range one.notices {
		one.result.Notices = append(one.result.Notices, f.Unit+": "+f.Message)
	}
	return one, nil
}

// inOne evaluates the environment as a whole and decodes it; the findings are all
// that is wrong with it.
func (ev *evaluated) inOne(ctx context.Context) (header, []*unit, error) {
	err := ev.evaluate()
	if err == nil {
		err = ev.validate()
	}
	if err != nil {
		return header{}, nil, ev.repo.explain(ctx, ev.dir, ev, err)
	}
	h, err := ev.header()
	if err != nil {
		return header{}, nil, err
	}
	units, err := ev.decode()
	if err != nil {
		return header{}, nil, ev.repo.cueFindings(err, ev)
	}
	return h, units, nil
}

// environment is the contract's form of what was rendered.
func environment(h header, units []*unit) *schema.Environment {
	env := &schema.Environment{
		Name: h.Name, Namespace: h.Namespace, Cluster: h.Cluster,
		After: h.After, Protected: h.Protected, KubernetesVersion: h.KubernetesVersion,
		Controllers: h.Controllers, Was: h.Was, Freezes: h.freezes(), External: h.externals(),
	}
	byKind := h.ready()
	for _, u := range units {
		timeout, _ := u.data.timeout() // checked by finish
		out := schema.Unit{Name: u.data.Name, Type: u.data.Type, After: u.data.After, Timeout: timeout, Canary: u.canary(h)}
		if u.data.Name != schema.UnitEnvironment && len(units) > 0 && units[0].data.Name == schema.UnitEnvironment {
			out.After = withEnvironment(u.data.After)
		}
		for _, o := range u.objs {
			obj := schema.Object{Unstructured: &o.Unstructured, Key: o.key, Stage: o.stage, Ignore: u.data.Ignore[o.key], Secret: o.secret}
			for _, key := range u.data.Recreate {
				obj.Recreate = obj.Recreate || key == o.key
			}
			gk := o.GroupVersionKind().GroupKind()
			for _, rule := range []*schema.ReadyRule{u.data.ready(o.key), byKind[gk.String()], byKind[gk.Kind]} {
				if rule != nil {
					obj.Ready = rule
					break
				}
			}
			out.Objects = append(out.Objects, obj)
		}
		env.Units = append(env.Units, out)
	}
	return env
}

// withEnvironment adds the unit that all others stand on.
func withEnvironment(after []string) []string {
	if slices.Contains(after, schema.UnitEnvironment) {
		return after
	}
	return append([]string{schema.UnitEnvironment}, after...)
}

func quote(s string) string { return strconv.Quote(s) }
