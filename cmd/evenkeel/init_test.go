package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// TestInitAsks answers the questions of init on a terminal, each first with
// something that cannot be: it says why and asks again, and nothing is written
// before all is right.
func TestInitAsks(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "shop")
	cmd := exec.CommandContext(t.Context(), "evenkeel", "init", dir)
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	said := &bytes.Buffer{}
	for _, q := range []struct{ prompt, answer string }{
		{"example.com: ", "shop"},
		{`domain "shop" is not a domain name, such as example.com`, ""},
		{"example.com: ", "shop.example"},
		{"harbor.example.com: ", ""},
		{"an answer is needed", ""},
		{"harbor.example.com: ", "harbor.shop.example"},
		{"[dev,prod]: ", "dev,infra"},
		{"the name is taken", ""},
		{"[dev,prod]: ", "test,prod"},
		{"in front: ", "10.9.0"},
		{`"10.9.0" is not an IPv4 address`, ""},
		{"in front: ", "10.9.0.10"},
		{"by commas: ", "n1"},
		{`"n1" is not name=address`, ""},
		{"by commas: ", "n1=10.9.0.21,n2=10.9.0.22"},
		{"[github]: ", "svn"},
		{`ci "svn" is not one of`, ""},
		{"[github]: ", ""},
	} {
		readUntil(t, terminal, said, q.prompt)
		if !strings.HasSuffix(q.prompt, ": ") {
			continue
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Fatalf("there is something in %s before the last answer: %v", dir, err)
		}
		if _, err := io.WriteString(terminal, q.answer+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	readUntil(t, terminal, said, "evenkeel render test")
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	if out, err := exec.CommandContext(t.Context(), "evenkeel", "-C", dir, "vet").CombinedOutput(); err != nil {
		t.Errorf("vet: %v\n%s", err, out)
	}
}

// readUntil reads what a command says up to a text; said is all of it so far.
func readUntil(t *testing.T, from io.Reader, said *bytes.Buffer, text string) {
	t.Helper()
	start := said.Len()
	for b := make([]byte, 1); !strings.HasSuffix(said.String()[start:], text); {
		if _, err := from.Read(b); err != nil {
			t.Fatalf("it never said %q: %v\n%s", text, err, said)
		}
		said.Write(b)
	}
}
