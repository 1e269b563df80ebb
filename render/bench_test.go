package render_test

import (
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/testdata/bench"
)

// BenchmarkRender renders environments of growing size to YAML. It reports the
// processor time of one render and the peak memory of the process so far: run the
// sizes one at a time (-bench Render/1000$) for a peak of their own.
func BenchmarkRender(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 3000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			if err := bench.Write(dir, n); err != nil {
				b.Fatal(err)
			}
			objects := 0
			before := usage(b)
			for b.Loop() {
				repo, err := render.Open(dir)
				if err != nil {
					b.Fatal(err)
				}
				res, err := repo.Render(b.Context(), "bench")
				if err != nil {
					b.Fatal(err)
				}
				if err := render.WriteYAML(io.Discard, res.Env, render.OutputOptions{Secrets: true}); err != nil {
					b.Fatal(err)
				}
				objects = 0
				for _, u := range res.Env.Units {
					objects += len(u.Objects)
				}
			}
			after := usage(b)
			b.ReportMetric(float64(cpu(after)-cpu(before))/float64(time.Millisecond)/float64(b.N), "cpu-ms/op")
			b.ReportMetric(float64(after.Maxrss)/1024, "peak-MB")
			b.ReportMetric(float64(objects), "objects")
		})
	}
}

func usage(b *testing.B) syscall.Rusage {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u
}

func cpu(u syscall.Rusage) time.Duration {
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
