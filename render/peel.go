package render

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
)

// maxRounds bounds the evaluations that explain one broken environment.
const maxRounds = 5

// explain finds all that is wrong with an environment that does not evaluate. CUE
// does not report everything at once: wrong values hide unknown fields, and those
// hide missing ones. So what is reported is blanked in an overlay, where all
// positions stay, and the rest is evaluated again until nothing new appears.
func (r *Repo) explain(ctx context.Context, dir envDir, ev *evaluated, err error) error {
	found, ok := errors.AsType[Findings](err)
	if !ok {
		found = r.cueFindings(err, ev)
	}
	if ev.inst.Err != nil {
		if more := r.withoutImports(ctx, dir, ev, found); len(more) > 0 {
			found = more
		}
		return ev.hush(r.plainly(found).tidy(), nil) // what does not load has no values to ask
	}
	if syntax := slices.Concat(ev.forbidden(), ev.undefined(), ev.closedLists(), ev.slips(found)); len(syntax) > 0 {
		found = syntax // the rest may follow from it; what does not appears again
	}
	peel := peeler{repo: r, files: ev.userFiles(), blanked: map[string][]byte{}}
	fresh := found
	for round := 1; round < maxRounds && ctx.Err() == nil; round++ {
		if !peel.blank(fresh) {
			break
		}
		insts, err := r.load([]envDir{dir}, peel.overlay())
		if err != nil || insts[0].Err != nil {
			break // what was blanked is missed by the syntax
		}
		again, err := r.evaluate(dir, insts[0])
		if err == nil {
			err = again.validate()
		}
		more, ok := errors.AsType[Findings](err)
		if err != nil && !ok {
			more = r.cueFindings(err, again)
		}
		fresh = slices.DeleteFunc(more, func(f Finding) bool {
			// What used the import was blanked; one that nothing uses was said at once.
			return consequence(f, found) || f.Message == missing && ev.gives(f.Path) || strings.HasPrefix(f.Message, "imported and not used")
		})
		if len(fresh) == 0 {
			break
		}
		found = append(found, fresh...)
	}
	return ev.hush(r.plainly(dropConsequences(found).tidy()).tidy(), nil)
}

// withoutImports finds what is wrong beside imports that nothing uses, where these are
// all that keeps the packages from loading: a stack that lacks its definition leaves one
// behind. None where nothing else is wrong.
func (r *Repo) withoutImports(ctx context.Context, dir envDir, ev *evaluated, found Findings) Findings {
	peel := peeler{repo: r, files: ev.userFiles(), blanked: map[string][]byte{}}
	for _, f := range found {
		if !strings.HasPrefix(f.Message, unusedImport) || !peel.blankImport(f.pos) {
			return nil
		}
	}
	insts, err := r.load([]envDir{dir}, peel.overlay())
	if err != nil || insts[0].Err != nil {
		return nil
	}
	again, err := r.evaluate(dir, insts[0])
	if err == nil {
		err = again.validate()
	}
	if err == nil {
		return again.beside()
	}
	more, _ := errors.AsType[Findings](r.explain(ctx, dir, again, err))
	return more
}

// gives says whether the files have a field of the environment, by its path.
func (p *envPackage) gives(path string) bool {
	return translator{ev: &evaluated{envPackage: p}}.given(strings.Split(fieldEnvironment+"."+path, "."))
}

// unusedImport is how CUE begins to say that.
const unusedImport = "imported and not used"

// blankImport takes the import at a position out.
func (p *peeler) blankImport(pos token.Pos) bool {
	for _, file := range p.files {
		if !pos.IsValid() || file.Filename != pos.Filename() {
			continue
		}
		for _, decl := range file.Decls {
			imports, ok := decl.(*ast.ImportDecl)
			if !ok || pos.Offset() < imports.Pos().Offset() || pos.Offset() >= imports.End().Offset() {
				continue
			}
			node := ast.Node(imports)
			for _, spec := range imports.Specs {
				if imports.Lparen.IsValid() && pos.Offset() >= spec.Pos().Offset() && pos.Offset() < spec.End().Offset() {
					node = spec
				}
			}
			data, ok := p.source(pos.Filename())
			from, to := node.Pos().Offset(), node.End().Offset()
			if !ok || hidden(file, string(data[from:to])) {
				return false
			}
			for i := from; i < to; i++ {
				data[i] = ' '
			}
			return true
		}
	}
	return false
}

