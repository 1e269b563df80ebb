package importer

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/internal/plain"
	"github.com/seed-428f4edd/evenkeel/render/chart"
)

// Engine is an object by which another tool applies something: a HelmRelease or
// Kustomization of Flux, an Application of Argo CD, a KluctlDeployment. It is not
// imported itself; what it applies is, or is named with the command that does.
type Engine struct {
	Ref  string // Kind/namespace/name
	From string
	// Says is what it applies, in words.
	Says string
	// Next is the command that imports what the object only points to; "" where a chart
	// becomes a unit.
	Next string
	// Lost is what it says besides and a unit does not have.
	Lost []string
	// Stop is the command after which the tool leaves its objects alone.
	Stop string

	chart *helmChart
}

// helmChart is a chart as an engine asks for it.
type helmChart struct {
	name, version, repo string
	release, namespace  string
	values              map[string]any
	after               []string
}

// Engines takes the objects of other tools out of what was read. The command that
// imports what one of them points to makes the environment env, or where there are
// several, one of the object's name each.
func Engines(items []Item, env string) (rest []Item, engines []Engine) {
	sources := map[string]Object{}
	for _, item := range items {
		if groupOf(item.Object) == "source.toolkit.fluxcd.io" {
			sources[sourceKey(text(item.Object, "kind"), text(item.Object, "metadata", "namespace"), text(item.Object, "metadata", "name"))] = item.Object
		}
	}
	pointing := 0
	for _, item := range items {
		if pointsOn(item.Object) {
			pointing++
		}
	}
	for _, item := range items {
		e := Engine{Ref: ref(item.Object), From: item.From}
		env := env
		if pointing > 1 && pointsOn(item.Object) { // an environment of one name is imported once
			env = plain.Argument(text(item.Object, "metadata", "name"))
		}
		switch kind := groupOf(item.Object) + "/" + text(item.Object, "kind"); {
		case kind == "helm.toolkit.fluxcd.io/HelmRelease":
			e.helmRelease(item.Object, sources)
		case kind == "kustomize.toolkit.fluxcd.io/Kustomization":
			e.kustomization(item.Object, sources, env)
		case kind == "argoproj.io/Application":
			e.application(item.Object, env)
		case kind == "gitops.kluctl.io/KluctlDeployment":
			e.kluctl(item.Object, env)
		case kind == "argoproj.io/ApplicationSet":
			e.Says = "makes Applications from a template: import those that it made (kubectl get applications.argoproj.io -A -o yaml)"
		case kind == "argoproj.io/AppProject":
			e.Says = "says what Applications may do: nothing of it is applied"
		case groupOf(item.Object) == "source.toolkit.fluxcd.io":
			e.Says = "says where something lies: nothing of it is applied"
		default:
			rest = append(rest, item)
			continue
		}
		engines = append(engines, e)
	}
	return rest, engines
}

// pointsOn says whether an object only says where manifests lie.
func pointsOn(obj Object) bool {
	switch groupOf(obj) + "/" + text(obj, "kind") {
	case "kustomize.toolkit.fluxcd.io/Kustomization", "argoproj.io/Application", "gitops.kluctl.io/KluctlDeployment":
		return true
	}
	return false
}

func groupOf(obj Object) string {
	gv, _ := kschema.ParseGroupVersion(text(obj, "apiVersion"))
	return gv.Group
}

func sourceKey(kind, namespace, name string) string { return kind + "/" + namespace + "/" + name }

// sourceOf is the object of Flux that a field refers to, and its address.
func sourceOf(obj Object, at map[string]any, sources map[string]Object) (kind, url string) {
	kind = text(at, "kind")
	namespace := cmp.Or(text(at, "namespace"), text(obj, "metadata", "namespace"))
	return kind, openly(text(sources[sourceKey(kind, namespace, text(at, "name"))], "spec", "url"))
}

