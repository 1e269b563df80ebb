package sops

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// TestSops decrypts what the real sops encrypted (testdata/make.sh) to what the
// real sops decrypts it to.
func TestSops(t *testing.T) {
	wants, err := filepath.Glob("testdata/*.want")
	if err != nil || len(wants) < 14 {
		t.Fatalf("%d fixtures: %v", len(wants), err)
	}
	for _, want := range wants {
		name := strings.TrimSuffix(want, ".want")
		t.Run(filepath.Base(name), func(t *testing.T) {
			docs, err := parse(t, name).Decrypt(identities(t, keyOf(name)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(plain(t, want), values(docs)); diff != "" {
				t.Errorf("(-sops +this)\n%s", diff)
			}
		})
	}
}

func keyOf(name string) string {
	if filepath.Base(name) == "pq.yaml" {
		return "pq.txt"
	}
	return "keys.txt"
}

func parse(t testing.TB, name string) *File {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(name, data)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func identities(t testing.TB, name string) []age.Identity {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	ids, err := parseIdentities(name, data)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// plain reads what sops decrypted with the parsers of other people.
func plain(t *testing.T, name string) []any {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var docs []any
	switch filepath.Ext(strings.TrimSuffix(name, ".want")) {
	case ".json":
		var v any
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		return []any{numbers(v)}
	case ".env":
		m := map[string]any{}
		for line := range strings.Lines(string(data)) {
			if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
				m[name] = strings.ReplaceAll(value, `\n`, "\n")
			}
		}
		return []any{m}
	}
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var v any
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, v)
	}
}

func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return int(i)
		}
		f, err := v.Float64()
		if err != nil {
			return math.NaN()
		}
		return f
	}
	return v
}

func values(docs []Map) []any {
	out := make([]any, len(docs))
	for i, doc := range docs {
		out[i] = value(doc)
	}
	return out
}

func value(v any) any {
	switch v := v.(type) {
	case Map:
		m := map[string]any{}
		for _, e := range v {
			m[e.Key] = value(e.Value)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = value(v[i])
		}
		return list
	}
	return v
}

// TestRecipients: any of the identities that fit will do, and one that does not is
// named by what would.
func TestRecipients(t *testing.T) {
	f := parse(t, "testdata/two.yaml")
	for _, key := range []string{"keys.txt", "other.txt"} {
		if _, err := f.Decrypt(append(identities(t, "pq.txt"), identities(t, key)...)); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	_, err := f.Decrypt(identities(t, "pq.txt"))
	wrong, ok := errors.AsType[WrongIdentity](err)
	if !ok || len(wrong.Recipients) != 2 {
		t.Errorf("a foreign identity: %v", err)
	}
}

// TestTampered: whatever is changed in a file is found, and the message tells
// nothing of its content.
func TestTampered(t *testing.T) {
	data, err := os.ReadFile("testdata/only-suffix.yaml")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	enc := func(key string) string {
		for _, line := range lines {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && name == key {
				return value
			}
		}
		t.Fatalf("no %s", key)
		return ""
	}
	for _, tt := range []struct{ name, from, to string }{
		{"a value in clear", "user: shop", "user: root"},
		{"a key in clear", "user: shop", "user: shop\nadmin: root"},
		{"a removed value", "user: shop\n", ""},
		{"a value of another key", enc("password_secret"), enc("token")},
		{"a renamed key", "password_secret:", "token_secret:"},
		{"a value no longer encrypted", enc("password_secret"), "hunter2"},
		{"an emptied value", enc("password_secret"), `""`},
		{"another rule", "encrypted_suffix: _secret", "encrypted_suffix: _other"},
		{"no MAC", "mac: " + enc("mac"), `mac: ""`},
		{"another time", "lastmodified: " + enc("lastmodified"), `lastmodified: "2020-01-01T00:00:00Z"`},
		{"another type", ",type:str]", ",type:int]"},
		{"more behind a value", ",type:str]", ",type:str]x"},
		{"a flipped bit", "data:", "data:A"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changed := strings.Replace(string(data), tt.from, tt.to, 1)
			if changed == string(data) {
				t.Fatalf("nothing to change: %q", tt.from)
			}
			f, err := Parse("x.yaml", []byte(changed))
			if err == nil {
				_, err = f.Decrypt(identities(t, "keys.txt"))
			}
			if err == nil {
				t.Fatal("not noticed")
			}
			if strings.Contains(err.Error(), "hunter") || strings.Contains(err.Error(), "shop") {
				t.Errorf("the message tells: %v", err)
			}
		})
	}
}

