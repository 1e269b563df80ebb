package look

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Object is what a cluster says of one object.
type Object struct {
	apply.ObjectHealth
	// Endpoints are those of a Service; nil for other kinds, and where they may not
	// be read.
	Endpoints *Endpoints
	// Pods are those of a workload.
	Pods []Pod
	// Addresses are those that a load balancer gave a Service or an Ingress.
	Addresses []string
	// Notes say that evenkeel paused or scaled the unit, and what could not be read.
	Notes []string
}

// Endpoints count the addresses behind a Service.
type Endpoints struct{ Ready, All int }

// Pod is one pod of a workload.
type Pod struct {
	Name, Node, IP string
	Ready          bool
	Restarts       int
	Cause          string // why it is not ready
}

// atOnce bounds the requests that are sent side by side, most the pods of a workload
// that are looked at.
const (
	atOnce = 8
	most   = 500
)

// Objects asks for objects of an environment, in their order. Objects that the
// environment does not have are left out.
func Objects(ctx context.Context, c *apply.Cluster, env *schema.Environment, refs []schema.Ref) ([]Object, error) {
	part := partOf(env, refs)
	if len(part.Units) == 0 {
		return nil, nil
	}
	status, err := c.Status(ctx, part, apply.StatusOptions{})
	if err != nil {
		return nil, fmt.Errorf("env %s: %w", env.Name, err)
	}
	var all []Object
	for _, u := range status.Units {
		notes := noteLines(u)
		for _, o := range u.Objects {
			switch {
			case slices.ContainsFunc(refs, is(o.Ref)):
				all = append(all, Object{ObjectHealth: o})
			case o.Desired > 0 && !has(env, o.Ref): // of a canary
				line := fmt.Sprintf("beside it %s, %s: %d of %d pods are ready", o.Ref, o.State, o.Ready, o.Desired)
				if o.State != health.Healthy {
					line += ": " + cmp.Or(o.Message, o.Rule)
				}
				notes = append(notes, line)
			}
		}
		for i := range all {
			if all[i].Unit == u.Name {
				all[i].Notes = notes
			}
		}
	}
	s := &seeing{c: c, env: part, objects: all}
	if err := s.look(ctx); err != nil {
		return nil, fmt.Errorf("env %s: %w", env.Name, err)
	}
	slices.SortStableFunc(all, func(a, b Object) int {
		return cmp.Compare(slices.IndexFunc(refs, is(a.Ref)), slices.IndexFunc(refs, is(b.Ref)))
	})
	return all, nil
}

func has(env *schema.Environment, ref schema.Ref) bool {
	for _, o := range env.Objects() {
		if schema.RefOf(o.Unstructured).ID() == ref.ID() {
			return true
		}
	}
	return false
}

func is(ref schema.Ref) func(schema.Ref) bool {
	return func(other schema.Ref) bool { return other.ID() == ref.ID() }
}

// partOf is the environment with some of its objects.
func partOf(env *schema.Environment, refs []schema.Ref) *schema.Environment {
	part := *env
	part.Units = nil
	for _, u := range env.Units {
		u.Objects = slices.DeleteFunc(slices.Clone(u.Objects), func(o schema.Object) bool {
			return !slices.ContainsFunc(refs, is(schema.RefOf(o.Unstructured)))
		})
		if len(u.Objects) > 0 {
			part.Units = append(part.Units, u)
		}
	}
	return &part
}

// seeing reads what health does not tell of objects.
type seeing struct {
	c       *apply.Cluster
	env     *schema.Environment
	objects []Object
	mu      sync.Mutex
}

func (s *seeing) look(ctx context.Context) error {
	group, ctx := contain.WithContext(ctx)
	group.SetLimit(atOnce)
	services := map[string][]*Object{} // by namespace
	for i := range s.objects {
		o := &s.objects[i]
		desired := s.desired(o.Ref)
		switch {
		case o.Kind == "Service":
			services[o.Namespace] = append(services[o.Namespace], o)
			if kind, _, _ := unstructured.NestedString(desired, "spec", "type"); kind == string(corev1.ServiceTypeLoadBalancer) {
				group.Go(func() error { return s.addresses(ctx, o) })
			}
		case o.Desired > 0 || o.Kind == "Deployment" || o.Kind == "StatefulSet" || o.Kind == "DaemonSet":
			group.Go(func() error { return s.pods(ctx, o, desired) })
		}
	}
	for namespace, of := range services {
		group.Go(func() error { return s.endpoints(ctx, namespace, of) })
	}
	return group.Wait()
}

// desired is an object as the environment has it.
func (s *seeing) desired(ref schema.Ref) map[string]any {
	for _, u := range s.env.Units {
		for _, o := range u.Objects {
			if schema.RefOf(o.Unstructured).ID() == ref.ID() {
				return o.Object
			}
		}
	}
	return nil
}

// readable notes what may not be read, and lets all else go on.
func (s *seeing) readable(err error, what string, of ...*Object) error {
	if !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range of {
		o.Notes = append(slices.Clip(o.Notes), "no right to read "+what)
	}
	return nil
}

