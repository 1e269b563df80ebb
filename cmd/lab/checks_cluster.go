package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
	took, err := s.corrected(ctx, 2*time.Minute, func() error {
		_, err := s.kubectl(ctx, "create", "job", "-n", "evenkeel", "by-hand", "--from=cronjob/evenkeel")
		return err
	})
	if err != nil {
		return errors.Join(err, s.inClusterLogs(ctx))
	}
	s.measured("CronJob: a live edit corrected %s after its Job was made", took.Round(100*time.Millisecond))

	if err := s.ops(ctx, "daemon"); err != nil {
		return errors.Join(err, s.inClusterLogs(ctx))
	}
	took, err = s.corrected(ctx, 30*time.Second, func() error { return nil })
	if err != nil {
		return errors.Join(err, s.inClusterLogs(ctx))
	}
	s.measured("Deployment: a live edit corrected after %s", took.Round(10*time.Millisecond))
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

// corrected edits a Deployment live and says after how long it is as git has it.
func (s *site) corrected(ctx context.Context, limit time.Duration, look func() error) (time.Duration, error) {
	deadline := []string{"deployment/dubbo-demo-consumer", "-n", "pre"}
	patch := append([]string{"patch"}, deadline...)
	if _, err := s.kubectl(ctx, append(patch, "--type=merge", "-p", `{"spec":{"revisionHistoryLimit":3}}`)...); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := look(); err != nil {
		return 0, err
	}
	err := wait(ctx, limit, "the edit corrected", func() error {
		value, err := s.kubectl(ctx, append(append([]string{"get"}, deadline...), "-o", "jsonpath={.spec.revisionHistoryLimit}")...)
		if err == nil && value != "10" {
			err = fmt.Errorf("revisionHistoryLimit is %s", value)
		}
		return err
	})
	return time.Since(start), err
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
