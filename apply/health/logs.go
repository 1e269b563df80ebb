package health

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
)

// LogReader reads the last lines of one run of a container: with previous, the
// run before the present one.
type LogReader func(ctx context.Context, namespace, pod, container string, previous bool) (string, error)

// The bounds of what is read of a log. The lines that say why a process ended
// stand at its end.
const (
	logLines   = 20
	logBytes   = 8 << 10
	logTimeout = 4 * time.Second
	logsAtOnce = 4
)

// PodLogs reads logs through the API server, at most 20 lines and 8 KiB of each.
func PodLogs(cfg *rest.Config, client *http.Client) (LogReader, error) {
	base, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, namespace, pod, container string, previous bool) (string, error) {
		u := base.JoinPath("api/v1/namespaces", namespace, "pods", pod, "log")
		query := u.Query()
		query.Set("container", container)
		query.Set("previous", strconv.FormatBool(previous))
		query.Set("tailLines", strconv.Itoa(logLines))
		query.Set("limitBytes", strconv.Itoa(logBytes))
		u.RawQuery = query.Encode()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return "", err
		}
		resp, err := client.Do(req)
		if err != nil {
			return "", err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return "", fmt.Errorf("log of pod %s/%s: %s", namespace, pod, resp.Status)
		}
		text, err := io.ReadAll(io.LimitReader(resp.Body, logBytes))
		return string(text), err
	}, nil
}

// logFetcher reads each log once, a few at a time, and puts it into the store. A
// log that cannot be read is an empty one: the result stands without it.
type logFetcher struct {
	ctx   context.Context // the life of the watcher
	read  LogReader
	store *store
	slots chan struct{}

	mu    sync.Mutex
	asked map[LogKey]bool
}

func newLogFetcher(ctx context.Context, read LogReader, s *store) *logFetcher {
	return &logFetcher{ctx: ctx, read: read, store: s, slots: make(chan struct{}, logsAtOnce), asked: map[LogKey]bool{}}
}

func (f *logFetcher) fetch(c *crash) {
	if f.read == nil {
		return
	}
	key := c.key()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asked[key] {
		return
	}
	f.asked[key] = true
	go func() {
		f.slots <- struct{}{}
		defer func() { <-f.slots }()
		f.fetchNow(c)
	}()
}

func (f *logFetcher) fetchNow(c *crash) {
	ctx, cancel := context.WithTimeout(f.ctx, logTimeout)
	defer cancel()
	var text string
	if contain.Call(func() (err error) {
		text, err = f.read(ctx, c.pod.Namespace, c.pod.Name, c.container, c.previous)
		return err
	}) != nil {
		text = ""
	}
	f.store.putLog(c.key(), text)
}

// pending says that the log has been asked for and is not there yet.
func (f *logFetcher) pending(c *crash) bool {
	if c == nil || f.read == nil {
		return false
	}
	_, there := f.store.log(c.key())
	return !there
}
