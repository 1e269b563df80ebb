package render

import (
	"context"
	"errors"

	"cuelang.org/go/cue/ast"
)

// hushMade is hush for what is wrong with the environment. What was made of a marked value,
// or of one of a Secret, in other letters or in pieces, no text tells; so of errors only that
// is said which is also said with other values in their places.
func (ev *evaluated) hushMade(ctx context.Context, findings Findings, units []*unit) Findings {
	hushed := ev.hush(findings, units)
	if !findings.wrong() || !ev.root.Exists() {
		return hushed
	}
	values := ev.markedValues()
	literals := ev.markedLiterals(values)
	unmarked := len(literals)+len(values) == 0
	if unmarked {
		literals = ev.manifestLiterals()
	}
	if len(literals)+len(values) == 0 {
		return hushed
	}
	type place struct {
		file, rule   string
		line, column int
	}
	at := func(f Finding) place { return place{f.File, f.Rule, f.Line, f.Col} }
	best, left := hushed, len(hushed)+1
	for _, change := range otherTexts() {
		theirs := map[place]Findings{}
		for _, f := range ev.otherFindings(ctx, literals, values, change) {
			theirs[at(f)] = append(theirs[at(f)], f)
		}
		said, alone := make(Findings, len(hushed)), 0
		for i, f := range hushed {
			switch others := theirs[at(f)]; {
			case f.Warning, unmarked && f.Rule != "": // a rule says in words of ours what is wrong with a Secret
			case len(others) > 0:
				theirs[at(f)] = others[1:]
				f = f.inBoth(others[0])
			default:
				alone++
				f = f.untold()
			}
			said[i] = f
		}
		if alone < left {
			best, left = said, alone
		}
		if left == 0 {
			break
		}
	}
	return best
}

// otherFindings are what is wrong with the environment with each literal changed.
func (ev *evaluated) otherFindings(ctx context.Context, literals []*ast.BasicLit, values []markedValue, change func(string) string) Findings {
	other := ev.other(literals, values, change)
	if other == nil {
		return nil
	}
	one, err := other.render(ctx)
	if found, ok := errors.AsType[Findings](err); ok {
		return other.hush(found, nil)
	}
	if one == nil || err != nil {
		return nil
	}
	return other.hush(one.findings, one.units)
}

// inBoth is a finding with what another one at its place does not say left out.
func (f Finding) inBoth(other Finding) Finding {
	for text, theirs := range map[*string]string{
		&f.Path: other.Path, &f.Message: other.Message, &f.Expected: other.Expected, &f.Found: other.Found,
		&f.DidYouMean: other.DidYouMean, &f.Hint: other.Hint, &f.Object: other.Object,
	} {
		if *text != theirs {
			*text = inBoth(*text, theirs)
		}
	}
	return f
}

// untold is a finding of which only the place is said.
func (f Finding) untold() Finding {
	f.Path, f.Object, f.Expected, f.Found, f.DidYouMean, f.Hint = "", "", "", "", "", ""
	f.Message = "wrong here, or not, by the value of a marked field: what is said of it may hold it"
	return f
}
