// Package envs holds the worked examples. It has no Go code of its own; the
// embedded files are what "evenkeel init --from" starts a repository with.
package envs

import "embed"

// FS holds the CUE files of the examples, one directory per package.
//
//go:embed */*.cue
var FS embed.FS
