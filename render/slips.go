package render

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
)

// slips finds what parses and means something else than what was meant, where an
// environment has errors: a comma for an &, braces for brackets, lines that are further in
// without braces around them. What CUE says of them are their consequences.
func (p *envPackage) slips(found Findings) Findings {
	s := slips{p: p, found: found}
	for _, inst := range p.instances() {
		s.types = append(s.types, unitTypes(inst)...)
	}
	for _, file := range p.userFiles() {
		own := slices.Contains(p.inst.Files, file)
		s.decls(file.Decls, nil, own)
		syntax.EachField(file.Decls, func(f *ast.Field, path []string) bool {
			s.field(f, path, own)
			for _, lit := range syntax.Structs(f.Value) {
				s.decls(lit.Elts, path, own)
			}
			return true
		})
	}
	return s.all
}

type slips struct {
	p     *envPackage
	found Findings
	types []string // of units
	all   Findings
}

func (s *slips) add(pos token.Pos, path []string, own bool, message, hint string) *Finding {
	f := Finding{Environment: s.p.dir.name, Path: shownPath(path, own), Message: message, Hint: hint}
	if below, ok := strings.CutPrefix(f.Path, "apps."); ok {
		f.Unit, _, _ = strings.Cut(below, ".")
	}
	s.p.repo.place(&f, pos)
	s.all = append(s.all, f)
	return &s.all[len(s.all)-1]
}

// shownPath is a path in a file as it is printed: below the environment, or of an app in a
// list that environments share.
func shownPath(path []string, own bool) string {
	switch {
	case len(path) > 0 && path[0] == fieldEnvironment:
		path = path[1:]
	case !own && len(path) > 1:
		path = append([]string{"apps"}, path[1:]...)
	}
	return strings.Join(path, ".")
}

// typed says whether an expression is unified with the definition of a unit.
func (s *slips) typed(expr ast.Expr) bool {
	for e := range syntax.Conjuncts(expr) {
		if slices.Contains(s.types, definitionOf(e)) {
			return true
		}
	}
	return false
}

// definitionOf is the name of the definition that an expression refers to.
func definitionOf(expr ast.Expr) string {
	name := ""
	switch e := expr.(type) {
	case *ast.Ident:
		name = e.Name
	case *ast.SelectorExpr:
		name, _, _ = ast.LabelName(e.Sel)
	}
	if strings.HasPrefix(name, "#") {
		return name
	}
	return ""
}

// typeAsText matches a definition as text.
var typeAsText = regexp.MustCompile(`^(\w+\.)?#\w+$`)

