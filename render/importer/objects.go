package importer

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/render/internal/crd"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// Objects sorts objects into units. Those that others make (controllers, the
// server itself) are left out, as are Secrets: their values never reach a file. What
// no server takes is an error, with the place where it was read.
func Objects(items []Item, opts Options) (*Import, error) {
	imp := &Import{
		opts: opts, kinds: builtIn(), whole: map[string]string{},
		from: map[string]string{}, definitions: crd.Set{}, hooks: map[string]string{},
	}
	for _, item := range items {
		imp.definitions.Add(item.Object)
	}
	if imp.opts.Namespace == "" {
		imp.opts.Namespace = cmp.Or(imp.onlyNamespace(items), opts.Env)
	}
	var errs []error
	for _, item := range items {
		if err := imp.add(item); err != nil {
			errs = append(errs, fmt.Errorf("%s%w", place(item.From), err))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	imp.plan()
	imp.Level = cmp.Or(imp.Level, imp.level())
	return imp, nil
}

// level is the strictest Pod Security level that the pods of the environment's namespace
// pass. Where others make pods there, from custom resources or charts, or put containers
// into them, as what the Namespace is labelled with may ask for, it is not known, and
// nothing is refused.
func (imp *Import) level() string {
	const unknown = "privileged"
	var templates []map[string]any
	for _, obj := range imp.objects {
		gv, _ := kschema.ParseGroupVersion(text(obj, "apiVersion"))
		if text(obj, "kind") != crd.Kind && len(imp.kinds.Versions(kschema.GroupKind{Group: gv.Group, Kind: text(obj, "kind")})) == 0 {
			return unknown
		}
		ns := text(obj, "metadata", "namespace")
		if template, _ := tree.PodTemplate(obj); template != nil && (ns == "" || ns == imp.opts.Namespace) {
			templates = append(templates, template)
		}
	}
	if len(templates) == 0 || len(imp.charts)+len(imp.Labels)+len(imp.Annotations) > 0 {
		return unknown
	}
	return lint.StrictestLevel(templates)
}

func place(from string) string {
	if from == "" {
		return ""
	}
	return from + ": "
}

// onlyNamespace is the namespace that all namespaced objects name, "" where they
// name several or some name none.
func (imp *Import) onlyNamespace(items []Item) string {
	only := ""
	for _, item := range items {
		ns := text(item.Object, "metadata", "namespace")
		if ns == "" && !imp.namespaced(item.Object) {
			continue
		}
		if ns == "" || only != "" && ns != only {
			return ""
		}
		only = ns
	}
	return only
}

// namespaced says whether the kind of an object is known to live in namespaces.
func (imp *Import) namespaced(obj Object) bool {
	known, namespaced := imp.scope(obj)
	return known && namespaced
}

// scope says whether the scope of a kind is known, from Kubernetes or from a
// definition among the objects, and whether it is a namespace.
func (imp *Import) scope(obj Object) (known, namespaced bool) {
	gv, _ := kschema.ParseGroupVersion(text(obj, "apiVersion"))
	gk := kschema.GroupKind{Group: gv.Group, Kind: text(obj, "kind")}
	if typed.ClusterScoped(gk) {
		return true, false
	}
	if len(imp.kinds.Versions(gk)) > 0 || successor(text(obj, "apiVersion"), gk.Kind) != "" {
		return true, true
	}
	v, ok := imp.definitions.Find(text(obj, "apiVersion"), gk.Kind)
	return ok, v.Namespaced
}

// add takes over one object.
func (imp *Import) add(item Item) error {
	obj := item.Object
	if reason := leftOut(obj, imp.opts); reason != "" {
		imp.Left = append(imp.Left, ref(obj)+": "+reason)
		return nil
	}
	if !isText(obj) {
		return fmt.Errorf("%s: a name or namespace that is not text", text(obj, "kind"))
	}
	if ns := text(obj, "metadata", "namespace"); ns != "" && !namespaceName.MatchString(ns) {
		return fmt.Errorf("%s/%s: metadata.namespace: %q is no name of a namespace but a placeholder for one: write the name", text(obj, "kind"), text(obj, "metadata", "name"), ns)
	}
	switch kind := text(obj, "kind"); {
	case kind == "Secret" && text(obj, "apiVersion") == "v1" && hasValues(obj):
		imp.addSecret(item)
		return nil
	case kind == "Namespace" && text(obj, "metadata", "name") == imp.opts.Namespace:
		if level := text(mapping(obj, "metadata", "labels"), "pod-security.kubernetes.io/enforce"); level != "" {
			imp.Level = level
		}
		imp.namespace(obj)
		imp.Left = append(imp.Left, ref(obj)+": the environment makes it")
		return nil
	}
	before := runtime.DeepCopyJSON(obj)
	clean(obj)
	if old := upgrade(obj); old != "" {
		imp.Upgraded = append(imp.Upgraded, fmt.Sprintf("%s: from %s to %s", ref(obj), old, text(obj, "apiVersion")))
	}
	if gone := goneVersion(obj); gone != "" {
		imp.Left = append(imp.Left, ref(obj)+": "+gone)
		return nil
	}
	if err := imp.mend(obj); err != nil {
		return err
	}
	if imp.opts.Live {
		dropDefaults(obj)
	}
	imp.place(obj)
	id := imp.identity(obj)
	if first, ok := imp.from[id]; ok {
		if same(imp.original[id], before) {
			return nil
		}
		return fmt.Errorf("%s is there twice, and not the same: first in %s; import one of them", ref(before), first)
	}
	if imp.original == nil {
		imp.original = map[string]Object{}
	}
	imp.from[id], imp.original[id] = item.From, before
	if when := hookOf(obj); when != "" {
		imp.hooks[id] = when
	}
	imp.objects = append(imp.objects, obj)
	return nil
}

// namespaceName matches what a namespace may be called.
var namespaceName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func isText(obj Object) bool {
	meta := mapping(obj, "metadata")
	for _, name := range []string{"name", "namespace"} {
		if v, ok := meta[name]; ok && v != nil {
			if _, ok := v.(string); !ok {
				return false
			}
		}
	}
	return true
}

// place gives an object the namespace that a rendering gives it: none where that is
// the environment's and its kind is known to have one, or has none at all. A kind of
// unknown scope keeps what it names.
func (imp *Import) place(obj Object) {
	meta := mapping(obj, "metadata")
	ns := text(meta, "namespace")
	known, namespaced := imp.scope(obj)
	switch {
	case ns == "" && !known:
		imp.Notes = append(imp.Notes, fmt.Sprintf("%s names no namespace, and its definition is not here: if its kind has one, add it", ref(obj)))
	case known && !namespaced && ns != "":
		imp.Notes = append(imp.Notes, fmt.Sprintf("%s: without its namespace %q: its kind is not namespaced", ref(obj), ns))
		delete(meta, "namespace")
	case known && ns == imp.opts.Namespace:
		delete(meta, "namespace")
	case known && namespaced && ns == "" && !imp.isBuiltIn(obj):
		delete(meta, "namespace")
	}
}

func (imp *Import) isBuiltIn(obj Object) bool {
	gv, _ := kschema.ParseGroupVersion(text(obj, "apiVersion"))
	_, ok := imp.kinds.Type(gv.WithKind(text(obj, "kind")))
	return ok
}

// mend takes out of a built-in kind what no server keeps, and joins what is there
// twice; what a server refuses is an error.
func (imp *Import) mend(obj Object) error {
	gv, _ := kschema.ParseGroupVersion(text(obj, "apiVersion"))
	t, ok := imp.kinds.Type(gv.WithKind(text(obj, "kind")))
	if !ok {
		if imp.kinds.Groups()[gv.Group] && len(imp.kinds.Versions(kschema.GroupKind{Group: gv.Group, Kind: text(obj, "kind")})) == 0 && !lint.Removed(gv.Group, gv.Version, text(obj, "kind")) {
			near := ""
			if hint := typed.Closest(text(obj, "kind"), imp.kinds.KindsOf(gv)); hint != "" {
				near = fmt.Sprintf(" (did you mean %q?)", hint)
			}
			return fmt.Errorf("%s: %s has no kind %s%s", ref(obj), gv, text(obj, "kind"), near)
		}
		if version, ok := imp.definitions.Find(text(obj, "apiVersion"), text(obj, "kind")); ok && version.Schema != nil {
			for _, path := range version.Prune(obj) {
				imp.Notes = append(imp.Notes, fmt.Sprintf("%s: without %s: its definition has no such field, and no server keeps it", ref(obj), typed.Path(path)))
			}
		}
		return nil
	}
	var errs []error
	problems, _ := imp.kinds.Normalise(runtime.DeepCopyJSON(obj), t, 0)
	for _, p := range problems {
		if p.Message == "unknown field" && remove(obj, p.Path) {
			near := ""
			if p.Hint != "" {
				near = fmt.Sprintf(" (did you mean %q?)", p.Hint)
			}
			imp.Notes = append(imp.Notes, fmt.Sprintf("%s: without %s: there is no such field, and no server keeps it%s", ref(obj), p.Path, near))
			continue
		}
		msg := fmt.Sprintf("%s: %s: %s", ref(obj), p.Path, p.Message)
		if p.Expected != "" {
			msg += ", expected " + p.Expected
		}
		if p.Found != "" && text(obj, "kind") != "Secret" {
			msg += ", found " + p.Found
		}
		errs = append(errs, errors.New(msg))
	}
	for _, joined := range joinTwins(obj) {
		imp.Notes = append(imp.Notes, ref(obj)+": "+joined)
	}
	return errors.Join(errs...)
}

// remove takes a field out.
func remove(v any, path typed.Path) bool {
	for i, step := range path {
		switch s := step.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				return false
			}
			if i == len(path)-1 {
				delete(m, s)
				return true
			}
			v = m[s]
		case int:
			items, ok := v.([]any)
			if !ok || s >= len(items) {
				return false
			}
			v = items[s]
		}
	}
	return false
}

