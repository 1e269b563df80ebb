package render

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/internal/program"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// kustomizing is held while kustomize runs: it keeps its OpenAPI schema in
// variables of its own.
var kustomizing sync.Mutex //nolint:gochecknoglobals // guards the variables of another package

const (
	unitDir    = "/unit" // of the kustomization that the unit asks for
	repoDir    = "/repo" // where kustomize sees the repository
	objectsDir = "objects"

	originAnnotation = "config.kubernetes.io/origin"
)

// kustomize runs the unit's objects through the kustomization that it asks for.
// Nothing is read outside the repository and nothing from the network.
func (fin *finisher) kustomize(ctx context.Context, u *unit) Findings {
	if ctx.Err() != nil {
		return nil
	}
	objs, read, err := fin.repo.runKustomize(u)
	if err != nil {
		f := fin.at(u, typed.Path{"kustomize"})
		f.Message = kustomizeMessage(err)
		if refused, ok := errors.AsType[outside](err); ok {
			f.Message = refused.Error()
		}
		if !fin.repo.inBroken(&f, read) {
			fin.repo.inFile(&f)
		}
		return Findings{f}
	}
	if _, silent := u.data.Silence[lint.RuleReference]; !silent {
		made := slices.Concat(u.objs, objs)
		u.later = append(u.later, func() Findings { return fin.idlePatches(u, made, read) })
	}
	u.objs = objs
	return fin.unusedImages(u)
}

// idlePatches finds the patches of kustomizations whose target names no object: kustomize
// passes over them in silence. Those of a component are for whoever takes it.
func (fin *finisher) idlePatches(u *unit, made []*object, read map[string][]byte) (findings Findings) {
	names := map[string][]string{} // by kind
	for _, o := range made {
		names[o.GetKind()] = append(names[o.GetKind()], o.GetName())
	}
	var targets []*yaml.Node
	file := map[*yaml.Node]string{}
	for _, name := range slices.Sorted(maps.Keys(read)) {
		for _, doc := range documentsOf(read[name]) {
			if !isKustomization(name) {
				names[scalarOf(child(doc, "kind"))] = append(names[scalarOf(child(doc, "kind"))], scalarOf(child(child(doc, "metadata"), "name")))
				continue
			}
			if child(doc, "namePrefix") != nil || child(doc, "nameSuffix") != nil || child(doc, "transformers") != nil {
				return nil // a target may name what an object is called between two kustomizations
			}
			for _, generator := range []string{"configMapGenerator", "secretGenerator"} {
				for _, g := range itemsOf(child(doc, generator)) {
					kind := map[string]string{"configMapGenerator": "ConfigMap", "secretGenerator": "Secret"}[generator]
					names[kind] = append(names[kind], scalarOf(child(g, "name")))
				}
			}
			for _, patch := range itemsOf(child(doc, "patches")) {
				if target := child(patch, "target"); scalarOf(child(doc, "kind")) != "Component" && scalarOf(child(target, "kind")) != "" && scalarOf(child(target, "name")) != "" {
					targets = append(targets, target)
					file[target] = name
				}
			}
		}
	}
	for _, target := range targets {
		kind, name := scalarOf(child(target, "kind")), child(target, "name")
		form, err := regexp.Compile("^(?:" + name.Value + ")$")
		if err != nil || slices.ContainsFunc(names[kind], form.MatchString) || len(names["List"]) > 0 {
			continue
		}
		f := fin.at(u, typed.Path{"kustomize"})
		if !fin.repo.inYAML(&f, file[target], yamlFault{name.Line, name.Column, fmt.Sprintf("no %s %q for this patch, which changes nothing", kind, name.Value), ""}) {
			continue
		}
		f.Rule, f.DidYouMean = lint.RuleReference, typed.Closest(name.Value, names[kind])
		findings = append(findings, f)
	}
	return findings
}

