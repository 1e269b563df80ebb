//go:build lab

package way_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/render/edge"
)

// insideVar tells the test that it runs in namespaces of its own.
const insideVar = "EVENKEEL_TRAEFIK_INSIDE"

// TestTraefik asks a real nginx, with the files of evenkeel edge, and behind it a real
// Traefik, which reads routes from a real API server, what TestChoice asks the model. It
// needs root, Traefik as lab build makes it (make test-stand) and the sandbox.
//
// All of it runs in a network of its own: 10.4.7.11 is the edge host, 10.4.7.21 and
// 10.4.7.22 are nodes, and every address of a pod is this machine's.
func TestTraefik(t *testing.T) {
	if os.Getenv(insideVar) == "" {
		cmd := exec.CommandContext(t.Context(), "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", os.Args[0], "-test.run=^TestTraefik$", "-test.v")
		cmd.Env = append(os.Environ(), insideVar+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		} else {
			t.Logf("%s", out)
		}
		return
	}
	s := newStand(t)
	args, asked, release := "", 0, s.release()
	for _, tt := range choices() {
		if tt.args == nginxArgs || strings.HasPrefix(tt.args, precedence) && strings.HasPrefix(release, "v3.6.") {
			continue // neither ingress-nginx is there, nor the option
		}
		if tt.args != args {
			args = tt.args
			s.traefik(args)
		}
		t.Run(tt.name, func(t *testing.T) {
			outer := s.t
			s.t = t
			t.Cleanup(func() { s.t = outer })
			s.address = front().VIP
			if tt.direct() {
				s.address = "10.4.7.22"
			}
			s.routes(t, tt.routes)
			want := tt.answers(release)
			s.all(t, want)
			asked += len(want)
		})
	}
	t.Logf("Traefik %s: %d URLs", release, asked)
}

// stand is the edge host, the nodes and the API server.
type stand struct {
	t          *testing.T
	dir, repo  string
	kubeconfig string
	client     *http.Client
	address    string // where names lead
	stop       func() // ends the Traefik that runs
}

const network = `set -e
mount --make-rprivate /
mkdir -p "$1/nginx" "$1/keepalived"
cp -a /etc/nginx/. "$1/nginx"
mount --bind "$1/nginx" /etc/nginx
mkdir -p /etc/keepalived
mount --bind "$1/keepalived" /etc/keepalived
for dir in /run /var/log /var/lib/nginx /var/backups; do mount -t tmpfs tmpfs "$dir"; done
mkdir /var/log/nginx
ip link set lo up
ip link add eth0 type veth peer name switch
ip link set switch up
for address in 11 21 22; do ip address add "10.4.7.$address/24" dev eth0; done
ip link set eth0 up
ip route add default dev eth0
ip route add local 172.7.0.0/16 dev lo
# what a host port is
nft -f - <<NFT
table ip hostport {
	chain output {
		type nat hook output priority -100
		ip daddr { 10.4.7.21, 10.4.7.22 } tcp dport 81 redirect to :8000
		ip daddr 10.4.7.22 tcp dport 80 redirect to :8000
		ip daddr 10.4.7.22 tcp dport 443 redirect to :8443
	}
	chain others { # of a node no other port leads in
		type filter hook output priority 0
		ip daddr 10.4.7.22 tcp dport { 8000, 8443 } reject
	}
}
NFT
mkdir -p /etc/nginx/certs
for host in tls.com moved.com; do
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj "/CN=$host" -addext "subjectAltName=DNS:$host" \
		-keyout "/etc/nginx/certs/$host.key" -out "/etc/nginx/certs/$host.crt" 2>/dev/null
done
`

func newStand(t *testing.T) *stand {
	t.Helper()
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{t: t, dir: t.TempDir(), repo: repo, stop: func() {}}
	t.Cleanup(func() { s.stop() })
	s.run("", "sh", "-c", network, "sh", s.dir)
	s.edge()
	s.pods()
	s.api()
	s.client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // of this test
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) { // as DNS does
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return (&net.Dialer{}).DialContext(ctx, "tcp4", s.address+":"+port)
		},
	}}
	return s
}

// run runs a program and expects that it works.
func (s *stand) run(stdin, name string, args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(s.t.Context()), name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// start starts a program that runs until the end.
func (s *stand) start(log string, env []string, name string, args ...string) (stop func()) {
	s.t.Helper()
	file, err := os.Create(filepath.Join(s.dir, log))
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = file, file
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = file.Close()
	}
}

