package edge_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/seed-428f4edd/evenkeel/render/edge"
)

// field is a text of a Config that people fill in, with a value that stands nowhere
// else in the files.
type field struct {
	name, valid string
	set         func(c *edge.Config, value string)
}

func fields() []field {
	return []field{
		{"site", "zq7w9", func(c *edge.Config, v string) { c.Site = v }},
		{"vip", "10.4.7.99", func(c *edge.Config, v string) { c.VIP = v }},
		{"host", "zq7w9", func(c *edge.Config, v string) { rename(c, "hdss7-11", v) }},
		{"address", "10.4.7.98", func(c *edge.Config, v string) { edit(c, "hdss7-11", func(h *edge.Host) { h.Address = v }) }},
		{"interface", "zq7w9", func(c *edge.Config, v string) { edit(c, "hdss7-11", func(h *edge.Host) { h.Interface = v }) }},
		{"auth", "zq7w9", func(c *edge.Config, v string) { c.Auth = v }},
		{"url", "https://zq7w9/", func(c *edge.Config, v string) { c.Check.URLs = []string{v} }},
		{"backend", "10.4.7.97:6443", func(c *edge.Config, v string) { c.L4.Backends = []string{"10.4.7.21:6443", v} }},
		{"domain", "zq7w9.com", func(c *edge.Config, v string) { c.L7.Domain, c.L7.TLS, c.IngressHosts = v, nil, []string{"a." + v} }},
		{"name", "zq7w9.example", func(c *edge.Config, v string) { c.L7.Names = []string{v} }},
		{"node", "10.4.7.96", func(c *edge.Config, v string) { c.L7.Nodes = []string{v, "10.4.7.22"} }},
		{"body", "777m", func(c *edge.Config, v string) { c.L7.BodySize = v }},
		{"TLS host", "zq7w9.od.com", func(c *edge.Config, v string) { c.L7.TLS = map[string]edge.TLS{v: {Redirect: true}} }},
		{"certificate", "/zq7w9/c.crt", func(c *edge.Config, v string) {
			c.L7.TLS = map[string]edge.TLS{"dashboard.od.com": {Certificate: v, Key: "/k", Redirect: true}}
		}},
		{"key", "/zq7w9/c.key", func(c *edge.Config, v string) {
			c.L7.TLS = map[string]edge.TLS{"dashboard.od.com": {Certificate: "/c", Key: v}}
		}},
		{"name server", "10.4.7.95", func(c *edge.Config, v string) { c.DNSServers = []string{v} }},
		{"Ingress host", "zq7w9.od.com", func(c *edge.Config, v string) { c.IngressHosts = []string{v} }},
	}
}

