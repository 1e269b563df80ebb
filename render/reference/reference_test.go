package reference_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/reference"
)

var update = flag.Bool("update", false, "rewrite docs/stacks")

// TestPages holds docs/stacks level with the comments of the definitions, and each
// field of an environment to a comment.
func TestPages(t *testing.T) {
	dir := filepath.Join("..", "..", "docs", "stacks")
	want := map[string]string{}
	index := "# Stacks and app types\n\nMade from the comments of the definitions, like `evenkeel explain`.\n"
	kinds := map[string]string{"stack": "Stacks", "app": "App types", "common": "What they have in common"}
	last := ""
	for _, p := range pages(t) {
		want[p.Name+".md"] = p.Markdown()
		if p.Kind != last {
			index += "\n## " + kinds[p.Kind] + "\n\n"
			last = p.Kind
		}
		index += fmt.Sprintf("- [%s](%s.md)\n", p.Name, p.Name)
		if p.Doc == "" {
			t.Errorf("%s has no comment", p.Name)
		}
		if p.Kind != "common" && p.Example == "" {
			t.Errorf("%s has no example in its comment", p.Name)
		}
		for _, f := range p.Fields {
			if f.Doc == "" {
				t.Errorf("%s: %s has no comment", p.Name, f.Path)
			}
		}
	}
	want["README.md"] = index
	if *update {
		for name, text := range want {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	got := map[string]string{}
	files, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got[filepath.Base(name)] = string(data)
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("docs/stacks (-is +should be; -update writes it):\n%s", diff)
	}
}

// site is where the examples stand.
const site = `
	site: {
		name:   "lab"
		domain: "lab.example"
		networks: {nodes: "10.4.7.0/24", pods: "172.7.0.0/16", services: "192.168.0.0/16"}
		entry: "edge"
		edge: {vip: "10.4.7.10", hosts: {"edge-1": "10.4.7.11", "edge-2": "10.4.7.12"}}
		dns: {servers: ["10.4.7.11"], cluster: "192.168.0.2"}
		nodes: "node-1": "10.4.7.21"
		apiServers: nodes
		zookeeper: ["zk1.lab.example:2181"]
		logs: elasticsearch: host: "es.lab.example"
	}
	external: secrets: {
		"apollo-mysql": {}, "dubbo-admin-login": {}, "nacos-auth": {}, "nacos-mysql": {}, "ingress-nginx-admission": namespace: "ingress-nginx"
		"jenkins-admin": namespace: "jenkins", "harbor-keys": namespace: "harbor", "deploy-key": namespace: "evenkeel"
	}
`

// TestExamples renders the example of each page, alone in an environment.
func TestExamples(t *testing.T) {
	for _, p := range pages(t) {
		if p.Example == "" {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			registry := `zookeeper: {}`
			if p.Name == "SpringService" || p.Name == "Gateway" {
				registry = `nacos: servers: ["nacos.lab.example:8848"]`
			}
			dir := t.TempDir()
			write(t, dir, "cue.mod/module.cue", "module: \"example.com/lab@v0\"\nlanguage: version: \"v0.17.0\"\n")
			write(t, dir, "envs/prod/prod.cue", "package prod\n\nimport \"github.com/seed-428f4edd/evenkeel/schema\"\n\nenvironment: schema.#Environment & {\n\tname: \"prod\"\n\tregistry: "+registry+"\n"+site+p.Snippet()+"\n}\n")
			if p.Name == "Chart" { // in place of the archive that the example names
				at := "charts/cert-manager-1.21.2.tgz/"
				write(t, dir, at+"Chart.yaml", "apiVersion: v2\nname: cert-manager\nversion: 1.21.2\n")
				write(t, dir, at+"values.yaml", "crds: {enabled: false}\n")
				write(t, dir, at+"templates/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"crds-{{ .Values.crds.enabled }}\"}\n")
			}
			repo, err := render.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			res, err := repo.Render(t.Context(), "prod")
			if err != nil {
				t.Fatalf("%v\n%s", err, p.Snippet())
			}
			objects := 0
			for _, u := range res.Env.Units {
				if u.Name != "environment" {
					objects += len(u.Objects)
				}
			}
			if objects == 0 && res.Edge == nil {
				t.Error("renders nothing")
			}
		})
	}
}

func pages(t *testing.T) []reference.Page {
	t.Helper()
	pages, err := reference.Pages()
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) < 20 {
		t.Fatalf("%d pages, want all stacks and app types", len(pages))
	}
	return pages
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