// until waits for what is meant.
func (s *stand) until(t *testing.T, limit time.Duration, what func() error) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		err := what()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			logs := ""
			for _, name := range []string{"traefik.log", "sandbox.log"} {
				if data, err := os.ReadFile(filepath.Join(s.dir, name)); err == nil {
					logs += fmt.Sprintf("\n%s: %s", name, data[max(0, len(data)-3000):])
				}
			}
			t.Fatalf("not within %s: %v%s", limit, err, logs)
		}
	}
}

// edge installs the files of an edge host on it.
func (s *stand) edge() {
	s.t.Helper()
	files, err := edge.Files(*front())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range files {
		name := filepath.Join(s.dir, "files", filepath.FromSlash(f.Name()))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(f.Content), f.Mode); err != nil {
			s.t.Fatal(err)
		}
	}
	s.run("", filepath.Join(s.dir, "files", "hdss7-11", "install.sh"))
	s.until(s.t, 20*time.Second, func() error {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(s.t.Context(), "tcp4", front().VIP+":80")
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
}

// pods answers for all pods: who was asked, by the address, and for which path.
func (s *stand) pods() {
	s.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(s.t.Context(), "tcp4", ":9090")
	if err != nil {
		s.t.Fatal(err)
	}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true) // which is what gRPC speaks
	server := &http.Server{Protocols: protocols, ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.Context().Value(http.LocalAddrContextKey).(net.Addr).String())
		for app, address := range addresses() {
			if address == host {
				fmt.Fprintf(w, "%s %s", app, r.URL.EscapedPath())
			}
		}
	})}
	go func() { _ = server.Serve(listener) }()
	s.t.Cleanup(func() { _ = server.Close() })
}

// addresses are those of the pods of each app: one of each.
func addresses() map[string]string {
	all := map[string]string{}
	for _, tt := range choices() {
		for _, route := range tt.routes {
			if name := nameOf(route); all[name] == "" {
				all[name] = fmt.Sprintf("172.7.%d.%d", 1+len(all)/200, 2+len(all)%200)
			}
		}
	}
	return all
}

func nameOf(manifest string) string {
	var o struct{ Metadata struct{ Name string } }
	if yaml.Unmarshal([]byte(manifest), &o) != nil {
		return ""
	}
	return o.Metadata.Name
}

// api starts the API server, with the definitions that Traefik and the Gateway API come
// with, and a Service with one endpoint for each app.
func (s *stand) api() {
	s.t.Helper()
	sandbox := os.Getenv("EVENKEEL_SANDBOX")
	if sandbox == "" {
		sandbox = filepath.Join(s.repo, ".cache", "bin", "sandbox")
	}
	s.kubeconfig = filepath.Join(s.dir, "kubeconfig")
	ready := filepath.Join(s.dir, "ready")
	s.t.Cleanup(s.start("sandbox.log", nil, sandbox, "up", "--kubeconfig", s.kubeconfig, "--ready-file", ready))
	s.until(s.t, 2*time.Minute, func() error {
		_, err := os.Stat(ready)
		return err
	})
	modules := filepath.Join(s.repo, "cmd", "lab", "modules", "traefik")
	module := func(name string) string {
		return strings.TrimSpace(s.run("", "go", "-C", modules, "list", "-m", "-f", "{{.Dir}}", name))
	}
	s.kubectl("", "apply", "--server-side", "-f", filepath.Join(module("sigs.k8s.io/gateway-api"), "config", "crd", "standard"))
	s.kubectl("", "apply", "--server-side", "-f", filepath.Join(module("github.com/traefik/traefik/v3"), "docs", "content", "reference", "dynamic-configuration", "kubernetes-crd-definition-v1.yml"))
	s.kubectl("", "wait", "--for=condition=Established", "crd", "--all")
	manifests := []string{
		"{apiVersion: v1, kind: Namespace, metadata: {name: app}}",
		"{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: traefik}, spec: {controllerName: traefik.io/gateway-controller}}",
	}
	for text := range strings.SplitSeq(controllers, "---") {
		if !strings.Contains(text, "DaemonSet") {
			manifests = append(manifests, text)
		}
	}
	for app, address := range addresses() {
		manifests = append(manifests,
			fmt.Sprintf("{apiVersion: v1, kind: Service, metadata: {name: %s, namespace: app}, spec: {ports: [{name: http, port: 80, targetPort: 9090}]}}", app),
			fmt.Sprintf("{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: %s, namespace: app, labels: {kubernetes.io/service-name: %[1]s}}, addressType: IPv4, ports: [{name: http, port: 9090}], endpoints: [{addresses: [%s], conditions: {ready: true}}]}", app, address))
	}
	s.kubectl(strings.Join(manifests, "\n---\n"), "apply", "--server-side", "-f", "-")
}

