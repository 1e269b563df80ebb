package edge_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-428f4edd/evenkeel/render/edge"
)

// The checkers of nginx and keepalived say nothing but that all is well.
func TestCheckers(t *testing.T) {
	t.Parallel()
	configs := configs()
	long := od()
	long.L7.Names = []string{strings.Repeat("a", 63) + "." + strings.Repeat("b", 63) + "." + strings.Repeat("c", 63) + ".example.org"}
	configs["a long server name"] = long
	for name, c := range configs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := c.Hosts["hdss7-11"]
			h := newLab(t).host("hdss7-11", host.Address, host.Interface)
			h.certificate("dashboard.od.com")
			h.certificate("shop.example.org")
			h.certificate("od.com")
			for host, t := range c.L7.TLS {
				t.Certificate, t.Key = "", ""
				c.L7.TLS[host] = t
			}
			c.Check.URLs = nil // there is no API server in this lab
			h.mustInstall(c)
			out, err := h.run("nginx", "-t")
			want := "nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\nnginx: configuration file /etc/nginx/nginx.conf test is successful\n"
			if err != nil || out != want {
				t.Errorf("nginx -t: %v\n%s", err, out)
			}
			if out, err := h.run("keepalived", "-t"); err != nil || out != "" {
				t.Errorf("keepalived -t: %v\n%s", err, out)
			}
		})
	}
}

// The install script: what it does, what it refuses, and what it puts back.
func TestInstall(t *testing.T) {
	t.Parallel()
	h := newLab(t).host("hdss7-11", "10.4.7.11", "eth0")
	c := od()

	refused := func(why string) {
		t.Helper()
		before := tree(t, h.etc)
		out, code := h.install(c)
		if code != 2 || !strings.Contains(out, why) {
			t.Errorf("exit code %d, want 2 and %q:\n%s", code, why, out)
		}
		if d := cmp.Diff(before, tree(t, h.etc)); d != "" {
			t.Errorf("refused, but something changed:\n%s", d)
		}
	}
	refused("the certificate of dashboard.od.com is not at /etc/nginx/certs/dashboard.od.com.crt")
	h.certificate("grafana.od.com")
	certs := filepath.Join(h.etc, "nginx/certs")
	for _, ext := range []string{".crt", ".key"} {
		h.must("cp", filepath.Join(certs, "grafana.od.com"+ext), filepath.Join(certs, "dashboard.od.com"+ext))
	}
	refused("does not hold the name dashboard.od.com")
	h.certificate("dashboard.od.com")

	edit(&c, "hdss7-11", func(h *edge.Host) { h.Address = "10.4.7.19" })
	refused("10.4.7.19 is not an address of eth0 here: is this hdss7-11?")
	c = od()

	// a server that answers for one of our names, and one that nginx refuses
	other := filepath.Join(h.etc, "nginx/conf.d/zz.conf")
	rolledBack := func(why string) {
		t.Helper()
		before := tree(t, h.etc)
		out, code := h.install(c)
		if code != 1 || !strings.Contains(out, why) || !strings.Contains(out, "everything is as it was before") {
			t.Errorf("exit code %d, want 1 and %q:\n%s", code, why, out)
		}
		if d := cmp.Diff(before, tree(t, h.etc)); d != "" {
			t.Errorf("put back, but something changed:\n%s", d)
		}
	}
	put(t, other, "server { listen 80; server_name dashboard.od.com; }\n")
	rolledBack(`conflicting server name "dashboard.od.com"`)
	put(t, other, "server { listen 80 default_server; }\n")
	rolledBack("a duplicate default server for 0.0.0.0:80")
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}

	h.mustInstall(c)
	installed := tree(t, h.etc)
	if n := strings.Count(installed["nginx/nginx.conf"], "include /etc/nginx/evenkeel-stream.conf;\n"); n != 1 {
		t.Errorf("nginx.conf includes the stream block %d times", n)
	}
	if _, there := installed["nginx/sites-enabled/default"]; there {
		t.Error("Debian's welcome page is still enabled")
	}
	live := t.TempDir()
	if err := os.CopyFS(filepath.Join(live, "hdss7-11"), withoutLinks(t, h.etc)); err != nil {
		t.Fatal(err)
	}
	diffs, err := edge.Compare(render(t, c), os.DirFS(live))
	if err != nil || len(diffs) != 0 {
		t.Errorf("what was installed is not as rendered: %v %v", diffs, err)
	}

	if out := h.mustInstall(c); out != "hdss7-11: nothing to change\n" {
		t.Errorf("the second run said:\n%s", out)
	}
	if d := cmp.Diff(installed, tree(t, h.etc)); d != "" {
		t.Errorf("the second run changed something:\n%s", d)
	}

	// what runs is put back with the files, where the health check fails
	c.L4.Listen = 9443
	c.Check.URLs = []string{"http://127.0.0.1:9/"}
	rolledBack("no answer from http://127.0.0.1:9/")
	if out, err := h.run("/etc/keepalived/check_edge.sh"); err != nil {
		t.Errorf("nginx does not run as before: %v\n%s", err, out)
	}

	c = od()
	c.L7.TLS = nil
	h.mustInstall(c)
	if _, there := tree(t, h.etc)["nginx/conf.d/dashboard.od.com.conf"]; there {
		t.Error("a host name that is no longer rendered is still served")
	}
}

// tree is what a directory holds: content and mode of files, the aim of links.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			files[name], err = os.Readlink(path)
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		files[name] = info.Mode().String() + "\n" + string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// withoutLinks is a directory without its links, as most people fetch it.
func withoutLinks(t *testing.T, dir string) fs.FS {
	t.Helper()
	fetched := t.TempDir()
	h := filepath.Join(fetched, "etc")
	for name, content := range tree(t, dir) {
		if strings.HasPrefix(content, "-") {
			_, content, _ = strings.Cut(content, "\n")
			put(t, filepath.Join(h, name), content)
		}
	}
	return os.DirFS(h)
}

func put(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
