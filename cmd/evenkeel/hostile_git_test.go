package main

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply/reconcile/remote"
)

// hostilePack is a pack as a git host sends it, made by hand: git refuses to make
// most of what is tried here.
type hostilePack struct {
	objects bytes.Buffer
	count   uint32
	offsets map[string]int // of objects, by hash
}

// The types of objects in a pack; gitformat-pack(5).
const (
	packCommit   = 1
	packTree     = 2
	packBlob     = 3
	packOfsDelta = 6
)

func (p *hostilePack) add(kind int, size int64, content io.Reader) {
	p.count++
	first := byte(kind<<4) | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		p.objects.WriteByte(first | 0x80)
		first = byte(size & 0x7f)
	}
	p.objects.WriteByte(first)
	if content == nil {
		return
	}
	p.deflate(content)
}

func (p *hostilePack) deflate(content io.Reader) {
	z := zlib.NewWriter(&p.objects)
	if _, err := io.Copy(z, content); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
}

// object adds an object and returns its hash.
func (p *hostilePack) object(kind int, content []byte) string {
	name := map[int]string{packCommit: "commit", packTree: "tree", packBlob: "blob"}[kind]
	hash := sha1.Sum(fmt.Appendf(nil, "%s %d\x00%s", name, len(content), content))
	if p.offsets == nil {
		p.offsets = map[string]int{}
	}
	id := hex.EncodeToString(hash[:])
	if _, there := p.offsets[id]; !there {
		p.offsets[id] = 12 + p.objects.Len()
		p.add(kind, int64(len(content)), bytes.NewReader(content))
	}
	return id
}

// zeros adds a blob of so many zeros, which takes a thousandth of that.
func (p *hostilePack) zeros(size int64) string {
	hash := sha1.New()
	fmt.Fprintf(hash, "blob %d\x00", size)
	if _, err := io.CopyN(hash, nothing{}, size); err != nil {
		panic(err)
	}
	p.add(packBlob, size, io.LimitReader(nothing{}, size))
	return hex.EncodeToString(hash.Sum(nil))
}

// delta adds an object that copies all of a base many times.
func (p *hostilePack) delta(base string, size, times int) {
	at := 12 + p.objects.Len()
	var d bytes.Buffer
	d.Write(binary.AppendUvarint(nil, uint64(size)))
	d.Write(binary.AppendUvarint(nil, uint64(size)*uint64(times)))
	for range times {
		d.Write([]byte{0x80 | 0x70, byte(size), byte(size >> 8), byte(size >> 16)})
	}
	p.add(packOfsDelta, int64(d.Len()), nil)
	distance := at - p.offsets[base]
	encoded := []byte{byte(distance & 0x7f)}
	for distance >>= 7; distance > 0; distance >>= 7 {
		distance--
		encoded = append([]byte{byte(distance&0x7f) | 0x80}, encoded...)
	}
	p.objects.Write(encoded)
	p.deflate(&d)
}

type treeEntry struct{ mode, name, hash string }

func (p *hostilePack) tree(entries ...treeEntry) string {
	var b bytes.Buffer
	for _, e := range entries {
		raw, err := hex.DecodeString(e.hash)
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(&b, "%s %s\x00%s", e.mode, e.name, raw)
	}
	return p.object(packTree, b.Bytes())
}

func (p *hostilePack) commit(tree string) string {
	return p.object(packCommit, fmt.Appendf(nil, "tree %s\nauthor a <a@example.org> 1 +0000\ncommitter a <a@example.org> 1 +0000\n\nx\n", tree))
}

func (p *hostilePack) bytes() []byte {
	var b bytes.Buffer
	b.WriteString("PACK")
	b.Write(binary.BigEndian.AppendUint32(nil, 2))
	b.Write(binary.BigEndian.AppendUint32(nil, p.count))
	b.Write(p.objects.Bytes())
	sum := sha1.Sum(b.Bytes())
	b.Write(sum[:])
	return b.Bytes()
}

// nothing is zeros without an end.
type nothing struct{}

func (nothing) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func pkt(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }

// hostileHost is a git server over http that sends what it is made of.
type hostileHost struct {
	head string
	refs func(w http.ResponseWriter) // in place of the references
	pack func(w http.ResponseWriter)
	sent atomic.Int64
}

// Write counts what is sent, and panics as net/http wants where nobody reads any more.
func (h *hostileHost) send(w http.ResponseWriter, text string) {
	n, err := io.WriteString(w, text)
	h.sent.Add(int64(n))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

func (h *hostileHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/info/refs"):
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		if h.refs != nil {
			h.refs(w)
			return
		}
		h.send(w, pkt("# service=git-upload-pack\n")+"0000"+pkt(h.head+" HEAD\x00shallow ofs-delta\n")+pkt(h.head+" refs/heads/main\n")+"0000")
	case h.pack != nil:
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		h.send(w, pkt("shallow "+h.head)+"0000"+pkt("NAK\n"))
		h.pack(w)
	}
}