// joinTwins joins items of keyed lists that are there twice: kubectl create takes
// them, server-side apply does not. It returns what it did.
func joinTwins(obj Object) []string {
	var said []string
	for _, pod := range podSpecs(obj) {
		for _, kind := range []string{"initContainers", "containers"} {
			for _, c := range list(pod, kind) {
				container, _ := c.(map[string]any)
				said = append(said, joinVariables(container)...)
				if n := dropEqual(container, "ports"); n > 0 {
					said = append(said, fmt.Sprintf("container %s: %s there twice", text(container, "name"), some(n, "port was", "ports were")))
				}
			}
		}
		said = append(said, joinAliases(pod)...)
		dropEqual(pod, "imagePullSecrets")
		for _, v := range list(pod, "volumes") {
			if volume, ok := v.(map[string]any); ok && len(volume) == 1 && volume["name"] != nil {
				volume["emptyDir"] = map[string]any{} // what the server makes of it
			}
		}
	}
	return said
}

// joinVariables keeps the last of the environment variables of a name, which is the
// one that counts, where the first one stood.
func joinVariables(container map[string]any) []string {
	var kept []any
	var said []string
	at := map[string]int{}
	for _, e := range list(container, "env") {
		name := text(e, "name")
		first, twice := at[name]
		if !twice || name == "" {
			at[name] = len(kept)
			kept = append(kept, e)
			continue
		}
		variable, _ := e.(map[string]any)
		if value := text(variable, "value"); strings.Contains(value, "$("+name+")") {
			if at0, ok := kept[first].(map[string]any); ok && at0["valueFrom"] == nil {
				variable["value"] = strings.ReplaceAll(value, "$("+name+")", text(at0, "value"))
			}
		}
		kept[first] = variable
		said = append(said, fmt.Sprintf("container %s: env %s is there twice: the last one counts, and stays; its pods restart once", text(container, "name"), name))
	}
	if len(said) > 0 {
		container["env"] = kept
	}
	return said
}

