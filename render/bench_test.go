package render_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-428f4edd/evenkeel/testdata/bench"
)

// BenchmarkRender runs the command on environments of growing size and, in the
// same run, cue export of the same apps and kustomize build of the same objects.
// The numbers are those of the cheapest of three processes; at 10,000 apps there is
// one. make bench builds the commands and says with EVENKEEL_BIN where they are.
func BenchmarkRender(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			runs := min(3, 10000/n)
			dir := repository(b, n)
			manifests := filepath.Join(b.TempDir(), "bench")
			command(b, 1, "evenkeel", "-C", dir, "render", "bench", "--output-dir", filepath.Dir(manifests))
			kustomization(b, manifests)

			ours := command(b, runs, "evenkeel", "-C", dir, "render", "bench")
			ours.report(b, "")
			b.ReportMetric(float64(ours.objects), "objects")
			command(b, 1, "evenkeel", "-C", dir, "vendor")
			b.Chdir(dir) // cue looks for the module from where it runs
			cue := command(b, runs, "cue", "export", "./envs/bench", "-e", "environment.apps", "--out", "yaml")
			cue.report(b, "cue-")
			b.ReportMetric(ours.cpu.Seconds()/cue.cpu.Seconds(), "of-cue")
			if n > 1000 {
				return // kustomize takes time by the square of the objects
			}
			kustomize := command(b, runs, "kustomize", "build", manifests)
			kustomize.report(b, "kustomize-")
			b.ReportMetric(ours.cpu.Seconds()/kustomize.cpu.Seconds(), "of-kustomize")
		})
	}
}

// BenchmarkRenderKustomized is an environment of which one unit uses kustomize,
// and the same without.
func BenchmarkRenderKustomized(b *testing.B) {
	dir := repository(b, 1000)
	without := command(b, 3, "evenkeel", "-C", dir, "render", "bench")
	one := "package bench\n\nenvironment: apps: \"app-0000\": kustomize: labels: [{pairs: team: \"shop\"}]\n"
	if err := os.WriteFile(filepath.Join(dir, "envs", "bench", "kustomize.cue"), []byte(one), 0o644); err != nil {
		b.Fatal(err)
	}
	with := command(b, 3, "evenkeel", "-C", dir, "render", "bench")
	with.report(b, "")
	b.ReportMetric(without.cpu.Seconds(), "without-cpu-s")
}

// BenchmarkStart is what a command costs before it does anything, and what the
// smallest render costs.
func BenchmarkStart(b *testing.B) {
	b.Run("version", func(b *testing.B) { command(b, 5, "evenkeel", "version").report(b, "") })
	b.Run("render", func(b *testing.B) {
		command(b, 5, "evenkeel", "-C", "..", "render", "prod").report(b, "")
	})
}

func repository(b *testing.B, n int) string {
	b.Helper()
	dir := b.TempDir()
	if err := bench.Write(dir, n); err != nil {
		b.Fatal(err)
	}
	return dir
}

// kustomization makes a base of a directory of manifests.
func kustomization(b *testing.B, dir string) {
	b.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		b.Fatal(err)
	}
	var out strings.Builder
	out.WriteString("resources:\n")
	for _, file := range files {
		out.WriteString("- " + filepath.Base(file) + "\n")
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(out.String()), 0o644); err != nil {
		b.Fatal(err)
	}
}

// cost is what a process took.
type cost struct {
	cpu, wall time.Duration
	peak      int64 // bytes
	objects   int
}

func (c cost) report(b *testing.B, prefix string) {
	b.ReportMetric(0, "ns/op") // the time of the whole benchmark says nothing
	b.ReportMetric(c.cpu.Seconds(), prefix+"cpu-s")
	b.ReportMetric(c.wall.Seconds(), prefix+"wall-s")
	b.ReportMetric(float64(c.peak)/1e6, prefix+"peak-MB")
}

// command runs a command that make bench has built and returns the cheapest of its runs.
func command(b *testing.B, runs int, name string, args ...string) cost {
	b.Helper()
	bin := filepath.Join(os.Getenv("EVENKEEL_BIN"), name)
	var best cost
	for range runs {
		c := runCommand(b, bin, args...)
		if best.cpu == 0 || c.cpu < best.cpu {
			best = c
		}
	}
	return best
}

func runCommand(b *testing.B, bin string, args ...string) cost {
	b.Helper()
	var stderr bytes.Buffer
	var out documents
	cmd := exec.CommandContext(b.Context(), bin, args...)
	cmd.Stdout, cmd.Stderr = &out, &stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s %s: %v\n%s", filepath.Base(bin), strings.Join(args, " "), err, &stderr)
	}
	c := cost{
		cpu:     cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
		wall:    time.Since(start),
		objects: int(out),
	}
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.peak = u.Maxrss
		if runtime.GOOS == "linux" {
			c.peak *= 1024
		}
	}
	return c
}

// documents counts the YAML documents that are written to it, by their separators.
type documents int

func (d *documents) Write(p []byte) (int, error) {
	*d += documents(bytes.Count(p, []byte("---\n")))
	return len(p), nil
}
