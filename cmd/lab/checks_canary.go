package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	canaryWeight = 50 // of a hundred requests of a pod: beside two pods, one in five

	canaryHold  = 20 * time.Second // longer than a pod takes to stop being asked
	canaryLimit = 0.05             // of requests, more of which end a canary
)

// canaryEnv has two pods of each app, and a canary of one: one in three. A consumer calls
// once: dubbo-go would call another provider where one says that it failed, and nobody
// would see the failure.
func canaryEnv(provider, consumer, rollout string) string {
	return fmt.Sprintf(`// Package canary tries new versions a little at a time.
package canary

import (
	"github.com/seed-428f4edd/evenkeel/envs/demo"
	"github.com/seed-428f4edd/evenkeel/envs/site:od"
	"github.com/seed-428f4edd/evenkeel/schema"
)

environment: schema.#Environment & {
	name: "canary"
	site: od.#Site
	cluster: context: "od"
	podSecurity: "baseline"
	registry: zookeeper: {}
	defaults: {
		replicas: 2
		rollout: canary: {
			steps: [{pods: 1, hold: "%s"}]
			every: "1s"
			checks: [{promql: %q, max: %v}]
			prometheus: "http://%s"
		}
	}
	apps: {
		"dubbo-demo-service": demo.#Apps["dubbo-demo-service"] & {image: %q}
		"dubbo-demo-consumer": demo.#Apps["dubbo-demo-consumer"] & {image: %q, host: %q, java: options: ["-Ddubbo.consumer.retries=0"]%s}
	}
}
`, canaryHold, failedShare, canaryLimit, prometheusAddress, provider, consumer, demoHost("canary"), rollout)
}

// canaries tries a good version and one that fails every call, of the consumer, which
// HTTP calls, and of the provider, which Dubbo calls.
func canaries(ctx context.Context, s *site) error {
	dir := filepath.Join(s.repo, "envs", "canary")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file := filepath.Join(dir, "canary.cue")
	if err := os.WriteFile(file, []byte(canaryEnv(providerV1, consumerV1, "")), 0o644); err != nil {
		return err
	}
	if _, err := s.mustEvenkeel(ctx, 0, "apply", "canary", "--yes", "--timeout", "5m"); err != nil {
		return errors.Join(err, s.pods(ctx, "canary"))
	}
	for _, c := range []struct{ app, old, good, bad string }{
		{"dubbo-demo-consumer", consumerV1, consumerV2, consumerLost},
		{"dubbo-demo-service", providerV1, providerV2, providerLost},
	} {
		if err := s.goodCanary(ctx, c.app, c.old, c.good); err != nil {
			return errors.Join(err, s.pods(ctx, "canary"))
		}
		if err := s.badCanary(ctx, c.app, c.good, c.bad, canaryShare); err != nil {
			return errors.Join(err, s.pods(ctx, "canary"))
		}
	}
	if err := s.weighedCanary(ctx, file, "dubbo-demo-consumer"); err != nil {
		return errors.Join(err, s.pods(ctx, "canary"))
	}
	if err := s.silentCanary(ctx, "dubbo-demo-consumer", consumerV1, consumerV2); err != nil {
		return errors.Join(err, s.pods(ctx, "canary"))
	}
	_, err := s.mustEvenkeel(ctx, 0, "delete", "canary", "--yes", "--timeout", "3m")
	return errors.Join(err, os.RemoveAll(dir))
}

// weighedCanary has Traefik give the canary of a consumer fewer requests than its share of
// pods. One Traefik goes round in turn, so what is added for chance is the first and the
// last requests of what is counted, of a few of them.
func (s *site) weighedCanary(ctx context.Context, file, app string) error {
	weight := fmt.Sprintf(", rollout: canary: environment.defaults.rollout.canary & {weight: %d}", canaryWeight)
	if err := os.WriteFile(file, []byte(canaryEnv(providerV2, consumerV2, weight)), 0o644); err != nil {
		return err
	}
	if err := s.isLevel(ctx, "canary"); err != nil {
		return err
	}
	if err := s.goodCanary(ctx, app, consumerV2, consumerV1); err != nil {
		return err
	}
	const share = canaryWeight / (2*100.0 + canaryWeight)
	return s.badCanary(ctx, app, consumerV1, consumerLost, func(requests int) float64 { return share + 8/float64(max(requests, 1)) })
}

// goodCanary brings a version in: no request may fail, from the first step to the end.
func (s *site) goodCanary(ctx context.Context, app, old, good string) error {
	load, stop := startLoad(ctx, demoHost("canary"))
	defer stop()
	if err := load.atLeast(ctx, s, 5*loadRate); err != nil {
		return err
	}
	prometheus, end, err := startPrometheus(ctx, load)
	if err != nil {
		return err
	}
	defer end()
	if err := s.setImage("canary", old, good); err != nil {
		return err
	}
	start := time.Now()
	if _, err := s.mustEvenkeel(ctx, 0, "apply", "canary", "--yes", "--timeout", "5m"); err != nil {
		stop()
		s.measured("canary of %s: %s", app, load)
		return err
	}
	took := time.Since(start)
	sent, _ := load.count()
	err = load.atLeast(ctx, s, sent+5*loadRate)
	stop()
	fired, asked := prometheus.tooMuch(ctx)
	s.measured("good canary of %s in %s: %s", app, took.Round(time.Second), load)
	switch {
	case err != nil || asked != nil:
		return errors.Join(err, asked)
	case !fired.IsZero():
		return fmt.Errorf("a good canary had too large a share of failures at %s, says Prometheus", fired)
	case load.failed > 0:
		return fmt.Errorf("a good canary of %s: %d of %d requests failed", app, load.failed, load.sent)
	case len(load.versions) < 2:
		return fmt.Errorf("not both versions answered: %v", load.versions)
	}
	return nil
}

