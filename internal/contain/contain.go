// Package contain makes an error of a panic: what one object, environment or request
// brings down is that alone, and nothing that goes on beside it.
package contain

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Call calls f. A panic of f is returned as an error that says where it was, and
// nothing of what was being worked on.
func Call(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("evenkeel broke down: %s%s; this is a fault of evenkeel, please report it", What(p), where())
		}
	}()
	return f()
}

// Group is an errgroup.Group whose functions may panic.
type Group struct{ *errgroup.Group }

// NewGroup is a Group whose functions all end by themselves.
func NewGroup() Group { return Group{new(errgroup.Group)} }

// WithContext is a Group, and a context that ends with its first error.
func WithContext(ctx context.Context) (Group, context.Context) {
	group, ctx := errgroup.WithContext(ctx)
	return Group{group}, ctx
}

// Go runs f beside the others.
func (g Group) Go(f func() error) {
	g.Group.Go(func() error { return Call(f) })
}

// What says of the value of a panic what happened. It is not quoted: it may hold data.
// What the runtime says is types and numbers.
func What(p any) string {
	if err, ok := p.(error); ok {
		if fault, ok := errors.AsType[runtime.Error](err); ok {
			return fault.Error()
		}
	}
	return fmt.Sprintf("panic with a %T", p)
}

const module = "github.com/seed-428f4edd/evenkeel/"

// where is the place of a panic, and the first function of ours that led there.
func where() string {
	pcs := make([]uintptr, 200)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	place, panicked := "", false
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if f.Function == "runtime.gopanic" {
			place, panicked = "", true
		}
		if !panicked || strings.HasPrefix(f.Function, "runtime.") {
			continue
		}
		name, ours := strings.CutPrefix(f.Function, module)
		switch at := fmt.Sprintf("%s:%d", name, f.Line); {
		case place == "":
			place = " at " + at
		case ours:
			place += ", called by " + at
		}
		if ours {
			break
		}
	}
	return place
}
