package reference

import (
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// Summary is the first sentence of the comment, on one line.
func (p Page) Summary() string {
	text := strings.Join(strings.Fields(p.Doc), " ")
	if at := strings.Index(text, ". "); at >= 0 {
		text = text[:at]
	}
	return strings.TrimSuffix(text, ".")
}

// Below is the page with one of its fields and those below it. Where the field is not
// there it returns the page as it is, and false.
func (p Page) Below(path string) (Page, bool) {
	var fields []Field
	for _, f := range p.Fields {
		if rest, ok := strings.CutPrefix(f.Path, path); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			fields = append(fields, f)
		}
	}
	if len(fields) == 0 {
		return p, false
	}
	return Page{Name: p.Name + "." + path, Kind: "common", Fields: fields}, true
}

// Below is Page.Below, where a stack or an app also has the fields that all have.
func Below(pages []Page, of Page, path string) (Page, bool) {
	common := map[string][]string{"app": {"app", "unit"}, "stack": {"unit"}}[of.Kind]
	if found, ok := of.Below(path); ok {
		return found, true
	}
	for _, p := range pages {
		if p.Kind != "common" || !slices.Contains(common, p.Name) {
			continue
		}
		if found, ok := p.Below(path); ok {
			return found, true
		}
	}
	return of, false
}

// Nearest is the path of a field that was probably meant, or empty.
func (p Page) Nearest(path string) string {
	paths := make([]string, len(p.Fields))
	for i, f := range p.Fields {
		paths[i] = f.Path
	}
	return typed.Closest(path, paths)
}
