package render_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/seed-428f4edd/evenkeel/render/scaffold"
)

// TestEdits makes one mistake at a time in whole repositories: in what init writes, in a
// site of three clusters, in what import wrote, in the worked examples. Each archive of testdata/edits has the
// edits that its comment names the repository of; files with a directory in their name
// stand in that repository before. An edit has, line by line:
//
//	@ FILE          the file to change, or to make; FILE => OTHER gives it, or a
//	                directory, another name
//	! FILE          a file or directory to take away
//	-TEXT, +TEXT    lines to take out and to put in, at their first place in the file
//	=FINDING        what vet prints, line by line
//
// One line is what one mistake is worth. Of the many of tired fingers each fourth is
// made; with EVENKEEL_TORTURE all are.
func TestEdits(t *testing.T) {
	for _, layout := range []struct {
		name   string
		sample bool
		files  func(t *testing.T, dir string)
	}{
		{"init", false, initialised},
		{"kestrel", false, func(t *testing.T, dir string) {
			if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "testdata", "kestrel"))); err != nil {
				t.Fatal(err)
			}
		}},
		{"imported", false, initialised},
		{"tired", true, initialised},
		{"quay", true, func(*testing.T, string) {}},
		{"examples", false, func(t *testing.T, dir string) {
			for _, name := range []string{"cue.mod", "envs", "schema", "stacks"} {
				if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join("..", name))); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		name := filepath.Join("testdata", "edits", layout.name+".txtar")
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(layout.name, func(t *testing.T) {
			for i, section := range archive.Files {
				if strings.Contains(section.Name, "/") || layout.sample && i%4 != 0 && !*update && os.Getenv("EVENKEEL_TORTURE") == "" {
					continue
				}
				t.Run(section.Name, func(t *testing.T) {
					t.Parallel()
					dir := t.TempDir()
					layout.files(t, dir)
					for _, file := range archive.Files {
						if strings.Contains(file.Name, "/") {
							unpack(t, dir, &txtar.Archive{Files: []txtar.File{file}})
						}
					}
					edit, want := edited(t, dir, string(section.Data))
					got := report(t, dir)
					if *update {
						archive.Files[i].Data = []byte(edit + found(got))
						return
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("(-want +got; -update rewrites it)\n%s", diff)
					}
				})
			}
		})
		if *update {
			if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// found are lines of a report as an edit has them.
func found(report string) string {
	var b strings.Builder
	for line := range strings.Lines(report) {
		b.WriteString("=" + line)
	}
	return b.String()
}

// edited makes an edit; it returns the edit and what is to be found.
func edited(t *testing.T, dir, text string) (edit, want string) {
	t.Helper()
	var file, out, in string
	change := func() {
		if out == "" && in == "" {
			return
		}
		data, err := os.ReadFile(file)
		if err != nil && (out != "" || !errors.Is(err, fs.ErrNotExist)) {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), out) {
			t.Fatalf("%s has no %q", file, out)
		}
		if err := os.WriteFile(file, []byte(strings.Replace(string(data), out, in, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		out, in = "", ""
	}
	for line := range strings.Lines(text) {
		switch line[0] {
		case '@':
			change()
			name, other, renamed := strings.Cut(strings.TrimSpace(line[1:]), " => ")
			file = filepath.Join(dir, filepath.FromSlash(name))
			if renamed {
				to := filepath.Join(dir, filepath.FromSlash(other))
				if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(file, to); err != nil {
					t.Fatal(err)
				}
			}
		case '!':
			if err := os.RemoveAll(filepath.Join(dir, filepath.FromSlash(strings.TrimSpace(line[1:])))); err != nil {
				t.Fatal(err)
			}
		case '-':
			if in != "" {
				change()
			}
			out += line[1:]
		case '+':
			in += line[1:]
		case '=':
			want += line[1:]
			continue
		default:
			t.Fatalf("an edit has no such line: %q", line)
		}
		edit += line
	}
	change()
	return edit, want
}

// initialised is a repository as init writes it.
func initialised(t *testing.T, dir string) {
	t.Helper()
	facts := scaffold.Facts{
		From: scaffold.Minimal, Module: "acme.example", Domain: "acme.example", Harbor: "harbor.acme.example", VIP: "10.4.7.10", Envs: []string{"dev", "prod"}, CI: scaffold.NoCI,
		Pods: "10.244.0.0/16", Services: "10.96.0.0/16",
	}
	for i := range 3 {
		facts.Nodes = append(facts.Nodes, scaffold.Host{Name: fmt.Sprintf("n%d", i+1), Address: fmt.Sprintf("10.4.7.2%d", i+1)})
	}
	facts.Edge = facts.Nodes[:2]
	files, err := scaffold.Repository(facts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := scaffold.Write(dir, files); err != nil {
		t.Fatal(err)
	}
}
