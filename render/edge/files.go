package edge

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/template"
)

// File is one rendered file.
type File struct {
	// Host is the edge host that the file is for; empty for one that is for
	// nobody in particular, such as the DNS records.
	Host string
	// Path is relative to the directory of the host, with slashes. What is below
	// nginx/ and keepalived/ belongs below /etc of the host.
	Path    string
	Mode    fs.FileMode
	Content string
}

// Name is the file's path below the directory of all hosts.
func (f File) Name() string {
	if f.Host == "" {
		return f.Path
	}
	return f.Host + "/" + f.Path
}

// installed says whether the file belongs on the host, not beside it.
func (f File) installed() bool {
	return f.Host != "" && (strings.HasPrefix(f.Path, "nginx/") || strings.HasPrefix(f.Path, "keepalived/"))
}

const (
	dirDNS = "dns"
	// marker stands in the first lines of every installed file: how a file that is
	// no longer rendered is told from one that somebody else put there.
	marker = "Rendered by evenkeel edge"
	// includeLine loads the stream block, which must stand at the top level of
	// nginx.conf: what Debian's nginx.conf includes by itself is inside http.
	includeLine = "include /etc/nginx/evenkeel-stream.conf;"
	// healthHost is the name that the health check asks nginx for. No name server
	// knows it (RFC 6761 section 6.4).
	healthHost = "edge-health.invalid"
)

//go:embed templates
var templates embed.FS

// Files renders a Config: the files of each host in the order of the hosts, then
// those for nobody in particular. An error is Problems.
func Files(c Config) ([]File, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	r, err := newRenderer()
	if err != nil {
		return nil, err
	}
	var files []File
	for _, name := range c.hostNames() {
		own, err := r.hostFiles(c, name)
		if err != nil {
			return nil, err
		}
		files = append(files, own...)
	}
	shared, err := r.sharedFiles(c)
	if err != nil {
		return nil, err
	}
	return append(files, shared...), nil
}

// renderer holds the parsed templates.
type renderer struct{ *template.Template }

func newRenderer() (*renderer, error) {
	t, err := template.New("").Funcs(template.FuncMap{
		"upstream": upstreamName,
		"join":     strings.Join,
	}).ParseFS(templates, "templates/*")
	if err != nil {
		return nil, fmt.Errorf("edge templates: %w", err)
	}
	return &renderer{t}, nil
}

// data is what every template sees. Host, Peers and Installed are of the host that
// a file is for, TLS is what a file about one host name is about.
type data struct {
	Config
	Host      host
	Hosts     []host // the lowest priority first
	Peers     []host
	TLS       tlsHost
	TLSHosts  []tlsHost
	Installed []File // the files below /etc
	Ports     []int  // that nginx listens on

	PlainNames  []string // served by HTTP
	NamesBucket int      // of the hash of the server names
	Preempt     bool
	Records     []record

	Marker      string
	IncludeLine string
	HealthHost  string
}

type host struct {
	Name string
	Host
}

type tlsHost struct {
	Host, Certificate, Key string
	Redirect               bool
}

