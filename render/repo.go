package render

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
	"cuelang.org/go/mod/modfile"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/seed-428f4edd/evenkeel/render/budget"
	"github.com/seed-428f4edd/evenkeel/render/internal/content"
	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// Module is the CUE module path of the definitions that environments import.
const Module = "github.com/seed-428f4edd/evenkeel"

// Repo is a repository of environments: a directory with a cue.mod and an envs
// folder, on disk or in a git commit.
type Repo struct {
	// Budget is what each rendering may take.
	Budget budget.Budget
	// Renderings are those that are under way; who sets its fields is told of them.
	Renderings budget.Renderings
	// Skip are environments that are wrong for a reason that is known, and so are
	// not evaluated.
	Skip map[string]string
	// Serial renders one environment at a time.
	Serial bool

	dir    string // absolute: the directory that holds cue.mod
	root   string // where CUE sees it: not on disk
	fsys   fs.FS  // what is below
	ref    string // the git reference, where the tree is not the one on disk
	cwd    string // what the file names in findings are relative to
	own    bool   // the repository is evenkeel's own
	module string // the path of its module
	kinds  *typed.Kinds

	target   string // the version of Kubernetes that Upgrade looks ahead to
	partSize int    // for tests; zero means the constant

	overlay map[string]load.Source // the embedded definitions

	mu   sync.Mutex
	envs []envDir // found by scan, once

	readCRDs    sync.Once
	crds        []map[string]any // of the folder crds
	crdFindings Findings
}

// NotRepo says that no repository was found.
type NotRepo struct {
	Dir string // where the search began
}

func (e NotRepo) Error() string {
	return fmt.Sprintf("no repository at %s or above it: looked for a directory cue.mod with the file module.cue", e.Dir)
}

// Open finds the repository that dir belongs to: dir, or its nearest parent with
// a cue.mod. It returns NotRepo where there is none.
func Open(dir string) (*Repo, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(abs); err != nil {
		return nil, err // not the repository above a mistyped name
	}
	root, err := findRoot(abs)
	if err != nil {
		return nil, err
	}
	cwd, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	files, err := content.Disk(root)
	if err != nil {
		return nil, err
	}
	r := &Repo{dir: root, root: virtualRoot(root), fsys: files, cwd: cwd, kinds: typed.New()}
	if err := r.readModule(); err != nil {
		return nil, err
	}
	return r, r.layDefinitions()
}

// OpenGit opens the repository that dir belongs to as it was at a git reference: a
// branch, a tag, a commit, HEAD~1. It reads git's objects and touches neither the
// working tree nor the index.
func OpenGit(dir, ref string) (*Repo, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	root, err := findRoot(abs)
	if err != nil {
		return nil, err
	}
	files, err := content.Commit(root, ref)
	if err != nil {
		return nil, err
	}
	r := &Repo{dir: root, root: virtualRoot(root), fsys: files, ref: ref, kinds: typed.New()}
	if err := r.readModule(); err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	return r, r.layDefinitions()
}

// layDefinitions gives a repository of a user's the definitions of this program.
func (r *Repo) layDefinitions() (err error) {
	if r.own {
		return nil
	}
	if err := r.checkVendored(); err != nil {
		return err
	}
	r.overlay, err = embedded(r.root)
	return err
}

// Root is the directory that holds cue.mod.
func (r *Repo) Root() string { return r.dir }

// Files are what the repository holds: links are followed within it, and what leads
// out of it is refused.
func (r *Repo) Files() fs.FS { return r.fsys }

func findRoot(dir string) (string, error) {
	for at := dir; ; {
		_, err := os.Stat(filepath.Join(at, "cue.mod", "module.cue"))
		if err == nil {
			return at, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNotDir) {
			return "", err
		}
		up := filepath.Dir(at)
		if up == at {
			return "", NotRepo{Dir: dir}
		}
		at = up
	}
}

func (r *Repo) readModule() error {
	const name = "cue.mod/module.cue"
	data, err := fs.ReadFile(r.fsys, name)
	if err != nil {
		return r.unread(name, err)
	}
	mod, err := modfile.ParseNonStrict(data, filepath.Join(r.root, name))
	if err != nil {
		found := r.cueFindings(err, nil)
		for i := range found {
			if found[i].File == "" {
				found[i].File = r.fileName(filepath.Join(r.root, name))
			}
		}
		return found
	}
	if pos := replacedAt(filepath.Join(r.root, name), data); pos.IsValid() {
		f := notReplaced
		r.place(&f, pos)
		return Findings{f}
	}
	if r.module = mod.ModuleRootPath(); r.module == "" { // CUE panics where it is
		return Findings{{
			File: r.fileName(filepath.Join(r.root, name)), Path: "module", Message: "a module without a name",
			Expected: "a path, such as example.com/deploy@v0", Found: quote(mod.QualifiedModule()),
		}}
	}
	r.own = r.module == Module
	if lang := mod.Language; lang != nil && olderThan(lang.Version, leastLanguage) {
		f := Finding{
			File: r.fileName(filepath.Join(r.root, name)), Path: "language.version",
			Message:  "the version of the CUE language is too old for the schema",
			Expected: leastLanguage + " or later", Found: quote(lang.Version),
		}
		r.place(&f, languagePos(filepath.Join(r.root, name), data))
		return Findings{f}
	}
	return nil
}

// replacedAt is where a module file has a module replaced; else invalid.
func replacedAt(name string, data []byte) (pos token.Pos) {
	file, err := parser.ParseFile(name, data)
	if err != nil {
		return pos
	}
	syntax.EachField(file.Decls, func(f *ast.Field, path []string) bool {
		if path[len(path)-1] == "replaceWith" && !pos.IsValid() {
			pos = f.Pos()
		}
		return true
	})
	return pos
}

// leastLanguage is the version that the definitions of schema need: they open
// what they embed (experiment explicitopen).
const leastLanguage = "v0.15.0"

func olderThan(v, least string) bool {
	have, err := version.ParseGeneric(v)
	return err == nil && have.LessThan(version.MustParseGeneric(least))
}

// languagePos is where the module file says the version of the language.
func languagePos(name string, data []byte) token.Pos {
	var pos token.Pos
	file, err := parser.ParseFile(name, data)
	if err != nil {
		return pos
	}
	for _, f := range syntax.FieldsAt(file.Decls, "language", "version") {
		pos = f.Value.Pos()
	}
	return pos
}
