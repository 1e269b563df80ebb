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
		return ev.hush(r.plainly(found).tidy(), nil) // what does not load has no values to ask
	}
	if syntax := slices.Concat(ev.forbidden(), ev.undefined(), ev.closedLists()); len(syntax) > 0 {
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
		fresh = slices.DeleteFunc(more, func(f Finding) bool { return consequence(f, found) })
		if len(fresh) == 0 {
			break
		}
		found = append(found, fresh...)
	}
	return ev.hush(r.plainly(dropConsequences(found).tidy()).tidy(), nil)
}

// consequence says whether a finding of a later round only follows from what was
// blanked before it.
func consequence(f Finding, earlier Findings) bool {
	return slices.ContainsFunc(earlier, func(e Finding) bool {
		return e.Path == f.Path || e.pos == f.pos && f.pos.IsValid() ||
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
	data, ok := p.blanked[pos.Filename()]
	if !ok {
		rel, err := filepath.Rel(p.repo.root, pos.Filename())
		if err != nil {
			return false
		}
		if data, err = fs.ReadFile(p.repo.fsys, filepath.ToSlash(rel)); err != nil {
			return false
		}
		p.blanked[pos.Filename()] = data
	}
	return blankField(data, field)
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
