package scaffold_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-428f4edd/evenkeel/render/scaffold"
)

// TestChangeThatCannotBeWritten says once why a file cannot be written, and takes back
// those before it. No room is left beside the name for that of a new file, which stands
// for a disk that is full.
func TestChangeThatCannotBeWritten(t *testing.T) {
	root := t.TempDir()
	full := strings.Repeat("f", 250)
	for _, name := range []string{"a.cue", full} {
		if err := os.WriteFile(filepath.Join(root, name), []byte("before"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := scaffold.Change(root, []scaffold.File{{Name: "a.cue", Data: []byte("after")}, {Name: full, Data: []byte("after")}})
	if err == nil || len(strings.Split(err.Error(), "\n")) != 1 {
		t.Errorf("said: %v", err)
	}
	for _, name := range []string{"a.cue", full} {
		if data, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(data) != "before" {
			t.Errorf("%.10s: %q, %v", name, data, err)
		}
	}
}
