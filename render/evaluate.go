package render

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/token"
	"cuelang.org/go/mod/modfile"
	"cuelang.org/go/mod/module"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
)

// evaluated is one environment, or a part of one, as CUE sees it.
type evaluated struct {
	*envPackage
	// shared is a context that has compiled the definitions before; nil for one of
	// its own, which goes with the value: contexts grow with all that they evaluate.
	shared *cue.Context
	// parts are what a large environment is evaluated in, until it is.
	parts []part

	mu   sync.Mutex // for value: units are finished side by side
	root cue.Value  // the package
	env  cue.Value  // its field "environment"
}

func newEvaluated(r *Repo, dir envDir, inst *build.Instance) *evaluated {
	return &evaluated{envPackage: &envPackage{repo: r, dir: dir, inst: inst}}
}

// evaluate evaluates the package of an environment, without asking whether it is
// complete. With an error it returns what was loaded.
func (r *Repo) evaluate(dir envDir, inst *build.Instance) (*evaluated, error) {
	ev := newEvaluated(r, dir, inst)
	return ev, ev.evaluate()
}

func (ev *evaluated) evaluate() error {
	if err := ev.inst.Err; err != nil {
		return ev.repo.cueFindings(err, ev)
	}
	if err := ev.build(); err != nil {
		return err
	}
	ev.env = ev.root.LookupPath(cue.MakePath(cue.Str("environment")))
	if ev.env.Exists() {
		return ev.schemaless()
	}
	if err := ev.root.Err(); err != nil {
		return ev.repo.cueFindings(err, ev)
	}
	return Findings{{File: ev.repo.fileName(filepath.Join(ev.repo.root, ev.dir.dir)), Environment: ev.dir.name, Message: "the field \"environment\" is not there"}}
}

// schemaless refuses an environment that no definition checks: it would pass with
// whatever fields it has, and render nothing.
func (ev *evaluated) schemaless() error {
	if ev.env.LookupPath(cue.MakePath(cue.Def("#facts"))).Exists() || ev.env.Err() != nil {
		return nil
	}
	f := Finding{
		Environment: ev.dir.name, Message: "this is not a schema.#Environment, and nothing checks it",
		Hint: "begin with environment: schema.#Environment & {",
	}
	ev.repo.place(&f, ev.repo.userPos(ev.env))
	return Findings{f}
}

// value is the environment. What was released is evaluated again: only findings
// ask for it by then, to tell their place.
func (ev *evaluated) value() cue.Value {
	ev.mu.Lock()
	defer ev.mu.Unlock()
	if !ev.env.Exists() {
		_ = ev.evaluate() // it was without errors before
	}
	return ev.env
}

// release lets go of the value and its context.
func (ev *evaluated) release() { ev.root, ev.env = cue.Value{}, cue.Value{} }

func (ev *evaluated) build() (err error) {
	defer ev.recovered(&err)
	ctx := ev.shared
	if ctx == nil {
		ctx = cuecontext.New()
	}
	ev.root = ctx.BuildInstance(ev.inst)
	return nil
}

// recovered makes a finding of a panic of the evaluator: it has its own, and a
// stack trace helps nobody who edits an environment.
func (ev *evaluated) recovered(err *error) {
	if p := recover(); p != nil {
		*err = Findings{{
			File: ev.repo.fileName(filepath.Join(ev.repo.root, ev.dir.dir)), Environment: ev.dir.name,
			Message: "the CUE evaluator broke down: " + contain.What(p),
			Hint:    "take back the last edit; two values that contradict each other are the usual cause",
		}}
	}
}

// load reads the packages of environments and all that they import. In one call,
// because the definitions are then parsed once for all of them. The overlay
// replaces files by their path below the root. CUE reads nothing by itself. What is
// no environment has no package.
func (r *Repo) load(dirs []envDir, overlay map[string]load.Source) ([]*build.Instance, error) {
	all, err := r.cueFiles(dirs)
	if err != nil {
		return nil, err
	}
	maps.Copy(all, r.overlay)
	maps.Copy(all, overlay)
	var args []string
	for _, dir := range dirs {
		if dir.wrong == nil {
			args = append(args, "./"+dir.dir)
		}
	}
	packages := make([]*build.Instance, len(dirs))
	if len(args) == 0 {
		return packages, nil
	}
	insts := load.Instances(args, &load.Config{
		Dir:        r.root,
		ModuleRoot: r.root,
		Overlay:    all,
		Registry:   offline{},
	})
	if len(insts) != len(args) {
		var errs error
		for _, inst := range insts {
			errs = errors.Join(errs, inst.Err)
		}
		return nil, cmp.Or(errs, fmt.Errorf("%d packages in %d directories", len(insts), len(args)))
	}
	r.embedFrom(insts, r.fsys)
	for i, dir := range dirs {
		if dir.wrong == nil {
			packages[i], insts = insts[0], insts[1:]
		}
	}
	return packages, nil
}

