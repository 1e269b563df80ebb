package pull_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"

	"github.com/seed-428f4edd/evenkeel/render/chart"
	"github.com/seed-428f4edd/evenkeel/render/chart/pull"
)

func archive(t *testing.T, version string) []byte {
	t.Helper()
	const name = "demo"
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	w := tar.NewWriter(zip)
	text := fmt.Sprintf("apiVersion: v2\nname: %s\nversion: %s\n", name, version)
	err := w.WriteHeader(&tar.Header{Name: name + "/Chart.yaml", Typeflag: tar.TypeReg, Size: int64(len(text))})
	_, written := io.WriteString(w, text)
	if err := errors.Join(err, written, w.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRepository pulls from a chart repository: by version, the newest, through a
// redirect, and what is refused.
func TestRepository(t *testing.T) {
	one, two := archive(t, "1.0.0"), archive(t, "1.2.0+build.1")
	mux := http.NewServeMux()
	serve := func(at string, data []byte) {
		mux.HandleFunc(at, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) })
	}
	serve("/charts/index.yaml", fmt.Appendf(nil, `entries:
  demo:
  - {version: 1.0.0, urls: [demo-1.0.0.tgz], digest: %s}
  - {version: 1.2.0+build.1, urls: [/moved], digest: "%s"}
  - {version: 2.0.0-rc.1, urls: [demo-2.tgz]}
  - {version: 0.1.0, urls: [demo-1.0.0.tgz], digest: %064d}
  - {version: 0.2.0, urls: [demo-1.0.0.tgz]}
  - {version: 0.3.0, urls: [no.tgz]}
  - {version: 0.4.0, urls: ["file:///etc/passwd"]}
  - {version: 0.5.0, urls: [big]}
`, strings.TrimPrefix(chart.DigestOf(one), "sha256:"), chart.DigestOf(two), 0))
	serve("/charts/demo-1.0.0.tgz", one)
	serve("/charts/elsewhere.tgz", two)
	mux.Handle("/moved", http.RedirectHandler("/charts/elsewhere.tgz", http.StatusFound))
	mux.HandleFunc("/charts/big", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 33<<20)) })
	server := httptest.NewServer(mux)
	defer server.Close()
	for _, test := range []struct{ name, version, is, says string }{
		{"demo", "1.0.0", "charts/demo-1.0.0.tgz", ""},
		{"demo", "v1.0.0", "charts/demo-1.0.0.tgz", ""},
		{"demo", "", "charts/demo-1.2.0+build.1.tgz", ""},
		{"demo", "3.0.0", "", "no version 3.0.0 of demo; the newest is 1.2.0+build.1"},
		{"demo", "0.1.0", "", "not what the repository lists"},
		{"demo", "0.2.0", "", "the chart demo 1.0.0, not demo 0.2.0"},
		{"demo", "0.3.0", "", "404"},
		{"demo", "0.4.0", "", "neither https:// nor oci://"},
		{"demo", "0.5.0", "", "larger than 32 MiB"},
		{"other", "", "", `no chart "other"`},
		{"../demo", "", "", "is not the name of a chart"},
		{"demo", "1.0.0/../x", "", "is not a chart version"},
	} {
		p, err := pull.Pull(t.Context(), pull.Request{Name: test.name, Repo: server.URL + "/charts", Version: test.version, PlainHTTP: true})
		switch {
		case test.says != "":
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s %s: %v, want %q", test.name, test.version, err, test.says)
			}
		case err != nil || p.File() != test.is:
			t.Errorf("%s %s: %v, %v", test.name, test.version, p, err)
		}
	}
	if _, err := pull.Pull(t.Context(), pull.Request{Name: "demo", Repo: server.URL + "/charts"}); err == nil || !strings.Contains(err.Error(), "--plain-http") {
		t.Errorf("without TLS: %v", err)
	}
}

