package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// opsEnv is the environment that runs evenkeel inside the cluster. The form is
// daemon or schedule.
func opsEnv(form string) string {
	return fmt.Sprintf(`// Package ops runs evenkeel in the cluster that it keeps level.
package ops

import (
	"github.com/seed-428f4edd/evenkeel/envs/site:od"
	"github.com/seed-428f4edd/evenkeel/schema"
)

environment: schema.#Environment & {
	name: "ops"
	site: od.#Site
	cluster: context: "od"
	after: ["infra"]
	stacks: evenkeel: {
		image: %q
		environments: ["pre"]
		form: %q
		schedule: "* * * * *"
		mode: "correct"
		git: url: "https://%s/repo"
	}
}
`, evenkeelName, form, gitName)
}

// inCluster runs evenkeel in the cluster, with the rights that evenkeel rbac prints
// and no others, and edits live what it looks after.
func inCluster(ctx context.Context, s *site) error {
	if err := s.startGit(ctx); err != nil {
		return err
	}
	rights := fmt.Sprintf("evenkeel -C %q rbac pre --mode reconcile --subject ServiceAccount:evenkeel/evenkeel | kubectl apply --server-side -f -", s.repo)
	s.say("  $ %s", rights)
	if err := s.ops(ctx, "schedule"); err != nil {
		return err
	}
	if out, err := s.shell(ctx, rights); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	if err := s.noMoreRights(ctx); err != nil {
		return err
	}
	took, err := s.corrected(ctx, 2*time.Minute)
	if err != nil {
		return errors.Join(err, s.inClusterLogs(ctx))
	}
	s.measured("CronJob of every minute: a live edit corrected after %s", took.Round(100*time.Millisecond))

	if err := s.ops(ctx, "daemon"); err != nil {
		return errors.Join(err, s.inClusterLogs(ctx))
	}
	var times []time.Duration
	for range 5 {
		took, err := s.corrected(ctx, 30*time.Second)
		if err != nil {
			return errors.Join(err, s.inClusterLogs(ctx))
		}
		times = append(times, took.Round(10*time.Millisecond))
	}
	s.measured("Deployment: five live edits corrected after %v", times)
	if slices.Sort(times); times[len(times)/2] > time.Second {
		return fmt.Errorf("a live edit takes the Deployment %s to correct, the limit is a second", times[len(times)/2])
	}
	_, err = s.mustEvenkeel(ctx, 0, "delete", "ops", "--yes", "--timeout", "3m")
	return err
}

// ops writes the environment ops and applies it.
func (s *site) ops(ctx context.Context, form string) error {
	dir := filepath.Join(s.repo, "envs", "ops")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "ops.cue"), []byte(opsEnv(form)), 0o644); err != nil {
		return err
	}
	if out, err := s.shell(ctx, fmt.Sprintf("git -C %q add -A && git -C %q -c user.name=lab -c user.email=lab@od.com commit -q --allow-empty -m 'evenkeel in the cluster'", s.repo, s.repo)); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	_, err := s.mustEvenkeel(ctx, 0, "apply", "ops", "--yes", "--timeout", "3m")
	return err
}

// noMoreRights asks for some that rbac did not print.
func (s *site) noMoreRights(ctx context.Context) error {
	for _, right := range []string{"patch deployments -n dev", "get secrets -n dev", "delete namespaces", "create clusterrolebindings", "patch nodes"} {
		args := append([]string{"auth", "can-i", "--as=system:serviceaccount:evenkeel:evenkeel"}, strings.Fields(right)...)
		if out, _ := s.kubectl(ctx, args...); strings.TrimSpace(out) != "no" { // and exit code 1
			return fmt.Errorf("may evenkeel in the cluster %s? %s", right, out)
		}
	}
	return nil
}

// corrected edits a Deployment live and says how long the edit stood, as a watch
// sees it come and go.
func (s *site) corrected(ctx context.Context, limit time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	watch := exec.CommandContext(ctx, "kubectl", "get", "deployment", "dubbo-demo-consumer", "-n", "pre", "--watch", "-o", `jsonpath={.spec.revisionHistoryLimit}{"\n"}`)
	out, err := watch.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := watch.Start(); err != nil {
		return 0, err
	}
	defer func() { cancel(); _ = watch.Wait() }()
	var (
		edited  time.Time
		editing sync.Once
		failed  = make(chan error, 1)
	)
	edit := func() {
		_, err := s.kubectl(ctx, "patch", "deployment", "dubbo-demo-consumer", "-n", "pre", "--type=merge", "-p", `{"spec":{"revisionHistoryLimit":3}}`)
		if failed <- err; err != nil {
			cancel()
		}
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch value := lines.Text(); {
		case value == "3" && edited.IsZero():
			edited = time.Now()
		case value == "10" && !edited.IsZero():
			return time.Since(edited), nil
		case value == "10":
			editing.Do(func() { go edit() }) // the watch has begun, and goes on meanwhile
		}
	}
	err = fmt.Errorf("a live edit of Deployment/pre/dubbo-demo-consumer is not corrected within %s", limit)
	select {
	case cause := <-failed:
		return 0, errors.Join(err, cause)
	default:
		return 0, err
	}
}

func (s *site) inClusterLogs(ctx context.Context) error {
	out, _ := s.shell(ctx, "kubectl get pods,jobs -n evenkeel; for p in $(kubectl get pods -n evenkeel -o name); do kubectl logs -n evenkeel $p --tail=30; done")
	return errors.New(strings.TrimSpace(out))
}

// startGit serves the site's repository at https://git.od.com/repo.
func (s *site) startGit(ctx context.Context) error {
	if _, err := s.shell(ctx, "curl -sk --max-time 2 -o /dev/null https://10.4.7.200/"); err == nil {
		return nil
	}
	return s.start(ctx, opsHost, "git", s.path("bin", "lab"), "serve-git", s.state(), shared+"/pki")
}
