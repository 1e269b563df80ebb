package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/render"
)

// The exit codes, the same for every command.
const (
	exitDone        = 0
	exitDifferences = 1
	exitError       = 2
	exitNotHealthy  = 3
	exitRefused     = 4
	exitInterrupted = 130
)

// What a command has shown and only the exit code is left to say.
var (
	errDifferences = errors.New("differences found")
	errUnhealthy   = errors.New("not healthy")
)

// exitCode maps an error to the exit code that scripts rely on. Where several
// errors are joined the most urgent one decides: interrupted, then error, then
// refused, then not healthy.
func exitCode(err error) int {
	var (
		refused     *apply.Refused
		notHealthy  *health.NotHealthy
		notGone     *apply.NotGone
		interrupted *apply.Interrupted
	)
	switch {
	case errors.As(err, &interrupted), errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &refused):
		return exitRefused
	case errors.As(err, &notHealthy), errors.As(err, &notGone), errors.Is(err, errUnhealthy):
		return exitNotHealthy
	case errors.Is(err, errDifferences):
		return exitDifferences
	default:
		return exitError
	}
}

// printError writes an error as "error:" lines and what to do as "hint:" lines.
func printError(w io.Writer, err error) {
	if errors.Is(err, errDifferences) || errors.Is(err, errUnhealthy) {
		return // they are the output; the exit code says the rest
	}
	for _, e := range flatten(err) {
		var findings render.Findings
		if errors.As(e, &findings) {
			fmt.Fprintln(w, findings) // each says its file and line
			continue
		}
		fmt.Fprintf(w, "error: %s\n", e)
		for _, h := range hints(e) {
			fmt.Fprintf(w, "hint: %s\n", h)
		}
	}
}

// flatten opens joined errors, so that each stands on a line of its own.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

func hints(err error) []string {
	var usage *usageError
	if errors.As(err, &usage) && usage.hint != "" {
		return []string{usage.hint}
	}
	var refused *apply.Refused
	if errors.As(err, &refused) {
		return refused.Hints
	}
	return nil
}
