package mask

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// Redactor knows secret values and takes them out of texts that others wrote:
// error messages of the API server and of webhooks, events, the log lines of a
// crash. Where a value has its field, masker hides it; this is for where it has
// none. It is safe for concurrent use.
type Redactor struct {
	mu       sync.RWMutex
	values   map[string]bool
	replacer *strings.Replacer // nil until it is needed, and after new values

	plain   map[string]bool     // what the environment says for everybody to read
	learned *schema.Environment // the last one
}

// hidden stands for a secret value in a text.
const hidden = "(secret)"

// Shorter values are hidden only where they stand in quotes: "1" is everywhere.
const (
	redactLength     = 6
	redactLineLength = 16 // of one line of a value that has several
)

// add makes values known. A value that the environment says elsewhere for everybody
// to read, as the name of an object for instance, is none: hiding it would take the
// sense out of every message.
func (r *Redactor) add(values ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range values {
		v = strings.TrimRight(v, "\r\n")
		for _, v := range append(passwords(v), v) {
			if v == "" || r.values[v] || r.plain[v] {
				continue
			}
			if r.values == nil {
				r.values = map[string]bool{}
			}
			r.values[v] = true
			r.replacer = nil
		}
	}
}

// inURL is a password in a URL, such as postgres://user:password@host/: programs quote
// it without the rest.
var inURL = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@"']*:([^\s/@"']+)@`)

// passwords are those in the URLs that a value has, as they stand there and decoded.
func passwords(v string) []string {
	var all []string
	for _, m := range inURL.FindAllStringSubmatch(v, -1) {
		all = append(all, m[1])
		if plain, err := url.PathUnescape(m[1]); err == nil && plain != m[1] {
			all = append(all, plain)
		}
	}
	return all
}

// Text is s without the values that are known.
func (r *Redactor) Text(s string) string {
	r.mu.RLock()
	replacer, known := r.replacer, len(r.values)
	r.mu.RUnlock()
	if known == 0 || s == "" {
		return s
	}
	if replacer == nil {
		replacer = r.build()
	}
	return replacer.Replace(s)
}

// build makes the replacer: for each value how it may stand in a text, the
// longest first, because at one place the first that fits is taken.
func (r *Redactor) build() *strings.Replacer {
	r.mu.Lock()
	defer r.mu.Unlock()
	forms := map[string]string{}
	for v := range r.values {
		textForms(v, forms)
	}
	sorted := slices.SortedFunc(maps.Keys(forms), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	pairs := make([]string, 0, 2*len(sorted))
	for _, form := range sorted {
		pairs = append(pairs, form, forms[form])
	}
	r.replacer = strings.NewReplacer(pairs...)
	return r.replacer
}

// textForms adds the ways in which a value may stand in a text, and what replaces
// them: as it is, in base64, and as Go and JSON quote it, also one inside the other.
func textForms(v string, forms map[string]string) {
	quoted := []string{v, inner(strconv.Quote(v)), inner(jsonText(v))}
	for _, q := range slices.Clone(quoted) {
		quoted = append(quoted, inner(jsonText(q)))
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(v))
	if len(v) < redactLength {
		for _, q := range append(quoted, encoded) {
			forms[`"`+q+`"`] = `"` + hidden + `"`
			forms[`\"`+q+`\"`] = `\"` + hidden + `\"`
		}
		return
	}
	for _, form := range append(quoted, encoded, base64.RawURLEncoding.EncodeToString([]byte(v)), base64.StdEncoding.EncodeToString([]byte(v+"\n"))) {
		forms[form] = hidden
	}
	if lines := strings.Split(v, "\n"); len(lines) > 1 {
		for _, line := range lines {
			if line = strings.TrimSpace(line); len(line) >= redactLineLength {
				forms[line] = hidden
			}
		}
	}
}

func jsonText(s string) string {
	raw, err := json.Marshal(s)
	if err != nil {
		return strconv.Quote(s) // a string always marshals
	}
	return string(raw)
}

func inner(quoted string) string { return quoted[1 : len(quoted)-1] }

// value is a JSON value without the values that are known: the same where there
// are none.
func (r *Redactor) value(v any) any {
	switch v := v.(type) {
	case string:
		return r.Text(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = r.value(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = r.value(v[i])
		}
		return out
	}
	return v
}

// Body is the body of an API error without the values that are known.
func (r *Redactor) Body(raw []byte) []byte {
	text := r.Text(string(raw))
	if text == string(raw) {
		return raw
	}
	return []byte(text)
}

// Error is what the server said to a write of obj, without what it may quote of a
// Secret. The values that are known are not in it any more; see Body.
func (r *Redactor) Error(obj *unstructured.Unstructured, err error) error {
	return Error(obj, err)
}

// Learn makes the secret values of an environment known.
func (r *Redactor) Learn(env *schema.Environment) {
	r.mu.RLock()
	learned := r.learned == env
	r.mu.RUnlock()
	if learned || env == nil {
		return
	}
	secrets := slices.Clone(env.Withheld)
	for _, obj := range env.Objects() {
		if !obj.Sealed {
			secrets = append(secrets, secretValues(obj.Unstructured, marksOf(obj))...)
		}
	}
	plain := map[string]bool{}
	if len(secrets) > 0 {
		m := Masker{numbers: map[string]int{}}
		for _, obj := range env.Objects() {
			eachText(m.hide(obj.Unstructured, marksOf(obj)).Object, func(s string) { plain[s] = true })
		}
	}
	r.mu.Lock()
	r.plain, r.learned = plain, env
	r.mu.Unlock()
	r.add(secrets...)
}

func eachText(v any, fn func(string)) {
	switch v := v.(type) {
	case string:
		fn(v)
	case map[string]any:
		for _, item := range v {
			eachText(item, fn)
		}
	case []any:
		for _, item := range v {
			eachText(item, fn)
		}
	}
}