// packed is a host with one pack.
func packed(head string, p *hostilePack) *hostileHost {
	h := &hostileHost{head: head}
	all := string(p.bytes())
	h.pack = func(w http.ResponseWriter) { h.send(w, all) }
	return h
}

// hostileHosts are hosts, and the limit that each meets with 256Mi of memory and 32Mi
// of disk.
func hostileHosts() map[string]struct {
	host *hostileHost
	want string
} {
	const memory, disk = "given up: fetching the repository takes more than 256Mi of memory", "given up: the repository takes more than 32Mi on disk"
	type host = struct {
		host *hostileHost
		want string
	}
	hosts := map[string]host{}

	endless := &hostileHost{head: strings.Repeat("1", 40)}
	endless.refs = func(w http.ResponseWriter) {
		endless.send(w, pkt("# service=git-upload-pack\n")+"0000"+pkt(endless.head+" HEAD\x00shallow\n"))
		for i := 0; ; {
			var lines strings.Builder
			for range 10_000 {
				lines.WriteString(pkt(fmt.Sprintf("%s refs/heads/b%012d\n", endless.head, i)))
				i++
			}
			endless.send(w, lines.String())
		}
	}
	hosts["references without an end"] = host{endless, memory}

	refusal := &hostileHost{}
	refusal.refs = func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusForbidden)
		for {
			refusal.send(w, strings.Repeat("no \x1b[31m", 1<<16))
		}
	}
	hosts["a refusal without an end"] = host{refusal, memory}

	p := &hostilePack{}
	hosts["a huge file"] = host{packed(p.commit(p.tree(treeEntry{"100644", "zeros", p.zeros(1 << 30)})), p), memory}

	p = &hostilePack{}
	const base = 8 << 20
	zeros := p.object(packBlob, make([]byte, base))
	p.delta(zeros, base, 500)
	hosts["a delta of gigabytes"] = host{packed(p.commit(p.tree(treeEntry{"100644", "zeros", zeros})), p), memory}

	p = &hostilePack{}
	level := p.tree(treeEntry{"100644", "f", p.object(packBlob, []byte("x"))})
	for range 12 {
		var entries []treeEntry
		for i := range 20 {
			entries = append(entries, treeEntry{"40000", fmt.Sprintf("d%02d", i), level})
		}
		level = p.tree(entries...)
	}
	hosts["few trees, many files"] = host{packed(p.commit(level), p), disk}

	p = &hostilePack{}
	one := p.object(packBlob, []byte("x"))
	var wide []treeEntry
	for i := range 1_000_000 {
		wide = append(wide, treeEntry{"100644", fmt.Sprintf("f%08d", i), one})
	}
	hosts["a directory of a million files"] = host{packed(p.commit(p.tree(wide...)), p), "given up: a commit or a directory of the repository takes more than 32Mi"}

	p = &hostilePack{}
	level = p.tree(treeEntry{"100644", "f", p.object(packBlob, []byte("x"))})
	for range 5000 {
		level = p.tree(treeEntry{"40000", "d", level})
	}
	hosts["a path of many directories"] = host{packed(p.commit(level), p), "given up: the repository has a path of more than 4096 bytes"}

	stream := &hostileHost{head: strings.Repeat("2", 40)}
	stream.pack = func(w http.ResponseWriter) {
		var b bytes.Buffer
		noise := &hostilePack{}
		noise.add(packBlob, 1<<40, nil)
		b.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x01")
		b.Write(noise.objects.Bytes())
		b.WriteString("\x78\x01")
		stream.send(w, b.String())
		block := "\x00\xff\xff\x00\x00" + strings.Repeat("\x00", 0xffff) // stored, not the last
		for {
			stream.send(w, block)
		}
	}
	hosts["a pack without an end"] = host{stream, disk}

	claims := &hostileHost{head: strings.Repeat("3", 40)}
	claims.pack = func(w http.ResponseWriter) { claims.send(w, "PACK\x00\x00\x00\x02\xff\xff\xff\xff\x30\x78") }
	hosts["a pack that claims four billion objects"] = host{claims, memory}

	p = &hostilePack{}
	out := p.object(packBlob, []byte("/tmp"))
	inner := p.tree(treeEntry{"100644", "planted", one})
	hosts["a link and a directory of one name"] = host{packed(p.commit(p.tree(treeEntry{"120000", "a", out}, treeEntry{"40000", "a", inner})), p), `two entries "a"`}
	around := &hostileHost{}
	around.refs = func(w http.ResponseWriter) {
		w.Header().Set("Location", "/"+strings.Repeat("x", 1<<16)+"/info/refs")
		w.WriteHeader(http.StatusFound)
	}
	hosts["redirects without an end"] = host{around, "too many redirects"}
	for _, name := range []string{"..", ".", "a/b", ".git", ".GIT"} {
		p = &hostilePack{}
		p.object(packBlob, []byte("x"))
		hosts["the name "+name] = host{packed(p.commit(p.tree(treeEntry{"40000", name, inner})), p), "which is no file name"}
	}
	return hosts
}

