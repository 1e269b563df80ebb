package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestStart: nothing is collected before a command begins, see internal/atstart; the
// browser of the tests fills some of the heap before that, and may have it collected once.
func TestStart(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Args = []string{"evenkeel", "version"}
	cmd.Env = append(os.Environ(), "GODEBUG=gctrace=1", "GOGC=")
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil || !strings.HasPrefix(string(out), "evenkeel ") {
		t.Fatalf("%v: %s%s", err, out, &said)
	}
	if strings.Contains(said.String(), "gc 2 @") {
		t.Errorf("the collector ran before the command began:\n%s", &said)
	}
}
