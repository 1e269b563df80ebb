// Package stacks holds the CUE definitions of the built-in stacks, one package
// per system. It has no Go code of its own.
package stacks

import "embed"

// FS holds the stacks, one directory each.
//
//go:embed */*.cue
var FS embed.FS
