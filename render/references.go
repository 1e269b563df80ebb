package render

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"

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
		types[plainImport(inst.ImportPath)] = unitTypes(inst)
		declared[plainImport(inst.ImportPath)] = declarations(inst)
	}
	for _, file := range ev.userFiles() {
		imports := importNames(file)
		ast.Walk(file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			ident, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			if _, ok := ident.Node.(*ast.ImportSpec); !ok {
				return true
			}
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
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.Field)
			if !ok {
				continue
			}
			name, _, err := ast.LabelName(f.Label)
			if err != nil || !strings.HasPrefix(name, "#") {
				continue
			}
			eachStruct(f.Value, func(lit *ast.StructLit) {
				fieldsNamed(lit.Elts, "type", func(typ *ast.Field) {
					if lit, ok := typ.Value.(*ast.BasicLit); ok && lit.Value == strconv.Quote(name[1:]) {
						names = append(names, name)
					}
				})
			}, func(ast.Expr) {})
		}
	}
	return slices.Sorted(slices.Values(names))
}

// declarations are the exported names at the top of a package.
func declarations(inst *build.Instance) []string {
	names := map[string]bool{}
	for _, file := range inst.Files {
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.Field); ok {
				if name, _, err := ast.LabelName(f.Label); err == nil && !strings.HasPrefix(name, "_") {
					names[name] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// importNames are the names that a file gives to its imports.
func importNames(file *ast.File) map[string]string {
	names := map[string]string{}
	for spec := range file.ImportSpecs() {
		full, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		name := path.Base(full)
		if _, after, ok := strings.Cut(name, ":"); ok {
			name = after
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = plainImport(full)
	}
	return names
}

// plainImport drops the package name and the major version of an import path.
func plainImport(p string) string {
	p, _, _ = strings.Cut(p, ":")
	dir, version, ok := strings.Cut(p, "@")
	if !ok {
		return p
	}
	_, rest, _ := strings.Cut(version, "/")
	return strings.TrimSuffix(dir+"/"+rest, "/")
}