// helmRelease: fluxcd.io, "Helm Releases". A release is called after its namespace, too,
// where that is another one than the object's.
func (e *Engine) helmRelease(obj Object, sources map[string]Object) {
	spec := mapping(obj, "spec")
	own, name := text(obj, "metadata", "namespace"), text(obj, "metadata", "name")
	target := text(spec, "targetNamespace")
	release := name
	if target != "" {
		release = target + "-" + name
	}
	c := &helmChart{
		release: cmp.Or(text(spec, "releaseName"), release), namespace: cmp.Or(target, own), values: mapping(spec, "values"),
		name: text(spec, "chart", "spec", "chart"), version: text(spec, "chart", "spec", "version"),
	}
	kind, url := sourceOf(obj, mapping(spec, "chart", "spec", "sourceRef"), sources)
	if of := mapping(spec, "chartRef"); len(of) > 0 {
		kind, url = sourceOf(obj, of, sources)
		namespace := cmp.Or(text(of, "namespace"), own)
		c.name = path.Base(url)
		c.version = text(sources[sourceKey(kind, namespace, text(of, "name"))], "spec", "ref", "tag")
		url = strings.TrimSuffix(url, "/"+c.name)
	}
	if ran := list(obj, "status", "history"); len(ran) > 0 { // what runs, where the field is a range
		c.version = cmp.Or(text(ran[0], "chartVersion"), c.version)
	}
	c.repo = url
	if kind == "GitRepository" || kind == "Bucket" {
		c.repo = ""
		e.Lost = append(e.Lost, fmt.Sprintf("its chart lies in the %s %s at %s: copy it to charts/%s", kind, url, c.name, path.Base(c.name)))
		c.name = path.Base(c.name)
	}
	e.chart = c
	e.Stop = suspend("helmreleases.helm.toolkit.fluxcd.io", own, name)
	e.lose(spec, map[string]string{
		"valuesFrom":       "values from ConfigMaps and Secrets: take the release itself over, evenkeel import --helm-release " + plain.Argument(c.release) + " -n " + plain.Argument(c.namespace),
		"postRenderers":    "write them as patch or kustomize of the unit",
		"driftDetection":   "fields that others own stand in ignore of the unit",
		"kubeConfig":       "another cluster: that of the environment is its context",
		"storageNamespace": "where Helm keeps its record: of no use without a release",
	})
	for _, d := range list(spec, "dependsOn") {
		c.after = append(c.after, text(d, "name"))
	}
}

// kustomization: fluxcd.io, "Kustomization".
func (e *Engine) kustomization(obj Object, sources map[string]Object, env string) {
	spec := mapping(obj, "spec")
	kind, url := sourceOf(obj, mapping(spec, "sourceRef"), sources)
	dir := path.Clean(cmp.Or(text(spec, "path"), "."))
	e.Says = fmt.Sprintf("applies the directory %s of the %s %s", dir, kind, cmp.Or(url, text(spec, "sourceRef", "name")))
	e.Next = importDir(env, dir, text(spec, "targetNamespace"))
	e.Stop = suspend("kustomizations.kustomize.toolkit.fluxcd.io", text(obj, "metadata", "namespace"), text(obj, "metadata", "name"))
	e.lose(spec, map[string]string{
		"postBuild":      "${variables} of manifests: write their values into them first (flux build kustomization)",
		"patches":        "write them as patch of the units",
		"images":         "write the images into the units",
		"decryption":     "files that sops encrypted are secrets of the environment",
		"dependsOn":      "after of the environment",
		"healthChecks":   "evenkeel waits for all objects of a unit",
		"kubeConfig":     "another cluster: that of the environment is its context",
		"commonMetadata": "labels of all objects: kustomize of the units",
		"namePrefix":     "names of objects: import what runs with --live, or write the names",
		"nameSuffix":     "names of objects: import what runs with --live, or write the names",
	})
}

