package handbook

import (
	"flag"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-428f4edd/evenkeel/render"
)

var update = flag.Bool("update", false, "rewrite the expected pages")

// TestGoldenHandbooks holds the pages of the examples in both languages, written
// twice: the same source gives the same bytes.
func TestGoldenHandbooks(t *testing.T) {
	example, third := filepath.Join("..", ".."), filepath.Join("..", "..", "testdata", "kestrel")
	for _, tt := range []struct {
		golden string
		dir    string
		names  []string
		opts   Options
	}{
		{"od.md", example, []string{"infra", "prod"}, Options{Format: "markdown", Lang: "en"}},
		{"od.zh.md", example, []string{"infra", "prod"}, Options{Format: "markdown", Lang: "zh"}},
		{"cloud.md", example, []string{"cloud-infra", "cloud-prod"}, Options{Format: "markdown", Lang: "en"}},
		{"kestrel.md", third, []string{"hz-infra", "hz-prod"}, Options{Format: "markdown", Lang: "en"}}, // by the Gateway API
		{"od.html", example, []string{"prod"}, Options{Format: "html", Lang: "en"}},
	} {
		repo, err := render.Open(tt.dir)
		if err != nil {
			t.Fatal(err)
		}
		var pages [2]string
		for i := range pages {
			ways, err := repo.Ways(t.Context(), tt.names)
			if err != nil {
				t.Fatal(err)
			}
			pages[i] = Write(ways, tt.names, tt.opts)
		}
		if pages[0] != pages[1] {
			t.Errorf("%s: not the same bytes twice", tt.golden)
		}
		path := filepath.Join("testdata", tt.golden)
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(pages[0]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), pages[0]); diff != "" {
			t.Errorf("%s (-want +got; -update rewrites it):\n%s", tt.golden, diff)
		}
	}
}

var said = regexp.MustCompile(`(?:w\.say\(|\t\t\{w\.say\(|\t\t\{)"((?:[^"\\]|\\.)*)"`)

// TestChinese holds that each text of the page has Chinese words with the same
// values in them.
func TestChinese(t *testing.T) {
	words := chinese()
	verbs := func(text string) int { return strings.Count(text, "%") }
	found := 0
	for _, name := range []string{"book.go", "facts.go", "failures.go"} {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range said.FindAllStringSubmatch(string(source), -1) {
			if m[1] == "" {
				continue
			}
			found++
			other, ok := words[m[1]]
			if !ok {
				t.Errorf("%s: no Chinese words for %q", name, m[1])
			} else if verbs(other) != verbs(m[1]) {
				t.Errorf("%q and %q do not hold the same values", m[1], other)
			}
		}
	}
	if found < 60 {
		t.Errorf("only %d texts were found in the source", found)
	}
}

// TestMarkdownOfNames holds that no name breaks out of its cell or becomes markup.
func TestMarkdownOfNames(t *testing.T) {
	for text, want := range map[string]string{
		code("a|b"):             "`a|b`",
		code("a`b"):             "``a`b``",
		code("`"):               "`` ` ``",
		code("a\nb"):            "`a b`",
		code("a\x1b]0;x\x07b"):  "`a\uFFFD]0;x\uFFFDb`",
		"<b>*x*</b> [y](z) _q_": `&lt;b&gt;\*x\*&lt;/b&gt; \[y\](z) \_q\_`,
		code("a\x02<script>"):   "`a<script>`",
		"# x":                   `\# x`,
	} {
		if got := mdText(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := mdRow([]string{code("a|b"), "c|d"}); got != "| `a\\|b` | c\\|d |\n" {
		t.Errorf("got %q", got)
	}
	for _, name := range []string{`a\|<img src=x>`, `\|`, `a\\|b`, "a`\\|`<b>"} {
		row := mdRow([]string{code(name), "next"})
		cells := 0
		for i := range row {
			if row[i] == '|' && (i == 0 || row[i-1] != '\\') {
				cells++
			}
		}
		if cells != 3 || strings.Contains(row, `\\|`) || strings.Contains(row, "<img") {
			t.Errorf("%s: %s", name, row)
		}
		if !strings.Contains(html.UnescapeString(row), "<code>"+name+"</code>") {
			t.Errorf("%s is not in %s", name, row)
		}
	}
	if got := htmlText(code("<i>") + " & <b>"); got != "<code>&lt;i&gt;</code> &amp; &lt;b&gt;" {
		t.Errorf("got %q", got)
	}
}
