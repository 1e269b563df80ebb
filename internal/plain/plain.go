// Package plain takes out of texts of others what acts on whoever reads them.
package plain

import (
	"regexp"
	"strings"
	"unicode"
)

// Line is a text on one line, without control and format characters, in at most so many
// bytes.
func Line(text string, most int) string {
	if len(text) > most { // what is read is bounded, too
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsPrint(r):
			return r
		case unicode.Is(unicode.Cf, r):
			return -1
		}
		return ' '
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// Word makes a text one word of a shell, whatever it holds.
func Word(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// Argument is a text as one word of a shell, in quotes only where it needs them.
func Argument(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return Word(text)
}

var plainWord = regexp.MustCompile(`^[\w./:@=+%][\w./:@=+%-]*$`)

// Operand is a path as an Argument that is no flag.
func Operand(path string) string {
	if strings.HasPrefix(path, "-") {
		path = "./" + path
	}
	return Argument(path)
}
