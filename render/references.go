package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// undefined finds references to what an imported package does not declare, such
// as a misspelt type. CUE takes them for values that may still come, and reports
// what follows from that instead.
func (ev *evaluated) undefined() Findings {
	var findings Findings
	declared := map[string][]string{} // by import path
	types := map[string][]string{}
	for _, inst := range ev.instances() {
		types[syntax.Plain(inst.ImportPath)] = unitTypes(inst)
		declared[syntax.Plain(inst.ImportPath)] = declarations(inst)
	}
	for _, file := range ev.userFiles() {
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
			f := Finding{Environment: ev.dir.name, Message: fmt.Sprintf("%s.%s is not defined", ident.Name, name)}
			if near := typed.Closest(name, names); near != "" {
				f.DidYouMean = ident.Name + "." + near
			} else {
				f.Expected = "one of " + enumerate(offered(names, types[imports[ident.Name]]))
			}
			ev.repo.place(&f, sel.Pos())
			findings = append(findings, f)
			return true
		}, nil)
	}
	return findings
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
