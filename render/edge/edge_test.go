package edge_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-428f4edd/evenkeel/render/edge"
)

// od is the site of the worked examples.
func od() edge.Config {
	return edge.Config{
		Site: "od",
		VIP:  "10.4.7.10",
		VRID: 251,
		Hosts: map[string]edge.Host{
			"hdss7-11": {Address: "10.4.7.11", Priority: 100, Interface: "eth0"},
			"hdss7-12": {Address: "10.4.7.12", Priority: 90, Interface: "eth0"},
		},
		Mode:          "nopreempt",
		Unicast:       true,
		AdvertSeconds: 1,
		Check:         edge.Check{IntervalSeconds: 1, TimeoutSeconds: 2, Fall: 3, Rise: 2},
		L4: edge.L4{
			Enabled: true, Listen: 7443, Backends: []string{"10.4.7.21:6443", "10.4.7.22:6443"},
			ConnectSeconds: 2, IdleSeconds: 900,
		},
		L7: edge.L7{
			Domain: "od.com", Nodes: []string{"10.4.7.21", "10.4.7.22"}, Port: 81,
			BodySize: "50m", ReadSeconds: 3600,
			TLS: map[string]edge.TLS{"dashboard.od.com": {Redirect: true}},
		},
		Network:      "10.4.7.0/24",
		DNSServers:   []string{"10.4.7.11"},
		IngressHosts: []string{"traefik.od.com", "demo-prod.od.com", "dashboard.od.com", "demo-prod.od.com"},
	}
}

// preempting is the same site with all that od does without.
func preempting() edge.Config {
	c := od()
	c.Mode, c.Auth, c.Check.Weight, c.AdvertSeconds = "preempt", "11111111", -20, 2
	c.Hosts["hdss7-11"] = edge.Host{Address: "10.4.7.11", Priority: 100, Interface: "ens33", State: "MASTER"}
	c.Check.URLs = []string{"https://127.0.0.1:8443/readyz"}
	c.L4.Listen, c.L4.ConnectSeconds, c.L4.IdleSeconds = 8443, 3, 1800
	c.L7.Names = []string{"*.od.example", "shop.example.org"}
	c.L7.BodySize, c.L7.ReadSeconds = "1g", 7200
	c.L7.TLS = map[string]edge.TLS{
		"od.com":           {Certificate: "/etc/ssl/od.crt", Key: "/etc/ssl/od.key"},
		"shop.example.org": {Redirect: true},
	}
	c.IngressHosts = []string{"od.com", "*.apps.od.com", "demo.od.com", "shop.example.org"}
	return c
}

// bare is the same site with all left out that can be.
func bare() edge.Config {
	c := od()
	delete(c.Hosts, "hdss7-12")
	c.Unicast, c.L4, c.L7.TLS, c.DNSServers, c.IngressHosts = false, edge.L4{}, nil, nil, nil
	return c
}

// configs are those that golden files show.
func configs() map[string]edge.Config {
	return map[string]edge.Config{"od": od(), "preempting": preempting(), "bare": bare()}
}

func TestFilesGolden(t *testing.T) {
	for name, c := range configs() {
		t.Run(name, func(t *testing.T) {
			files := render(t, c)
			dir := filepath.Join("testdata", "golden", name)
			if os.Getenv("UPDATE") != "" {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				write(t, dir, files)
			}
			want := map[string]string{}
			err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				content, err := os.ReadFile(filepath.Join(dir, path))
				want[path] = string(content)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, f := range files {
				got[f.Name()] = f.Content
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("-golden +rendered (UPDATE=1 go test writes the golden files):\n%s", d)
			}
		})
	}
}

// Rendering is a function of its input, and leaves it alone.
func TestFilesDeterministic(t *testing.T) {
	c, before := preempting(), preempting()
	first, second := render(t, c), render(t, c)
	if d := cmp.Diff(first, second); d != "" {
		t.Errorf("two runs differ:\n%s", d)
	}
	if d := cmp.Diff(before, c); d != "" {
		t.Errorf("the Config was changed:\n%s", d)
	}
}

// The facts that hold for any rendered edge.
func TestFilesHold(t *testing.T) {
	for name, c := range configs() {
		t.Run(name, func(t *testing.T) {
			for _, f := range render(t, c) {
				for n, line := range strings.Split(f.Content, "\n") {
					if strings.TrimRight(line, " \t") != line {
						t.Errorf("%s:%d: space at the end of the line", f.Name(), n+1)
					}
				}
				if !strings.HasSuffix(f.Content, "\n") || strings.HasSuffix(f.Content, "\n\n") {
					t.Errorf("%s does not end with one newline", f.Name())
				}
				if strings.Contains(f.Content, "<no value>") {
					t.Errorf("%s holds <no value>", f.Name())
				}
				if c.Auth != "" && strings.Contains(f.Content, c.Auth) && f.Mode.Perm() != 0o600 {
					t.Errorf("%s holds the password and has mode %o", f.Name(), f.Mode)
				}
			}
		})
	}
}

