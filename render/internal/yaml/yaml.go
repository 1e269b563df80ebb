// Package yaml writes the manifests: YAML that every reader takes for the same. Reading
// is left to the libraries.
package yaml

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Write writes a JSON object as YAML that every reader takes for the same:
// kubectl reads YAML 1.1, where y, no and 0777 are no strings; others read 1.2.
// So a string stands without quotes only when it can be nothing else.
func Write(out *bufio.Writer, obj map[string]any) {
	w := writer{out: out}
	if len(obj) == 0 {
		w.text("{}\n")
		return
	}
	w.mapping(obj, 0, false)
}

// writer leaves errors in the buffered writer, which keeps the first.
type writer struct{ out *bufio.Writer }

func (w writer) text(s string) { _, _ = w.out.WriteString(s) }

func (w writer) indent(n int) {
	for range n {
		w.text("  ")
	}
}

// mapping writes the lines of a map; inline means that the first one stands
// behind the dash of a list.
func (w writer) mapping(m map[string]any, depth int, inline bool) {
	for i, key := range slices.Sorted(maps.Keys(m)) {
		if i > 0 || !inline {
			w.indent(depth)
		}
		w.scalarString(key, depth, true)
		w.text(":")
		w.value(m[key], depth)
	}
}

// value writes what stands behind a colon, with its line break.
func (w writer) value(v any, depth int) {
	switch n := v.(type) {
	case map[string]any:
		if len(n) == 0 {
			w.text(" {}\n")
			return
		}
		w.text("\n")
		w.mapping(n, depth+1, false)
	case []any:
		if len(n) == 0 {
			w.text(" []\n")
			return
		}
		w.text("\n")
		w.list(n, depth, false)
	default:
		w.text(" ")
		w.scalar(v, depth+1)
		w.text("\n")
	}
}

// list writes items with their dashes at the depth of the key above, as kubectl
// does.
func (w writer) list(items []any, depth int, inline bool) {
	for i, item := range items {
		if i > 0 || !inline {
			w.indent(depth)
		}
		w.text("- ")
		switch n := item.(type) {
		case map[string]any:
			if len(n) == 0 {
				w.text("{}\n")
				continue
			}
			w.mapping(n, depth+1, true)
		case []any:
			if len(n) == 0 {
				w.text("[]\n")
				continue
			}
			w.list(n, depth+1, true)
		default:
			w.scalar(item, depth+1)
			w.text("\n")
		}
	}
}

func (w writer) scalar(v any, depth int) {
	switch n := v.(type) {
	case nil:
		w.text("null")
	case bool:
		w.text(strconv.FormatBool(n))
	case int64:
		w.text(strconv.FormatInt(n, 10))
	case float64:
		w.float(n)
	case string:
		w.scalarString(n, depth, false)
	default:
		data, _ := json.Marshal(n) // JSON is YAML; nothing else comes from the decoder
		w.text(string(data))
	}
}

// float writes a number that is read back as a float: 1e21 would be a string to
// readers of YAML 1.1.
func (w writer) float(n float64) {
	if n == math.Trunc(n) && math.Abs(n) < 1e15 {
		w.text(strconv.FormatFloat(n, 'f', 1, 64))
		return
	}
	s := strconv.FormatFloat(n, 'g', -1, 64)
	if at := strings.IndexByte(s, 'e'); at >= 0 && !strings.Contains(s[:at], ".") {
		s = s[:at] + ".0" + s[at:]
	}
	w.text(s)
}

func (w writer) scalarString(s string, depth int, key bool) {
	switch {
	case !key && isBlock(s):
		w.block(s, depth)
	case isPlain(s):
		w.text(s)
	default:
		w.text(doubleQuoted(s))
	}
}

