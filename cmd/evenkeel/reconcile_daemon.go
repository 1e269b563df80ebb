package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/klog/v2"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/plain"
	"github.com/seed-428f4edd/evenkeel/internal/source"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// daemonOptions are the flags of reconcile without --once.
type daemonOptions struct {
	interval, fullInterval time.Duration
	listen                 string
	lease                  string
	logFormat              string

	notify notifyFlags
}

func (o *daemonOptions) addFlags(f *pflag.FlagSet) {
	f.DurationVar(&o.interval, "interval", time.Minute, "how often to look for new content in the source")
	f.DurationVar(&o.fullInterval, "full-interval", 10*time.Minute, "how often to look at everything, watched or not")
	f.StringVar(&o.listen, "listen", "", "serve /metrics, /healthz and /readyz at this address, such as :8080")
	f.StringVar(&o.lease, "lease", "", "elect the replica that works by this Lease, NAMESPACE or NAMESPACE/NAME; in a pod, the pod's namespace; none: no election")
	f.StringVar(&o.logFormat, "log-format", "text", "the log on stderr: text or json")
	o.notify.addFlags(f, "drift")
}

func (o *daemonOptions) check() error {
	switch {
	case o.logFormat != "text" && o.logFormat != "json":
		return &hint.Error{Err: fmt.Errorf("--log-format %q is not known", o.logFormat), Hint: "use text or json"}
	case o.interval < time.Second || o.fullInterval < o.interval:
		return &hint.Error{Err: errors.New("--interval is a second at least, and --full-interval not shorter than it"), Hint: "as in --interval 1m --full-interval 10m"}
	}
	return o.notify.check()
}

// reconcileForever is the daemon.
func reconcileForever(ctx context.Context, g *global, opts *reconcileOptions, args []string) error {
	if opts.all == (len(args) > 0) {
		return &hint.Error{Err: errors.New("name environments, or --all"), Hint: "evenkeel envs lists the environments"}
	}
	logger := opts.daemon.logger(g)
	klog.SetSlogLogger(logger) // what client-go says
	budget, err := g.budget.budget()
	if err != nil {
		return err
	}
	src := &source.Source{Dir: g.dir, Git: opts.git, All: opts.all, Names: args, Budget: budget}
	clusters := &connections{g: g, known: map[schema.Cluster]*apply.Cluster{}}
	run := reconcile.DaemonOptions{
		Mode: reconcile.Mode(opts.mode), ListOnly: opts.listOnly, Timeout: opts.timeout, FailAfter: opts.failAfter,
		Interval: opts.daemon.interval, FullInterval: opts.daemon.fullInterval,
		Who: "reconcile", Replica: replica(), Log: logger, Render: src.Render,
		Connect: func(env *schema.Environment) (*apply.Cluster, error) { return clusters.of(env.Cluster) },
	}
	if run.Lease, err = opts.daemon.election(g); err != nil {
		return err
	}
	if opts.daemon.listen != "" {
		if run.Listen, err = new(net.ListenConfig).Listen(ctx, "tcp", opts.daemon.listen); err != nil {
			return err
		}
		logger.Info("listens", "address", run.Listen.Addr().String())
	}
	sender, err := opts.daemon.notify.sender(logger)
	if err != nil {
		return err
	}
	var sending sync.WaitGroup
	telling, stop := context.WithCancel(context.WithoutCancel(ctx))
	if sender != nil {
		run.Notify = sender.Add
		sending.Go(func() { sender.Run(telling) })
	}
	err = reconcile.Run(ctx, run)
	src.End()
	stop()
	sending.Wait()
	return err
}

func (o *daemonOptions) logger(g *global) *slog.Logger {
	level := &slog.HandlerOptions{Level: slog.LevelInfo}
	if g.verbose {
		level.Level = slog.LevelDebug
	}
	if o.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(plain.JSON(g.err), level))
	}
	return slog.New(slog.NewTextHandler(g.err, level))
}

// tell tells people of one look, where they want to be told.
func (o *daemonOptions) tell(ctx context.Context, g *global, outcomes []*reconcile.Outcome, errs []error) error {
	sender, err := o.notify.sender(o.logger(g))
	if err != nil || sender == nil {
		return err
	}
	for _, outcome := range outcomes {
		for _, notice := range outcome.Notices() {
			sender.Add(notice)
		}
	}
	for _, err := range errs {
		sender.Add(reconcile.Notice{Time: time.Now(), Kind: reconcile.NoticeFailed, Text: err.Error()})
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	sender.Flush(ctx)
	return nil
}

// podNamespace is where Kubernetes tells a pod its namespace.
const podNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// election is the Lease of the flag, or that of the pod's namespace. It is in the
// cluster that the kubeconfig names by itself.
func (o *daemonOptions) election(g *global) (*reconcile.Lease, error) {
	where := o.lease
	if where == "" {
		data, err := os.ReadFile(podNamespace)
		if err != nil {
			return nil, nil // not in a pod
		}
		where = strings.TrimSpace(string(data))
	}
	if where == "none" {
		return nil, nil
	}
	namespace, name, named := strings.Cut(where, "/")
	if !named {
		name = "evenkeel-reconcile"
	}
	cluster, err := g.cluster(schema.Cluster{})
	if err != nil {
		return nil, err
	}
	return &reconcile.Lease{Config: cluster.Config, Namespace: namespace, Name: name}, nil
}

// replica names this process among others: a pod's host name is its own.
func replica() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host
}

// connections are to each cluster one.
type connections struct {
	g     *global
	mu    sync.Mutex
	known map[schema.Cluster]*apply.Cluster
}

func (c *connections) of(target schema.Cluster) (*apply.Cluster, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cluster := c.known[target]; cluster != nil {
		return cluster, nil
	}
	cluster, err := c.g.cluster(target)
	if err == nil {
		c.known[target] = cluster
	}
	return cluster, err
}