// badCanary brings in a version that fails every call: no more calls fail than come to its
// pod, and none after a hold from when the check has failed. What is counted is the time
// from the first failure to the last. In it the share of a pod of three is a third of the
// requests in expectation, not at most a third: canaryShare says what chance may add.
// The limit is of so many requests. Traefik asks the pods in turn, and a consumer calls providers at random. A provider
// fails calls longer than a consumer does: it is in the registry until SIGTERM, which
// comes after its preStop.
func (s *site) badCanary(ctx context.Context, app, good, bad string, limit func(requests int) float64) error {
	load, stop := startLoad(ctx, demoHost("canary"))
	defer stop()
	if err := load.atLeast(ctx, s, 5*loadRate); err != nil {
		return err
	}
	prometheus, end, err := startPrometheus(ctx, load)
	if err != nil {
		return err
	}
	defer end()
	if err := s.setImage("canary", good, bad); err != nil {
		return err
	}
	text, err := s.mustEvenkeel(ctx, 3, "apply", "canary", "--yes", "--timeout", "5m")
	if err != nil {
		return err
	}
	sent, _ := load.count()
	err = load.atLeast(ctx, s, sent+10*loadRate)
	stop()
	if err != nil {
		return err
	}
	fired, err := prometheus.tooMuch(ctx)
	if err != nil {
		return err
	}
	after := load.last.Sub(fired)
	answers, failed := load.between(load.first, load.last)
	share, most := float64(failed)/float64(max(answers, 1)), limit(answers)
	s.measured("canary of %s that fails every call: %d of %d requests failed while it ran (%.1f%%), the last one %s after the check had failed; %s",
		app, failed, answers, 100*share, after.Round(100*time.Millisecond), load)
	switch {
	case failed == 0, fired.IsZero():
		return fmt.Errorf("no request failed: nothing was shown")
	case !strings.Contains(text, "check failed: promql "+failedShare):
		return errors.New("evenkeel does not name the check")
	case share > most:
		return fmt.Errorf("%.1f%% of the requests failed, at most %.1f%% come to its pod", 100*share, 100*most)
	case after > canaryHold:
		return fmt.Errorf("requests failed for %s after the check, the limit is a hold of %s", after.Round(100*time.Millisecond), canaryHold)
	}
	if err := s.setImage("canary", bad, good); err != nil {
		return err
	}
	return s.isLevel(ctx, "canary")
}

// silentCanary brings in a version that fails no call, of which Prometheus says nothing: it
// takes the question and does not answer. That is no pass: the canary ends, and the pods of
// the app are those that there were.
func (s *site) silentCanary(ctx context.Context, app, old, good string) error {
	load, stop := startLoad(ctx, demoHost("canary"))
	defer stop()
	if err := load.atLeast(ctx, s, 5*loadRate); err != nil {
		return err
	}
	prometheus, end, err := startPrometheus(ctx, load)
	if err != nil {
		return err
	}
	defer end()
	before, err := s.kubectl(ctx, "-n", "canary", "get", "pods", "-l", "!evenkeel.dev/canary", "-o", "jsonpath={.items[*].metadata.uid}")
	if err != nil {
		return err
	}
	if err := errors.Join(prometheus.freeze(), s.setImage("canary", old, good)); err != nil {
		return err
	}
	start := time.Now()
	text, err := s.mustEvenkeel(ctx, 3, "apply", "canary", "--yes", "--timeout", "5m")
	took := time.Since(start)
	if err := errors.Join(err, prometheus.thaw()); err != nil {
		return err
	}
	stop()
	after, err := s.kubectl(ctx, "-n", "canary", "get", "pods", "-l", "!evenkeel.dev/canary", "-o", "jsonpath={.items[*].metadata.uid}")
	s.measured("canary of %s of which Prometheus says nothing, ended after %s: %s", app, took.Round(time.Second), load)
	switch {
	case err != nil:
		return err
	case !strings.Contains(text, "check failed: promql "+failedShare):
		return errors.New("evenkeel does not name the check")
	case took < canaryHold:
		return fmt.Errorf("ended after %s, before its hold was over", took.Round(time.Second))
	case load.failed > 0:
		return fmt.Errorf("%d of %d requests failed", load.failed, load.sent)
	case before == "" || after != before:
		return fmt.Errorf("the pods of the app were %s and are %s", before, after)
	}
	if err := s.setImage("canary", good, old); err != nil {
		return err
	}
	return s.isLevel(ctx, "canary")
}

// canaryShare is a third of so many requests, and what chance may add to it: four standard
// deviations of as many independent choices of one pod in three, which is passed once in
// 30,000 times.
func canaryShare(requests int) float64 {
	const third = 1.0 / 3
	return third + 4*math.Sqrt(third*(1-third)/float64(max(requests, 1)))
}
