package hint

// Refused is a guard's answer: nothing was written by the step that gave it. A
// command prints Reason as the error, each of Hints below it, and exits 4.
type Refused struct {
	Reason string
	Hints  []string // what to type, or whom to ask
	// Guard says which guard it was, where a caller may want to wait for it.
	Guard Guard
}

// Guard names a guard whose answer changes by itself.
type Guard string

// The guards that a later run may find open.
const (
	GuardLock   Guard = "lock"   // another run holds the lock
	GuardHold   Guard = "hold"   // a rollback left this content
	GuardFreeze Guard = "freeze" // a time in which nothing new is applied
)

// Error is the reason; whoever prints it prints the hints below.
func (r *Refused) Error() string { return r.Reason }
