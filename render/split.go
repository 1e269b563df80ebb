package render

import (
	"cmp"
	"io/fs"
	"path/filepath"
	"slices"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
)

// split divides the environment's units into parts: copies of its package, each
// with some of the units and blanks in place of the others, so that all positions
// stay. It returns nil where the environment is small, or where anything in the
// user's files could see a unit from outside of it.
func (ev *evaluated) split() []part {
	if ev.inst.Err != nil || ev.marked().any() { // marks are followed in the whole
		return nil
	}
	s := splitter{
		ev: ev, files: map[*ast.File]*build.Instance{}, followed: map[*ast.SelectorExpr]bool{},
		secret: map[string]bool{"environment": true, "apps": true, "stacks": true, "self": true},
	}
	if !s.collect() {
		return nil
	}
	size := partSizeFor(len(s.order), cmp.Or(ev.repo.partSize, partSize), parallel())
	if size == 0 || s.seen() {
		return nil
	}
	var parts []part
	for chunk := range slices.Chunk(s.order, size) {
		p, ok := s.part(chunk)
		if !ok {
			return nil
		}
		parts = append(parts, p)
	}
	return parts
}

type splitter struct {
	ev    *evaluated
	files map[*ast.File]*build.Instance // those that hold units
	decls []unitDecl                    // in the order of the files
	order []unitName                    // each once, as they come first
	// secret are the names that lead to a unit: whoever uses one might see it.
	secret map[string]bool
	// followed are the uses of such names that have been accounted for.
	followed map[*ast.SelectorExpr]bool
}

// unitDecl is one place where a unit is written; there may be several.
type unitDecl struct {
	unit  unitName
	file  *ast.File
	field *ast.Field // what goes when it goes
}

// collect finds the units that stand in the files under their names. It returns
// false at a place that makes units in another way; one that it does not see is
// found when a part has units too many.
func (s *splitter) collect() bool {
	for _, file := range s.ev.inst.Files {
		if !s.environments(file) {
			return false
		}
	}
	seen := map[unitName]bool{}
	for _, d := range s.decls {
		if !seen[d.unit] {
			seen[d.unit] = true
			s.order = append(s.order, d.unit)
		}
	}
	return true
}

func (s *splitter) environments(file *ast.File) bool {
	for env := range syntax.Named(file.Decls, fieldEnvironment) {
		// What is unified with it is a definition: it makes no units, or parts have too many.
		for _, lit := range syntax.Structs(env.Value) {
			for _, group := range []string{"apps", "stacks"} {
				for f := range syntax.Named(lit.Elts, group) {
					if !s.group(group, s.ev.inst, file, f.Value, whole(f, lit, env)) {
						return false
					}
				}
			}
		}
	}
	return true
}

// whole is the field that goes where a field of a struct goes: in "a: b: c: 1" it
// is the first, because a struct without braces cannot be empty.
func whole(f *ast.Field, in *ast.StructLit, outer *ast.Field) *ast.Field {
	if in.Lbrace.IsValid() {
		return f
	}
	return outer
}

// group collects the units of apps or stacks, from a struct or from the list of
// an imported package.
func (s *splitter) group(group string, inst *build.Instance, file *ast.File, expr ast.Expr, outer *ast.Field) bool {
	structs, others := syntax.Parts(expr)
	for _, lit := range structs {
		for _, decl := range lit.Elts {
			field, isField := decl.(*ast.Field)
			if !isField {
				switch decl.(type) {
				case *ast.EmbedDecl: // among the structs
				case *ast.Ellipsis, *ast.CommentGroup:
				default:
					return false
				}
				continue
			}
			if _, isPattern := field.Label.(*ast.ListLit); isPattern {
				continue
			}
			name, isIdent, err := ast.LabelName(field.Label)
			if err != nil {
				return false
			}
			if isIdent {
				s.secret[name] = true
			}
			s.files[file] = inst
			s.decls = append(s.decls, unitDecl{unitName{group, name}, file, whole(field, lit, outer)})
		}
	}
	for _, other := range others {
		if !s.shared(group, inst, other) {
			return false
		}
	}
	return true
}

// shared collects the units of a list that stands in a package of its own, such
// as shop.Apps.
func (s *splitter) shared(group string, inst *build.Instance, expr ast.Expr) bool {
	sel, ok := expr.(*ast.SelectorExpr)
	if !ok || inst != s.ev.inst {
		return false
	}
	spec := syntax.Import(sel.X)
	name, _, err := ast.LabelName(sel.Sel)
	if spec == nil || err != nil {
		return false
	}
	full, err := syntax.ImportPath(spec)
	imported := inst.LookupImport(full)
	if err != nil || imported == nil || len(imported.Files) == 0 || !s.ev.repo.isUserFile(imported.Files[0].Filename) {
		return false
	}
	for _, other := range s.ev.instances() {
		if other != inst && slices.Contains(other.Imports, imported) {
			return false
		}
	}
	s.secret[name] = true
	s.followed[sel] = true
	for _, file := range imported.Files {
		for f := range syntax.Named(file.Decls, name) {
			if !s.group(group, imported, file, f.Value, f) {
				return false
			}
		}
	}
	return true
}

