package lint_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/render/lint"
)

var update = flag.Bool("update", false, "rewrite what the archives want")

// TestRules gives the rules plain objects. Each archive of testdata has a file for
// each unit, UNIT.yaml with its manifests, and "want": a line for each finding, RULE
// UNIT KEY PATH: MESSAGE. What of it is right stands beside what is wrong, so that a
// rule that says too much fails as well.
func TestRules(t *testing.T) {
	archives, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	found := map[string]bool{}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			at := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "want" })
			if at < 0 {
				t.Fatal(`no file "want"`)
			}
			var got strings.Builder
			for _, f := range lint.Check(environment(t, archive)) {
				found[f.Rule] = true
				fmt.Fprintf(&got, "%s %s %s %s: %s\n", f.Rule, f.Unit, f.Key, f.Path, f.Message)
			}
			if *update {
				archive.Files[at].Data = []byte(got.String())
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(archive.Files[at].Data), got.String()); diff != "" {
				t.Errorf("(-want +got; -update rewrites it)\n%s", diff)
			}
		})
	}
	for _, rule := range lint.Rules() {
		if !found[rule] && elsewhere[rule] == "" {
			t.Errorf("no archive has a finding of rule %q", rule)
		}
		if found[rule] && elsewhere[rule] != "" {
			t.Errorf("rule %q is tested here: it need not be in the list", rule)
		}
	}
}

// elsewhere are rules that need more than objects, and why; the archives of
// render/testdata/broken test them.
var elsewhere = map[string]string{
	"chart":              "a Helm chart",
	"consumes":           "fields of an app",
	"definition":         "two environments",
	"edge":               "a site",
	"feature-gate":       "types of fields",
	"heap":               "fields of an app",
	"host":               "a site",
	"host-taken":         "two environments",
	"isolation":          "two environments",
	"namespace-taken":    "two environments",
	"object-taken":       "two environments",
	"provider":           "two environments",
	"cluster-network":    "two environments",
	"ingress-class":      "two environments",
	"kubernetes-version": "an environment's version",
	"network":            "a site",
	"pod-security":       "a namespace with its labels",
	"registry":           "a registry",
	"server":             "render/server",
	"shutdown":           "fields of an app",
	"silence":            "fields of an app",
	"size":               "an object of 1.5 MB",
	"way":                "render/way",
}

func environment(t *testing.T, archive *txtar.Archive) lint.Environment {
	t.Helper()
	env := lint.Environment{Name: "dev", Namespace: "dev", Cluster: "here", KubernetesVersion: "1.34"}
	for _, f := range archive.Files {
		name, manifests := strings.CutSuffix(f.Name, ".yaml")
		if !manifests {
			continue
		}
		u := lint.Unit{Name: name, Silence: map[string]string{}}
		for doc := range strings.SplitSeq(string(f.Data), "\n---\n") {
			data, err := yaml.YAMLToJSON([]byte(doc))
			if err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			var content map[string]any
			if err := json.Unmarshal(data, &content); err != nil { // integers are int64, as render's are
				t.Fatalf("%s: %v", f.Name, err)
			}
			meta, _ := content["metadata"].(map[string]any)
			text := func(m map[string]any, key string) string { s, _ := m[key].(string); return s }
			u.Objects = append(u.Objects, lint.Object{
				Key: strings.ToLower(text(content, "kind")), Kind: text(content, "kind"),
				Namespace: text(meta, "namespace"), Name: text(meta, "name"), Content: content,
			})
		}
		env.Units = append(env.Units, u)
	}
	return env
}
