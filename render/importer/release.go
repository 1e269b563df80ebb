package importer

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/seed-428f4edd/evenkeel/render/chart"
	evenkeel "github.com/seed-428f4edd/evenkeel/schema"
)

// release is what a unit of the type Chart says of the Helm release that it takes over.
type release struct {
	// declared: an object of another tool says it, and there is nothing to hold it against
	declared               bool
	repo                   string
	chart, version, digest string // the file in the repository, and what it must be
	name, namespace        string
	values                 map[string]any
	left                   []string // values that stand in Secrets, and are not written
	seed                   string
	now                    string
	hooks                  []string        // the keys of those that Helm ran
	secrets                map[string]bool // Kind/namespace/name of those that are left out
	ignore                 map[string][]string
}

// ReleaseOptions say where a release goes.
type ReleaseOptions struct {
	Options
	Unit string // its name
	File string // the chart, from the root of the repository
	Now  time.Time
}

// placeholder stands for a value that only a Secret has.
const placeholder = "left-out-by-import"

// Release makes one unit of a Helm release: its chart, and the values that it was
// installed with. Values that stand in Secrets alone are left out, and so are these
// Secrets: the environment declares them with their keys.
func Release(ctx context.Context, r *chart.Release, c *chart.Chart, opts ReleaseOptions) (*Import, error) {
	items := make([]Item, len(r.Objects))
	for i, object := range r.Objects {
		items[i] = Item{Object: object, From: "release " + r.Name}
	}
	opts.Whole = true
	opts.Namespace = cmp.Or(opts.Namespace, r.Namespace)
	imp, err := Objects(items, opts.Options)
	if err != nil {
		return nil, err
	}
	rel := &release{
		chart: opts.File, version: r.Version, digest: c.Digest, name: r.Name, namespace: r.Namespace,
		values: r.Values, secrets: map[string]bool{}, ignore: map[string][]string{},
	}
	for _, s := range imp.Secrets {
		rel.secrets["Secret/"+cmp.Or(s.Namespace, r.Namespace)+"/"+s.Name] = true
	}
	for _, p := range c.Unknown(rel.values) {
		imp.Notes = append(imp.Notes, fmt.Sprintf("the value %s is left out: the chart does not know it", dotted(p.Path)))
		takeOut(rel.values, p.Path)
	}
	rel.leaveOut(r.Objects)
	if err := rel.pin(ctx, c, opts); err != nil {
		return nil, err
	}
	imp.Units = []Unit{{Name: opts.Unit, Type: "Chart", Objects: map[string]Object{}, Silence: map[string]string{}, release: rel}}
	return imp, nil
}

// takeOut takes out the value at a path.
func takeOut(values map[string]any, path []string) {
	for _, step := range path[:len(path)-1] {
		values, _ = values[step].(map[string]any)
	}
	delete(values, path[len(path)-1])
}

// dotted is the path of a value in words. Who wrote the release chose the names.
func dotted(path []string) string {
	steps := make([]string, len(path))
	for i, step := range path {
		if steps[i] = step; !plainName.MatchString(step) {
			steps[i] = strconv.QuoteToASCII(step)
		}
	}
	return strings.Join(steps, ".")
}

var plainName = regexp.MustCompile(`^[\w-]+$`)

// secretName matches names of values that are to be seen by nobody.
var secretName = regexp.MustCompile(`(?i)passw|secret|token|credential|api-?key|private-?key`)

// leaveOut replaces the values that Secrets have and other objects have not.
func (r *release) leaveOut(objects []map[string]any) {
	var hidden []string
	var shown strings.Builder
	for _, o := range objects {
		if o["kind"] != "Secret" {
			data, _ := json.Marshal(o) // it was decoded from JSON
			shown.Write(data)
			continue
		}
		for _, field := range []string{"data", "stringData"} {
			for _, value := range mapping(o, field) {
				text, _ := value.(string)
				if plain, err := base64.StdEncoding.DecodeString(text); err == nil && field == "data" {
					text = string(plain)
				}
				hidden = append(hidden, text)
			}
		}
	}
	secret := func(name, value string) bool {
		if value == "" || strings.Contains(shown.String(), quotedInside(value)) {
			return false
		}
		return secretName.MatchString(name) || len(value) >= 4 && slices.ContainsFunc(hidden, func(h string) bool { return strings.Contains(h, value) })
	}
	var visit func(v any, name, path string) any
	visit = func(v any, name, path string) any {
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				v[key] = visit(v[key], key, strings.TrimPrefix(path+"."+dotted([]string{key}), "."))
			}
		case []any:
			for i := range v {
				v[i] = visit(v[i], name, fmt.Sprintf("%s[%d]", path, i))
			}
		case nil, bool:
		default:
			if secret(name, fmt.Sprint(v)) {
				r.left = append(r.left, path)
				return placeholder
			}
		}
		return v
	}
	visit(r.values, "", "")
}

// quotedInside is a text as it stands inside of a JSON string.
func quotedInside(text string) string {
	data, _ := json.Marshal(text)
	return string(data[1 : len(data)-1])
}

// anyVersion is a version of Kubernetes to find out with what a chart asks for.
const anyVersion = "1.37"

