package health

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	contract "github.com/seed-428f4edd/evenkeel/schema"
)

// Target is one object to watch.
type Target struct {
	Unit      string
	GVK       schema.GroupVersionKind
	Namespace string
	Name      string
	// Ready replaces the rule of the kind, if it is not nil.
	Ready *contract.ReadyRule
	// MinGeneration is the generation that our write returned: an object of an
	// earlier one is older than the write. Zero where nothing was written.
	MinGeneration int64
	// UID is that of the object that is meant; empty means any of this name.
	UID types.UID
	// Done is a Job that has succeeded: it is healthy when it is not there, or about
	// to go.
	Done bool
}

func (t Target) String() string {
	if t.Namespace == "" {
		return t.GVK.Kind + "/" + t.Name
	}
	return t.GVK.Kind + "/" + t.Namespace + "/" + t.Name
}

// Update is the judgement of a target at one time.
type Update struct {
	Target
	Result
	// Ready and Desired count pods, for workloads; Desired is zero for others.
	Ready, Desired int
	At             time.Time
	// Wrote is the last write of the object; nil where that is not known.
	Wrote *Write
}

// update is what is told of a verdict.
func (w *Watcher) update(t *tracked, v verdict, now time.Time) Update {
	m, _ := w.store.member(t.key)
	u := Update{Target: t.Target, Wrote: m.wrote, Result: v.Result, Ready: v.ready, Desired: v.desired, At: now}
	u.Message, u.Log = w.opts.Hide(u.Message), w.opts.Hide(u.Log)
	return u
}

// Options of a Watcher.
type Options struct {
	// Logs reads the last lines of crashed containers; nil means none are read.
	Logs LogReader
	// Hide takes secret values out of what others say: pods, events, logs; nil
	// means that there are none.
	Hide func(string) string
	// Settle is how long a failure must last before Wait returns it: two
	// seconds if zero. One that was there when the wait began must last five
	// times as long, because what was just applied may be its cure.
	Settle time.Duration
	// Restarts is Related.Restarts, Lasting is Related.Lasting.
	Restarts int32
	Lasting  time.Duration
	// AllowUnknown lets Wait succeed with objects whose health is unknown.
	AllowUnknown bool
	// Named says by their names which objects may be asked about; nil is any. Others that
	// bear the label are not kept.
	Named func(name string) bool
	// Most bounds what the objects may take that are kept, as paging.Weight counts; zero
	// is no bound.
	Most int64
	// Silent is called by Watch when the API server no longer answers, and with nil when
	// it does again; it may be nil.
	Silent func(error)
}

// Mapper finds the resource of a kind, as restmapper.DeferredDiscoveryRESTMapper
// does.
type Mapper interface {
	RESTMappingWithContext(ctx context.Context, gk schema.GroupKind, versions ...string) (*meta.RESTMapping, error)
}

// Watcher keeps live objects and what belongs to them up to date: one watch per
// kind and namespace for the members of the ApplySet, and where one of them is
// not healthy, one per namespace for pods, warnings and the like. All waits
// share them. It is safe for concurrent use.
type Watcher struct {
	ctx      context.Context // the life of the watches, which outlive the call that starts them
	client   dynamic.Interface
	mapper   Mapper
	selector string
	opts     Options
	store    *store

	mu       sync.Mutex
	streams  map[streamKey]*stream
	noStatus map[schema.GroupVersionResource]*probeAnswer
	logs     *logFetcher
}

// NewWatcher makes a Watcher and sends nothing yet. Its watches end with ctx.
// selector is the label selector of the ApplySet's members.
func NewWatcher(ctx context.Context, client dynamic.Interface, mapper Mapper, selector string, opts Options) *Watcher {
	if opts.Settle == 0 {
		opts.Settle = 2 * time.Second
	}
	w := &Watcher{
		ctx: ctx, client: client, mapper: mapper, selector: selector, opts: opts,
		store: newStore(opts), streams: map[streamKey]*stream{}, noStatus: map[schema.GroupVersionResource]*probeAnswer{},
	}
	if w.opts.Hide == nil {
		w.opts.Hide = func(s string) string { return s }
	}
	w.logs = newLogFetcher(ctx, opts.Logs, w.store)
	return w
}

