// Package budget bounds what a rendering takes: time, memory and recursion. It prepares
// the process for renderings, too.
package budget

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
)

// Budget is what a rendering may take. CUE has loops, recursion and strings that
// double, and its evaluator can neither be limited nor interrupted; a repository may
// come from a stranger, and a tired hand writes a loop without an end as well.
//
// So whoever asks for a rendering is answered without it: by Over when the
// budget is used up, at once when the context ends. The evaluator goes on behind
// that answer, until the process ends: a command has to end then, and a process that
// is to live on renders in another one. That costs an honest rendering a goroutine
// and a look at two counters every 20 ms; a process for each would cost more than
// most environments take.
//
// What counts as memory is what Go's heap and stacks use in this process, whatever
// was rendered before included. The counters know of a block before a byte of it is
// written. Yet a block of gigabytes can be copied without a break while the collector
// waits for it, and all goroutines with it, also the one that looks. Where the system
// has a limit for the data of a process (Linux: RLIMIT_DATA) it is therefore set to
// a quarter above the budget while a rendering is under way. Go ends a process that
// meets this wall. What it says then names neither environment nor limit: see
// Renderings.LastWords and Budget.Ended.
type Budget struct {
	// Time is how long one environment may take, and how long the repository may
	// take to load. Zero means five minutes: 10,000 apps take 15 seconds.
	Time time.Duration
	// Memory in bytes. Zero means three quarters of what the machine or the
	// container has, and 8 GiB at most: 10,000 apps take 1.4.
	Memory int64
}

const (
	defaultTime   = 5 * time.Minute
	defaultMemory = 8 << 30
	// mostStack bounds recursion before Go does, which ends the process.
	mostStack = 256 << 20
	// wallAhead is what Go maps and does not use, heapAhead above all.
	wallAhead = 512 << 20
	// graceAhead is what the next step of what was given up may take.
	graceAhead = 2 << 30
)

// Over says that a rendering was given up, because it took too much.
type Over struct {
	// Envs are the environments that were being rendered: those over the limit
	// where that was time, one of them where it was memory. None means that the
	// repository was being loaded or compared.
	Envs  []string
	Limit Limit
	Most  string // the limit's value, for people
}

// Limit is one of the limits of a Budget.
type Limit string

// The limits of a Budget. Recursion is deep before the memory is used up.
const (
	LimitTime      Limit = "time"
	LimitMemory    Limit = "memory"
	LimitRecursion Limit = "recursion"
)

func (e *Over) Error() string {
	where := "the repository"
	switch len(e.Envs) {
	case 0:
	case 1:
		where = "env " + e.Envs[0]
	default:
		where = "envs " + strings.Join(e.Envs, ", ")
	}
	switch e.Limit {
	case LimitTime:
		return fmt.Sprintf("%s: given up: not rendered after %s", where, e.Most)
	case LimitRecursion:
		return fmt.Sprintf("%s: given up: the recursion is too deep, its stack takes more than %s", where, e.Most)
	}
	if len(e.Envs) > 1 {
		where = "one of the " + where
	}
	return fmt.Sprintf("%s: given up: rendering takes more than %s of memory", where, e.Most)
}

// lastWords are what Go says where it is refused memory, or a stack becomes too large.
var lastWords = regexp.MustCompile(`^(?:runtime|fatal error): .*(?:memory|allocate|OS thread|(stack exceeds|stack overflow))`)

// Ended is Over where a process that rendered these environments came to its end
// by a limit, as the first line says that it wrote on its standard error; else nil.
func (b Budget) Ended(envs []string, line string) *Over {
	words := lastWords.FindStringSubmatch(line)
	switch {
	case words == nil:
		return nil
	case words[1] != "":
		return &Over{Envs: envs, Limit: LimitRecursion, Most: inUnits(mostStack)}
	}
	return &Over{Envs: envs, Limit: LimitMemory, Most: inUnits(b.Given().Memory)}
}

