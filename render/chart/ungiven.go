package chart

import (
	"bytes"
	"context"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"text/template/parse"

	"helm.sh/helm/v4/pkg/chart/common"
	helmchart "helm.sh/helm/v4/pkg/chart/v2"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// Ungiven is a value that a template writes out and nothing gives: Helm writes nothing
// in its place, without a word.
type Ungiven struct {
	File      string // of the chart, such as templates/service.yaml
	Line, Col int
	Value     string // as the template has it, such as .Values.service.port
	// DidYouMean is the name that was probably meant.
	DidYouMean string
	// Makes are the fields that it would be in.
	Makes []Made
}

// Made is a field of an object that a template makes.
type Made struct {
	Kind, Name string
	Path       typed.Path
}

// mostUngiven bounds how often a chart is rendered to see whether a value matters.
const mostUngiven = 20

// Ungiven finds the values that templates write out as they are, that neither the chart
// nor the input gives, and without which something is missing in what is rendered.
// Charts leave values out on purpose as well: what a template looks at first, or what
// values.yaml, its comments, the schema or the README name, is not found. It is to be
// called after Render, which takes sub-charts out that are off.
func (c *Chart) Ungiven(ctx context.Context, in Input) []Ungiven {
	asked := asking{}
	each(c.helm, nil, func(sub *helmchart.Chart, _ []string) { asked.read(sub) })
	var all []written
	each(c.helm, nil, func(sub *helmchart.Chart, at []string) {
		dir := strings.TrimPrefix(strings.TrimPrefix(sub.ChartFullPath(), c.helm.ChartFullPath()), "/")
		for _, w := range writtenBy(sub) {
			w.File = path.Join(dir, w.File)
			if w.at = slices.Concat(at, w.path); !asked.names(w.path) && !documents(sub, w.path) && !has(in.Values, w.at) {
				all = append(all, w)
			}
		}
	})
	var given map[string]any
	if len(all) == 0 || len(all) > mostUngiven {
		return nil
	}
	before, err := c.execute(ctx, in, newFixed(in), nil, func(values map[string]any) { given = tree.Map(plain(values)) })
	if err != nil {
		return nil
	}
	var found []Ungiven
	for _, w := range all {
		parent := tree.Map(tree.At(given, w.at[:len(w.at)-1]...))
		if parent == nil || has(given, w.at) {
			continue
		}
		after, err := c.execute(ctx, in, newFixed(in), nil, func(values map[string]any) { give(values, w.at) })
		w.DidYouMean = typed.Closest(w.at[len(w.at)-1], slices.Sorted(maps.Keys(parent)))
		if err == nil && differ(before, after) && (w.DidYouMean != "" || !w.whole) {
			w.Makes = made(before, after)
			found = append(found, w.Ungiven)
		}
	}
	return found
}

// made are the fields in which the objects of two renderings differ.
func made(before, after map[string]string) (fields []Made) {
	a, err := sortedObjects(before)
	if err != nil {
		return nil
	}
	b, err := sortedObjects(after)
	if err != nil || len(a) != len(b) {
		return nil
	}
	for i, o := range a {
		for _, path := range differing(o.Content, b[i].Content, nil) {
			fields = append(fields, Made{tree.Text(o.Content["kind"]), tree.Text(tree.At(o.Content, "metadata", "name")), path})
		}
	}
	return fields
}

// differing are the paths at which two values differ.
func differing(a, b any, at typed.Path) (paths []typed.Path) {
	if m, ok := a.(map[string]any); ok {
		other := tree.Map(b)
		names := maps.Clone(m)
		maps.Copy(names, other)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			paths = append(paths, differing(m[name], other[name], append(slices.Clip(at), name))...)
		}
		return paths
	}
	items, isList := a.([]any)
	others, isToo := b.([]any)
	switch {
	case isList && isToo && len(items) == len(others):
		for i := range items {
			paths = append(paths, differing(items[i], others[i], append(slices.Clip(at), i))...)
		}
	case !reflect.DeepEqual(a, b):
		paths = append(paths, at)
	}
	return paths
}

// differ says whether two renderings make other objects.
func differ(before, after map[string]string) bool {
	for name, text := range before {
		if path.Base(name) != "NOTES.txt" && text != after[name] {
			return true
		}
	}
	return false
}

