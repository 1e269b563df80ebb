package kube

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	clienttransport "k8s.io/client-go/transport"

	"github.com/seed-428f4edd/evenkeel/internal/program"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Client is a connection to one API server. It is safe for concurrent use.
type Client struct {
	// Dynamic reads and writes objects of any kind.
	Dynamic dynamic.Interface
	// Mapper answers from discovery, which is asked on first use and kept until
	// Reset.
	Mapper *restmapper.DeferredDiscoveryRESTMapper
	// Discovery is what Mapper reads from: the groups and resources that the
	// server serves.
	Discovery discovery.CachedDiscoveryInterfaceWithContext
	// Config has no client-side rate limit; every request of a client made from
	// it is counted and retried like the client's own. Its Timeout is zero,
	// because that would end watches too; see Connect.
	Config *rest.Config
	// REST is for what Dynamic does not tell: the bytes of an answer and its HTTP
	// status.
	REST rest.Interface
	// HTTP sends the requests of all of these.
	HTTP *http.Client

	counter  *counter
	warnings *warnings
	hide     Hider
}

// Hider keeps to itself what must not be seen of what the server says.
type Hider interface {
	// Body is the body of an answer that is an error.
	Body(raw []byte) []byte
	// Error is what the server said to a write of obj.
	Error(obj *unstructured.Unstructured, err error) error
}

// Connect makes a client for one API server and sends nothing yet. Every error of
// the server passes hide before anybody sees it.
//
// Client-side rate limits are off: the server's priority and fairness decides.
// 429, 5xx and dropped connections are retried with back-off. cfg.Timeout bounds
// the silence within one attempt of a request (30 seconds if it is zero), watches
// and followed logs excepted.
func Connect(cfg *rest.Config, hide Hider) (*Client, error) {
	c := &Client{Config: rest.CopyConfig(cfg), counter: &counter{}, warnings: &warnings{}, hide: hide}
	silence := cfg.Timeout
	if silence == 0 {
		silence = 30 * time.Second
	}
	c.Config.Timeout = 0
	c.Config.QPS = -1
	c.Config.Burst = -1
	c.Config.RateLimiter = nil
	c.Config.WarningHandler = c.warnings
	c.Config.WarningHandlerWithContext = nil
	c.Config.ExecProvider = found(cfg.ExecProvider)
	if file := c.Config.BearerTokenFile; file != "" {
		// client-go reads the file once a minute; this also after a 401.
		c.Config.BearerToken, c.Config.BearerTokenFile = "", ""
		c.Config.Wrap(clienttransport.ResettableTokenSourceWrapTransport(clienttransport.NewCachedFileTokenSource(file)))
	}
	c.Config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &transport{next: next, counter: c.counter, silence: silence, hide: hide}
	})

	var err error
	if c.HTTP, err = rest.HTTPClientFor(c.Config); err != nil {
		return nil, err
	}
	if c.Dynamic, err = dynamic.NewForConfigAndClient(c.Config, c.HTTP); err != nil {
		return nil, err
	}
	disco, err := discovery.NewDiscoveryClientForConfigAndClient(c.Config, c.HTTP)
	if err != nil {
		return nil, err
	}
	c.Discovery = memory.NewMemCacheClientWithContext(disco)
	c.Mapper = restmapper.NewDeferredDiscoveryRESTMapperWithContext(c.Discovery)
	if c.REST, err = restClient(c.Config, c.HTTP); err != nil {
		return nil, err
	}
	return c, nil
}

// found is a credential plugin that client-go starts though a rendering hides the search
// path at that moment (program.Hide).
func found(plugin *clientcmdapi.ExecConfig) *clientcmdapi.ExecConfig {
	if plugin == nil {
		return nil
	}
	plugin = plugin.DeepCopy()
	command, err := program.Find(plugin.Command)
	if err != nil {
		return plugin // client-go says what to install
	}
	plugin.Command = command
	plugin.Env = append([]clientcmdapi.ExecEnvVar{{Name: "PATH", Value: program.Path()}}, plugin.Env...)
	return plugin
}

