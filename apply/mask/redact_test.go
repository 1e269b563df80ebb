package mask

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// TestRedactor: however a server quotes a value, it is not in the text.
func TestRedactor(t *testing.T) {
	values := []string{"correct-horse", `pa"ss\word`, "mit Umlaut ü <&>", "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\n-----END KEY-----\n", "1234"}
	r := &Redactor{}
	r.add(values...)
	for _, v := range values {
		v = strings.TrimSpace(v)
		quoted := fmt.Sprintf("Invalid value: %q: must be", v)
		message, err := json.Marshal(map[string]any{"message": quoted})
		if err != nil {
			t.Fatal(err)
		}
		texts := []string{quoted, string(message)}
		if v != "1234" {
			texts = append(texts, "it is "+v+".", "it is "+base64.StdEncoding.EncodeToString([]byte(v))+".")
		}
		for _, text := range texts {
			got := r.Text(text)
			if !strings.Contains(got, hidden) || strings.Contains(got, "horse") || strings.Contains(got, "word") ||
				strings.Contains(got, "mlaut") || strings.Contains(got, "MII") || strings.Contains(got, "1234") {
				t.Errorf("%s: %s", text, got)
			}
		}
		var back map[string]string
		if err := json.Unmarshal(r.Body(message), &back); err != nil {
			t.Errorf("%s is no longer JSON: %v", r.Body(message), err)
		}
	}
	if got := r.Text("port 1234 of 5"); got != "port 1234 of 5" {
		t.Errorf("a short value without quotes: %s", got)
	}
}

// TestRedactorURL: of a URL with a password, programs quote the password alone.
func TestRedactorURL(t *testing.T) {
	r := &Redactor{}
	r.add("postgres://shop:correct-horse@db/shop", "use redis://:battery%2Fstaple@cache:6379, or amqp://a:staple-again@mq")
	for _, text := range []string{"login shop/correct-horse failed", "auth battery/staple", "auth battery%2Fstaple", "no staple-again"} {
		if got := r.Text(text); strings.Contains(got, "horse") || strings.Contains(got, "staple") {
			t.Errorf("%s: %s", text, got)
		}
	}
	if got := r.Text("db is away, so is shop"); got != "db is away, so is shop" {
		t.Errorf("what is no password: %s", got)
	}
}

// TestRedactorPlain: what an environment says for everybody to read is no secret,
// even if a Secret says it too.
// TestRedactorWithheld: a server that quotes the value inside a marked field, and not
// the whole field, does not show it.
func TestRedactorWithheld(t *testing.T) {
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "c"}, "data": map[string]any{"a": "k=hunter2x"},
	}}
	env := &schema.Environment{
		Withheld: []string{"hunter2x"},
		Units:    []schema.Unit{{Name: "u", Objects: []schema.Object{{Unstructured: obj, Key: "c", Secret: []string{"/data/a"}}}}},
	}
	r := &Redactor{}
	r.Learn(env)
	if got, want := r.Text("admission webhook denied: hunter2x is weak"), "admission webhook denied: "+hidden+" is weak"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	raw, err := json.Marshal(env)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), `"hunter2x"`) {
		t.Errorf("it is written down: %s", raw)
	}
}

func TestRedactorPlain(t *testing.T) {
	secret := object("v1", "Secret", "db", map[string]any{"data": map[string]any{"user": base64.StdEncoding.EncodeToString([]byte("the-name-of-an-app"))}})
	app := object("apps/v1", "Deployment", "the-name-of-an-app", nil)
	env := &schema.Environment{Units: []schema.Unit{{Objects: []schema.Object{{Unstructured: secret}, {Unstructured: app}}}}}
	r := &Redactor{}
	r.Learn(env)
	const text = `Deployment "the-name-of-an-app" is invalid`
	if got := r.Text(text); got != text {
		t.Error(got)
	}
}

// TestMarks: a marked field is hidden in other versions of the object too, where
// the item is found by its name.
func TestMarks(t *testing.T) {
	container := func(env ...any) map[string]any {
		return map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "web", "env": env}}}}
	}
	variable := func(name, value string) any { return map[string]any{"name": name, "value": value} }
	desired := &schema.Object{
		Unstructured: object("v1", "Pod", "web", container(variable("A", "a"), variable("TOKEN", "wanted"))),
		Secret:       []string{"/spec/containers/0/env/1/value"},
	}
	live := object("v1", "Pod", "web", container(variable("TOKEN", "edited"), variable("B", "b")))
	m := New([]byte("k"), map[schema.ID][]Mark{schema.IDOf(live): marksOf(desired)}, &Redactor{})
	for _, u := range []*unstructured.Unstructured{live, desired.Unstructured} {
		text := fmt.Sprint(m.Object(u).Object)
		if strings.Contains(text, "edited") || strings.Contains(text, "wanted") || !strings.Contains(text, "secret:") {
			t.Error(text)
		}
	}
	if !strings.Contains(fmt.Sprint(m.Object(live).Object), "value:b") {
		t.Error("the other variable is hidden too")
	}

	// The digest tells nothing of it, and changes with it.
	digest := func(value, key string) string {
		desired.Object = object("v1", "Pod", "web", container(variable("A", "a"), variable("TOKEN", value))).Object
		d, err := Digest(&schema.Environment{Units: []schema.Unit{{Objects: []schema.Object{*desired}}}}, []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if digest("x", "") != digest("y", "") || digest("x", "k") == digest("y", "k") {
		t.Error("the digest")
	}
}

func object(apiVersion, kind, name string, content map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	maps.Copy(u.Object, content)
	u.SetAPIVersion(apiVersion)
	u.SetKind(kind)
	u.SetNamespace("x")
	u.SetName(name)
	return u
}