// application: argo-cd.readthedocs.io, "Application Specification".
func (e *Engine) application(obj Object, env string) {
	spec := mapping(obj, "spec")
	namespace := text(spec, "destination", "namespace")
	own, name := cmp.Or(text(obj, "metadata", "namespace"), "argocd"), text(obj, "metadata", "name")
	patch := `'{"spec":{"syncPolicy":{"automated":null}},"metadata":{"finalizers":null}}'`
	e.Stop = fmt.Sprintf("kubectl -n %s patch applications.argoproj.io/%s --type merge -p %s", plain.Argument(own), plain.Argument(name), patch)
	e.lose(spec, map[string]string{"ignoreDifferences": "fields that others own stand in ignore of the units"})
	if text(mapping(obj, "metadata", "annotations"), "argocd.argoproj.io/sync-wave") != "" {
		e.Lost = append(e.Lost, "its sync wave: after of the unit or the environment")
	}
	all := list(spec, "sources")
	source := mapping(spec, "source")
	switch {
	case len(source) == 0 && len(all) == 1:
		source, _ = all[0].(map[string]any)
	case len(source) == 0:
		var each []string
		for _, s := range all {
			each = append(each, fmt.Sprintf("%s of %s", cmp.Or(text(s, "chart"), text(s, "path"), "a reference"), openly(text(s, "repoURL"))))
		}
		e.Says = "applies several sources: " + strings.Join(each, ", ")
		e.Next = fmt.Sprintf("evenkeel import --env %s --live -n %s", env, plain.Argument(cmp.Or(namespace, "NAMESPACE")))
		return
	}
	if text(source, "chart") == "" {
		dir := path.Clean(cmp.Or(text(source, "path"), "."))
		e.Says = fmt.Sprintf("applies the directory %s of %s", dir, openly(text(source, "repoURL")))
		e.Next = importDir(env, dir, namespace)
		e.lose(source, map[string]string{"kustomize": "write its images and patches into the units", "plugin": "print what the plugin makes, and import that"})
		if len(mapping(source, "helm")) > 0 {
			e.Says += ", a chart"
			e.Lost = append(e.Lost, "source.helm: the values of that chart")
		}
		return
	}
	helm := mapping(source, "helm")
	c := &helmChart{
		name: text(source, "chart"), version: text(source, "targetRevision"), repo: text(source, "repoURL"),
		release: cmp.Or(text(helm, "releaseName"), name), namespace: cmp.Or(namespace, own), values: map[string]any{},
	}
	if c.repo != "" && !strings.Contains(c.repo, "://") { // a registry, as Argo CD writes it
		c.repo = "oci://" + c.repo
	}
	c.repo = openly(c.repo)
	if ran := text(obj, "status", "sync", "revision"); chart.IsVersion(ran) {
		c.version = ran
	}
	if err := yaml.Unmarshal([]byte(text(helm, "values")), &c.values); err != nil {
		e.Lost = append(e.Lost, "source.helm.values: "+err.Error())
	}
	if c.values == nil {
		c.values = map[string]any{}
	}
	maps.Copy(c.values, mapping(helm, "valuesObject")) // it goes before values
	e.chart = c
	e.lose(helm, map[string]string{
		"parameters":     "single values: write them into values",
		"fileParameters": "values from files: write them into values",
		"valueFiles":     "files of values: write them into values",
		"skipCrds":       "crds: false of the unit",
	})
}

// kluctl: kluctl.io, "KluctlDeployment". Its manifests are templates.
func (e *Engine) kluctl(obj Object, env string) {
	spec := mapping(obj, "spec")
	target := text(spec, "target")
	e.Says = fmt.Sprintf("applies the target %q of the project %s of %s", target, cmp.Or(text(spec, "source", "git", "path"), "."), openly(text(spec, "source", "git", "url")))
	e.Next = fmt.Sprintf("kluctl render -t %s --print-all | evenkeel import --env %s -", plain.Argument(cmp.Or(target, "TARGET")), env)
	e.Stop = suspend("kluctldeployments.gitops.kluctl.io", text(obj, "metadata", "namespace"), text(obj, "metadata", "name"))
	e.lose(spec, map[string]string{"args": "arguments of its templates: kluctl render -a NAME=VALUE", "images": "kluctl render --fixed-image"})
}

// lose names the fields that are there, each with what to write in their place.
func (e *Engine) lose(spec map[string]any, fields map[string]string) {
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if spec[field] != nil {
			e.Lost = append(e.Lost, field+": "+fields[field])
		}
	}
}

// suspend has a tool leave its objects alone; deleted then, its own object takes nothing
// along.
func suspend(resource, namespace, name string) string {
	return fmt.Sprintf(`kubectl -n %s patch %s/%s --type merge -p '{"spec":{"suspend":true}}'`, plain.Argument(cmp.Or(namespace, "default")), resource, plain.Argument(name))
}

