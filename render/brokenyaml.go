package render

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/token"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// yamlFault is where a file is no YAML, and why. The parser says where it gave up, which
// may be lines behind the mistake.
type yamlFault struct {
	line, col     int
	message, hint string
}

// faultIn is the first thing in a file that keeps it from being YAML; false where there
// is nothing.
func faultIn(data []byte) (yamlFault, bool) {
	lines := strings.Split(string(data), "\n")
	if at := (source{lines: lines}).conflict(); at > 0 && strings.HasPrefix(lines[at-1], "<") {
		return yamlFault{at, 1, conflictBegins, keepOneSide}, true
	}
	line, text := parsed(data)
	if text == "" {
		return twice(data)
	}
	for _, look := range []func([]string, int) (yamlFault, bool){tabbed, unspaced, openText, misindentedIn} {
		if fault, ok := look(lines, line); ok {
			return fault, true
		}
	}
	return yamlFault{max(line, 1), 1, yamlMessage.Replace(text), ""}, true
}

// yamlError matches what the parser says.
var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// parsed is what the parser says against a file, and of which line; empty where it takes it.
func parsed(data []byte) (line int, text string) {
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return 0, ""
		}
		if err == nil {
			continue
		}
		m := yamlError.FindStringSubmatch(err.Error())
		if m == nil {
			return 1, err.Error()
		}
		line, _ = strconv.Atoi(m[1]) // of digits alone
		if strings.HasPrefix(m[2], "did not find expected") {
			line++ // the parser counts from 0, and the scanner from 1
		}
		return line, m[2]
	}
}

// twice finds a key that a map has twice.
func twice(data []byte) (fault yamlFault, found bool) {
	var look func(n *yaml.Node)
	look = func(n *yaml.Node) {
		first := map[string]*yaml.Node{}
		for i, child := range n.Content {
			if n.Kind != yaml.MappingNode || i%2 == 1 {
				look(child)
				continue
			}
			if other := first[child.Value]; other != nil && child.Value != "<<" && !found {
				fault = yamlFault{child.Line, child.Column, "the field " + child.Value + " stands here a second time", "take one out: the other is in line " + strconv.Itoa(other.Line)}
				found = true
			}
			first[child.Value] = child
		}
	}
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		if dec.Decode(&doc) != nil {
			return fault, found
		}
		look(&doc)
	}
}

// tabbed finds the line that a tab indents.
func tabbed(lines []string, _ int) (yamlFault, bool) {
	text := blockText(lines)
	for i, line := range lines {
		in := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if at := strings.IndexByte(in, '\t'); at >= 0 && !text[i] && strings.TrimSpace(line) != "" && !strings.HasPrefix(line[len(in):], "#") {
			return yamlFault{i + 1, at + 1, "a tab indents this line: YAML takes blanks alone", "write blanks in its place"}, true
		}
	}
	return yamlFault{}, false
}

// glued matches a field without the blank behind its colon.
var glued = regexp.MustCompile(`^\s*(?:- +)*([A-Za-z_][\w.-]*):([^\s:/].*)$`)

// unspaced finds the line above a fault, or at it, whose colon has no blank behind it.
func unspaced(lines []string, line int) (yamlFault, bool) {
	text := blockText(lines)
	for n, above := min(line, len(lines)), 0; n > 0 && above < 3; n-- {
		if bare := strings.TrimSpace(lines[n-1]); bare == "" || strings.HasPrefix(bare, "#") {
			continue
		}
		above++
		if m := glued.FindStringSubmatchIndex(lines[n-1]); m != nil && !text[n-1] {
			name := lines[n-1][m[2]:m[3]]
			return yamlFault{n, m[4], "a blank is missing behind the colon of " + name, "write " + name + ": ..."}, true
		}
	}
	return yamlFault{}, false
}

// openText finds the first line whose text begins with a quote that the line does not end.
func openText(lines []string, line int) (yamlFault, bool) {
	text := blockText(lines)
	for i, l := range lines {
		if at := openQuote(l); at > 0 && !text[i] && i < max(line, 1)+1 {
			return yamlFault{i + 1, at, notClosed, "write " + l[at-1:at] + " where it ends"}, true
		}
	}
	return yamlFault{}, false
}

// openQuote is the column of the quote that begins a text which its line does not end; 0
// where there is none.
func openQuote(line string) int {
	open, at := byte(0), 0
	for i := range len(line) {
		c := line[i]
		begins := i == 0 || strings.IndexByte(" \t[{,:-", line[i-1]) >= 0
		switch {
		case open == 0 && c == '#' && begins:
			return 0
		case open == 0 && (c == '"' || c == '\'') && begins:
			open, at = c, i+1
		case open == '"' && c == '"' && line[i-1] != '\\', open == '\'' && c == '\'':
			open = 0
		}
	}
	if open == 0 {
		return 0
	}
	return at
}

