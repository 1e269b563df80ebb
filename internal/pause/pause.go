// Package pause waits in a way that a context can end.
package pause

import (
	"context"
	"math/rand/v2"
	"time"
)

// For waits for d, or returns why the context ended.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// About waits for d, up to a third less or more, so that many who wait for the
// same do not come back at once.
func About(ctx context.Context, d time.Duration) error {
	return For(ctx, d+time.Duration((rand.Float64()-0.5)*float64(d)*2/3))
}
