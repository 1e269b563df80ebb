package pause

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := For(t.Context(), time.Minute); err != nil || time.Since(start) != time.Minute {
			t.Errorf("for a minute: %v after %s", err, time.Since(start))
		}
		for range 100 {
			start = time.Now()
			if err := About(t.Context(), time.Minute); err != nil || time.Since(start) < 40*time.Second || time.Since(start) > 80*time.Second {
				t.Errorf("about a minute: %v after %s", err, time.Since(start))
			}
		}
	})
}

func TestPauseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("told to stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		start := time.Now()
		if err := For(ctx, time.Hour); !errors.Is(err, why) || time.Since(start) != time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}
