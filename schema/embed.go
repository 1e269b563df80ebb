package schema

import "embed"

// FS holds the CUE definitions of this package and of schema/core, so that the
// binary brings its own schema.
//
// They are written for CUE's experiment "explicitopen": a definition that a type
// takes in and adds to is embedded as #pod... rather than #pod. What CUE keeps to
// tell typos apart grows with each embedding, and each "if", of the form before:
// it took a fifth of the time of a rendering.
//
// A field of an app that one definition alone speaks of, and by a reference
// (strategy: #strategy), has the value of that definition wherever an app leaves it
// as it is, and CUE evaluates it once. What is said of it in a second place, be it
// an "if" that may add a field to it, makes each app evaluate its own.
//
//go:embed *.cue core/*.cue
var FS embed.FS
