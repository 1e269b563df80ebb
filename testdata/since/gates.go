package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// gates prints the fields that a feature gate guards, with the minor version from which it
// is on by default; "-" where it never was.
func gates(cache, version string) error {
	api := "v0." + strings.TrimPrefix(version, "v1.")
	on, err := defaultOn(filepath.Join(cache, "k8s.io", "kubernetes@"+version, "pkg", "features", "kube_features.go"))
	if err != nil {
		return err
	}
	fmt.Println("# package\ttype\tfield\tfeature gate\ton by default since")
	fmt.Printf("# From the sources of k8s.io/api %s and k8s.io/kubernetes %s: go run ./testdata/since gates %s\n", api, version, version)
	rows, err := guarded(filepath.Join(cache, "k8s.io", "api@"+api), on)
	if err != nil {
		return err
	}
	slices.Sort(rows)
	for _, row := range rows {
		fmt.Println(row)
	}
	return nil
}

// defaultOn is the minor version from which each gate is on by default, 0 where it is not.
func defaultOn(name string) (map[string]int, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		return nil, err
	}
	on := map[string]int{}
	ast.Inspect(file, func(n ast.Node) bool {
		entry, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		gate, ok := entry.Key.(*ast.Ident)
		specs, isList := entry.Value.(*ast.CompositeLit)
		if !ok || !isList {
			return true
		}
		for _, e := range specs.Elts {
			spec, ok := e.(*ast.CompositeLit)
			if !ok {
				return true // it depends on these
			}
			minor, enabled := stage(spec)
			switch {
			case minor == 0:
				return true
			case !enabled:
				on[gate.Name] = 0
			case on[gate.Name] == 0:
				on[gate.Name] = minor
			}
		}
		return false
	})
	if len(on) < 100 {
		return nil, fmt.Errorf("%s: %d gates", name, len(on))
	}
	return on, nil
}

// stage reads {Version: version.MustParse("1.35"), Default: true, ...}.
func stage(spec *ast.CompositeLit) (minor int, enabled bool) {
	for _, e := range spec.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			return 0, false
		}
		switch key := kv.Key.(*ast.Ident).Name; key {
		case "Version":
			if call, ok := kv.Value.(*ast.CallExpr); ok {
				text, _ := strconv.Unquote(call.Args[0].(*ast.BasicLit).Value)
				_, rest, _ := strings.Cut(text, ".")
				minor, _ = strconv.Atoi(rest)
			}
		case "Default":
			ident, ok := kv.Value.(*ast.Ident)
			enabled = ok && ident.Name == "true"
		}
	}
	return minor, enabled
}

func guarded(dir string, on map[string]int) ([]string, error) {
	var rows []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Base(name) != "types.go" {
			return err
		}
		rel, err := filepath.Rel(dir, filepath.Dir(name))
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			s, ok := spec.Type.(*ast.StructType)
			if !ok || strings.HasSuffix(spec.Name.Name, "Status") {
				return false // the server's own
			}
			for _, f := range s.Fields.List {
				for _, gate := range gatesOf(f) {
					minor, known := on[gate]
					if known && minor > 0 && minor <= 30 {
						continue
					}
					since := "-"
					if minor > 0 {
						since = fmt.Sprintf("1.%d", minor)
					}
					tag, _ := strconv.Unquote(f.Tag.Value)
					field, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
					if known && field != "" {
						rows = append(rows, strings.Join([]string{filepath.ToSlash(rel), spec.Name.Name, field, gate, since}, "\t"))
					}
				}
			}
			return false
		})
		return nil
	})
	return rows, err
}

// gatesOf are those of the markers +featureGate=A,B above a field.
func gatesOf(f *ast.Field) []string {
	if f.Doc == nil || f.Tag == nil {
		return nil
	}
	var found []string
	for _, c := range f.Doc.List {
		if names, ok := strings.CutPrefix(strings.TrimSpace(strings.TrimPrefix(c.Text, "//")), "+featureGate="); ok {
			found = append(found, strings.Split(names, ",")...)
		}
	}
	return found
}
