package render

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/build"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/render/budget"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Summary is what a list of environments shows of one.
type Summary struct {
	Name      string         `json:"name"`
	Dir       string         `json:"dir"` // below the root, with slashes
	Namespace string         `json:"namespace,omitempty"`
	Cluster   schema.Cluster `json:"cluster"`
	After     []string       `json:"after,omitempty"`
	Protected bool           `json:"protected,omitempty"`
	// Freezes are the times in which nothing new is applied, those of the site included.
	Freezes []schema.Freeze `json:"freezes,omitempty"`
	// Promotion is what promote demands of the images of this environment.
	Promotion *Promotion `json:"promotion,omitempty"`
	Units     int        `json:"units"`
	// Disabled are the names of units that the environment leaves out; Units does not count them.
	Disabled []string `json:"disabled,omitempty"`
	// Err says why the environment does not evaluate; the fields above then
	// hold what is known all the same.
	Err error `json:"-"`
	// Lost says that the directory declares no environment, and should: Err says why.
	Lost bool `json:"-"`
}

// Promotion says where an image must have been healthy, and for how long.
type Promotion struct {
	From string `json:"from"`
	Soak string `json:"soak"` // a duration
}

// envDir is a directory that declares an environment, or should.
type envDir struct {
	name  string   // the last element of dir
	dir   string   // below the root, with slashes
	wrong Findings // why it declares none: there is nothing to evaluate then
	lost  Findings // its files that CUE does not read
}

// UnknownEnv says that no environment has that name.
type UnknownEnv struct {
	Name  string
	Known []string
}

func (e UnknownEnv) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("no environment %q: no directory below envs declares one", e.Name)
	}
	msg := fmt.Sprintf("no environment %q", e.Name)
	if e.Name == "" {
		msg = "the name of the environment is empty"
	}
	if near := typed.Closest(e.Name, e.Known); near != "" {
		msg += fmt.Sprintf("; did you mean %q?", near)
	}
	return msg + " (there are: " + strings.Join(e.Known, ", ") + ")"
}

// Envs lists the environments in the order in which they are applied, by name
// where that says nothing: every directory below envs that declares a field
// "environment". It evaluates without checking, so that one broken
// environment does not hide the others.
func (r *Repo) Envs(ctx context.Context) ([]Summary, error) {
	return budget.Within(ctx, r.Budget, &r.Renderings, r.summaries)
}

func (r *Repo) summaries(ctx context.Context) ([]Summary, error) {
	dirs, err := r.scan()
	if err != nil {
		return nil, err
	}
	summaries := make([]Summary, len(dirs))
	if len(dirs) == 0 {
		return summaries, nil
	}
	insts, err := r.load(dirs, nil)
	if err != nil {
		return nil, err
	}
	g, ctx := contain.WithContext(ctx)
	g.SetLimit(r.parallel())
	for i, dir := range dirs {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			summaries[i] = r.summary(dir, insts[i])
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return inOrder(summaries), nil
}

// inOrder puts each environment behind those that it names in After. A cycle is
// for Vet to report; here it is broken at the first name.
func inOrder(summaries []Summary) []Summary {
	sorted := make([]Summary, 0, len(summaries))
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		at := slices.IndexFunc(summaries, func(s Summary) bool { return s.Name == name })
		if at < 0 || seen[name] {
			return
		}
		seen[name] = true
		for _, before := range slices.Sorted(slices.Values(summaries[at].After)) {
			visit(before)
		}
		sorted = append(sorted, summaries[at])
	}
	for _, s := range summaries {
		visit(s.Name)
	}
	return sorted
}

func (r *Repo) summary(dir envDir, inst *build.Instance) Summary {
	s := Summary{Name: dir.name, Dir: dir.dir}
	if why, ok := r.Skip[dir.name]; ok {
		s.Err = Findings{r.skipped(dir, why)}
		return s
	}
	defer r.Renderings.Begin(dir.name)()
	if inst == nil {
		s.Lost, s.Err = true, dir.wrong
		return s
	}
	ev, err := r.evaluate(dir, inst)
	if err != nil {
		s.Err = ev.hushed(err)
		return s
	}
	h, err := ev.header()
	if err != nil {
		s.Err = ev.hushed(err)
		return s
	}
	if shown := ev.checkShown(); len(shown) > 0 {
		s.Err = ev.hush(shown, nil)
		return s
	}
	s.Namespace, s.Cluster, s.After, s.Protected = h.Namespace, h.Cluster, h.After, h.Protected
	s.Freezes = h.freezes()
	if h.Promotion.From != "" {
		s.Promotion = &h.Promotion
	}
	units, off := withoutOff(ev.unitValues())
	s.Units, s.Disabled = len(units), off
	return s
}

