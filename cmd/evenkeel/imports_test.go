package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
		{"apply/kube", module + "apply/", "the API server is the lowest floor of apply"},
		{"apply/managed", module + "apply/", "who owns which field is pure"},
		{"apply/managed", "k8s.io/client-go", "who owns which field is pure"},
		{"apply/mask", "k8s.io/client-go", "what must not be seen is known without a client, and a client is told of it"},
		{"apply/mask", module + "apply/rights", "masks are below rights"},
		{"apply/canary", module + "apply/", "what is applied while a version is tried follows from data alone"},
		{"apply/canary", "k8s.io/client-go", "what is applied while a version is tried follows from data alone"},
		{"apply/rights", module + "apply/managed", "what the caller may do depends on no object"},
		{"apply/rights", module + "apply/mask", "what the caller may do depends on no object"},
		{"apply/kinds", module + "apply/", "what is true of a kind is true without a cluster"},
		{"apply/kinds", "k8s.io/client-go", "what is true of a kind is true without a cluster"},
		{"apply/lock", module + "apply/", "a lock knows Leases, and no run"},
		{"apply/record", module + "apply/health", "records are read and written, whatever a run saw"},
		{"apply/record", module + "apply/rights", "records are read and written by whoever may"},
		{"apply/follow", module + "apply/", "following one kind needs to know nothing of ours"},
		{"apply/health", module + "apply/kube", "health stands beside: it judges objects and writes none"},
		{"apply/health", module + "apply/managed", "health stands beside: it judges objects and writes none"},
		{"apply/health", module + "apply/mask", "health stands beside: it judges objects and writes none"},
		{"apply/health", module + "apply/rights", "health stands beside: it judges objects and writes none"},
		{"apply/health", module + "apply/reconcile", "health stands beside: it judges objects and writes none"},
		{"apply/health", module + "apply/report", "health stands beside: it judges objects and writes none"},
		{"apply/look", module + "apply/report", "what is said of an object does not know how it is printed"},
		{"apply/reconcile/remote", module + "apply", "fetching a repository needs to know nothing of what is in it"},
		{"render/checkout", module + "render", "what git knows of a directory depends on nothing that is rendered"},
		{"render/internal/content", "cuelang.org/go", "files are read without knowing what they mean"},
		{"render/internal/syntax", module + "render", "CUE is read as it is written, whatever it is for"},
		{"render/edit", module + "internal/usergit", "what is set in the source does not know how it is committed"},
		{"internal/usergit", module + "render", "committing files needs to know nothing of what is in them"},
		{"render/way", module + "render/scaffold", "the way of a request is read from what is rendered"},
		{"render/lint", "cuelang.org/go", "checks are given plain objects"},
		{"render", module + "render/outdated", "a rendering sends nothing anywhere"},
		{"render/typed", "cuelang.org/go", "the types of Kubernetes know no CUE"},
		{"render/server", "cuelang.org/go", "what the API server says of an object depends on no file"},
		{"render/lint", module + "render/server", "the rules are cheap; the server's own are asked by vet alone"},
		{"apply", module + "apply/report", "a plan does not know how it is printed"},
		{"apply", module + "apply/workload", "a plan knows what the verbs noted, and not the verbs"},
		{"apply", module + "apply/rbac", "what requests need stands where they are sent; who prints it is above"},
		{"apply", module + "apply/ui", "a plan does not know who looks at it"},
		{"apply/report", module + "apply/ui", "what is written for people does not know the page that shows it"},
		{"apply", module + "apply/reconcile", "a run does not know who started it"},
		{"apply", "cuelang.org/go", "apply knows no CUE"},
		{"apply", "golang.org/x/sync/errgroup", "a panic of its goroutines ends the daemon; contain has groups"},
		{"render", "golang.org/x/sync/errgroup", "a panic of its goroutines ends the program; contain has groups"},
		{"apply", "sigs.k8s.io/kustomize/api/krusty", "apply knows no kustomize"},
		{"apply", "github.com/spf13/cobra", "libraries have no flags"},
		{"render", "github.com/spf13/cobra", "libraries have no flags"},
	}
	imports := map[string]map[string][]string{}
	for _, rule := range forbidden {
		if imports[rule.pkg] == nil {
			imports[rule.pkg] = ourImports(t, module+rule.pkg)
		}
		for pkg, deps := range imports[rule.pkg] {
			if pkg == module+"internal/contain" {
				continue
			}
			for _, dep := range deps {
				if dep == rule.dep || strings.HasPrefix(dep, strings.TrimSuffix(rule.dep, "/")+"/") {
					t.Errorf("%s imports %s: %s", pkg, dep, rule.why)
				}
			}
		}
	}
}

// ourImports are the imports of a package and of every package of ours that it
// depends on. What other modules import is their affair.
func ourImports(t *testing.T, pkg string) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-f", `{{.ImportPath}} {{join .Imports " "}}`, pkg).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", pkg, err)
	}
	imports := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if strings.HasPrefix(words[0], module) {
			imports[words[0]] = words[1:]
		}
	}
	if len(imports[pkg]) == 0 {
		t.Fatalf("go list says nothing of %s", pkg)
	}
	return imports
}

// TestExportedNames holds the exported names of the packages against goldens, so
// that each new one shows in review. -update rewrites them.
func TestExportedNames(t *testing.T) {
	for _, pkg := range append([]string{"schema", "render"}, packagesBelow(t, "apply")...) {
		out, err := exec.Command("go", "doc", "-all", module+pkg).CombinedOutput()
		if err != nil {
			t.Fatalf("go doc %s: %v\n%s", pkg, err, out)
		}
		golden := filepath.Join(repoRoot(t), "testdata", "golden", "api", filepath.FromSlash(pkg)+".txt")
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

// packagesBelow are a package of ours and those below it, but for what only tests
// import.
func packagesBelow(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", module+pkg+"/...").Output()
	if err != nil {
		t.Fatalf("go list %s/...: %v", pkg, err)
	}
	var pkgs []string
	for line := range strings.Lines(string(out)) {
		if name := strings.TrimPrefix(strings.TrimSpace(line), module); !strings.HasSuffix(name, "test") {
			pkgs = append(pkgs, name)
		}
	}
	return pkgs
}

// TestMapNamesFiles holds that the files that docs/architecture.md sends its readers to
// are there. A name without a folder is in the folder of the one before it.
func TestMapNamesFiles(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repoRoot(t), "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for line := range strings.Lines(string(text)) {
		dir := ""
		for _, m := range regexp.MustCompile("`([a-z_/]+\\.(?:go|cue))`").FindAllStringSubmatch(line, -1) {
			if strings.Contains(m[1], "/") {
				dir = filepath.Dir(m[1])
			}
			named++
			if _, err := os.Stat(filepath.Join(repoRoot(t), dir, filepath.Base(m[1]))); err != nil {
				t.Errorf("%v, in the line: %s", err, line)
			}
		}
	}
	if named < 20 {
		t.Errorf("the map names %d files", named)
	}
}
