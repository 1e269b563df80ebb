// Package plain takes out of texts of others what acts on whoever reads them.
package plain

import (
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
