package reconcile

import (
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// content is one rendering of an environment, with what goes with it.
type content struct {
	env       *schema.Environment
	siblings  []*schema.Environment
	git       record.GitInfo
	descends  func(commit string) bool
	noPrune   bool
	digest    [sha256.Size]byte // of the rendering
	certifier *apply.Certifier
}

// newContent is a rendering of one environment.
func newContent(env *schema.Environment, r *Rendering) *content {
	c := &content{env: env, git: r.Git, descends: r.Descends, noPrune: r.Incomplete, certifier: apply.NewCertifier(env)}
	c.digest = digestOf(env)
	for _, others := range [][]*schema.Environment{r.Environments, r.Siblings} {
		for _, other := range others {
			if other.Name != env.Name && other.Cluster == env.Cluster {
				c.siblings = append(c.siblings, other)
			}
		}
	}
	return c
}

// digestOf identifies all of a rendering, Secrets too; it is shown to nobody.
func digestOf(env *schema.Environment) (digest [sha256.Size]byte) {
	sum := sha256.New()
	enc := json.NewEncoder(sum)
	head := *env
	head.Units = nil
	_ = enc.Encode(head) // plain JSON values into a hash: neither can fail
	for _, u := range env.Units {
		_ = enc.Encode([]any{u.Name, u.Type, u.After, u.Timeout, len(u.Objects)})
		for _, o := range u.Objects {
			_ = enc.Encode(o)
		}
	}
	sum.Sum(digest[:0])
	return digest
}

// inbox is where streams and the source leave what a worker has to look at. All
// but take may be called from anywhere.
type inbox struct {
	mu      sync.Mutex
	content *content // newer than the worker's, nil if there is none
	touched map[schema.Ref]time.Time
	full    string // why everything has to be looked at; empty if it has not
	broken  string // what is wrong with the newest state of the source
	signal  chan struct{}
}

func newInbox() *inbox {
	return &inbox{touched: map[schema.Ref]time.Time{}, signal: make(chan struct{}, 1)}
}

// render leaves a new rendering.
func (b *inbox) render(c *content) {
	b.put(func() { b.content = c })
}

// wrong leaves word of a rendering that failed.
func (b *inbox) wrong(text string) {
	b.put(func() { b.broken = text })
}

// touch leaves an object that may have drifted.
func (b *inbox) touch(ref schema.Ref) {
	b.put(func() {
		if _, ok := b.touched[ref]; !ok {
			b.touched[ref] = time.Now()
		}
	})
}

// everything asks for a pass over all objects.
func (b *inbox) everything(why string) {
	b.put(func() {
		if b.full == "" {
			b.full = why
		}
	})
}

func (b *inbox) put(change func()) {
	b.mu.Lock()
	change()
	b.mu.Unlock()
	select {
	case b.signal <- struct{}{}:
	default:
	}
}

// fresh reports whether there is a rendering that the worker has not seen.
func (b *inbox) fresh() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.content != nil
}

// letter is what an inbox held.
type letter struct {
	content *content
	full    string
	wrong   string
	touched []schema.Ref
	first   time.Time // when the first of them was touched
}

// take empties the inbox.
func (b *inbox) take() letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := letter{content: b.content, full: b.full, wrong: b.broken, touched: slices.Collect(maps.Keys(b.touched))}
	for _, at := range b.touched {
		if l.first.IsZero() || at.Before(l.first) {
			l.first = at
		}
	}
	b.content, b.full, b.broken = nil, "", ""
	clear(b.touched)
	return l
}

// giveBack puts back what could not be looked at.
func (b *inbox) giveBack(l letter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full == "" {
		b.full = l.full
	}
	for _, ref := range l.touched {
		if at, ok := b.touched[ref]; !ok || l.first.Before(at) {
			b.touched[ref] = l.first
		}
	}
}
