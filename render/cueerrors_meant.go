package render

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

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
		f.DidYouMean = typed.Closest(name, alike(name, t.ev.labels()))
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
					f.Message, f.DidYouMean = noField+name, typed.Closest(name, alike(name, labels))
					t.repo.place(f, sel.Sel.Pos())
				}
				return true
			}, nil)
			return false
		}, nil)
	}
}

// twoDefaults begins what CUE says of a value with two defaults, to whatever asks for it.
const twoDefaults = "unresolved disjunction "

// ofTwoDefaults says which field of an app has two defaults: that of a shared list, and
// that of the environment.
func (t translator) ofTwoDefaults(f *Finding, e cueError) bool {
	if t.ev == nil || len(e.path) < unitDepth {
		return false
	}
	unit := slices.Clone(e.path[:unitDepth])
	for _, name := range t.siblings(append(unit, "")) {
		path := append(slices.Clone(unit), name)
		value := fmt.Sprint(t.ev.root.LookupPath(stringPath(path)))
		shared := t.ev.root.LookupPath(stringPath([]string{unit[0], "defaults", name}))
		if !shared.Exists() || !strings.HasPrefix(e.text, twoDefaults+value) {
			continue
		}
		if of := strings.Split(value, " | "); len(of) > 2 {
			f.Path, f.Message = displayPath(path), fmt.Sprintf("two defaults, %s and %s", of[0], of[1])
			f.Hint = fmt.Sprintf("one is of the list of apps, and one of the environment's defaults: say %s of this app in the environment, or take one of the two out", name)
			return true
		}
	}
	return false
}

// alike are the names that are definitions where one is, and fields where it is one.
func alike(name string, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(other string) bool {
		return strings.HasPrefix(other, "#") != strings.HasPrefix(name, "#") || strings.HasPrefix(other, "_") != strings.HasPrefix(name, "_")
	})
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
		"address": {"servers"}, "annotations": {"podAnnotations"}, "autoscaling": {"autoscale"}, "claimName": {"existingClaim", "claim"}, "clusterName": {"context"},
		"configMapName": {"configMap"}, "configMapRef": {"configMap"}, "configMapKeyRef": {"configMap"}, "containerPort": {"port"},
		"containers": {"sidecars"}, "cron": {"schedule"}, "emptyDir": {"empty"}, "environment": {"env"}, "extraEnv": {"env"}, "extraContainers": {"sidecars"},
		"extraVolumes": {"volumes"}, "fieldRef": {"field"}, "horizontalPodAutoscaler": {"autoscale"}, "hosts": {"host"}, "hpa": {"autoscale"},
		"httpGet": {"path"}, "ingressClassName": {"class", "ingressClass"}, "labels": {"podLabels"}, "lifecycle": {"preStopCommand"},
		"depends_on": {"after"}, "dependsOn": {"after"}, "envVars": {"env"}, "extraEnvVars": {"env"}, "healthcheck": {"probes"}, "healthCheck": {"probes"},
		"gracePeriod": {"terminationGracePeriodSeconds"}, "gracePeriodSeconds": {"terminationGracePeriodSeconds"}, "stop_grace_period": {"terminationGracePeriodSeconds"},
		"nodeName": {"nodeSelector"}, "ingressClass": {"class"}, "serviceType": {"service"}, "entrypoint": {"command"}, "cmd": {"args"}, "networks": {"networkPolicy"},
		"mem": {"memory"}, "ram": {"memory"}, "cpus": {"cpu"}, "minimum": {"min"}, "maximum": {"max"}, "concurrency": {"concurrencyPolicy", "parallelism"},
		"livenessProbe": {"probes"}, "maxReplicas": {"max"}, "minReplicas": {"min"}, "metadata": {"podLabels"}, "mountPath": {"path"}, "name": {"secret", "context", "key"},
		"pdb": {"disruptionBudget"}, "persistence": {"volumes"}, "persistentVolumeClaim": {"claim"}, "podDisruptionBudget": {"disruptionBudget"},
		"pvc": {"claim"}, "readinessProbe": {"probes"}, "replicaCount": {"replicas"}, "resourceFieldRef": {"resource"}, "rules": {"hosts"}, "runAsUser": {"user"},
		"secretKeyRef": {"secret", "envRef"}, "secretName": {"secret"}, "secretRef": {"secrets", "secret"}, "securityContext": {"security"},
		"startupProbe": {"probes"}, "storage": {"size"}, "storageClassName": {"storageClass"}, "targetCPUUtilizationPercentage": {"cpu"},
		"targetMemoryUtilizationPercentage": {"memory"}, "targetPort": {"port"}, "tlsSecret": {"tls"}, "valueFrom": {"envRef"}, "volumeMounts": {"volumes"},
		"analysis": {"checks"}, "interval": {"every"}, "items": {"keys"}, "data": {"keys"}, "stringData": {"keys"}, "pause": {"hold"}, "setWeight": {"percent"},
		"tcpSocket": {"port"}, "exec": {"command"}, "ttl": {"ttlSecondsAfterFinished"},
	}
	for _, ours := range words[theirs] {
		if slices.Contains(fields, ours) {
			return ours
		}
	}
	return ""
}

