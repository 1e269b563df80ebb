package reference

import (
	"fmt"
	"strings"
)

// Markdown is the page as a document.
func (p Page) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", p.Name)
	if p.Doc != "" {
		fmt.Fprintf(&b, "%s\n\n", p.Doc)
	}
	if p.Example != "" {
		fmt.Fprintf(&b, "```cue\n%s\n```\n\n", p.Snippet())
	}
	switch {
	case p.Kind == "stack", p.Kind == "app" && !p.hasPods():
		b.WriteString("What every unit has beside these is on [unit](unit.md).\n\n")
	case p.Kind == "app":
		b.WriteString("What every app has beside these is on [app](app.md), what every unit has on [unit](unit.md).\n\n")
	}
	if len(p.Fields) == 0 {
		return strings.TrimRight(b.String(), "\n") + "\n"
	}
	b.WriteString("| field | meaning | values | default |\n|---|---|---|---|\n")
	for _, f := range p.Fields {
		def := code(f.Default)
		if f.Required {
			def = "required"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Path, strings.ReplaceAll(f.Doc, "|", `\|`), code(f.Values), def)
	}
	return b.String()
}

// Snippet is the example where it stands in an environment.
func (p Page) Snippet() string {
	if p.Kind == "common" || p.Example == "" {
		return p.Example
	}
	return p.Kind + "s: " + p.Example
}

func code(text string) string {
	if text == "" || text == "by name" || strings.HasPrefix(text, "list") && !strings.ContainsAny(text, "=~<>") {
		return text
	}
	return "`" + text + "`"
}
