package render_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cuelang.org/go/cue/cuecontext"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/internal/program"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// TestChartParity renders the chart of each archive of testdata/charts with helm
// template, takes what it made as whole objects, and holds that against a unit of the
// same chart: as a directory, and as the archive that helm package makes of it.
func TestChartParity(t *testing.T) {
	dir := filepath.Join("..", "testdata", "charts")
	names, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(names) < 6 {
		t.Fatalf("%d archives: %v", len(names), err)
	}
	helm := buildHelm(t)
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			root := shop(t, archive)
			values := fileOf(archive, "values.cue")
			valuesFile := filepath.Join(root, "values.json")
			if err := os.WriteFile(valuesFile, asJSON(t, "{\n"+values+"\n}"), 0o644); err != nil {
				t.Fatal(err)
			}
			manifests := hookless.ReplaceAll(runIn(t, root, helm, templateArgs("--values", valuesFile)...), nil)
			runIn(t, root, helm, "package", "chart", "--destination", "packed")
			packed, _ := filepath.Glob(filepath.Join(root, "packed", "*.tgz"))
			if len(packed) != 1 {
				t.Fatal("helm package made", packed)
			}
			chartEnv(t, root, "dir", "chart", values)
			chartEnv(t, root, "archive", "packed/"+filepath.Base(packed[0]), values)
			unitEnv(t, root, "theirs", "extraObjects: "+chartObjects(t, manifests)+"\n")
			want := sortedDocs(renderUnit(t, root, "theirs"))
			if strings.Count(want, "\n") < 5 {
				t.Fatalf("helm made next to nothing:\n%s", want)
			}
			for _, env := range []string{"dir", "archive"} {
				if diff := cmp.Diff(want, sortedDocs(renderUnit(t, root, env))); diff != "" {
					t.Errorf("%s (-helm +evenkeel)\n%s", env, diff)
				}
			}
		})
	}
}

func buildHelm(t *testing.T) string {
	t.Helper()
	module := filepath.Join("..", "testdata", "charts", "tool", "go.mod")
	out, err := program.Command(t.Context(), "go", "tool", "-modfile="+module, "-n", "helm").Output()
	if err != nil {
		t.Fatalf("building helm: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// templateArgs is helm template of the directory chart, for a cluster as the environments of
// these tests have it.
func templateArgs(more ...string) []string {
	args := []string{"template", "unit", "chart", "--namespace", "parity", "--include-crds", "--skip-tests", "--kube-version", "1.37"}
	for _, version := range typed.New().Served(37) {
		args = append(args, "--api-versions", version)
	}
	return append(args, more...)
}

// chartObjects is asObjects of what has comments for documents, and lists.
func chartObjects(t *testing.T, manifests []byte) string {
	t.Helper()
	var docs [][]byte
	for _, doc := range regexp.MustCompile(`(?m)^---[ \t]*$`).Split(string(manifests), -1) {
		var obj struct {
			Kind  string
			Items []map[string]any
		}
		if err := yaml.Unmarshal([]byte(doc), &obj); err != nil {
			t.Fatal(err)
		}
		if obj.Kind != "" && obj.Kind != "List" {
			docs = append(docs, []byte(doc))
		}
		for _, item := range obj.Items {
			data, err := yaml.Marshal(item)
			if err != nil {
				t.Fatal(err)
			}
			docs = append(docs, data)
		}
	}
	return asObjects(t, bytes.Join(docs, []byte("\n---\n")))
}

// hookless matches what tells Helm when to write an object.
var hookless = regexp.MustCompile(`(?m)^ *"?helm\.sh/hook(-weight|-delete-policy)?"?:.*\n`)

func runIn(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	cmd := program.Command(t.Context(), name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args[:2], " "), err, stderr.String())
	}
	return out
}

// chartEnv writes an environment with one unit, of a chart.
func chartEnv(t *testing.T, root, name, chart, values string) {
	t.Helper()
	unitEnv(t, root, name, "")
	file := filepath.Join(root, "envs", name, "env.cue")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	unit := fmt.Sprintf("stacks: unit: schema.#Chart & {\nchart: %q\nvalues: {\n%s\n}\n", chart, values)
	with := strings.Replace(string(text), "apps: unit: schema.#Objects & {", unit, 1)
	if err := os.WriteFile(file, []byte(with), 0o644); err != nil {
		t.Fatal(err)
	}
}

func sortedDocs(manifests string) string {
	docs := strings.Split(manifests, "---\n")
	for i, doc := range docs {
		docs[i] = strings.TrimSpace(doc)
	}
	return strings.Join(slices.Sorted(slices.Values(docs)), "\n---\n")
}

func asJSON(t *testing.T, source string) []byte {
	t.Helper()
	data, err := cuecontext.New().CompileString(source).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return data
}
