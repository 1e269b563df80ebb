package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// check is one thing that the lab shows. Those that others stand on end the run
// when they fail.
type check struct {
	name, shows string
	run         func(context.Context, *site) error
	base        bool
}

func checks() []check {
	return []check{
		{"infra", "evenkeel apply infra on real nodes: flannel, CoreDNS, Traefik, dashboard healthy", applyInfra, true},
		{"envs", "evenkeel apply dev test pre prod, unchanged, with real Dubbo", applyEnvs, true},
		{"hello", "VIP, nginx, Traefik, Service, consumer, Dubbo, provider: the answer names them, and each environment its own", hello, false},
		{"names", "od.com and Services resolve in pods of both nodes", names, false},
		{"level", "a second apply, kubectl diff and live edits", level, false},
		{"roll", "rolling updates of provider and consumer under load: not one failed request", roll, false},
		{"broken", "a broken version fails the gate in seconds, in the program's own words, and fails no request", broken, false},
		{"canary", "a good canary fails no request; one that fails every call fails its share of them, until its check ends it", canaries, false},
		{"cluster", "evenkeel in the cluster, with the rights of evenkeel rbac, corrects a live edit", inCluster, false},
		{"nginx", "nginx killed on the holder of the VIP", killNginx, false},
		{"edge", "a whole edge host cut off", cutEdge, false},
		{"node", "a worker node killed", killNode, false},
	}
}

// site is the running lab, seen by one who operates it.
type site struct {
	*lab
	repo    string   // a copy of the worked example, to edit
	results []string // what was measured, printed at the end
}

func newTestCmd(l *lab) *cobra.Command {
	var list bool
	cmd := &cobra.Command{
		Use:   "test [CHECK...]",
		Short: "Prove evenkeel on the running lab, all checks or those that are named",
		Long: `Run the checks, all or those that are named, and say what was measured. They run on
the lab that up has made and leave it running.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if list {
				for _, c := range checks() {
					fmt.Fprintf(l.out, "%-8s %s\n", c.name, c.shows)
				}
				return nil
			}
			if os.Getenv("LAB_INSIDE") == "" {
				return l.testInside(cmd.Context(), args)
			}
			return l.test(cmd.Context(), args)
		},
	}
	cmd.Flags().BoolVar(&list, "list", false, "list the checks")
	return cmd
}

// testInside runs the checks on the operators' host: only there is the site to be
// reached.
func (l *lab) testInside(ctx context.Context, args []string) error {
	cmd := l.command(ctx, opsHost, append([]string{l.path("bin", "lab"), "--dir", l.dir, "test"}, args...)...)
	cmd.Env = append(cmd.Env, "LAB_INSIDE=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.WaitDelay = time.Minute
	err := cmd.Run()
	if _, failed := errors.AsType[*exec.ExitError](err); failed {
		return errors.New("not all checks passed")
	}
	return err
}

func (l *lab) test(ctx context.Context, names []string) error {
	s := &site{lab: l, repo: l.state("repo")}
	if err := s.copyExample(ctx); err != nil {
		return err
	}
	for _, name := range names {
		if !slices.ContainsFunc(checks(), func(c check) bool { return c.name == name }) {
			return fmt.Errorf("no check %q: lab test --list", name)
		}
	}
	begin := time.Now()
	var failed []string
	for _, c := range checks() {
		if len(names) > 0 && !slices.Contains(names, c.name) {
			continue
		}
		l.say("%s: %s", c.name, c.shows)
		start := time.Now()
		err := c.run(ctx, s)
		took := time.Since(start).Round(100 * time.Millisecond)
		if err == nil {
			l.say("%s: ok (%s)", c.name, took)
			s.note("ok    %-7s %6s  %s", c.name, took.Round(time.Second), c.shows)
			continue
		}
		l.say("%s: FAILED (%s): %v", c.name, took, err)
		s.note("FAIL  %-7s %6s  %s", c.name, took.Round(time.Second), strings.SplitN(err.Error(), "\n", 2)[0])
		failed = append(failed, c.name)
		if c.base || ctx.Err() != nil {
			break
		}
	}
	fmt.Fprintf(l.out, "\n%s\n\n%s in all; memory: %s\n", strings.Join(s.results, "\n"), time.Since(begin).Round(time.Second), memory())
	if len(failed) > 0 {
		return fmt.Errorf("failed: %s", strings.Join(failed, ", "))
	}
	return nil
}

// note keeps a line for the summary.
func (s *site) note(format string, args ...any) {
	s.results = append(s.results, fmt.Sprintf(format, args...))
}

// measured says a number at once and in the summary.
func (s *site) measured(format string, args ...any) {
	s.say("  "+format, args...)
	s.note("        "+format, args...)
}

// copyExample makes the repository that a team would have: the worked example
// under git, so that images can be set in it.
func (s *site) copyExample(ctx context.Context) error {
	if _, err := os.Stat(s.repo); err == nil {
		return nil
	}
	for _, dir := range []string{"cue.mod", "schema", "stacks", "envs"} {
		if err := os.CopyFS(s.repo+"/"+dir, os.DirFS(s.lab.repo(dir))); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A"}, {"-c", "user.name=lab", "-c", "user.email=lab@od.com", "commit", "-qm", "the worked example"}} {
		cmd := exec.CommandContext(ctx, "git", append([]string{"-C", s.repo}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %v: %w\n%s", args, err, out)
		}
	}
	return nil
}

func (s *site) commit(ctx context.Context, message string) error {
	cmd := exec.CommandContext(ctx, "git", "-C", s.repo, "-c", "user.name=lab", "-c", "user.email=lab@od.com", "commit", "-qam", message)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git commit: %w\n%s", err, out)
	}
	return nil
}

// evenkeel runs evenkeel on the operators' host, shows what it says and returns it
// with the exit code.
func (s *site) evenkeel(ctx context.Context, args ...string) (text string, code int, err error) {
	s.say("  $ evenkeel %s", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, "evenkeel", append([]string{"-C", s.repo}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	var out bytes.Buffer
	both := io.MultiWriter(&out, &indented{to: s.out})
	cmd.Stdout, cmd.Stderr = both, both
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), exit.ExitCode(), nil
	}
	return out.String(), 0, err
}

// mustEvenkeel expects an exit code.
func (s *site) mustEvenkeel(ctx context.Context, want int, args ...string) (string, error) {
	text, code, err := s.evenkeel(ctx, args...)
	if err == nil && code != want {
		err = fmt.Errorf("evenkeel %s: exit code %d, want %d", strings.Join(args, " "), code, want)
	}
	return text, err
}

// shell runs a script on the operators' host.
func (s *site) shell(ctx context.Context, script string) (string, error) {
	out, err := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script).CombinedOutput()
	return string(out), err
}

func (s *site) kubectl(ctx context.Context, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return stdout.String(), nil
}

// indented shows a program's lines below the line that says what was run.
type indented struct {
	to   io.Writer
	rest []byte
}

func (w *indented) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		fmt.Fprintf(w.to, "            %s\n", line)
		w.rest = rest
	}
}

// memory is what the machine uses in all.
func memory() string {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return err.Error()
	}
	values := map[string]int{}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 {
			values[fields[0]], _ = strconv.Atoi(fields[1])
		}
	}
	return fmt.Sprintf("%d MiB used of %d MiB", (values["MemTotal:"]-values["MemAvailable:"])>>10, values["MemTotal:"]>>10)
}
