package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
)

func TestExitCode(t *testing.T) {
	var (
		plain       = errors.New("the server said no")
		refused     = &hint.Refused{Reason: "held"}
		notHealthy  = &health.NotHealthy{}
		interrupted = &apply.Interrupted{Cause: context.Canceled}
	)
	tests := []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errDifferences, 1},
		{plain, 2},
		{&hint.Error{Err: plain}, 2},
		{errUnhealthy, 3},
		{fmt.Errorf("env dev: unit web: %w", notHealthy), 3},
		{fmt.Errorf("env dev: %w", refused), 4},
		{fmt.Errorf("env dev: %w", context.Canceled), 130},
		{interrupted, 130},
		{fmt.Errorf("env dev: %w", errors.Join(notHealthy, plain)), 2},
		{errors.Join(errDifferences, refused), 4},
		{errors.Join(plain, fmt.Errorf("x: %w", interrupted)), 130},
	}
	for _, tt := range tests {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("exitCode(%v) = %d, want %d", tt.err, got, tt.want)
		}
	}
}
