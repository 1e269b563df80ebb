package chart

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	textmessage "golang.org/x/text/message"
	helmchart "helm.sh/helm/v4/pkg/chart/v2"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// Problem is what is wrong with a value.
type Problem struct {
	Path       []string // below the values
	Message    string
	DidYouMean string
}

// Invalid are values that the schema of the chart does not accept.
type Invalid struct{ Problems []Problem }

func (e *Invalid) Error() string {
	texts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		texts[i] = strings.Join(p.Path, ".") + ": " + p.Message
	}
	return strings.Join(texts, "; ")
}

// validate holds values against values.schema.json of a chart and its sub-charts.
func validate(c *helmchart.Chart, values map[string]any) error {
	var problems []Problem
	if err := validateOne(c, values, nil, &problems); err != nil {
		return err
	}
	if len(problems) > 0 {
		return &Invalid{problems}
	}
	return nil
}

func validateOne(c *helmchart.Chart, values map[string]any, at []string, to *[]Problem) error {
	if c.Schema != nil {
		schema, err := compile(c.Schema)
		if err != nil {
			return fmt.Errorf("its values.schema.json: %w", err)
		}
		if invalid, ok := errors.AsType[*jsonschema.ValidationError](schema.Validate(plain(values))); ok {
			var raw any
			raw, _ = jsonschema.UnmarshalJSON(bytes.NewReader(c.Schema)) // it was compiled
			leaves(invalid, raw, at, to)
		}
	}
	for _, dep := range c.Dependencies() {
		below, ok := values[dep.Name()].(map[string]any)
		if !ok {
			continue
		}
		if err := validateOne(dep, below, slices.Concat(at, []string{dep.Name()}), to); err != nil {
			return err
		}
	}
	return nil
}

// plain takes types of Helm's own away, which a validator does not know.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[key] = plain(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = plain(item)
		}
		return out
	case interface{ AsMap() map[string]any }:
		return plain(v.AsMap())
	}
	return v
}

// compile reads a schema. What it refers to elsewhere is not fetched, and accepts
// everything.
func compile(data []byte) (schema *jsonschema.Schema, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("it cannot be used: " + contain.What(p))
		}
	}()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	const name = "chart:///values.schema.json"
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(anything{})
	if err := compiler.AddResource(name, doc); err != nil {
		return nil, err
	}
	return compiler.Compile(name)
}

type anything struct{}

// Load implements jsonschema.URLLoader.
func (anything) Load(string) (any, error) { return true, nil }

// leaves are the errors that have no cause of their own.
func leaves(e *jsonschema.ValidationError, schema any, at []string, to *[]Problem) {
	if len(e.Causes) > 0 {
		for _, cause := range e.Causes {
			leaves(cause, schema, at, to)
		}
		return
	}
	here := slices.Concat(at, e.InstanceLocation)
	if extra, ok := e.ErrorKind.(*kind.AdditionalProperties); ok {
		known := properties(schema, schema, e.InstanceLocation)
		for _, name := range extra.Properties {
			*to = append(*to, Problem{
				Path: slices.Concat(here, []string{name}), Message: "the chart has no such value",
				DidYouMean: typed.Closest(name, known),
			})
		}
		return
	}
	text := e.ErrorKind.LocalizedString(textmessage.NewPrinter(language.English))
	*to = append(*to, Problem{Path: here, Message: "the chart's schema refuses it: " + text})
}

// properties are the names that a schema has at a place, where that is simply said.
func properties(root, schema any, at []string) []string {
	for range 8 { // references to references
		ref, ok := strings.CutPrefix(tree.Text(tree.Map(schema)["$ref"]), "#/")
		if !ok {
			break
		}
		schema = tree.At(root, strings.Split(ref, "/")...)
	}
	s := tree.Map(schema)
	if len(at) == 0 {
		return slices.Sorted(maps.Keys(tree.Map(s["properties"])))
	}
	if _, err := strconv.Atoi(at[0]); err == nil && s["items"] != nil {
		return properties(root, s["items"], at[1:])
	}
	return properties(root, tree.At(s, "properties", at[0]), at[1:])
}

// Unknown finds values whose names the chart does not know. Charts take whole maps
// too, such as the labels of pods, so a name is only called unknown where neither
// values.yaml, a comment in it, the README nor a template has it, and either a name
// beside it is near, or it stands at the top, where nothing is passed on as a whole.
// It is to be called before Render.
func (c *Chart) Unknown(values map[string]any) []Problem {
	text := corpus(c.helm)
	var problems []Problem
	text.unknown(c.helm, values, c.helm.Values, nil, nil, &problems)
	return problems
}

// TextsForSwitches finds true and false in quotes where the chart has a switch: a template
// takes every text for true.
func (c *Chart) TextsForSwitches(values map[string]any) []Problem {
	var problems []Problem
	textsForSwitches(values, c.helm.Values, nil, &problems)
	return problems
}

func textsForSwitches(values, known map[string]any, at []string, to *[]Problem) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		here := slices.Concat(at, []string{key})
		text, isText := values[key].(string)
		switch _, isSwitch := known[key].(bool); {
		case isText && isSwitch && slices.Contains([]string{"true", "false", "yes", "no", "on", "off"}, strings.ToLower(text)):
			*to = append(*to, Problem{Path: here, Message: "a text where the chart has true or false: a template takes every text for true"})
		case !isText:
			textsForSwitches(tree.Map(values[key]), tree.Map(known[key]), here, to)
		}
	}
}

type texts struct {
	templates, values, readme string
}

