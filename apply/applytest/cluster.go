// Package applytest gives the tests of package apply and those below it a real
// API server: the cluster that EVENKEEL_TEST_KUBECONFIG names, or else a sandbox
// (cmd/sandbox) that lives as long as the test binary.
package applytest

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// The environment variables that name a cluster, or the binary of a sandbox
// elsewhere than in .cache/bin of the repository.
const (
	EnvKubeconfig = "EVENKEEL_TEST_KUBECONFIG"
	EnvSandbox    = "EVENKEEL_SANDBOX"
)

// Main runs the tests of a package and then ends the sandbox that they started.
// A package that calls Cluster has:
//
//	func TestMain(m *testing.M) { os.Exit(applytest.Main(m)) }
//
// Without it the sandbox ends with the test binary all the same, but nobody waits
// for that.
func Main(m *testing.M) int {
	// Cluster tests wait more than they compute.
	flag.Parse()
	fuzzing := flag.Lookup("test.fuzz").Value.String() != ""
	if f := flag.Lookup("test.parallel"); !fuzzing && f.Value.String() == f.DefValue {
		_ = f.Value.Set("16")
	}
	code := m.Run()
	if shared.stop != nil {
		shared.stop()
	}
	return code
}

// Cluster returns a connection to the test cluster, without client-side rate
// limits. It skips the test where there is neither a cluster nor a sandbox
// binary, and where -short is set.
func Cluster(t testing.TB) *rest.Config {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a cluster")
	}
	path := os.Getenv(EnvKubeconfig)
	if path == "" {
		var err error
		if path, err = shared.kubeconfig(); err != nil {
			if os.IsNotExist(err) {
				t.Skipf("no cluster: set %s, or build the sandbox (make build-sandbox): %v", EnvKubeconfig, err)
			}
			t.Fatal(err)
		}
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	cfg.QPS, cfg.Burst = -1, -1
	cfg.WarningHandler = rest.NoWarnings{}
	return cfg
}

// Sandbox runs a command of the sandbox's binary (pause, resume, restart) on the
// sandbox of this test binary, and skips the test where another cluster is used.
// A test that calls it must not be parallel.
func Sandbox(t testing.TB, command ...string) {
	t.Helper()
	if os.Getenv(EnvKubeconfig) != "" {
		t.Skip("needs a sandbox")
	}
	binary, err := sandboxBinary()
	if os.IsNotExist(err) {
		t.Skipf("no sandbox: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, append(command, "--kubeconfig", shared.path)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sandbox %s: %v\n%s", strings.Join(command, " "), err, out)
	}
}

// Namespace makes a namespace of its own for the test, named after prefix, and
// deletes it at the end without waiting for that.
func Namespace(t testing.TB, cfg *rest.Config, prefix string) string {
	t.Helper()
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	namespaces := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	name := strings.ToLower(prefix + "-" + rand.Text()[:8])
	ns := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}}}
	if _, err := namespaces.Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := namespaces.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Logf("delete namespace %s: %v", name, err)
		}
	})
	waitForServiceAccount(t, client, name)
	return name
}

// waitForServiceAccount waits for "default": pods are refused before it is there.
func waitForServiceAccount(t testing.TB, client dynamic.Interface, namespace string) {
	t.Helper()
	accounts := client.Resource(corev1.SchemeGroupVersion.WithResource("serviceaccounts")).Namespace(namespace)
	for range 200 {
		if _, err := accounts.Get(t.Context(), "default", metav1.GetOptions{}); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("namespace %s has no service account after 10 seconds", namespace)
}

// shared is the sandbox of this test binary: a few hundred MB, so there is one.
var shared sandbox //nolint:gochecknoglobals // a test binary has one

type sandbox struct {
	args []string // of sandbox up
	once sync.Once
	path string
	err  error
	stop func()
}

func (s *sandbox) kubeconfig() (string, error) {
	s.once.Do(func() { s.path, s.err = s.start() })
	return s.path, s.err
}

// start runs a sandbox until stop is called, or until this process ends in
// whatever way: the sandbox watches the pipe that is its standard input.
func (s *sandbox) start() (kubeconfig string, err error) {
	binary, err := sandboxBinary()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "evenkeel-test-")
	if err != nil {
		return "", err
	}
	output, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return "", err
	}
	defer func() { _ = output.Close() }()
	readyFile, path := filepath.Join(dir, "ready"), filepath.Join(dir, "kubeconfig")
	cmd := exec.Command(binary, append([]string{"up", "--ready-file", readyFile, "--kubeconfig", path}, s.args...)...)
	cmd.Stdout, cmd.Stderr = output, output
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := make(chan struct{})
	var failure error // of the sandbox, once it has ended
	go func() {
		defer close(ended)
		failure = cmd.Wait()
	}()
	s.stop = func() {
		_ = stdin.Close()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		_ = os.RemoveAll(dir)
	}
	if err := untilReady(readyFile, ended); err != nil {
		text := said(output.Name())
		s.stop()
		return "", fmt.Errorf("%w\n%s", errors.Join(err, failure), text)
	}
	return path, nil
}

func untilReady(readyFile string, ended <-chan struct{}) error {
	deadline := time.After(2 * time.Minute)
	for {
		select {
		case <-ended:
			return errors.New("the sandbox ended before it was ready")
		case <-deadline:
			return errors.New("the sandbox is not ready after two minutes")
		case <-time.After(50 * time.Millisecond):
		}
		if _, err := os.Stat(readyFile); err == nil {
			return nil
		}
	}
}

// said is what the sandbox printed, for an error message.
func said(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// sandboxBinary finds the binary that `make build-sandbox` builds. One that the
// environment names and that is not there is a failure: a test that is skipped for
// want of it would pass in CI without having looked at anything.
func sandboxBinary() (string, error) {
	if path := os.Getenv(EnvSandbox); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%s: %v: make build-sandbox builds it", EnvSandbox, err) //nolint:errorlint // not os.IsNotExist, which skips
		}
		return path, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", os.ErrNotExist
		}
		dir = parent
	}
	path := filepath.Join(dir, ".cache", "bin", "sandbox")
	_, err = os.Stat(path)
	return path, err
}
