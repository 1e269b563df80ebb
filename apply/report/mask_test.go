package report

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// TestNoFormatShowsSecrets plants secrets wherever a manifest may hold them and
// looks for them, plain and encoded, in every format and in the files that an
// external program is given.
func TestNoFormatShowsSecrets(t *testing.T) {
	const manifest = `
- {apiVersion: v1, kind: Secret, metadata: {name: data, namespace: app}, data: {password: VALUE64}}
- {apiVersion: v1, kind: Secret, metadata: {name: string-data, namespace: app}, stringData: {password: VALUE, url: "https://root:VALUE@db"}}
- {apiVersion: v1, kind: Secret, metadata: {name: odd, namespace: app}, data: {password: {nested: VALUE}}}
- {apiVersion: v1, kind: Secret, metadata: {name: applied, namespace: app, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"data":{"password":"VALUE64"},"stringData":{"x":"VALUE"}}'}}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: applied, namespace: app, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"env":"VALUE"}'}}, data: {a: STEP}}
- {apiVersion: v1, kind: Secret, metadata: {name: STEP, namespace: app}, stringData: {password: VALUE}}
`
	plan := apply.Compare(
		secretEnvironment(t, manifest, "VALUE64", "aHVudGVyMQ==", "VALUE", "hunter1", "STEP", "one"),
		secretEnvironment(t, manifest, "VALUE64", "aHVudGVyMg==", "VALUE", "hunter2", "STEP", "two"),
	)
	if len(plan.Changes) != 7 {
		t.Fatalf("%d changes: %v", len(plan.Changes), plan.Summary)
	}
	hidden := []string{"hunter", "aHVudGVyM"}
	plans := []*apply.Plan{plan}
	formats := map[string]func(io.Writer) error{
		"text":     func(w io.Writer) error { return Text(w, plan, Options{}) },
		"unified":  func(w io.Writer) error { return Text(w, plan, Options{Unified: true}) },
		"markdown": func(w io.Writer) error { return Markdown(w, plans, Options{}) },
		"html":     func(w io.Writer) error { return HTML(w, plans, Options{}) },
		"files": func(w io.Writer) error {
			t.Setenv("TMPDIR", t.TempDir())
			live, merged, err := writeBodies(plan)
			return errors.Join(err, copyFiles(w, live), copyFiles(w, merged))
		},
	}
	for name, write := range formats {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := write(&got); err != nil {
				t.Fatal(err)
			}
			for _, value := range hidden {
				if strings.Contains(got.String(), value) {
					t.Errorf("%q in\n%s", value, got.String())
				}
			}
			if !strings.Contains(got.String(), "secret:") || !strings.Contains(got.String(), "password") {
				t.Errorf("nothing is said of the secrets:\n%s", got.String())
			}
		})
	}
}

func secretEnvironment(t *testing.T, manifest string, values ...string) *schema.Environment {
	t.Helper()
	list := parse(t, strings.NewReplacer(values...).Replace("items:\n"+manifest))["items"]
	unit := schema.Unit{Name: "app"}
	for _, object := range list.([]any) {
		unit.Objects = append(unit.Objects, schema.Object{Unstructured: &unstructured.Unstructured{Object: object.(map[string]any)}})
	}
	return &schema.Environment{Name: "prod", Units: []schema.Unit{unit}}
}

func copyFiles(w io.Writer, dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	for _, file := range files {
		text, readErr := os.ReadFile(file)
		err = errors.Join(err, readErr)
		_, writeErr := w.Write(text)
		err = errors.Join(err, writeErr)
	}
	return err
}
