package render

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// fieldEnvironment is the field that makes a package an environment.
const fieldEnvironment = "environment"

// cueDir is a directory below envs with what its files say by their syntax alone.
type cueDir struct {
	dir      string // below the root, with slashes
	packages []string
	imports  []string // import paths
	declares bool     // a field "environment" at the top of a file, or a file that does not parse
	likely   bool     // something in it was meant to be one
	broken   bool     // a file does not parse
	wrong    Finding  // what to say of it where it is no environment and nobody imports it
	lost     Findings // of an environment, the files that say something of it and that CUE does not read
}

// cueDirs reads the directories below envs that are packages, or hold files that
// look as if they should be one, in lexical order.
func (r *Repo) cueDirs() ([]*cueDir, error) {
	var dirs []*cueDir
	at := func(dir string) *cueDir {
		if len(dirs) == 0 || dirs[len(dirs)-1].dir != dir {
			for _, d := range dirs {
				if d.dir == dir {
					return d
				}
			}
			dirs = append(dirs, &cueDir{dir: dir, wrong: Finding{
				File:    r.fileName(filepath.Join(r.root, filepath.FromSlash(dir))),
				Message: "the directory declares no environment, and no environment imports it",
				Hint:    "give it a field " + fieldEnvironment + ", import it from an environment, or move it out of envs",
			}})
		}
		return dirs[len(dirs)-1]
	}
	err := fs.WalkDir(r.fsys, "envs", func(p string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && p == "envs":
			return nil
		case err != nil:
			return err
		case d.IsDir() && p != "envs" && strings.HasPrefix(d.Name(), "."):
			if path.Dir(p) == "envs" && r.hides(p) {
				dir := at(p)
				dir.likely = true
				dir.wrong.Message, dir.wrong.Hint = "nothing reads a directory whose name begins with a dot", "rename it, or move it out of envs"
			}
			return fs.SkipDir
		case d.IsDir():
			entries, err := fs.ReadDir(r.fsys, p)
			if err == nil && len(entries) == 0 && path.Dir(p) == "envs" {
				dir := at(p)
				dir.likely = true
				dir.wrong.Message, dir.wrong.Hint = emptyDir, "give it an environment, or remove it"
			}
			return err
		case path.Ext(p) == ".cue":
			return r.readCUE(at(path.Dir(p)), p)
		case d.Type().IsRegular() && path.Dir(p) != "envs":
			return r.readLookalike(at, p, d)
		case d.Type()&fs.ModeSymlink != 0:
			info, err := fs.Stat(r.fsys, p)
			if err == nil && info.IsDir() || err != nil && path.Dir(p) == "envs" && !strings.HasPrefix(d.Name(), ".") {
				dir := at(p)
				dir.likely = true
				dir.wrong.Message, dir.wrong.Hint = "a link to a directory is not an environment", "make it a directory"
				if err != nil {
					dir.wrong.Message = "a link that leads nowhere, or out of the repository, is not an environment"
				}
			}
		}
		return nil
	})
	for _, d := range dirs {
		d.inherit(dirs)
	}
	return dirs, err
}

const emptyDir = "the directory is empty"

// inherit: CUE adds the files of a package that stand in directories above it.
func (d *cueDir) inherit(dirs []*cueDir) {
	for _, above := range dirs {
		if above.declares && strings.HasPrefix(d.dir, above.dir+"/") &&
			slices.ContainsFunc(d.packages, func(name string) bool { return slices.Contains(above.packages, name) }) {
			d.declares = true
			above.declares = above.dir != "envs"
		}
	}
}

// readCUE notes what a CUE file says at its top. One that does not parse counts as
// an environment: its error shows when that is rendered.
func (r *Repo) readCUE(d *cueDir, name string) error {
	data, err := fs.ReadFile(r.fsys, name)
	if err != nil {
		return err
	}
	abs := filepath.Join(r.root, filepath.FromSlash(name))
	file, err := parser.ParseFile(abs, data)
	if err != nil {
		d.imports = append(d.imports, importsOf(abs, data)...)
		d.packages = append(d.packages, packageOf(abs, data))
		d.likely = true
		d.declares = d.declares || strings.Contains("\n"+string(data), "\n"+fieldEnvironment+":")
		d.broken = true
		return nil
	}
	base := path.Base(name)
	reason, hint := leftOut(file, path.Base(d.dir))
	if strings.HasPrefix(base, "_") || strings.HasPrefix(base, ".") || strings.HasSuffix(base, "_test.cue") || strings.HasSuffix(base, "_tool.cue") {
		reason, hint = "its name begins with _ or ., or ends in _test.cue or _tool.cue", "rename it, or move it out of envs"
	}
	ignored := reason != ""
	if !ignored {
		d.imports = append(d.imports, importsIn(file)...)
	}
	if !ignored || file.PackageName() == "" {
		d.packages = append(d.packages, file.PackageName())
	}
	if d.wrong.Line == 0 && (!ignored || file.PackageName() == "") {
		r.place(&d.wrong, file.Pos())
	}
	for _, decl := range file.Decls {
		var label string
		var pos token.Pos
		switch decl := decl.(type) {
		case *ast.Field:
			label, _, err = ast.LabelName(decl.Label)
			if err != nil {
				continue
			}
			pos = decl.Pos()
			if label != fieldEnvironment && !strings.HasPrefix(label, "#") && mentionsEnvironment(decl.Value) && typed.Closest(plainLabel(label), []string{fieldEnvironment}) == "" {
				d.meant(r, pos, label)
			}
		case *ast.LetClause:
			label, pos = "let "+decl.Ident.Name, decl.Pos()
		default:
			continue
		}
		switch {
		case label == fieldEnvironment && ignored:
			r.place(&d.wrong, pos)
			d.likely = true
			d.wrong.Message, d.wrong.Hint = "CUE does not read this file: "+reason, hint
			// It may be meant: CUE has these names and attributes for that.
			part := Finding{Warning: file.PackageName() != "", Message: d.wrong.Message, Hint: hint}
			r.place(&part, pos)
			d.lost = append(d.lost, part)
		case label == fieldEnvironment:
			d.declares = true
			if path.Dir(name) == "envs" {
				r.place(&d.wrong, pos)
			}
		case ignored:
		case plainLabel(label) == fieldEnvironment, typed.Closest(plainLabel(label), []string{fieldEnvironment}) != "":
			d.meant(r, pos, label)
		}
	}
	return nil
}

