package scaffold

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
)

// Env is a new environment as it is asked for.
type Env struct {
	Name      string
	Namespace string // of its apps; without it the name
	Context   string // of the kubeconfig; without it the cluster of the environment that it is made like
}

// CopyEnv writes an environment like another one: the same files under another
// package name, with the names that must be its own exchanged. These are its name
// and namespace, host names and namespaces or groups of registries that hold the
// old name as a word; other host names get the new name in front. On another cluster
// it has no pin. The notes say what changed.
func CopyEnv(files []File, from string, to Env) (copies []File, notes []string, err error) {
	name := to.Name
	if !nameForm.MatchString(name) {
		return nil, nil, fmt.Errorf("environment %q: a name has lower case letters, digits and dashes, at most 63", name)
	}
	if to.Namespace != "" && !nameForm.MatchString(to.Namespace) {
		return nil, nil, fmt.Errorf("namespace %q: a name has lower case letters, digits and dashes, at most 63", to.Namespace)
	}
	sources, err := parseAll(files)
	if err != nil {
		return nil, nil, err
	}
	c := envCopy{Env: to, name: name, old: oldNames(sources, from)}
	for _, s := range sources {
		c.rename(s)
		c.add(s)
		out, err := s.result()
		if err != nil {
			return nil, nil, err
		}
		base := path.Base(s.Name)
		if base == path.Base(path.Dir(s.Name))+".cue" || base == from+".cue" || slices.Contains(c.old, strings.TrimSuffix(base, ".cue")) {
			base = name + ".cue"
		}
		out.Name = path.Join("envs", name, base)
		copies = append(copies, out)
	}
	return copies, c.notes, nil
}

// oldNames are the words that stand for the old environment: its directory, name
// and namespace.
func oldNames(sources []*source, from string) []string {
	old := []string{from}
	for _, s := range sources {
		for _, field := range []string{"name", "namespace"} {
			for _, f := range syntax.FieldsAt(s.tree.Decls, "environment", field) {
				if value, err := syntax.Literal(f.Value); err == nil && !slices.Contains(old, value) {
					old = append(old, value)
				}
			}
		}
	}
	// the longest first: cloud-dev before dev
	slices.SortStableFunc(old, func(a, b string) int { return len(b) - len(a) })
	return old
}

type envCopy struct {
	Env
	name  string
	old   []string
	notes []string
}

func (c *envCopy) rename(s *source) {
	for _, decl := range s.tree.Decls {
		p, ok := decl.(*ast.Package)
		if !ok {
			continue
		}
		id := packageName(c.name)
		for _, group := range ast.Comments(p) {
			if group.Doc && len(group.List) > 0 {
				s.replace(group.Pos(), group.End(), fmt.Sprintf("// Package %s is the environment %s.", id, c.name))
			}
		}
		s.replaceNode(p.Name, id)
	}
	for _, f := range syntax.FieldsAt(s.tree.Decls, "environment") {
		c.walk(s, f.Value, []string{"environment"})
	}
}

// walk looks for the literals that name the environment.
func (c *envCopy) walk(s *source, expr ast.Expr, at []string) {
	for operand := range syntax.Operands(expr) {
		switch e := operand.(type) {
		case *ast.ListLit:
			for _, item := range e.Elts {
				c.walk(s, item, at)
			}
		case *ast.StructLit:
			for _, decl := range e.Elts {
				c.declaration(s, e, decl, at)
			}
		case *ast.BasicLit:
			c.literal(s, e, at)
		}
	}
}

func (c *envCopy) declaration(s *source, in *ast.StructLit, decl ast.Decl, at []string) {
	switch d := decl.(type) {
	case *ast.EmbedDecl:
		c.walk(s, d.Expr, at)
	case *ast.Comprehension: // what stands under an if
		c.walk(s, d.Value, at)
	case *ast.Field:
		name, ok := syntax.Name(d)
		switch {
		case !ok:
		case len(at) == 1 && name == "was": // a former name belongs to one environment
			s.replace(d.Pos(), d.End(), "")
		case len(at) == 2 && at[1] == "cluster" && (name == "uid" || name == "server") && c.Context != "": // the pin of the other cluster
			s.remove(in, d)
			c.notes = append(c.notes, fmt.Sprintf("cluster.%s is left out: evenkeel pin %s --write sets that of the new cluster", name, c.name))
		default:
			c.walk(s, d.Value, append(slices.Clone(at), name))
		}
	}
}

// add writes the namespace and the context where the other environment names none, into
// the struct that has its name.
func (c *envCopy) add(s *source) {
	var lines []string
	if c.Namespace != "" && c.Namespace != c.name && len(syntax.FieldsAt(s.tree.Decls, "environment", "namespace")) == 0 {
		lines = append(lines, "namespace: "+literal.String.Quote(c.Namespace))
	}
	if c.Context != "" && len(syntax.FieldsAt(s.tree.Decls, "environment", "cluster", "context")) == 0 {
		lines = append(lines, "cluster: context: "+literal.String.Quote(c.Context))
	}
	for _, lit := range syntax.StructsAt(s.tree.Decls, "environment") {
		if len(lines) > 0 && lit.Rbrace.IsValid() && len(syntax.FieldsAt(lit.Elts, "name")) > 0 {
			s.appendTo(lit, strings.Join(lines, "\n"))
			return
		}
	}
}

func (c *envCopy) literal(s *source, lit *ast.BasicLit, at []string) {
	value, err := literal.Unquote(lit.Value)
	if err != nil {
		return
	}
	last := at[len(at)-1]
	changed := value
	switch {
	case len(at) == 2 && last == "name":
		changed = c.name
	case len(at) == 2 && last == "namespace":
		changed = cmp.Or(c.Namespace, c.name)
	case len(at) == 3 && at[1] == "cluster" && last == "context":
		changed = cmp.Or(c.Context, value)
	case last == "host", last == "hosts", len(at) == 4 && at[1] == "registry" && (last == "namespace" || last == "group"):
		changed = c.exchange(value)
		if changed == value && last != "namespace" {
			changed = c.name + "-" + value
		}
		if changed != value {
			c.notes = append(c.notes, fmt.Sprintf("%s: %s becomes %s", strings.Join(at[1:], "."), value, changed))
		}
	}
	if changed != value {
		s.replaceNode(lit, literal.String.Quote(changed))
	}
}

// exchange puts the new name in the place of the first old one that stands in the
// text as a word.
func (c *envCopy) exchange(text string) string {
	for _, old := range c.old {
		for from := 0; ; {
			i := strings.Index(text[from:], old)
			if i < 0 {
				break
			}
			i += from
			if end := i + len(old); bounded(text, i, end) {
				return text[:i] + c.name + text[end:]
			}
			from = i + 1
		}
	}
	return text
}

func bounded(text string, from, to int) bool {
	word := func(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' }
	return (from == 0 || !word(text[from-1])) && (to == len(text) || !word(text[to]))
}