func TestCompare(t *testing.T) {
	files := render(t, preempting())
	asRendered := func() fstest.MapFS {
		live := fstest.MapFS{"hdss7-11/nginx/nginx.conf": {Data: []byte("http {}\n  include /etc/nginx/evenkeel-stream.conf;\n")}}
		for _, f := range files {
			if f.Host == "hdss7-11" {
				live[f.Name()] = &fstest.MapFile{Data: []byte(f.Content)}
			}
		}
		return live
	}
	const keepalived = "hdss7-11/keepalived/keepalived.conf"
	replace := func(live fstest.MapFS, name, old, with string) {
		live[name].Data = []byte(strings.Replace(string(live[name].Data), old, with, 1))
	}
	for _, tt := range []struct {
		name   string
		change func(fstest.MapFS)
		want   []string // host, path and problem
		shown  []string // lines of the diff
	}{
		{"as rendered", func(fstest.MapFS) {}, nil, nil},
		{
			"a file is missing",
			func(live fstest.MapFS) { delete(live, "hdss7-11/nginx/stream.d/apiserver.conf") },
			[]string{"hdss7-11 nginx/stream.d/apiserver.conf missing"},
			nil,
		},
		{
			"a line was edited",
			func(live fstest.MapFS) { replace(live, keepalived, "priority 100", "priority 80") },
			[]string{"hdss7-11 keepalived/keepalived.conf differs"},
			[]string{"-    priority 80", "+    priority 100"},
		},
		{
			"a password is not shown",
			func(live fstest.MapFS) { replace(live, keepalived, "11111111", "geheim") },
			[]string{"hdss7-11 keepalived/keepalived.conf differs"},
			[]string{"-        auth_pass (hidden, another one)", "+        auth_pass (hidden)"},
		},
		{
			"no password is shown, wherever it stands",
			func(live fstest.MapFS) {
				replace(live, keepalived, "        auth_pass 11111111", "# auth_pass geheim1 # auth_pass geheim2\n  authentication { auth_type PASS auth_pass geheim3 }\n\tauth_pass\v\"geheim4\"\r")
			},
			[]string{"hdss7-11 keepalived/keepalived.conf differs"},
			[]string{"-# auth_pass (hidden, another one)", "-  authentication { auth_type PASS auth_pass (hidden, another one)", "-\tauth_pass (hidden, another one)", "+        auth_pass (hidden)"},
		},
		{
			"a host is still served",
			func(live fstest.MapFS) {
				live["hdss7-11/nginx/conf.d/old.od.com.conf"] = &fstest.MapFile{Data: []byte("# Rendered by evenkeel edge for hdss7-11.\n")}
			},
			[]string{"hdss7-11 nginx/conf.d/old.od.com.conf left over"},
			nil,
		},
		{
			"somebody else's file",
			func(live fstest.MapFS) {
				live["hdss7-11/nginx/conf.d/wiki.conf"] = &fstest.MapFile{Data: []byte("server {}\n")}
			}, nil, nil,
		},
		{
			"nginx.conf does not load the stream block",
			func(live fstest.MapFS) { replace(live, "hdss7-11/nginx/nginx.conf", "include", "# include") },
			[]string{"hdss7-11 nginx/nginx.conf differs"},
			[]string{"the line is missing: include /etc/nginx/evenkeel-stream.conf;"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			live := asRendered()
			tt.change(live)
			diffs, err := edge.Compare(files, live)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			var shown strings.Builder
			for _, d := range diffs {
				got = append(got, d.Host+" "+d.Path+" "+d.Problem)
				shown.WriteString(d.Diff)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			for _, line := range tt.shown {
				if !strings.Contains(shown.String(), line+"\n") {
					t.Errorf("the diff lacks %q:\n%s", line, shown.String())
				}
			}
			for _, secret := range []string{"11111111", "geheim"} {
				if strings.Contains(shown.String(), secret) {
					t.Errorf("the diff shows %q:\n%s", secret, shown.String())
				}
			}
		})
	}

	if _, err := edge.Compare(files, fstest.MapFS{"nginx/nginx.conf": {}}); err == nil {
		t.Error("a directory without any host compares as equal")
	}
	large := fstest.MapFS{
		"hdss7-11/keepalived/keepalived.conf": {Data: make([]byte, 2<<20)}, "hdss7-11/nginx/nginx.conf": {Data: make([]byte, 2<<20)},
		"hdss7-11/nginx/conf.d/of-others.conf": {Data: make([]byte, 2<<20)},
	}
	if _, err := edge.Compare(files, large); err == nil || strings.Count(err.Error(), "larger than 1 MiB") != 2 {
		t.Errorf("large files: %v", err)
	}
	for _, name := range []string{"keepalived/keepalived.conf", "nginx/nginx.conf", "nginx/conf.d/x.conf"} {
		live := fstest.MapFS{"hdss7-11/" + name: {Mode: fs.ModeNamedPipe}, "hdss7-12/nginx/conf.d/y.conf": {Mode: fs.ModeDir}}
		diffs, err := edge.Compare(files, live)
		if err == nil || strings.Count(err.Error(), "not a regular file") != 2 {
			t.Errorf("a pipe in place of %s: %v", name, err)
		}
		if !slices.ContainsFunc(diffs, func(d edge.Difference) bool { return d.Host == "hdss7-12" && d.Problem == edge.Missing }) {
			t.Errorf("a pipe in place of %s hides what else differs: %v", name, diffs)
		}
	}
}

func render(t *testing.T, c edge.Config) []edge.File {
	t.Helper()
	files, err := edge.Files(c)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// write puts rendered files below a directory.
func write(t *testing.T, dir string, files []edge.File) {
	t.Helper()
	for _, f := range files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name()))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(f.Content), f.Mode); err != nil {
			t.Fatal(err)
		}
	}
}
