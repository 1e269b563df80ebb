package render

import (
	"slices"
	"strings"

	"cuelang.org/go/cue/token"
)

// dropConsequences removes what the definitions make of a mistake: errors inside
// the objects of a unit, or its hidden fields, where the unit has another one; what
// a unit then lacks of a broken environment, or beside a field that it does not have; and all but one of the errors that one
// literal causes.
func dropConsequences(findings Findings) Findings {
	visible, broken, closed := map[string]bool{}, map[string]bool{}, map[string]bool{}
	meant, within, unknown, inside := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	undefined := false
	for _, f := range findings {
		undefined = undefined || strings.HasSuffix(f.Message, " is not defined")
		if list, _, ok := strings.Cut(f.Path, "["); ok {
			within[list] = true
		}
		for at := f.Path; at != ""; {
			at = strings.TrimSuffix(parentPath(at), ".")
			inside[at] = true
		}
		if f.Message == unknownField {
			unknown[parentPath(f.Path)] = true
		}
		if strings.HasSuffix(f.Path, ".enabled") {
			unknown[parentPath(f.Path)] = true // whether the unit is there at all
		}
		visible[f.Unit] = visible[f.Unit] || !f.internal()
		closed[f.Unit] = closed[f.Unit] || f.closed
		broken[f.Unit] = broken[f.Unit] || !f.internal() && !f.derived
		if f.DidYouMean != "" && f.Path != "" {
			meant[parentPath(f.Path)+f.DidYouMean] = true
		}
	}
	findings = slices.DeleteFunc(findings, func(f Finding) bool {
		return f.internal() && (visible[f.Unit] || visible[""]) ||
			strings.HasPrefix(f.Found, "{") && inside[f.Path] || // what is wrong inside is said
			f.derived && (broken[f.Unit] || broken[""] || closed[f.Unit] && !f.closed) ||
			f.Message == noValue && f.Unit != "" && visible[""] ||
			f.Message == missing && (isBelow(f.Path, meant) || within[f.Path] || unknown[parentPath(f.Path)] || undefined && strings.HasSuffix(f.Path, ".type"))
	})
	best := map[token.Pos]int{}
	kept := findings[:0]
	for _, f := range findings {
		at, seen := best[f.pos]
		if !seen || !f.pos.IsValid() || f.Found != kept[at].Found || f.Found == "" && f.Message != kept[at].Message {
			best[f.pos] = len(kept)
			kept = append(kept, f)
			continue
		}
		if len(f.Path) < len(kept[at].Path) {
			f, kept[at] = kept[at], f
		}
		if f.documented && !kept[at].documented {
			kept[at].Expected, kept[at].documented = f.Expected, true
		}
	}
	return kept
}

// isBelow says whether a path is one of those, or leads below one.
func isBelow(p string, paths map[string]bool) bool {
	for {
		if paths[p] {
			return true
		}
		at := strings.LastIndexByte(p, '.')
		if at < 0 {
			return false
		}
		p = p[:at]
	}
}

// parentPath is a path without its last name, with the dot.
func parentPath(p string) string { return p[:strings.LastIndexByte(p, '.')+1] }

// internal findings are about what the definitions make, not what a user writes.
func (f Finding) internal() bool {
	return strings.Contains(f.Path, ".objects.") || strings.Contains(f.Path, "#")
}