// hidden says whether the file uses the package of an import all the same: a field of
// its name hides it.
func hidden(file *ast.File, spec string) bool {
	fields := strings.Fields(strings.TrimPrefix(spec, "import"))
	if len(fields) == 0 {
		return false
	}
	name := strings.Trim(fields[0], `"`)
	name = name[strings.LastIndexAny(name, "/:")+1:]
	found := false
	ast.Walk(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			ident, ok := sel.X.(*ast.Ident)
			found = found || ok && ident.Name == name
		}
		return !found
	}, nil)
	return found
}

// consequence says whether a finding of a later round only follows from what was
// blanked before it.
func consequence(f Finding, earlier Findings) bool {
	return slices.ContainsFunc(earlier, func(e Finding) bool {
		return e.Path == f.Path || e.Unit != "" && e.Unit == f.Unit && (f.closed || f.Message == missing) && strings.HasSuffix(e.Message, notDefined) || e.pos == f.pos && f.pos.IsValid() ||
			strings.HasPrefix(f.Path, e.Path+".") && e.Path != ""
	})
}

// peeler blanks reported fields in the user's files.
type peeler struct {
	repo    *Repo
	files   []*ast.File
	blanked map[string][]byte // by absolute name
}

func (p *peeler) overlay() map[string]load.Source {
	overlay := make(map[string]load.Source, len(p.blanked))
	for name, data := range p.blanked {
		overlay[name] = load.FromBytes(data)
	}
	return overlay
}

// blank takes the fields of the findings out; it returns whether there were any.
func (p *peeler) blank(findings Findings) bool {
	any := false
	for _, f := range findings {
		for _, pos := range append([]token.Pos{f.pos}, f.others...) {
			if f.blankable() && p.blankAt(pos) {
				any = true
			}
		}
	}
	return any
}

// blankable findings are about something that stands in a file; a missing field
// has nothing to blank.
func (f Finding) blankable() bool { return f.Message != missing }

func (p *peeler) blankAt(pos token.Pos) bool {
	if !pos.IsValid() {
		return false
	}
	at := slices.IndexFunc(p.files, func(f *ast.File) bool { return f.Filename == pos.Filename() })
	if at < 0 {
		return false
	}
	field := removable(p.files[at], pos.Offset())
	if field == nil {
		return false
	}
	data, ok := p.source(pos.Filename())
	return ok && blankField(data, field)
}

// source is the text of a file with what was blanked in it.
func (p *peeler) source(name string) ([]byte, bool) {
	data, ok := p.blanked[name]
	if ok {
		return data, true
	}
	rel, err := filepath.Rel(p.repo.root, name)
	if err != nil {
		return nil, false
	}
	if data, err = fs.ReadFile(p.repo.fsys, filepath.ToSlash(rel)); err != nil {
		return nil, false
	}
	p.blanked[name] = data
	return data, true
}

// blankField overwrites a field with spaces; it returns false where it does not
// stand in the data.
func blankField(data []byte, field *ast.Field) bool {
	from, to := field.Pos().Offset(), field.End().Offset()
	if from < 0 || to > len(data) || from >= to {
		return false
	}
	// The comma that ends a field on one line goes with it.
	for i := to; i < len(data) && (data[i] == ' ' || data[i] == ','); i++ {
		if data[i] == ',' {
			to = i + 1
			break
		}
	}
	for i := from; i < to; i++ {
		if data[i] != '\n' {
			data[i] = ' '
		}
	}
	return true
}

// removable is the field to take out around an offset, nil where that would be the
// environment itself, or all of its units.
func removable(file *ast.File, offset int) *ast.Field {
	f := syntax.FieldAt(file, offset)
	if f == nil {
		return nil
	}
	if name, ok := syntax.Name(f); ok && (name == fieldEnvironment || name == "apps" || name == "stacks") {
		return nil
	}
	return f
}