// credentials stand before the host of an address.
var credentials = regexp.MustCompile(`^([\w+.-]+://)[^/?#]*@`)

// openly is an address without what opens it; ssh has a user's name there, which stays.
func openly(url string) string {
	return credentials.ReplaceAllStringFunc(url, func(before string) string {
		scheme, user, _ := strings.Cut(strings.TrimSuffix(before, "@"), "://")
		name, _, _ := strings.Cut(user, ":")
		if strings.HasSuffix(scheme, "ssh") && name != "" {
			return scheme + "://" + name + "@"
		}
		return scheme + "://"
	})
}

func importDir(env, dir, namespace string) string {
	command := fmt.Sprintf("evenkeel import --env %s %s", env, plain.Operand(dir))
	if namespace != "" {
		command += " -n " + plain.Argument(namespace)
	}
	return command
}

// Charts makes a unit of each engine that applies a chart: of the file that lies in the
// repository, with its values. missing are the commands that bring those that do not.
func (imp *Import) Charts(ctx context.Context, engines []Engine, files fs.FS, dir string, now time.Time) (missing []string, err error) {
	var names []string
	for _, e := range engines {
		if e.chart != nil {
			names = append(names, e.Ref[strings.LastIndex(e.Ref, "/")+1:])
		}
	}
	for i := range engines {
		e := &engines[i]
		if e.chart == nil {
			continue
		}
		c := e.chart
		name := e.Ref[strings.LastIndex(e.Ref, "/")+1:]
		if !chart.IsName(c.name) {
			return nil, fmt.Errorf("%s%s: no name of a chart: %q", place(e.From), e.Ref, c.name)
		}
		file, loaded, err := chartIn(files, dir, c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Ref, err)
		}
		if loaded == nil {
			repo := cmp.Or(c.repo, "URL")
			missing = append(missing, fmt.Sprintf("%s: evenkeel chart pull %s --repo %s --version %s", e.Ref, c.name, plain.Argument(repo), plain.Argument(cmp.Or(c.version, "VERSION"))))
			continue
		}
		r := &release{
			declared: true, chart: file, version: loaded.Version, digest: loaded.Digest, repo: c.repo,
			name: c.release, namespace: c.namespace, values: c.values, secrets: map[string]bool{}, ignore: map[string][]string{},
		}
		for _, p := range loaded.Unknown(r.values) {
			imp.Notes = append(imp.Notes, fmt.Sprintf("%s: the value %s is left out: the chart does not know it", e.Ref, dotted(p.Path)))
			takeOut(r.values, p.Path)
		}
		r.leaveOut(nil)
		if err := r.pin(ctx, loaded, ReleaseOptions{Now: now}); err != nil {
			return nil, err
		}
		u := Unit{Name: name, Type: "Chart", Objects: map[string]Object{}, Silence: map[string]string{}, release: r}
		for _, after := range c.after {
			if slices.Contains(names, after) {
				u.After = append(u.After, after)
			} else {
				e.Lost = append(e.Lost, "dependsOn "+after+": it is not among what is imported")
			}
		}
		e.Says = fmt.Sprintf("the chart %s %s is the unit %s", loaded.Name, loaded.Version, name)
		imp.charts = append(imp.charts, u)
	}
	imp.plan()
	return missing, nil
}

// chartIn is a chart of the repository: the archive of its version, with or without a v,
// or its directory; nil where there is none.
func chartIn(files fs.FS, dir string, c *helmChart) (string, *chart.Chart, error) {
	plain := strings.TrimPrefix(c.version, "v")
	for _, name := range []string{c.name + "-" + c.version + ".tgz", c.name + "-" + plain + ".tgz", c.name + "-v" + plain + ".tgz", c.name + "-" + plain, c.name} {
		name = path.Join(dir, name)
		if _, err := fs.Stat(files, name); err != nil {
			continue
		}
		loaded, err := chart.Load(files, name)
		if err != nil {
			return "", nil, fmt.Errorf("%s: %w", name, err)
		}
		if loaded.Name == c.name {
			return name, loaded, nil
		}
	}
	return "", nil, nil
}
