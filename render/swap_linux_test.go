package render_test

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"golang.org/x/tools/txtar"

	"github.com/seed-428f4edd/evenkeel/render"
)

// TestSwap renders while a file and a directory change places with links to the
// outside: what is there is in no rendering and in no error.
func TestSwap(t *testing.T) {
	t.Parallel()
	dir, out := shop(t, &txtar.Archive{}), t.TempDir()
	unitEnv(t, dir, "swap", `kustomize: dir: "k"`)
	put(t, dir, "k/kustomization.yaml", "configMapGenerator: [{name: x, files: [file, sub/file]}]\n")
	for _, name := range []string{"k/file", "k/sub/file"} {
		put(t, dir, name, "mine\n")
	}
	put(t, out, "file", "SECRET\n")
	link(t, dir, out, "k/file-link $OUT/file\nk/sub-link $OUT\n")
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
			}
			for _, name := range []string{"file", "sub"} {
				name = filepath.Join(dir, "k", name)
				if err := unix.Renameat2(unix.AT_FDCWD, name, unix.AT_FDCWD, name+"-link", unix.RENAME_EXCHANGE); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	defer func() { close(done); <-stopped }()
	fine, refused := 0, 0
	count := func(data []byte, err error) {
		t.Helper()
		if err == nil {
			fine++
		} else {
			refused++
		}
		if bytes.Contains(data, []byte("SECRET")) || err != nil && strings.Contains(err.Error(), "SECRET") {
			t.Fatalf("the secret shows: %v\n%s", err, data)
		}
	}
	for range 200 {
		repo, err := render.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		var data bytes.Buffer
		res, err := repo.Render(t.Context(), "swap")
		if err == nil {
			err = render.WriteYAML(&data, res.Env, render.OutputOptions{})
		}
		count(data.Bytes(), err)
		for range 10 {
			data, err := fs.ReadFile(repo.Files(), "k/sub/file")
			more, also := fs.ReadFile(repo.Files(), "k/file")
			count(append(data, more...), errors.Join(err, also))
		}
	}
	if fine == 0 || refused == 0 {
		t.Errorf("%d fine, %d refused: nothing was swapped in between", fine, refused)
	}
}