// leftOut says why CUE passes over a file, by what stands in it, and what to do; nothing
// of one that it reads. Tags are not set.
func leftOut(file *ast.File, dir string) (reason, hint string) {
	for _, decl := range file.Decls {
		attr, ok := decl.(*ast.Attribute)
		if !ok {
			break
		}
		switch key, body := attr.Split(); key {
		case "ignore":
			return "it has the attribute @ignore", "take the attribute out, or move the file out of envs"
		case "if":
			if expr, err := parser.ParseExpr("", body); err == nil && !withoutTags(expr) {
				return "it has the attribute " + attr.Text + ", and no tag is set", "take the attribute out, or move the file out of envs"
			}
		}
	}
	if file.PackageName() == "" {
		return "it is of no package", "begin it with: package " + strings.ReplaceAll(dir, "-", "_")
	}
	return "", ""
}

// withoutTags is what the condition of @if says where no tag is set.
func withoutTags(expr ast.Expr) bool {
	switch x := expr.(type) {
	case *ast.ParenExpr:
		return withoutTags(x.X)
	case *ast.UnaryExpr:
		return x.Op == token.NOT && !withoutTags(x.X)
	case *ast.BinaryExpr:
		if x.Op == token.LOR {
			return withoutTags(x.X) || withoutTags(x.Y)
		}
		return withoutTags(x.X) && withoutTags(x.Y)
	}
	return false
}

// hides says whether a CUE file of a directory declares an environment.
func (r *Repo) hides(dir string) bool {
	entries, err := fs.ReadDir(r.fsys, dir)
	return err == nil && slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		if path.Ext(e.Name()) != ".cue" {
			return false
		}
		data, err := fs.ReadFile(r.fsys, path.Join(dir, e.Name()))
		return err == nil && strings.Contains("\n"+string(data), "\n"+fieldEnvironment+":")
	})
}

// meant notes the field that should have been called environment.
func (d *cueDir) meant(r *Repo, pos token.Pos, label string) {
	if d.wrong.DidYouMean != "" {
		return
	}
	r.place(&d.wrong, pos)
	d.likely = true
	d.wrong.Path, d.wrong.DidYouMean, d.wrong.Hint = label, fieldEnvironment, ""
}

// plainLabel is a label without what hides it.
func plainLabel(label string) string {
	return strings.TrimLeft(strings.TrimPrefix(label, "let "), "_#")
}

func mentionsEnvironment(expr ast.Expr) bool {
	found := false
	ast.Walk(expr, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			name, _, err := ast.LabelName(sel.Sel)
			found = found || err == nil && name == "#Environment"
		}
		return !found
	}, nil)
	return found
}

// lookalike matches CUE in a file of another name.
var lookalike = regexp.MustCompile(`(?m)^package [A-Za-z_]\w*[ \t]*\r?$`)

// dataEnvironment matches an environment in a file of JSON or YAML.
var dataEnvironment = regexp.MustCompile(`^\s*(?:\{\s*"environment"\s*:\s*\{|environment:[ \t]*\r?\n[ \t]+(?:name|site|apps|stacks):)`)

