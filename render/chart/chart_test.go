package chart_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"github.com/seed-428f4edd/evenkeel/render/chart"
)

const chartYAML = "apiVersion: v2\nname: demo\nversion: 1.0.0\n"

// packed is an archive of headers and contents.
func packed(t testing.TB, files ...any) []byte {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	w := tar.NewWriter(zip)
	for i := 0; i < len(files); i += 2 {
		h, ok := files[i].(tar.Header)
		if name, is := files[i].(string); is {
			h, ok = tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644}, true
		}
		content, raw := files[i+1].([]byte)
		if !raw {
			content = []byte(fmt.Sprint(files[i+1]))
		}
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		if !ok || w.WriteHeader(&h) != nil {
			t.Fatal("no header", h)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestHostileArchives: what an archive may not be, each with what is said of it.
func TestHostileArchives(t *testing.T) {
	nested := packed(t, "a/Chart.yaml", chartYAML)
	for range 9 {
		nested = packed(t, "a/Chart.yaml", chartYAML, "a/charts/a.tgz", nested)
	}
	many := []any{"demo/Chart.yaml", chartYAML}
	for i := range 10_001 {
		many = append(many, fmt.Sprintf("demo/files/%d", i), "")
	}
	// Directories have no content, and are unpacked all the same.
	var dirs []any
	for range 60_000 {
		dirs = append(dirs, tar.Header{Name: "a/b", Typeflag: tar.TypeDir}, "")
	}
	empty := packed(t, append([]any{"a/Chart.yaml", chartYAML}, dirs...)...)
	subs := []any{"demo/Chart.yaml", chartYAML}
	for i := range 5 {
		subs = append(subs, fmt.Sprintf("demo/charts/%d.tgz", i), empty)
	}
	for _, test := range []struct {
		name string
		data []byte
		says string
	}{
		{"directories in sub-charts", packed(t, subs...), "more than 64 MiB"},
		{"aliases in a sub-chart named templates", packed(t, "demo/Chart.yaml", chartYAML, "demo/charts/templates/Chart.yaml", chartYAML+bombYAML()), "aliases"},
		{"aliases in an old lock", packed(t, "demo/Chart.yaml", chartYAML, "demo/requirements.lock", bombYAML()), "aliases"},
		{"no archive", []byte("name: demo"), "no gzipped archive"},
		{"link", packed(t, "demo/Chart.yaml", chartYAML, tar.Header{Name: "demo/values.yaml", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, ""), "not a regular file"},
		{"hard link", packed(t, "demo/Chart.yaml", chartYAML, tar.Header{Name: "demo/values.yaml", Typeflag: tar.TypeLink, Linkname: "../../x"}, ""), "not a regular file"},
		{"device", packed(t, "demo/Chart.yaml", chartYAML, tar.Header{Name: "demo/zero", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 5}, ""), "not a regular file"},
		{"parent", packed(t, "demo/Chart.yaml", chartYAML, "demo/../../x", "y"), "below one directory"},
		{"absolute", packed(t, "/demo/Chart.yaml", chartYAML), "below one directory"},
		{"outside", packed(t, "../demo/Chart.yaml", chartYAML), "below one directory"},
		{"backslash", packed(t, "demo/Chart.yaml", chartYAML, `demo/..\..\x`, "y"), "below one directory"},
		{"no directory", packed(t, "Chart.yaml", chartYAML), "below one directory"},
		{"bomb", packed(t, "demo/Chart.yaml", chartYAML, "demo/files/zeros", make([]byte, 65<<20)), "more than 64 MiB"},
		{"bombs", packed(t, "demo/Chart.yaml", chartYAML, "demo/a", make([]byte, 40<<20), "demo/b", make([]byte, 40<<20)), "more than 64 MiB"},
		{"bomb in a sub-chart", packed(t, "demo/Chart.yaml", chartYAML, "demo/charts/a.tgz", packed(t, "a/Chart.yaml", chartYAML, "a/b", make([]byte, 65<<20))), "more than 64 MiB"},
		{"many", packed(t, many...), "more than 10000 files"},
		{"twice", packed(t, "demo/Chart.yaml", chartYAML, "demo/Chart.yaml", "name: other"), "twice"},
		{"name that does not show", packed(t, "demo/Chart.yaml", chartYAML, "demo/templates/a\n::error::b.yaml", "a: 1"), `templates: the name "a\n::error::b.yaml" has characters that do not show`},
		{"nested", packed(t, "demo/Chart.yaml", chartYAML, "demo/charts/a.tgz", nested), "8 deep"},
		{"aliases", packed(t, "demo/Chart.yaml", chartYAML, "demo/values.yaml", bombYAML()), "aliases"},
		{"no chart", packed(t, "demo/values.yaml", "a: 1"), "no Chart.yaml"},
		{"no name", packed(t, "demo/Chart.yaml", "apiVersion: v2\nversion: 1.0.0\n"), "name"},
		{"v3", packed(t, "demo/Chart.yaml", "apiVersion: v3\nname: demo\nversion: 1.0.0\n"), "apiVersion"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := chart.Read(test.data); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %q", err, test.says)
			}
		})
	}
}

func bombYAML() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), ", "))
	}
	return b.String()
}

