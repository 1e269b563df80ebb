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
		undefined = undefined || strings.HasSuffix(f.Message, notDefined)
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
	findings = renamed(foldWords(findings))
	misplaced, twoTypes := map[string]bool{}, map[string]bool{}
	for _, f := range findings {
		misplaced[f.inside] = true
		if strings.HasSuffix(f.Path, ".type") && f.Message != missing {
			twoTypes[f.Unit] = true
		}
	}
	findings = slices.DeleteFunc(findings, func(f Finding) bool {
		return f.Message == missing && f.Unit != "" && (misplaced[f.Unit] || twoTypes[f.Unit]) ||
			f.Message == noSuchApp && (undefined || misplaced[f.Unit] || twoTypes[f.Unit]) ||
			f.internal() && (visible[f.Unit] || visible[""]) ||
			strings.HasPrefix(f.Found, "{") && inside[f.Path] || // what is wrong inside is said
			f.derived && (broken[f.Unit] || broken[""] || closed[f.Unit] && !f.closed) ||
			f.Message == noValue && f.Unit != "" && visible[""] ||
			strings.HasPrefix(f.Message, twoLists) && within[f.Path] || // the list is wrong, and so not the default
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

// foldWords puts unknown fields that stand in one struct into one finding, unless each is
// like another name: words of Kubernetes, or the fields of a struct that was left out. Apps
// without a type are as many as the list has that they should have come from.
func foldWords(findings Findings) Findings {
	first := map[string]int{}
	refused := map[string][]string{}
	kept := make(Findings, 0, len(findings))
	for _, f := range findings {
		key := parentPath(f.Path)
		if f.Message == unknownField {
			refused[key] = append(refused[key], strings.TrimPrefix(f.Path, key))
		}
		fold := f.Message == unknownField && (f.ours != "" || f.DidYouMean == "" || strings.Contains(f.DidYouMean, ".")) && key != "" && key != "apps."
		at, again := first[key+f.File]
		if !fold || !again {
			if fold {
				first[key+f.File] = len(kept)
			}
			kept = append(kept, f)
			continue
		}
		one := &kept[at]
		also := "and " + strings.TrimPrefix(f.Path, key)
		if f.ours != "" {
			also += " is " + f.ours
		} else {
			also += " is none either"
		}
		if one.Hint != "" {
			also = one.Hint + ", " + also
		}
		one.Hint = also
		one.others = append(append(one.others, f.pos), f.others...)
	}
	for i, f := range kept {
		if names := refused[parentPath(f.Path)]; f.Message == unknownField && len(names) > 1 && strings.HasPrefix(f.Expected, "one of ") {
			all := strings.Split(strings.TrimPrefix(f.Expected, "one of "), ", ")
			kept[i].Expected = "one of " + strings.Join(slices.DeleteFunc(all, func(name string) bool { return slices.Contains(names, name) }), ", ")
		}
	}
	return foldTypes(kept)
}

// fewUntyped is how many apps may lack a type before it is the list of apps that is lacking.
const fewUntyped = 2

func foldTypes(findings Findings) Findings {
	untyped := func(f Finding) bool {
		return f.Message == missing && strings.HasPrefix(f.Path, "apps.") && strings.HasSuffix(f.Path, ".type") && f.DidYouMean == ""
	}
	var names []string
	for _, f := range findings {
		if untyped(f) {
			names = append(names, f.Unit)
		}
	}
	if len(names) <= fewUntyped {
		return findings
	}
	said := false
	kept := make(Findings, 0, len(findings))
	for _, f := range findings {
		if untyped(f) {
			if said {
				continue
			}
			said = true
			f.Path, f.Expected = "apps", ""
			f.Message = "no type makes these apps: " + strings.Join(names, ", ")
			f.Hint = "where a list that environments share has them, take it: apps: shared.#Apps"
		}
		kept = append(kept, f)
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
