package kube

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/seed-428f4edd/evenkeel/internal/program"
)

// TestPluginWhileHidden asks a credential plugin of the kubeconfig for a token while a
// rendering hides the search path, and has the plugin start a program itself.
func TestPluginWhileHidden(t *testing.T) { //nolint:paralleltest // sets the search path
	bin := t.TempDir()
	for name, text := range map[string]string{
		"credentials": "#!/bin/sh\nexec token\n",
		"token":       "#!/bin/sh\necho '{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \"ExecCredential\", \"status\": {\"token\": \"of-the-plugin\"}}'\n",
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	var token string
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		token = r.Header.Get("Authorization")
	}))
	defer server.Close()
	client, err := Connect(&rest.Config{
		Host:            server.URL,
		TLSClientConfig: rest.TLSClientConfig{Insecure: true},
		ExecProvider: &clientcmdapi.ExecConfig{
			APIVersion: "client.authentication.k8s.io/v1", Command: "credentials", InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		},
	}, nothing{})
	if err != nil {
		t.Fatal(err)
	}
	defer program.Hide()()
	if err := client.REST.Get().AbsPath("/version").Do(t.Context()).Error(); err != nil {
		t.Error(err)
	}
	if token != "Bearer of-the-plugin" {
		t.Errorf("the server was sent %q", token)
	}
}
