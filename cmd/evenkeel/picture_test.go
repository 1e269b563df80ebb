package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestPicture holds the picture that the README opens with level with the example:
// "go test ./cmd/evenkeel -run Picture -update" draws it.
func TestPicture(t *testing.T) {
	root := repoRoot(t)
	var got, said bytes.Buffer
	if code := run(t.Context(), []string{"-C", root, "graph", "prod"}, streams{out: &got, err: &said}); code != exitDone {
		t.Fatalf("exit code %d: %s", code, said.String())
	}
	path := filepath.Join(root, "docs", "prod.svg")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := readFile(t, root, "docs/prod.svg"); !bytes.Equal(want, got.Bytes()) {
		t.Error("docs/prod.svg is not what evenkeel graph prod draws; -update draws it")
	}
}
