package render

import (
	"context"
	"slices"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/render/budget"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/typed"
	"github.com/seed-428f4edd/evenkeel/render/way"
)

// Ways are the models of the ways of requests, with what they were made of.
type Ways struct {
	// Models are those of the environments that were asked for, by name;
	// environments of one cluster share theirs.
	Models map[string]*way.Model
	// Results are the renderings of all environments that the models know.
	Results map[string]*Result
	// Warnings are about environments that were not asked for.
	Warnings Findings
}

// Ways models the ways of requests. What the checks find does not stand in the way of
// a model, as it shows what comes of it; an environment that does not evaluate does,
// where it was asked for.
func (r *Repo) Ways(ctx context.Context, names []string) (*Ways, error) {
	return budget.Within(ctx, r.Budget, &r.Renderings, func(ctx context.Context) (*Ways, error) {
		all, err := r.renderSet(ctx, names, false)
		if err != nil {
			return nil, err
		}
		var ways *Ways
		err = contain.Call(func() (err error) {
			ways, err = all.modelled(names)
			return err
		})
		return ways, err
	})
}

// modelled are the ways of the environments that were asked for.
func (set renderedSet) modelled(names []string) (*Ways, error) {
	var wrong Findings
	for _, name := range names {
		if one := set.named(name); one.result == nil {
			wrong = append(wrong, one.findings...)
		}
	}
	if errs, _ := wrong.split(); len(errs) > 0 {
		return nil, errs
	}
	ways := &Ways{Models: map[string]*way.Model{}, Results: map[string]*Result{}, Warnings: set.others(names)}
	clusters := map[string]*way.Model{}
	for _, name := range names {
		cluster := set.named(name).header.cluster()
		if clusters[cluster] == nil {
			clusters[cluster] = set.way(cluster, true)
		}
		ways.Models[name] = clusters[cluster]
	}
	for _, one := range set {
		if one.result != nil && clusters[one.header.cluster()] != nil {
			ways.Results[one.name] = one.result
		}
	}
	return ways, nil
}

// In are the ways in a language, of words.Languages.
func (w *Ways) In(lang string) *Ways {
	in := *w
	in.Models = map[string]*way.Model{}
	for name, model := range w.Models {
		in.Models[name] = model.In(lang)
	}
	return &in
}

// way is the model of a cluster, of those environments that evaluate, without values that
// are marked secret: what is drawn and told of it is for everybody to read.
func (set renderedSet) way(cluster string, locate bool) *way.Model {
	return set.model(cluster, locate, func(o *object) map[string]any { return shown(o.Object, o.secret) })
}

// model is the model of a cluster, of objects as content has them.
func (set renderedSet) model(cluster string, locate bool, content func(*object) map[string]any) *way.Model {
	var envs []way.Environment
	for _, one := range set {
		if one.result == nil || one.header.cluster() != cluster {
			continue
		}
		env := way.Environment{Environment: one.lintable(), Edge: one.result.Edge}
		for i, u := range one.units {
			for j, o := range u.objs {
				env.Units[i].Objects[j].Content = content(o)
			}
		}
		if env.Edge != nil {
			env.Edge.IngressHosts = set.ingressHosts(cluster)
		}
		if locate {
			env.Locate = func(unit, key string, path typed.Path) (string, int) {
				f := one.place(lint.Finding{Unit: unit, Key: key, Path: path})
				return f.File, f.Line
			}
		}
		envs = append(envs, env)
	}
	return way.New(envs)
}

// ways warns of URLs that would not be answered, for a reason that no other rule
// has named.
func (set renderedSet) ways() {
	if slices.ContainsFunc(set, func(one *rendered) bool { return one.result == nil || one.findings.wrong() }) {
		return // what is wrong there may be why
	}
	seen := map[string]bool{}
	for _, one := range set {
		cluster := one.header.cluster()
		if one.result == nil || seen[cluster] {
			continue
		}
		seen[cluster] = true
		plain := set.model(cluster, false, func(o *object) map[string]any { return o.Object })
		for _, f := range plain.Unnamed() {
			if other := set.named(f.By.Environment); other != nil {
				other.findings = append(other.findings, other.ev.hush(other.explain(other.spoken(lint.Finding{
					Rule: lint.RuleWay, Warning: true, Unit: f.By.Unit, Key: f.By.Key, Path: f.By.Path(),
					Message: f.URL + " is not answered: " + f.Reason, Hint: f.Fix,
				})), other.units)...)
			}
		}
	}
}

// spoken is a finding as a list, empty where its unit silences the rule.
func (r *rendered) spoken(f lint.Finding) []lint.Finding {
	for _, u := range r.units {
		if _, silent := u.data.Silence[f.Rule]; u.data.Name == f.Unit && silent {
			return nil
		}
	}
	return []lint.Finding{f}
}

// Picture is the graph of environments of one cluster, with the model that drew it.
type Picture struct {
	Model *way.Model
	Graph *way.Graph
}

// Pictures draws environments, those of one cluster together, in the order in which
// they are named.
func (w *Ways) Pictures(names []string) []Picture {
	var pictures []Picture
	for _, name := range names {
		model := w.Models[name]
		if slices.ContainsFunc(pictures, func(p Picture) bool { return p.Model == model }) {
			continue
		}
		var same []string
		for _, other := range names {
			if w.Models[other] == model && !slices.Contains(same, other) {
				same = append(same, other)
			}
		}
		pictures = append(pictures, Picture{Model: model, Graph: model.Graph(same...)})
	}
	return pictures
}
