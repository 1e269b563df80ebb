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

const (
	loadRate  = 60   // requests a second
	loadTotal = 5000 // at least, for a rolling update
)

// roll updates provider and consumer of prod, then of dev, whose apps have one pod
// each, while requests come in.
func roll(ctx context.Context, s *site) error {
	for _, env := range []string{"prod", "dev"} {
		load, stop := startLoad(ctx, demoHost(env))
		err := load.atLeast(ctx, s, 200) // the old version, seen by the load
		for _, app := range []struct{ old, new string }{{providerV1, providerV2}, {consumerV1, consumerV2}} {
			if err == nil {
				err = s.setImage(env, app.old, app.new)
			}
		}
		if err == nil {
			err = s.commit(ctx, "version 2 for "+env)
		}
		start := time.Now()
		if err == nil {
			_, err = s.mustEvenkeel(ctx, 0, "apply", env, "--yes", "--timeout", "5m")
		}
		took := time.Since(start)
		if err == nil {
			sent, _ := load.count()
			err = load.atLeast(ctx, s, max(loadTotal, sent+5*loadRate))
		}
		stop()
		if err != nil {
			return errors.Join(err, s.pods(ctx, env))
		}
		s.measured("rolling update of %s in %s: %s", env, took.Round(time.Second), load)
		for _, versions := range sortedKeys(load.versions) {
			s.say("    %d answers by %s", load.versions[versions], versions)
		}
		if load.failed > 0 {
			return fmt.Errorf("%s: %d of %d requests failed", env, load.failed, load.sent)
		}
		if load.versions["provider 1 consumer 1"] == 0 || load.versions["provider 2 consumer 2"] == 0 {
			return fmt.Errorf("%s: not both versions answered: %v", env, load.versions)
		}
		if err := s.spread(ctx, env); err != nil {
			return err
		}
	}
	return nil
}

// spread finds that the pods of an app do not all stand on one node: a rolling
// update that puts them there is seen only when that node dies.
func (s *site) spread(ctx context.Context, env string) error {
	out, err := s.kubectl(ctx, "get", "pods", "-n", env, "-o",
		`jsonpath={range .items[*]}{.metadata.labels.app\.kubernetes\.io/name} {.spec.nodeName}{"\n"}{end}`)
	if err != nil {
		return err
	}
	pods, nodes := map[string]int{}, map[string]map[string]bool{}
	for line := range strings.Lines(out) {
		app, node, _ := strings.Cut(strings.TrimSpace(line), " ")
		if nodes[app] == nil {
			nodes[app] = map[string]bool{}
		}
		pods[app]++
		nodes[app][node] = true
	}
	for _, app := range sortedKeys(nodes) {
		if pods[app] > 1 && len(nodes[app]) == 1 {
			return fmt.Errorf("%s: all %d pods of %s stand on %s", env, pods[app], app, sortedKeys(nodes[app])[0])
		}
	}
	return nil
}

// setImage edits the file of an environment, as a team member would.
func (s *site) setImage(env, from, to string) error {
	path := filepath.Join(s.repo, "envs", env, env+".cue")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), from) {
		return fmt.Errorf("%s: no image %s", path, from)
	}
	s.say("  %s/%s.cue: image %s instead of %s", env, env, to, from)
	return os.WriteFile(path, []byte(strings.Replace(string(text), from, to, 1)), 0o644)
}

// broken applies versions that end at once. The gate says why, the old pods serve
// on; with --rollback-on-failure the environment is as before by itself.
func broken(ctx context.Context, s *site) error {
	load, stop := startLoad(ctx, demoHost("test"))
	err := s.applyBroken(ctx)
	stop()
	s.measured("broken versions: %s", load)
	if err != nil {
		return errors.Join(err, s.pods(ctx, "test"))
	}
	if load.failed > 0 {
		return fmt.Errorf("%d of %d requests failed", load.failed, load.sent)
	}
	return nil
}

func (s *site) applyBroken(ctx context.Context) error {
	for _, c := range []struct {
		app, good, bad string
		rollback       bool
	}{
		{"dubbo-demo-consumer", consumerV1, consumerBad, false},
		{"dubbo-demo-service", providerV1, providerBad, true},
	} {
		if err := s.setImage("test", c.good, c.bad); err != nil {
			return err
		}
		args := []string{"apply", "test", "--yes", "--timeout", "3m"}
		if c.rollback {
			args = append(args, "--rollback-on-failure")
		}
		start := time.Now()
		text, err := s.mustEvenkeel(ctx, 3, args...)
		if err != nil {
			return err
		}
		s.measured("%s broken: the gate failed after %s%s", c.app, time.Since(start).Round(100*time.Millisecond), map[bool]string{true: ", rollback included"}[c.rollback])
		if !strings.Contains(text, "told to crash") {
			return errors.New("the gate does not quote the program: told to crash")
		}
		if err := s.setImage("test", c.bad, c.good); err != nil {
			return err
		}
		if c.rollback {
			// git says again what runs
			if err := s.isLevel(ctx, "test"); err != nil {
				return err
			}
		} else if _, err := s.mustEvenkeel(ctx, 0, "apply", "test", "--yes", "--timeout", "3m"); err != nil {
			return err
		}
		if _, err := s.mustEvenkeel(ctx, 0, "status", "test"); err != nil {
			return err
		}
	}
	return nil
}