// documentsOf are the documents of a YAML file that can be read.
func documentsOf(data []byte) (docs []*yaml.Node) {
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		if dec.Decode(&doc) != nil {
			return docs
		}
		if len(doc.Content) == 1 {
			docs = append(docs, doc.Content[0])
		}
	}
}

// itemsOf are the items of a list; none of what is not one.
func itemsOf(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// unusedImages finds the entries of images that rename no image of what kustomize made: it
// passes over them in silence.
func (fin *finisher) unusedImages(u *unit) (findings Findings) {
	entries := tree.List(u.data.Kustomize["images"])
	if _, silent := u.data.Silence["image"]; silent || len(entries) == 0 || u.data.Kustomize["configurations"] != nil {
		return nil // images may stand in other fields
	}
	used := map[string]bool{}
	for _, o := range u.objs {
		imagesBelow(o.Object, used)
	}
	for _, entry := range entries {
		e := tree.Map(entry)
		used[tree.Text(e["name"])] = used[tree.Text(e["name"])] || used[tree.Text(e["newName"])]
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(used)), func(name string) bool { return !used[name] })
	for i, entry := range entries {
		name := tree.Text(tree.Map(entry)["name"])
		again := slices.ContainsFunc(entries, func(other any) bool { return tree.Map(other)["name"] == tree.Map(entry)["newName"] })
		if name == "" || used[name] || again {
			continue
		}
		f := fin.at(u, typed.Path{"kustomize", "images", i, "name"})
		f.Rule, f.Message = "image", fmt.Sprintf("no image %q in what kustomize makes", name)
		f.Expected, f.DidYouMean = "one of "+enumerate(names), typed.Closest(name, names)
		if len(names) == 0 {
			f.Expected = ""
		}
		findings = append(findings, f)
	}
	return findings
}

// imagesBelow takes in the images of an object, without their tags and digests.
func imagesBelow(v any, names map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if text := tree.Text(inner); text != "" && key == "image" {
				text, _, _ = strings.Cut(text, "@")
				if at := strings.LastIndex(text, ":"); at > strings.LastIndex(text, "/") {
					text = text[:at]
				}
				names[text] = true
			}
			imagesBelow(inner, names)
		}
	case []any:
		for _, inner := range v {
			imagesBelow(inner, names)
		}
	}
}

// runKustomize returns what kustomize made, and the files that it read.
func (r *Repo) runKustomize(u *unit) (objs []*object, read map[string][]byte, err error) {
	kustomizing.Lock()
	defer kustomizing.Unlock()
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("broke down: " + contain.What(p))
		}
	}()
	read = map[string][]byte{}
	files := repoFiles{FileSystem: filesys.MakeFsInMemory(), repo: r.fsys, refused: new(error), seen: read}
	if err := r.writeKustomization(files, u); err != nil {
		return nil, read, err
	}
	result, err := kustomizeIn(files)
	if err != nil {
		return nil, read, err
	}
	objs, err = kustomized(u, result)
	return objs, read, err
}

// kustomizeIn builds the kustomization of a unit.
func kustomizeIn(files repoFiles) (resmap.ResMap, error) {
	defer shutIn()()
	result, err := krusty.MakeKustomizer(&krusty.Options{
		Reorder:          krusty.ReorderOptionNone,
		LoadRestrictions: types.LoadRestrictionsNone, // what repoFiles shows is all there is
		PluginConfig:     types.DisabledPluginConfig(),
	}).Run(files, unitDir)
	return result, cmp.Or(*files.refused, err)
}

