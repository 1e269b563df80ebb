package render

import (
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// TestShutIn lets kustomize go without the check of what it is given: the wall
// behind it holds by itself, and is gone afterwards.
func TestShutIn(t *testing.T) { //nolint:paralleltest // sets the search path
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	defer server.Close()
	bin, temp := t.TempDir(), t.TempDir()
	ran := filepath.Join(temp, "ran")
	if err := os.WriteFile(filepath.Join(bin, "git"), []byte("#!/bin/sh\ntouch "+ran+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	t.Setenv("TMPDIR", temp)
	build := func(kustomization string) {
		t.Helper()
		files := filesys.MakeFsInMemory()
		if err := files.WriteFile("/unit/kustomization.yaml", []byte(kustomization)); err != nil {
			t.Fatal(err)
		}
		defer shutIn()()
		if _, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, "/unit"); err == nil {
			t.Errorf("kustomize built %s", kustomization)
		}
	}
	build(`resources: ["file:///nowhere//x?ref=--upload-pack=touch"]`)
	build(`components: ["github.com/org/repo"]`)
	build(`resources: ["` + server.URL + `"]`)
	build(`generators: ['{"apiVersion": "builtin", "kind": "ConfigMapGenerator", "metadata": {"name": "x"}, "files": ["` + server.URL + `/x"]}']`)
	said := heardOf(t, func() {
		files := filesys.MakeFsInMemory()
		for name, text := range map[string]string{
			"/unit/kustomization.yaml": "resources: [a.yaml]\ncommonLabels: {a: b}\nvars: [{name: \"A\\e[31m\", objref: {apiVersion: v1, kind: Secret, name: s}, fieldref: {fieldPath: data}}]\n",
			"/unit/a.yaml":             "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {pw: c2VjcmV0}\n",
		} {
			if err := files.WriteFile(name, []byte(text)); err != nil {
				t.Error(err)
			}
		}
		defer shutIn()()
		if _, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, "/unit"); err != nil {
			t.Error(err)
		}
	})
	if said != "" {
		t.Errorf("kustomize said %q", said)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v %v", left, err)
	}
	if n := requests.Load(); n > 0 {
		t.Errorf("%d requests", n)
	}
	if _, err := exec.LookPath("git"); err != nil {
		t.Errorf("the search path is not what it was: %v", err)
	}
	if resp, err := http.Get(server.URL); err != nil { //nolint:noctx // loopback
		t.Errorf("the transport is not what it was: %v", err)
	} else if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
}

// heardOf is what do says on standard error, and with log.
func heardOf(t *testing.T, do func()) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	stderr, logged := os.Stderr, log.Writer()
	os.Stderr = file
	log.SetOutput(file)
	do()
	os.Stderr = stderr
	log.SetOutput(logged)
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	said, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(said)
}
