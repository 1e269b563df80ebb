package mask

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Masker replaces secret values by a short keyed hash, so that one sees whether
// two values are equal and nothing else. Without the key, guessing a weak password
// and hashing it tells nothing.
type Masker struct {
	key []byte
	// numbers, where not nil, stand for values instead of hashes, in the order of
	// their appearance: for where there is no key to keep.
	numbers map[string]int
	// blind makers of tags have no key that lasts: they can tell values apart
	// now, but their tags must not be shown, or two plans of the same world would
	// differ.
	blind bool
	// marks are the fields of other objects than Secrets whose values are hidden.
	marks map[schema.ID][]Mark
	// known takes copies of secret values out of what is shown.
	known *Redactor
}

// New makes a masker with the key of an environment. Without one, before the
// first apply, it is blind. What has its place is hidden by the marks, copies of it
// by what is known.
func New(key []byte, marks map[schema.ID][]Mark, known *Redactor) Masker {
	m := Masker{key: key, marks: marks, known: known}
	if len(key) == 0 {
		m.blind, m.key = true, make([]byte, 32)
		_, _ = rand.Read(m.key) // never fails (crypto/rand)
	}
	return m
}

// Numbered makes a masker for where there is no key to keep: equal values have the
// same number.
func Numbered(marks map[schema.ID][]Mark, known *Redactor) Masker {
	return Masker{numbers: map[string]int{}, marks: marks, known: known}
}

// Learn makes the secret values of a live object known: somebody may have edited
// them, and a webhook may quote the old one.
func (m Masker) Learn(live *unstructured.Unstructured) {
	if marks := m.marks[schema.IDOf(live)]; len(marks) > 0 || IsSecret(live) {
		m.known.add(secretValues(live, marks)...)
	}
}

// Fields are differing fields of masked objects, as they may be shown.
func (m Masker) Fields(fields []managed.Field) []managed.Field {
	shown := slices.Clone(fields)
	for i, f := range shown {
		shown[i].From, shown[i].To = m.known.value(m.shown(f.From)), m.known.value(m.shown(f.To))
	}
	return shown
}

// tag is what stands for a value.
func (m Masker) tag(value []byte) string {
	if m.numbers != nil {
		n, ok := m.numbers[string(value)]
		if !ok {
			n = len(m.numbers) + 1
			m.numbers[string(value)] = n
		}
		return tagPrefix + strconv.Itoa(n)
	}
	mac := hmac.New(sha256.New, m.key)
	mac.Write(value)
	return tagPrefix + hex.EncodeToString(mac.Sum(nil))[:8]
}

const tagPrefix = "secret:"

// shown is a masked value, as it may be shown.
func (m Masker) shown(v any) any {
	if !m.blind {
		return v
	}
	switch v := v.(type) {
	case string:
		if strings.HasPrefix(v, tagPrefix) {
			return strings.TrimSuffix(tagPrefix, ":")
		}
	case map[string]any:
		shown := make(map[string]any, len(v))
		for k, value := range v {
			shown[k] = m.shown(value)
		}
		return shown
	case []any:
		shown := make([]any, len(v))
		for i := range v {
			shown[i] = m.shown(v[i])
		}
		return shown
	}
	return v
}

// Body is an object as it may be shown: masked, and without what the server keeps
// for itself.
func (m Masker) Body(u *unstructured.Unstructured) map[string]any {
	body, _ := m.shown(managed.WithoutBookkeeping(m.Object(u).Object)).(map[string]any)
	return m.Clean(body)
}

// Clean is a body without copies of secret values in places that hold none.
func (m Masker) Clean(body map[string]any) map[string]any {
	if body == nil {
		return body
	}
	cleaned, _ := m.known.value(body).(map[string]any)
	return cleaned
}

// Object returns u with its secret values masked, as a copy, or u itself if it
// holds none: data and stringData of a Secret, the fields that are marked, and on
// any object the annotation in which kubectl keeps the whole manifest.
func (m Masker) Object(u *unstructured.Unstructured) *unstructured.Unstructured {
	if u == nil {
		return nil
	}
	var marks []Mark
	if len(m.marks) > 0 {
		marks = m.marks[schema.IDOf(u)]
	}
	return m.hide(u, marks)
}

// hide is object, with the marks at hand.
func (m Masker) hide(u *unstructured.Unstructured, marks []Mark) *unstructured.Unstructured {
	lastApplied, leaks := u.GetAnnotations()[corev1.LastAppliedConfigAnnotation]
	if !IsSecret(u) && !leaks && len(marks) == 0 {
		return u
	}
	u = u.DeepCopy()
	if leaks {
		annotations := u.GetAnnotations()
		annotations[corev1.LastAppliedConfigAnnotation] = m.tag([]byte(lastApplied))
		u.SetAnnotations(annotations)
	}
	for _, mark := range marks {
		mark.at(u.Object, func(v any) any {
			if s, ok := v.(string); ok {
				return m.tag([]byte(s))
			}
			return m.tag(fmt.Append(nil, v))
		})
	}
	if IsSecret(u) {
		for field, decode := range secretFields() {
			m.values(u.Object, field, decode)
		}
	}
	return u
}

// secretFields are the fields of a Secret with values, and how these are decoded.
func secretFields() map[string]func(string) []byte {
	return map[string]func(string) []byte{
		"data":       decodeBase64,
		"stringData": func(s string) []byte { return []byte(s) },
	}
}

func (m Masker) values(object map[string]any, field string, decode func(string) []byte) {
	values, ok := object[field].(map[string]any)
	if !ok {
		if object[field] != nil {
			object[field] = m.tag(fmt.Append(nil, object[field]))
		}
		return
	}
	for _, k := range slices.Sorted(maps.Keys(values)) {
		v := values[k]
		if s, ok := v.(string); ok {
			values[k] = m.tag(decode(s))
		} else {
			values[k] = m.tag(fmt.Append(nil, v))
		}
	}
}

// IsSecret holds for the kind whose content is not shown.
func IsSecret(u *unstructured.Unstructured) bool {
	gvk := u.GroupVersionKind()
	return gvk.Group == "" && gvk.Kind == "Secret"
}

// decodeBase64 makes a value in data and the same value in stringData one tag.
func decodeBase64(s string) []byte {
	if raw, err := base64.StdEncoding.DecodeString(s); err == nil {
		return raw
	}
	return []byte(s)
}

// Error keeps API errors about Secrets to reason and field: their text quotes
// the value that the server did not like.
func Error(u *unstructured.Unstructured, err error) error {
	if err == nil || !IsSecret(u) {
		return err
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return err
	}
	s := status.Status()
	text := string(s.Reason)
	if s.Details != nil {
		var fields []string
		for _, cause := range s.Details.Causes {
			if cause.Field != "" { // a policy names none
				fields = append(fields, fmt.Sprintf("%s: %s", cause.Field, cause.Type))
			}
		}
		if len(fields) > 0 {
			text += " (" + strings.Join(fields, ", ") + ")"
		}
	}
	return &maskedError{text: text + "; the rest is withheld because it may quote the Secret", err: err}
}

// maskedError prints less than it is, and stays what it is for errors.As.
type maskedError struct {
	text string
	err  error
}

func (e *maskedError) Error() string { return e.text }
func (e *maskedError) Unwrap() error { return e.err }
