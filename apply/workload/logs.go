package workload

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/internal/pause"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// LogOptions bend what is read of logs. The zero value reads all that the nodes
// still have of the first container of each pod.
type LogOptions struct {
	// Container is the one to read; empty means the pod's default one.
	Container string
	// Previous reads the run before the present one, of containers that had one.
	Previous bool
	// Follow goes on with what is written, in pods that come later too.
	Follow bool
	// Tail is how many of the last lines to begin with; negative means all.
	Tail int64
	// Since leaves out lines that are older, in whole seconds; zero means none.
	Since time.Duration
}

// LogLine is one line of one container.
type LogLine struct {
	Pod, Container string
	Text           string // without the newline
	Pods           int    // how many pods are being read
}

// Logs reads the logs of the pods of an app's workloads and calls on with each
// line, by one goroutine at a time: pod after pod in the order of their names, or
// with Follow as lines come, until ctx ends or all pods have ended. silent is
// called with what has no log (yet), and why.
func Logs(ctx context.Context, c *apply.Cluster, env *schema.Environment, app string, opts LogOptions, on func(LogLine), silent func(error)) error {
	only, err := Of(env, app)
	if err != nil {
		return err
	}
	workloads, err := liveWorkloads(ctx, c, only)
	if err != nil {
		return err
	}
	l := &logs{c: c, opts: opts, workloads: workloads, on: on, silent: silent, begun: map[logRun]bool{}}
	if opts.Follow && !opts.Previous {
		return l.follow(ctx)
	}
	return l.once(ctx)
}

// defaultContainer is the annotation that names the container to read.
const defaultContainer = "kubectl.kubernetes.io/default-container"

// mostPods bounds the pods whose logs are read.
const mostPods = 500

// logs is one reading of the logs of some workloads.
type logs struct {
	c         *apply.Cluster
	opts      LogOptions
	workloads []workload
	silent    func(error)

	mu   sync.Mutex
	on   func(LogLine)
	pods int

	begun map[logRun]bool
	many  bool // it was said that not all pods are read
}

// logRun is one run of one container.
type logRun struct {
	pod       types.UID
	container string
	restarts  int32
}

func (l *logs) once(ctx context.Context) error {
	pods, err := l.list(ctx)
	if err != nil {
		return err
	}
	if l.opts.Previous {
		pods = slices.DeleteFunc(pods, func(p corev1.Pod) bool { return !hasPrevious(&p, l.container(&p)) })
		if len(pods) == 0 {
			return errors.New("no container has run before")
		}
	}
	if len(pods) == 0 {
		return errors.New("there are no pods")
	}
	l.pods = len(pods)
	read := 0
	for i := range pods {
		name := l.container(&pods[i])
		err := l.read(ctx, &pods[i], name, l.opts.Tail, l.opts.Since)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			l.silent(err)
		default:
			read++
		}
	}
	if read == 0 {
		return errors.New("no pod has a log")
	}
	return nil
}

// lookAgain is how often new pods and restarted containers are looked for.
const lookAgain = 2 * time.Second

// follow reads what runs and what comes to run.
func (l *logs) follow(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for first := true; ; first = false {
		pods, err := l.list(ctx)
		if err != nil {
			return err
		}
		l.mu.Lock()
		l.pods = len(pods)
		l.mu.Unlock()
		for i := range pods {
			pod, name := &pods[i], l.container(&pods[i])
			run, started := runOf(pod, name)
			if !started || l.begun[run] {
				continue
			}
			l.begun[run] = true
			tail, since := l.opts.Tail, l.opts.Since
			if !first {
				tail, since = -1, 0 // it began since
			}
			wg.Go(func() {
				if err := contain.Call(func() error { return l.read(ctx, pod, name, tail, since) }); err != nil && ctx.Err() == nil {
					l.silent(err)
				}
			})
		}
		if len(pods) > 0 && !slices.ContainsFunc(pods, func(p corev1.Pod) bool { return !ended(&p) }) {
			return nil
		}
		if err := pause.For(ctx, lookAgain); err != nil {
			return err
		}
	}
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// container is the one to read of a pod: as asked, or as kubectl chooses
// (the annotation, else the first).
func (l *logs) container(pod *corev1.Pod) string {
	if l.opts.Container != "" {
		return l.opts.Container
	}
	if name := pod.Annotations[defaultContainer]; name != "" {
		return name
	}
	if len(pod.Spec.Containers) == 0 { // no API server has one, and one may say so
		return ""
	}
	return pod.Spec.Containers[0].Name
}

func statusOfContainer(pod *corev1.Pod, name string) (corev1.ContainerStatus, bool) {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses, pod.Status.EphemeralContainerStatuses} {
		for _, s := range list {
			if s.Name == name {
				return s, true
			}
		}
	}
	return corev1.ContainerStatus{}, false
}