// corpus is what names values: templates, values.yaml and README of a chart and of its
// sub-charts, which may be libraries that are handed everything.
func corpus(c *helmchart.Chart) texts {
	var templates, values, readme strings.Builder
	var add func(c *helmchart.Chart)
	add = func(c *helmchart.Chart) {
		for _, f := range c.Templates {
			templates.Write(f.Data)
			templates.WriteByte('\n')
		}
		for _, f := range c.Files {
			switch {
			case strings.EqualFold(path.Base(f.Name), "README.md"):
				readme.Write(f.Data)
			case bytes.Contains(f.Data, []byte(".Values")): // a template in all but name: tpl (.Files.Get ...)
				templates.Write(f.Data)
				templates.WriteByte('\n')
			}
		}
		for _, f := range c.Raw {
			if f.Name == "values.yaml" {
				values.Write(f.Data)
				values.WriteByte('\n')
			}
		}
		for _, dep := range c.Metadata.Dependencies {
			if dep != nil {
				fmt.Fprintf(&templates, ".Values.%s \n", strings.ReplaceAll(dep.Condition, ",", " .Values."))
				fmt.Fprintf(&templates, ".%s .%s \n", dep.Name, dep.Alias)
			}
		}
		for _, dep := range c.Dependencies() {
			add(dep)
		}
	}
	add(c)
	return texts{templates.String(), values.String(), readme.String()}
}

func (t texts) names(key string) bool {
	return wordAfter(t.templates, "."+key) || strings.Contains(t.templates, `"`+key+`"`) ||
		wordBefore(t.values, key+":") || wordAfter(t.readme, "."+key) || strings.Contains(t.readme, "`"+key+"`")
}

// reads says whether a template takes the value by its name.
func (t texts) reads(key string) bool {
	return wordAfter(t.templates, "."+key) || strings.Contains(t.templates, `"`+key+`"`)
}

func wordAfter(text, word string) bool {
	for at := strings.Index(text, word); at >= 0; {
		end := at + len(word)
		if end == len(text) || !inWord(text[end]) {
			return true
		}
		next := strings.Index(text[end:], word)
		if next < 0 {
			return false
		}
		at = end + next
	}
	return false
}

func wordBefore(text, word string) bool {
	for at := strings.Index(text, word); at >= 0; {
		if at == 0 || !inWord(text[at-1]) {
			return true
		}
		next := strings.Index(text[at+1:], word)
		if next < 0 {
			return false
		}
		at += 1 + next
	}
	return false
}

func inWord(b byte) bool {
	return b == '_' || b == '-' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

func (t texts) unknown(c *helmchart.Chart, values, known map[string]any, at, within []string, to *[]Problem) {
	top, closed := len(within) == 0, t.closed(within)
	names := slices.Sorted(maps.Keys(known))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		here := slices.Concat(at, []string{key})
		below := tree.Map(values[key])
		if sub := dependency(c, key); top && sub != nil {
			defaults := tree.Map(known[key])
			merged := maps.Clone(sub.Values)
			if merged == nil {
				merged = map[string]any{}
			}
			maps.Copy(merged, defaults)
			t.unknown(sub, below, merged, here, nil, to)
			continue
		}
		if def, ok := known[key]; ok {
			if inner := tree.Map(def); len(inner) > 0 {
				t.unknown(nil, below, inner, here, slices.Concat(within, []string{key}), to)
			}
			continue
		}
		if full := valuesPath(within) + "." + key; closed && !wordAfter(t.templates, full) && !wordAfter(t.values, full) {
			*to = append(*to, Problem{Path: here, Message: "the chart has no such value: no template reads it", DidYouMean: typed.Closest(key, names)})
			continue
		}
		if key == "global" || key == "tags" || t.names(key) {
			continue
		}
		near := typed.Closest(key, slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !t.reads(n) }))
		if len(key) < 3 || !top && abs(len(near)-len(key)) > 2 {
			near = ""
		}
		if near != "" || top {
			*to = append(*to, Problem{Path: here, Message: "the chart has no such value: neither its values.yaml nor a template names it", DidYouMean: near})
		}
	}
}

// closed says whether templates take a map value by value only: it is nowhere handed on
// as a whole, nor is what it stands in. What is global is for charts of others, too.
func (t texts) closed(within []string) bool {
	if len(within) > 0 && within[0] == "global" {
		return false
	}
	for n := range within {
		prefix, read := valuesPath(within[:n+1]), false
		for rest := t.templates; ; {
			at := strings.Index(rest, prefix)
			if at < 0 {
				break
			}
			rest = rest[at+len(prefix):]
			if rest != "" && inWord(rest[0]) {
				continue // another value, whose name begins so
			}
			if len(rest) < 2 || rest[0] != '.' || !inWord(rest[1]) {
				return false
			}
			read = true
		}
		if !read {
			return false
		}
	}
	return len(within) > 0 && !wholeValues.MatchString(t.templates)
}

// wholeValues matches where templates hand all values on.
var wholeValues = regexp.MustCompile(`\.Values(?:[^.\w]|\.?$)`)

func valuesPath(within []string) string { return ".Values." + strings.Join(within, ".") }

func abs(n int) int { return max(n, -n) }

// dependency is the sub-chart that a value is for.
func dependency(c *helmchart.Chart, key string) *helmchart.Chart {
	if c == nil {
		return nil
	}
	for _, dep := range c.Metadata.Dependencies {
		if dep == nil || dep.Alias != key && dep.Name != key {
			continue
		}
		for _, sub := range c.Dependencies() {
			if sub.Name() == dep.Name {
				return sub
			}
		}
	}
	for _, sub := range c.Dependencies() {
		if sub.Name() == key {
			return sub
		}
	}
	return nil
}