func newData(c Config) data {
	d := data{
		Config: c, Preempt: c.Mode == modePreempt, Ports: c.servedPorts(), Records: c.records(),
		Marker: marker, IncludeLine: includeLine, HealthHost: healthHost,
	}
	for _, name := range c.hostNames() {
		d.Hosts = append(d.Hosts, host{Name: name, Host: c.Hosts[name]})
	}
	slices.SortFunc(d.Hosts, func(a, b host) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, name := range c.tlsHosts() {
		certificate, key := c.L7.TLS[name].files(name)
		d.TLSHosts = append(d.TLSHosts, tlsHost{name, certificate, key, c.L7.TLS[name].Redirect})
	}
	for _, name := range append([]string{c.L7.Domain, "*." + c.L7.Domain}, c.L7.Names...) {
		if !c.L7.TLS[name].Redirect {
			d.PlainNames = append(d.PlainNames, name)
		}
	}
	d.NamesBucket = namesBucket(append(c.tlsHosts(), append(d.PlainNames, healthHost)...))
	return d
}

// namesBucket is what nginx needs as server_names_hash_bucket_size: a power of two
// that holds the longest name with its pointer and length (ngx_hash.c), and not less
// than its own default.
func namesBucket(names []string) int {
	const entry, usual = 18, 64
	bucket := usual
	for _, name := range names {
		for bucket < len(name)+entry {
			bucket *= 2
		}
	}
	return bucket
}

func (r *renderer) file(d data, template, path string, mode fs.FileMode) (File, error) {
	var buf bytes.Buffer
	if err := r.ExecuteTemplate(&buf, template, d); err != nil {
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	return File{Host: d.Host.Name, Path: path, Mode: mode, Content: buf.String()}, nil
}

func (r *renderer) hostFiles(c Config, name string) ([]File, error) {
	d := newData(c)
	d.Host = host{Name: name, Host: c.Hosts[name]}
	d.Host.State = cmp.Or(d.Host.State, stateBackup)
	d.Peers = slices.DeleteFunc(slices.Clone(d.Hosts), func(h host) bool { return h.Name == name })

	var files []File
	for _, f := range planned(c) {
		d.TLS = f.tls
		file, err := r.file(d, f.template, f.path, f.mode)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	d.Installed = files
	install, err := r.file(d, "install.sh.tmpl", "install.sh", 0o755)
	if err != nil {
		return nil, err
	}
	return append(files, install), nil
}

// plannedFile is a file that every host has.
type plannedFile struct {
	template, path string
	mode           fs.FileMode
	tls            tlsHost
}

func planned(c Config) []plannedFile {
	files := []plannedFile{
		{template: "default.conf.tmpl", path: "nginx/conf.d/00-evenkeel.conf", mode: 0o644},
		{template: "domain.conf.tmpl", path: "nginx/conf.d/" + c.L7.Domain + ".conf", mode: 0o644},
	}
	for _, t := range newData(c).TLSHosts {
		name := t.Host + ".conf" // as most name it: what was written by hand is replaced
		if t.Host == c.L7.Domain {
			name = "tls-" + name
		}
		files = append(files, plannedFile{template: "tls.conf.tmpl", path: "nginx/conf.d/" + name, mode: 0o644, tls: t})
	}
	files = append(files, plannedFile{template: "stream.conf.tmpl", path: "nginx/evenkeel-stream.conf", mode: 0o644})
	if c.L4.Enabled {
		files = append(files, plannedFile{template: "apiserver.conf.tmpl", path: "nginx/stream.d/apiserver.conf", mode: 0o644})
	}
	keepalivedMode := fs.FileMode(0o644)
	if c.Auth != "" {
		keepalivedMode = 0o600
	}
	return append(files,
		plannedFile{template: "keepalived.conf.tmpl", path: "keepalived/keepalived.conf", mode: keepalivedMode},
		plannedFile{template: "check_edge.sh.tmpl", path: "keepalived/check_edge.sh", mode: 0o755},
	)
}

func (r *renderer) sharedFiles(c Config) ([]File, error) {
	d := newData(c)
	var files []File
	for _, f := range []struct{ template, path string }{
		{"README.txt.tmpl", "README.txt"},
		{"zone.tmpl", dirDNS + "/" + c.L7.Domain + ".zone"},
		{"hosts.tmpl", dirDNS + "/hosts"},
	} {
		file, err := r.file(d, f.template, f.path, 0o644)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// record is a host name that must lead to the VIP.
type record struct {
	Name string
	// Label is relative to the domain, "@" for the domain itself, empty for a name
	// outside of it.
	Label string
	// Plain is false for a wildcard, which a hosts file cannot hold.
	Plain bool
}

// records are the host names that the edge serves, of all that Ingresses have.
func (c Config) records() []record {
	names := slices.DeleteFunc(slices.Clone(c.IngressHosts), func(name string) bool { return !c.covers(name) })
	slices.Sort(names)
	var records []record
	for _, name := range slices.Compact(names) {
		r := record{Name: name, Plain: !strings.HasPrefix(name, "*")}
		if label, ok := strings.CutSuffix(name, "."+c.L7.Domain); ok {
			r.Label = label
		} else if name == c.L7.Domain {
			r.Label = "@"
		}
		records = append(records, r)
	}
	return records
}

// upstreamName is an nginx upstream for a domain.
func upstreamName(domain string) string {
	return "ingress_" + strings.NewReplacer(".", "_", "-", "_").Replace(domain)
}