// has says whether values have a field, and be it null.
func has(values map[string]any, at []string) bool {
	_, ok := tree.Map(tree.At(values, at[:len(at)-1]...))[at[len(at)-1]]
	return ok
}

// give sets a value to what no chart has.
func give(values map[string]any, at []string) {
	for _, step := range at[:len(at)-1] {
		switch below := values[step].(type) {
		case map[string]any:
			values = below
		case common.Values:
			values = below
		default:
			return
		}
	}
	values[at[len(at)-1]] = "4711"
}

// each calls a function for a chart and its sub-charts, with the place of their values.
func each(c *helmchart.Chart, at []string, fn func(sub *helmchart.Chart, at []string)) {
	fn(c, at)
	for _, dep := range c.Dependencies() {
		each(dep, slices.Concat(at, []string{dep.Name()}), fn)
	}
}

// written is a value that a template writes out as it is.
type written struct {
	Ungiven

	path  []string // below the values of its chart
	at    []string // below those of the whole
	whole bool     // by toYaml: lists and maps are left out on purpose
}

// writtenBy are the values that the templates of a chart write out and its values.yaml
// does not have, each where the first template writes it.
func writtenBy(c *helmchart.Chart) (all []written) {
	if c.Metadata.Type == "library" {
		return nil
	}
	seen := map[string]bool{}
	for _, f := range c.Templates {
		walk(f, func(n parse.Node, steps []string, whole bool) {
			name := strings.Join(steps, ".")
			if seen[name] || steps[0] == "global" || has(c.Values, steps) {
				return
			}
			seen[name] = true
			line, col := placeIn(f.Data, n)
			all = append(all, written{Ungiven{File: f.Name, Line: line, Col: col, Value: ".Values." + strings.Join(steps, ".")}, steps, nil, whole})
		}, func(parse.Node) {})
	}
	return all
}

// placeIn is where a reference stands in a template. The parser has the place of its
// second name.
func placeIn(data []byte, n parse.Node) (line, col int) {
	at := min(int(n.Position()), len(data))
	if field, ok := n.(*parse.FieldNode); ok && len(field.Ident) > 1 {
		at -= len(field.Ident[0]) + 1
	} else {
		at -= len("$")
	}
	before := data[:max(at, 0)]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n')
}

// asking are the values that templates look at before they write them, and the names
// that they look for.
type asking map[string]bool

func (a asking) names(steps []string) bool {
	return a[strings.Join(steps, ".")] || a[steps[len(steps)-1]]
}

func (a asking) read(c *helmchart.Chart) {
	for _, f := range c.Templates {
		walk(f, nothing, a.ask)
	}
	for _, f := range c.Files {
		if bytes.Contains(f.Data, []byte(".Values")) { // a template in all but name: tpl (.Files.Get ...)
			walk(f, nothing, a.ask)
		}
	}
	for _, dep := range c.Metadata.Dependencies {
		if dep != nil {
			for condition := range strings.SplitSeq(dep.Condition, ",") {
				a[condition] = true
			}
		}
	}
}

func nothing(parse.Node, []string, bool) {}

// ask notes what a node of a template refers to.
func (a asking) ask(n parse.Node) {
	switch n := n.(type) {
	case *parse.PipeNode:
		for _, cmd := range n.Cmds {
			a.ask(cmd)
		}
	case *parse.CommandNode:
		for _, arg := range n.Args {
			a.ask(arg)
		}
	case *parse.ChainNode:
		a.ask(n.Node)
		a[n.Field[len(n.Field)-1]] = true
	case *parse.FieldNode:
		a.refer(n.Ident)
	case *parse.VariableNode:
		a.refer(n.Ident[1:])
	case *parse.StringNode:
		for word := range strings.FieldsFuncSeq(n.Text, func(r rune) bool { return r == '.' || r == ' ' || r == '{' || r == '}' }) {
			a[word] = true
		}
	}
}

// refer notes a reference: by its place below the values, else by its last name alone.
func (a asking) refer(steps []string) {
	switch {
	case len(steps) == 0:
	case steps[0] == "Values" && len(steps) > 1:
		a[strings.Join(steps[1:], ".")] = true
	default:
		a[steps[len(steps)-1]] = true
	}
}