// seen says whether anything in the user's files uses a name that leads to units,
// or gives one a second name. It goes by the names alone and errs on the side of
// yes.
func (s *splitter) seen() bool {
	found := false
	var look func(ast.Node) bool
	walk := func(n ast.Node) {
		if n != nil {
			ast.Walk(n, look, nil)
		}
	}
	look = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportDecl, *ast.Package:
			return false
		case *ast.Field:
			found = found || n.Alias != nil || s.secretAlias(n.Label)
			switch label := n.Label.(type) {
			case *ast.Ident, *ast.BasicLit, *ast.Alias:
			case *ast.ListLit: // a pattern; [N=string] gives a name to the label only
				for _, elem := range label.Elts {
					if alias, ok := elem.(*ast.Alias); ok {
						elem = alias.Expr
					}
					walk(elem)
				}
			default:
				walk(label)
			}
			walk(n.Value)
			return false
		case *ast.SelectorExpr:
			name, _, err := ast.LabelName(n.Sel)
			found = found || err != nil || s.secret[name] && !s.followed[n]
			if syntax.Import(n.X) == nil {
				walk(n.X)
			}
			return false
		case *ast.IndexExpr:
			lit, ok := n.Index.(*ast.BasicLit)
			if ok {
				name, err := literal.Unquote(lit.Value)
				found = found || err == nil && s.secret[name]
			}
		case *ast.Ident:
			found = found || s.secret[n.Name] || syntax.Import(n) != nil
		case *ast.Alias:
			found = true
		}
		return !found
	}
	for _, file := range s.ev.userFiles() {
		walk(file)
	}
	return found
}

// secretAlias says whether a label gives a second name to a secret field.
func (s *splitter) secretAlias(label ast.Label) bool {
	alias, ok := label.(*ast.Alias)
	if !ok {
		return false
	}
	inner, ok := alias.Expr.(ast.Label)
	if !ok {
		return true
	}
	name, _, err := ast.LabelName(inner)
	return err != nil || s.secret[name]
}

// part makes the package, and what it imports with units in it, with only the
// given ones.
func (s *splitter) part(units []unitName) (part, bool) {
	names := map[unitName]bool{}
	for _, u := range units {
		names[u] = true
	}
	replaced := map[*build.Instance]*build.Instance{}
	for _, inst := range s.files {
		if inst != s.ev.inst && replaced[inst] == nil {
			if replaced[inst] = s.copy(inst, names, nil); replaced[inst] == nil {
				return part{}, false
			}
		}
	}
	inst := s.copy(s.ev.inst, names, replaced)
	if inst == nil {
		return part{}, false
	}
	return part{newEvaluated(s.ev.repo, s.ev.dir, inst), names}, true
}

// copy makes a package anew from its files, without the units that are not named.
// It returns nil where that does not parse.
func (s *splitter) copy(inst *build.Instance, names map[unitName]bool, replaced map[*build.Instance]*build.Instance) *build.Instance {
	imported := func(_ token.Pos, path string) *build.Instance {
		imp := inst.LookupImport(path)
		return cmp.Or(replaced[imp], imp)
	}
	out := build.NewContext().NewInstance(inst.Dir, imported)
	out.ImportPath, out.CanonicalID, out.CanonicalImportPath = inst.ImportPath, inst.CanonicalID, inst.CanonicalImportPath
	out.DisplayPath, out.BuildFiles, out.Root, out.RootLoc, out.DirLoc = inst.DisplayPath, inst.BuildFiles, inst.Root, inst.RootLoc, inst.DirLoc
	out.PkgName, out.Module, out.ModuleVersion, out.ModuleFile = inst.PkgName, inst.Module, inst.ModuleVersion, inst.ModuleFile
	options := []parser.Option{parser.ParseComments}
	if m := inst.ModuleFile; m != nil && m.Language != nil {
		options = append(options, parser.Version(m.Language.Version))
	}
	gone := map[ast.Decl]bool{}
	for _, d := range s.decls {
		gone[d.field] = !names[d.unit]
	}
	for i, file := range inst.Files {
		if i > 0 && vacant(file, gone) { // a package has a file
			continue
		}
		rel, err := filepath.Rel(s.ev.repo.root, file.Filename)
		if err != nil {
			return nil
		}
		data, err := fs.ReadFile(s.ev.repo.fsys, filepath.ToSlash(rel))
		if err != nil {
			return nil
		}
		for _, d := range s.decls {
			if d.file == file && !names[d.unit] && !blankField(data, d.field) {
				return nil
			}
		}
		parsed, err := parser.ParseFile(file.Filename, data, options...)
		if err != nil {
			return nil
		}
		out.Files = append(out.Files, parsed) // AddSyntax would resolve anew what the parser has resolved
		s.ev.repo.embedsFrom(parsed, s.ev.repo.fsys)
	}
	if out.Complete() != nil {
		return nil
	}
	if inst.ResolutionErr == nil {
		out.ResolutionErr = nil // an import that only other parts use
	}
	return out
}

// vacant says whether nothing of a file stays: where each unit has a file of its own,
// a part is to read its own ones alone.
func vacant(file *ast.File, gone map[ast.Decl]bool) bool {
	for _, decl := range file.Decls {
		switch decl.(type) {
		case *ast.Package, *ast.ImportDecl, *ast.CommentGroup:
		default:
			if !gone[decl] {
				return false
			}
		}
	}
	return true
}
