package handbook

import (
	"fmt"
	"html"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/way/draw"
)

const style = `:root{color-scheme:light dark}
body{margin:0 auto;max-width:72rem;padding:1rem 1.5rem 4rem;font:15px/1.55 ui-sans-serif,system-ui,"Segoe UI","Noto Sans","Noto Sans CJK SC",sans-serif;background:light-dark(#fff,#0f141b);color:light-dark(#1c2430,#e4e9f0)}
h1{font-size:1.7rem;margin:.6rem 0}h2{font-size:1.2rem;margin:2.2rem 0 .6rem;border-bottom:1px solid light-dark(#d7dde5,#2a3442);padding-bottom:.25rem}
p{margin:.6rem 0}.lead{color:light-dark(#5d6878,#9aa6b6)}nav ul{columns:3;padding-left:1.2rem}@media(max-width:48rem){nav ul{columns:1}}
a{color:light-dark(#1f5fc4,#7aa5ff)}.scroll{overflow:auto}table{border-collapse:collapse;margin:.6rem 0}th,td{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;border-bottom:1px solid light-dark(#e3e8ee,#232d3a)}
th{font-weight:650;white-space:nowrap}code,pre{font-family:ui-monospace,"SFMono-Regular","Noto Sans Mono",monospace;font-size:.87em}td code{overflow-wrap:anywhere}pre{background:light-dark(#f4f6f8,#18202b);padding:.7rem 1rem;border-radius:6px;overflow:auto;user-select:text}
figure{margin:0;overflow:auto}svg{display:block;max-width:none}@media print{nav{display:none}}`

// html is the page as one file that needs nothing from outside and runs nothing.
func (b *book) html(lang string) string {
	var out strings.Builder
	fmt.Fprintf(&out, `<!doctype html>
<html lang="%s">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>%s</title>
<style>%s</style>
</head>
<body>
<main>
<h1>%s</h1>
`, htmlLang(lang), htmlText(b.title), style, htmlText(b.title))
	for _, p := range b.lead {
		fmt.Fprintf(&out, "<p class=\"lead\">%s</p>\n", htmlText(p))
	}
	out.WriteString("<nav><ul>\n")
	for i, s := range b.sections {
		fmt.Fprintf(&out, "<li><a href=\"#s%d\">%s</a></li>\n", i, htmlText(s.title))
	}
	out.WriteString("</ul></nav>\n")
	for i, s := range b.sections {
		fmt.Fprintf(&out, "<section aria-labelledby=\"s%d\">\n<h2 id=\"s%d\">%s</h2>\n", i, i, htmlText(s.title))
		for _, block := range s.blocks {
			htmlBlock(&out, block, i)
		}
		out.WriteString("</section>\n")
	}
	out.WriteString("</main>\n</body>\n</html>\n")
	return out.String()
}

func htmlLang(lang string) string {
	if lang == "zh" {
		return "zh-CN"
	}
	return "en"
}

func htmlBlock(out *strings.Builder, block any, n int) {
	switch b := block.(type) {
	case paragraph:
		fmt.Fprintf(out, "<p>%s</p>\n", htmlText(string(b)))
	case commands:
		fmt.Fprintf(out, "<pre>%s</pre>\n", html.EscapeString(clean(string(b))))
	case drawing:
		fmt.Fprintf(out, "<figure>\n%s</figure>\n", draw.Numbered(draw.GraphSVG(b.graph), n))
	case table:
		out.WriteString("<div class=\"scroll\"><table>\n<thead><tr>")
		for _, head := range b.head {
			fmt.Fprintf(out, "<th scope=\"col\">%s</th>", htmlText(head))
		}
		out.WriteString("</tr></thead>\n<tbody>\n")
		for _, row := range b.rows {
			out.WriteString("<tr>")
			for _, cell := range row {
				fmt.Fprintf(out, "<td>%s</td>", htmlText(cell))
			}
			out.WriteString("</tr>\n")
		}
		out.WriteString("</tbody>\n</table></div>\n")
	}
}

// htmlText is a text with its names marked.
func htmlText(text string) string {
	text = html.EscapeString(clean(text))
	return strings.NewReplacer(codeBegin, "<code>", codeEnd, "</code>").Replace(text)
}

// clean takes out what a terminal or a reader would obey, but for the marks of names.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if string(r) == codeBegin || string(r) == codeEnd || r == '\n' {
			return r
		}
		return []rune(draw.Clean(string(r)))[0]
	}, text)
}

// markdown is the page as Markdown with tables, as code hosts and wikis show it.
func (b *book) markdown() string {
	var out strings.Builder
	fmt.Fprintf(&out, "# %s\n", mdText(b.title))
	for _, p := range b.lead {
		fmt.Fprintf(&out, "\n%s\n", mdText(p))
	}
	for _, s := range b.sections {
		fmt.Fprintf(&out, "\n## %s\n", mdText(s.title))
		for _, block := range s.blocks {
			mdBlock(&out, block)
		}
	}
	return out.String()
}

func mdBlock(out *strings.Builder, block any) {
	switch b := block.(type) {
	case paragraph:
		fmt.Fprintf(out, "\n%s\n", mdText(string(b)))
	case commands:
		fmt.Fprintf(out, "\n```sh\n%s\n```\n", clean(string(b)))
	case drawing:
		fmt.Fprintf(out, "\n```mermaid\n%s```\n", draw.GraphMermaid(b.graph))
	case table:
		rule := make([]string, len(b.head))
		for i := range rule {
			rule[i] = "---"
		}
		fmt.Fprintf(out, "\n%s%s", mdRow(b.head), mdRow(rule))
		for _, row := range b.rows {
			out.WriteString(mdRow(row))
		}
	}
}

func mdRow(cells []string) string {
	var out strings.Builder
	for _, cell := range cells {
		fmt.Fprintf(&out, "| %s ", strings.ReplaceAll(mdMarked(cell, mdCellCode), "|", `\|`))
	}
	return out.String() + "|\n"
}

// mdText is a text of Markdown: what is not a name is escaped, and a name stands
// between as many backticks as it needs.
func mdText(text string) string { return mdMarked(text, mdCode) }

func mdMarked(text string, code func(string) string) string {
	var out strings.Builder
	text = clean(strings.ReplaceAll(text, "\n", " "))
	for text != "" {
		plain, rest, found := strings.Cut(text, codeBegin)
		out.WriteString(mdEscape(plain))
		if !found {
			break
		}
		name, after, _ := strings.Cut(rest, codeEnd)
		out.WriteString(code(name))
		text = after
	}
	return out.String()
}

func mdEscape(text string) string {
	return strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "&", "&amp;", "#", `\#`, "~", `\~`).Replace(text)
}

// mdCellCode is a name in a cell, which a pipe ends even in code unless there is a
// backslash before it; and one more before that makes it an end again (GFM 4.10). Such a
// name is written by the numbers of its characters.
func mdCellCode(name string) string {
	if !strings.Contains(name, `\|`) {
		return mdCode(name)
	}
	var out strings.Builder
	for _, r := range name {
		fmt.Fprintf(&out, "&#%d;", r)
	}
	return "<code>" + out.String() + "</code>"
}

func mdCode(name string) string {
	if name == "" {
		return ""
	}
	fence := "`"
	for strings.Contains(name, fence) {
		fence += "`"
	}
	if strings.HasPrefix(name, "`") || strings.HasSuffix(name, "`") {
		name = " " + name + " "
	}
	return fence + name + fence
}
