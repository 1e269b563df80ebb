package edge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-428f4edd/evenkeel/render/edge"
)

// A lab is a network of its own: a switch, which the test's clients and servers
// are plugged into, and edge hosts with what Debian installs below /etc. It is made
// of Linux namespaces; nothing in it is reachable from outside, and it ends with
// the test.
type lab struct {
	t   *testing.T
	pid int // a process in the network of the switch
}

// labLife bounds the life of what a lab runs, whatever becomes of the test.
const labLife = 5 * time.Minute

func newLab(t *testing.T) *lab {
	t.Helper()
	needs(t)
	l := &lab{t: t}
	l.pid = l.hold("unshare", "--net", "--pid", "--fork", "--kill-child", "sleep", seconds(labLife))
	l.inSwitch("ip", "link", "set", "lo", "up")
	l.inSwitch("ip", "link", "add", "br0", "type", "bridge")
	l.inSwitch("ip", "link", "set", "br0", "up")
	for _, addr := range []string{"10.4.7.1/24", "10.4.7.21/24", "10.4.7.22/24"} {
		l.inSwitch("ip", "address", "add", addr, "dev", "br0")
	}
	return l
}

// needs skips a test where the machine cannot run it, and fails it in CI.
func needs(t *testing.T) {
	t.Helper()
	missing := func(format string, args ...any) {
		t.Helper()
		reason := fmt.Sprintf(format, args...)
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s; CI must have it", reason)
		}
		t.Skip(reason)
	}
	for _, program := range []string{"nginx", "keepalived", "ip", "ss", "curl", "unshare", "nsenter", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			missing("%s is not installed (Debian: apt-get install nginx libnginx-mod-stream keepalived iproute2 curl openssl)", program)
		}
	}
	if _, err := os.Stat("/etc/nginx/modules-enabled/50-mod-stream.conf"); err != nil {
		missing("the stream module of nginx is not installed (Debian: libnginx-mod-stream)")
	}
	if out, err := exec.Command("unshare", "--net", "--mount", "--pid", "--fork", "true").CombinedOutput(); err != nil || os.Geteuid() != 0 {
		missing("no right to make namespaces: run as root (%v %s)", err, bytes.TrimSpace(out))
	}
}

// hold starts unshare and returns the id of the process that it forks.
func (l *lab) hold(name string, args ...string) int {
	l.t.Helper()
	cmd := exec.Command(name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		_ = cmd.Process.Kill() // takes the namespace with it: --kill-child
		_ = cmd.Wait()
	})
	children := fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid)
	var pid int
	l.eventually(time.Minute, "a process in new namespaces", func() bool {
		out, err := os.ReadFile(children)
		if err != nil || len(bytes.TrimSpace(out)) == 0 {
			return false
		}
		pid, err = strconv.Atoi(strings.Fields(string(out))[0])
		return err == nil
	})
	return pid
}

func (l *lab) inSwitch(args ...string) {
	l.t.Helper()
	l.must(append([]string{"nsenter", "--net=/proc/" + strconv.Itoa(l.pid) + "/ns/net"}, args...)...)
}

