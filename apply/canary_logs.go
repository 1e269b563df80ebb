package apply

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	// logSize bounds what one request reads of the log of a container, in bytes.
	logSize = 16 << 20
	// logReads bounds the requests of one look at a container.
	logReads = 16
)

// logCount is how far the log of a container was read, and how many of its lines had a
// text. A log is read on from there: a kubelet turns it over at 10 MiB
// (containerLogMaxSize), and what was counted must not get lost with it.
type logCount struct {
	n        int
	until    time.Time // of the last line that was read
	restarts int32     // of which the logs were read
}

// lines counts the lines with a text that a container of the canary has written since it
// began, before its restarts as well.
func (c *checker) lines(ctx context.Context, pod *corev1.Pod, container, text string) (int, error) {
	key := strings.Join([]string{string(pod.UID), container, text}, "/")
	if c.read[key] == nil {
		c.read[key] = &logCount{}
	}
	count := c.read[key]
	restarts := count.restarts
	for _, s := range pod.Status.ContainerStatuses {
		if s.Name == container {
			restarts = s.RestartCount
		}
	}
	if restarts > count.restarts {
		err := c.readOn(ctx, pod, container, text, count, true)
		if err != nil && !apierrors.IsBadRequest(err) && !apierrors.IsNotFound(err) { // the kubelet has dropped it
			return 0, fmt.Errorf("pod %s: %w", pod.Name, err)
		}
		count.restarts = restarts
	}
	if err := c.readOn(ctx, pod, container, text, count, false); err != nil {
		return 0, fmt.Errorf("pod %s: %w", pod.Name, err)
	}
	return count.n, nil
}

// readOn reads what a container has written since the last look, in requests that each
// have an end.
func (c *checker) readOn(ctx context.Context, pod *corev1.Pod, container, text string, count *logCount, previous bool) error {
	for range logReads {
		request := c.k.c.REST.Get().AbsPath("api", "v1", "namespaces", pod.Namespace, "pods", pod.Name, "log").
			Param("container", container).Param("timestamps", "true").Param("limitBytes", strconv.Itoa(logSize))
		if previous {
			request = request.Param("previous", "true")
		}
		if !count.until.IsZero() {
			request = request.Param("sinceTime", count.until.UTC().Format(time.RFC3339)) // whole seconds: some lines come again
		}
		stream, err := request.Stream(ctx)
		if err != nil {
			return err
		}
		before := count.until
		size, err := count.add(io.LimitReader(stream, logSize), text)
		if err := errors.Join(err, stream.Close()); err != nil {
			return err
		}
		switch {
		case size < logSize:
			return nil
		case count.until.Equal(before):
			return fmt.Errorf("container %s writes more than %d MiB a second: its lines cannot be counted", container, logSize>>20)
		}
	}
	return fmt.Errorf("container %s writes faster than its log can be read", container)
}

// errNoTimes is a log of which no line says when it was written: who serves it knows no
// timestamps. Nothing of it can be counted, and a check must not pass for that.
var errNoTimes = errors.New("its lines have no time, and cannot be counted")

// add counts lines that begin with the time at which they were written, as a kubelet
// gives them out, and are younger than all before. It returns how many bytes there were.
func (l *logCount) add(log io.Reader, text string) (size int, err error) {
	r := bufio.NewReaderSize(log, 64<<10)
	since, timed := l.until, false
	for {
		line, err := r.ReadString('\n') // no longer than logSize
		size += len(line)
		stamp, said, _ := strings.Cut(line, " ")
		at, wrong := time.Parse(time.RFC3339Nano, stamp)
		timed = timed || wrong == nil
		switch {
		case wrong != nil, !strings.HasSuffix(line, "\n") && size >= logSize: // cut: it comes again as a whole
		case at.After(since):
			l.until = at
			if strings.Contains(said, text) {
				l.n++
			}
		}
		if errors.Is(err, io.EOF) && size > 0 && !timed {
			return size, errNoTimes
		}
		if errors.Is(err, io.EOF) {
			return size, nil
		}
		if err != nil {
			return size, err
		}
	}
}
