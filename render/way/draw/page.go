package draw

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/seed-428f4edd/evenkeel/internal/words"
	"github.com/seed-428f4edd/evenkeel/render/way"
)

// pageStyle is that of the page around the pictures, which have their own.
const pageStyle = `:root{color-scheme:light dark}body{margin:0;font:14px/1.5 ui-sans-serif,system-ui,"Segoe UI","Noto Sans","Noto Sans CJK SC",sans-serif;background:light-dark(#fff,#0f141b);color:light-dark(#1c2430,#e4e9f0)}
main{padding:16px}figure{margin:0 0 24px;overflow:auto}figure svg{display:block;max-width:none}
.node{cursor:pointer}.node:focus{outline:none}.node:focus rect,.node:hover rect{stroke-width:2.5}
svg.chosen .wire:not(.on):not(.trunk),svg.chosen .node:not(.on){opacity:.15}svg.chosen .wire.on{stroke-width:3}
details{margin:0 0 24px}pre{white-space:pre-wrap}`

// pageScript lights up what belongs to a card.
const pageScript = `for (const svg of document.querySelectorAll("svg")) {
  const nodes = [...svg.querySelectorAll(".node")], wires = [...svg.querySelectorAll(".wire[data-from]")];
  const show = (node) => {
    const id = node && node.dataset.id, near = new Set([id]);
    for (const w of wires) {
      const on = id && (w.dataset.from === id || w.dataset.to === id);
      w.classList.toggle("on", Boolean(on));
      if (on) { near.add(w.dataset.from); near.add(w.dataset.to); }
    }
    for (const n of nodes) n.classList.toggle("on", near.has(n.dataset.id));
    svg.classList.toggle("chosen", Boolean(id) && near.size > 1);
  };
  for (const n of nodes) {
    n.setAttribute("tabindex", "0");
    n.addEventListener("mouseenter", () => show(n));
    n.addEventListener("mouseleave", () => show(null));
    n.addEventListener("focus", () => show(n));
    n.addEventListener("blur", () => show(null));
  }
}
`

// GraphHTML is a page of graphs: it needs nothing from outside, and says in words
// what the pictures show.
func GraphHTML(in Speech, graphs []*way.Graph) string {
	var b strings.Builder
	var titles []string
	for _, g := range graphs {
		titles = append(titles, strings.Join(environments(g), ", "))
	}
	title := in.Say("How requests reach %s", strings.Join(titles, ", "))
	fmt.Fprintf(&b, `<!doctype html>
<html lang="%s">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-%s'">
<title>%s</title>
<style>%s</style>
</head>
<body>
<main>
`, in.Say(words.English), digest(pageScript), esc(title), pageStyle)
	for i, g := range graphs {
		svg := Numbered(GraphSVG(g), i)
		fmt.Fprintf(&b, "<figure>\n%s</figure>\n<details><summary>%s</summary>\n<pre>%s</pre>\n</details>\n", svg, in.Say("In words"), describe(Describe(g)))
	}
	fmt.Fprintf(&b, "</main>\n<script>%s</script>\n</body>\n</html>\n", pageScript)
	return b.String()
}

// Numbered gives the names in a picture a number, so that several pictures can stand on
// one page.
func Numbered(svg string, n int) string {
	return strings.NewReplacer(`id="title"`, fmt.Sprintf(`id="title%d"`, n), `id="desc"`, fmt.Sprintf(`id="desc%d"`, n),
		`aria-labelledby="title desc"`, fmt.Sprintf(`aria-labelledby="title%d desc%d"`, n, n)).Replace(svg)
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}
