package health

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
)

// BenchmarkWait gates a thousand new Deployments at once: requests grow with
// kinds, not with objects. CPU is that of the gate alone, the writes before it
// not counted.
func BenchmarkWait(b *testing.B) {
	for _, count := range []int{100, 1000} {
		b.Run(fmt.Sprintf("deployments=%d", count), func(b *testing.B) {
			for b.Loop() {
				gateMany(b, count)
			}
		})
	}
}

func gateMany(b *testing.B, count int) {
	b.Helper()
	b.StopTimer()
	bench := newBench(b)
	targets := make([]Target, count)
	group := contain.NewGroup()
	group.SetLimit(16)
	for i := range targets {
		group.Go(func() error {
			targets[i] = bench.apply(deployment(fmt.Sprintf("w%d", i), "v1", 1))[0]
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	var peak atomic.Uint64
	done := make(chan struct{})
	go func() {
		var m runtime.MemStats
		for {
			select {
			case <-done:
				return
			case <-time.After(200 * time.Millisecond):
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), m.HeapAlloc))
			}
		}
	}()
	before := cpu(b)
	b.StartTimer()
	_, lines, err := bench.wait(targets, 10*time.Minute)
	close(done)
	if err != nil {
		b.Fatal(strings.SplitN(err.Error(), "\n", 10))
	}
	b.ReportMetric(float64(bench.faults.sent.Load()), "requests/op")
	b.ReportMetric((cpu(b) - before).Seconds(), "cpu-s/op")
	b.ReportMetric(float64(peak.Load())/1e6, "heap-MB")
	b.ReportMetric(float64(len(lines)), "changes/op")
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
