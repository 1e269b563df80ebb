package content

import (
	"io/fs"
	"time"
)

// gitInfo is what git knows of a file: no times, no owner.
type gitInfo struct {
	name string
	size int64
	mode fs.FileMode
}

func (i gitInfo) Name() string       { return i.name }
func (i gitInfo) Size() int64        { return i.size }
func (i gitInfo) Mode() fs.FileMode  { return i.mode }
func (i gitInfo) ModTime() time.Time { return time.Time{} }
func (i gitInfo) IsDir() bool        { return i.mode.IsDir() }
func (i gitInfo) Sys() any           { return nil }