// endedBy says whether a text names the limit that ends a host, or that of time: a busy
// machine takes more than a minute to receive what is too much.
func endedBy(text, limit string) bool {
	return strings.Contains(text, limit) || strings.Contains(text, "given up: no answer within ")
}

// TestHostileGitHost has hosts that send what has no end, or becomes endless when it is
// unpacked: the command ends, says host and limit, and leaves nothing.
func TestHostileGitHost(t *testing.T) {
	t.Parallel()
	hosts := hostileHosts()
	for _, name := range sortedNames(hosts) {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(hosts[name].host)
			defer server.Close()
			defer server.CloseClientConnections()
			temporary := t.TempDir()
			cmd := exec.CommandContext(t.Context(), "evenkeel", "reconcile", "--all", "--once",
				"--git", strings.Replace(server.URL, "http://", "http://ops:t0ken@", 1)+"/repo.git", "--render-memory", "256Mi", "--git-size", "32Mi")
			cmd.Env = append(os.Environ(), "TMPDIR="+temporary, "GOGC=50")
			begun := time.Now()
			out, err := cmd.CombinedOutput()
			text := string(out)
			if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != exitError {
				t.Errorf("%v", err)
			}
			if !strings.Contains(text, "error: git "+server.URL+"/repo.git, main: ") || !endedBy(text, hosts[name].want) ||
				strings.Contains(text, "t0ken") || strings.Count(text, "\n") > 2 {
				t.Errorf("want %q:\n%.2000s", hosts[name].want, text)
			}
			if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok { // in KiB on Linux
				t.Logf("%s, %d MB sent, %d MB resident", time.Since(begun).Round(10*time.Millisecond), hosts[name].host.sent.Load()>>20, usage.Maxrss>>10)
				if usage.Maxrss > 3<<19 { // what is given up goes on for a moment
					t.Errorf("it took %d MB", usage.Maxrss>>10)
				}
			}
			if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// TestSlowGitHost ends what a host sends a byte at a time.
func TestSlowGitHost(t *testing.T) {
	t.Parallel()
	slowly := func(w http.ResponseWriter, text string) {
		for _, c := range []byte(text) {
			time.Sleep(10 * time.Millisecond)
			_, err := w.Write([]byte{c})
			if err = errors.Join(err, http.NewResponseController(w).Flush()); err != nil {
				return
			}
		}
	}
	refs := &hostileHost{}
	refs.refs = func(w http.ResponseWriter) {
		slowly(w, pkt("# service=git-upload-pack\n")+"0000"+pkt(strings.Repeat("1", 40)+" HEAD\x00shallow\n")+strings.Repeat(pkt(strings.Repeat("1", 40)+" refs/heads/b\n"), 1000))
	}
	pack := &hostileHost{head: strings.Repeat("1", 40)}
	pack.pack = func(w http.ResponseWriter) {
		slowly(w, "PACK\x00\x00\x00\x02\x00\x00\x00\x01\xbf"+strings.Repeat("\xff", 10_000))
	}
	for name, host := range map[string]*hostileHost{"references": refs, "pack": pack} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(host)
			defer server.Close()
			defer server.CloseClientConnections()
			s := remote.Git{URL: server.URL + "/repo.git", Ref: "main", Patience: 200 * time.Millisecond}
			begun := time.Now()
			_, err := s.Clone(t.Context(), t.TempDir())
			if err == nil || !strings.Contains(err.Error(), "git "+server.URL+"/repo.git, main: given up: no answer within 2s") || time.Since(begun) > 20*time.Second {
				t.Errorf("after %s: %v", time.Since(begun), err)
			}
		})
	}
}