// shutIn is the wall behind repoFiles. Kustomize fetches with the transport that all
// of net/http shares, and runs the git that it finds; until the function that it
// returns is called there is neither. What else needs a program meanwhile starts it by
// internal/program.
//
// Nor does it reach standard error, which it writes to directly, and with log: what it
// says there quotes names of the repository, and the value of a var that it cannot fill
// in, which may be a Secret's.
func shutIn() (open func()) {
	transport, stderr, logged := http.DefaultTransport, os.Stderr, log.Writer() //nolint:forbidigo // kustomize logs
	http.DefaultTransport = noTransport{}
	show := program.Hide()
	log.SetOutput(io.Discard) //nolint:forbidigo // kustomize logs
	silence, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err == nil {
		os.Stderr = silence
	}
	return func() {
		http.DefaultTransport, os.Stderr = transport, stderr
		log.SetOutput(logged) //nolint:forbidigo // kustomize logs
		_ = silence.Close()   // nil where there is none
		show()
	}
}

type noTransport struct{}

// RoundTrip implements http.RoundTripper.
func (noTransport) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("evenkeel fetches nothing")
}

// writeKustomization makes a kustomization whose first resources are the unit's
// objects, one file each, so that the results can be told apart.
func (r *Repo) writeKustomization(files filesys.FileSystem, u *unit) error {
	spec := map[string]any{}
	maps.Copy(spec, u.data.Kustomize)
	var resources []any
	for _, o := range u.objs {
		if o.GetAPIVersion() == "" || o.GetKind() == "" || o.GetName() == "" {
			return fmt.Errorf("object %s has no apiVersion, kind or name", o.key)
		}
		data, err := json.Marshal(o.Object)
		if err != nil {
			return err
		}
		if err := files.WriteFile(path.Join(unitDir, o.file()), data); err != nil {
			return err
		}
		resources = append(resources, o.file())
	}
	if dir := tree.Text(spec["dir"]); dir != "" {
		resources = append(resources, inRepo(dir))
		delete(spec, "dir")
	}
	for _, name := range tree.Texts(spec["resources"]) {
		resources = append(resources, inRepo(name))
	}
	spec["resources"] = resources
	tree.Each(spec["patches"], func(_ int, p map[string]any) {
		if name := tree.Text(p["path"]); name != "" {
			p["path"] = inRepo(name)
		}
	})
	for _, generator := range []string{"configMapGenerator", "secretGenerator"} {
		tree.Each(spec[generator], func(_ int, g map[string]any) {
			for _, field := range []string{"files", "envs"} {
				items := tree.List(g[field])
				for i, item := range items {
					key, name, ok := strings.Cut(tree.Text(item), "=")
					if ok {
						items[i] = key + "=" + inRepo(name)
					} else {
						items[i] = inRepo(tree.Text(item))
					}
				}
			}
		})
	}
	spec["apiVersion"], spec["kind"] = types.KustomizationVersion, types.KustomizationKind
	spec["buildMetadata"] = []any{types.OriginAnnotations}
	data, err := json.Marshal(spec) // JSON is YAML
	if err != nil {
		return err
	}
	return files.WriteFile(path.Join(unitDir, "kustomization.yaml"), data)
}

// inRepo is the path of a file of the repository as the kustomization of a unit
// sees it; what has a scheme stays, and is refused.
func inRepo(name string) string {
	if fetched.MatchString(name) {
		return name
	}
	return path.Join("..", repoDir, path.Clean("/"+name))
}

// kustomized takes the results over. An object of the unit keeps its key; others
// get one of their kind and name.
func kustomized(u *unit, result resmap.ResMap) ([]*object, error) {
	objs := make([]*object, 0, result.Size())
	for _, res := range result.Resources() {
		origin, err := res.GetOrigin()
		if err != nil {
			return nil, err
		}
		if err := res.SetOrigin(nil); err != nil {
			return nil, err
		}
		data, err := res.MarshalJSON()
		if err != nil {
			return nil, err
		}
		o := &object{}
		if err := unmarshalJSON(data, &o.Object); err != nil {
			return nil, err
		}
		dropOrigin(&o.Unstructured)
		o.key = strings.ToLower(o.GetKind()) + "-" + o.GetName()
		if source := sourceOf(u, o, origin); source != nil {
			o.key, o.from, o.maker, o.stage = source.key, source.from, source.maker, source.stage
		} else if origin != nil {
			o.origin, _ = strings.CutPrefix(origin.Path, "../"+strings.TrimPrefix(repoDir, "/")+"/")
		}
		objs = append(objs, o)
	}
	return objs, nil
}

