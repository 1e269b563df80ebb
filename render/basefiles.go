package render

import (
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/token"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// Places in the files that kustomize and charts read: they are looked for where something
// is wrong, and at no other time.

// inBase leads a finding about an object that kustomize made to the file of the base that
// has it; false where another one of them set what is wrong.
func (r *Repo) inBase(f *Finding, o *object, field typed.Path) bool {
	data, err := fs.ReadFile(r.fsys, o.origin)
	if o.origin == "" || err != nil {
		return false
	}
	docs := slices.DeleteFunc(documentsOf(data), func(doc *yaml.Node) bool { return scalarOf(child(doc, "kind")) != o.GetKind() })
	var at *yaml.Node
	for _, doc := range docs {
		if name := scalarOf(child(child(doc, "metadata"), "name")); len(docs) == 1 || name == o.GetName() {
			at = doc
		}
	}
	if at == nil {
		return false
	}
	place := at
	for i, step := range field {
		key, next := step2(at, step)
		if next == nil {
			break
		}
		if at, place = next, key; i == len(field)-1 && next.Kind == yaml.ScalarNode {
			if place = next; fmt.Sprint(field.In(o.Object)) != next.Value {
				return false // a patch, or a transformation, has set another value
			}
		}
	}
	f.pos, f.literal, f.listed = token.NoPos, false, token.NoPos
	f.File, f.Line, f.Col = r.fileName(filepath.Join(r.root, filepath.FromSlash(o.origin))), place.Line, place.Column
	return true
}

// step2 are the key and the value that a step of a path leads to; nil where it leads
// nowhere.
func step2(at *yaml.Node, step any) (key, value *yaml.Node) {
	switch s := step.(type) {
	case int:
		if at.Kind == yaml.SequenceNode && s < len(at.Content) {
			return at.Content[s], at.Content[s]
		}
	case string:
		for i := 0; at.Kind == yaml.MappingNode && i+1 < len(at.Content); i += 2 {
			if at.Content[i].Value == s {
				return at.Content[i], at.Content[i+1]
			}
		}
	}
	return nil, nil
}

func child(at *yaml.Node, name string) *yaml.Node {
	if at == nil {
		return nil
	}
	_, value := step2(at, name)
	return value
}

func scalarOf(at *yaml.Node) string {
	if at == nil {
		return ""
	}
	return at.Value
}

var (
	// lacking matches what is said of a kustomization that names what is not there.
	lacking = regexp.MustCompile(`^(\S+/kustomization\.ya?ml|\S+/Kustomization): (\S+) is not in the repository`)
	// template matches what is said of a template of a chart.
	template = regexp.MustCompile(`^(\S+): [^/\s:]+/(\S+):(\d+): (.*)$`)
	// opensBlock and closesBlock match the beginning and the end of a block in a template.
	opensBlock  = regexp.MustCompile(`\{\{-?\s*(if|with|range|define|block)\b|\{\{-?\s*(end)\b`)
	yamlMessage = strings.NewReplacer( //nolint:gochecknoglobals // a table
		"did not find expected '-' indicator", "this line is not indented as the items of its list are",
		"did not find expected key", "this line is not indented as the fields beside it are",
		"mapping values are not allowed in this context", "a colon in a text without quotes, or a line that is indented too far",
		"found character that cannot start any token", "a tab, or another character that begins nothing in YAML",
	)
)

// inFile leads a finding about a file of a base or a chart to that file, where its message
// names the line.
func (r *Repo) inFile(f *Finding) {
	at := func(name string, line int) bool {
		info, err := fs.Stat(r.fsys, name)
		if err != nil || !info.Mode().IsRegular() {
			return false
		}
		f.pos, f.listed = token.NoPos, token.NoPos
		f.File, f.Line, f.Col = r.fileName(filepath.Join(r.root, filepath.FromSlash(name))), line, 1
		return true
	}
	number := func(text string) int { n, _ := strconv.Atoi(text); return n } // of digits alone
	if m := lacking.FindStringSubmatch(f.Message); m != nil {
		data, _ := fs.ReadFile(r.fsys, m[1])
		for i, line := range strings.Split(string(data), "\n") {
			if strings.Contains(line, m[2]) && at(m[1], i+1) {
				f.Col = strings.Index(line, m[2]) + 1
				f.Message = strings.TrimPrefix(f.Message, m[1]+": ")
				return
			}
		}
		return
	}
	m := template.FindStringSubmatch(f.Message)
	if m == nil {
		return
	}
	name, line, message := path.Join(m[1], m[2]), number(m[3]), m[4]
	if strings.HasPrefix(message, "unexpected EOF") {
		data, _ := fs.ReadFile(r.fsys, name)
		if begun := unended(string(data)); begun > 0 {
			line, message = begun, "this block of the template has no {{ end }}"
		}
	}
	if at(name, line) {
		f.Message = message
	}
}

// misindented is the first line, from one on, whose indentation is that of no line above it
// that it could belong to; that one itself where there is none.
func misindented(lines []string, from int) int {
	levels := []int{0}
	for i, line := range lines {
		text := strings.TrimLeft(line, " ")
		if strings.TrimSpace(text) == "" || strings.HasPrefix(text, "#") {
			continue
		}
		in := len(line) - len(text)
		for len(levels) > 1 && levels[len(levels)-1] > in {
			levels = levels[:len(levels)-1]
		}
		if top := levels[len(levels)-1]; top < in {
			if closed := i > 0 && i+1 > from && !opensMore(lines[:i]); closed {
				return i + 1
			}
			levels = append(levels, in)
		}
		for rest := text; strings.HasPrefix(rest, "- "); {
			in += 2
			rest = rest[2:]
			levels = append(levels, in)
		}
	}
	return from
}

// opensMore says whether the last of some lines has what is further in below it.
func opensMore(lines []string) bool {
	for _, line := range slices.Backward(lines) {
		text := strings.TrimSpace(line)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		return strings.HasSuffix(text, ":") || strings.HasSuffix(text, "|") || strings.HasSuffix(text, ">") || strings.HasSuffix(text, "|-") || text == "-"
	}
	return true
}

// unended is the line where a block of a template begins that has no end; 0 where each has
// one.
func unended(text string) int {
	var open []int
	for i, line := range strings.Split(text, "\n") {
		for _, m := range opensBlock.FindAllStringSubmatch(line, -1) {
			switch {
			case m[2] == "":
				open = append(open, i+1)
			case len(open) > 0:
				open = open[:len(open)-1]
			}
		}
	}
	if len(open) == 0 {
		return 0
	}
	return open[len(open)-1]
}