// placeOf says where what a name of Kubernetes, or of a chart, stands for is written, where
// that is no field of another name; fields are those that there are.
func placeOf(theirs string, fields []string) string {
	if slices.Contains(fields, "kubernetesVersion") && theirs == "context" {
		return "cluster: context"
	}
	if slices.Contains(fields, "limits") && theirs == "requests" {
		return "resources: {cpu: ..., memory: ...}, without requests"
	}
	if place := placeOfExternal(theirs, fields); place != "" {
		return place
	}
	switch {
	case slices.Contains(fields, "maxSurge") && (theirs == "canary" || theirs == "blueGreen"),
		slices.Contains(fields, "patch") && (theirs == "canary" || theirs == "blueGreen"),
		slices.Equal(fields, []string{"canary"}):
		return "rollout: canary: steps: [{percent: 20, hold: \"10m\"}]"
	case slices.Contains(fields, "steps") && slices.Contains(fields, "checks") && (theirs == "maxSurge" || theirs == "maxUnavailable"):
		return "strategy: {maxSurge: ..., maxUnavailable: ...}, beside rollout"
	case slices.Contains(fields, "maxSurge") && theirs == "rollingUpdate":
		return "strategy: {maxSurge: ..., maxUnavailable: ...}, without rollingUpdate"
	case slices.Contains(fields, "resource") && slices.Contains(fields, "field") && theirs == "valueFrom":
		return `{secret: "NAME", key: "KEY"}, without valueFrom`
	case slices.Contains(fields, "rewrite") && (theirs == "enabled" || theirs == "host" || theirs == "tls" || theirs == "paths"):
		return "the app itself, beside ingress: host, paths and tls make its Ingress"
	}
	if slices.Contains(fields, "appProtocols") && (theirs == "port" || theirs == "ports" || theirs == "targetPort" || theirs == "nodePort") {
		return "ports: http: {servicePort: ...}"
	}
	if !slices.Contains(fields, "patch") {
		return ""
	}
	switch theirs {
	case "imagePullSecrets", "pullSecrets", "pullSecret":
		return "pullSecret of the environment"
	case "disabled", "disable", "off", "skip":
		return "enabled: false"
	case "kind", "apiVersion", "objects":
		return "the type of the app: it makes the objects; further ones stand in extraObjects"
	case "fullnameOverride", "nameOverride", "fullName":
		return "the name of the app, which its objects have"
	case "mem_limit", "memory_limit", "memoryLimit", "mem_reservation":
		return "resources: memory"
	case "cpuLimit", "cpu_limit":
		return "resources: limits: cpu"
	case "ingressClassName":
		return "ingress: class"
	case "restart", "restartPolicy":
		return "the type of the app: what runs on is started again, a Job is not"
	case "spec", "template":
		return "the app itself: the fields of " + theirs + " stand in it by their own names"
	case "tag", "repository":
		return `image: "REGISTRY/NAME:TAG"`
	case "args", "command":
		return ""
	}
	return ""
}