// made renders a chart of one template.
func made(t *testing.T, template string, in chart.Input) (map[string]any, error) {
	t.Helper()
	files := fstest.MapFS{
		"charts/demo/Chart.yaml":       {Data: []byte(chartYAML)},
		"charts/demo/templates/a.yaml": {Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n" + template)},
	}
	c, err := chart.Load(files, "charts/demo")
	if err != nil {
		t.Fatal(err)
	}
	in.Release, in.Namespace, in.KubeVersion = "r", "ns", "1.37"
	out, err := c.Render(t.Context(), in)
	if err != nil {
		return nil, err
	}
	data, _ := out.Objects[0].Content["data"].(map[string]any)
	return data, nil
}

// TestRefused: what would be different each time is refused with its place, until the
// input says what it is made from.
func TestRefused(t *testing.T) {
	fixed := chart.Input{Seed: "s", Now: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)}
	for call, needs := range map[string]string{
		"randAlphaNum 8": "seed", "randAlpha 8": "seed", "randNumeric 8": "seed", "randAscii 8 | b64enc": "seed", "randBytes 8": "seed",
		"randInt 1 1000000": "seed", `shuffle "abcdef"`: "seed", "uuidv4": "seed", `genPrivateKey "ecdsa" | b64enc`: "seed", `genPrivateKey "ed25519" | b64enc`: "seed",
		`bcrypt "x"`: "seed", `htpasswd "u" "x"`: "seed",
		"now": "now", `now | date "2006"`: "now", `date "2006" "no time"`: "now", `htmlDate "x"`: "now", `encryptAES "p" "x"`: "seed", "ago 1000": "now", `toDate "2006" "2026" | durationRound`: "now",
		`(genCA "ca" 1).Cert | b64enc`: "both", `(genSelfSignedCert "a" nil nil 1).Cert | b64enc`: "both",
	} {
		template := fmt.Sprintf("  v: {{ %s | quote }}", call)
		refused, ok := errors.AsType[*chart.Refused](errOf(made(t, template, chart.Input{})))
		if !ok || !strings.HasPrefix(refused.Place, "demo/templates/a.yaml:5:") {
			t.Errorf("%s: %v", call, refused)
		}
		for _, one := range []struct {
			in   chart.Input
			ends bool
		}{{chart.Input{Seed: fixed.Seed}, needs == "seed"}, {chart.Input{Now: fixed.Now}, needs == "now"}, {fixed, true}} {
			if _, err := made(t, template, one.in); (err == nil) != one.ends {
				t.Errorf("%s, which needs %s, of seed %q and time %v: %v", call, needs, one.in.Seed, one.in.Now, err)
			}
		}
		first, _ := made(t, template, fixed)
		again, _ := made(t, template, fixed)
		if diff := cmp.Diff(first, again); diff != "" || first["v"] == "" {
			t.Errorf("%s: another result of the same input: %s", call, diff)
		}
		other := fixed
		other.Seed = "t"
		if changed, _ := made(t, template, other); needs == "seed" && changed["v"] == first["v"] {
			t.Errorf("%s: the seed makes no difference", call)
		}
	}
}

