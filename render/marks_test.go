package render_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// planted are the values that the cases below hold secret.
var planted = []string{"hunter2x", "zq7w9Kmm", "20261129", "5551234567", "3.1415926", "5.551234567e+09"}

// secretCase is an environment of its own with something secret in it.
type secretCase struct {
	imports, top, env, app string

	files string // a txtar archive
	says  string // what is said of it; "" where it is well
}

// repoOf makes one repository of all cases.
func repoOf(t *testing.T, cases map[string]secretCase) *render.Repo {
	t.Helper()
	base, err := txtar.ParseFile(filepath.Join("testdata", "base.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	unpack(t, dir, base)
	for name, c := range cases {
		unpack(t, dir, txtar.Parse([]byte(c.files)))
		env := fmt.Sprintf(`package env

import (
	"example.com/shop/envs/site:shop"
	"github.com/seed-428f4edd/evenkeel/schema"
%s
)

%s

environment: schema.#Environment & {
	name: %q
	site: shop.#Site
	%s
	apps: web: schema.#WebApp & {
		image: "harbor.shop.example/app/web:1.0.0"
		%s
	}
}
`, c.imports, c.top, name, c.env, c.app)
		if strings.Contains(env, "@embed") {
			env = "@extern(embed)\n\n" + env
		}
		at := filepath.Join(dir, "envs", name)
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(at, "env.cue"), []byte(env), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	repo, err := render.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// TestMarksAreFollowed renders values that are marked in every way, and used in
// every way: no leaf that shows one, or what is made of one, is left unmarked.
func TestMarksAreFollowed(t *testing.T) {
	t.Parallel()
	const pw = `_pw: "hunter2x" @secret()`
	configMap := func(data string) string {
		return `extraObjects: c: {apiVersion: "v1", kind: "ConfigMap", metadata: name: "c", data: ` + data + `}`
	}
	cases := map[string]secretCase{
		"hidden":          {top: pw, app: `env: A: "k=\(_pw)"`},
		"definition":      {top: `#pw: "hunter2x" @secret()`, app: `env: A: "k=\(#pw)"`},
		"number":          {top: `#pw: 20261129 @secret()`, app: `env: A: "k=\(#pw)"`},
		"short":           {top: `#pw: "mm" @secret()`, app: `env: A: "zq7w9K\(#pw)"`},
		"let":             {top: pw + "\nlet p = _pw", app: `env: A: p`},
		"list":            {top: `_l: ["hunter2x", "zq7w9Kmm"] @secret()`, app: `env: {A: _l[1], B: _l[0]}`},
		"list-item":       {top: `_l: [{"hunter2x", @secret()}, "b"]`, app: `env: A: _l[0]`},
		"struct":          {top: `_c: {u: "hunter2x", p: q: "zq7w9Kmm"} @secret()`, app: `env: A: "\(_c.u):\(_c.p.q)"`},
		"in-struct":       {top: `_c: {@secret(), u: "hunter2x", p: q: "zq7w9Kmm"}`, app: `env: A: "\(_c.u):\(_c.p.q)"`},
		"sum":             {top: pw, app: `env: A: "x" + _pw`},
		"base64":          {imports: `"encoding/base64"`, top: pw, app: `env: {A: base64.Encode(null, _pw), B: base64.Encode(null, "u:"+_pw), C: base64.Encode(null, "u"+_pw+"zz")}`},
		"strings":         {imports: `"strings"`, top: pw, app: `env: {A: strings.Join(["a", _pw], ","), B: strings.ToUpper(_pw), C: strings.Replace(_pw, "unter", "zq7w9Kmm", 1)}`},
		"cut":             {imports: `"strings"`, top: `_pw: "zq7w9Kmmhunter" @secret()`, app: `env: A: strings.SliceRunes(_pw, 0, 8)`},
		"file":            {top: pw, app: `files: "/etc/app.conf": "user=a\npassword=\(_pw)\n"`},
		"config-map":      {top: pw, app: configMap(`"a.conf": "x=\(_pw)"`)},
		"yaml":            {imports: `"encoding/yaml"`, top: `_c: {pw: "hunter2x"} @secret()`, app: configMap(`"a.conf": yaml.Marshal(_c)`)},
		"package":         {imports: `"example.com/shop/creds"`, app: `env: {A: "k=\(creds.#PW)", B: creds.url}`, files: "-- creds/c.cue --\npackage creds\n#PW: \"hunter2x\" @secret()\n_pw: \"zq7w9Kmm\" @secret()\nurl: \"jdbc://u:\\(_pw)@h\"\n"},
		"reference":       {top: "_base: \"hunter2x\"\n_pw: _base @secret()", app: `env: A: "k=\(_base)"`},
		"type":            {top: "#T: {PW=pw!: string @secret(), url: \"u:\\(PW)@h\"}\n_t: #T & {pw: \"hunter2x\"}", app: `env: A: _t.url`},
		"constraint":      {top: `_pw: "hunter2x" & =~"^[a-z0-9]{8}$" @secret()`, app: `env: A: "k=\(_pw)"`},
		"generator":       {top: pw, app: `kustomize: configMapGenerator: [{name: "c", literals: ["a=\(_pw)"]}]`},
		"kustomize-patch": {top: pw, app: `kustomize: patches: [{target: kind: "Deployment", patch: "[{\"op\":\"add\",\"path\":\"/metadata/annotations\",\"value\":{\"x\":\"\(_pw)\"}}]"}]`},
		"patch":           {top: pw, app: `patch: deployment: metadata: annotations: x: "k\(_pw)"`},
		"lines":           {top: "_pw: \"\"\"\n\thunter2x\n\tzq7w9Kmm\n\t\"\"\" @secret()", app: `env: A: _pw`},
		"template":        {imports: `"text/template"`, top: pw, app: `env: A: template.Execute("p={{.p}}", {p: _pw})`},
		"raw":             {top: `_pw: #"hunter2x"# @secret()`, app: `env: A: "k=\(_pw)"`},
		"bytes":           {top: `_pw: 'hunter2x' @secret()`, app: `env: A: "k=\(_pw)"`},
		"loop":            {top: `_m: {a: "hunter2x", b: "zq7w9Kmm"} @secret()`, app: `env: {for k, v in _m {"X\(k)": v}}`},
		"args":            {top: pw, app: `args: ["--pw=\(_pw)"]`},
		"other-file":      {app: `env: A: "k=\(_pw)"`, files: "-- envs/other-file/b.cue --\npackage env\n_pw: \"hunter2x\" @secret()\n"},
		"embedded":        {top: `_pw: _ @embed(file=pw.txt,type=text) @secret()`, app: `env: A: "k=\(_pw)"`, files: "-- envs/embedded/pw.txt --\nhunter2x"},
		"embedded-made":   {imports: `"strings"`, top: "_pw: _ @embed(file=pw.txt,type=text) @secret()\n_c: _ @embed(file=c.json)\n_j: _c.pw @secret()\n_y: _ @embed(file=y.yaml) @secret()", app: `env: {A: strings.ToUpper(_pw), B: strings.ToUpper(_j), C: strings.ToUpper(_y.pw), D: strings.ToUpper(_y.lines), E: "k=\(_c.n+1)"}`, files: "-- envs/embedded-made/pw.txt --\nhunter2x\n-- envs/embedded-made/c.json --\n{\"pw\": \"zq7w9Kmm\", \"n\": 1}\n-- envs/embedded-made/y.yaml --\npw: hunter2x\nlines: |\n  zq7w9Kmm\n  hunter2x\n"},
		"letters":         {imports: `"strings"`, top: `_pw: "пароль" @secret()`, app: `env: A: "zq7w9Kmm"+strings.ToUpper(_pw)`},
		"yes":             {top: `_b: true @secret()`, app: `env: A: "zq7w9Kmm-\(_b)"`},
	}
	repo := repoOf(t, cases)
	results, err := repo.RenderAll(t.Context(), slices.Sorted(maps.Keys(cases)))
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range results {
		t.Run(result.Env.Name, func(t *testing.T) {
			marked := 0
			for _, u := range result.Env.Units {
				for _, o := range u.Objects {
					marked += len(o.Secret)
					for _, at := range shown(o.Object, "", o.Secret) {
						t.Errorf("%s/%s shows %s, and its marks are %q", o.GetKind(), o.GetName(), at, o.Secret)
					}
				}
			}
			if result.Env.Name == "hidden" && !slices.Contains(result.Env.Withheld, "hunter2x") {
				t.Errorf("handed on are %q, without the value itself", result.Env.Withheld)
			}
			if marked == 0 {
				t.Error("nothing is marked")
			}
			if marked > 10 {
				t.Errorf("%d fields are marked", marked)
			}
		})
	}
	digest := func(sum string) int { // sums of a value cannot be found by what they are
		for _, r := range results {
			if r.Env.Name == sum {
				return countMarks(r.Env)
			}
		}
		return 0
	}
	if n := digest("strings"); n != 3 {
		t.Errorf("strings: %d fields are marked, want three", n)
	}
}

func countMarks(env *schema.Environment) int {
	n := 0
	for _, u := range env.Units {
		for _, o := range u.Objects {
			n += len(o.Secret)
		}
	}
	return n
}

// shown are the leaves that are not marked and hold a planted value in any form.
func shown(v any, at string, marks []string) []string {
	if slices.Contains(marks, at) {
		return nil
	}
	var found []string
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			found = append(found, shown(item, at+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(key), marks)...)
		}
	case []any:
		for i, item := range v {
			found = append(found, shown(item, fmt.Sprint(at, "/", i), marks)...)
		}
	default:
		if form := plantedIn(fmt.Sprint(v)); form != "" {
			return []string{at + " with " + form}
		}
	}
	return found
}

// plantedIn is the form in which a planted value stands in a text; "" for none.
func plantedIn(text string) string {
	for _, value := range planted {
		forms := []string{value, strings.ToUpper(value), hex.EncodeToString([]byte(value))}
		for _, before := range []string{"", "x", "xx"} {
			encoded := base64.RawStdEncoding.EncodeToString([]byte(before + value))
			forms = append(forms, encoded[[]int{0, 2, 3}[len(before)]:len(encoded)-2])
		}
		for _, form := range forms {
			if strings.Contains(text, form) {
				return form
			}
		}
	}
	return ""
}

// TestUnfollowed marks what the twin cannot change: that is said, and once.
func TestUnfollowed(t *testing.T) {
	t.Parallel()
	repo := repoOf(t, map[string]secretCase{
		"cut-apart": {imports: `"strings"`, top: "_f: _ @embed(file=f.txt,type=text)\n_pw: strings.Replace(_f, \"-\", \"\", -1) @secret()", app: `env: A: strings.ToUpper(_pw)`, files: "-- envs/cut-apart/f.txt --\nhun-ter-2x"},
		"followed":  {top: `_pw: "hunter2x" @secret()`, app: `env: A: "k=\(_pw)"`},
	})
	for name, want := range map[string]int{"cut-apart": 1, "followed": 0} {
		result, err := repo.Render(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		n := strings.Count(result.Warnings.Error(), "this marked value cannot be followed")
		if n != want {
			t.Errorf("%s: said %d times, want %d: %v", name, n, want, result.Warnings)
		}
	}
}

// TestSecretsInMessages makes every mistake with a secret value that people make:
// no message says it, in no field, be it of the environment or of another's vet.
func TestSecretsInMessages(t *testing.T) {
	t.Parallel()
	const pw, spaced = `_pw: "hunter2x" @secret()`, `_pw: "hunter2x Y" @secret()`
	secret := func(fields string) string {
		return `extraObjects: db: {apiVersion: "v1", kind: "Secret", metadata: name: "db", ` + fields + `}`
	}
	cases := map[string]secretCase{
		"number":          {app: secret(`stringData: pin: 20261129`), says: "stringData.pin: wrong type (expected a string; found a number; write it in quotes) [strict]"},
		"data-number":     {app: secret(`data: pin: 20261129`), says: "found a number; write it in quotes, under stringData"},
		"fraction":        {app: secret(`stringData: pin: 3.1415926`), says: "found a number"},
		"list-value":      {app: secret(`stringData: pin: ["hunter2x"]`), says: "found a list"},
		"not-a-map":       {app: secret(`stringData: "hunter2x"`), says: "found a string"},
		"not-base64":      {app: secret(`data: pin: "hunter2x-"`), says: "not base64"},
		"key":             {app: secret(`stringData: "hunter2x/bad": "5551234567"`), says: "data: not a key"},
		"patch-number":    {app: secret(`stringData: a: "x"`) + "\n\t\tpatch: db: stringData: pin: 20261129", says: "found a number"},
		"patch-whole":     {app: secret(`stringData: a: "x"`) + "\n\t\tpatch: db: \"hunter2x\"", says: "found a string"},
		"marked-number":   {app: `extraObjects: c: {apiVersion: "v1", kind: "ConfigMap", metadata: name: "c", data: token: 5551234567 @secret()}`, says: "found a number; write it in quotes"},
		"marked-patch":    {app: `patch: deployment: spec: template: spec: containers: [{name: "web", env: [{name: "T", value: 5551234567 @secret()}]}]`, says: "found a number"},
		"conflict":        {app: secret(`stringData: pin: "hunter2x"`) + "\n\t\textraObjects: db: stringData: pin: \"20261129\"", says: "conflicting values (secret) and (secret)"},
		"conflict-marked": {app: "env: A: \"hunter2x\" @secret()\n\t\tenv: A: \"20261129\"", says: "conflicting values (secret) and (secret)"},
		"conflict-def":    {top: "#pw: \"hunter2x\" @secret()\n#pw: \"20261129\"", app: `env: A: #pw`, says: "conflicting values (secret) and (secret)"},
		"pattern":         {top: "#pw: =~\"^[0-9]+$\"\n#pw: \"hunter2x\" @secret()", app: `env: A: #pw`, says: "found a string"},
		"as-replicas":     {top: pw, app: `replicas: _pw`, says: "found a string"},
		"as-host":         {top: spaced, app: `host: _pw`, says: "found a string"},
		"as-label":        {top: spaced, app: `patch: deployment: metadata: labels: x: _pw`, says: "not a label value"},
		"as-name":         {top: pw, app: `extraObjects: d: {apiVersion: "v1", kind: "ConfigMap", metadata: name: _pw}`, says: "decides the name of an object, and that cannot be hidden"},
		"as-key":          {top: pw, app: `extraObjects: c: {apiVersion: "v1", kind: "ConfigMap", metadata: name: "c", data: "\(_pw)": "x"}`, says: "decides the name of a field"},
		"as-timeout":      {top: pw, app: `timeout: _pw`, says: "timeout: invalid value"},
		"as-quantity":     {top: spaced, app: `patch: deployment: spec: template: spec: containers: [{name: "web", resources: limits: cpu: _pw}]`, says: "not a quantity"},
		"as-field":        {top: pw, app: `"\(_pw)": 1`, says: "apps.web.(secret): unknown field"},
		"as-group":        {top: spaced, env: `registry: zookeeper: {servers: ["zk1.shop.example:2181"], group: _pw}`, says: "registry.zookeeper.group: invalid value"},
		"as-after":        {top: pw, app: `after: [_pw]`, says: "no unit (secret)"},
		"as-reference":    {top: pw, app: `envFrom: secrets: [_pw]`, says: `no Secret "(secret)"`},
		"as-rule":         {top: pw, app: `silence: (_pw): "x"`, says: "no rule of this name"},
		"error":           {top: pw, app: `env: A: error("bad \(_pw)")`, says: "bad (secret)"},
		"long":            {top: `_pw: "` + strings.Repeat("hunter2x", 40) + `" @secret()`, app: `env: A: error("bad \(_pw)")`, says: "bad (secret)"},
		"generator":       {app: `kustomize: secretGenerator: [{name: "s", literals: ["hunter2x"]}]`, says: "a literal that is not key=value"},
		"generator-int":   {app: `kustomize: secretGenerator: [{name: "s", literals: [5551234567]}]`, says: "found a number"},
		"generator-text":  {app: `kustomize: secretGenerator: [{name: "s", literals: "hunter2x"}]`, says: "found a string"},
		"generator-file":  {app: `kustomize: dir: "k"`, files: "-- k/kustomization.yaml --\nsecretGenerator: [{name: s, literals: [hunter2x]}]\n", says: "a literal that is not key=value"},
		"generator-lines": {app: `kustomize: dir: "kl"`, files: "-- kl/kustomization.yaml --\nsecretGenerator: [{name: s, envs: [e]}]\n-- kl/e --\nhunter2x y=5551234567\n", says: "data: not a key"},
		"kustomize-patch": {app: secret(`stringData: a: "x"`) + "\n\t\tkustomize: patches: [{patch: \"apiVersion: v1\\nkind: Secret\\nmetadata: {name: db}\\nstringData: {pin: hunter2x\\n\"}]", says: "unable to parse SM or JSON patch from its text"},
		"kustomize-value": {app: `kustomize: dir: "kv"`, files: "-- kv/kustomization.yaml --\nresources: [s.yaml]\n-- kv/s.yaml --\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  pin: 20261129\n  a: [hunter2x]\n", says: "stringData.pin: wrong type (expected a string; found a number"},
		"custom":          {app: `extraObjects: c: {apiVersion: "ex.com/v1", kind: "Foo", metadata: name: "c", spec: {pw: 5551234567 @secret(), mode: "hunter2x" @secret(), n: "20261129" @secret()}}`, files: crdOfFoo, says: "spec.pw: wrong type (expected a string; found a number"},
		"chart-number":    {env: `stacks: c: schema.#Chart & {chart: "c", values: pin: 5551234567 @secret()}`, files: chartThatFails, says: "the pin is (secret)"},
		"chart-text":      {env: `stacks: c: schema.#Chart & {chart: "c", values: pin: "hunter2x" @secret()}`, files: chartThatFails, says: "the pin is (secret)"},
		"chart-upper":     {env: `stacks: c: schema.#Chart & {chart: "cf-upper", values: pin: "hunter2x" @secret()}`, files: "-- cf-upper/Chart.yaml --\n{apiVersion: v2, name: c, version: 1.0.0}\n-- cf-upper/values.yaml --\npin: \"\"\n-- cf-upper/templates/a.yaml --\n{{ fail (printf \"the pin is %v\" (upper .Values.pin)) }}\n", says: "the pin is (secret)"},
		"chart-first":     {env: `stacks: c: schema.#Chart & {chart: "cf-first", values: pin: "hunter2x" @secret()}`, files: "-- cf-first/Chart.yaml --\n{apiVersion: v2, name: c, version: 1.0.0}\n-- cf-first/values.yaml --\npin: \"\"\n-- cf-first/templates/a.yaml --\n{{ fail (printf \"the pin is %v\" (substr 0 5 .Values.pin)) }}\n", says: "the pin is (secret)"},
		"chart-last":      {env: `stacks: c: schema.#Chart & {chart: "cf-last", values: pin: "hunter2x" @secret()}`, files: "-- cf-last/Chart.yaml --\n{apiVersion: v2, name: c, version: 1.0.0}\n-- cf-last/values.yaml --\npin: \"\"\n-- cf-last/templates/a.yaml --\n{{ fail (printf \"the pin is %v\" (substr 3 8 .Values.pin)) }}\n", says: "the pin is (secret)"},
		"chart-base64":    {env: `stacks: c: schema.#Chart & {chart: "cf-base64", values: pin: "hunter2x" @secret()}`, files: "-- cf-base64/Chart.yaml --\n{apiVersion: v2, name: c, version: 1.0.0}\n-- cf-base64/values.yaml --\npin: \"\"\n-- cf-base64/templates/a.yaml --\n{{ fail (printf \"the pin is %v\" (substr 0 7 (b64enc .Values.pin))) }}\n", says: "the pin is (secret)"},
		"chart-reverse":   {env: `stacks: c: schema.#Chart & {chart: "cf-reverse", values: pin: "hunter2x" @secret()}`, files: "-- cf-reverse/Chart.yaml --\n{apiVersion: v2, name: c, version: 1.0.0}\n-- cf-reverse/values.yaml --\npin: \"\"\n-- cf-reverse/templates/a.yaml --\n{{ fail (printf \"the pin is %v\" (splitList \"\" .Values.pin | reverse | join \"\")) }}\n", says: "the pin is (secret)"},
		"chart-spread":    {env: `stacks: c: schema.#Chart & {chart: "cf-spread", values: pin: "hunter2x" @secret()}`, files: "-- cf-spread/Chart.yaml --\n{apiVersion: v2, name: c, version: 1.0.0}\n-- cf-spread/values.yaml --\npin: \"\"\n-- cf-spread/templates/a.yaml --\n{{ fail (printf \"the pin is %v\" (splitList \"\" .Values.pin | join \"-\")) }}\n", says: "the pin is (secret)"},
		"chart-hash":      {env: `stacks: c: schema.#Chart & {chart: "cf-hash", values: pin: "hunter2x" @secret()}`, files: "-- cf-hash/Chart.yaml --\n{apiVersion: v2, name: c, version: 1.0.0}\n-- cf-hash/values.yaml --\npin: \"\"\n-- cf-hash/templates/a.yaml --\n{{ fail (printf \"the pin is %v\" (sha256sum .Values.pin)) }}\n", says: "the pin is (secret)"},
		"chart-json":      {env: `stacks: c: schema.#Chart & {chart: "cf-json", values: pin: "hunter2x" @secret()}`, files: "-- cf-json/Chart.yaml --\n{apiVersion: v2, name: c, version: 1.0.0}\n-- cf-json/values.yaml --\npin: \"\"\n-- cf-json/templates/a.yaml --\n{{ fail (printf \"the pin is %v\" (toJson (dict \"a\" (upper .Values.pin)))) }}\n", says: "the pin is (secret)"},
		"chart-type":      {env: `stacks: c: schema.#Chart & {chart: "cf-type", values: pin: 5551234567 @secret()}`, files: "-- cf-type/Chart.yaml --\n{apiVersion: v2, name: c, version: 1.0.0}\n-- cf-type/values.yaml --\npin: \"\"\n-- cf-type/templates/a.yaml --\n{{ fail (printf \"the pin is %v\" (int64 (add 1 .Values.pin))) }}\n", says: "the pin is (secret)"},
		"made-upper":      {imports: `"strings"`, top: pw, app: `env: A: error("bad " + strings.ToUpper(_pw))`, says: "apps.web.env.A: bad (secret)"},
		"made-spread":     {imports: `"strings"`, top: pw, app: `env: A: error("bad " + strings.Join(strings.Split(_pw, ""), "-"))`, says: "apps.web.env.A: bad (secret)"},
		"made-field":      {imports: `"strings"`, top: pw, app: `(strings.ToUpper(_pw) + "/ x"): "x"`, says: "unknown field"},
		"made-host":       {imports: `"strings"`, top: pw, app: "host: strings.ToUpper(_pw) + \" x\"", says: "host: "},
		"made-patch":      {imports: `"strings"`, top: pw, app: `kustomize: patches: [{target: kind: "Deployment", patch: "[{\"op\":\"add\",\"path\":\"/x/\(strings.ToUpper(_pw))/y\",\"value\":1}]"}]`, says: "add operation does not apply"},
		"made-dir":        {imports: `"strings"`, top: pw, app: `kustomize: dir: strings.ToUpper(_pw)`, says: "is not in the repository"},
		"made-after":      {imports: `"strings"`, top: pw, app: `after: [strings.Replace(_pw, "unter", "zq7w9Kmm", 1)]`, says: "after[0]: (secret)"},
		"made-of-literal": {imports: `"strings"`, app: secret(`stringData: pin: "hunter2x"`) + "\n\t\tenv: A: error(\"bad \" + strings.ToUpper(extraObjects.db.stringData.pin))", says: "apps.web.env.A: bad (secret)"},
		"notice":          {top: pw, app: `notice: "call \(_pw)"`, says: "call (secret)"},
		"misspelt":        {app: `env: A: "hunter2x" @Secret()`, says: "@Secret() marks nothing: write @secret()"},
		"whole-file":      {top: "@secret()\n_pw: \"hunter2x\"", app: `env: A: _pw`, says: "the mark stands on no field"},
		"encrypted-clear": {env: `secrets: db: file: "clear.yaml"`, files: "-- clear.yaml --\na: hunter2x\nb: 5551234567\n", says: "is not encrypted by sops"},
	}
	repo := repoOf(t, cases)
	var all render.Findings
	warnings, err := repo.Vet(t.Context(), slices.Sorted(maps.Keys(cases))...)
	all = append(all, warnings...)
	if found, ok := err.(render.Findings); ok { //nolint:errorlint // it returns them bare
		all = append(all, found...)
	} else {
		t.Fatalf("vet: %v", err)
	}
	said := map[string]string{}
	for _, f := range all {
		said[f.Environment] += f.String() + "\n"
		data, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		if form := plantedIn(string(data)); form != "" || strings.Contains(string(data), "h-u-n") {
			t.Errorf("%s is said: %s", form, data)
		}
	}
	for name, c := range cases {
		if !strings.Contains(said[name], c.says) {
			t.Errorf("%s: got %q, want %q in it", name, said[name], c.says)
		}
	}
	summaries, err := repo.Envs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for _, s := range summaries {
		if s.Err == nil {
			continue
		}
		wrong++
		if form := plantedIn(s.Err.Error()); form != "" {
			t.Errorf("%s is said in the list of environments: %s", form, s.Err)
		}
	}
	if wrong == 0 {
		t.Error("no environment of the list is wrong")
	}
	for name := range cases {
		for _, field := range []string{"env", "replicas", "extraObjects"} { // each that one of them contradicts
			_, _, err := repo.Written(t.Context(), name, []string{"apps", "web", field})
			if err != nil && plantedIn(err.Error()) != "" {
				t.Errorf("%s: looked up, %s is said: %s", name, field, err)
			}
		}
	}
	siblings, err := repo.Vet(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	if form := plantedIn(siblings.Error()); form != "" {
		t.Errorf("%s is said in another environment's vet: %s", form, siblings)
	}
}

const chartThatFails = `-- c/Chart.yaml --
{apiVersion: v2, name: c, version: 1.0.0}
-- c/values.yaml --
pin: ""
-- c/templates/a.yaml --
{{ fail (printf "the pin is %v" .Values.pin) }}
`

const crdOfFoo = `-- crds/foo.yaml --
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: foos.ex.com}
spec:
  group: ex.com
  scope: Namespaced
  names: {kind: Foo, plural: foos}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              pw: {type: string}
              mode: {type: string, enum: [a, b, hunter2y]}
              n: {type: integer}
`

// TestMarkedInRules holds custom resources to rules that say in their message what they
// make of a marked value, or stumble over it. What the definition says in so many words
// stays.
func TestMarkedInRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rule, want string }{
		{`{rule: "false", messageExpression: "self.password.substring(0, 9)"}`, "message is left out"},
		{`{rule: "false", messageExpression: "self.password.split('').join('-')", fieldPath: ".user"}`, "message is left out"},
		{`{rule: "{'a': true}[self.password.substring(0, 9)]"}`, "message is left out"},
		{`{rule: "self.password.size() > 20", message: "too short"}`, "too short"},
		{`{rule: "self.password.size() > 20"}`, "failed rule: self.password.size() > 20"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			base, err := txtar.ParseFile(filepath.Join("testdata", "base.txtar"))
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			unpack(t, dir, base)
			put(t, dir, "crds/accounts.yaml", `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: accounts.shop.example}
spec:
  group: shop.example
  scope: Namespaced
  names: {plural: accounts, singular: account, kind: Account, listKind: AccountList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {user: {type: string}, password: {type: string}}
            x-kubernetes-validations: [`+c.rule+"]\n")
			put(t, dir, "envs/marked/env.cue", `package marked

import (
	"example.com/shop/envs/site:shop"
	"github.com/seed-428f4edd/evenkeel/schema"
)

environment: schema.#Environment & {
	name: "marked"
	site: shop.#Site
	apps: unit: schema.#Objects & {
		extraObjects: account: {
			apiVersion: "shop.example/v1"
			kind:       "Account"
			metadata: name: "one"
			spec: {user: "me", password: "hunter2hunter2" @secret()}
		}
	}
}
`)
			repo, err := render.Open(dir)
			if err == nil {
				_, err = repo.Vet(t.Context(), "marked")
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2hu") || strings.Contains(err.Error(), "h-u-n-t-e-r")) {
				t.Errorf("the value shows: %v", err)
			}
		})
	}
}

// TestMarksThatAreShown marks what lists, plans and questions name an environment by: it
// is refused at its line, and the list of environments has nothing of it.
func TestMarksThatAreShown(t *testing.T) {
	t.Parallel()
	const pw = `_pw: "hunter2x" @secret()`
	cases := map[string]secretCase{
		"context":     {env: `cluster: context: "hunter2x" @secret()`, says: "cluster: the value of a marked field"},
		"struct":      {env: `cluster: {context: "hunter2x"} @secret()`, says: "cluster: the value of a marked field"},
		"in-struct":   {env: `cluster: {@secret(), context: "hunter2x"}`, says: "cluster: the value of a marked field"},
		"server":      {top: pw, env: `cluster: server: "https://me:\(_pw)@api.shop.example"`, says: "cluster: the value of a marked field"},
		"base64":      {imports: `"encoding/base64"`, top: pw, env: `cluster: context: base64.Encode(null, _pw)`, says: "cluster: the value of a marked field"},
		"upper":       {imports: `"strings"`, top: pw, env: `cluster: context: strings.ToUpper(_pw)`, says: "cluster: the value of a marked field"},
		"namespace":   {env: `namespace: "hunter2x" @secret()`, says: "namespace: the value of a marked field"},
		"short":       {top: `_pw: "mm" @secret()`, env: `namespace: _pw`, says: "namespace: the value of a marked field"},
		"after":       {top: pw, env: `after: [_pw]`, says: "after: the value of a marked field"},
		"was":         {top: pw, env: `was: _pw`, says: "was: the value of a marked field"},
		"controllers": {top: pw, env: `controllers: [_pw]`, says: "controllers: the value of a marked field"},
		"freeze":      {top: pw, env: `freeze: [{from: "2026-12-24", to: "2026-12-27", why: _pw, zone: "UTC"}]`, says: "freeze: the value of a marked field"},
		"from":        {top: pw, env: `promotion: {from: _pw, soak: "1h"}`, says: "promotion: the value of a marked field"},
		"other":       {top: `_pw: "other" @secret()`, app: `env: A: "\(_pw)"`}, // the name by chance
	}
	repo := repoOf(t, cases)
	warnings, err := repo.Vet(t.Context(), slices.Sorted(maps.Keys(cases))...)
	found, ok := err.(render.Findings) //nolint:errorlint // it returns them bare
	if !ok {
		t.Fatalf("vet: %v", err)
	}
	said := map[string]string{}
	for _, f := range append(found, warnings...) {
		said[f.Environment] += f.String() + "\n"
		if form := plantedIn(f.String()); form != "" {
			t.Errorf("%s is said: %s", form, f)
		}
	}
	for name, c := range cases {
		if !strings.Contains(said[name], c.says) || c.says != "" && !strings.Contains(said[name], "envs/"+name+"/env.cue:") {
			t.Errorf("%s: got %q, want %q in it, and its line", name, said[name], c.says)
		}
	}
	summaries, err := repo.Envs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range summaries {
		c, ok := cases[s.Name]
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if form := plantedIn(string(data)); form != "" || strings.Contains(string(data), `"mm"`) {
			t.Errorf("%s shows %q: %s", s.Name, form, data)
		}
		if ok && (s.Err != nil) != (c.says != "") {
			t.Errorf("%s: its error is %v", s.Name, s.Err)
		}
	}
}