// misindentedIn finds the line that is indented as no line above it.
func misindentedIn(lines []string, line int) (yamlFault, bool) {
	_, text := parsed([]byte(strings.Join(lines, "\n")))
	if !strings.HasPrefix(text, "did not find expected") || strings.Contains(text, "',' or") {
		return yamlFault{}, false
	}
	return yamlFault{misindented(lines, line), 1, yamlMessage.Replace(text), ""}, true
}

// opensText matches a line behind which a text of several lines begins.
var opensText = regexp.MustCompile(`(?:^|[:\s-]\s*)[|>][-+0-9]*\s*(?:#.*)?$`)

// blockText says which lines are part of a text of several lines.
func blockText(lines []string) []bool {
	in := make([]bool, len(lines))
	margin := -1 // of the line that the text is below
	for i, line := range lines {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if margin >= 0 && (strings.TrimSpace(line) == "" || indent > margin) {
			in[i] = true
			continue
		}
		if margin = -1; opensText.MatchString(line) {
			margin = indent
		}
	}
	return in
}

// yamlInWords matches what is said where a file is no YAML, or has a field twice.
var yamlInWords = regexp.MustCompile(`yaml: (?:line|unmarshal)|MalformedYAML|mapping key|did not find|could not find`)

// noSuchField matches what kustomize says of a field that a kustomization has not.
var noSuchField = regexp.MustCompile(`unknown field "([\w-]+)"`)

// inBroken leads a finding about files that kustomize read to the one that is no YAML, or
// that has a field which no kustomization has.
func (r *Repo) inBroken(f *Finding, read map[string][]byte) bool {
	names := slices.Sorted(maps.Keys(read))
	slices.SortStableFunc(names, func(a, b string) int { // those that the message names first
		return cmp.Compare(strings.Count(f.Message, path.Base(b)), strings.Count(f.Message, path.Base(a)))
	})
	m := noSuchField.FindStringSubmatch(f.Message)
	for _, name := range names {
		switch {
		case m != nil && isKustomization(name):
			if r.unknownIn(f, name, read[name], m[1]) {
				return true
			}
		case m == nil && yamlInWords.MatchString(f.Message) && (isKustomization(name) || strings.HasPrefix(path.Ext(name), ".y")):
			if fault, ok := faultIn(read[name]); ok {
				return r.inYAML(f, name, fault)
			}
		}
	}
	return false
}

// inYAML places a finding where a file is no YAML.
func (r *Repo) inYAML(f *Finding, name string, fault yamlFault) bool {
	info, err := fs.Stat(r.fsys, name)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	f.pos, f.listed = token.NoPos, token.NoPos
	f.File, f.Line, f.Col = r.fileName(filepath.Join(r.root, filepath.FromSlash(name))), fault.line, fault.col
	f.Message, f.Hint = fault.message, fault.hint
	return true
}

// unknownIn finds the field of a kustomization that it cannot have.
func (r *Repo) unknownIn(f *Finding, name string, data []byte, field string) bool {
	at := regexp.MustCompile(`^([\s-]*)"?` + regexp.QuoteMeta(field) + `"?\s*:`)
	for i, line := range strings.Split(string(data), "\n") {
		m := at.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		names := fieldNames(reflect.TypeFor[types.Kustomization](), m[1] == "", 0)
		f.DidYouMean = typed.Closest(field, names)
		if i := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, field) }); i >= 0 {
			f.DidYouMean = names[i]
		}
		return r.inYAML(f, name, yamlFault{i + 1, len(m[1]) + 1, "a kustomization has no field " + field, ""})
	}
	return false
}

// fieldNames are the fields of a type in JSON: those of its own, or those of all that it
// is made of.
func fieldNames(t reflect.Type, own bool, depth int) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	const deepest = 6
	if t.Kind() != reflect.Struct || depth > deepest {
		return nil
	}
	var names []string
	for name, field := range jsonFields(t) {
		names = append(names, name)
		if !own {
			names = append(names, fieldNames(field, false, depth+1)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// action matches an action of a template.
var action = regexp.MustCompile(`\{\{.*?\}\}`)

// renderedFrom is the line of a template that makes a line; 0 where none does, or several.
func renderedFrom(template, line string) (found int) {
	for i, t := range strings.Split(template, "\n") {
		fixed := action.Split(t, -1)
		if strings.TrimSpace(strings.Join(fixed, "")) == "" {
			continue
		}
		for i := range fixed {
			fixed[i] = regexp.QuoteMeta(fixed[i])
		}
		if ok, err := regexp.MatchString("^"+strings.Join(fixed, ".*")+`\s*$`, line); err != nil || !ok {
			continue
		}
		if found > 0 {
			return 0
		}
		found = i + 1
	}
	return found
}
