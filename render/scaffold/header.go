package scaffold

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/literal"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
)

// EnvHeader is an environment without units.
type EnvHeader struct {
	Name      string
	Namespace string
	Context   string // of the kubeconfig
	Level     string // Pod Security level
}

// NewEnv writes an environment without units, on the site of another one whose
// files are given. It returns the file and the name of its CUE package.
func NewEnv(like []File, h EnvHeader) (file File, pkg string, err error) {
	if !nameForm.MatchString(h.Name) {
		return File{}, "", fmt.Errorf("environment %q: a name has lower case letters, digits and dashes, at most 63", h.Name)
	}
	sources, err := parseAll(like)
	if err != nil {
		return File{}, "", err
	}
	site, imported, err := siteOf(sources)
	if err != nil {
		return File{}, "", err
	}
	pkg = packageName(h.Name)
	var b strings.Builder
	fmt.Fprintf(&b, "// Package %s is the environment %s.\npackage %s\n\n", pkg, h.Name, pkg)
	fmt.Fprintf(&b, "import (\n\t%q\n\t%s\n)\n\n", schemaPackage, imported)
	fmt.Fprintf(&b, "environment: schema.#Environment & {\n\tname: %q\n", h.Name)
	if h.Namespace != h.Name {
		fmt.Fprintf(&b, "\tnamespace: %q\n", h.Namespace)
	}
	fmt.Fprintf(&b, "\tsite: %s\n", site)
	if h.Context != "" {
		fmt.Fprintf(&b, "\tcluster: context: %s\n", literal.String.Quote(h.Context))
	}
	if h.Level != "restricted" {
		fmt.Fprintf(&b, "\tpodSecurity: %q // as it was imported\n", h.Level)
	}
	b.WriteString("}\n")
	data, err := format.Source([]byte(b.String()))
	return File{Name: path.Join("envs", h.Name, h.Name+".cue"), Data: data}, pkg, err
}

// siteOf is what an environment says about its site: the expression, and the
// import that it needs.
func siteOf(sources []*source) (expr, imported string, err error) {
	for _, s := range sources {
		for _, f := range syntax.FieldsAt(s.tree.Decls, "environment", "site") {
			expr = string(s.Data[f.Value.Pos().Offset():f.Value.End().Offset()])
			sel, ok := f.Value.(*ast.SelectorExpr)
			if !ok {
				return expr, "", nil
			}
			id, ok := sel.X.(*ast.Ident)
			if !ok {
				return expr, "", nil
			}
			for spec := range s.tree.ImportSpecs() {
				name, err := syntax.ImportName(spec)
				if err == nil && name == id.Name {
					return expr, string(s.Data[spec.Pos().Offset():spec.End().Offset()]), nil
				}
			}
		}
	}
	return "", "", errors.New("no field site to take over")
}
