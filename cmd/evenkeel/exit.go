package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/report"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/budget"
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
	errBreaks      = errors.New("not all is answered")
	// errEnded is the end by Ctrl-C of what goes on until then.
	errEnded = fmt.Errorf("ended: %w", context.Canceled)
)

// exitCode maps an error to the exit code that scripts rely on. Of several
// joined errors the most urgent decides: interrupted, an error that is none of
// the known answers, refused, not healthy, differences.
func exitCode(err error) int {
	switch e := err.(type) { //nolint:errorlint // each level is looked at in turn
	case nil:
		return exitDone
	case *apply.Interrupted:
		return exitInterrupted
	case *hint.Refused:
		return exitRefused
	case *health.NotHealthy, *apply.NotGone, *apply.CanaryFailed:
		return exitNotHealthy
	case interface{ Unwrap() []error }:
		urgency := []int{exitDone, exitDifferences, exitNotHealthy, exitRefused, exitError, exitInterrupted}
		code := exitDone
		for _, one := range e.Unwrap() {
			if c := exitCode(one); slices.Index(urgency, c) > slices.Index(urgency, code) {
				code = c
			}
		}
		return code
	case interface{ Unwrap() error }:
		if wrapped := e.Unwrap(); wrapped != nil {
			return exitCode(wrapped)
		}
	}
	switch {
	case errors.Is(err, errDifferences), errors.Is(err, errBreaks):
		return exitDifferences
	case errors.Is(err, errUnhealthy):
		return exitNotHealthy
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitError
}

// printError writes an error as "error:" lines and what to do as "hint:" lines.
func printError(w io.Writer, err error) {
	if errors.Is(err, errDifferences) || errors.Is(err, errUnhealthy) || errors.Is(err, errBreaks) || errors.Is(err, errEnded) {
		return // they are the output; the exit code says the rest
	}
	for _, e := range flatten(err) {
		if findings, ok := errors.AsType[render.Findings](e); ok {
			fmt.Fprintln(w, findings) // each says its file and line
			continue
		}
		fmt.Fprintf(w, "error: %s\n", indented(e.Error()))
		for _, h := range hints(e) {
			fmt.Fprintf(w, "hint: %s\n", report.Line(h))
		}
	}
}

// indented is a message whose further lines do not begin where ours do: one of others
// could look like another error, or be a command to a CI service. What is a list of
// ours is indented already.
func indented(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if lines[i] = report.Line(line); i > 0 && !strings.HasPrefix(line, "  ") && line != "" {
			lines[i] = "  " + lines[i]
		}
	}
	return strings.Join(lines, "\n")
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
	if hinted, ok := errors.AsType[*hint.Error](err); ok && hinted.Hint != "" {
		return []string{hinted.Hint}
	}
	if refused, ok := errors.AsType[*hint.Refused](err); ok {
		return refused.Hints
	}
	if over, ok := errors.AsType[*budget.Over](err); ok {
		return over.Hints()
	}
	return nil
}