func (s *slips) field(f *ast.Field, path []string, own bool) {
	name := path[len(path)-1]
	if or, ok := f.Value.(*ast.BinaryExpr); ok && or.Op == token.OR && definitionOf(or.X) != "" && isStruct(or.Y) {
		s.add(or.OpPos, path, own, "| takes one of two, and joins none", "write & between a type and its fields")
	}
	if ident, ok := f.Value.(*ast.Ident); ok && s.relevant(path, own) {
		if spec, ok := ident.Node.(*ast.ImportSpec); ok {
			s.add(ident.Pos(), path, own, ident.Name+" is a package, and no value", "write "+ident.Name+"."+s.exports(spec))
		}
	}
	switch name {
	case "extraObjects":
		s.keyless(f, path, own, "an object stands below a key of your choice", "write extraObjects: KEY: {...}", "apiVersion", "kind")
	case "envRef":
		s.keyless(f, path, own, "each variable stands below its name", "write envRef: NAME: {...}", "secret", "configMap", "field", "resource")
	case "volumes":
		s.keyless(f, path, own, "each volume stands below its name", "write volumes: NAME: {...}", "path")
	case "sidecars", "initContainers":
		s.keyless(f, path, own, "each container stands below its name", fmt.Sprintf("write %s: NAME: {...}", name), "image")
	case "secrets", "configMaps", "claims", "serviceAccounts":
		if len(path) > 1 && path[len(path)-2] == "external" {
			s.keyless(f, path, own, "each stands below its name", fmt.Sprintf("write external: %s: NAME: {...}", name), "keys", "name", "namespace")
		}
	case "steps":
		if len(path) > 2 && path[len(path)-2] == "canary" && path[len(path)-3] == "rollout" {
			s.rollouts(f, path, own)
		}
	}
	typed := false
	for e := range syntax.Conjuncts(f.Value) {
		typed = typed || definitionOf(e) != ""
		if text, err := syntax.Literal(e); err == nil && typeAsText.MatchString(text) && e != f.Value {
			s.add(e.Pos(), path, own, "a type stands without quotes", "write "+text)
		}
		lit, ok := e.(*ast.StructLit)
		if ok && lit.Lbrace.IsValid() && len(lit.Elts) > 0 && !slices.ContainsFunc(lit.Elts, func(d ast.Decl) bool { return !isLiteral(d) }) {
			s.add(lit.Lbrace, path, own, "a list stands in [ ], not in { }", "")
		}
	}
	if shown := strings.Split(shownPath(path, own), "."); len(shown) == 2 && shown[0] == "apps" && !typed {
		for _, lit := range syntax.Structs(f.Value) {
			for is := range syntax.Named(lit.Elts, "type") {
				if text, err := syntax.Literal(is.Value); err == nil && slices.Contains(s.types, "#"+text) {
					s.add(f.Pos(), path, own, "the field type makes no type", fmt.Sprintf("begin with %s: schema.#%s & {, and leave it out", syntax.Label(name), text))
				}
			}
		}
	}
	if len(path) == 2 && path[0] == fieldEnvironment && s.typed(f.Value) {
		s.add(f.Pos(), path, own, "an app stands in apps", fmt.Sprintf("write it into apps: {%s: ...}", syntax.Label(name)))
	}
	if len(path) > 2 && path[len(path)-2] == "envRef" && s.says("cannot reference optional field: key") {
		for _, lit := range syntax.Structs(f.Value) {
			has := func(name string) bool {
				for range syntax.Named(lit.Elts, name) {
					return true
				}
				return false
			}
			if (has("secret") || has("configMap")) && !has("key") {
				s.add(f.Pos(), append(slices.Clone(path), "key"), own, missing, "").Expected = "the key of the Secret or ConfigMap"
			}
		}
	}
}

// relevant says whether something is said of a field, or of what is below it.
func (s *slips) relevant(path []string, own bool) bool {
	shown := shownPath(path, own)
	return slices.ContainsFunc(s.found, func(f Finding) bool { return f.Path == shown || strings.HasPrefix(f.Path, shown+".") })
}

// exports is what of a package somebody may have meant: its definitions, where there are
// few.
func (s *slips) exports(spec *ast.ImportSpec) string {
	const few = 4
	full, err := syntax.ImportPath(spec)
	if inst := s.p.inst.LookupImport(full); err == nil && inst != nil {
		if names := declarations(inst); len(names) > 0 && len(names) <= few {
			return strings.Join(names, " or ")
		}
	}
	return "#NAME"
}

// keyless: things of which there may be several stand below a key each; words are fields
// of one of them.
func (s *slips) keyless(f *ast.Field, path []string, own bool, message, hint string, words ...string) {
	for _, lit := range syntax.Structs(f.Value) {
		for _, name := range words {
			for is := range syntax.Named(lit.Elts, name) {
				_, isList := is.Value.(*ast.ListLit)
				if text, err := syntax.Literal(is.Value); isList || err == nil && text != "" {
					one := s.add(lit.Elts[0].Pos(), path, own, message, hint)
					for _, decl := range lit.Elts {
						one.others = append(one.others, decl.Pos())
					}
					return
				}
			}
		}
	}
}

// typeless: of the apps of a list one has no type, and the others have.
func (s *slips) typeless(decls []ast.Decl, path []string, own bool) {
	if own || len(path) != 1 {
		return
	}
	var bare []*ast.Field
	typed := 0
	for name, f := range syntax.Fields(decls) {
		if s.typed(f.Value) {
			typed++
		} else if structs, others := syntax.Parts(f.Value); len(structs) > 0 && len(others) == 0 && s.hasUnit(name) && !hasField(structs, "type") {
			bare = append(bare, f)
		}
	}
	if typed <= len(bare) {
		return
	}
	for _, f := range bare {
		name, _ := syntax.Name(f)
		one := s.add(f.Pos(), append(slices.Clone(path), name), own, "no type makes this app", fmt.Sprintf("begin with %s: schema.#WebApp & {, or another type", syntax.Label(name)))
		one.closed = true
	}
}