// joinAliases joins host aliases of one address.
func joinAliases(pod map[string]any) []string {
	var kept []any
	var said []string
	at := map[string]map[string]any{}
	for _, a := range list(pod, "hostAliases") {
		alias, _ := a.(map[string]any)
		ip := text(alias, "ip")
		first, twice := at[ip]
		if !twice {
			at[ip] = alias
			kept = append(kept, a)
			continue
		}
		first["hostnames"] = append(slices.Clone(list(first, "hostnames")), list(alias, "hostnames")...)
		said = append(said, "the host aliases of "+ip+" are joined; its pods restart once")
	}
	if len(said) > 0 {
		pod["hostAliases"] = kept
	}
	return said
}

// dropEqual takes items out of a list that are there already, and counts them.
func dropEqual(m map[string]any, name string) int {
	items := list(m, name)
	var kept []any
	for _, item := range items {
		if !slices.ContainsFunc(kept, func(k any) bool { return same(k, item) }) {
			kept = append(kept, item)
		}
	}
	if len(kept) < len(items) {
		m[name] = kept
	}
	return len(items) - len(kept)
}

// goneVersion says of an object whose API version no server has any more that it is
// left out.
func goneVersion(obj Object) string {
	gv, err := kschema.ParseGroupVersion(text(obj, "apiVersion"))
	if err != nil {
		return ""
	}
	return lint.Gone(gv.Group, gv.Version, text(obj, "kind"), newestMinor)
}

// hasValues says whether a Secret has any, or needs some by its type.
func hasValues(obj Object) bool {
	if len(mapping(obj, "data"))+len(mapping(obj, "stringData")) > 0 {
		return true
	}
	switch text(obj, "type") {
	case "kubernetes.io/tls", "kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg", "kubernetes.io/ssh-auth", "kubernetes.io/basic-auth":
		return true
	}
	return false
}