// validate asks for all errors of the environment at once; nil means that it is
// complete and concrete.
func (ev *evaluated) validate() (err error) {
	defer ev.recovered(&err)
	if err := ev.ofEnabled(ev.env.Validate(cue.Concrete(true), cue.Final())); err != nil {
		return err
	}
	return ev.ofEnabled(ev.root.Err())
}

// ofEnabled drops what units lack that the environment leaves out: an app of a shared
// list needs no image where it does not run. What is wrong with them stays.
func (ev *evaluated) ofEnabled(err error) error {
	if err == nil {
		return nil
	}
	off := map[string]bool{}
	for _, u := range ev.unitValues() {
		if u.off {
			off[u.group+"."+u.data.Name] = true
		}
	}
	if len(off) == 0 {
		return err
	}
	var kept cueerrors.Error
	for _, e := range cueerrors.Errors(err) {
		if path := unquoted(e.Path()); len(path) < unitDepth || !off[path[1]+"."+path[2]] || !incomplete(e, path) {
			kept = cueerrors.Append(kept, e)
		}
	}
	if kept == nil {
		return nil
	}
	return kept
}

// incomplete says whether an error of CUE is about what a unit lacks, or its environment
// for it, or follows from that in what the definitions make.
func incomplete(e cueerrors.Error, path []string) bool {
	format, args := e.Msg()
	text := fmt.Sprintf(format, args...)
	return format == missingField || strings.HasPrefix(text, "incomplete value") || strings.HasPrefix(text, "non-concrete value") ||
		len(path) > unitDepth && (slices.Contains([]string{"objects", "registry", "type"}, path[unitDepth]) || strings.HasPrefix(path[unitDepth], "#"))
}

// isUserFile tells the user's own files from the definitions.
func (r *Repo) isUserFile(name string) bool {
	rel, err := filepath.Rel(r.root, name)
	if err != nil || !filepath.IsLocal(rel) {
		return false
	}
	top, rest := splitFirst(filepath.ToSlash(rel))
	if top == "cue.mod" {
		return rest == "module.cue"
	}
	return !r.own || (top != "schema" && top != "stacks")
}

func (r *Repo) isUserPos(pos token.Pos) bool {
	return pos.IsValid() && r.isUserFile(pos.Filename())
}

// fileName is how messages name a file.
func (r *Repo) fileName(name string) string {
	rel, err := filepath.Rel(r.root, name)
	if err != nil || !filepath.IsLocal(rel) {
		return name
	}
	rel = filepath.ToSlash(rel)
	if r.ref != "" {
		return r.ref + ":" + rel
	}
	if here, err := filepath.Rel(r.cwd, filepath.Join(r.dir, rel)); err == nil && filepath.IsLocal(here) {
		return here
	}
	return rel
}

// offline is a registry that has nothing: what the repository and the embedded
// definitions do not hold is an error, never a download.
type offline struct{}

func (offline) ModFile(_ context.Context, mv module.Version) (*modfile.File, error) {
	return nil, fmt.Errorf("module %s is not in the repository, and evenkeel downloads none", mv)
}

func (offline) Fetch(_ context.Context, mv module.Version) (module.SourceLoc, error) {
	return module.SourceLoc{}, fmt.Errorf("module %s is not in the repository, and evenkeel downloads none", mv)
}

func (offline) ModuleVersions(_ context.Context, path string) ([]string, error) {
	return nil, fmt.Errorf("module %s is not in the repository, and evenkeel downloads none", path)
}

// parallel bounds the work side by side: beyond a few, memory is the cost and
// there is no gain.
func parallel() int { return min(runtime.GOMAXPROCS(0), 4) }

// parallel bounds how many environments are rendered side by side.
func (r *Repo) parallel() int {
	if r.Serial {
		return 1
	}
	return parallel()
}