// isBlock says whether text reads best, and safely, as a literal block: several
// lines, nothing to escape, and no line break at the front or space where the
// indentation would be guessed wrong.
func isBlock(s string) bool {
	if !strings.Contains(s, "\n") || s[0] == '\n' || s[0] == ' ' || s[0] == '\t' || !utf8.ValidString(s) {
		return false
	}
	if strings.HasSuffix(s, "\n\n") || strings.Contains(s, " \n") || strings.HasSuffix(s, " ") {
		return false
	}
	for _, c := range s {
		if c != '\n' && c != '\t' && (c < ' ' || isHidden(c) || c == 0xa0 || c == 0x2028 || c == 0x2029 || c == utf8.RuneError) {
			return false
		}
	}
	return true
}

func (w writer) block(s string, depth int) {
	w.text("|")
	body, ended := strings.CutSuffix(s, "\n")
	if !ended {
		w.text("-")
	}
	for line := range strings.SplitSeq(body, "\n") {
		w.text("\n")
		if line != "" {
			w.indent(depth)
			w.text(line)
		}
	}
}

// isPlain is narrow on purpose: letters, digits and a few signs, beginning with a
// letter or a slash, and no word that any YAML reads as something else.
func isPlain(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_' && i > 0:
		case c == '/', c == '-' && i == 0 && flagLike(s):
		case i == 0:
			return plainNumberLike(s)
		case c >= '0' && c <= '9', c == '.', c == '-', c == '_', c == '@', c == '%', c == '+', c == '=', c == '$', c == '(', c == ')':
		case c == ':' && i+1 < len(s) && s[i+1] != ' ':
		case c == ' ' && i+1 < len(s) && s[i+1] != ' ' && s[i+1] != '#':
		case c == ',', c == '?', c == '*', c == '&', c == ';', c == '~', c == '^', c == '\'':
		default:
			return false
		}
	}
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf":
		return false
	}
	return true
}

// flagLike is what begins as an option of a command does, and not as the item of a
// list or the end of a document.
func flagLike(s string) bool {
	rest := strings.TrimPrefix(strings.TrimPrefix(s, "-"), "-")
	return rest != "" && (rest[0] >= 'a' && rest[0] <= 'z' || rest[0] >= 'A' && rest[0] <= 'Z')
}

// plainNumberLike allows what begins with a digit and cannot be a number, a date,
// an octal or a base-60 number: it has a letter that no number has, as 500m, 2Gi
// and 10.4.7.0/24 do with their unit or slash.
func plainNumberLike(s string) bool {
	if s[0] < '0' || s[0] > '9' || strings.ContainsAny(s, ": ,_") {
		return false
	}
	if strings.Count(s, ".") > 1 && strings.Trim(s, "0123456789.") == "" {
		return true // an IPv4 address, a version
	}
	switch last := s[len(s)-1]; {
	case strings.HasPrefix(s, "0x"), strings.HasPrefix(s, "0o"), strings.HasPrefix(s, "0b"):
		return false
	case last == 'm', last == 'i', last == 's', last == 'h':
		for i := range len(s) - 1 {
			c := s[i]
			if (c < '0' || c > '9') && c != '.' && (c < 'A' || c > 'Z' || c == 'E') && (c < 'a' || c > 'z' || c == 'e') {
				return false
			}
		}
		return true
	}
	return false
}

// isHidden holds for what YAML takes for a line break, and for what cannot be seen and
// changes how the text around it looks; not for what joins letters and emoji.
func isHidden(r rune) bool {
	const nonJoiner, joiner = 0x200c, 0x200d
	return r == 0x7f || r == 0x85 || r != nonJoiner && r != joiner && unicode.Is(unicode.Cf, r)
}

// doubleQuoted is JSON's form, which YAML reads alike, with hidden characters escaped.
func doubleQuoted(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return strconv.Quote(s)
	}
	quoted := strings.TrimSuffix(b.String(), "\n")
	if strings.IndexFunc(quoted, isHidden) < 0 {
		return quoted
	}
	b.Reset()
	for _, r := range quoted {
		switch {
		case !isHidden(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