func hasPrevious(pod *corev1.Pod, name string) bool {
	s, ok := statusOfContainer(pod, name)
	return ok && (s.RestartCount > 0 || s.LastTerminationState.Terminated != nil)
}

// runOf is the present run of a container; started says that it has a log.
func runOf(pod *corev1.Pod, name string) (run logRun, started bool) {
	s, ok := statusOfContainer(pod, name)
	run = logRun{pod: pod.UID, container: name, restarts: s.RestartCount}
	return run, ok && s.State.Waiting == nil
}

// read reads one log, line by line.
func (l *logs) read(ctx context.Context, pod *corev1.Pod, container string, tail int64, since time.Duration) error {
	where := fmt.Sprintf("pod %s", pod.Name)
	req := l.c.REST.Get().AbsPath("api", "v1", "namespaces", pod.Namespace, "pods", pod.Name, "log").Param("container", container)
	if l.opts.Previous {
		req = req.Param("previous", "true")
	} else if l.opts.Follow {
		req = req.Param("follow", "true")
	}
	if tail >= 0 {
		req = req.Param("tailLines", strconv.FormatInt(tail, 10))
	}
	if since > 0 {
		req = req.Param("sinceSeconds", strconv.FormatInt(max(1, int64(since.Round(time.Second).Seconds())), 10))
	}
	stream, err := req.Stream(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	defer func() { _ = stream.Close() }()
	lines := bufio.NewReaderSize(stream, longestLine)
	for {
		text, err := lines.ReadSlice('\n')
		cut := errors.Is(err, bufio.ErrBufferFull)
		if len(text) > 0 {
			line := strings.TrimSuffix(string(text), "\n")
			if cut {
				line += " …"
			}
			l.tell(LogLine{Pod: pod.Name, Container: container, Text: line})
		}
		for cut { // the rest of that line
			_, err = lines.ReadSlice('\n')
			cut = errors.Is(err, bufio.ErrBufferFull)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
	}
}

// longestLine bounds what is kept of one line, in bytes: a container may write without an
// end. The kubelet keeps lines of 16 KiB, and joins them.
const longestLine = 256 << 10

func (l *logs) tell(line LogLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line.Pods = l.pods
	l.on(line)
}

// list reads the pods of all workloads, by name, and refuses a container that
// none of them has.
func (l *logs) list(ctx context.Context) ([]corev1.Pod, error) {
	var pods []corev1.Pod
	for _, w := range l.workloads {
		owners := []*unstructured.Unstructured{w.live}
		if w.ref.Kind == "CronJob" {
			jobs, err := jobsOf(ctx, l.c, w.live)
			if err != nil {
				return nil, err
			}
			owners = jobs
		}
		for _, owner := range owners {
			found, err := podsOf(ctx, l.c, owner)
			if err != nil {
				return nil, err
			}
			pods = append(pods, found...)
		}
	}
	slices.SortFunc(pods, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	pods = slices.CompactFunc(pods, func(a, b corev1.Pod) bool { return a.UID == b.UID })
	if len(pods) >= mostPods {
		if !l.many {
			l.many = true
			l.silent(fmt.Errorf("of its pods the first %d are read", mostPods))
		}
		pods = pods[:mostPods]
	}
	if l.opts.Container == "" || len(pods) == 0 {
		return pods, nil
	}
	having := slices.DeleteFunc(slices.Clone(pods), func(p corev1.Pod) bool { return !slices.Contains(containersOf(&p), l.opts.Container) })
	if len(having) == 0 {
		return nil, fmt.Errorf("no pod has a container %q; there is %s", l.opts.Container, strings.Join(containersOf(&pods[0]), ", "))
	}
	return having, nil
}

func containersOf(pod *corev1.Pod) []string {
	var names []string
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for _, c := range list {
			names = append(names, c.Name)
		}
	}
	for _, c := range pod.Spec.EphemeralContainers {
		names = append(names, c.Name)
	}
	return names
}

// podsOf reads the pods that a workload's selector selects, mostPods at most: anybody may
// make more there that it selects.
func podsOf(ctx context.Context, c *apply.Cluster, owner *unstructured.Unstructured) ([]corev1.Pod, error) {
	raw, _, err := unstructured.NestedMap(owner.Object, "spec", "selector")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", schema.RefOf(owner), err)
	}
	selector := &metav1.LabelSelector{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, selector); err != nil {
		return nil, fmt.Errorf("%s: %w", schema.RefOf(owner), err)
	}
	var pods []corev1.Pod
	from := c.Dynamic.Resource(kschema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(owner.GetNamespace())
	err = kube.Each(ctx, from, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(selector), Limit: mostPods}, func(live *unstructured.Unstructured) (bool, error) {
		var pod corev1.Pod
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, &pod); err != nil {
			return false, fmt.Errorf("%s: %w", schema.RefOf(live), err)
		}
		pods = append(pods, slim(&pod))
		return len(pods) < mostPods, nil
	})
	if err != nil {
		return nil, fmt.Errorf("pods of %s: %w", schema.RefOf(owner), err)
	}
	return pods, nil
}

