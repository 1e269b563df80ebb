// Package atstart keeps the garbage collector away from the start of the program. The
// packages of Kubernetes, CUE and Helm fill ten megabytes with tables before main
// begins, which all stay; at the default of Go the collector looks through them three
// times, and that took a third of a short command.
//
// Go initialises packages in the order of their import paths, each behind what it
// imports. So this one imports next to nothing, and comes before golang.org/x and k8s.io.
package atstart

import (
	"os"
	"runtime/debug"
)

func init() { //nolint:gochecknoinits // it is for the other packages' init
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// percent lets the heap grow to 16 MB before the first collection.
const percent = 400

// LongLived gives a process that goes on for days the default of Go: its memory
// counts more than the time of its start.
func LongLived() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(100)
	}
}