// walk goes through a template: written is called for each value that it writes out,
// and looked for whatever else it does something with.
func walk(f *common.File, written func(n parse.Node, steps []string, whole bool), looked func(parse.Node)) {
	trees := map[string]*parse.Tree{}
	t := parse.New(f.Name)
	t.Mode = parse.SkipFuncCheck
	if _, err := t.Parse(string(f.Data), "", "", trees); err != nil {
		return // said when it is rendered
	}
	w := walker{written, looked}
	for _, name := range slices.Sorted(maps.Keys(trees)) {
		w.list(trees[name].Root, true)
	}
}

type walker struct {
	written func(n parse.Node, steps []string, whole bool)
	looked  func(parse.Node)
}

// list goes through a list of nodes; root says that the dot is what the template was given.
func (w walker) list(l *parse.ListNode, root bool) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			w.action(n.Pipe, root)
		case *parse.IfNode:
			w.looked(n.Pipe)
			w.list(n.List, root)
			w.list(n.ElseList, root)
		case *parse.WithNode:
			w.looked(n.Pipe)
			w.list(n.List, false)
			w.list(n.ElseList, root)
		case *parse.RangeNode:
			w.looked(n.Pipe)
			w.list(n.List, false)
			w.list(n.ElseList, root)
		case *parse.TemplateNode:
			if n.Pipe != nil {
				w.looked(n.Pipe)
			}
		}
	}
}

// action tells what {{ }} writes out as it is from what it works with.
func (w walker) action(p *parse.PipeNode, root bool) {
	if len(p.Decl) > 0 || slices.ContainsFunc(p.Cmds[1:], func(c *parse.CommandNode) bool { return !keeps(c) }) {
		w.looked(p)
		return
	}
	args := p.Cmds[0].Args
	if len(args) > 1 {
		if !keeps(p.Cmds[0]) {
			w.looked(p)
			return
		}
		args = args[1:]
	}
	whole := slices.ContainsFunc(p.Cmds, func(c *parse.CommandNode) bool { return c.Args[0].String() == "toYaml" })
	for _, arg := range args {
		if steps := valueSteps(arg, root); steps != nil {
			w.written(arg, steps, whole)
			continue
		}
		if _, ok := arg.(*parse.FieldNode); !ok {
			w.looked(arg)
		}
	}
	for _, cmd := range p.Cmds[1:] {
		for _, arg := range cmd.Args[1:] {
			w.looked(arg)
		}
	}
}

// keeps says whether a function of a template writes nothing of note where it is given
// nothing.
func keeps(c *parse.CommandNode) bool {
	name, ok := c.Args[0].(*parse.IdentifierNode)
	return ok && slices.Contains([]string{
		"float64", "indent", "int", "int64", "lower", "nindent", "print", "printf", "quote", "replace", "squote", "toJson", "toString", "toYaml",
		"trim", "trimPrefix", "trimSuffix", "trunc", "upper",
	}, name.Ident)
}

// valueSteps are the names below the values that a node refers to; nil where it does not.
func valueSteps(n parse.Node, root bool) []string {
	switch n := n.(type) {
	case *parse.FieldNode:
		if root && n.Ident[0] == "Values" && len(n.Ident) > 1 {
			return n.Ident[1:]
		}
	case *parse.VariableNode:
		if n.Ident[0] == "$" && len(n.Ident) > 2 && n.Ident[1] == "Values" {
			return n.Ident[2:]
		}
	}
	return nil
}

// documents says whether a chart names a value that it does not give.
func documents(c *helmchart.Chart, steps []string) bool {
	name, full := steps[len(steps)-1], strings.Join(steps, ".")
	if c.Schema != nil {
		var schema any
		if yaml.Unmarshal(c.Schema, &schema) == nil && slices.Contains(properties(schema, schema, steps[:len(steps)-1]), name) {
			return true
		}
	}
	for _, f := range c.Raw {
		base := strings.ToLower(path.Base(f.Name))
		text := string(f.Data)
		switch {
		case base == "readme.md":
			if wordAfter(text, full) || strings.Contains(text, "`"+name+"`") {
				return true
			}
		case f.Name == "values.yaml":
			if wordBefore(commentsOf(text), name+":") || wordAfter(text, full) {
				return true
			}
		case strings.Contains(base, "values") && wordBefore(text, name+":"):
			return true
		}
	}
	return false
}

// commentsOf are the comments of a YAML file.
func commentsOf(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if _, comment, ok := strings.Cut(line, "#"); ok {
			b.WriteString(comment)
		}
	}
	return b.String()
}