// placeOfExternal is placeOf for what others make.
func placeOfExternal(theirs string, fields []string) string {
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(fields, name) })
	}
	const entry = `external: secrets: NAME: keys: ["KEY"]`
	switch {
	case has("apiGroups", "claims") && slices.Contains([]string{"keys", "key", "name", "namespace", "optional"}, theirs),
		has("file", "type") && len(fields) == 2 && slices.Contains([]string{"keys", "key", "namespace", "optional"}, theirs):
		return entry + ", where others make it"
	case theirs == "external" && (has("patch") || has("networks", "entry")):
		return entry + " of the environment"
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

var (
	// ofPackage matches what CUE says of a directory whose files are of another package.
	ofPackage = regexp.MustCompile(`^cannot find package "([^"]+)": no files in package directory with package name "(\w+)"`)
	// inFile matches what it says of a package with a file whose imports it cannot read.
	inFile = regexp.MustCompile(`: cannot get imports: .* in (\S+\.cue)$`)
)

// inPackage says what is wrong with the files of a package that is imported, where the
// import leads to one; false where it does not.
func (r *Repo) inPackage(f *Finding, text string) bool {
	if m := inFile.FindStringSubmatch(text); m != nil {
		name := filepath.Join(r.root, filepath.FromSlash(m[1]))
		data, err := fs.ReadFile(r.fsys, m[1])
		if err != nil {
			return false
		}
		_, err = parser.ParseFile(name, data)
		errs := errors.Errors(err)
		if len(errs) == 0 {
			return false
		}
		format, args := errs[0].Msg()
		f.Path, f.Message = "", fmt.Sprintf(format, args...)
		r.place(f, errs[0].Position())
		return true
	}
	m := ofPackage.FindStringSubmatch(text)
	if m == nil {
		return false
	}
	dir, ok := strings.CutPrefix(syntax.Plain(m[1]), r.module+"/")
	names, err := fs.Glob(r.fsys, dir+"/*.cue") // the pattern is well formed
	if !ok || err != nil {
		return false
	}
	for _, name := range names {
		abs := filepath.Join(r.root, filepath.FromSlash(name))
		data, err := fs.ReadFile(r.fsys, name)
		if err != nil {
			continue
		}
		file, err := parser.ParseFile(abs, data)
		if err != nil {
			continue
		}
		f.Path, f.pos, f.File, f.Line, f.Col = "", token.NoPos, r.fileName(abs), 1, 1
		switch of := file.PackageName(); {
		case of != "":
			f.Message = fmt.Sprintf("this file is of package %s, and who imports it looks for %s", of, m[2])
			f.Hint = fmt.Sprintf("write package %s, or import %q", m[2], m[1]+":"+of)
			for _, decl := range file.Decls {
				if clause, ok := decl.(*ast.Package); ok {
					r.place(f, clause.Name.Pos())
				}
			}
		case strings.Contains("\n"+string(data), "\npackage "):
			f.Message, f.Hint = "the package clause comes first", "put imports and all else behind it"
		default:
			f.Message, f.Hint = "this file is of no package", "begin it with: package "+m[2]
		}
		return true
	}
	return false
}

// otherModule says that the module has another name than all imports say, where one leads
// to a directory that is there.
func (r *Repo) otherModule(f *Finding, wanted string) bool {
	name := ""
	for at := 0; at < len(wanted); at++ {
		if wanted[at] != '/' {
			continue
		}
		if info, err := fs.Stat(r.fsys, wanted[at+1:]); err == nil && info.IsDir() {
			name = wanted[:at]
			break
		}
	}
	dirs, err := r.cueDirs()
	if name == "" || name == r.module || err != nil {
		return false
	}
	for _, d := range dirs {
		for _, path := range d.imports {
			if strings.HasPrefix(path, r.module+"/") {
				return false
			}
		}
	}
	const file = "cue.mod/module.cue"
	data, err := fs.ReadFile(r.fsys, file)
	if err != nil {
		return false
	}
	f.Path, f.Unit, f.pos = "", "", token.NoPos
	f.File, f.Line, f.Col = r.fileName(filepath.Join(r.root, filepath.FromSlash(file))), 1, 1
	for i, line := range strings.Split(string(data), "\n") {
		if col := strings.Index(line, `"`+r.module); strings.HasPrefix(line, "module:") && col >= 0 {
			f.Line, f.Col = i+1, col+1
		}
	}
	f.Message = fmt.Sprintf("the module is called %s, and all imports say %s", r.module, name)
	f.Hint = "give it that name"
	f.gone = r.module
	return true
}

// packageLike is the import path of the repository that was probably meant.
func (r *Repo) packageLike(wanted string) string {
	wanted = strings.TrimSuffix(wanted, "/")
	if path.Ext(wanted) == ".cue" {
		wanted = path.Dir(wanted)
	}
	if near := typed.Closest(path.Base(wanted), []string{"schema"}); path.Base(wanted) == "schema" || near != "" && strings.Contains(wanted, path.Base(Module)) {
		if wanted != Module+"/schema" {
			return Module + "/schema"
		}
	}
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

// inASCII is a name with the letters in place of those that only look like them.
func inASCII(name string) string {
	return strings.Map(func(c rune) rune {
		if plain := asASCII(c); plain != 0 {
			return plain
		}
		return c
	}, name)
}

// misplaced says where a field belongs that stands in the wrong place: an app in another
// app, fields below the name of a registry.
func (t translator) misplaced(f *Finding, path []string) {
	if len(path) < unitDepth+1 || path[1] != "apps" {
		return
	}
	switch name := last(path); {
	case len(path) == unitDepth+1 && slices.Contains(t.siblings(append(slices.Clone(path[:unitDepth-1]), "")), name):
		f.DidYouMean, f.Hint = "", fmt.Sprintf("%s is an app: it stands beside %s, not in it", name, path[unitDepth-1])
		f.inside = name
	case path[unitDepth] == "registry":
		f.Hint = "an app names one of the registries that the environment has: registry: NAME"
	}
}

// wrongWord says in other words what CUE says of operators and of names.
func (t translator) wrongWord(f *Finding) {
	if m := wrongOperator.FindStringSubmatch(f.Message); m != nil {
		f.Message, f.derived = fmt.Sprintf("a type and its fields are put together with &, not with %s", m[1]), false
		f.Hint = "such as schema.#WebApp & {"
	}
	if m := unusedAlias.FindStringSubmatch(f.Message); m != nil {
		f.Path, f.Message, f.derived = "", "a field has a colon, not =", false
		f.Hint = fmt.Sprintf("write %s: value", m[1])
	}
	if m := importedAgain.FindStringSubmatch(f.Message); m != nil {
		f.Message, f.Hint = "this is imported twice", "take one of them out; the other one is at "+m[1]
	}
	if m := badImport.FindStringSubmatch(f.Message); m != nil {
		f.Message = "no package has this import path"
		for _, name := range []string{m[1], m[2], m[3]} {
			if name != "" {
				f.DidYouMean = t.repo.packageLike(name)
			}
		}
		if f.DidYouMean == "" {
			f.Hint = "an import begins with the module, " + t.repo.module + ", or that of the definitions, " + Module
		}
	}
	if strings.Contains(f.Message, "parser returned invalid quoted string") {
		f.Path, f.Message, f.Hint = "", "an import stands in double quotes", ""
	}
	if m := typeCalled.FindStringSubmatch(f.Message); m != nil {
		f.Message, f.derived = "a type is no function, and has no ( ) behind it", false
		f.Hint = fmt.Sprintf("write schema.%s & {...}", m[1])
	}
	if f.Message == "preference mark not allowed at this position" {
		f.Message, f.derived, f.Hint = "a default stands in front of a | and of what else may be there", false, `such as *"5Gi" | _`
	}
}

var (
	// wrongOperator matches what CUE says of structs that an operator does not take.
	wrongOperator = regexp.MustCompile(`^invalid (?:left|right)-hand value to '(\S+)' \(type struct\)`)
	typeCalled    = regexp.MustCompile(`^cannot call non-function "[^"]+"\.(#\w+)`)
	unusedAlias   = regexp.MustCompile(`^unreferenced alias or let clause (\w+)`)
	importedAgain = regexp.MustCompile(`redeclared as imported package name previous declaration at (\S+)`)
	badImport     = regexp.MustCompile(`^(?:relative import paths not allowed \("([^"]+)"\)|builtin package "([^"]+)" undefined|invalid import path "([^"]+)")`)
)

// below is where a field stands that was written one level too high, such as claim.size
// for size; empty where it stands in none of the structs, or in more than three.
func (t translator) below(path []string, names []string) string {
	var found []string
	for _, name := range names {
		if len(name) == 0 || name[0] == '#' {
			continue
		}
		inside := append(slices.Clone(path[:len(path)-1]), name, "")
		if slices.Contains(t.siblings(inside), last(path)) {
			found = append(found, name+"."+last(path))
		}
	}
	if len(found) == 0 || len(found) > 3 {
		return ""
	}
	return strings.Join(found, " or ")
}

// ofType names the types of apps that have a field which the app's type has not.
func (t translator) ofType(path []string) string {
	if len(path) != unitDepth+1 || path[1] != "apps" || t.ev == nil {
		return ""
	}
	kind, _ := t.ev.root.LookupPath(stringPath(append(slices.Clone(path[:unitDepth]), "type"))).String()
	var types []string
	for _, inst := range t.ev.instances() {
		if syntax.Plain(inst.ImportPath) != Module+"/schema" {
			continue
		}
		all := t.ev.root.Context().BuildInstance(inst) //nolint:staticcheck // values of two contexts do not meet
		for _, name := range unitTypes(inst) {
			iter, err := all.LookupPath(cue.MakePath(cue.Def(name))).Fields(cue.Optional(true))
			for err == nil && iter.Next() {
				if sel := iter.Selector(); sel.IsString() && sel.LabelType() == cue.StringLabel && sel.Unquoted() == last(path) {
					types = append(types, "schema."+name)
				}
			}
		}
	}
	if kind == "" || len(types) == 0 || slices.Contains(types, "schema.#"+kind) {
		return ""
	}
	const few = 4
	if len(types) > few {
		return fmt.Sprintf("a %s has none, as other types have", kind)
	}
	return fmt.Sprintf("a %s has none; of %s it is a field", kind, strings.Join(types, ", "))
}
