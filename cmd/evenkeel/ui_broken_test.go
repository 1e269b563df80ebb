package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// One environment that cannot be rendered does not keep the others from the page: it is
// shown with what is wrong, masked as everywhere.
func TestUIOfABrokenEnvironment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broken := strings.ReplaceAll(strings.Replace(uiEnv, `minReadySeconds: 0`, `minReadySecond: 0`, 1), "t-ui", "t-wrong")
	write(t, dir, "cue.mod/module.cue", "module: \"example.org/shop@v0\"\nlanguage: version: \"v0.17.0\"\n")
	write(t, dir, "envs/t-ui/env.cue", uiEnv)
	write(t, dir, "envs/t-wrong/env.cue", broken)
	// What a rule is against can be rendered, and is shown as always.
	write(t, dir, "envs/t-rule/env.cue", strings.ReplaceAll(strings.Replace(uiEnv, "web:1.0", "web", 1), "t-ui", "t-rule"))
	write(t, dir, "kubeconfig", "apiVersion: v1\nkind: Config\nclusters: [{name: x, cluster: {server: \"http://127.0.0.1:1\"}}]\ncontexts: [{name: x, context: {cluster: x}}]\ncurrent-context: x\n")

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	var said strings.Builder
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"-C", dir, "--kubeconfig", filepath.Join(dir, "kubeconfig"), "ui"}, streams{out: in, err: &said})
		_ = in.Close()
	}()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("no address: %v, exit code %d\n%s", err, <-ended, said.String())
	}
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := http.Get(strings.TrimSpace(address) + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	for path, want := range map[string][]string{
		"en/":                 {"t-ui", "t-wrong", "it cannot be rendered", "unknown field"},
		"zh/":                 {"此环境的源码有误"},
		"en/env/t-wrong/":     {"it cannot be rendered", "envs/t-wrong/env.cue:18:3: apps.web.minReadySecond: unknown field", "evenkeel vet t-wrong"},
		"en/env/t-wrong/plan": {"it cannot be rendered"},
		"en/env/t-ui/":        {"web", "api"},
		"en/env/t-rule/":      {"web", "api"},
	} {
		code, body := get(path)
		for _, text := range want {
			if code != http.StatusOK || !strings.Contains(body, text) {
				t.Errorf("%s: %d, without %q", path, code, text)
			}
		}
		if strings.Contains(body, "planted-") {
			t.Errorf("%s shows a secret", path)
		}
	}
	if code, _ := get("en/env/t-wrong/plan.html"); code != http.StatusNotFound {
		t.Errorf("the frame of a plan that there is not: %d", code)
	}
	stop()
	if code := <-ended; code != exitInterrupted {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(said.String(), "warning: env t-wrong cannot be rendered; the page shows why (errors: 1)") {
		t.Errorf("said: %s", said.String())
	}

	// Where nothing can be rendered, there is nothing to watch.
	for _, name := range []string{"t-ui", "t-rule"} {
		if err := os.RemoveAll(filepath.Join(dir, "envs", name)); err != nil {
			t.Fatal(err)
		}
	}
	if code := run(t.Context(), []string{"-C", dir, "ui"}, streams{out: io.Discard, err: io.Discard}); code != exitError {
		t.Errorf("exit code %d where nothing can be rendered", code)
	}
}
