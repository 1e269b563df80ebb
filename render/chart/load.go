package chart

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	helmchart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/ignore"

	"github.com/seed-428f4edd/evenkeel/render/internal/alias"
	"github.com/seed-428f4edd/evenkeel/render/internal/below"
)

// What a chart may hold, sub-charts included. The largest that the world uses are a
// few megabytes of a few hundred files.
const (
	mostBytes = 64 << 20
	mostFiles = 10_000
	mostDepth = 8 // archives in archives
)

// Chart is a chart as it was read.
type Chart struct {
	// Name and Version are those of Chart.yaml.
	Name, Version string
	// Digest is that of the archive, such as sha256:0a1b...; empty for a directory.
	Digest string
	// Deprecated says that its makers ask to move away from it.
	Deprecated bool

	helm  *helmchart.Chart
	files []*archive.BufferedFile
	used  bool // helm was rendered before
}

// Load reads a chart: a directory, or an archive as helm package makes it.
func Load(fsys fs.FS, name string) (*Chart, error) {
	name = path.Clean(name)
	if !fs.ValidPath(name) || name == "." {
		return nil, errors.New("not a path below the root of the repository")
	}
	info, err := fs.Stat(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("no such file or directory in the repository")
	}
	if err != nil {
		return nil, err
	}
	c := &Chart{}
	r := reader{}
	if info.IsDir() {
		err = r.dir(fsys, name)
	} else {
		var data []byte
		if data, err = fs.ReadFile(fsys, name); err == nil {
			c.Digest = DigestOf(data)
			err = r.archive(data, "", 1)
		}
	}
	if err != nil {
		return nil, err
	}
	return c, c.load(r.files)
}

// Read reads a chart from the bytes of an archive.
func Read(data []byte) (*Chart, error) {
	c := &Chart{Digest: DigestOf(data)}
	r := reader{}
	if err := r.archive(data, "", 1); err != nil {
		return nil, err
	}
	return c, c.load(r.files)
}

// FromFiles is a chart of files by their names below its directory, such as those of a
// Release.
func FromFiles(files map[string][]byte) (*Chart, error) {
	r := reader{}
	for name, data := range files {
		if err := r.file(name, data, 1); err != nil {
			return nil, err
		}
	}
	c := &Chart{}
	return c, c.load(r.files)
}

// DigestOf is the digest of an archive.
func DigestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (c *Chart) load(files []*archive.BufferedFile) error {
	slices.SortFunc(files, func(a, b *archive.BufferedFile) int { return strings.Compare(a.Name, b.Name) })
	for i, f := range files {
		if i > 0 && files[i-1].Name == f.Name {
			return fmt.Errorf("it has the file %s twice", f.Name)
		}
		if helmReads(f.Name) {
			if err := alias.Check(f.Data); err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
		}
	}
	if !slices.ContainsFunc(files, func(f *archive.BufferedFile) bool { return f.Name == "Chart.yaml" }) {
		return errors.New("no chart: it has no Chart.yaml")
	}
	restore := captured(nil) // Helm logs while it loads
	defer restore()
	loaded, err := loader.LoadFiles(cloned(files))
	if err != nil {
		return err
	}
	if loaded.Metadata.APIVersion != helmchart.APIVersionV1 && loaded.Metadata.APIVersion != helmchart.APIVersionV2 {
		return fmt.Errorf("charts of apiVersion %q are not known: v1 and v2 are", loaded.Metadata.APIVersion)
	}
	sortDependencies(loaded)
	c.helm, c.files = loaded, files
	c.Name, c.Version, c.Deprecated = loaded.Metadata.Name, loaded.Metadata.Version, loaded.Metadata.Deprecated
	return nil
}

// helmReads knows the files that Helm reads as YAML, in the chart and its sub-charts.
func helmReads(name string) bool {
	switch path.Base(name) {
	case "Chart.yaml", "Chart.lock", "values.yaml", "requirements.yaml", "requirements.lock":
		return true
	}
	return false
}

// cloned keeps the names: Helm shortens those of sub-charts in place.
func cloned(files []*archive.BufferedFile) []*archive.BufferedFile {
	out := make([]*archive.BufferedFile, len(files))
	for i, f := range files {
		one := *f
		out[i] = &one
	}
	return out
}

