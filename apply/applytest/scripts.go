package applytest

import (
	"os"
	"testing"
)

// Binary returns the sandbox binary; beside it stands kubectl. It skips the test
// where there is none.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := sandboxBinary()
	if os.IsNotExist(err) {
		t.Skipf("no sandbox binary (make build-sandbox): %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	return path
}

// Kubeconfig returns the path of the kubeconfig of the test cluster, for tests
// that run commands. It skips as Cluster does.
func Kubeconfig(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(EnvKubeconfig); path != "" {
		return path
	}
	Binary(t)
	path, err := shared.kubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// FreshKubeconfig starts a cluster for this test alone, under that context, and
// ends it with the test. flags are those of sandbox up.
func FreshKubeconfig(t testing.TB, context string, flags ...string) string {
	t.Helper()
	Binary(t)
	own := &sandbox{args: append([]string{"--context", context}, flags...)}
	path, err := own.start()
	if own.stop != nil {
		t.Cleanup(own.stop)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}
