package render

import (
	"strings"

	"cuelang.org/go/cue"

	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// unitDepth is the length of the path of a unit, such as environment.apps.shop.
const unitDepth = 3

// unitOf is the unit that a path below the package leads into.
func unitOf(path []string) string {
	if len(path) >= unitDepth && path[0] == "environment" && (path[1] == "apps" || path[1] == "stacks") {
		return path[2]
	}
	return ""
}

func displayPath(path []string) string {
	out := make(typed.Path, 0, len(path))
	for _, step := range trimEnvironment(path) {
		if n, ok := index(step); ok {
			out = append(out, n)
			continue
		}
		out = append(out, step)
	}
	return out.String()
}

func stringPath(path []string) cue.Path {
	sels := make([]cue.Selector, len(path))
	for i, step := range path {
		switch n, ok := index(step); {
		case ok:
			sels[i] = cue.Index(n)
		case strings.HasPrefix(step, "#"):
			sels[i] = cue.Def(step)
		default:
			sels[i] = cue.Str(step)
		}
	}
	return cue.MakePath(sels...)
}

// index tells list indexes from labels: CUE's paths have both as text.
func index(step string) (int, bool) {
	n := 0
	for _, c := range step {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, step != "" && len(step) < 6
}

func unquoted(path []string) []string {
	out := make([]string, len(path))
	for i, step := range path {
		out[i] = strings.Trim(step, `"`)
	}
	return out
}

func last(path []string) string {
	if len(path) == 0 {
		return ""
	}
	return path[len(path)-1]
}
