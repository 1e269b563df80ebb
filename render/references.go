package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/token"

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
			f := Finding{Environment: p.dir.name, Message: fmt.Sprintf("%s.%s is not defined", ident.Name, name)}
			if near := typed.Closest(name, names); near != "" {
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
			name, taken, at, ok := p.definition(list)
			if !ok {
				continue
			}
			f := Finding{Environment: p.dir.name, Hint: "add them there, end that list with ..., or name it without the #"}
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
				case f.Path == "":
					f.Path = group + "." + unit
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
				if f.listed = at; at.IsValid() {
					f.listedFile = p.repo.fileName(at.Filename())
				}
				f.Message = fmt.Sprintf("%s is a definition, and so has no place for further %s: %s", name, group, strings.Join(units, ", "))
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
// that it has, with its place; false where it is none, or takes fields of any name.
func (p *envPackage) definition(expr ast.Expr) (name string, fields []string, at token.Pos, ok bool) {
	inst, label := p.inst, ""
	switch e := expr.(type) {
	case *ast.Ident:
		name, label = e.Name, e.Name
	case *ast.SelectorExpr:
		spec := syntax.Import(e.X)
		sel, _, err := ast.LabelName(e.Sel)
		if spec == nil || err != nil {
			return "", nil, token.NoPos, false
		}
		full, err := syntax.ImportPath(spec)
		if inst = inst.LookupImport(full); err != nil || inst == nil {
			return "", nil, token.NoPos, false
		}
		ident, _ := e.X.(*ast.Ident)
		name, label = ident.Name+"."+sel, sel
	}
	if !strings.HasPrefix(label, "#") && !strings.HasPrefix(label, "_#") {
		return "", nil, token.NoPos, false
	}
	for _, file := range inst.Files {
		for f := range syntax.Named(file.Decls, label) {
			at = f.Pos()
			structs, others := syntax.Parts(f.Value)
			if len(others) > 0 {
				return "", nil, token.NoPos, false
			}
			for _, lit := range structs {
				for _, decl := range lit.Elts {
					field, isField := decl.(*ast.Field)
					if !isField {
						return "", nil, token.NoPos, false // ... and whatever else adds fields
					}
					unit, plain := syntax.Name(field)
					if !plain {
						return "", nil, token.NoPos, false
					}
					fields, ok = append(fields, unit), true
				}
			}
		}
	}
	return name, fields, at, ok
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