func (s *seeing) addresses(ctx context.Context, o *Object) error {
	live, err := s.c.Dynamic.Resource(kschema.GroupVersionResource{Version: "v1", Resource: "services"}).Namespace(o.Namespace).Get(ctx, o.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil // which health says
	}
	if err != nil {
		return s.readable(err, "the Service", o)
	}
	list, _, _ := unstructured.NestedSlice(live.Object, "status", "loadBalancer", "ingress")
	for _, item := range list {
		entry, _ := item.(map[string]any)
		for _, field := range []string{"ip", "hostname"} {
			if text, _ := entry[field].(string); text != "" {
				o.Addresses = append(o.Addresses, text)
			}
		}
	}
	return nil
}

// endpoints counts what stands behind the Services of a namespace.
func (s *seeing) endpoints(ctx context.Context, namespace string, of []*Object) error {
	var names []string
	for _, o := range of {
		names = append(names, o.Name)
	}
	for _, o := range of {
		o.Endpoints = &Endpoints{}
	}
	from := s.c.Dynamic.Resource(discoveryv1.SchemeGroupVersion.WithResource("endpointslices")).Namespace(namespace)
	opts := metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + " in (" + strings.Join(names, ",") + ")"}
	err := kube.Each(ctx, from, opts, func(live *unstructured.Unstructured) (bool, error) {
		var slice discoveryv1.EndpointSlice
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &slice); err != nil {
			return false, err
		}
		at := slices.IndexFunc(of, func(o *Object) bool { return o.Name == slice.Labels[discoveryv1.LabelServiceName] })
		if at < 0 {
			return true, nil
		}
		for _, e := range slice.Endpoints {
			of[at].Endpoints.All++
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				of[at].Endpoints.Ready++
			}
		}
		return true, nil
	})
	if err != nil {
		for _, o := range of {
			o.Endpoints = nil
		}
		return s.readable(err, "endpoints", of...)
	}
	return nil
}

// pods reads the pods of a workload by its selector.
func (s *seeing) pods(ctx context.Context, o *Object, desired map[string]any) error {
	raw, _, _ := unstructured.NestedMap(desired, "spec", "selector")
	if raw == nil {
		return nil
	}
	selector := &metav1.LabelSelector{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, selector); err != nil {
		return fmt.Errorf("%s: %w", o.Ref, err)
	}
	from := s.c.Dynamic.Resource(kschema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(o.Namespace)
	err := kube.Each(ctx, from, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(selector), Limit: most}, func(live *unstructured.Unstructured) (bool, error) {
		var pod corev1.Pod
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &pod); err != nil {
			return false, fmt.Errorf("%s: %w", o.Ref, err)
		}
		p := Pod{Name: pod.Name, Node: pod.Spec.NodeName, IP: pod.Status.PodIP}
		p.Ready, p.Cause = health.PodCause(&pod, time.Now())
		p.Cause = s.c.Hide(p.Cause)
		for _, container := range pod.Status.ContainerStatuses {
			p.Restarts += int(container.RestartCount)
		}
		o.Pods = append(o.Pods, p)
		return len(o.Pods) < most, nil
	})
	if err != nil {
		return s.readable(err, "pods", o)
	}
	slices.SortFunc(o.Pods, func(a, b Pod) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

// State is how the object is: a Service without ready endpoints has failed, as what
// asks it gets no answer.
func (o *Object) State() health.State {
	if e := o.Endpoints; e != nil && o.ObjectHealth.State == health.Healthy && e.Ready == 0 {
		return health.Failed
	}
	return o.ObjectHealth.State
}

// podsInLines is how many pods are named.
const podsInLines = 6

// Lines say it in words, the cause of what is wrong first.
func (o *Object) Lines() []string {
	var lines []string
	if o.Message != "" {
		lines = append(lines, o.Message)
	}
	if e := o.Endpoints; e != nil {
		text := fmt.Sprintf("%d of %d endpoints are ready", e.Ready, e.All)
		if e.All == 0 {
			text = "has no endpoints"
		}
		lines = append(lines, text)
	}
	if len(o.Addresses) > 0 {
		lines = append(lines, "has the address "+strings.Join(o.Addresses, ", "))
	}
	if len(o.Pods) > 0 {
		lines = append(lines, o.podLines()...)
	}
	lines = append(lines, o.Notes...)
	if w := o.Wrote; w != nil {
		lines = append(lines, fmt.Sprintf("last changed by %s at %s", w.By, w.At.UTC().Format(time.RFC3339)))
	}
	return lines
}

// podLines are how many pods are ready, and each pod: those that are not, first.
func (o *Object) podLines() []string {
	ready := 0
	var bad, good []string
	for _, p := range o.Pods {
		text := "pod " + p.Name
		if p.Node != "" {
			text += " on " + p.Node
		}
		if p.Restarts > 0 {
			text += fmt.Sprintf(", %d restarts", p.Restarts)
		}
		if p.Ready {
			ready++
			good = append(good, text+": ready")
			continue
		}
		bad = append(bad, text+": "+p.Cause)
	}
	named := slices.Concat(bad, good)
	if len(named) > podsInLines {
		named = append(named[:podsInLines], fmt.Sprintf("and %d more pods", len(named)-podsInLines))
	}
	return append([]string{fmt.Sprintf("%d of %d pods are ready", ready, len(o.Pods))}, named...)
}

// Name says where a host name leads to, as this machine resolves it.
func Name(ctx context.Context, host string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) && dns.IsNotFound {
		return nil, errors.New("this machine finds no address for it")
	}
	if err != nil {
		return nil, fmt.Errorf("this machine cannot resolve it: %w", err)
	}
	slices.Sort(addresses)
	return addresses, nil
}
