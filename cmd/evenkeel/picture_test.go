package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestPicture holds the pictures that the READMEs open with level with the example:
// "go test ./cmd/evenkeel -run Picture -update" draws them.
func TestPicture(t *testing.T) {
	root := repoRoot(t)
	for lang, name := range map[string]string{"en": "prod.svg", "zh": "prod.zh.svg"} {
		var got, said bytes.Buffer
		if code := run(t.Context(), []string{"-C", root, "graph", "prod", "--lang", lang}, streams{out: &got, err: &said}); code != exitDone {
			t.Fatalf("exit code %d: %s", code, said.String())
		}
		path := filepath.Join(root, "docs", name)
		if *update {
			if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want := readFile(t, root, "docs/"+name); !bytes.Equal(want, got.Bytes()) {
			t.Errorf("docs/%s is not what evenkeel graph prod --lang %s draws; -update draws it", name, lang)
		}
	}
}
