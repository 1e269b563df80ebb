package render

import (
	"bytes"
	"cmp"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// otherFiles are files with other texts in the place of marked values: a value may be
// embedded, and then stands in no literal.
type otherFiles struct {
	fs.FS

	texts []replaced // the longest first
}

type replaced struct{ from, to []byte }

func newOtherFiles(files fs.FS, values []markedValue, change func(string) string) fs.FS {
	o := otherFiles{FS: files}
	for _, m := range values {
		if len(m.text) < followedLength {
			continue
		}
		quoted := strconv.Quote(m.text)
		for _, text := range []string{m.text, quoted[1 : len(quoted)-1]} {
			o.texts = append(o.texts, replaced{[]byte(text), []byte(otherForm(text, change))})
		}
		for line := range strings.Lines(m.text) { // a block of YAML is indented
			if line = strings.TrimSpace(line); len(line) >= followedLength {
				o.texts = append(o.texts, replaced{[]byte(line), []byte(otherForm(line, change))})
			}
		}
	}
	slices.SortStableFunc(o.texts, func(a, b replaced) int { return cmp.Compare(len(b.from), len(a.from)) })
	return o
}

// otherForm is another text of the same form. A number stays one, and what stands behind
// a backslash keeps its meaning.
func otherForm(text string, change func(string) string) string {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return otherEnd(text)
	}
	return changeUnescaped(text, change)
}

// Open implements fs.FS. What reads a file by its name is for ReadFile.
func (o otherFiles) Open(name string) (fs.File, error) {
	f, err := o.FS.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return f, err
	}
	data, err := o.ReadFile(name)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return otherFile{File: f, Reader: bytes.NewReader(data)}, nil
}

// ReadFile implements fs.ReadFileFS.
func (o otherFiles) ReadFile(name string) ([]byte, error) {
	data, err := fs.ReadFile(o.FS, name)
	if err != nil {
		return nil, err
	}
	var out []byte
next:
	for len(data) > 0 {
		for _, r := range o.texts {
			if bytes.HasPrefix(data, r.from) {
				out, data = append(out, r.to...), data[len(r.from):]
				continue next
			}
		}
		out, data = append(out, data[0]), data[1:]
	}
	return out, nil
}

// ReadDir implements fs.ReadDirFS.
func (o otherFiles) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(o.FS, name) }

// Stat implements fs.StatFS.
func (o otherFiles) Stat(name string) (fs.FileInfo, error) { return fs.Stat(o.FS, name) }

type otherFile struct {
	fs.File
	*bytes.Reader
}

// Read implements fs.File.
func (f otherFile) Read(p []byte) (int, error) { return f.Reader.Read(p) }
