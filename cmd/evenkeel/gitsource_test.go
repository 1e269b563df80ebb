package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/seed-428f4edd/evenkeel/apply/reconcile/remote"
)

// TestGitSource reads one repository as it is served in production: over https
// with a token and a private authority, over ssh with a key and known hosts, and
// from a directory; branches, tags, and nothing but the newest commit.
func TestGitSource(t *testing.T) {
	bare, commits := newRemote(t)
	dir := t.TempDir()
	server := httptest.NewUnstartedServer(gitOverHTTP(t, bare, "t0ken"))
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := write(t, dir, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	address, known, key := gitOverSSH(t, bare, dir)

	sources := map[string]remote.Git{
		"https": {URL: server.URL + "/repo.git", CA: ca, TokenFile: write(t, dir, "token", "t0ken\n")},
		"ssh":   {URL: "ssh://git@" + address + bare, Key: key, KnownHosts: known},
		"file":  {URL: "file://" + bare},
	}
	for name, s := range sources {
		t.Run(name, func(t *testing.T) {
			for ref, want := range map[string]string{"main": commits[1], "refs/heads/main": commits[1], "HEAD": commits[1], "v1": commits[0], "annotated": commits[0]} {
				s.Ref = ref
				head, err := s.Head(t.Context())
				if err != nil || head != want {
					t.Errorf("%s is %s, want %s: %v", ref, head, want, err)
				}
			}
			s.Ref = "main"
			root := t.TempDir()
			at, err := s.Clone(t.Context(), root)
			if err != nil || at.Commit != commits[1] {
				t.Fatalf("checkout: %s, want %s: %v", at.Commit, commits[1], err)
			}
			if data, err := os.ReadFile(filepath.Join(root, "file")); err != nil || string(data) != "two" {
				t.Errorf("file: %q, %v", data, err)
			}
			repo, err := git.PlainOpen(root)
			if err != nil {
				t.Fatal(err)
			}
			if shallow, err := repo.Storer.Shallow(); err != nil || len(shallow) != 1 {
				t.Errorf("the clone is not shallow: %v, %v", shallow, err)
			}
			s.Ref = "none"
			if _, err := s.Head(t.Context()); err == nil || !strings.Contains(err.Error(), `no branch or tag "none"`) {
				t.Errorf("a reference that is none: %v", err)
			}
		})
	}

	refused := map[string]remote.Git{
		"wrong token":      {URL: server.URL + "/repo.git", CA: ca, TokenFile: write(t, dir, "wrong", "n0t-it")},
		"unknown CA":       {URL: server.URL + "/repo.git", TokenFile: filepath.Join(dir, "token")},
		"token in the URL": {URL: strings.Replace(server.URL, "https://", "https://git:n0t-it@", 1) + "/repo.git", CA: ca},
		"unknown host":     {URL: "ssh://git@" + address + bare, Key: key, KnownHosts: write(t, dir, "empty", "")},
		"no key":           {URL: "ssh://git@" + address + bare, Key: filepath.Join(dir, "nothing"), KnownHosts: known},
	}
	for name, s := range refused {
		s.Ref = "main"
		if _, err := s.Head(t.Context()); err == nil || strings.Contains(err.Error(), "n0t-it") || strings.Contains(err.Error(), "t0ken") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestGitStalls ends what a server does not answer.
func TestGitStalls(t *testing.T) {
	t.Parallel()
	stall := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stall:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(stall) })
	s := remote.Git{URL: server.URL + "/repo.git", Ref: "main", Patience: 100 * time.Millisecond}
	if _, err := s.Head(t.Context()); err == nil || !strings.Contains(err.Error(), "no answer within 100ms") {
		t.Errorf("head: %v", err)
	}
	if _, err := s.Clone(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "no answer within 1s") {
		t.Errorf("clone: %v", err)
	}

	// A handshake of ssh does not hear of the end of a context.
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	_, known, key := gitOverSSH(t, "/nowhere", t.TempDir())
	s = remote.Git{URL: "ssh://git@" + silent.Addr().String() + "/repo.git", Ref: "main", Key: key, KnownHosts: known, Patience: 100 * time.Millisecond}
	if _, err := s.Head(t.Context()); err == nil || !strings.Contains(err.Error(), "no answer within 100ms") {
		t.Errorf("head by ssh: %v", err)
	}
}

// TestSignatures takes commits of known keys only.
func TestSignatures(t *testing.T) {
	known, stranger := newKey(t), newKey(t)
	dir := t.TempDir()
	keyring := write(t, dir, "keyring", keyring(t, known))
	for name, test := range map[string]struct {
		key  *openpgp.Entity
		want string
	}{
		"known": {known, ""}, "stranger": {stranger, "no key of"}, "none": {nil, "is not signed"},
	} {
		t.Run(name, func(t *testing.T) {
			at := t.TempDir()
			repo, err := git.PlainInit(at, false)
			if err != nil {
				t.Fatal(err)
			}
			commitFile(t, repo, at, "one", test.key)
			s := remote.Git{URL: "file://" + at, Ref: "HEAD", Keyring: keyring}
			_, err = s.Clone(t.Context(), t.TempDir())
			if (test.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if err != nil {
				return
			}
			// What it descends from is known, unless going back is allowed.
			first, err := s.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			second := commitFile(t, repo, at, "two", test.key)
			newer, err := s.Clone(t.Context(), t.TempDir())
			if err != nil || newer.Commit != second || !remote.Descent(newer.Ancestors)(first) || remote.Descent(newer.Ancestors)(strings.Repeat("0", 40)) {
				t.Errorf("%+v descends from %s: %v", newer, first, err)
			}
			s.AllowRewind = true
			newer, err = s.Clone(t.Context(), t.TempDir())
			if err != nil || remote.Descent(newer.Ancestors) != nil {
				t.Errorf("with --allow-rewind: %+v, %v", newer, err)
			}
		})
	}
}

func newKey(t *testing.T) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity("ops", "", "ops@example.org", nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func commitFile(t *testing.T, repo *git.Repository, dir, text string, key *openpgp.Entity) string {
	t.Helper()
	write(t, dir, "file", text)
	tree, err := repo.Worktree()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Add("file"); err != nil {
		t.Fatal(err)
	}
	who := &object.Signature{Name: "ops", Email: "ops@example.org", When: time.Now()}
	hash, err := tree.Commit(text, &git.CommitOptions{Author: who, SignKey: key})
	if err != nil {
		t.Fatal(err)
	}
	return hash.String()
}

// newRemote is a bare repository with two commits on main, and two tags of the
// first.
func newRemote(t *testing.T) (bare string, commits []string) {
	t.Helper()
	work := t.TempDir()
	bare = filepath.Join(t.TempDir(), "repo.git")
	runGit := func(dir string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=ops", "GIT_AUTHOR_EMAIL=ops@example.org", "GIT_COMMITTER_NAME=ops", "GIT_COMMITTER_EMAIL=ops@example.org", "GIT_CONFIG_GLOBAL=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	runGit(work, "init", "-q", "-b", "main")
	for _, text := range []string{"one", "two"} {
		write(t, work, "file", text)
		runGit(work, "add", "file")
		runGit(work, "commit", "-q", "-m", text)
		commits = append(commits, runGit(work, "rev-parse", "HEAD"))
		if text == "one" {
			runGit(work, "tag", "v1")
			runGit(work, "tag", "-a", "-m", "x", "annotated")
		}
	}
	runGit(work, "clone", "-q", "--bare", work, bare)
	return bare, commits
}

// gitOverHTTP serves a bare repository with git's own server, to whoever has the
// token.
func gitOverHTTP(t *testing.T, bare, token string) http.Handler {
	t.Helper()
	path, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: path, Args: []string{"http-backend"},
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(bare), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != token {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	})
}

// gitOverSSH serves repositories to one key, with git's own server behind it, and
// returns the address, the known_hosts file and the file of the key.
func gitOverSSH(t *testing.T, bare, dir string) (address, known, key string) {
	t.Helper()
	signer := func() (ssh.Signer, ed25519.PrivateKey) {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ssh.NewSignerFromKey(private)
		if err != nil {
			t.Fatal(err)
		}
		return s, private
	}
	host, _ := signer()
	client, private := signer()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	key = write(t, dir, "id", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if !bytes.Equal(k.Marshal(), client.PublicKey().Marshal()) {
			return nil, fmt.Errorf("not this key")
		}
		return nil, nil
	}}
	config.AddHostKey(host)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveSSH(conn, config, bare)
		}
	}()
	address = listener.Addr().String()
	return address, write(t, dir, "known", knownhosts.Line([]string{knownhosts.Normalize(address)}, host.PublicKey())+"\n"), key
}

func serveSSH(conn net.Conn, config *ssh.ServerConfig, bare string) {
	defer func() { _ = conn.Close() }()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		channel, requests, err := offered.Accept()
		if err != nil {
			return
		}
		for r := range requests {
			_ = r.Reply(r.Type == "exec" || r.Type == "env", nil)
			if r.Type != "exec" {
				continue
			}
			cmd := exec.Command("git", "-c", "safe.directory=*", "upload-pack", bare)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = channel, channel, channel.Stderr()
			status := uint32(0)
			if cmd.Run() != nil {
				status = 1
			}
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
			_ = channel.Close()
		}
	}
}

// keyring has the public key, armored.
func keyring(t *testing.T, known *openpgp.Entity) string {
	t.Helper()
	var ring bytes.Buffer
	w, err := armor.Encode(&ring, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(known.Serialize(w), w.Close()); err != nil {
		t.Fatal(err)
	}
	return ring.String()
}