func (l *lab) must(args ...string) {
	l.t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		l.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// eventually waits until a condition holds.
func (l *lab) eventually(limit time.Duration, what string, holds func() bool) {
	l.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		if holds() {
			return
		}
		if time.Now().After(end) {
			l.t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// listen listens on an address of the switch.
func (l *lab) listen(addr string) net.Listener {
	l.t.Helper()
	var ln net.Listener
	err := l.enter(func() (err error) {
		ln, err = net.Listen("tcp4", addr) //nolint:noctx // ends with the test
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// client is an HTTP client on the switch. Every request has its own connection.
func (l *lab) client() *http.Client {
	return &http.Client{
		Timeout: 5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: l.dial},
	}
}

func (l *lab) dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	err = l.enter(func() (err error) {
		conn, err = (&net.Dialer{Timeout: 3 * time.Second}).DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

// probe asks from the switch whether the edge answers, a line each.
func (l *lab) probe(c edge.Config) string {
	l.t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		l.t.Fatal(err)
	}
	cmd := exec.Command("nsenter", "--net=/proc/"+strconv.Itoa(l.pid)+"/ns/net", os.Args[0])
	cmd.Env = append(os.Environ(), probeEnv+"="+string(text))
	out, err := cmd.CombinedOutput()
	if err != nil {
		l.t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// plug sets the host's port on the switch up or down.
func (h *labHost) plug(state string) { h.inSwitch("ip", "link", "set", h.port(), state) }

func (h *labHost) port() string { return "v" + h.name[len(h.name)-2:] }

// enter runs do on a thread in the network of the switch: a socket stays in the
// network that it was made in.
func (l *lab) enter(do func() error) error {
	errs := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this function
		ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", l.pid))
		if err != nil {
			errs <- err
			return
		}
		defer func() { _ = ns.Close() }()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			errs <- err
			return
		}
		errs <- do()
	}()
	return <-errs
}

// labHost is an edge host of a lab.
type labHost struct {
	*lab
	name string
	pid  int
	etc  string // the host's /etc/nginx and /etc/keepalived, seen from the test
}

// hostSetup gives a host its own /etc/nginx and /etc/keepalived, as the packages
// install them, and empty directories for what runs there.
const hostSetup = `set -e
mount --make-rprivate /
mount -t proc proc /proc
cp -a /etc/nginx "$1/nginx"
mkdir -p "$1/keepalived"
mount --bind "$1/nginx" /etc/nginx
mount --bind "$1/keepalived" /etc/keepalived
for dir in /run /var/log /var/lib/nginx /var/backups; do mount -t tmpfs tmpfs "$dir"; done
mkdir /var/log/nginx
touch "$1/ready"
exec sleep "$2"
`

func (l *lab) host(name, address, iface string) *labHost {
	l.t.Helper()
	h := &labHost{lab: l, name: name, etc: l.t.TempDir()}
	h.pid = l.hold("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", hostSetup, "sh", h.etc, seconds(labLife))
	l.eventually(time.Minute, "the host "+name, func() bool {
		_, err := os.Stat(filepath.Join(h.etc, "ready"))
		return err == nil
	})
	l.inSwitch("ip", "link", "add", h.port(), "type", "veth", "peer", "name", iface, "netns", strconv.Itoa(h.pid))
	l.inSwitch("ip", "link", "set", h.port(), "master", "br0", "up")
	for _, args := range [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"ip", "address", "add", address + "/24", "dev", iface},
		{"ip", "link", "set", iface, "up"},
	} {
		if out, err := h.run(args...); err != nil {
			l.t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	return h
}

// run runs a program on the host.
func (h *labHost) run(args ...string) (string, error) {
	out, err := exec.Command("nsenter", append([]string{"--target", strconv.Itoa(h.pid), "--net", "--mount", "--pid"}, args...)...).CombinedOutput()
	return string(out), err
}

// certificate makes a certificate for a name where the edge looks for it.
func (h *labHost) certificate(name string) {
	h.t.Helper()
	certs := filepath.Join(h.etc, "nginx", "certs")
	if err := os.MkdirAll(certs, 0o700); err != nil {
		h.t.Fatal(err)
	}
	h.must("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
		"-subj", "/CN="+name, "-addext", "subjectAltName=DNS:"+name,
		"-keyout", filepath.Join(certs, name+".key"), "-out", filepath.Join(certs, name+".crt"))
}

// install writes the rendered files of the host and runs its install script.
func (h *labHost) install(c edge.Config) (output string, code int) {
	h.t.Helper()
	dir := h.t.TempDir()
	write(h.t, dir, render(h.t, c))
	out, err := h.run(filepath.Join(dir, h.name, "install.sh"))
	if err == nil {
		return out, 0
	}
	exit, ok := err.(*exec.ExitError) //nolint:errorlint // Run wraps nothing
	if !ok {
		h.t.Fatal(err)
	}
	return out, exit.ExitCode()
}

// mustInstall installs and expects that it works.
func (h *labHost) mustInstall(c edge.Config) string {
	h.t.Helper()
	out, code := h.install(c)
	if code != 0 {
		h.t.Fatalf("install.sh on %s: exit code %d\n%s", h.name, code, out)
	}
	return out
}

// holds says whether the host has an address.
func (h *labHost) holds(address string) bool {
	out, err := h.run("ip", "-4", "-o", "address", "show", "to", address+"/32")
	return err == nil && out != ""
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