func hasField(structs []*ast.StructLit, name string) bool {
	return slices.ContainsFunc(structs, func(lit *ast.StructLit) bool {
		for range syntax.Named(lit.Elts, name) {
			return true
		}
		return false
	})
}

// says says whether a finding is of these words.
func (s *slips) says(words string) bool {
	return slices.ContainsFunc(s.found, func(f Finding) bool { return strings.Contains(f.Message, words) })
}

func isStruct(expr ast.Expr) bool {
	_, ok := expr.(*ast.StructLit)
	return ok
}

func isLiteral(decl ast.Decl) bool {
	embedded, ok := decl.(*ast.EmbedDecl)
	if !ok {
		return false
	}
	_, ok = embedded.Expr.(*ast.BasicLit)
	return ok
}

// decls looks at what stands side by side in a file or a struct.
func (s *slips) decls(decls []ast.Decl, path []string, own bool) {
	s.typeless(decls, path, own)
	first := map[string]*ast.Field{}
	for i, decl := range decls {
		f, ok := decl.(*ast.Field)
		if !ok {
			continue
		}
		name, ok := syntax.Name(f)
		if !ok {
			continue
		}
		at := append(slices.Clone(path), name)
		if next, ok := following[*ast.EmbedDecl](decls, i); ok && f.End().Line() == next.Pos().Line() {
			switch {
			case definitionOf(lastConjunct(f.Value)) != "" && isStruct(next.Expr):
				s.add(f.End(), at, own, "an & stands between a type and its fields, not a comma", "")
			case isLiteral(next):
				s.add(f.Value.Pos(), at, own, "a list stands in brackets", fmt.Sprintf(`write %s: ["one", "two"]`, syntax.Label(name)))
			}
		}
		if lit, ok := f.Value.(*ast.StructLit); ok && !lit.Lbrace.IsValid() && len(lit.Elts) > 0 {
			inner := lit.Elts[0].Pos()
			next, follows := following[*ast.Field](decls, i)
			switch {
			case inner.Line() == f.Pos().Line():
			case inner.Column() <= f.Pos().Column():
				s.add(f.Pos(), at, own, "no value stands behind the colon", "")
			case follows && next.Pos().Column() == inner.Column():
				one := s.add(f.Pos(), at, own, "what is further in than a field belongs to it by braces alone", fmt.Sprintf("write %s: {, and } behind the last line", syntax.Label(name)))
				for _, later := range decls[i+1:] {
					if later.Pos().Column() != inner.Column() {
						break
					}
					one.others = append(one.others, later.Pos())
				}
			}
		}
		if before := first[name]; before != nil && s.typed(before.Value) && s.typed(f.Value) && s.hasUnit(name) {
			b := before.Pos()
			one := s.add(f.Pos(), at, own, "the name stands here twice", fmt.Sprintf("also at %s:%d:%d: give one of them another, or take it out", s.p.repo.fileName(b.Filename()), b.Line(), b.Column()))
			one.others = append(one.others, b)
		}
		if first[name] == nil {
			first[name] = f
		}
	}
}

// hasUnit says whether a unit has a finding.
func (s *slips) hasUnit(name string) bool {
	return slices.ContainsFunc(s.found, func(f Finding) bool { return f.Unit == name })
}

// following is the declaration behind one, where it is of a kind.
func following[D ast.Decl](decls []ast.Decl, i int) (next D, ok bool) {
	if i+1 < len(decls) {
		next, ok = decls[i+1].(D)
	}
	return next, ok
}

func lastConjunct(expr ast.Expr) (last ast.Expr) {
	for e := range syntax.Conjuncts(expr) {
		last = e
	}
	return last
}
