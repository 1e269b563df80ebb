package draw

import (
	"fmt"
	"html"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// canvas collects the elements of an SVG picture.
type canvas struct{ strings.Builder }

func (c *canvas) add(format string, args ...any) {
	fmt.Fprintf(c, format+"\n", args...)
}

// text writes a text at a place.
func (c *canvas) text(x, y float64, class, text string) {
	c.add(`<text x="%s" y="%s" class="%s">%s</text>`, num(x), num(y), class, esc(text))
}

// esc makes a text safe between tags and in attributes.
func esc(text string) string { return html.EscapeString(Clean(text)) }

// num is a number with as few digits as it needs.
func num(f float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.1f", f), "0"), ".")
}

// style are the colours of pictures, light and dark; red never stands alone: what
// breaks has a cross and says so, too.
const style = `
svg{--bg:#ffffff;--fg:#1c2430;--dim:#5d6878;--line:#c3cad4;--card:#f6f8fa;--edge:#8a95a5;--ok:#1a7f4b;--bad:#c62828;--warn:#9a5a00;--badbg:#fdecec;--band:#fbfcfd;
--c0:#3b6fd4;--c1:#0d8f8c;--c2:#9a5bd0;--c3:#b8690f;--c4:#2f8f3e;--c5:#c2447e;--c6:#5166b0;--c7:#7d7a12}
@media (prefers-color-scheme:dark){svg{--bg:#0f141b;--fg:#e4e9f0;--dim:#9aa6b6;--line:#364152;--card:#18202b;--edge:#75839a;--ok:#4cc38a;--bad:#ff7b72;--warn:#f0a95a;--badbg:#331a1c;--band:#131a23;
--c0:#7aa5ff;--c1:#4fd0cb;--c2:#c79bff;--c3:#f0a95a;--c4:#74d082;--c5:#ff8fbd;--c6:#a3b3f5;--c7:#d5d06a}}
text{font-family:ui-sans-serif,system-ui,"Segoe UI","Noto Sans","Noto Sans CJK SC",sans-serif;font-size:13px;fill:var(--fg)}
.bg{fill:var(--bg)}.h1{font-size:19px;font-weight:650}.h2{font-size:14px;font-weight:650}.kind{font-size:11px;font-weight:650;fill:var(--dim);letter-spacing:.06em}
.name{font-weight:650}.dim{fill:var(--dim);font-size:12px}.mono{font-family:ui-monospace,"SFMono-Regular","Noto Sans Mono","DejaVu Sans Mono",monospace;font-size:11px;fill:var(--dim)}
.bad{fill:var(--bad)}.ok{fill:var(--ok)}.warn{fill:var(--warn)}.live{font-size:12px}.badline{fill:var(--bad);font-size:12px}.card{fill:var(--card);stroke:var(--line)}.card.ok{fill:var(--card);stroke:var(--ok);stroke-width:1.6}.card.warn{fill:var(--card);stroke:var(--warn);stroke-width:1.6}.card.broken,.card.bad{fill:var(--badbg);stroke:var(--bad)}.broken{fill:var(--badbg);stroke:var(--bad)}
.band{fill:var(--band);stroke:var(--line)}.rail{stroke:var(--line);stroke-width:2;fill:none}.wire{fill:none;stroke-width:1.5}.wire.broken{stroke-dasharray:5 3;stroke:var(--bad);fill:none}.trunk{stroke:var(--edge);stroke-width:2}.tip{fill:var(--edge)}.mark{font-weight:700;text-anchor:middle;fill:var(--bg);font-size:12px}`

// document is a whole picture: with a title and a description for those who do not
// see it, and nothing from outside.
func document(width, height float64, title, description, body string) string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%s" height="%s" viewBox="0 0 %s %s" role="img" aria-labelledby="title desc">
<title id="title">%s</title>
<desc id="desc">%s</desc>
<style>%s</style>
<rect class="bg" width="100%%" height="100%%" rx="8"/>
%s</svg>
`, num(width), num(height), num(width), num(height), esc(title), describe(description), style, body)
}

// describe keeps the lines of a description.
func describe(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = esc(lines[i])
	}
	return strings.Join(lines, "\n")
}

// width is about how wide a text is, in pixels: fonts differ, and what is drawn
// leaves room.
func width(text string, size float64) float64 {
	sum := 0.0
	for _, r := range text {
		sum += runeWidth(r)
	}
	return sum * size
}

// runeWidth is a character's part of width, at size one.
func runeWidth(r rune) float64 {
	switch {
	case runewidth.RuneWidth(r) > 1:
		return 1
	case strings.ContainsRune("iljtf.,:;'|!()[] ", r):
		return 0.34
	case strings.ContainsRune("mwMW@%", r):
		return 0.9
	case unicode.IsUpper(r):
		return 0.7
	}
	return 0.58
}

// fits is how many bytes of the beginning of a text, whole characters, have a width with
// what follows them. No more than that is looked at: a text may have megabytes.
func fits(text, followed string, size, limit float64) int {
	sum := 0.0
	for i, r := range text {
		sum += runeWidth(r)
		whole := sum
		for _, f := range followed {
			whole += runeWidth(f)
		}
		if whole*size > limit {
			return i
		}
	}
	return len(text)
}

// first is the number of bytes of the first character of a text.
func first(text string) int {
	_, n := utf8.DecodeRuneInString(text)
	return n
}

// wrap breaks a text into lines of a width, between words where it can.
func wrap(text string, size, limit float64) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		for n := fits(word, "", size, limit); n < len(word); n = fits(word, "", size, limit) { // too long alone
			if line != "" {
				lines = append(lines, line)
				line = ""
			}
			n = max(n, first(word))
			lines = append(lines, word[:n])
			word = word[n:]
		}
		switch joined := strings.TrimSpace(line + " " + word); {
		case width(joined, size) <= limit:
			line = joined
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// cutTo shortens a text to a width.
func cutTo(text string, size, limit float64) string {
	if fits(text, "", size, limit) == len(text) {
		return text
	}
	return text[:max(fits(text, "…", size, limit), first(text))] + "…"
}
