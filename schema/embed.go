package schema

import "embed"

// FS holds the CUE definitions of this package and of schema/core, so that the
// binary brings its own schema.
//
//go:embed *.cue core/*.cue
var FS embed.FS
