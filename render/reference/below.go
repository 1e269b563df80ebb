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

// Below is Page.Below, where a stack or an app also has the fields of what it is made of.
func Below(pages []Page, of Page, path string) (Page, bool) {
	for _, p := range of.whole(pages) {
		if found, ok := p.Below(path); ok {
			found.Name = of.Name + "." + path
			return found, true
		}
	}
	return of, false
}

// whole are the pages with the fields of a page, its own first.
func (p Page) whole(pages []Page) []Page {
	all := []Page{p, {Fields: p.taken}}
	if unit := slices.IndexFunc(pages, func(other Page) bool { return other.Name == "unit" }); p.Kind != "common" && unit >= 0 {
		all = append(all, pages[unit])
	}
	return all
}

// hasPods says whether an app type has what the page of every app is about.
func (p Page) hasPods() bool {
	return slices.ContainsFunc(p.taken, func(f Field) bool { return f.Path == "image" })
}

// Nearest is the path of a field that was probably meant, or empty.
func Nearest(pages []Page, of Page, path string) string {
	var paths []string
	for _, p := range of.whole(pages) {
		for _, f := range p.Fields {
			paths = append(paths, f.Path)
		}
	}
	return typed.Closest(path, paths)
}