// pin gives a chart that asks for random values or for the time what it asks for.
func (r *release) pin(ctx context.Context, c *chart.Chart, opts ReleaseOptions) error {
	in := chart.Input{Release: r.name, Namespace: r.namespace, Values: r.values, KubeVersion: anyVersion}
	for {
		out, err := c.Render(ctx, in)
		_, refused := errors.AsType[*chart.Refused](err)
		switch {
		case !refused || in.Seed != "" && !in.Now.IsZero():
			r.takeHooks(out)
			return ctx.Err() // whatever else is wrong, the rendering says with its place
		case in.Seed == "":
			in.Seed = rand.Text()
			r.seed = in.Seed
		default:
			in.Now = opts.Now.UTC().Truncate(time.Second)
			r.now = in.Now.Format(time.RFC3339)
		}
	}
}

// takeHooks remembers the hooks of a chart. Helm ran them, and at adoption nothing runs
// again.
func (r *release) takeHooks(out chart.Output) {
	for _, o := range out.Objects {
		if o.Hook != nil && !o.Hook.Test() {
			r.hooks = append(r.hooks, chart.Key(text(o.Content, "kind"), text(o.Content, "metadata", "name")))
		}
	}
}

// fitRelease computes what the unit has to say beside chart and values, so that it
// renders what the release has.
func (imp *Import) fitRelease(u *Unit, rendered *evenkeel.Unit) {
	u.patch, u.Reloads = map[string]map[string]any{}, nil
	if u.release.declared {
		return
	}
	wanted := map[string]Object{}
	for _, o := range imp.objects {
		wanted[imp.identity(o)] = o
	}
	for _, o := range rendered.Objects {
		namespace := o.GetNamespace()
		if u.release.secrets["Secret/"+namespace+"/"+o.GetName()] && o.GetKind() == "Secret" {
			u.patch[o.Key] = map[string]any{"$patch": "delete"}
			continue
		}
		if o.GetKind() == "ConfigMap" || o.GetKind() == "Secret" {
			u.Reloads = append(u.Reloads, o.Key)
		}
		want, ok := wanted[imp.identity(o.Object)]
		if !ok {
			if o.Stage == 0 && o.GetKind() != "CustomResourceDefinition" {
				imp.Notes = append(imp.Notes, o.GetKind()+"/"+o.GetName()+": the chart makes it now, and the release has none")
			}
			continue
		}
		patch, err := imp.gap(o.DeepCopy().Object, want)
		if err != nil {
			patch = mergePatch(o.Object, want)
		}
		u.release.leaveChecksums(o.Key, patch)
		if len(patch) > 0 {
			u.patch[o.Key] = patch
		}
	}
}

// leaveChecksums takes the checksums of what is left out from a patch: with others the
// pods would restart, and to write them would tell something of a Secret.
func (r *release) leaveChecksums(key string, patch map[string]any) {
	template := mapping(patch, "spec", "template")
	annotations := mapping(template, "metadata", "annotations")
	delete(annotations, evenkeel.AnnotationConfigHash) // reloads takes it away
	for _, name := range sortedNames(annotations) {
		if !strings.Contains(name, "checksum") {
			continue
		}
		delete(annotations, name)
		escaped := strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		r.ignore[key] = append(r.ignore[key], "/spec/template/metadata/annotations/"+escaped)
	}
	dropEmpty(mapping(template, "metadata"), "annotations")
	dropEmpty(template, "metadata")
	dropEmpty(mapping(patch, "spec"), "template")
	dropEmpty(patch, "spec")
}

// mergePatch is the JSON merge patch (RFC 7386) between two objects of a kind that is
// not built in.
func mergePatch(from, to Object) map[string]any {
	a, err := json.Marshal(meant(runtime.DeepCopyJSON(from)))
	if err != nil {
		return nil
	}
	b, err := json.Marshal(meant(runtime.DeepCopyJSON(to)))
	if err != nil {
		return nil
	}
	data, err := jsonpatch.CreateMergePatch(a, b)
	if err != nil {
		return nil
	}
	var patch map[string]any
	_ = json.Unmarshal(data, &patch) // what Marshal wrote
	return patch
}

// source writes what the unit says of its chart.
func (r *release) source(w *cueWriter, env string) {
	w.field("chart", r.chart)
	if r.repo != "" {
		w.field("repo", r.repo)
	}
	w.field("version", r.version)
	if r.digest != "" {
		w.field("digest", r.digest)
	}
	w.field("release", r.name)
	if r.namespace != env {
		w.field("namespace", r.namespace)
	}
	w.comment("images stay where they run from; without the line they come from the site's mirror")
	w.field("mirror", false)
	if r.seed != "" {
		w.comment("the chart asks for random values, and what it made of them is patched or left out below")
		w.line(fmt.Sprintf("seed: %q @secret()", r.seed))
	}
	if r.now != "" {
		w.field("now", r.now)
	}
	if len(r.left) > 0 {
		why := "a Secret of the cluster has the value, and the Secret is not rendered"
		if r.declared {
			why = "a value stood that is to be seen by nobody: give it with @secret(), or name a Secret that has it"
		}
		w.comment(fmt.Sprintf("%s: where it says %s, %s", strings.Join(r.left, ", "), placeholder, why))
	}
	if len(r.values) > 0 {
		w.field("values", r.values)
	}
	if len(r.hooks) > 0 {
		w.comment("Helm ran them, and nothing runs again because the release is taken over; without the line a hook", "runs once more, and whenever it changes")
		hooks := map[string]any{}
		for _, key := range r.hooks {
			hooks[key] = "never"
		}
		w.field("hooks", hooks)
	}
	if len(r.ignore) > 0 {
		w.comment("checksums of Secrets that are not rendered: with others the pods would restart")
		ignore := map[string]any{}
		for key, pointers := range r.ignore {
			ignore[key] = texts(pointers)
		}
		w.field("ignore", ignore)
	}
}