// hostile are values that are syntax in one file or another.
var hostile = []string{
	"", "a b", " a", "a ", "a\nb", "a\n", "a\r\nb", "a\tb", "a#b", "#a", "!a", "a;b", "a; reboot", "a{b", "a}", "a\"b", "a'b", "a'; reboot; '", `a\`, "$a", "${a}", "$(reboot)", "`reboot`",
	"-a", "--a", "a\u2028b", "a\u0085b", "a\u00a0b", "a\u200bb", "\ufeffa", "a\x00b", "a\x1bb", "@a", "~a", "*", "*.a.od.com", "a.od.com", "A.od.com", "a..od.com", "a.od.com.", "od.com",
	"10.4.7.30", "10.4.7.30:6443", "10.4.7.030", "fd00::1", "[fd00::1]:6443", "fe80::1%eth0", "fe80::1%\nevil 60 IN A 6.6.6.6", "0", "50", "50M", "99999999999999999999g", "1k;", "/a", "/a b",
	"/a;b", "/a\nb", "/../a", "/a$b", "/-a", "http://a", "http://a/'b", "http://a/\"b", "http://a/$b", "http://a/%0a", "http://a/\nb", "file:///etc/passwd", "https://[fd00::1]:443/a?b=c&d=e",
	"\n@ 60 IN A 6.6.6.6\nx.od.com", "x 60 IN A 6.6.6.6\n.od.com", "$INCLUDE/etc/passwd.od.com", "x(.od.com", "x;.od.com", "router_id", "include", "dns",
	strings.Repeat("a", 64) + ".od.com", strings.Repeat(strings.Repeat("a", 60)+".", 4) + "od.com", strings.Repeat("a.", 200) + "od.com",
}

// fuzzFiles holds that a value is refused, or that the parsed files are what they are
// with another value, but for that value.
func fuzzFiles(f *testing.F, mine func(path string) bool, parse func(text string) ([][]string, error)) {
	f.Helper()
	fields := fields()
	parsed := func(tb testing.TB, i int, value string) (map[string][][]string, bool) {
		c := od()
		fields[i].set(&c, value)
		files, err := edge.Files(c)
		if err != nil {
			return nil, false
		}
		trees := map[string][][]string{}
		for _, file := range files {
			if !mine(file.Path) {
				continue
			}
			tree, err := parse(file.Content)
			if err != nil {
				tb.Fatalf("%s: %q passes, and %s does not parse: %v\n%s", fields[i].name, value, file.Name(), err, file.Content)
			}
			trees[file.Name()] = tree
		}
		return trees, true
	}
	want := make([]map[string][][]string, len(fields))
	for i, field := range fields {
		var ok bool
		if want[i], ok = parsed(f, i, field.valid); !ok {
			f.Fatalf("%s: %q is refused", field.name, field.valid)
		}
		for _, value := range hostile {
			f.Add(uint8(i), value)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, value string) {
		i := int(which) % len(fields)
		name := fields[i].name
		switch {
		case value == "":
			t.Skip("is not given")
		case name == "TLS host" && value == od().L7.Domain:
			t.Skip("stands in a file of another name")
		case name == "Ingress host" && !strings.HasSuffix(value, "."+od().L7.Domain):
			t.Skip("stands in no file")
		}
		got, ok := parsed(t, i, value)
		if !ok {
			return
		}
		if want := substituted(want[i], fields[i].valid, value); !reflect.DeepEqual(inOrder(got), inOrder(want)) {
			t.Errorf("%s: %q passes and changes the files: got\n%q\nwant\n%q", fields[i].name, value, got, want)
		}
	})
}

func substituted(files map[string][][]string, from, to string) map[string][][]string {
	// a domain is the name of an upstream too
	plain := strings.NewReplacer(".", "_", "-", "_")
	all := strings.NewReplacer(from, to, plain.Replace(from), plain.Replace(to))
	out := map[string][][]string{}
	for name, lines := range files {
		var changed [][]string
		for _, line := range lines {
			var words []string
			for _, word := range line {
				words = append(words, all.Replace(word))
			}
			changed = append(changed, words)
		}
		if strings.HasSuffix(name, "/hosts") {
			changed = slices.DeleteFunc(changed, func(words []string) bool { return strings.HasPrefix(words[1], "*") })
		}
		out[all.Replace(name)] = changed
	}
	return out
}

// inOrder puts what is listed by name in one order: another name has another place.
func inOrder(files map[string][][]string) map[string][]string {
	out := map[string][]string{}
	for name, lines := range files {
		for _, line := range lines {
			out[name] = append(out[name], strings.Join(line, "\x00"))
		}
		slices.Sort(out[name])
	}
	return out
}

func FuzzNginx(f *testing.F) {
	fuzzFiles(f, func(path string) bool { return strings.HasPrefix(path, "nginx/") }, func(text string) ([][]string, error) {
		all, err := statements(text, ";{}", `"'`)
		return slices.DeleteFunc(all, func(words []string) bool { return words[0] == "server_names_hash_bucket_size" }), err
	})
}

func FuzzKeepalived(f *testing.F) {
	fuzzFiles(f, func(path string) bool { return path == "keepalived/keepalived.conf" }, func(text string) ([][]string, error) {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "!", "#"), "\n", " \n;")
		return statements(text, ";{}", `"`)
	})
}

// statements are the words of a configuration file up to each of the signs that end
// one, the sign with them. # begins a comment where a word may begin.
func statements(text, ends, quotes string) (all [][]string, err error) {
	var statement []string
	for depth := 0; ; {
		text = strings.TrimLeft(text, " \t\r\n")
		switch {
		case text == "" && (len(statement) > 0 || depth != 0):
			return nil, os.ErrInvalid
		case text == "":
			return all, nil
		case text[0] == '#':
			_, text, _ = strings.Cut(text, "\n")
		case strings.IndexByte(ends, text[0]) >= 0:
			depth += strings.Count(text[:1], "{") - strings.Count(text[:1], "}")
			if len(statement) > 0 || text[0] != ';' {
				all = append(all, append(statement, text[:1]))
			}
			statement, text = nil, text[1:]
		case strings.IndexByte(quotes, text[0]) >= 0:
			end := strings.IndexByte(text[1:], text[0])
			if end < 0 {
				return nil, os.ErrInvalid
			}
			statement, text = append(statement, text[:end+2]), text[end+2:]
		default:
			end := strings.IndexAny(text, ends+" \t\r\n")
			if strings.HasPrefix(text, "${") {
				end = strings.IndexByte(text, '}') + 1
			}
			if end <= 0 {
				return nil, os.ErrInvalid
			}
			statement, text = append(statement, text[:end]), text[end:]
		}
	}
}

func FuzzShell(f *testing.F) {
	fuzzFiles(f, func(path string) bool { return strings.HasSuffix(path, ".sh") }, shellWords)
}

