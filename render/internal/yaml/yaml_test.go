package yaml

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	yaml3 "go.yaml.in/yaml/v3"
	sigs "sigs.k8s.io/yaml"
)

// yamlStrings are strings that some reader of YAML takes for something else, or
// that need care.
func yamlStrings() []string {
	return []string{
		"", "y", "Y", "n", "N", "yes", "No", "on", "OFF", "true", "False", "null", "~", "NaN", ".inf",
		"1", "1.0", "0777", "0o7", "0x1f", "1e3", "1E3", "12:30", "1:2:3", "2026-11-21", "1_000", "0b1", "500m", "2Gi", "1.5Gi", "5m0s", "10.4.7.0/24", "3E", "1Ei", "6e",
		"-", "- a", "a: b", "a:", ":a", "a #b", "#a", " a", "a ", "*a", "&a", "!a", "%a", "@a", "`a", "{a}", "[a]", "a]", "'a'", "\"a\"", "?", "? a", "|", ">", "=", "<<",
		"a\nb", "a\nb\n", "a\n\nb\n", "\na", "a\n\n", " a\nb", "a \nb", "a\tb", "a\r\nb", "a\n  b\n", "\ta\nb", "a\nb ", "---", "--- a", "...", "a\n---\nb\n", "a\n# b\n",
		"\u0085", "a\u2028b", "\ufeffa", "\x00", "é", "中文", "a\u00a0b\nc", "😀", "a\u202eb\nc\n", "a\u200bb", "\U000e0041", "👩\u200d💻", "zookeeper://zk1.od.com:2181?backup=zk2.od.com:2181",
		"-Xms160m -Xmx160m", "harbor.od.com/app/x:1", "/", "/a", "a/b", "*", "8080", "+1", "-1", ".5", "5.", "a,b", "a, b", "_a", "/:", "x=y", "$(A)", "%",
	}
}

// TestYAMLStrings reads every string back with both YAML readers of Kubernetes
// tools, as value, key and list item.
func TestYAMLStrings(t *testing.T) {
	for _, s := range yamlStrings() {
		roundTrip(t, s)
	}
}

func FuzzYAML(f *testing.F) {
	for _, s := range yamlStrings() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { roundTrip(t, s) })
}

func roundTrip(t *testing.T, s string) {
	t.Helper()
	want := map[string]any{
		"value": s, "list": []any{s, []any{s, map[string]any{"a": s, "b": s}}}, "map": map[string]any{"k" + s: s, "in": map[string]any{"x": s}},
		"empty": map[string]any{}, "none": []any{}, "float": 1e21, "half": 0.5, "whole": 3.0, "int": int64(7),
	}
	var b bytes.Buffer
	out := bufio.NewWriter(&b)
	Write(out, want)
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\u202e\u2066\u200b\u00ad\U000e0041") {
		t.Errorf("%q is written so that it hides something:\n%s", s, b.String())
	}
	if !isUTF8(s) {
		return // JSON cannot hold it; the evaluator never yields it
	}
	var got map[string]any
	if err := sigs.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%q: %v\n%s", s, err, b.String())
	}
	want["int"] = 7.0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%q reads back as another value (-want +got)\n%s\n%s", s, diff, b.String())
	}
	var strict struct{ Value yaml3.Node }
	if err := yaml3.Unmarshal(b.Bytes(), &strict); err != nil {
		t.Fatalf("%q: %v\n%s", s, err, b.String())
	}
	if strict.Value.Tag != "!!str" || strict.Value.Value != s {
		t.Errorf("%q reads as %s %q with YAML 1.2", s, strict.Value.Tag, strict.Value.Value)
	}
}

func isUTF8(s string) bool { return bytes.Equal([]byte(s), []byte(string([]rune(s)))) }

// BenchmarkYAML writes a Deployment: by Write, and with yaml.v3, which quotes fewer
// of the strings that YAML 1.1 takes for something else (TestYAMLStrings).
func BenchmarkYAML(b *testing.B) {
	var obj map[string]any
	if err := sigs.Unmarshal([]byte(deployment), &obj); err != nil {
		b.Fatal(err)
	}
	var out bytes.Buffer
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			out.Reset()
			w := bufio.NewWriter(&out)
			Write(w, obj)
			if err := w.Flush(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("yaml.v3", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			out.Reset()
			enc := yaml3.NewEncoder(&out)
			enc.SetIndent(2)
			if err := enc.Encode(obj); err != nil {
				b.Fatal(err)
			}
			if err := enc.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {app: web, app.kubernetes.io/part-of: shop}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {prometheus.io/scrape: "true"}}
    spec:
      imagePullSecrets: [{name: harbor}]
      containers:
      - name: app
        image: harbor.od.com/app/web:release_v1.2.3
        args: [-Xms160m, "-Xmx160m", "--registry=zookeeper://zk1.od.com:2181?backup=zk2.od.com:2181"]
        ports: [{name: http, containerPort: 8080, protocol: TCP}]
        env: [{name: TZ, value: Asia/Shanghai}, {name: DEBUG, value: "no"}]
        resources: {limits: {cpu: "1", memory: 1Gi}, requests: {cpu: 100m, memory: 512Mi}}
        readinessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 5}
      volumes: [{name: tmp, emptyDir: {}}]
`