// restClient is for what the dynamic client does not tell: the bytes of an answer
// and its HTTP status (201 or 200 says whether an apply created the object).
func restClient(cfg *rest.Config, client *http.Client) (rest.Interface, error) {
	types := runtime.NewScheme()
	metav1.AddToGroupVersion(types, kschema.GroupVersion{Version: "v1"})
	copied := rest.CopyConfig(cfg)
	copied.AcceptContentTypes = runtime.ContentTypeJSON
	copied.ContentType = runtime.ContentTypeJSON
	copied.NegotiatedSerializer = serializer.NewCodecFactory(types).WithoutConversion()
	copied.GroupVersion = &kschema.GroupVersion{}
	copied.APIPath = "/"
	return rest.UnversionedRESTClientForConfigAndClient(copied, client)
}

// Requests are those sent since Connect, retries included.
func (c *Client) Requests() Requests { return c.counter.snapshot() }

// Warn adds what evenkeel itself warns of to what the server does.
func (c *Client) Warn(text string) { c.warnings.add(text) }

// Warnings are the distinct warnings that the server sent since Connect, such as
// those about deprecated API versions.
func (c *Client) Warnings() []string { return c.warnings.list() }

// Identity says which cluster this is: the uid of its Namespace kube-system,
// which nothing but a new cluster changes, and the server's URL. The uid is empty
// where reading that Namespace is forbidden.
func (c *Client) Identity(ctx context.Context) (schema.Cluster, error) {
	id := schema.Cluster{Server: c.Config.Host}
	ns, err := c.Dynamic.Resource(Namespaces()).Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err):
		return id, nil
	case err != nil:
		return id, fmt.Errorf("cluster identity: %w", err)
	}
	id.UID = string(ns.GetUID())
	return id, nil
}

// Mapping finds the resource of a kind. A kind that the server does not serve is
// a meta.NoKindMatchError (see meta.IsNoMatchError).
func (c *Client) Mapping(ctx context.Context, gvk kschema.GroupVersionKind) (*meta.RESTMapping, error) {
	return c.Mapper.RESTMappingWithContext(ctx, gvk.GroupKind(), gvk.Version)
}

// Unanswered lists the API groups that discovery has no answer for, usually
// because an aggregated API server is down: what they hold cannot be known.
func (c *Client) Unanswered(ctx context.Context) ([]string, error) {
	_, _, err := c.Discovery.ServerGroupsAndResourcesWithContext(ctx)
	failed, partly := discovery.GroupDiscoveryFailedErrorGroups(err)
	if err != nil && !partly {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	var groups []string
	for gv := range failed {
		groups = append(groups, gv.Group)
	}
	slices.Sort(groups)
	return slices.Compact(groups), nil
}

// Namespaces is the resource of that name.
func Namespaces() kschema.GroupVersionResource {
	return kschema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
}

// warnings collects what the server warns of, once each.
type warnings struct {
	mu   sync.Mutex
	seen []string
}

// HandleWarningHeader implements rest.WarningHandler. Code 299 is the only one
// that Kubernetes sends.
func (w *warnings) HandleWarningHeader(code int, _, text string) {
	if code == 299 && text != "" {
		w.add(text)
	}
}

// What is kept of warnings, which a server may make up: the newest, and of each its
// beginning.
const (
	mostWarnings = 1000
	mostWarning  = 2000
)

func (w *warnings) add(text string) {
	if len(text) > mostWarning {
		text = strings.ToValidUTF8(text[:mostWarning], "") + "..."
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.Contains(w.seen, text) {
		return
	}
	if len(w.seen) == mostWarnings {
		w.seen = slices.Delete(w.seen, 0, 1)
	}
	w.seen = append(w.seen, text)
}

func (w *warnings) list() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen)
}