// TestRefused are files that are not what this package reads.
func TestRefused(t *testing.T) {
	for _, tt := range []struct{ name, data, want string }{
		{"plain.yaml", "password: hunter2\n", "is not encrypted by sops"},
		{"plain.json", `{"password": "hunter2"}`, "is not encrypted by sops"},
		{"plain.env", "PASSWORD=hunter2\n", "is not encrypted by sops"},
		{"empty.yaml", "", "is not encrypted by sops"},
		{"broken.yaml", "password: \"hunter2\nx: [", "not YAML: line"},
		{"broken.json", `{"password": "hunter2`, "not JSON: at byte"},
		{"broken.env", "hunter2", "line 1: not NAME=value"},
		{"list.yaml", "- hunter2", "not a mapping"},
		{"twice.yaml", "a: hunter2\na: hunter3", "stands twice"},
		{"x.ini", "", "tells no format"},
		{"groups.yaml", "sops: {key_groups: [{age: []}], lastmodified: \"2026-01-01T00:00:00Z\"}", "key groups are not supported"},
		{"rules.yaml", "sops: {encrypted_regex: a, encrypted_suffix: b, lastmodified: \"2026-01-01T00:00:00Z\"}", "more than one rule"},
		{"pgp.yaml", "sops: {pgp: [{enc: x}], lastmodified: \"2026-01-01T00:00:00Z\"}", "only for pgp"},
	} {
		f, err := Parse(tt.name, []byte(tt.data))
		if err == nil {
			err = f.CheckRecipients()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		} else if strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: the message tells: %v", tt.name, err)
		}
	}
}

// TestIdentities: where identities are found, and what is said where not.
func TestIdentities(t *testing.T) {
	key, err := os.ReadFile("testdata/keys.txt")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	for _, name := range []string{"SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY_CMD"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", home)
	find := func(want int) {
		t.Helper()
		ids, err := Identities(t.Context())
		if len(ids) != want || err != nil {
			t.Errorf("%d identities, want %d: %v", len(ids), want, err)
		}
	}
	if _, err := Identities(t.Context()); err == nil || !strings.Contains(err.Error(), "SOPS_AGE_KEY_FILE") || !strings.Contains(err.Error(), "keys.txt") {
		t.Errorf("without any: %v", err)
	}
	t.Setenv("SOPS_AGE_KEY", string(key))
	find(1)
	t.Setenv("SOPS_AGE_KEY_FILE", "testdata/other.txt")
	find(2)
	t.Setenv("SOPS_AGE_KEY_CMD", `cat "testdata/pq.txt"`)
	find(3)
	if err := os.MkdirAll(filepath.Join(home, "sops", "age"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "sops", "age", "keys.txt"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	find(4)
	t.Setenv("SOPS_AGE_KEY", "AGE-SECRET-KEY-1BROKEN")
	if _, err := Identities(t.Context()); err == nil || strings.Contains(err.Error(), "BROKEN") {
		t.Errorf("a broken one: %v", err)
	}
}

// FuzzParse: no input breaks the reader.
func FuzzParse(f *testing.F) {
	names, _ := filepath.Glob("testdata/*.*")
	for _, name := range names {
		if data, err := os.ReadFile(name); err == nil {
			f.Add(filepath.Ext(name), data)
		}
	}
	ids := identities(f, "keys.txt")
	f.Fuzz(func(_ *testing.T, ext string, data []byte) {
		if file, err := Parse("x"+ext, data); err == nil {
			_, _ = file.Decrypt(ids)
		}
	})
}

// TestManyKeys reads a file of very many keys in time that grows with it, and not faster.
func TestManyKeys(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&b, "k%d: a\n", i)
	}
	first := b.String()
	began := time.Now()
	if docs, err := parseYAML([]byte(first)); err != nil || len(docs[0]) != 40_000 {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 10*time.Second { // 0.2 s where nobody else works
		t.Errorf("took %s", took)
	}
	if _, err := parseYAML([]byte(first + "k7: b\n")); err == nil || err.Error() != `line 40001: key "k7" stands twice` {
		t.Error(err)
	}
}
