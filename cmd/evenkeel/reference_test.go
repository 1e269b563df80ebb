package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestReference holds docs/commands.md level with the commands: it is generated
// from them, "go test ./cmd/evenkeel -run Reference -update" writes it.
func TestReference(t *testing.T) {
	root := newRootCmd(streams{})
	var got bytes.Buffer
	fmt.Fprint(&got, "# Commands\n\nGenerated from the commands themselves.\n")
	writeReference(&got, root)
	path := filepath.Join(repoRoot(t), "docs", "commands.md")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := string(readFile(t, repoRoot(t), "docs/commands.md"))
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("docs/commands.md is not what the commands say (-file +commands):\n%s", diff)
	}
}

// TestHelp holds every command to one form: a sentence, a paragraph, examples.
func TestHelp(t *testing.T) {
	for _, cmd := range newRootCmd(streams{}).Commands() {
		switch {
		case cmd.Short == "" || strings.HasSuffix(cmd.Short, "."):
			t.Errorf("%s: the short help is a phrase without a period: %q", cmd.Name(), cmd.Short)
		case cmd.Long == "" || cmd.Example == "":
			t.Errorf("%s: a paragraph and examples are missing", cmd.Name())
		}
	}
}

func writeReference(w *bytes.Buffer, cmd *cobra.Command) {
	if cmd.Runnable() && cmd.Name() != "help" && !cmd.Hidden {
		fmt.Fprintf(w, "\n## %s\n\n%s\n\n    %s\n", cmd.CommandPath(), cmd.Long, cmd.UseLine())
		if cmd.Example != "" {
			fmt.Fprintf(w, "\nExamples:\n\n```sh\n%s\n```\n", unindent(cmd.Example))
		}
		writeFlags(w, cmd.LocalFlags())
	}
	for _, sub := range cmd.Commands() {
		writeReference(w, sub)
	}
}

func writeFlags(w *bytes.Buffer, flags *pflag.FlagSet) {
	var rows []string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", name, strings.ReplaceAll(f.Usage, "|", "\\|"), f.DefValue))
	})
	if len(rows) > 0 {
		fmt.Fprintf(w, "\n| flag | meaning | default |\n|---|---|---|\n%s", strings.Join(rows, ""))
	}
}

func unindent(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, "  ")
	}
	return strings.Join(lines, "\n")
}

func readFile(t *testing.T, root, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