// slim is of a pod what is asked of one whose logs are read.
func slim(pod *corev1.Pod) corev1.Pod {
	names := func(of []corev1.Container) []corev1.Container {
		out := make([]corev1.Container, len(of))
		for i := range of {
			out[i].Name = of[i].Name
		}
		return out
	}
	out := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID}, Status: pod.Status}
	if name := pod.Annotations[defaultContainer]; name != "" {
		out.Annotations = map[string]string{defaultContainer: name}
	}
	out.Spec.InitContainers, out.Spec.Containers = names(pod.Spec.InitContainers), names(pod.Spec.Containers)
	for _, c := range pod.Spec.EphemeralContainers {
		out.Spec.EphemeralContainers = append(out.Spec.EphemeralContainers, corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: c.Name}})
	}
	return out
}

// jobsOf reads the Jobs that a CronJob made: what selects their pods.
func jobsOf(ctx context.Context, c *apply.Cluster, cron *unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	var jobs []*unstructured.Unstructured
	from := c.Dynamic.Resource(batchv1.SchemeGroupVersion.WithResource("jobs")).Namespace(cron.GetNamespace())
	err := kube.Each(ctx, from, metav1.ListOptions{}, func(live *unstructured.Unstructured) (bool, error) {
		owner := metav1.GetControllerOf(live)
		if owner == nil || owner.UID != cron.GetUID() {
			return true, nil
		}
		selector, _, _ := unstructured.NestedFieldNoCopy(live.Object, "spec", "selector")
		job := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"selector": selector}}}
		job.SetGroupVersionKind(batchv1.SchemeGroupVersion.WithKind("Job"))
		job.SetNamespace(live.GetNamespace())
		job.SetName(live.GetName())
		jobs = append(jobs, job)
		return len(jobs) < mostPods, nil
	})
	if err != nil {
		return nil, fmt.Errorf("jobs of %s: %w", schema.RefOf(cron), err)
	}
	return jobs, nil
}