func (s *stand) kubectl(stdin string, args ...string) {
	s.t.Helper()
	kubectl := filepath.Join(filepath.Dir(os.Getenv("EVENKEEL_SANDBOX")), "kubectl")
	if os.Getenv("EVENKEEL_SANDBOX") == "" {
		kubectl = filepath.Join(s.repo, ".cache", "bin", "kubectl")
	}
	s.run(stdin, kubectl, append([]string{"--kubeconfig", s.kubeconfig}, args...)...)
}

// binary is the Traefik that is asked.
func (s *stand) binary() string {
	s.t.Helper()
	binary := os.Getenv("EVENKEEL_TRAEFIK")
	if binary == "" {
		binary = filepath.Join(s.repo, ".cache", "lab", "bin", "traefik")
	}
	if _, err := os.Stat(binary); err != nil {
		s.t.Fatalf("%v: make test-stand builds it", err)
	}
	return binary
}

// release is which one it is.
func (s *stand) release() string {
	s.t.Helper()
	for line := range strings.Lines(s.run("", s.binary(), "version")) {
		if name, version, _ := strings.Cut(line, ":"); name == "Version" {
			return "v" + strings.TrimSpace(version)
		}
	}
	s.t.Fatal("Traefik does not say its version")
	return ""
}

// traefik starts Traefik with the arguments of its DaemonSet, in place of the one that
// runs.
func (s *stand) traefik(args string) {
	s.t.Helper()
	s.stop()
	var all []string
	if err := yaml.Unmarshal([]byte("["+args+"]"), &all); err != nil {
		s.t.Fatal(err)
	}
	all = append(all, "--providers.providersThrottleDuration=100ms", "--ping=true", "--entryPoints.traefik.address=:8080", "--log.level=WARN", "--global.checkNewVersion=false")
	s.stop = s.start("traefik.log", []string{"KUBECONFIG=" + s.kubeconfig}, s.binary(), all...)
	s.until(s.t, time.Minute, func() error {
		resp, err := http.Get("http://10.4.7.21:8080/ping") //nolint:noctx // short
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	})
}

// routes puts the routes of a test in place, and takes them away at its end.
func (s *stand) routes(t *testing.T, routes []string) {
	t.Helper()
	all := strings.Join(routes, "\n---\n")
	s.kubectl(all, "apply", "--server-side", "--validate=false", "-f", "-")
	t.Cleanup(func() { s.kubectl(all, "delete", "--wait=true", "-f", "-") })
}

// all asks for all URLs until all are answered as they should be, twice in a row: Traefik
// needs a moment to see a route, and to lose one.
func (s *stand) all(t *testing.T, want map[string]string) {
	t.Helper()
	right := 0
	s.until(t, 15*time.Second, func() error {
		var wrong []string
		for url, want := range want {
			got, err := s.ask(t, absolute(url), strings.Contains(want, " "))
			if err != nil {
				return err
			}
			if got != want && (want != "?" || got == "" || got == "edge") {
				wrong = append(wrong, fmt.Sprintf("%s goes to %q, the model says %q", url, got, want))
			}
		}
		if len(wrong) > 0 {
			right = 0
			return fmt.Errorf("%d of %d URLs:\n%s", len(wrong), len(want), strings.Join(wrong, "\n"))
		}
		if right++; right < 2 {
			return fmt.Errorf("once more")
		}
		return nil
	})
}

// ask sends a request, as a browser would, and says who answers.
func (s *stand) ask(t *testing.T, url string, path bool) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return "edge", nil //nolint:nilerr // nginx closes the connection, or refuses the handshake; a node, the port
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return "", err
	case resp.StatusCode == http.StatusBadRequest && bytes.Contains(body, []byte("nginx")):
		return "edge", nil
	case resp.StatusCode == http.StatusNotFound:
		return "", nil
	case resp.StatusCode != http.StatusOK:
		return resp.Status, nil
	}
	app, asked, _ := strings.Cut(string(body), " ")
	if path {
		app += " " + asked
	}
	if resp.TLS != nil && resp.TLS.PeerCertificates[0].VerifyHostname(resp.Request.URL.Hostname()) != nil {
		app += "!"
	}
	return app, nil
}
