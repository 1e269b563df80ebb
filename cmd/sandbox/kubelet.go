package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// serveKubelet answers for the kubelets of all nodes what the API server asks
// them: the logs of containers. It returns the port.
func (c *cluster) serveKubelet() (int, error) {
	clients := x509.NewCertPool()
	ca, err := os.ReadFile(c.path("ca.crt"))
	if err != nil {
		return 0, err
	}
	clients.AppendCertsFromPEM(ca)
	cert, err := tls.LoadX509KeyPair(c.path("kubelet.crt"), c.path("kubelet.key"))
	if err != nil {
		return 0, err
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{cert},
		ClientCAs:    clients,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	})
	if err != nil {
		return 0, err
	}
	c.listeners = append(c.listeners, listener)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", c.containerLogs)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the containers of a sandbox are simulated: there are only logs", http.StatusNotImplemented)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, net.ErrClosed) {
			c.children.exited <- err
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func (c *cluster) containerLogs(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	pod, err := c.client.CoreV1().Pods(r.PathValue("namespace")).Get(r.Context(), r.PathValue("pod"), metav1.GetOptions{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	lines, err := logLines(pod, r.PathValue("container"), query.Get("previous") == "true", query.Get("timestamps") == "true")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	lines = since(lines, query.Get("sinceTime"), query.Get("timestamps") == "true")
	if n, err := strconv.Atoi(query.Get("tailLines")); err == nil {
		lines = lines[max(0, len(lines)-n):]
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return
		}
	}
	if query.Get("follow") == "true" {
		_ = http.NewResponseController(w).Flush()
		c.untilContainerEnds(r.Context(), pod, r.PathValue("container"))
	}
}

// since are the lines from a time on, where lines begin with theirs.
func since(lines []string, from string, timestamps bool) []string {
	begin, err := time.Parse(time.RFC3339, from)
	if err != nil || !timestamps {
		return lines
	}
	return slices.DeleteFunc(lines, func(line string) bool {
		stamp, _, _ := strings.Cut(line, " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		return err == nil && at.Before(begin)
	})
}

// untilContainerEnds is how long the log of a container can be followed.
func (c *cluster) untilContainerEnds(ctx context.Context, pod *corev1.Pod, container string) {
	for {
		status := containerStatus(pod, container)
		if status == nil || status.State.Running == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
		var err error
		if pod, err = c.client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{}); err != nil {
			return
		}
	}
}

// logLines is what the container has printed, or the error of a kubelet whose
// container has printed nothing because it never ran.
func logLines(pod *corev1.Pod, container string, previous, timestamps bool) ([]string, error) {
	status := containerStatus(pod, container)
	if status == nil {
		return nil, fmt.Errorf("container %q in pod %q is not available", container, pod.Name)
	}
	ran := startOf(status.State)
	if previous || ran == nil {
		ran = startOf(status.LastTerminationState)
	}
	switch {
	case ran == nil && previous:
		return nil, fmt.Errorf("previous terminated container %q in pod %q not found", container, pod.Name)
	case ran == nil:
		return nil, fmt.Errorf("container %q in pod %q is waiting to start: %s", container, pod.Name, waitingWords(status.State.Waiting))
	}
	lines := strings.FieldsFunc(logsOf(status.Image), func(r rune) bool { return r == '\n' })
	if timestamps {
		for i := range lines {
			lines[i] = ran.Add(time.Duration(i)*time.Millisecond).UTC().Format(time.RFC3339Nano) + " " + lines[i]
		}
	}
	return lines, nil
}

func logsOf(image string) string {
	if match := regexp.MustCompile(fatePattern()).FindStringSubmatch(image); match != nil {
		all := fates()
		i := slices.IndexFunc(all, func(f fate) bool { return f.tag == match[1] })
		return all[i].logs
	}
	return "starting\nlistening on :8080"
}

// waitingWords are the words that a kubelet uses for a reason to wait.
func waitingWords(waiting *corev1.ContainerStateWaiting) string {
	if waiting == nil {
		return "ContainerCreating"
	}
	switch waiting.Reason {
	case "ErrImagePull":
		return "image can't be pulled"
	case "ImagePullBackOff":
		return "trying and failing to pull image"
	default:
		return waiting.Reason
	}
}

func startOf(state corev1.ContainerState) *metav1.Time {
	switch {
	case state.Running != nil:
		return &state.Running.StartedAt
	case state.Terminated != nil:
		return &state.Terminated.StartedAt
	default:
		return nil
	}
}

func containerStatus(pod *corev1.Pod, container string) *corev1.ContainerStatus {
	all := slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
	if i := slices.IndexFunc(all, func(s corev1.ContainerStatus) bool { return s.Name == container }); i >= 0 {
		return &all[i]
	}
	return nil
}
