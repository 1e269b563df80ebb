package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	vipLimit  = 5 * time.Second // the VIP is on the other host, and serves
	nodeLimit = 3 * time.Minute // Kubernetes notices after 40 to 50 s and takes the pods out of the Services
)

// killNginx kills nginx where the VIP is, as a crash would.
func killNginx(ctx context.Context, s *site) error {
	holder, err := s.vipHolder(ctx)
	if err != nil {
		return err
	}
	err = s.failover(ctx, "nginx killed on "+holder, holder, "nginx does not answer on 80, 443, 7443: connection refused", func() error {
		_, err := s.on(ctx, holder, "sh", "-c", "kill -9 $(cat /run/nginx.pid); kill -9 $(pidof nginx)")
		return err
	})
	_, restart := s.on(ctx, holder, "sh", "-c", "rm -f /run/nginx.pid; nginx")
	return errors.Join(err, restart, s.bothEdges(ctx, holder))
}

// cutEdge takes the holder of the VIP off the switch.
func cutEdge(ctx context.Context, s *site) error {
	holder, err := s.vipHolder(ctx)
	if err != nil {
		return err
	}
	h, _ := hostNamed(holder)
	err = s.failover(ctx, holder+" cut off", holder, "answer on 80, 443, 7443", func() error {
		_, err := s.on(ctx, opsHost, "ip", "link", "set", h.port(), "down")
		return err
	})
	_, plug := s.on(ctx, opsHost, "ip", "link", "set", h.port(), "up")
	return errors.Join(err, plug, s.bothEdges(ctx, holder))
}

// failover does something to the holder of the VIP under load, and measures. The
// status must name the host and the cause.
func (s *site) failover(ctx context.Context, what, holder, cause string, do func() error) error {
	load, stop := startLoad(ctx, demoHost("prod"))
	err := load.atLeast(ctx, s, 2*loadRate)
	start := time.Now()
	if err == nil {
		err = do()
	}
	var moved time.Duration
	if err == nil {
		err = wait(ctx, 30*time.Second, "the VIP on another host", func() error {
			for _, h := range hosts() {
				if !h.edge || h.name == holder {
					continue
				}
				if out, err := s.on(ctx, h.name, "ip", "-4", "-o", "address", "show", "to", vip+"/32"); err == nil && out != "" {
					moved = time.Since(start)
					return nil
				}
			}
			return errors.New("it is where it was")
		})
	}
	if err == nil {
		sent, _ := load.count()
		err = load.atLeast(ctx, s, sent+10*loadRate)
	}
	stop()
	if err != nil {
		return err
	}
	s.measured("%s: VIP moved after %s; %s", what, moved.Round(10*time.Millisecond), load)
	if load.gap > vipLimit {
		return fmt.Errorf("no answer for %s, the limit is %s", load.gap.Round(10*time.Millisecond), vipLimit)
	}
	return s.statusNames(ctx, holder, cause)
}

// statusNames finds that the cluster is none the worse, and that the edge is named.
func (s *site) statusNames(ctx context.Context, holder, cause string) error {
	if _, err := s.mustEvenkeel(ctx, 0, "status", "prod"); err != nil {
		return err
	}
	text, err := s.mustEvenkeel(ctx, 3, "status", "infra", "--edge")
	if err != nil {
		return err
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, "edge "+holder+" ") && strings.Contains(line, cause) {
			return nil
		}
	}
	return fmt.Errorf("evenkeel status does not say of %s: %s", holder, cause)
}

// bothEdges waits until the host is fit to hold the VIP again, and only one does.
func (s *site) bothEdges(ctx context.Context, name string) error {
	return wait(ctx, 30*time.Second, "both edge hosts fit again", func() error {
		if _, err := s.on(ctx, name, "/etc/keepalived/check_edge.sh"); err != nil {
			return err
		}
		if _, err := s.vipHolder(ctx); err != nil {
			return err
		}
		_, err := s.on(ctx, opsHost, "evenkeel", "-C", s.repo, "status", "infra", "--edge")
		return err
	})
}

// killNode ends everything on a worker node at once: pods, kubelet, API server.
func killNode(ctx context.Context, s *site) error {
	const name = "hdss7-22"
	h, _ := hostNamed(name)
	load, stop := startLoad(ctx, demoHost("prod"))
	err := load.atLeast(ctx, s, 2*loadRate)
	start := time.Now()
	if err == nil {
		err = s.stopHost(name)
	}
	if err == nil {
		s.say("  %s is dead", name)
		err = s.afterNodeLoss(ctx, load, h, start)
	}
	stop()
	s.measured("%s killed: %s", name, load)
	return errors.Join(err, s.reviveNode(ctx, h))
}

func (s *site) afterNodeLoss(ctx context.Context, load *load, h host, start time.Time) error {
	err := wait(ctx, nodeLimit, "Kubernetes to see it", func() error {
		out, err := s.kubectl(ctx, "get", "node", h.fqdn(), "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
		if err == nil && out == "True" {
			err = errors.New("node still Ready")
		}
		return err
	})
	if err != nil {
		return err
	}
	s.measured("Kubernetes calls the node not ready after %s", time.Since(start).Round(time.Second))
	err = wait(ctx, nodeLimit, "10 s without a failed request", func() error {
		load.mu.Lock()
		defer load.mu.Unlock()
		if time.Since(load.last) > 10*time.Second && time.Since(load.answered) < time.Second {
			return nil
		}
		return fmt.Errorf("%d of %d failed", load.failed, load.sent)
	})
	if err != nil {
		return err
	}
	for _, env := range []string{"infra", "prod"} {
		text, err := s.mustEvenkeel(ctx, 3, "status", env)
		if err == nil && !strings.Contains(text, h.fqdn()) {
			err = fmt.Errorf("evenkeel status %s does not name %s", env, h.fqdn())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// reviveNode starts the host again, as a reboot would.
func (s *site) reviveNode(ctx context.Context, h host) error {
	s.say("  starting %s again", h.name)
	start := time.Now()
	if err := removeCgroups(s.state("hosts", h.name)); err != nil {
		return err
	}
	if err := s.startHost(ctx, h); err != nil {
		return err
	}
	if err := s.startAPIOn(ctx, h); err != nil {
		return err
	}
	if err := s.startNode(ctx, h); err != nil {
		return err
	}
	for _, env := range append([]string{"infra"}, environments()...) {
		err := wait(ctx, 6*time.Minute, env+" healthy again", func() error {
			_, err := s.on(ctx, opsHost, "evenkeel", "-C", s.repo, "status", env)
			return err
		})
		if err != nil {
			return err
		}
	}
	s.measured("everything healthy %s after the node was started again", time.Since(start).Round(time.Second))
	return nil
}
