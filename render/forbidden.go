package render

import (
	"path/filepath"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// forbidden finds "objects" written in an environment. CUE would take it and
// unify it with what the type makes, while the fields that the type reads still
// say something else.
func (p *envPackage) forbidden() Findings {
	var findings Findings
	for _, file := range p.userFiles() {
		rel, err := filepath.Rel(filepath.Join(p.repo.root, "envs"), file.Filename)
		if err != nil || !filepath.IsLocal(rel) {
			continue // a user's own stack makes objects
		}
		syntax.EachField(file.Decls, func(f *ast.Field, path []string) bool {
			name := path[len(path)-1]
			switch {
			case strings.HasPrefix(name, "#"), strings.HasPrefix(name, "_#"):
				return false // a type of the user's own
			case name == "patch", name == "extraObjects", name == "kustomize":
				return false
			case name != "objects" || len(path) < 3:
				return true
			}
			finding := Finding{Environment: p.dir.name, Path: strings.Join(trimEnvironment(path), ".")}
			p.repo.place(&finding, f.Pos())
			finding.Message = "objects are made by the type of the unit"
			finding.Hint = "bend one with patch: <object key>: {...}, add one under extraObjects"
			findings = append(findings, finding)
			return false
		})
	}
	return findings
}

// beside finds fields that stand next to the environment where they were meant to
// stand in it, behind a brace that closes too early for instance: they would have
// no effect. What the package refers to by that name is no such field.
func (ev *evaluated) beside() Findings {
	var findings Findings
	used := map[string]bool{}
	for _, file := range ev.inst.Files {
		ast.Walk(file, func(n ast.Node) bool {
			if ident, ok := n.(*ast.Ident); ok && ident.Node != nil {
				used[ident.Name] = true
			}
			return true
		}, nil)
	}
	for _, file := range ev.inst.Files {
		for label, field := range syntax.Fields(file.Decls) {
			if label == fieldEnvironment || used[label] || strings.HasPrefix(label, "_") || strings.HasPrefix(label, "#") {
				continue
			}
			f := Finding{Environment: ev.dir.name, Path: label, Message: "this stands beside the environment, and has no effect"}
			switch {
			case typed.Closest(label, []string{fieldEnvironment}) != "":
				f.DidYouMean = fieldEnvironment
			case ev.value().LookupPath(cue.MakePath(cue.Str(label))).Exists():
				f.Hint = "move it into " + fieldEnvironment + ": {...}"
			default:
				continue
			}
			ev.repo.place(&f, field.Pos())
			findings = append(findings, f)
		}
	}
	return findings
}

// trimEnvironment drops the field that all paths begin with.
func trimEnvironment(path []string) []string {
	if len(path) > 1 && path[0] == "environment" {
		return path[1:]
	}
	return path
}
