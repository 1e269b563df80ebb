package budget

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Renderings are the environments that are being rendered, and since when.
type Renderings struct {
	// Told, where it is set, is told of each environment when its rendering begins and
	// when it ends. It must not block.
	Told func(env string, begun bool)
	// LastWords, where it is set, makes the text that stands in place of Go's own where
	// the process is ended by the wall of its Budget (Linux). One rendering of a process
	// has them at a time.
	LastWords func(*Over) string

	mu    sync.Mutex
	envs  map[string]time.Time
	quiet time.Time // since when none is

	// prepare has the process say why it ended, if it ends by the wall; nil: it is
	// not to.
	prepare func()
}

func (r *Renderings) start(budget Budget) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.quiet = time.Now()
	words := r.LastWords
	if words == nil {
		return
	}
	r.prepare = func() {
		envs := slices.Sorted(maps.Keys(r.envs))
		sayInstead(
			words(&Over{Envs: envs, Limit: LimitMemory, Most: inUnits(budget.Memory)}),
			words(&Over{Envs: envs, Limit: LimitRecursion, Most: inUnits(mostStack)}),
		)
	}
	r.prepare()
}

// stop is for a rendering that came to its end: one that was given up goes on.
func (r *Renderings) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.prepare != nil {
		r.prepare = nil
		sayInstead("", "")
	}
}

func (r *Renderings) changed() {
	if r.prepare != nil {
		r.prepare()
	}
}

// Begin notes that an environment is being rendered until end is called.
func (r *Renderings) Begin(env string) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.envs == nil {
		r.envs = map[string]time.Time{}
	}
	r.envs[env] = time.Now()
	r.changed()
	r.tell(env, true)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.envs, env)
		r.quiet = time.Now()
		r.changed()
		r.tell(env, false)
	}
}

func (r *Renderings) tell(env string, begun bool) {
	if r.Told != nil {
		r.Told(env, begun)
	}
}

// over is Over where a limit is met, else nil.
func (r *Renderings) over(budget Budget, gauge *gauge) error {
	memory, stack := gauge.read()
	switch {
	case stack > mostStack:
		return &Over{Envs: r.running(), Limit: LimitRecursion, Most: inUnits(mostStack)}
	case memory > uint64(budget.Memory):
		return &Over{Envs: r.running(), Limit: LimitMemory, Most: inUnits(budget.Memory)}
	}
	if envs, late := r.late(budget.Time); late {
		return &Over{Envs: envs, Limit: LimitTime, Most: budget.Time.String()}
	}
	return nil
}

func (r *Renderings) running() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.envs))
}

// late names what has taken longer than most: environments, or nothing where that
// is what comes before and after them.
func (r *Renderings) late(most time.Duration) (envs []string, late bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, since := range r.envs {
		if time.Since(since) > most {
			envs = append(envs, name)
		}
	}
	slices.Sort(envs)
	return envs, len(envs) > 0 || len(r.envs) == 0 && time.Since(r.quiet) > most
}
