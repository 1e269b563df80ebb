package render

import (
	"maps"
	"path"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// What was probably meant: by a field or a name that is not there, an import that leads
// nowhere, one that a field hides.

// undefinedField says which field was meant by one that a reference asks for. In the
// interpolation of a text CUE does not say which one it is.
func (t translator) undefinedField(f *Finding) {
	if t.ev == nil {
		return
	}
	if name, ok := strings.CutPrefix(f.Message, noField); ok {
		f.DidYouMean = typed.Closest(name, t.ev.labels())
		return
	}
	if f.Message != "invalid interpolation" {
		return
	}
	labels := t.ev.labels()
	for _, file := range t.ev.userFiles() {
		ast.Walk(file, func(n ast.Node) bool {
			text, ok := n.(*ast.Interpolation)
			if !ok || !f.pos.IsValid() || text.Pos().Filename() != f.pos.Filename() || text.Pos().Line() != f.pos.Line() {
				return true
			}
			ast.Walk(text, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok || syntax.Import(sel.X) != nil { // what a package has is said otherwise
					return true
				}
				if name, _, err := ast.LabelName(sel.Sel); err == nil && !slices.Contains(labels, name) {
					f.Message, f.DidYouMean = noField+name, typed.Closest(name, labels)
					t.repo.place(f, sel.Sel.Pos())
				}
				return true
			}, nil)
			return false
		}, nil)
	}
}

// labels are the names of all fields of the environment's package and of what it imports.
func (p *envPackage) labels() []string {
	names := map[string]bool{}
	for _, inst := range p.instances() {
		for _, file := range inst.Files {
			ast.Walk(file, func(n ast.Node) bool {
				if field, ok := n.(*ast.Field); ok {
					if name, _, err := ast.LabelName(field.Label); err == nil {
						names[name] = true
					}
				}
				return true
			}, nil)
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// ourWord is the field that says what one of Kubernetes says.
func ourWord(theirs string, fields []string) string {
	words := map[string][]string{
		"annotations": {"podAnnotations"}, "autoscaling": {"autoscale"}, "claimName": {"existingClaim", "claim"},
		"configMapName": {"configMap"}, "configMapRef": {"configMap"}, "containerPort": {"port"}, "cron": {"schedule"},
		"emptyDir": {"empty"}, "environment": {"env"}, "hosts": {"host"}, "ingressClassName": {"class", "ingressClass"},
		"labels": {"podLabels"}, "livenessProbe": {"probes"}, "maxReplicas": {"max"}, "minReplicas": {"min"},
		"mountPath": {"path"}, "persistentVolumeClaim": {"claim"}, "podDisruptionBudget": {"disruptionBudget"},
		"readinessProbe": {"probes"}, "secretKeyRef": {"envRef"}, "secretName": {"secret"}, "securityContext": {"security"},
		"startupProbe": {"probes"}, "targetPort": {"port"}, "tlsSecret": {"tls"}, "volumeMounts": {"volumes"},
	}
	for _, ours := range words[theirs] {
		if slices.Contains(fields, ours) {
			return ours
		}
	}
	return ""
}

// noField is how CUE begins to say that a struct has no such field.
const noField = "undefined field: "

// unregistered says of an app that names a registry which the environment does not have.
func (t translator) unregistered(f *Finding, e cueError, name string) {
	f.derived = true // registries may be what is wrong
	f.Path, f.Message, f.Found = displayPath(e.path), noRegistry, name
	f.Hint = "declare it: registries: " + strings.Trim(name, `"`) + ": zookeeper: {} or nacos: {...}"
}

const noRegistry = "the environment has no registry of this name"

// noPackage is how CUE begins to say that an import leads nowhere.
const noPackage = "cannot find package "

// packageLike is the import path of the repository that was probably meant.
func (r *Repo) packageLike(wanted string) string {
	dirs, err := r.cueDirs()
	if err != nil {
		return ""
	}
	if named := r.packagesNamed(path.Base(wanted)); len(named) == 1 && named[0] != wanted { // it was moved
		return named[0]
	}
	byName := map[string][]string{}
	for _, d := range dirs {
		if !d.declares && r.module+"/"+d.dir != wanted { // nobody imports an environment
			byName[path.Base(d.dir)] = append(byName[path.Base(d.dir)], r.module+"/"+d.dir)
		}
	}
	near := path.Base(wanted)
	if len(byName[near]) == 0 {
		near = typed.Closest(near, slices.Collect(maps.Keys(byName)))
	}
	if len(byName[near]) == 1 {
		return byName[near][0]
	}
	return typed.Closest(wanted, byName[near])
}

// notUsed is how CUE begins to say that an import is not referred to.
const notUsed = "imported and not used: "

// hides is the field that has the name of an import which CUE calls unused, and that is
// referred to all the same: the field takes the reference. Empty where there is none.
func (t translator) hides(f *Finding) string {
	if t.ev == nil || t.ev.inst == nil || !strings.HasPrefix(f.Message, notUsed) {
		return ""
	}
	for _, file := range t.ev.userFiles() {
		if file.Filename != f.pos.Filename() {
			continue
		}
		for spec := range file.ImportSpecs() {
			name, err := syntax.ImportName(spec)
			if err != nil || spec.Pos().Line() != f.Line {
				continue
			}
			field, used := false, false
			ast.Walk(file, func(n ast.Node) bool {
				switch x := n.(type) {
				case *ast.Field:
					is, _ := syntax.Name(x)
					field = field || is == name
				case *ast.SelectorExpr:
					id, ok := x.X.(*ast.Ident)
					used = used || ok && id.Name == name
				}
				return true
			}, nil)
			if field && used {
				return name
			}
		}
	}
	return ""
}

// exported is the definition of an imported package that a name was probably meant for,
// such as schema.#WebApp for #WebApp; empty where there is none, or more than one.
func (t translator) exported(name string) string {
	if t.ev == nil || !strings.HasPrefix(name, "#") {
		return ""
	}
	found := ""
	for _, inst := range t.ev.instances() {
		if inst == t.ev.inst || !slices.Contains(declarations(inst), name) {
			continue
		}
		if found != "" {
			return ""
		}
		found = inst.PkgName + "." + name
	}
	return found
}