// addSecret declares a Secret; one that is there twice has the keys of both.
func (imp *Import) addSecret(item Item) {
	s, id := secret(item.Object, imp.opts), "declared "+imp.identity(item.Object)
	for i, known := range imp.Secrets {
		if known.Name != s.Name || known.Namespace != s.Namespace {
			continue
		}
		if !slices.Equal(known.Keys, s.Keys) {
			imp.Notes = append(imp.Notes, fmt.Sprintf("%s is there twice, with other keys: first in %s, then in %s; declared with the keys of both", ref(item.Object), imp.from[id], item.From))
		}
		keys := slices.Concat(known.Keys, s.Keys)
		slices.Sort(keys)
		imp.Secrets[i].Keys = slices.Compact(keys)
		return
	}
	imp.from[id] = item.From
	imp.Secrets = append(imp.Secrets, s)
}

// Where hooks of Helm and Argo CD go.
const (
	hooksBefore = "hooks-before"
	hooksAfter  = "hooks-after"
)

// hookWords are the hooks of an object, "" for none, and whose they are.
func hookWords(obj Object) (words []string, whose string) {
	annotations := mapping(obj, "metadata", "annotations")
	for name, whose := range map[string]string{"helm.sh/hook": "Helm", "argocd.argoproj.io/hook": "Argo CD"} {
		for word := range strings.SplitSeq(text(annotations, name), ",") {
			if word = strings.TrimSpace(word); word != "" {
				words = append(words, word)
			}
		}
		if len(words) > 0 {
			return words, whose
		}
	}
	return nil, ""
}

// hookOf is the unit of a hook that runs at each installation or sync.
func hookOf(obj Object) string {
	words, _ := hookWords(obj)
	for _, w := range words {
		switch w {
		case "pre-install", "pre-upgrade", "PreSync":
			return hooksBefore
		case "post-install", "post-upgrade", "PostSync":
			return hooksAfter
		}
	}
	return ""
}

// notRun says why a hook is left out.
func notRun(obj Object) string {
	words, whose := hookWords(obj)
	if len(words) == 0 {
		return ""
	}
	if hookOf(obj) != "" || slices.ContainsFunc(words, func(w string) bool { return w == "Sync" || w == "crd-install" }) {
		return ""
	}
	return fmt.Sprintf("a hook of %s (%s): it is part of no installation", whose, strings.Join(words, ", "))
}

// hookNotes say where hooks went.
func (imp *Import) hookNotes() []string {
	var notes []string
	for _, obj := range imp.objects {
		words, whose := hookWords(obj)
		switch imp.hooks[imp.identity(obj)] {
		case hooksBefore:
			notes = append(notes, fmt.Sprintf("hook: %s (%s of %s): in unit %s, which the others come after", ref(obj), strings.Join(words, ", "), whose, hooksBefore))
		case hooksAfter:
			notes = append(notes, fmt.Sprintf("hook: %s (%s of %s): in unit %s, which comes after the others", ref(obj), strings.Join(words, ", "), whose, hooksAfter))
		}
	}
	return notes
}

// AllNotes are the notes, and what is to be said of hooks and namespaces.
func (imp *Import) AllNotes() []string {
	return slices.Concat(imp.Notes, imp.hookNotes(), imp.strangers())
}

// Elsewhere says which other namespace would make more apps, were it the environment's.
func (imp *Import) Elsewhere() string {
	if imp.opts.Whole {
		return ""
	}
	counts := map[string]int{}
	for _, obj := range imp.objects {
		if ns := text(obj, "metadata", "namespace"); ns != "" && keyOf(text(obj, "kind")) != "" {
			there := runtime.DeepCopyJSON(obj)
			delete(mapping(there, "metadata"), "namespace")
			if a, _ := appOf(imp.kinds, there, nil); a != nil {
				counts[ns]++
			}
		}
	}
	best := ""
	for _, ns := range slices.Sorted(maps.Keys(counts)) {
		if best == "" || counts[ns] > counts[best] {
			best = ns
		}
	}
	here := 0
	for _, u := range imp.Units {
		if u.app != nil {
			here++
		}
	}
	if counts[best] <= here {
		return ""
	}
	return fmt.Sprintf("-n %s, in a new environment, would make %s", best, some(counts[best], "app of a type", "apps of a type"))
}

// newestMinor is the newest Kubernetes that an environment may be of.
const newestMinor = 37
