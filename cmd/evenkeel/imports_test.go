package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/seed-428f4edd/evenkeel/"

// TestImportDirections holds who may import whom: data flows one way.
func TestImportDirections(t *testing.T) {
	forbidden := []struct{ pkg, dep, why string }{
		{"schema", module + "render", "the contract knows none of its users"},
		{"schema", module + "apply", "the contract knows none of its users"},
		{"schema", "cuelang.org/go", "the types are plain data; CUE is render's"},
		{"schema", "k8s.io/client-go", "the types are plain data; clusters are apply's"},
		{"render", module + "apply", "render knows no cluster"},
		{"render", "k8s.io/client-go/rest", "render knows no cluster"},
		{"render", "k8s.io/client-go/dynamic", "render knows no cluster"},
		{"apply", module + "render", "apply is given rendered objects"},
		{"apply", "cuelang.org/go", "apply knows no CUE"},
		{"apply", "sigs.k8s.io/kustomize/api/krusty", "apply knows no kustomize"},
		{"apply", "github.com/spf13/cobra", "libraries have no flags"},
		{"render", "github.com/spf13/cobra", "libraries have no flags"},
	}
	deps := map[string][]string{}
	for _, rule := range forbidden {
		if deps[rule.pkg] == nil {
			deps[rule.pkg] = goList(t, module+rule.pkg)
		}
		for _, dep := range deps[rule.pkg] {
			if dep == rule.dep || strings.HasPrefix(dep, rule.dep+"/") {
				t.Errorf("%s depends on %s: %s", rule.pkg, dep, rule.why)
			}
		}
	}
}

func goList(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", pkg).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", pkg, err)
	}
	return strings.Fields(string(out))
}

// TestExportedNames holds the exported names of the packages against goldens, so
// that each new one shows in review. -update rewrites them.
func TestExportedNames(t *testing.T) {
	for _, pkg := range []string{"schema", "render", "apply"} {
		out, err := exec.Command("go", "doc", "-all", module+pkg).CombinedOutput()
		if err != nil {
			t.Fatalf("go doc %s: %v\n%s", pkg, err, out)
		}
		golden := filepath.Join(repoRoot(t), "testdata", "golden", "api", pkg+".txt")
		if *update {
			if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, out, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(out)); diff != "" {
			t.Errorf("exported names of %s changed (-golden +code); run with -update:\n%s", pkg, diff)
		}
	}
}
