package render

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/seed-428f4edd/evenkeel/testdata/bench"
)

// TestParts evaluates environments unit by unit and as a whole: nobody may notice.
// Each archive of testdata/parts says in its comment whether it can be split.
func TestParts(t *testing.T) {
	t.Run("examples", func(t *testing.T) {
		if n := sameInParts(t, ".."); n < 5 {
			t.Errorf("%d environments were evaluated in parts, want at least five", n)
		}
	})
	t.Run("bench", func(t *testing.T) {
		dir := t.TempDir()
		if err := bench.Write(dir, 40); err != nil {
			t.Fatal(err)
		}
		if n := sameInParts(t, dir); n != 1 {
			t.Errorf("%d environments were evaluated in parts, want 1", n)
		}
	})
	names, err := filepath.Glob(filepath.Join("testdata", "parts", "*.txtar"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%d archives: %v", len(names), err)
	}
	if os.Getenv("EVENKEEL_TORTURE") != "" {
		broken, _ := filepath.Glob(filepath.Join("testdata", "broken", "*.txtar"))
		names = append(names, broken...)
	}
	base, err := txtar.ParseFile(filepath.Join("testdata", "base.txtar"))
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
			for _, f := range append(base.Files, archive.Files...) {
				to := filepath.Join(dir, f.Name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, f.Data, 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			inParts := sameInParts(t, dir) > 0
			if want, said := strings.CutPrefix(string(archive.Comment), "split: "); said && inParts != strings.HasPrefix(want, "yes") {
				t.Errorf("evaluated in parts: %v, want %s", inParts, want)
			}
		})
	}
}

// sameInParts compares what comes of a repository's environments in both ways, and
// returns how many were evaluated in parts.
func sameInParts(t *testing.T, dir string) int {
	t.Helper()
	outcome := func(size int) (string, int) {
		repo, err := Open(dir)
		if err != nil {
			return err.Error(), 0
		}
		repo.partSize = size
		dirs, err := repo.scan()
		if err != nil {
			return err.Error(), 0
		}
		all, err := repo.renderDirs(t.Context(), dirs, false)
		if err != nil {
			return err.Error(), 0
		}
		all.between()
		var out bytes.Buffer
		n := 0
		for _, one := range all {
			fmt.Fprintf(&out, "# %s\n%v\n", one.name, one.findings)
			if len(one.units) > 0 && one.units[0].ev != one.ev {
				n++
			}
			if one.result == nil {
				continue
			}
			fmt.Fprintf(&out, "%v\n%v\n", one.header, one.result.Notices)
			if err := WriteYAML(&out, one.result.Env, OutputOptions{Secrets: true}); err != nil {
				t.Fatal(err)
			}
		}
		return out.String(), n
	}
	whole, n := outcome(1 << 20)
	if n > 0 {
		t.Errorf("%d environments were evaluated in parts, want none", n)
	}
	inParts, n := outcome(1)
	if diff := cmp.Diff(whole, inParts); diff != "" {
		t.Errorf("as a whole and in parts (-whole +parts):\n%s", diff)
	}
	return n
}

func TestPartSize(t *testing.T) {
	for _, c := range []struct{ n, most, workers, want int }{
		{49, 50, 2, 0},
		{50, 50, 2, 25},
		{100, 50, 2, 50},
		{101, 50, 2, 26}, // four parts: three would leave one worker idle
		{100, 50, 4, 25},
		{60, 50, 1, 30},
		{1000, 50, 2, 50},
		{10_000, 50, 2, 157}, // the number of parts is bounded
		{3, 1, 2, 1},
	} {
		if got := partSizeFor(c.n, c.most, c.workers); got != c.want {
			t.Errorf("%d units, at most %d in a part, %d workers: %d in a part, want %d", c.n, c.most, c.workers, got, c.want)
		}
	}
}
