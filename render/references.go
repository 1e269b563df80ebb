package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// undefined finds references to what an imported package does not declare, such
// as a misspelt type. CUE takes them for values that may still come, and reports
// what follows from that instead.
func (p *envPackage) undefined() Findings {
	var findings Findings
	declared := map[string][]string{} // by import path
	types := map[string][]string{}
	for _, inst := range p.instances() {
		types[syntax.Plain(inst.ImportPath)] = unitTypes(inst)
		declared[syntax.Plain(inst.ImportPath)] = declarations(inst)
	}
	for _, file := range p.userFiles() {
		imports := importNames(file)
		ast.Walk(file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if syntax.Import(sel.X) == nil {
				return true
			}
			ident, _ := sel.X.(*ast.Ident)
			names, known := declared[imports[ident.Name]]
			name, _, err := ast.LabelName(sel.Sel)
			if err != nil || !known || slices.Contains(names, name) {
				return true
			}
			f := Finding{Environment: p.dir.name, Message: ident.Name + "." + name + notDefined}
			if near := typed.Closest(name, p.repo.proposed(imports[ident.Name], names)); near != "" {
				f.DidYouMean = ident.Name + "." + near
			} else {
				f.Expected = "one of " + enumerate(offered(names, types[imports[ident.Name]]))
			}
			p.repo.place(&f, sel.Pos())
			f.Unit = p.unitAround(file, sel)
			findings = append(findings, f)
			return true
		}, nil)
	}
	return findings
}

// proposed are the names of a package that one may have meant: of the definitions those
// for users.
func (r *Repo) proposed(importPath string, names []string) []string {
	if !strings.HasPrefix(importPath, Module+"/") {
		return names
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return len(name) > 1 && name[0] == '#' && unicode.IsLower(rune(name[1]))
	})
}

// unitAround is the app that an expression makes; empty where it stands in none.
func (p *envPackage) unitAround(file *ast.File, expr ast.Expr) (unit string) {
	own := slices.Contains(p.inst.Files, file)
	syntax.EachField(file.Decls, func(f *ast.Field, path []string) bool {
		if expr.Pos().Offset() < f.Pos().Offset() || expr.Pos().Offset() >= f.End().Offset() {
			return false
		}
		if shown := strings.Split(shownPath(path, own), "."); len(shown) == unitDepth-1 && shown[0] == "apps" {
			unit = shown[1]
		}
		return true
	})
	return unit
}

// closedLists finds definitions in the place of a list of units to which units are added.
// A definition is closed: CUE refuses what is added, field by field and in the types that
// it is made of.
func (p *envPackage) closedLists() Findings {
	var findings Findings
	for _, group := range []string{"apps", "stacks"} {
		var added []*ast.Field
		var lists []ast.Expr
		for _, file := range p.inst.Files {
			for _, f := range syntax.FieldsAt(file.Decls, fieldEnvironment, group) {
				structs, others := syntax.Parts(f.Value)
				for _, lit := range structs {
					for _, unit := range syntax.Fields(lit.Elts) {
						added = append(added, unit)
					}
				}
				lists = append(lists, others...)
			}
		}
		for _, list := range lists {
			name, taken, ok := p.definition(list)
			if !ok {
				continue
			}
			f := Finding{Environment: p.dir.name, closed: true, Hint: "add it there, take it out here, or end that list with ..."}
			var units []string
			for _, field := range added {
				unit, _ := syntax.Name(field)
				switch {
				case slices.Contains(taken, unit):
					continue
				case isValue(field.Value):
					g := Finding{
						Environment: p.dir.name, Path: group + "." + unit, Message: "a field of an app, and no app",
						Hint: fmt.Sprintf("write it into the app: NAME: %s: ...", unit),
					}
					p.repo.place(&g, field.Pos())
					findings = append(findings, g)
					continue
				case group == "apps" && slices.Contains(builtInStacks(p), unit):
					g := Finding{
						Environment: p.dir.name, Path: group + "." + unit, Message: "this is one of the tool's stacks, and no app",
						Hint: fmt.Sprintf("write it into stacks: {%s: ...}", unit),
					}
					p.repo.place(&g, field.Pos())
					findings = append(findings, g)
					continue
				case f.Path == "":
					f.Path, f.Unit = group+"."+unit, unit
					p.repo.place(&f, field.Pos())
				default:
					f.others = append(f.others, field.Pos())
				}
				units = append(units, unit)
			}
			if len(units) == 1 {
				f.DidYouMean = typed.Closest(units[0], taken)
			}
			if len(units) > 0 {
				f.gone = name + " " + strings.Join(units, ", ")
				if f.Message = fmt.Sprintf("%s has no such %s", name, strings.TrimSuffix(group, "s")); len(units) > 1 {
					f.Message = fmt.Sprintf("%s has none of these %s: %s", name, group, strings.Join(units, ", "))
				}
				findings = append(findings, f)
			}
		}
	}
	return findings
}