func errOf(_ map[string]any, err error) error { return err }

// TestNotThere: what would come from the machine is not there, or empty as for helm
// template.
func TestNotThere(t *testing.T) {
	t.Setenv("SECRET_OF_CI", "leaked")
	for _, call := range []string{`env "SECRET_OF_CI"`, `expandenv "$SECRET_OF_CI"`} {
		if _, err := made(t, "  v: {{ "+call+" }}", chart.Input{}); err == nil || !strings.Contains(err.Error(), "demo/templates/a.yaml:5") {
			t.Errorf("%s: %v", call, err)
		}
	}
	// What does not reach the result is not refused: default evaluates both.
	if data, err := made(t, `  v: {{ "given" | default (randAlphaNum 8) | quote }}`, chart.Input{}); err != nil || data["v"] != "given" {
		t.Errorf("%v, %v", data, err)
	}
	data, err := made(t, `  host: {{ getHostByName "example.com" | quote }}
  file: {{ .Files.Get "../../../../etc/passwd" | quote }}
  lookup: {{ lookup "v1" "Secret" "ns" "s" | toJson | quote }}
  all: {{ (lookup "v1" "Secret" "" "").items | len | quote }}
  none: {{ lookup "v1" "ConfigMap" "ns" "s" | len | quote }}
  zone: {{ "2026-01-02" | toDate "2006-01-02" | date "2006-01-02 MST" | quote }}`, chart.Input{Lookup: []map[string]any{
		{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "s", "namespace": "ns"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"host": "", "file": "", "all": "1", "none": "0", "zone": "2026-01-02 UTC",
		"lookup": `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"ns"}}`,
	}
	if diff := cmp.Diff(want, data); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestLookupIsACopy: what a template does to an object that it looks up stays with it.
func TestLookupIsACopy(t *testing.T) {
	in := chart.Input{Lookup: []map[string]any{{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "c"}}}}
	const template = `{{- $c := lookup "v1" "ConfigMap" "" "c" }}{{ $list := lookup "v1" "ConfigMap" "" "" }}
  v: {{ hasKey $c "seen" | quote }}
{{- $_ := set $c "seen" $c }}{{ $_ = set (index $list.items 0).metadata "name" $list }}`
	for range 2 {
		if data, err := made(t, template, in); err != nil || data["v"] != "false" {
			t.Errorf("%v, %v", data, err)
		}
	}
	if diff := cmp.Diff(map[string]any{"name": "c"}, in.Lookup[0]["metadata"]); diff != "" || len(in.Lookup[0]) != 3 {
		t.Errorf("the object was changed: %v", diff)
	}
}

// TestRemoteSchema: a schema that refers elsewhere is not followed there: no file is
// read, no connection opened.
func TestRemoteSchema(t *testing.T) {
	for _, ref := range []string{"file:///etc/passwd", "http://127.0.0.1:1/x", "https://example.com/x", "../../../etc/passwd", "urn:x"} {
		files := fstest.MapFS{
			"c/Chart.yaml":         {Data: []byte(chartYAML)},
			"c/values.schema.json": {Data: fmt.Appendf(nil, `{"properties": {"a": {"$ref": %q}, "b": {"type": "string"}}}`, ref)},
		}
		c, err := chart.Load(files, "c")
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Render(t.Context(), chart.Input{Release: "r", KubeVersion: "1.37", Values: map[string]any{"a": int64(1), "b": int64(1)}})
		invalid, ok := errors.AsType[*chart.Invalid](err)
		if !ok || len(invalid.Problems) != 1 || !slices.Equal(invalid.Problems[0].Path, []string{"b"}) {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

// TestEndless: recursion in templates ends with an error.
func TestEndless(t *testing.T) {
	for _, template := range []string{
		`  v: {{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}`,
		`  v: {{ define "a" }}{{ include "b" . }}{{ end }}{{ define "b" }}{{ include "a" . }}{{ end }}{{ include "a" . }}`,
	} {
		if _, err := made(t, template, chart.Input{}); err == nil {
			t.Errorf("no end, and no error: %s", template)
		}
	}
}

// TestCertificates: what is signed by the authority verifies, and passwords are hashed
// as others hash them.
func TestCertificates(t *testing.T) {
	now := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	data, err := made(t, `{{- $ca := genCA "ca" 10 }}
{{- $cert := genSignedCert "svc" (list "10.0.0.1") (list "svc.ns.svc") 5 $ca }}
  ca: {{ $ca.Cert | quote }}
  cert: {{ $cert.Cert | quote }}
  key: {{ $cert.Key | quote }}
  again: {{ (buildCustomCert ($cert.Cert | b64enc) ($cert.Key | b64enc)).Cert | quote }}
  kept: {{ (genSignedCertWithKey "other" nil nil 5 $ca $cert.Key).Key | quote }}
  hash: {{ htpasswd "u" "pässword" | trimPrefix "u:" | quote }}`, chart.Input{Seed: "s", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(data["ca"].(string)))
	block, _ := pem.Decode([]byte(data["cert"].(string)))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"svc.ns.svc", "10.0.0.1"} {
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: now.Add(time.Hour)}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if !cert.NotAfter.Equal(now.AddDate(0, 0, 5)) {
		t.Errorf("valid until %v", cert.NotAfter)
	}
	if data["again"] != data["cert"] || data["kept"] != data["key"] {
		t.Error("buildCustomCert or genSignedCertWithKey changed what they were given")
	}
	if err := bcrypt.CompareHashAndPassword([]byte(data["hash"].(string)), []byte("pässword")); err != nil {
		t.Error(err)
	}
}

// TestValues lists those of a chart with the comments above them.
func TestValues(t *testing.T) {
	c, err := chart.Load(fstest.MapFS{
		"c/Chart.yaml":              {Data: []byte(chartYAML + "dependencies:\n- {name: sub, alias: one, version: 1.0.0}\n- {name: sub, version: 1.0.0}\n")},
		"c/values.yaml":             {Data: []byte("# -- how many\n# pods\ncount: 1\nimage:\n  # @param image.tag its tag\n  tag: \"a|b\"\none: {deep: 2}\nlist: [1, {a: b}]\nempty: {}\n")},
		"c/charts/sub/Chart.yaml":   {Data: []byte("apiVersion: v2\nname: sub\nversion: 1.0.0\n")},
		"c/charts/sub/values.yaml":  {Data: []byte("deep: 1\n")},
		"c/charts/sub/templates/.x": {Data: []byte("")},
	}, "c")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, v := range c.Values() {
		got[v.Path] = v.Default + " " + v.Doc
	}
	want := map[string]string{
		"count": "1 how many pods", "image.tag": `"a|b" image.tag its tag`, "one.deep": "2 ", "sub.deep": "1 ", "list": "[1, {a: b}] ", "empty": "{} ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s\n%v", diff, slices.Sorted(maps.Keys(got)))
	}
}

// TestUnknown: below a map that templates read value by value, a value that none reads is
// none of the chart. Where they hand the map on, it may have any.
func TestUnknown(t *testing.T) {
	const known = "image: {repository: r, tag: v1}\nsecurity: {level: 1}\nurl: \"{{ .Values.image.mirror }}\"\n"
	for _, tt := range []struct {
		name, templates string
		files           string
		values          map[string]any
		want            []string
	}{
		{"read value by value", "{{ .Values.image.repository }}:{{ $.Values.image.tag }}", "", map[string]any{"pull": "Always"}, []string{"image.pull"}},
		{"misspelt", "{{ .Values.image.repository }}:{{ .Values.image.tag }}", "", map[string]any{"tagg": "v2"}, []string{"image.tagg (tag)"}},
		{"read by a template alone", "{{ .Values.image.tag }}{{ .Values.image.pull }}", "", map[string]any{"pull": "Always"}, nil},
		{"read by a value that is a template", "{{ .Values.image.tag }}", "", map[string]any{"mirror": "m"}, nil},
		{"read by a file that is a template", "{{ .Values.image.tag }}", "{{ .Values.image.pull }}", map[string]any{"pull": "Always"}, nil},
		{"the map is handed on", "{{ .Values.image.tag }}{{ toYaml .Values.image }}", "", map[string]any{"pull": "Always"}, nil},
		{"its name begins another's", "{{ .Values.image.tag }}{{ toYaml .Values.images }}", "", map[string]any{"pull": "Always"}, []string{"image.pull"}},
		{"all values are handed on", "{{ .Values.image.tag }}{{ toYaml .Values }}", "", map[string]any{"pull": "Always"}, nil},
		{"all values are looked up", `{{ .Values.image.tag }}{{ index .Values "image" }}`, "", map[string]any{"pull": "Always"}, nil},
		{"no template reads the map", "{{ .Values.url }}", "", map[string]any{"pull": "Always"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := chart.Load(fstest.MapFS{
				"c/Chart.yaml":       {Data: []byte(chartYAML)},
				"c/values.yaml":      {Data: []byte(known)},
				"c/templates/a.yaml": {Data: []byte(tt.templates)},
				"c/files/a.conf":     {Data: []byte(tt.files)},
			}, "c")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range c.Unknown(map[string]any{"image": tt.values}) {
				at := strings.Join(p.Path, ".")
				if p.DidYouMean != "" {
					at += " (" + p.DidYouMean + ")"
				}
				got = append(got, at)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestUnknownCondition: what decides whether a sub-chart is there is read, too.
func TestUnknownCondition(t *testing.T) {
	c, err := chart.Load(fstest.MapFS{
		"c/Chart.yaml": {Data: []byte(chartYAML +
			"dependencies: [{name: redis, version: 1.0.0, repository: \"https://charts.example.org\", condition: \"redis.on,image.cache.on\"}]\n")},
		"c/values.yaml":      {Data: []byte("image: {tag: v1}\n")},
		"c/templates/a.yaml": {Data: []byte("{{ .Values.image.tag }}")},
	}, "c")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Unknown(map[string]any{"image": map[string]any{"cache": map[string]any{"on": true}}}); len(got) > 0 {
		t.Errorf("unknown: %v", got)
	}
}

// FuzzRead: no archive makes it panic, whatever it holds.
func FuzzRead(f *testing.F) {
	f.Add(packed(f, "demo/Chart.yaml", chartYAML, "demo/values.yaml", "a: 1", "demo/templates/a.yaml", "a: {{ .Values.a }}"))
	f.Add(packed(f, "demo/Chart.yaml", chartYAML, "demo/charts/a.tgz", packed(f, "a/Chart.yaml", chartYAML)))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if c, err := chart.Read(data); err == nil {
			c.Values()
			c.Unknown(map[string]any{"a": int64(1)})
		}
	})
}

// TestBombMemory reads archives of few bytes that unpack to as many as are allowed, or more:
// what comes out is there once, and not again for each time that a buffer grows.
func TestBombMemory(t *testing.T) {
	zeros := string(make([]byte, 63<<20))
	for name, data := range map[string][]byte{
		"a large file": packed(t, "demo/Chart.yaml", chartYAML, "demo/files/z", zeros),
		"an archive":   packed(t, "demo/Chart.yaml", chartYAML, "demo/charts/z.tgz", string(packed(t, "z/Chart.yaml", chartYAML, "z/files/z", zeros[:40<<20]))),
		"too large":    packed(t, "demo/Chart.yaml", chartYAML, "demo/files/z", zeros+zeros[:2<<20]),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := chart.Read(data)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 100<<20 || (err != nil) != (name == "too large") {
			t.Errorf("%s: %d bytes allocated %d MB: %v", name, len(data), grown>>20, err)
		}
	}
}
