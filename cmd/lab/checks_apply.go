package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

func applyInfra(ctx context.Context, s *site) error {
	start := time.Now()
	if _, err := s.mustEvenkeel(ctx, 0, "apply", "infra", "--yes", "--timeout", "6m"); err != nil {
		return errors.Join(err, s.pods(ctx, ""))
	}
	s.measured("infra healthy after %s", time.Since(start).Round(time.Second))
	_, err := s.kubectl(ctx, "wait", "--for=condition=Ready", "node", "--all", "--timeout=30s")
	if err != nil {
		return err
	}
	_, err = s.mustEvenkeel(ctx, 0, "status", "infra")
	return err
}

func environments() []string { return []string{"dev", "test", "pre", "prod"} }

func demoHost(env string) string { return "demo-" + env + ".od.com" }

func applyEnvs(ctx context.Context, s *site) error {
	for _, env := range environments() {
		start := time.Now()
		if _, err := s.mustEvenkeel(ctx, 0, "apply", env, "--yes", "--timeout", "5m"); err != nil {
			return errors.Join(err, s.pods(ctx, env))
		}
		s.measured("%s healthy after %s", env, time.Since(start).Round(time.Second))
	}
	return nil
}

// pods is the state of the pods, for an error message.
func (s *site) pods(ctx context.Context, namespace string) error {
	args := []string{"get", "pods", "-o", "wide", "-A"}
	if namespace != "" {
		args = []string{"get", "pods", "-o", "wide", "-n", namespace}
	}
	out, err := s.kubectl(ctx, args...)
	if err != nil {
		return err
	}
	return errors.New(out)
}

// nodeOf maps the pods of a namespace to their nodes.
func (s *site) nodeOf(ctx context.Context, namespace string) (map[string]string, error) {
	out, err := s.kubectl(ctx, "get", "pods", "-n", namespace, "-o", `jsonpath={range .items[*]}{.metadata.name} {.spec.nodeName}{"\n"}{end}`)
	nodes := map[string]string{}
	for line := range strings.Lines(out) {
		if pod, node, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			nodes[pod] = node
		}
	}
	return nodes, err
}

// hello follows requests through every hop, and finds each environment alone.
func hello(ctx context.Context, s *site) error {
	client := newClient(5 * time.Second)
	across := 0
	for _, env := range environments() {
		nodes, err := s.nodeOf(ctx, env)
		if err != nil {
			return err
		}
		pairs := map[string]bool{}
		for range 50 {
			a, err := request(ctx, client, demoHost(env), "x")
			if err != nil {
				return fmt.Errorf("%s: %w", demoHost(env), err)
			}
			for _, w := range []who{a.Provider, a.Consumer} {
				if w.Environment != "dubbo-"+env || nodes[w.Pod] == "" {
					return fmt.Errorf("%s was answered by %s of %s in pod %s, which is not a pod of %s", demoHost(env), w.App, w.Environment, w.Pod, env)
				}
				if w.Version == "" {
					return fmt.Errorf("%s: no version in %+v", demoHost(env), a)
				}
			}
			if nodes[a.Provider.Pod] != nodes[a.Consumer.Pod] {
				across++
			}
			pairs[fmt.Sprintf("%s (%s) -> %s (%s)", a.Consumer.Pod, nodes[a.Consumer.Pod], a.Provider.Pod, nodes[a.Provider.Pod])] = true
		}
		for _, pair := range sortedKeys(pairs) {
			s.say("  %s: %s", demoHost(env), pair)
		}
	}
	if across == 0 {
		return errors.New("no call went from one node to the other")
	}
	s.measured("200 requests, all answered within their environment, %d of the calls between nodes", across)
	return nil
}

func names(ctx context.Context, s *site) error {
	want := []string{"zk1.od.com 10.4.7.11", "zk3.od.com 10.4.7.21", "demo-dev.od.com " + vip, "kubernetes.default.svc.cluster.local 192.168.0.1"}
	service, err := s.kubectl(ctx, "get", "service", "-n", "test", "dubbo-demo-consumer", "-o", "jsonpath={.spec.clusterIP}")
	if err != nil {
		return err
	}
	want = append(want, "dubbo-demo-consumer.test.svc.cluster.local "+service)
	nodes, err := s.nodeOf(ctx, "prod")
	if err != nil {
		return err
	}
	asked := map[string]bool{}
	for _, pod := range sortedKeys(nodes) {
		if asked[nodes[pod]] || strings.HasPrefix(pod, "dubbo-monitor") {
			continue
		}
		asked[nodes[pod]] = true
		args := []string{"exec", "-n", "prod", pod, "--", "/lab", "lookup"}
		for _, line := range want {
			name, _, _ := strings.Cut(line, " ")
			args = append(args, name)
		}
		out, err := s.kubectl(ctx, args...)
		if err != nil {
			return err
		}
		if got := strings.TrimSpace(out); got != strings.Join(want, "\n") {
			return fmt.Errorf("pod %s on %s resolves\n%s\nwant\n%s", pod, nodes[pod], got, strings.Join(want, "\n"))
		}
	}
	if len(asked) < 2 {
		return fmt.Errorf("pods of prod run on %d node only", len(asked))
	}
	return nil
}

// level applies again, asks kubectl, edits live, and applies again.
func level(ctx context.Context, s *site) error {
	for _, env := range append([]string{"infra"}, environments()...) {
		if err := s.isLevel(ctx, env); err != nil {
			return err
		}
	}
	for _, edit := range [][]string{
		{"scale", "-n", "prod", "deployment/dubbo-demo-consumer", "--replicas=3"},
		{"patch", "-n", "dev", "deployment/dubbo-demo-service", "--type=merge", "-p", `{"spec":{"minReadySeconds":1}}`},
		{"patch", "-n", "kube-system", "configmap/coredns", "--type=merge", "-p", `{"data":{"Corefile":". {\n}\n"}}`},
		{"delete", "-n", "test", "ingress/dubbo-monitor"},
	} {
		s.say("  $ kubectl %s", strings.Join(edit, " "))
		if _, err := s.kubectl(ctx, edit...); err != nil {
			return err
		}
	}
	for _, env := range []string{"infra", "dev", "test", "prod"} {
		if _, err := s.mustEvenkeel(ctx, 1, "diff", env); err != nil {
			return err
		}
		if _, err := s.mustEvenkeel(ctx, 0, "apply", env, "--yes", "--force-conflicts", "--timeout", "3m"); err != nil {
			return err
		}
	}
	for _, env := range []string{"infra", "dev", "test", "prod"} {
		if err := s.isLevel(ctx, env); err != nil {
			return err
		}
	}
	return nil
}

// isLevel finds nothing to do: by evenkeel, and by kubectl.
func (s *site) isLevel(ctx context.Context, env string) error {
	if _, err := s.mustEvenkeel(ctx, 0, "diff", env); err != nil {
		return err
	}
	script := fmt.Sprintf("evenkeel -C %q render %s | kubectl diff --server-side --force-conflicts --field-manager evenkeel -f -", s.repo, env)
	out, err := s.shell(ctx, script)
	if err != nil {
		return fmt.Errorf("kubectl diff of %s: %w\n%s", env, err, out)
	}
	return nil
}