// Hints says what one can do.
func (e *Over) Hints() []string {
	const look = "look for a list, comprehension, alias or recursion that grows without bounds"
	switch e.Limit {
	case LimitTime:
		return []string{look + "; where the environment is that large, --render-timeout gives it more time"}
	case LimitRecursion:
		return []string{"look for a definition that refers to itself without an end"}
	}
	return []string{look + "; where the environment is that large, --render-memory gives it more"}
}

// Given is the budget with the defaults filled in.
func (b Budget) Given() Budget {
	if b.Time <= 0 {
		b.Time = defaultTime
	}
	if b.Memory <= 0 {
		b.Memory = defaultMemory
		has := min(available(memlimit.FromCgroup), available(memlimit.FromSystem))
		b.Memory = min(b.Memory, has/4*3)
	}
	return b
}

// available is what a provider says there is; what it does not know is no limit.
func available(provider memlimit.Provider) int64 {
	n, err := provider()
	if err != nil || n == 0 || n > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(n)
}

// enforce sets the limits of Go and of the system, and returns what sets them back.
// The collector works harder near the budget; a limit that the user has set
// (GOMEMLIMIT) stands.
func (b Budget) enforce() func() {
	down := wall(uint64(b.Memory) + uint64(b.Memory)/4 + wallAhead)
	soft := debug.SetMemoryLimit(-1)
	if soft == math.MaxInt64 {
		debug.SetMemoryLimit(b.Memory / 10 * 9)
	}
	return func() {
		debug.SetMemoryLimit(soft)
		down()
	}
}

// grace moves the wall away a little, for as long as it takes to say what was given up.
func (b Budget) grace() { wall(uint64(b.Memory) + uint64(b.Memory)/4 + wallAhead + graceAhead) }

// Within does what may take memory without end, such as what reads from a server, under
// this budget; how long it may take is for the context to say. Where it returns Over or
// the error of the context, do may still be running.
func (b Budget) Within(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_, err := Within(ctx, Budget{Time: math.MaxInt64, Memory: b.Memory}, &Renderings{}, func(ctx context.Context) (struct{}, error) { return struct{}{}, do(ctx) })
	return err
}

// WithinTime is Within for what is made of a rendering, such as a drawing: it may take no
// longer than an environment may.
func (b Budget) WithinTime(ctx context.Context, do func()) error {
	_, err := Within(ctx, b, &Renderings{}, func(context.Context) (struct{}, error) {
		return struct{}{}, contain.Call(func() error { do(); return nil })
	})
	return err
}

// Within does what may take without end, and begins and ends renderings, under a budget.
// Where it returns Over or the error of the context, do may still be running.
func Within[T any](ctx context.Context, budget Budget, renderings *Renderings, do func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	budget = budget.Given()
	reset := budget.enforce()
	renderings.start(budget)
	answered := make(chan answer, 1)
	go func() {
		value, err := do(ctx)
		answered <- answer{value, err}
	}()
	gauge := newGauge()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var none T
	for {
		select {
		case a := <-answered:
			renderings.stop()
			reset()
			return a.value, a.err
		case <-ctx.Done():
			return none, fmt.Errorf("rendering was interrupted: %w", context.Cause(ctx))
		case <-tick.C:
			if err := renderings.over(budget, gauge); err != nil {
				reset()
				budget.grace()
				return none, err
			}
		}
	}
}

// inUnits writes bytes as the flag takes them.
func inUnits(bytes int64) string {
	if bytes%(1<<30) == 0 {
		return fmt.Sprintf("%dGi", bytes>>30)
	}
	return fmt.Sprintf("%dMi", bytes>>20)
}

// gauge reads how much memory Go uses, without stopping anything.
type gauge struct{ samples []metrics.Sample }

// newGauge counts what is mapped without what is free: before that was free it was
// counted, and what prepareHeap asks for was never used.
func newGauge() *gauge {
	return &gauge{samples: []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
	}}
}

func (g *gauge) read() (memory, stack uint64) {
	metrics.Read(g.samples)
	total, free, released := g.samples[0].Value.Uint64(), g.samples[1].Value.Uint64(), g.samples[2].Value.Uint64()
	return total - free - released, g.samples[3].Value.Uint64()
}