// sourceOf is the object of the unit that a result was made from: the one of the
// file that it came from, or, where a patch took the annotation that says so, the
// one of its kind and name.
func sourceOf(u *unit, o *object, origin *resource.Origin) *object {
	for _, source := range u.objs {
		if origin != nil && origin.Path == source.file() {
			return source
		}
	}
	if origin != nil && origin.Path != "" {
		return nil
	}
	for _, source := range u.objs {
		if source.GetKind() == o.GetKind() && source.GetName() == o.GetName() && source.GetNamespace() == o.GetNamespace() {
			return source
		}
	}
	return nil
}

// file is where an object of the unit lies for kustomize.
func (o *object) file() string {
	where := o.maker
	if o.from != nil {
		where = o.from[0]
	}
	return path.Join(objectsDir, where, o.key+".json")
}

func dropOrigin(o *unstructured.Unstructured) {
	annotations := o.GetAnnotations()
	if _, ok := annotations[originAnnotation]; !ok {
		return
	}
	delete(annotations, originAnnotation)
	if len(annotations) == 0 {
		annotations = nil
	}
	o.SetAnnotations(annotations)
}

// kustomizeMessage names files as the repository does, on one line, and keeps the
// last cause: kustomize puts each level's message around that of the next.
func kustomizeMessage(err error) string {
	msg := strings.Join(strings.Fields(err.Error()), " ")
	msg = strings.NewReplacer("'./", "'", " ./", " ").Replace(msg) // see kustomization.one
	for _, wrapper := range []string{"recursed accumulation of path '", "couldn't make target for path '"} {
		if at := strings.LastIndex(msg, wrapper); at >= 0 {
			rest := msg[at+len(wrapper):]
			dir, cause, ok := strings.Cut(rest, "': ")
			if ok {
				msg = strings.TrimPrefix(dir, repoDir+"/") + ": " + cause
			}
		}
	}
	msg = withoutContent(kustomizeCause(msg))
	msg = strings.NewReplacer("../repo/", "", repoDir+"/", "", unitDir, "the unit").Replace(msg)
	const most = 300 // the cause stands at the end
	if len(msg) > most {
		msg = msg[:most-3] + "..."
	}
	return "kustomize: " + msg
}

// kustomizeCause takes the words away that kustomize puts around a cause: what it
// was about to do, and what it tried in its stead.
func kustomizeCause(msg string) string {
	for range 8 { // they stand in each other
		before := msg
		if at := strings.Index(msg, "accumulation err='"); at >= 0 {
			first, second, ok := strings.Cut(msg[at+len("accumulation err='"):], "': ")
			for ok && strings.Count(first, "'")%2 != 0 { // the quoted text has quotes of its own
				var more string
				more, second, ok = strings.Cut(second, "': ")
				first += "': " + more
			}
			if strings.Contains(first, "is a directory") {
				first = second
			}
			msg = msg[:at] + first
		}
		if at := strings.Index(msg, "trouble configuring builtin "); at >= 0 {
			what, _, _ := strings.Cut(msg[at+len("trouble configuring builtin "):], " ")
			if end := strings.LastIndex(msg, "`: "); end > at {
				msg = msg[:at] + what + ": " + msg[end+len("`: "):]
			}
		}
		for _, doing := range []string{"accumulating resources from '", "merging resources from '"} {
			if at := strings.Index(msg, doing); at >= 0 {
				if name, cause, ok := strings.Cut(msg[at+len(doing):], "': "); ok {
					msg = msg[:at] + name + ": " + cause
				}
			}
		}
		msg = strings.ReplaceAll(msg, "accumulating resources: ", "")
		if msg == before {
			break
		}
	}
	return msg
}
