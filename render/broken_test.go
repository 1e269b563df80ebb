package render_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/seed-428f4edd/evenkeel/render"
)

// TestBroken vets repositories that are wrong. Each archive of testdata/broken
// holds the files that differ from base.txtar and, as "want", the exact report:
// one line for each finding.
func TestBroken(t *testing.T) {
	base, err := txtar.ParseFile(filepath.Join("testdata", "base.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join("testdata", "broken", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			unpack(t, dir, base)
			unpack(t, dir, archive)
			got := report(t, dir)
			want := fileOf(archive, "want")
			if *update {
				setFile(archive, "want", got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got; -update rewrites it)\n%s", diff)
			}
		})
	}
}

// systems are what the archives system_SYSTEM_MISTAKE.txtar are about.
var systems = []string{
	"admin", "coredns", "dashboard", "dubbo", "edge", "flannel", "gateway", "harbor", "headlamp", "ingressnginx",
	"jenkins", "metricsserver", "monitor", "nacos", "traefik", "web", "zookeeper",
}

// TestBrokenSystems counts the mistakes that people make with the systems: each has
// exactly one error, in a file of the user.
func TestBrokenSystems(t *testing.T) {
	names, err := filepath.Glob(filepath.Join("testdata", "broken", "system_*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, name := range names {
		system, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(name), "system_"), "_")
		counts[system]++
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		errs := slices.DeleteFunc(strings.Split(strings.TrimSpace(fileOf(archive, "want")), "\n"), func(line string) bool {
			return strings.HasPrefix(line, "warning: ")
		})
		if len(errs) != 1 || !strings.HasPrefix(errs[0], "envs/") {
			t.Errorf("%s: want one error at a line of the user, got:\n%s", filepath.Base(name), strings.Join(errs, "\n"))
		}
	}
	if got := slices.Sorted(maps.Keys(counts)); !slices.Equal(got, systems) {
		t.Errorf("mistakes of the systems %v, want of %v", got, systems)
	}
	if len(names) < 60 {
		t.Errorf("%d mistakes, want 60 or more", len(names))
	}
	t.Logf("%d mistakes: %v", len(names), counts)
}

// report is what vet prints, one finding on each line.
func report(t *testing.T, dir string) string {
	t.Helper()
	repo, err := render.Open(dir)
	var warnings render.Findings
	if err == nil {
		warnings, err = repo.Vet(t.Context())
	}
	var b strings.Builder
	if found, ok := errors.AsType[render.Findings](err); ok {
		for _, f := range found {
			b.WriteString(f.String() + "\n")
		}
	} else if err != nil {
		b.WriteString("error: " + strings.ReplaceAll(err.Error(), dir, "DIR") + "\n")
	}
	for _, f := range warnings {
		b.WriteString("warning: " + f.String() + "\n")
	}
	return b.String()
}

func unpack(t *testing.T, dir string, archive *txtar.Archive) {
	t.Helper()
	for _, f := range archive.Files {
		if f.Name == "want" {
			continue
		}
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func fileOf(archive *txtar.Archive, name string) string {
	for _, f := range archive.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

func setFile(archive *txtar.Archive, name, content string) {
	for i, f := range archive.Files {
		if f.Name == name {
			archive.Files[i].Data = []byte(content)
			return
		}
	}
	archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(content)})
}