// readLookalike notes a file that would be a part of an environment by another
// name, such as prod.cue.txt.
func (r *Repo) readLookalike(at func(string) *cueDir, name string, entry fs.DirEntry) error {
	const most = 1 << 20
	info, err := entry.Info()
	if err != nil || info.Size() > most || path.Ext(name) == ".go" {
		return err
	}
	data, err := fs.ReadFile(r.fsys, name)
	if err == nil && dataEnvironment.Match(data) && path.Dir(path.Dir(name)) == "envs" {
		d := at(path.Dir(name))
		if d.likely = true; len(d.packages) == 0 {
			d.wrong.File = r.fileName(filepath.Join(r.root, filepath.FromSlash(name)))
			d.wrong.Message, d.wrong.Hint = "this looks like an environment, but CUE reads files that end in .cue", "write it in CUE"
		}
		return nil
	}
	if err != nil || !lookalike.Match(data) || !strings.Contains(string(data), fieldEnvironment) && !strings.Contains(string(data), "#Environment") {
		return err
	}
	d := at(path.Dir(name))
	abs := filepath.Join(r.root, filepath.FromSlash(name))
	d.imports = append(d.imports, importsOf(abs, data)...)
	d.likely = true
	const hint = "rename it, or move it out of envs"
	if d.wrong.DidYouMean == "" {
		d.wrong.File, d.wrong.Line, d.wrong.Col = r.fileName(abs), 0, 0
		d.wrong.Message = "this looks like an environment, but CUE reads files that end in .cue"
		d.wrong.Hint = hint
	}
	if !r.isCopy(name) {
		d.lost = append(d.lost, Finding{
			File: r.fileName(abs), Message: "this looks like a part of the environment, but CUE reads files that end in .cue", Hint: hint,
		})
	}
	return nil
}

// isCopy says whether a file is a copy of a CUE file beside it, such as those that
// editors and merges leave: dev.cue.orig, dev.cue~, dev.bak.
func (r *Repo) isCopy(name string) bool {
	base := strings.TrimSuffix(name, path.Ext(name))
	for _, of := range []string{base, base + ".cue", strings.TrimSuffix(name, "~")} {
		if info, err := fs.Stat(r.fsys, of); of != name && path.Ext(of) == ".cue" && err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// importsOf are the import paths of a file that need not parse below them.
func importsOf(name string, data []byte) []string {
	file, err := parser.ParseFile(name, data, parser.ImportsOnly)
	if err != nil {
		return nil
	}
	return importsIn(file)
}

func packageOf(name string, data []byte) string {
	file, err := parser.ParseFile(name, data, parser.PackageClauseOnly)
	if err != nil {
		return ""
	}
	return file.PackageName()
}

func importsIn(file *ast.File) []string {
	var paths []string
	for spec := range file.ImportSpecs() {
		if full, err := syntax.ImportPath(spec); err == nil {
			paths = append(paths, syntax.Plain(full))
		}
	}
	return paths
}

// strays are the directories that are neither an environment nor imported by one:
// an environment that was lost by a slip of the finger looks like that. What only
// a stray imports is not one of its own.
func (r *Repo) strays(dirs []*cueDir) ([]*cueDir, error) {
	byDir := map[string]*cueDir{}
	var roots []string
	for _, d := range dirs {
		byDir[d.dir] = d
		if d.declares || d.likely {
			roots = append(roots, d.imports...)
		}
	}
	reached := map[string]bool{}
	if err := r.follow(roots, byDir, reached); err != nil {
		return nil, err
	}
	var strays []*cueDir
	for _, d := range dirs {
		switch {
		case d.declares && d.dir == "envs":
			d.wrong.Message = "an environment stands in a directory of its own"
			d.wrong.Hint = "move the file to envs/NAME"
			strays = append(strays, d)
		case d.declares, d.dir == "envs", reached[d.dir]:
		case len(d.packages) == 0 && !d.likely:
		case d.broken: // to be loaded, for its errors
			d.declares = true
		default:
			strays = append(strays, d)
		}
	}
	// What another stray imports goes with that one.
	for _, d := range strays {
		if !d.likely {
			if err := r.follow(d.imports, byDir, reached); err != nil {
				return nil, err
			}
		}
	}
	return slices.DeleteFunc(strays, func(d *cueDir) bool { return reached[d.dir] }), nil
}

// follow marks the directories of this module that import paths lead to.
func (r *Repo) follow(paths []string, known map[string]*cueDir, reached map[string]bool) error {
	for _, p := range paths {
		dir, ok := strings.CutPrefix(p+"/", r.module+"/")
		dir = path.Clean(dir)
		if !ok || reached[dir] || !r.isUserFile(filepath.Join(r.root, filepath.FromSlash(dir), "x.cue")) {
			continue
		}
		reached[dir] = true
		d := known[dir]
		if d == nil {
			d = &cueDir{dir: dir}
			entries, err := fs.ReadDir(r.fsys, dir)
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNotDir) {
				return err
			}
			for _, e := range entries {
				if e.IsDir() || path.Ext(e.Name()) != ".cue" {
					continue
				}
				name := path.Join(dir, e.Name())
				data, err := fs.ReadFile(r.fsys, name)
				if err != nil {
					return err
				}
				d.imports = append(d.imports, importsOf(filepath.Join(r.root, filepath.FromSlash(name)), data)...)
			}
			known[dir] = d
		}
		if err := r.follow(d.imports, known, reached); err != nil {
			return err
		}
	}
	return nil
}
