package reconcile_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// TestOutage loses the API server twice: it restarts, and it hangs. The daemon is
// not ready meanwhile, and misses nothing afterwards.
func TestOutage(t *testing.T) {
	w := newWorld(t, 4)
	w.apply(w.env)
	d := w.start(nil)
	d.ready()

	for range 2 {
		applytest.Sandbox(t, "restart")
		w.until("the API server answers", func() bool { return w.value("m3") != "" })
		w.edit("m0", "edited", "kubectl-edit")
		w.is("m0", "v1")
	}
	d.ready()

	applytest.Sandbox(t, "pause", "kube-apiserver")
	resumed := false
	defer func() {
		if !resumed {
			applytest.Sandbox(t, "resume", "kube-apiserver")
		}
	}()
	// A watch that hears nothing is noticed when the connection is asked (HTTP/2
	// ping after 30 seconds of silence, 15 to answer); a pass right away.
	w.publish("v2", w.environment(4, "v2"), nil)
	w.until("it is not ready", func() bool { code, _ := d.get("/readyz"); return code == http.StatusServiceUnavailable })
	applytest.Sandbox(t, "resume", "kube-apiserver")
	resumed = true
	w.is("m0", "v2")
	d.ready()
	w.edit("m1", "edited", "kubectl-edit")
	w.is("m1", "v2")
	w.level(w.env)
}

// TestWatchLoss cuts every connection of the daemon. What is edited and deleted
// meanwhile is corrected once it can connect again, though no watch saw it.
func TestWatchLoss(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.apply(w.env)
	line := newLine(t, w.cfg.Host)
	cfg := rest.CopyConfig(w.cfg)
	cfg.Host = "https://" + line.address
	d := w.start(func(o *reconcile.DaemonOptions) {
		o.Connect = func(*schema.Environment) (*apply.Cluster, error) { return apply.Connect(cfg) }
	})
	d.ready()
	for round := 1; round <= 3; round++ {
		line.cut()
		w.edit("m0", fmt.Sprint("edited ", round), "kubectl-edit")
		if err := w.maps.Delete(t.Context(), "m1", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
		if got := w.value("m0"); got == "v1" {
			t.Error("the line was not cut")
		}
		line.mend()
		w.is("m0", "v1")
		w.is("m1", "v1")
		// They are counted when the pass has ended. Cut before that, it would go on
		// with the next round's.
		corrections := fmt.Sprint(2 * round)
		w.until(corrections+" corrections are counted", func() bool {
			return d.metric(fmt.Sprintf(`evenkeel_corrections_total{environment="%s"}`, w.namespace)) == corrections
		})
	}
	d.ready()
}

// line is a way to the API server that can be cut.
type line struct {
	address string

	mu    sync.Mutex
	down  bool
	conns []net.Conn
}

func newLine(t *testing.T, host string) *line {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{address: listener.Addr().String()}
	t.Cleanup(func() { _ = listener.Close(); l.cut() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(host, "https://"))
			if err != nil || !l.keep(near, far) {
				_ = near.Close()
				continue
			}
			go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
			go func() { _, _ = io.Copy(near, far); _ = near.Close() }()
		}
	}()
	return l
}

// keep notes a connection, unless the line is cut.
func (l *line) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, conns...)
	return !l.down
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}

func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}

// TestExpiredToken goes on with the new token of its file.
func TestExpiredToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.apply(w.env)
	client, err := kubernetes.NewForConfig(w.cfg)
	if err != nil {
		t.Fatal(err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "daemon"}}
	if _, err := client.CoreV1().ServiceAccounts(w.namespace).Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: w.namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: "daemon", Namespace: w.namespace}},
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.RbacV1().ClusterRoleBindings().Delete(context.WithoutCancel(t.Context()), w.namespace, metav1.DeleteOptions{})
	})
	// A token lives as long as the Secret that it is bound to.
	token := func(bound string) string {
		secret, err := client.CoreV1().Secrets(w.namespace).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: bound}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret", Name: bound, UID: secret.UID},
		}}
		got, err := client.CoreV1().ServiceAccounts(w.namespace).CreateToken(t.Context(), "daemon", request, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return got.Status.Token
	}
	file := filepath.Join(t.TempDir(), "token")
	put := func(token string) {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(token("first"))
	cfg := rest.AnonymousClientConfig(w.cfg)
	cfg.BearerTokenFile = file
	d := w.start(func(o *reconcile.DaemonOptions) {
		o.Connect = func(*schema.Environment) (*apply.Cluster, error) { return apply.Connect(cfg) }
	})
	d.ready()
	w.edit("m0", "edited", "kubectl-edit")
	w.is("m0", "v1")

	if err := client.CoreV1().Secrets(w.namespace).Delete(t.Context(), "first", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	probe, err := apply.Connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.until("the token has expired", func() bool { _, err := probe.Identity(t.Context()); return err != nil })
	w.edit("m0", "edited", "kubectl-edit")
	w.until("it is not ready", func() bool {
		code, body := d.get("/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "Unauthorized")
	})
	if got := w.value("m0"); got != "edited" {
		t.Errorf("m0 is %s", got)
	}
	put(token("second"))
	w.is("m0", "v1")
	d.ready()
	w.until("2 corrections are counted", func() bool {
		return d.metric(fmt.Sprintf(`evenkeel_corrections_total{environment="%s"}`, w.namespace)) == "2"
	})
}

// TestWatchesFail corrects what no watch tells of: where the server answers all but
// the watches, passes over everything come sooner.
func TestWatchesFail(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.apply(w.env)
	cfg := rest.CopyConfig(w.cfg)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return watchless{next} })
	d := w.start(func(o *reconcile.DaemonOptions) {
		o.Connect = func(*schema.Environment) (*apply.Cluster, error) { return apply.Connect(cfg) }
	})
	for round := range 3 {
		w.edit("m0", fmt.Sprint("edited ", round), "kubectl-edit")
		w.is("m0", "v1")
	}
	w.until("it is not ready", func() bool {
		code, body := d.get("/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "no watch")
	})
}

// watchless is a way to the API server on which watches fail.
type watchless struct{ http.RoundTripper }

func (w watchless) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Query().Get("watch") != "true" {
		return w.RoundTripper.RoundTrip(req)
	}
	return &http.Response{
		StatusCode: http.StatusServiceUnavailable, Request: req, Header: http.Header{"Content-Type": {"text/plain"}},
		Body: io.NopCloser(strings.NewReader("no watches here")),
	}, nil
}
