// Package hint has errors that say what helps: what to type, or where to look. They
// become an "error:" line and a "hint:" line.
package hint

// Error is an error and what to do about it; the hint may be empty.
type Error struct {
	Err  error
	Hint string
}

// Error is that of Err.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }
