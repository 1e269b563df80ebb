package schema_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/load"
	"go.yaml.in/yaml/v3"
)

// textCase is a field of the definitions that people fill in freely and that ends
// up in a text which some program parses.
type textCase struct {
	field string // CUE below the environment; VALUE stands for the value
	text  string // the path of the text below the environment
	valid string // a value that nothing else in the text has
}

// hostileValues are what a value may hold that is syntax in one text or another.
var hostileValues = []string{
	"", "a b", " a", "a ", "a\nb: c", "a\n", "a\r\nb", "a\tb", "a#b", "a #b", "#a", "a;b", "a; rm -rf /", "a{b", "a }\n}", "{a}", "a\"b", "a'b", `a\`, `a\nb`,
	"$a", "${a}", "$(a)", "`a`", "-a", "--a", "a: b", "a:", ": a", "a=b", "=a", "a,b", ",", "*a", "&a", "!a", "%a", "@a", "|", ">", "[a", "a]", "a\u2028b", "a\u2029b",
	"a\u0085b", "a\u00a0b", "a\u200bb", "a\ufeffb", "\ufeffa", "a\x00b", "a\x1bb", "a\u202eb", "null", "true", "yes", "~", "1e3", "0x1f", "012", "1:30", "2001-01-01", ".", "..", "/", "/a b",
	"/a\nb", "/a#b", "/a\"b", "a.b", "10.4.7.11", "10.4.7.11:53", "[fd00::1]:53", "tls://9.9.9.9%dns.quad9.net", "/etc/resolv.conf", "lab.example", "*.lab.example", "10.0.0.0/8",
	"-Da=b", "-Da=b c", "-Da='b c'", "-Da=\"b", "-Da=$(A)", "http://a:80", "http://a:", "http://a #b", "http://a\nb", "lb://a", "/order/**", "/a,/b", "/{id:\\d+}", "1.2.3-rc_1", "a::b",
}

// texts evaluates one environment with fields of the cases in it.
type texts struct {
	mu   sync.Mutex
	ctx  *cue.Context
	root cue.Value
}

const textsBase = `package texts

import "github.com/seed-428f4edd/evenkeel/schema"

S: {
	#DubboProvider: schema.#DubboProvider
	#DubboMonitor:  schema.#DubboMonitor
	#DubboAdmin:    schema.#DubboAdmin
	#SpringService: schema.#SpringService
	#Gateway:       schema.#Gateway
}
environment: schema.#Environment & {
	name: "texts"
	site: {
		name: "lab", domain: "lab.example"
		networks: {nodes: "10.4.7.0/24", pods: "172.7.0.0/16", services: "192.168.0.0/16"}
		dns: cluster: "192.168.0.2"
		edge: {vip: "10.4.7.10", hosts: a: "10.4.7.11"}
	}
}
`

func newTexts(tb testing.TB) *texts {
	tb.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		tb.Fatal(err)
	}
	name := filepath.Join(root, "envs", "texts", "env.cue")
	insts := load.Instances([]string{"./envs/texts"}, &load.Config{Dir: root, Overlay: map[string]load.Source{name: load.FromString(textsBase)}})
	if err := insts[0].Err; err != nil {
		tb.Fatal(err)
	}
	ctx := cuecontext.New()
	return &texts{ctx: ctx, root: ctx.BuildInstance(insts[0])}
}

// of is the text with a value in the field; not ok where the value is refused.
func (x *texts) of(c textCase, value string) (text string, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	field := x.ctx.CompileString(strings.ReplaceAll(c.field, "VALUE", literal.String.Quote(value)), cue.Scope(x.root))
	env := x.root.LookupPath(cue.MakePath(cue.Str("environment"))).Unify(field)
	if env.Validate(cue.Concrete(true), cue.Final()) != nil {
		return "", false
	}
	sels := cue.ParsePath(c.text).Selectors()
	for i, sel := range sels {
		sels[i] = cue.Str(strings.ReplaceAll(sel.Unquoted(), "VALUE", value))
	}
	text, err := env.LookupPath(cue.MakePath(sels...)).String()
	return text, err == nil
}

// fuzzTexts holds that a value is refused, or that the parsed text is what it is with
// another value, but for that value.
func fuzzTexts(f *testing.F, cases []textCase, parse func(text string) (any, error)) {
	f.Helper()
	x := newTexts(f)
	want := make([]any, len(cases))
	for i, c := range cases {
		text, ok := x.of(c, c.valid)
		if !ok {
			f.Fatalf("%s: %q is refused", c.field, c.valid)
		}
		tree, err := parse(text)
		if err != nil {
			f.Fatalf("%s: %v in\n%s", c.field, err, text)
		}
		if want[i] = tree; reflect.DeepEqual(tree, replaced(tree, c.valid, "other")) {
			f.Fatalf("%s: %q is not in\n%s", c.field, c.valid, text)
		}
		for _, value := range hostileValues {
			f.Add(uint8(i), value)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, value string) {
		if !utf8.ValidString(value) {
			t.Skip("no CUE source holds it")
		}
		i := int(which) % len(cases)
		text, ok := x.of(cases[i], value)
		if !ok {
			return
		}
		tree, err := parse(text)
		if err != nil {
			t.Fatalf("%s: %q passes, and does not parse: %v\n%s", cases[i].field, value, err, text)
		}
		if want := replaced(want[i], cases[i].valid, value); !reflect.DeepEqual(tree, want) {
			t.Errorf("%s: %q passes and changes the text: got\n%#v\nwant\n%#v\nof\n%s", cases[i].field, value, tree, want, text)
		}
	})
}

// replaced is a tree with another value in its texts.
func replaced(tree any, from, to string) any {
	switch tree := tree.(type) {
	case string:
		return strings.ReplaceAll(tree, from, to)
	case []string:
		out := make([]string, len(tree))
		for i, item := range tree {
			out[i] = strings.ReplaceAll(item, from, to)
		}
		return out
	case [][]string:
		out := make([][]string, len(tree))
		for i, item := range tree {
			out[i] = replaced(item, from, to).([]string)
		}
		return out
	case []any:
		out := make([]any, len(tree))
		for i, item := range tree {
			out[i] = replaced(item, from, to)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(tree))
		for key, item := range tree {
			out[strings.ReplaceAll(key, from, to)] = replaced(item, from, to)
		}
		return out
	}
	return tree
}

func FuzzCorefile(f *testing.F) {
	const text = "stacks.coredns.objects.config.data.Corefile"
	fuzzTexts(f, []textCase{
		{`stacks: coredns: forward: [VALUE]`, text, "10.9.9.9"},
		{`stacks: coredns: forward: ["10.4.7.12", VALUE]`, text, "10.9.9.9"},
		{`stacks: coredns: zones: "od.com": forward: [VALUE]`, text, "10.9.9.9"},
		{`stacks: coredns: zones: (VALUE): forward: ["10.4.7.11"]`, text, "zq.example"},
		{`stacks: coredns: hosts: (VALUE): "10.4.7.11"`, text, "zq.example"},
		{`stacks: coredns: hosts: "a.od.com": VALUE`, text, "10.9.9.9"},
		{`stacks: coredns: reverse: [VALUE]`, text, "zq.example"},
		{`stacks: coredns: zone: VALUE`, text, "zq.example"},
		{`site: dns: zone: VALUE, stacks: coredns: {}`, text, "zq.example"},
	}, corefile)
}

// corefile gives the lines of a Corefile, each as its tokens, as the lexer of
// Caddyfiles reads them.
func corefile(text string) (any, error) {
	var lines [][]string
	var line []string
	var token []rune
	in, quoted, escaped, comment := false, false, false, false
	end := func() {
		if in {
			line = append(line, string(token))
		}
		token, in = nil, false
	}
	for _, r := range text + "\n" {
		switch {
		case quoted && escaped:
			if r != '"' {
				token = append(token, '\\')
			}
			token, escaped = append(token, r), false
		case quoted && r == '\\':
			escaped = true
		case quoted && r == '"':
			quoted = false
			end()
		case quoted:
			token = append(token, r)
		case r == '\n':
			comment = false
			end()
			if line != nil {
				lines = append(lines, line)
			}
			line = nil
		case comment:
		case strings.ContainsRune(" \t\r\v\f\u0085\u00a0\u2028\u2029", r):
			end()
		case r == '#' && !in:
			comment = true
		case r == '"' && !in:
			in, quoted = true, true
		default:
			token, in = append(token, r), true
		}
	}
	if quoted {
		return nil, os.ErrInvalid
	}
	return lines, nil
}

func FuzzYAMLInTexts(f *testing.F) {
	const dubbogo = `apps.shop.files."/etc/dubbo/dubbogo.yaml"`
	const gateway = `apps.shop.files."/etc/gateway/application.yml"`
	const casc = `stacks.jenkins.objects.casc.data."jenkins.yaml"`
	fuzzTexts(f, []textCase{
		{`stacks: jenkins: {host: VALUE, adminSecret: "a"}`, casc, "zq.example"},
		{`stacks: jenkins: {host: "a.b", adminSecret: "a", namespace: VALUE}`, casc, "zq7w9"},
		{`stacks: jenkins: {host: "a.b", adminSecret: "a", agents: image: VALUE}`, casc, "zq.example/a:1"},
		{`stacks: jenkins: {host: "a.b", adminSecret: "a", agents: cpu: VALUE}`, casc, "77m"},
		{`site: images: mirror: "docker.io": VALUE, stacks: jenkins: {host: "a.b", adminSecret: "a"}`, casc, "zq.example/a"},
		{`site: dns: zone: VALUE, stacks: jenkins: {host: "a.b", adminSecret: "a"}`, casc, "zq.example"},
		{goApp + `registry: zookeeper: servers: [VALUE]`, dubbogo, "zq.example:2181"},
		{goApp + `registry: zookeeper: {servers: ["z:2181"], group: VALUE}`, dubbogo, "zq7w9"},
		{goApp + `registry: nacos: {servers: ["z:2181"], namespace: VALUE}`, dubbogo, "zq7w9"},
		{goApp + `registry: nacos: {servers: ["z:2181"], group: VALUE}`, dubbogo, "zq7w9"},
		{gatewayApp + `apps: shop: routes: (VALUE): {path: ["/a"], to: "b"}`, gateway, "zq7w9"},
		{gatewayApp + `apps: shop: routes: r: {path: [VALUE], to: "b"}`, gateway, "/zq7w9"},
		{gatewayApp + `apps: shop: routes: r: {path: ["/a", VALUE], to: "b"}`, gateway, "/zq7w9"},
		{gatewayApp + `apps: shop: routes: r: {path: ["/a"], to: VALUE}`, gateway, "zq7w9"},
		{gatewayApp + `apps: shop: routes: r: {path: ["/a"], uri: VALUE}`, gateway, "http://zq7w9"},
		{gatewayApp + `apps: shop: routes: r: {path: ["/a"], to: "b", hosts: [VALUE]}`, gateway, "zq7w9"},
		{gatewayApp + `apps: shop: routes: r: {path: ["/a"], to: "b", headers: (VALUE): "a"}`, gateway, "zq7w9"},
		{gatewayApp + `apps: shop: routes: r: {path: ["/a"], to: "b", query: a: VALUE}`, gateway, "zq7w9"},
		{gatewayApp + `apps: shop: routes: r: {path: ["/a"], to: "b", predicates: [VALUE]}`, gateway, "Zq=7w9"},
		{gatewayApp + `apps: shop: routes: r: {path: ["/a"], to: "b", prefixPath: VALUE}`, gateway, "/zq7w9"},
		{gatewayApp + `apps: shop: routes: r: {path: ["/a"], to: "b", requestHeaders: a: VALUE}`, gateway, "zq7w9"},
		{gatewayApp + `apps: shop: routes: r: {path: ["/a"], to: "b", filters: [VALUE]}`, gateway, "Zq=7w9"},
		{gatewayApp + `apps: shop: trustedProxies: VALUE`, gateway, "zq7w9"},
	}, func(text string) (any, error) {
		var tree any
		err := yaml.Unmarshal([]byte(text), &tree)
		return tree, err
	})
}

const (
	goApp      = `apps: shop: S.#DubboProvider & {image: "harbor.lab.example/app/a:1", dubbo: language: "go"}` + "\n"
	gatewayApp = `apps: shop: S.#Gateway & {image: "harbor.lab.example/app/a:1"}` + "\n"
)

func FuzzProperties(f *testing.F) {
	const monitor = `apps: m: S.#DubboMonitor & {image: "harbor.lab.example/app/a:1"}` + "\n"
	const admin = `apps: m: S.#DubboAdmin & {loginSecret: "a"}` + "\n"
	const admins = `apps.m.files."/config/application.properties"`
	fuzzTexts(f, []textCase{
		{monitor + `registry: zookeeper: servers: [VALUE]`, `apps.m.files."/dubbo-monitor-simple/conf/dubbo.properties"`, "zq.example:2181"},
		{monitor + `registry: zookeeper: {servers: ["z:2181"], group: VALUE}`, `apps.m.files."/dubbo-monitor-simple/conf/dubbo.properties"`, "zq7w9"},
		{monitor + `registry: nacos: {servers: ["z:2181"], namespace: VALUE}`, `apps.m.files."/dubbo-monitor-simple/conf/dubbo.properties"`, "zq7w9"},
		{monitor + `registry: nacos: {servers: ["z:2181"]}, apps: m: home: VALUE`, `apps.m.files."VALUE/conf/dubbo.properties"`, "/zq7w9"},
		{admin + `registry: zookeeper: {servers: ["z:2181"], group: VALUE}`, admins, "zq7w9"},
		{admin + `registry: nacos: {servers: ["z:2181", VALUE]}`, admins, "zq.example:2181"},
	}, properties)
}

// properties reads a Java properties file, as java.util.Properties does.
func properties(text string) (any, error) {
	var pairs [][]string
	text = regexp.MustCompile(`\\(\r\n|\n|\r)[ \t\f]*`).ReplaceAllString(text, "")
	for _, line := range regexp.MustCompile(`\r\n|\n|\r`).Split(text, -1) {
		if line = strings.TrimLeft(line, " \t\f"); line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		m := regexp.MustCompile(`(?s)^((?:\\.|[^=: \t\f\\])*)(?:[ \t\f]*[=:]?[ \t\f]*)(.*)$`).FindStringSubmatch(line)
		if strings.Contains(line, `\`) {
			return nil, os.ErrInvalid // an escape: none is written
		}
		pairs = append(pairs, m[1:])
	}
	return pairs, nil
}

func FuzzPluginList(f *testing.F) {
	const jenkins = `stacks: jenkins: {host: "a.b", adminSecret: "a"}` + "\n"
	fuzzTexts(f, []textCase{
		{jenkins + `stacks: jenkins: plugins: (VALUE): "1"`, `stacks.jenkins.objects.plugins.data."plugins.txt"`, "zq7w9"},
		{jenkins + `stacks: jenkins: plugins: zz: VALUE`, `stacks.jenkins.objects.plugins.data."plugins.txt"`, "zq7w9"},
		{jenkins + `stacks: jenkins: plugins: git: VALUE`, `stacks.jenkins.objects.plugins.data."plugins.txt"`, "zq7w9"},
	}, func(text string) (any, error) { // PluginListUtil of jenkins-plugin-cli
		var plugins [][]string
		for line := range strings.Lines(text) {
			line, _, _ = strings.Cut(line, "#")
			if line = strings.TrimSpace(line); line != "" {
				plugins = append(plugins, regexp.MustCompile(`[:;]`).Split(line, -1))
			}
		}
		return plugins, nil
	})
}

func FuzzJVMOptions(f *testing.F) {
	const javaApp = `registry: zookeeper: servers: ["z:2181"], apps: shop: S.#DubboProvider & {image: "harbor.lab.example/app/a:1"}` + "\n"
	const spring = `registry: nacos: servers: ["z:2181"], apps: shop: S.#SpringService & {image: "harbor.lab.example/app/a:1"}` + "\n"
	fuzzTexts(f, []textCase{
		{javaApp + `apps: shop: java: options: [VALUE]`, "apps.shop.env.JAVA_TOOL_OPTIONS", "-Dzq7w9"},
		{javaApp + `apps: shop: java: {jar: "a.jar", options: [VALUE, "-Db"]}`, "apps.shop.env.C_OPTS", "-Dzq7w9"},
		{javaApp + `apps: shop: java: heap: VALUE`, "apps.shop.env.JAVA_TOOL_OPTIONS", "777m"},
		{javaApp + `registry: zookeeper: group: VALUE`, "apps.shop.env.JAVA_TOOL_OPTIONS", "zq7w9"},
		{spring + `apps: shop: java: options: [VALUE]`, "apps.shop.env.JAVA_TOOL_OPTIONS", "-Dzq7w9"},
	}, func(text string) (any, error) { // Arguments::parse_options_buffer of the JVM
		var options []string
		var option []rune
		in, quote := false, rune(0)
		for _, r := range text + " " {
			switch {
			case quote != 0 && r == quote:
				quote = 0
			case quote != 0:
				option = append(option, r)
			case strings.ContainsRune(" \t\n\v\f\r", r):
				if in {
					options = append(options, string(option))
				}
				option, in = nil, false
			case r == '\'' || r == '"':
				quote, in = r, true
			default:
				option, in = append(option, r), true
			}
		}
		if quote != 0 {
			return nil, os.ErrInvalid
		}
		return options, nil
	})
}
