package health

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// clock tells the server's time. Ages are counted from the server's timestamps,
// and where the local clock is minutes behind, a rule such as "for ten seconds"
// would not hold for minutes. A clock that is ahead cannot be told from old
// writes; Related.elapsed bounds what it does.
type clock struct {
	mu     sync.Mutex
	behind time.Duration // the local clock, by the newest write that was seen
}

// tolerance is what delivery and whole seconds explain.
const tolerance = 3 * time.Second

// saw takes an object into account that came at a local time: none of its fields
// was written later than that.
func (c *clock) saw(obj *unstructured.Unstructured, at time.Time) {
	var newest time.Time
	for _, m := range obj.GetManagedFields() {
		if m.Time != nil {
			newest = later(newest, m.Time.Time)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.behind = max(c.behind, newest.Sub(at))
}

// server is the server's time at a local time.
func (c *clock) server(local time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.behind > tolerance {
		return local.Add(c.behind)
	}
	return local
}
