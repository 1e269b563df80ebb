package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// inlineLimit is the length up to which a value is shown on one line.
const inlineLimit = 100

// inline is a value on one line, as JSON, so that "5" and 5 look different.
func inline(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(shown(v)); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// base64Limit is the length up to which base64 is shown whole.
const base64Limit = 256

// base64Run matches what may be base64, in one line or in lines as openssl and base64(1)
// break them, alone or within a text (a certificate, JSON).
var base64Run = regexp.MustCompile(`[A-Za-z0-9+/_-]{40,}={0,2}(?:\r?\n[ \t]*[A-Za-z0-9+/_-]{40,}={0,2})*(?:\r?\n[ \t]*[A-Za-z0-9+/_][A-Za-z0-9+/_-]{0,38}={0,2})?`)

// withoutBase64 is a text without long base64 in it.
func withoutBase64(text string) string {
	if len(text) <= base64Limit {
		return text
	}
	bare := strings.NewReplacer("\r", "", "\n", "", " ", "", "\t", "", "-", "+", "_", "/", "=", "")
	return base64Run.ReplaceAllStringFunc(text, func(run string) string {
		rest := ""
		if i := strings.LastIndexByte(run, '\n'); i >= 0 && len(run)-i <= 40 && !strings.HasSuffix(run, "=") && len(bare.Replace(run))%4 != 0 {
			run, rest = run[:i], run[i:] // a line of something else
		}
		raw, err := base64.RawStdEncoding.DecodeString(bare.Replace(run))
		mixed := strings.ContainsFunc(run, unicode.IsUpper) && strings.ContainsFunc(run, unicode.IsLower) && strings.ContainsFunc(run, unicode.IsDigit)
		marks := strings.Count(run, "/") + strings.Count(run, "+") + strings.Count(run, "-") + strings.Count(run, "_") // one of 32, but in paths
		if len(run) <= base64Limit || err != nil || !mixed || 12*marks > len(run) {
			return run + rest
		}
		sum := sha256.Sum256(raw)
		return fmt.Sprintf("%s... (base64 of %d bytes, SHA-256 %x...)", run[:16], len(raw), sum[:6]) + rest
	})
}

// shown is a value without long base64 in it, such as a bundle of certificates, of
// which nobody reads more than whether it is another one.
func shown(v any) any {
	switch v := v.(type) {
	case string:
		return withoutBase64(v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = shown(item)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = shown(item)
		}
		return out
	}
	return v
}

// block is a value as lines: a text as it is, anything else as YAML.
func block(v any) string {
	if v == nil {
		return ""
	}
	v = shown(v)
	text, ok := v.(string)
	if !ok {
		var b strings.Builder
		enc := yaml.NewEncoder(&b)
		enc.SetIndent(2)
		enc.CompactSeqIndent()
		if err := enc.Encode(v); err != nil {
			return fmt.Sprintln(v)
		}
		text = b.String()
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

// asBlock reports whether a field is shown as lines: where a value is too long
// for one line, or is a text of several.
func asBlock(f managed.Field) bool {
	return isLong(f.From) || isLong(f.To)
}

func isLong(v any) bool {
	if s, ok := v.(string); ok && strings.Contains(strings.TrimSuffix(s, "\n"), "\n") {
		return true
	}
	return len(inline(v)) > inlineLimit
}

// isAddition holds for fields that others added: an apply does not touch them.
func isAddition(c *apply.Change) bool { return c.Action == apply.Foreign }

// isRemoval holds for fields that go. Adoption says so in words, because the
// server does not know yet.
func isRemoval(c *apply.Change, f managed.Field) bool {
	return f.To == nil || c.Action == apply.Adopted && f.To == "removed"
}

// sentence says a field in one line: "spec.replicas: 5 -> 2". paint colours what
// goes and what comes.
func sentence(c *apply.Change, f managed.Field, paint func(color, string) string) string {
	path := Clean(f.Path) + ": "
	switch {
	case isAddition(c):
		return path + paint(cyan, Clean(inline(f.From)))
	case f.From == nil && f.To == nil:
		return strings.TrimSuffix(path, ": ")
	case inline(f.From) == inline(f.To):
		return path + "changed, and not shown"
	case isRemoval(c, f):
		return path + paint(red, Clean(inline(f.From))) + " -> removed"
	case f.From == nil:
		return path + "unset -> " + paint(green, Clean(inline(f.To)))
	}
	return path + paint(red, Clean(inline(f.From))) + " -> " + paint(green, Clean(inline(f.To)))
}

// attribution is who wrote the live value of a field, and when: "by kubectl-edit,
// last write 2026-11-21T10:32Z"; empty where nobody is named, or where it was the
// last apply: then the change comes from git.
func attribution(c *apply.Change, f managed.Field) string {
	if f.By == "" || f.By == schema.Manager && !isAddition(c) {
		return ""
	}
	text := "by " + Clean(f.By)
	if isAddition(c) {
		text = "added " + text
	}
	if f.At != nil {
		text += ", last write " + f.At.UTC().Format("2006-01-02T15:04Z")
	}
	return text
}

// Clean makes visible what a terminal would act on, or what hides or reorders the text
// beside it: control characters, and the format characters and separators of Unicode
// (Trojan Source, CVE-2021-42574). Newlines and tabs stay. The joiners, which emoji have
// and which show nothing themselves, go; bytes that are no UTF-8 are replaced.
func Clean(s string) string {
	if utf8.ValidString(s) && strings.IndexFunc(s, isControl) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == zeroWidthJoiner || r == zeroWidthNonJoiner:
		case !isControl(r):
			b.WriteRune(r) // U+FFFD for what is no UTF-8
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// Line is Clean, on one line: so that no text of others begins one.
func Line(s string) string {
	return Clean(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("\n\r\t\v\f\u0085\u2028\u2029", r) }), " "))
}

const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
)

func isControl(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}
