package server_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/tools/txtar"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/render/server"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

var update = flag.Bool("update", false, "write anew what the API server says")

func TestMain(m *testing.M) { os.Exit(applytest.Main(m)) }

const corpusNamespace = "corpus"

// example is one edit of an object of the corpus, and whether the server refuses it.
type example struct {
	kind    string // the section
	line    string
	refused bool
	object  map[string]any
}

func corpus(t *testing.T) (*txtar.Archive, []example) {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "corpus.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var all []example
	for i := 0; i+1 < len(archive.Files); i += 2 {
		base, edits := archive.Files[i], archive.Files[i+1]
		all = append(all, example{kind: base.Name, object: decoded(t, base.Data)})
		for line := range strings.Lines(string(edits.Data)) {
			line = strings.TrimSpace(line)
			e := example{kind: base.Name, refused: strings.HasPrefix(line, "- ")}
			e.line = strings.TrimPrefix(strings.TrimPrefix(line, "- "), "+ ")
			e.object = edited(t, decoded(t, base.Data), e.line)
			all = append(all, e)
		}
	}
	return archive, all
}

func decoded(t *testing.T, text []byte) map[string]any {
	t.Helper()
	data, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &v); err != nil {
		t.Fatal(err)
	}
	obj, ok := v.(map[string]any)
	if !ok {
		obj = map[string]any{"value": v}
	}
	return obj
}

// edited sets the field that a line names: a.b[0].c = VALUE, or takes it out.
func edited(t *testing.T, obj map[string]any, line string) map[string]any {
	t.Helper()
	path, text, ok := strings.Cut(line, " = ")
	if !ok {
		t.Fatalf("not an edit: %s", line)
	}
	steps := strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(".[]", r) })
	var at any = obj
	for i, step := range steps {
		last := i == len(steps)-1
		switch v := at.(type) {
		case map[string]any:
			switch {
			case last && text == "!":
				delete(v, step)
			case last:
				v[step] = decoded(t, []byte("value: "+text))["value"]
			case v[step] == nil:
				v[step] = map[string]any{}
			}
			at = v[step]
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n >= len(v) {
				t.Fatalf("%s: no item %s", line, step)
			}
			if last {
				v[n] = decoded(t, []byte("value: "+text))["value"]
			}
			at = v[n]
		default:
			t.Fatalf("%s: nothing at %s", line, step)
		}
	}
	return obj
}

// found is what vet says of an object that stands alone: what its type does not
// accept, else what the server's own validation says.
func found(kinds *typed.Kinds, api *server.Server, object map[string]any) []string {
	u := unstructured.Unstructured{Object: object}
	u = *u.DeepCopy()
	if u.GetNamespace() == "" && !typed.ClusterScoped(u.GroupVersionKind().GroupKind()) {
		u.SetNamespace(corpusNamespace)
	}
	var lines []string
	if t, ok := kinds.Type(u.GroupVersionKind()); ok {
		problems, _ := kinds.Normalise(u.Object, t, 0)
		for _, p := range problems {
			lines = append(lines, p.Path.String()+": "+p.Message)
		}
	}
	if len(lines) > 0 {
		return lines
	}
	for _, r := range api.Refusals(u.Object) {
		lines = append(lines, r.Path.String()+": "+r.Message)
	}
	return lines
}

// TestCorpus: of the objects that the API server refuses, vet finds nearly all, and
// says nothing against one that it accepts. Which are which, TestOracle asks a server.
func TestCorpus(t *testing.T) {
	_, all := corpus(t)
	var kinds typed.Kinds
	var api server.Server
	refused, missed := 0, 0
	for _, e := range all {
		lines := found(&kinds, &api, e.object)
		switch {
		case e.refused && len(lines) == 0:
			missed++
			t.Logf("not found: %s: %s", e.kind, e.line)
		case !e.refused && len(lines) > 0:
			t.Errorf("%s: %s: the server accepts it, and yet:\n%s", e.kind, e.line, strings.Join(lines, "\n"))
		}
		if e.refused {
			refused++
		}
	}
	t.Logf("%d refused objects, %d of them not found; %d accepted", refused, missed, len(all)-refused)
	if refused < 300 || missed*20 > refused {
		t.Errorf("%d of %d refused objects are not found: more than 5 %%", missed, refused)
	}
}