// objectKey names an object of the store.
type objectKey struct {
	schema.GroupVersionResource
	namespace, name string
}

// tracked is a target of one wait, and what is known of it.
type tracked struct {
	Target
	key    objectKey
	rule   *declaredRule
	static bool // healthy by existing: not watched

	update      Update
	judged      bool
	failedSince time.Time // of the present failure; zero if it is none
	inherited   bool      // the failure was there when the wait began
	crash       *crash
}

// track resolves the targets. A kind that the cluster does not serve is an
// error of its own, which meta.IsNoMatchError recognises.
func (w *Watcher) track(ctx context.Context, t Target) (*tracked, error) {
	mapping, err := w.mapper.RESTMappingWithContext(ctx, t.GVK.GroupKind(), t.GVK.Version)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	out := &tracked{Target: t, static: t.Ready == nil && static(t.GVK.GroupKind())}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		out.Namespace = ""
	}
	out.key = objectKey{mapping.Resource, out.Namespace, t.Name}
	w.store.expect(t.Name, t.Ready != nil)
	if t.Ready != nil {
		rule := compileRule(*t.Ready)
		out.rule = &rule
	}
	return out, nil
}

// static tells the kinds whose rule is that they exist.
func static(gk schema.GroupKind) bool {
	if exists(gk) {
		return true
	}
	if _, known := builtin(gk); known {
		return false
	}
	rule, ok := ruleOf(gk)
	return ok && rule.NoStatus
}

// stream returns the running stream of that key.
func (w *Watcher) stream(key streamKey) *stream {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.streams[key]
	if !ok {
		s = newStream(w.client, w.store, key)
		w.streams[key] = s
		go s.run(w.ctx)
	}
	return s
}

// related gathers what belongs to a target, and starts the streams that are
// still missing for that.
func (w *Watcher) related(t *tracked, since time.Time) Related {
	r := w.store.relatedTo(t.key)
	r.Since, r.Restarts = since, w.opts.Restarts
	r.Lasting = w.opts.Lasting
	answer := w.probed(t.key.GroupVersionResource)
	r.NoStatus, r.Silent = answer.none, answer.silent
	return r
}

// explain starts the watches that tell why a target is not healthy, and says
// what they may not read.
func (w *Watcher) explain(t *tracked) (note string) {
	for _, key := range relatedStreams(t.GVK.GroupKind(), t.Namespace) {
		if w.stream(key).denied() != nil && note == "" {
			note = "no right to watch " + key.Resource + ": the cause may be unknown"
		}
	}
	if w.store.mountsClaims(t.key) {
		w.stream(streamKey{GroupVersionResource: claimsResource(), namespace: t.Namespace})
	}
	return cmp.Or(note, w.store.unexplained())
}

// relatedStreams are the watches that explain a kind.
func relatedStreams(gk schema.GroupKind, namespace string) []streamKey {
	in := func(r schema.GroupVersionResource) streamKey {
		return streamKey{GroupVersionResource: r, namespace: namespace}
	}
	warnings := in(eventsResource())
	warnings.fields = "type=Warning"
	switch gk.String() {
	case "Deployment.apps":
		return []streamKey{in(podsResource()), in(replicaSetsResource()), warnings}
	case "DaemonSet.apps":
		return []streamKey{in(podsResource()), in(revisionsResource()), warnings}
	case "StatefulSet.apps", "ReplicaSet.apps", "ReplicationController", "Job.batch":
		return []streamKey{in(podsResource()), warnings}
	case "PersistentVolumeClaim":
		return []streamKey{in(podsResource()), warnings, {GroupVersionResource: classesResource()}}
	case "Pod", "Service", "CronJob.batch":
		return []streamKey{warnings}
	}
	return nil
}

func podsResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "pods"}
}

func eventsResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "events"}
}

func claimsResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}
}

func replicaSetsResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}
}

func revisionsResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "controllerrevisions"}
}

func classesResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"}
}