// Has returns UnknownEnv where no environment has the name.
func (r *Repo) Has(name string) error {
	_, err := r.find(name)
	return err
}

// find returns the directory of an environment, or UnknownEnv.
func (r *Repo) find(name string) (envDir, error) {
	dirs, err := r.scan()
	if err != nil {
		return envDir{}, err
	}
	known := make([]string, len(dirs))
	for i, d := range dirs {
		if d.name == name {
			return d, nil
		}
		known[i] = d.name
	}
	return envDir{}, UnknownEnv{Name: name, Known: known}
}

// scan finds the environments by their syntax alone, and what should be one.
func (r *Repo) scan() ([]envDir, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.envs != nil {
		return r.envs, nil
	}
	dirs, err := r.cueDirs()
	if err != nil {
		return nil, err
	}
	strays, err := r.strays(dirs)
	if err != nil {
		return nil, err
	}
	found := map[string]string{} // name -> dir
	var envs []envDir
	for _, d := range dirs {
		if !d.declares || d.dir == "envs" {
			continue
		}
		name := path.Base(d.dir)
		if other, ok := found[name]; ok {
			return nil, Findings{{File: r.fileName(filepath.Join(r.root, d.dir)), Message: fmt.Sprintf("environment %q is declared in %s too", name, other)}}
		}
		found[name] = d.dir
		for i := range d.lost {
			d.lost[i].Environment = name
		}
		envs = append(envs, envDir{name: name, dir: d.dir, lost: d.lost})
	}
	for _, d := range strays {
		name := path.Base(d.dir)
		if _, taken := found[name]; taken {
			name = d.dir
		}
		found[name] = d.dir
		d.wrong.Environment, d.wrong.quiet = name, !d.likely
		envs = append(envs, envDir{name: name, dir: d.dir, wrong: Findings{d.wrong}})
	}
	slices.SortFunc(envs, func(a, b envDir) int { return strings.Compare(a.name, b.name) })
	r.envs = envs
	return envs, nil
}

// header is what stands in an environment beside its units.
type header struct {
	Name              string
	Namespace         string
	Cluster           schema.Cluster
	After             []string
	Protected         bool
	KubernetesVersion string
	Controllers       []string
	Was               string
	Freeze            []schema.Freeze
	Promotion         Promotion
	Defaults          map[string]any
	Site              map[string]any
	Registry          map[string]any
	Registries        map[string]any
	Apollo            map[string]any
	NetworkPolicy     map[string]any
	External          map[string]any
	Secrets           map[string]secretFile
}

// cluster tells clusters apart.
func (h header) cluster() string { return cmp.Or(h.Cluster.UID, h.Cluster.Context, h.Cluster.Server) }

// ready are the rules that the site declares for kinds, by Kind or Kind.group.
func (h header) ready() map[string]*schema.ReadyRule {
	rules := map[string]*schema.ReadyRule{}
	for kind, value := range tree.Map(h.Site["ready"]) {
		rule := readyRule(value)
		rules[kind] = &rule
	}
	return rules
}

// externals are the objects that the environment says others make and that must be
// there, in the order of their kinds and names.
func (h header) externals() []schema.External {
	var all []schema.External
	for _, kind := range []struct{ name, field string }{
		{"ConfigMap", "configMaps"}, {"PersistentVolumeClaim", "claims"}, {"Secret", "secrets"}, {"ServiceAccount", "serviceAccounts"},
	} {
		declared := tree.Map(h.External[kind.field])
		for _, name := range slices.Sorted(maps.Keys(declared)) {
			entry := tree.Map(declared[name])
			if entry["optional"] == true {
				continue
			}
			all = append(all, schema.External{
				Kind: kind.name, Name: name, Namespace: cmp.Or(tree.Text(entry["namespace"]), h.Namespace),
				Keys: tree.Texts(entry["keys"]),
			})
		}
	}
	return all
}

func (ev *evaluated) header() (header, error) {
	var h header
	for name, to := range map[string]any{
		"name": &h.Name, "namespace": &h.Namespace, "cluster": &h.Cluster,
		"after": &h.After, "protected": &h.Protected, "kubernetesVersion": &h.KubernetesVersion,
		"controllers": &h.Controllers, "was": &h.Was, "freeze": &h.Freeze, "promotion": &h.Promotion, "defaults": &h.Defaults,
		"site": &h.Site, "registry": &h.Registry, "external": &h.External, "secrets": &h.Secrets,
		"registries": &h.Registries, "networkPolicy": &h.NetworkPolicy, "apollo": &h.Apollo,
	} {
		v := ev.env.LookupPath(cue.MakePath(cue.Str(name)))
		if !v.Exists() {
			continue
		}
		if err := decodeJSON(v, to); err != nil {
			return header{}, ev.repo.cueFindings(err, ev)
		}
	}
	return h, nil
}