// What passes is a script to bash.
func TestBashReadsWhatPasses(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	seen := map[string]bool{}
	for _, field := range fields() {
		for _, value := range hostile {
			c := od()
			field.set(&c, value)
			files, err := edge.Files(c)
			if err != nil {
				continue
			}
			for _, file := range files {
				if !strings.HasSuffix(file.Path, ".sh") || seen[file.Content] || !strings.Contains(file.Content, value) {
					continue
				}
				seen[file.Content] = true
				cmd := exec.Command(bash, "-n")
				cmd.Stdin = strings.NewReader(file.Content)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s: %q passes, and bash says of %s: %s", field.name, value, file.Name(), out)
				}
			}
		}
	}
	if len(seen) == 0 {
		t.Error("nothing passes")
	}
}

// shellWords are the lines of a script, each as its words: what is quoted is one word
// with what is beside it. What separates commands is a word of its own.
func shellWords(text string) (lines [][]string, err error) {
	var line []string
	var word strings.Builder
	quote := rune(0)
	end := func() {
		if word.Len() > 0 {
			line = append(line, word.String())
		}
		word.Reset()
	}
	comment := false
	for _, r := range text {
		switch {
		case comment:
			comment = r != '\n'
		case quote != 0:
			if word.WriteRune(r); r == quote {
				quote = 0
			}
		case r == '\'' || r == '"':
			quote = r
			word.WriteRune(r)
		case r == '#' && word.Len() == 0:
			comment = true
			continue
		case strings.ContainsRune(" \t", r):
			end()
		case strings.ContainsRune(";&|()<>`\n", r):
			end()
			line = append(line, string(r))
		default:
			word.WriteRune(r)
		}
		if quote == 0 && r == '\n' {
			lines = append(lines, line)
			line = nil
		}
	}
	if quote != 0 {
		return nil, os.ErrInvalid
	}
	return lines, nil
}

func FuzzZone(f *testing.F) {
	fuzzFiles(f, func(path string) bool { return strings.HasSuffix(path, ".zone") || path == "dns/hosts" }, func(text string) ([][]string, error) {
		var lines [][]string
		for line := range strings.Lines(text) {
			line, _, _ = strings.Cut(strings.TrimSuffix(line, "\n"), ";")
			line, _, _ = strings.Cut(line, "#")
			if strings.TrimSpace(line) == "" {
				continue
			}
			words := strings.Split(strings.Join(strings.FieldsFunc(line, func(r rune) bool { return r == ' ' }), " "), " ")
			for _, word := range words {
				if strings.ContainsFunc(word, func(r rune) bool {
					return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-.@*INA", r)
				}) {
					return nil, os.ErrInvalid
				}
			}
			if record := len(words) == 5 && words[1] == "60" && words[2] == "IN" && words[3] == "A"; !record && len(words) != 2 {
				return nil, os.ErrInvalid
			}
			if words[0] += map[bool]string{true: ".od.com"}[len(words) == 5]; !strings.HasPrefix(words[1], "*") { // no hosts file has a wildcard
				lines = append(lines, words)
			}
		}
		return lines, nil
	})
}

// What passes is taken by nginx and keepalived themselves.
func TestCheckersTakeWhatPasses(t *testing.T) {
	t.Parallel()
	h := newLab(t).host("hdss7-11", "10.4.7.11", "eth0")
	h.certificate("dashboard.od.com")
	h.mustInstall(func() edge.Config { c := od(); c.Check.URLs = nil; return c }())
	installed := tree(t, h.etc)
	tried := map[string]bool{}
	for _, field := range fields() {
		for _, value := range hostile {
			c := od()
			field.set(&c, value)
			files, err := edge.Files(c)
			if err != nil || len(files) == 0 || field.name == "interface" { // the lab has eth0
				continue
			}
			host := files[0].Host
			texts := map[string]string{}
			for _, file := range files {
				if file.Host != host || file.Path == "install.sh" {
					continue
				}
				content := file.Content
				for name, use := range c.L7.TLS { // none of the files is there
					for _, end := range []struct{ given, ext string }{{use.Certificate, ".crt"}, {use.Key, ".key"}} {
						if end.given == "" {
							end.given = "/etc/nginx/certs/" + name + end.ext
						}
						content = strings.ReplaceAll(content, " "+end.given+";", " /etc/nginx/certs/dashboard.od.com"+end.ext+";")
					}
				}
				put(t, filepath.Join(h.etc, file.Path), content)
				program, _, _ := strings.Cut(file.Path, "/")
				texts[program] += file.Path + "\n" + content
			}
			for program, text := range texts {
				if tried[text] {
					continue
				}
				tried[text] = true
				if out, err := h.run(program, "-t"); err != nil {
					t.Errorf("%s: %q passes, and %s -t says: %v\n%s", field.name, value, program, err, out)
				}
			}
			for name := range tree(t, h.etc) {
				if _, was := installed[name]; !was && strings.HasPrefix(name, "nginx/") {
					if err := os.Remove(filepath.Join(h.etc, name)); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	if len(tried) < 10 {
		t.Errorf("only %d files pass", len(tried))
	}
}