// sortDependencies: Helm reads sub-charts in the order of a map.
func sortDependencies(c *helmchart.Chart) {
	deps := slices.Clone(c.Dependencies())
	slices.SortFunc(deps, func(a, b *helmchart.Chart) int {
		return strings.Compare(a.Name()+" "+a.Metadata.Version, b.Name()+" "+b.Metadata.Version)
	})
	c.SetDependencies(deps...)
	for _, dep := range deps {
		sortDependencies(dep)
	}
}

// reader gathers the files of a chart, with those of archived sub-charts in the place
// of the archive.
type reader struct {
	files []*archive.BufferedFile
	bytes int64
	// unpacked is what came out of archives: headers, padding and archives in them
	// count too.
	unpacked int64
}

func (r *reader) add(name string, data []byte) error {
	r.bytes += int64(len(data))
	if r.bytes > mostBytes {
		return fmt.Errorf("it holds more than %d MiB", mostBytes>>20)
	}
	if len(r.files) == mostFiles {
		return fmt.Errorf("it holds more than %d files", mostFiles)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	r.files = append(r.files, &archive.BufferedFile{Name: name, Data: data})
	return nil
}

// file takes a file, or the chart that it is an archive of.
func (r *reader) file(name string, data []byte, depth int) error {
	dir, base := path.Split(name)
	if path.Ext(base) != ".tgz" || path.Base(dir) != "charts" || strings.HasPrefix(base, "_") || strings.HasPrefix(base, ".") {
		return r.add(name, data)
	}
	if depth == mostDepth {
		return fmt.Errorf("%s: archives in archives, more than %d deep", name, mostDepth)
	}
	if err := r.archive(data, strings.TrimSuffix(name, ".tgz"), depth+1); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// dir reads a directory but for what its .helmignore names.
func (r *reader) dir(fsys fs.FS, root string) error {
	rules := ignore.Empty()
	if data, err := fs.ReadFile(fsys, path.Join(root, ignore.HelmIgnore)); err == nil {
		if rules, err = ignore.Parse(bytes.NewReader(data)); err != nil {
			return fmt.Errorf("%s: %w", ignore.HelmIgnore, err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	rules.AddDefaults()
	return fs.WalkDir(fsys, root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		name := strings.TrimPrefix(p, root+"/")
		info, err := fs.Stat(fsys, p) // what a link leads to
		if err != nil {
			return err
		}
		if rules.Ignore(name, info) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		switch {
		case d.IsDir():
			return nil
		case info.IsDir():
			return fmt.Errorf("%s: a link to a directory is not followed", name)
		}
		data, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		return r.file(name, data, 1)
	})
}

// archive reads a gzipped tar whose files lie in one directory.
func (r *reader) archive(data []byte, dir string, depth int) error {
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return errors.New("no gzipped archive")
	}
	left := 2*mostBytes - r.unpacked
	limited := &io.LimitedReader{R: unzipped, N: left}
	defer func() { r.unpacked += left - limited.N }()
	for files := tar.NewReader(limited); ; {
		h, err := files.Next()
		switch {
		case limited.N <= 0: // which looks like the end
			return fmt.Errorf("it unpacks to more than %d MiB", mostBytes>>20)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading the archive: %w", err)
		}
		switch h.Typeflag {
		case tar.TypeXGlobalHeader, tar.TypeDir:
			continue
		case tar.TypeReg:
		default:
			return fmt.Errorf("it holds %q, which is not a regular file: links and devices are refused", h.Name)
		}
		_, name, in := strings.Cut(strings.TrimPrefix(h.Name, "./"), "/")
		if !in || !fs.ValidPath(name) || strings.ContainsAny(name, "\\\x00") || strings.HasPrefix(h.Name, "/") || strings.HasPrefix(h.Name, "../") {
			return fmt.Errorf("it holds a file named %q: names are below one directory, the chart's", h.Name)
		}
		if err := below.Shows(name); err != nil {
			return err
		}
		if h.Size > mostBytes-r.bytes {
			return fmt.Errorf("it unpacks to more than %d MiB", mostBytes>>20)
		}
		content := make([]byte, h.Size) // once: what grows to it is there several times
		if _, err := io.ReadFull(files, content); err != nil {
			return fmt.Errorf("reading the archive: %w", err)
		}
		if err := r.file(path.Join(dir, name), content, depth); err != nil {
			return err
		}
	}
}