// TestGitErrors has a server repeat what opens the repository: none of it is in an error.
func TestGitErrors(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("away") == "" {
			http.Redirect(w, r, "ftp://example.org/?away=1&was="+r.URL.String()+r.Header.Get("Authorization"), http.StatusFound)
			return
		}
		http.Error(w, r.URL.String()+"\x1b[31m\u202e\n::error::"+r.Header.Get("Authorization"), http.StatusForbidden)
	}))
	t.Cleanup(server.Close)
	token := write(t, t.TempDir(), "token", "s3cret/+=")
	for _, query := range []string{"?private_token=qu3ry%2F", "?private_token=qu3ry%2F&away=1", "#fragm3nt"} {
		for _, user := range []string{"", "us3r@", "ops:passw0rd@"} {
			s := remote.Git{URL: strings.Replace(server.URL, "://", "://"+user, 1) + "/repo.git" + query, Ref: "main"}
			if user == "" {
				s.TokenFile = token
			}
			_, err := s.Head(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			text := err.Error()
			for _, secret := range []string{"s3cret", "qu3ry", "fragm3nt", "us3r", "passw0rd", "Basic ", "\x1b", "\u202e", "\n"} {
				if strings.Contains(text, secret) && !strings.Contains(text, "Basic ***") {
					t.Errorf("%s%s: %q", user, query, text)
				}
			}
			if !strings.HasPrefix(text, "git "+server.URL+"/repo.git, main: ") || len(text) > 700 {
				t.Errorf("%q", text)
			}
		}
	}
	for given, want := range map[string]string{
		"git@git.example.org:ops/envs.git?token=x":      "git.example.org:ops/envs.git, main",
		"ssh://t0ken@git.example.org/envs.git":          "ssh://git.example.org/envs.git, main",
		"https://git.example.org/envs.git?token=x#also": "https://git.example.org/envs.git, main",
	} {
		if got := (&remote.Git{URL: given, Ref: "main"}).Shown(); got != want {
			t.Errorf("%s is shown as %s", given, got)
		}
	}
}

// TestDaemonOutlivesHost goes on with the last good rendering where the host begins to
// send without an end, says so in /readyz without naming the host, and takes the host
// back when it is well.
func TestDaemonOutlivesHost(t *testing.T) {
	t.Parallel()
	bare := bareSite(t)
	honest := gitOverHTTP(t, bare, "t0ken")
	var hostile atomic.Pointer[hostileHost]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := hostile.Load(); h != nil {
			h.ServeHTTP(w, r)
			return
		}
		honest.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	temporary := t.TempDir()
	p := startDaemonIn(t, write(t, t.TempDir(), "kubeconfig", ""), []string{"TMPDIR=" + temporary, remote.EnvToken + "=t0ken"},
		"reconcile", "--all", "--git", server.URL+"/repo.git", "--interval", "1s", "--render-memory", "256Mi", "--git-size", "32Mi")
	until(t, "it is rendered", func() bool { return strings.Contains(p.said(), `"environments":1,"wrong":0`) })

	hosts := hostileHosts()
	for _, name := range []string{"references without an end", "a delta of gigabytes", "few trees, many files"} {
		hostile.Store(hosts[name].host)
		until(t, name, func() bool {
			code, body := p.get("/readyz")
			return code == http.StatusServiceUnavailable && endedBy(body, hosts[name].want) && strings.Contains(body, "source: given up: ") && strings.Contains(body, "; read last ") &&
				strings.Contains(body, "the last good state stands") && !strings.Contains(body, server.URL)
		})
		until(t, name+": the log names host and limit", func() bool {
			return strings.Contains(p.said(), "git "+server.URL+"/repo.git, main: given up: ") && endedBy(p.said(), hosts[name].want)
		})
		if rss := p.rss(t); rss > 200 {
			t.Errorf("%s: the daemon takes %.0f MB", name, rss)
		}
	}
	hostile.Store(nil)
	until(t, "the host is well", func() bool { _, body := p.get("/readyz"); return !strings.Contains(body, "source:") })
	if strings.Contains(p.said(), "t0ken") {
		t.Errorf("the log has the token:\n%s", p.said())
	}
	p.end(t)
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// bareSite is a bare repository with one environment.
func bareSite(t *testing.T) string {
	t.Helper()
	work, bare := t.TempDir(), filepath.Join(t.TempDir(), "repo.git")
	for _, dir := range []string{"cue.mod", "envs/good"} {
		if err := os.MkdirAll(filepath.Join(work, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, work, "cue.mod/module.cue", "module: \"example.org/shop@v0\"\nlanguage: version: \"v0.17.0\"\n")
	write(t, work, "envs/good/good.cue", strings.Replace(fmt.Sprintf(reconciledEnv, "good"), "package env", "package good", 1))
	for _, args := range [][]string{
		{"init", "-q", "-b", "main", work},
		{"-C", work, "add", "."},
		{"-C", work, "-c", "user.name=ops", "-c", "user.email=ops@example.org", "commit", "-q", "-m", "one"},
		{"clone", "-q", "--bare", work, bare},
	} {
		if out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	return bare
}

func sortedNames[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