// TestOracle holds the corpus to what a real API server says of each object.
func TestOracle(t *testing.T) {
	archive, all := corpus(t)
	oracle := newOracle(t)
	answers := oracle.ask(t, all)
	for i, e := range all {
		if refused := answers[i] != nil; refused != e.refused && !*update {
			t.Errorf("%s: %s: recorded as refused=%v, but the server says: %v", e.kind, e.line, e.refused, answers[i])
		}
	}
	if !*update {
		return
	}
	n := 0
	for i := 1; i < len(archive.Files); i += 2 {
		n++ // the object itself
		var out bytes.Buffer
		for range strings.Count(string(archive.Files[i].Data), "\n") {
			mark := "+"
			if answers[n] != nil {
				mark = "-"
			}
			fmt.Fprintf(&out, "%s %s\n", mark, all[n].line)
			n++
		}
		archive.Files[i].Data = out.Bytes()
	}
	if err := os.WriteFile(filepath.Join("testdata", "corpus.txtar"), txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestMutants changes every scalar of the corpus to what a slip of the hand makes of
// it, and compares what vet says of each with the server's answer.
func TestMutants(t *testing.T) {
	_, all := corpus(t)
	var mutants []example
	for _, e := range all {
		if e.line == "" {
			mutants = append(mutants, mutate(e)...)
		}
	}
	answers := newOracle(t).ask(t, mutants)
	var kinds typed.Kinds
	var api server.Server
	refused, missed := 0, 0
	for i, m := range mutants {
		lines := found(&kinds, &api, m.object)
		switch {
		case answers[i] != nil && len(lines) == 0:
			missed++
			t.Logf("not found: %s: %s: %v", m.kind, m.line, answers[i])
		case answers[i] == nil && len(lines) > 0:
			t.Errorf("%s: %s: the server accepts it, and yet:\n%s", m.kind, m.line, strings.Join(lines, "\n"))
		}
		if answers[i] != nil {
			refused++
		}
	}
	t.Logf("%d refused objects, %d of them not found; %d accepted", refused, missed, len(mutants)-refused)
	if missed*20 > refused {
		t.Errorf("%d of %d refused objects are not found: more than 5 %%", missed, refused)
	}
}

// mutate makes an object for each scalar and each slip.
func mutate(e example) []example {
	slips := []any{"", "A b", "-x", strings.Repeat("x", 70), int64(-1), int64(0), int64(70000), true}
	var out []example
	var walk func(v any, path string, set func(any))
	walk = func(v any, path string, set func(any)) {
		switch v := v.(type) {
		case map[string]any:
			for key, inner := range v {
				if path == "" && (key == "apiVersion" || key == "kind") {
					continue
				}
				walk(inner, path+"."+key, func(x any) { v[key] = x })
			}
		case []any:
			for i, inner := range v {
				walk(inner, fmt.Sprintf("%s[%d]", path, i), func(x any) { v[i] = x })
			}
		default:
			for _, slip := range slips {
				if path == ".metadata.name" && slip == "" {
					continue // the server gives a LimitRange a name
				}
				set(slip)
				u := unstructured.Unstructured{Object: e.object}
				out = append(out, example{kind: e.kind, line: fmt.Sprintf("%s = %#v", path, slip), object: u.DeepCopy().Object})
			}
			set(v)
		}
	}
	walk(e.object, "", nil)
	slices.SortFunc(out, func(a, b example) int { return strings.Compare(a.line, b.line) })
	return out
}

type oracle struct {
	client dynamic.Interface
	mapper meta.RESTMapper

	namespace string
}

func newOracle(t *testing.T) *oracle {
	t.Helper()
	cfg := applytest.Cluster(t)
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	disco, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &oracle{
		client: client, mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco)),
		namespace: applytest.Namespace(t, cfg, corpusNamespace),
	}
}

// ask is what the server says of each object, nil where it takes it.
func (o *oracle) ask(t *testing.T, all []example) []error {
	t.Helper()
	answers := make([]error, len(all))
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(8)
	for i, e := range all {
		g.Go(func() error {
			answers[i] = o.dryRun(ctx, e.object)
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return answers
}

func (o *oracle) dryRun(ctx context.Context, object map[string]any) error {
	u := (&unstructured.Unstructured{Object: object}).DeepCopy()
	gvk := u.GroupVersionKind()
	mapping, err := o.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return err
	}
	var client dynamic.ResourceInterface = o.client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		u.SetNamespace(o.namespace)
		client = o.client.Resource(mapping.Resource).Namespace(o.namespace)
	}
	_, err = client.Create(ctx, u, metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldManager: "corpus", FieldValidation: metav1.FieldValidationStrict,
	})
	if apierrors.IsAlreadyExists(err) {
		return nil // its name alone stood in the way
	}
	return err
}
