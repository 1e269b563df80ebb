package plain

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON is a writer of JSON, which stays the same to whoever parses it: control and format
// characters beyond ASCII, as those that turn the direction of a line, are escaped.
// encoding/json writes them as they are. So is the second of two #, with which services
// that run pipelines begin commands of theirs in the middle of a line (##vso[).
func JSON(w io.Writer) io.Writer { return &escaper{w: w} }

type escaper struct {
	w    io.Writer
	rest []byte // the beginning of a character
	mark bool   // the last character is a #
}

func (e *escaper) Write(p []byte) (int, error) {
	data := append(e.rest, p...)
	out := make([]byte, 0, len(data))
	for len(data) > 0 && utf8.FullRune(data) {
		r, size := utf8.DecodeRune(data)
		second := r == '#' && e.mark
		e.mark = r == '#'
		switch {
		case second:
			out = append(out, `\u0023`...)
		case r < 0x7f || !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
			out = append(out, data[:size]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		data = data[size:]
	}
	e.rest = append([]byte(nil), data...)
	if _, err := e.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}
