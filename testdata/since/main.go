// Command since prints in which version of Kubernetes each field and kind of the
// k8s.io/api module appeared, as far as that was after the first version given:
//
//	go run ./testdata/since v0.30.0 v0.31.0 ... v0.37.0 > render/typed/since.tsv
//
// and which fields a feature gate guards:
//
//	go run ./testdata/since gates v1.37.1 > render/typed/gates.tsv
//
// It reads the sources in the module cache (go mod download k8s.io/api@VERSION).
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: since VERSION VERSION... | since gates VERSION")
		os.Exit(2)
	}
	root, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err == nil && os.Args[1] == "gates" {
		err = gates(strings.TrimSpace(string(root)), os.Args[2])
	} else if err == nil {
		err = run(strings.TrimSpace(string(root)), os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(cache string, versions []string) error {
	fmt.Println("# package\ttype\tfield (- is the kind itself)\tsince")
	fmt.Printf("# From the sources of k8s.io/api %s to %s: go run ./testdata/since\n", versions[0], versions[len(versions)-1])
	known := map[string]bool{}
	var rows []string
	for i, version := range versions {
		names, err := names(filepath.Join(cache, "k8s.io", "api@"+version))
		if err != nil {
			return err
		}
		minor := strings.Split(version, ".")[1]
		types := map[string]bool{} // known before this version
		for name := range known {
			types[name[:strings.LastIndexByte(name, '\t')]] = true
		}
		for _, name := range names {
			typ, field := name[:strings.LastIndexByte(name, '\t')], name[strings.LastIndexByte(name, '\t')+1:]
			// The fields of a new type came with whatever refers to it.
			if i > 0 && !known[name] && (types[typ] || field == "-") {
				rows = append(rows, name+"\t1."+minor)
			}
			known[name] = true
		}
	}
	slices.Sort(rows)
	for _, row := range rows {
		fmt.Println(row)
	}
	return nil
}

// names are the fields of all types below a directory, and the kinds among them.
func names(dir string) ([]string, error) {
	var all []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Base(name) != "types.go" {
			return err
		}
		rel, err := filepath.Rel(dir, filepath.Dir(name))
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			name := spec.Name.Name
			if strings.HasSuffix(name, "Status") || strings.HasSuffix(name, "List") {
				return false // the server's own
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				all = append(all, fields(filepath.ToSlash(rel)+"\t"+name, s)...)
			}
			return false
		})
		return nil
	})
	return all, err
}

func fields(typ string, s *ast.StructType) []string {
	var found []string
	embeds := map[string]bool{}
	for _, f := range s.Fields.List {
		if len(f.Names) == 0 {
			if sel, ok := f.Type.(*ast.SelectorExpr); ok {
				embeds[sel.Sel.Name] = true
			}
		}
		if f.Tag == nil {
			continue
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			continue
		}
		name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		if name != "" && name != "-" {
			found = append(found, typ+"\t"+name)
		}
	}
	if embeds["TypeMeta"] && embeds["ObjectMeta"] {
		found = append(found, typ+"\t-")
	}
	return found
}