// isValue says whether an expression is a text, a number or a list: no unit is one.
func isValue(expr ast.Expr) bool {
	switch expr.(type) {
	case *ast.BasicLit, *ast.ListLit, *ast.Interpolation:
		return true
	}
	return false
}

// definition is the name of a definition that an expression refers to, and the fields
// that it has; false where it is none, or takes fields of any name.
func (p *envPackage) definition(expr ast.Expr) (name string, fields []string, ok bool) {
	inst, label := p.inst, ""
	switch e := expr.(type) {
	case *ast.Ident:
		name, label = e.Name, e.Name
	case *ast.SelectorExpr:
		spec := syntax.Import(e.X)
		sel, _, err := ast.LabelName(e.Sel)
		if spec == nil || err != nil {
			return "", nil, false
		}
		full, err := syntax.ImportPath(spec)
		if inst = inst.LookupImport(full); err != nil || inst == nil {
			return "", nil, false
		}
		ident, _ := e.X.(*ast.Ident)
		name, label = ident.Name+"."+sel, sel
	}
	if !strings.HasPrefix(label, "#") && !strings.HasPrefix(label, "_#") {
		return "", nil, false
	}
	for _, file := range inst.Files {
		for f := range syntax.Named(file.Decls, label) {
			structs, others := syntax.Parts(f.Value)
			if len(others) > 0 {
				return "", nil, false
			}
			for _, lit := range structs {
				for _, decl := range lit.Elts {
					field, isField := decl.(*ast.Field)
					if !isField {
						return "", nil, false // ... and whatever else adds fields
					}
					unit, plain := syntax.Name(field)
					if !plain {
						return "", nil, false
					}
					fields, ok = append(fields, unit), true
				}
			}
		}
	}
	return name, fields, ok
}

// builtInStacks are the names of the stacks that the schema has.
func builtInStacks(p *envPackage) (names []string) {
	for _, inst := range p.instances() {
		if syntax.Plain(inst.ImportPath) != Module+"/schema" {
			continue
		}
		for _, file := range inst.Files {
			for _, lit := range syntax.StructsAt(file.Decls, "#Environment", "stacks") {
				for _, decl := range lit.Elts {
					field, ok := decl.(*ast.Field)
					if !ok {
						continue
					}
					if list, ok := field.Label.(*ast.ListLit); ok && len(list.Elts) == 1 {
						if name, err := syntax.Literal(list.Elts[0]); err == nil {
							names = append(names, name)
						}
					}
				}
			}
		}
	}
	return names
}

// offered are the types of units that a package has, else all names.
func offered(names, types []string) []string {
	if len(types) > 0 {
		return types
	}
	return names
}

// unitTypes are the definitions of a package that say what type of unit they make.
func unitTypes(inst *build.Instance) []string {
	var names []string
	for _, file := range inst.Files {
		for name := range syntax.Fields(file.Decls) {
			for _, typ := range syntax.FieldsAt(file.Decls, name, "type") {
				if value, err := syntax.Literal(typ.Value); err == nil && name == "#"+value {
					names = append(names, name)
				}
			}
		}
	}
	return slices.Sorted(slices.Values(names))
}

// declarations are the exported names at the top of a package.
func declarations(inst *build.Instance) []string {
	names := map[string]bool{}
	for _, file := range inst.Files {
		for name := range syntax.Fields(file.Decls) {
			if !strings.HasPrefix(name, "_") {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// importNames are the names that a file gives to its imports.
func importNames(file *ast.File) map[string]string {
	names := map[string]string{}
	for spec := range file.ImportSpecs() {
		name, err := syntax.ImportName(spec)
		full, _ := syntax.ImportPath(spec)
		if err == nil {
			names[name] = syntax.Plain(full)
		}
	}
	return names
}