// TestWrite writes below the root only, and not over another archive of the version.
func TestWrite(t *testing.T) {
	data := archive(t, "1.0.0")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "index.yaml") {
			_, _ = io.WriteString(w, "entries: {demo: [{version: 1.0.0, urls: [x.tgz]}]}")
			return
		}
		_, _ = w.Write(data)
	}))
	defer server.Close()
	p, err := pull.Pull(t.Context(), pull.Request{Name: "demo", Repo: server.URL, PlainHTTP: true})
	if err != nil || !p.Unverified {
		t.Fatal(p, err)
	}
	root, outside := t.TempDir(), t.TempDir()
	for range 2 {
		if err := p.Write(root); err != nil {
			t.Fatal(err)
		}
	}
	at := filepath.Join(root, "charts", "demo-1.0.0.tgz")
	if got, err := os.ReadFile(at); err != nil || !bytes.Equal(got, data) {
		t.Fatal("another archive", err)
	}
	if err := os.WriteFile(at, []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.Write(root); err == nil || !strings.Contains(err.Error(), "is another one") {
		t.Errorf("over another one: %v", err)
	}
	linked := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(linked, "charts")); err != nil {
		t.Fatal(err)
	}
	if err := p.Write(linked); err == nil {
		t.Error("written through a link out of the repository")
	}
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Error("written outside:", left)
	}
}

// TestRegistry pulls from a container registry.
func TestRegistry(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	push := func(version, kind string) {
		t.Helper()
		layer := static.NewLayer(archive(t, version), "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
		if kind != "" {
			layer = static.NewLayer([]byte(kind), "application/x")
		}
		image, err := mutate.AppendLayers(empty.Image, layer)
		if err != nil {
			t.Fatal(err)
		}
		tag, err := name.NewTag(host+"/org/demo:"+strings.ReplaceAll(version, "+", "_"), name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(tag, image); err != nil {
			t.Fatal(err)
		}
	}
	push("1.0.0", "")
	push("1.10.0+x", "")
	push("1.9.0", "no chart")
	push("2.0.0-beta.1", "")
	for version, want := range map[string]string{"1.0.0": "charts/demo-1.0.0.tgz", "": "charts/demo-1.10.0+x.tgz", "2.0.0-beta.1": "charts/demo-2.0.0-beta.1.tgz", "1.9.0": "", "3.0.0": ""} {
		p, err := pull.Pull(t.Context(), pull.Request{Name: "demo", Repo: "oci://" + host + "/org", Version: version, PlainHTTP: true})
		switch {
		case want == "" && err == nil:
			t.Errorf("%q: %v", version, p)
		case want != "" && (err != nil || p.File() != want):
			t.Errorf("%q: %v, %v", version, p, err)
		}
	}
}

// TestHostileRegistry pulls from registries that answer without an end, or that send the
// asker elsewhere.
func TestHostileRegistry(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("somebody else was asked") }))
	t.Cleanup(other.Close)
	endless := func(w http.ResponseWriter, begin, more string) {
		_, err := io.WriteString(w, begin)
		for i := 0; i < 1000 && err == nil; i++ {
			_, err = io.WriteString(w, strings.Repeat(more, 1<<20/len(more)))
		}
	}
	for name, tt := range map[string]struct {
		version string
		answer  http.HandlerFunc
		says    string
	}{
		"pages": {"", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", fmt.Sprintf(`<%s?n=1000&last=x>; rel="next"`, r.URL.Path))
			_, _ = io.WriteString(w, `{"tags": ["0.1.0"]}`)
		}, "it wants more than 200 requests"},
		"tags":     {"", func(w http.ResponseWriter, _ *http.Request) { endless(w, `{"tags": ["`, `0.1.0","`) }, "it answers with more than 40 MiB"},
		"manifest": {"1.0.0", func(w http.ResponseWriter, _ *http.Request) { endless(w, "", " ") }, "it answers with more than 40 MiB"},
		"elsewhere": {"1.0.0", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}, "it sends to an address without TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/v2/" {
					tt.answer(w, r)
				}
			}))
			t.Cleanup(server.Close)
			to := "oci://" + strings.TrimPrefix(server.URL, "http://") + "/org"
			_, err := pull.Pull(t.Context(), pull.Request{Name: "demo", Repo: to, Version: tt.version, PlainHTTP: true})
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %q", err, tt.says)
			}
		})
	}
}
