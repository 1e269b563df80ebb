package program

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestHidden(t *testing.T) { //nolint:paralleltest // sets the search path
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "hello"), []byte("#!/bin/sh\necho \"$1 $PATH\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv(variable, bin)
	says := func() {
		t.Helper()
		out, err := Command(t.Context(), "hello", "me").Output()
		if want := "me " + bin; err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("hello says %q (%v), want %q", out, err, want)
		}
		if got := Path(); got != bin {
			t.Errorf("the search path is %q, want %q", got, bin)
		}
	}
	found := func() bool {
		_, err := exec.LookPath("hello")
		return err == nil
	}
	says()
	show, second := Hide(), Hide()
	says()
	if found() {
		t.Error("exec finds what is hidden")
	}
	show()
	show() // once counts
	says()
	if found() {
		t.Error("exec finds what the second one hides")
	}
	second()
	says()
	if !found() {
		t.Error("exec finds nothing once it is shown again")
	}
	if _, err := Command(t.Context(), "nothing-of-this-name").Output(); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("a program that is not there: %v", err)
	}
}

func TestHiddenUnset(t *testing.T) { //nolint:paralleltest // sets the search path
	t.Setenv(variable, "") // puts it back
	if err := os.Unsetenv(variable); err != nil {
		t.Fatal(err)
	}
	show := Hide()
	named := func(v string) bool { return strings.HasPrefix(v, variable+"=") && v != variable+"=" }
	if got := Environ(); slices.ContainsFunc(got, named) {
		t.Errorf("a search path that was never set: %q", got)
	}
	show()
	if _, set := os.LookupEnv(variable); set {
		t.Error("the search path is set afterwards")
	}
}

// TestRelative holds that a directory relative to the working one is not searched: a
// repository could bring the program along (exec.ErrDot).
func TestRelative(t *testing.T) { //nolint:paralleltest // sets the search path
	t.Chdir(t.TempDir())
	if err := os.WriteFile("hello", []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv(variable, "."+string(filepath.ListSeparator))
	if found, err := Find("hello"); err == nil {
		t.Errorf("found %s", found)
	}
}
