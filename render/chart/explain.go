package chart

import (
	"cmp"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	helmchart "helm.sh/helm/v4/pkg/chart/v2"
)

// Value is a value that a chart takes.
type Value struct {
	Path    string
	Doc     string // the comment above it
	Default string
}

// Values are those of values.yaml, in its order, and of the sub-charts behind them.
func (c *Chart) Values() []Value {
	var all []Value
	valuesOf(c.helm, "", map[string]bool{}, &all)
	return all
}

// valuesOf describes those of a chart; what a parent sets for its sub-chart comes first.
func valuesOf(c *helmchart.Chart, at string, seen map[string]bool, to *[]Value) {
	for _, f := range c.Raw {
		if f.Name != "values.yaml" {
			continue
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(f.Data, &doc); err != nil || len(doc.Content) == 0 {
			continue
		}
		describe(doc.Content[0], at, seen, to)
	}
	named, covered := map[string]bool{}, map[string]bool{}
	for _, d := range c.Metadata.Dependencies {
		for _, dep := range c.Dependencies() {
			if d != nil && dep.Name() == d.Name && !named[cmp.Or(d.Alias, d.Name)] {
				covered[d.Name], named[cmp.Or(d.Alias, d.Name)] = true, true
				valuesOf(dep, join(at, cmp.Or(d.Alias, d.Name)), seen, to)
			}
		}
	}
	for _, dep := range c.Dependencies() {
		if !covered[dep.Name()] {
			valuesOf(dep, join(at, dep.Name()), seen, to)
		}
	}
}

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

func describe(n *yaml.Node, at string, seen map[string]bool, to *[]Value) {
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		path := join(at, key.Value)
		if seen[path] {
			continue
		}
		seen[path] = true
		if value.Kind == yaml.MappingNode && len(value.Content) > 0 {
			if doc := comment(key); doc != "" {
				*to = append(*to, Value{Path: path, Doc: doc})
			}
			describe(value, path, seen, to)
			continue
		}
		*to = append(*to, Value{Path: path, Doc: comment(key), Default: inline(value)})
	}
}

// comment is the last paragraph above a key, without what tools for documentation put
// there.
func comment(key *yaml.Node) string {
	text := key.HeadComment
	if at := strings.LastIndex(text, "\n\n"); at >= 0 {
		text = text[at:]
	}
	var words []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(line), "#"))
		line = strings.TrimPrefix(strings.TrimPrefix(line, "-- "), "@param ")
		if strings.HasPrefix(line, "@") {
			continue
		}
		words = append(words, strings.Fields(line)...)
	}
	return short(strings.Join(words, " "), 200)
}

func inline(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.AliasNode:
		return "*" + n.Value
	case n.Kind == yaml.ScalarNode && n.Tag == "!!str":
		return short(fmt.Sprintf("%q", n.Value), 80)
	case n.Kind == yaml.ScalarNode:
		return n.Value
	case len(n.Content) == 0 && n.Kind == yaml.SequenceNode:
		return "[]"
	case len(n.Content) == 0:
		return "{}"
	}
	plain := *n
	plain.Style |= yaml.FlowStyle
	plain.HeadComment, plain.LineComment, plain.FootComment = "", "", ""
	data, err := yaml.Marshal(&plain)
	if err != nil || strings.Contains(strings.TrimSpace(string(data)), "\n") {
		return fmt.Sprintf("%d items", len(n.Content))
	}
	return short(strings.TrimSpace(string(data)), 80)
}

func short(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-3]) + "..."
	}
	return text
}
