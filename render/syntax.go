package render

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"cuelang.org/go/cue/token"
)

// plainly says in words what CUE does not parse, or takes for a reference, where the
// line shows what was meant: comments and lists as YAML has them, text without
// quotes, what a merge left. One mistake may break a file in many places: what only
// follows from it is not said.
func (r *Repo) plainly(findings Findings) Findings {
	lines := map[string][]string{}
	conflicts := map[string]bool{}
	parsed := map[string]int{} // mistakes that were said of a file
	var kept Findings
	for _, f := range findings {
		if !f.pos.IsValid() || !r.isUserPos(f.pos) || !notParsed.MatchString(f.Message) {
			kept = append(kept, f)
			continue
		}
		name := f.pos.Filename()
		if _, read := lines[name]; !read {
			lines[name] = r.linesOf(name)
		}
		s := source{lines: lines[name]}
		if at := s.conflict(); at > 0 {
			if !conflicts[name] {
				conflicts[name] = true
				f.pos, f.Line, f.Col, f.Path = token.NoPos, at, 1, ""
				f.Message, f.Expected, f.Found, f.DidYouMean = "a merge conflict begins here", "", "", ""
				f.Hint = "keep one side, and take out the lines that begin with <<<<<<<, ======= and >>>>>>>"
				kept = append(kept, f)
			}
			continue
		}
		if strings.HasSuffix(f.Message, "found 'EOF'") {
			if parsed[name] > 0 {
				continue
			}
			f.Message = "the file ends here, and " + strings.TrimPrefix(strings.TrimSuffix(f.Message, ", found 'EOF'"), "expected ") + " is missing"
		}
		parsed[name]++
		if again := s.say(&f); !again {
			kept = append(kept, f)
		}
	}
	return kept
}

// notParsed matches what CUE says of text that is none of its own, or that it takes
// for a name.
var notParsed = regexp.MustCompile(`^(expected |missing |reference "|illegal |unexpected |invalid (character|operation|operand)|operand|string literal not|order )|\(- struct\)|not a list or struct`)

func (r *Repo) linesOf(name string) []string {
	rel, err := filepath.Rel(r.root, name)
	if err != nil {
		return nil
	}
	data, err := fs.ReadFile(r.fsys, filepath.ToSlash(rel))
	if err != nil {
		return nil
	}
	return strings.Split(string(data), "\n")
}

// source is the text of a file, by lines.
type source struct{ lines []string }

func (s source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return s.lines[n-1]
}

// conflict is the line where what a merge left begins.
func (s source) conflict() int {
	for i, line := range s.lines {
		if strings.HasPrefix(line, "<<<<<<< ") || strings.HasPrefix(line, ">>>>>>> ") {
			return i + 1
		}
	}
	return 0
}

// say says what a line shows. It returns whether the line before it has said that.
func (s source) say(f *Finding) bool {
	line := s.line(f.Line)
	text := strings.TrimSpace(line)
	at := func(col int) { f.Col, f.pos = col, token.NoPos }
	switch {
	case hashComment.MatchString(line[:min(len(line), f.Col+1)]):
		at(strings.LastIndex(line[:min(len(line), f.Col+1)], "#") + 1)
		f.Path, f.Message, f.Hint, f.DidYouMean = "", "comments begin with //, not with #", "", ""
	case strings.HasPrefix(text, "- ") || text == "-":
		if s.dashes(f.Line - 1) {
			return true
		}
		at(strings.Index(line, "-") + 1)
		f.Message, f.DidYouMean, f.Hint = "lists stand in brackets, with commas, not behind dashes", "", `write ["one", "two"]`
	default:
		s.unquoted(f, line)
	}
	return false
}

// hashComment matches the beginning of a line up to a comment as in shells.
var hashComment = regexp.MustCompile(`(^|[\s,{}"\]])#(\s|$)?$|^\s*#\s`)

// dashes says whether a line, or the one that it is under, is a list item as in YAML.
func (s source) dashes(n int) bool {
	text := strings.TrimSpace(s.line(n))
	return strings.HasPrefix(text, "- ") || text == "-"
}

// unquoted says that a name or a text needs quotes, or a field a comma before it.
func (s source) unquoted(f *Finding, line string) {
	if name, err := strconv.Unquote(strings.TrimSuffix(strings.TrimPrefix(f.Message, "reference "), " not found")); err == nil && strings.HasPrefix(f.Message, "reference ") {
		if f.DidYouMean == "" && isWord.MatchString(name) {
			f.Hint = needsQuotes
		}
		return
	}
	for _, m := range words.FindAllStringIndex(line, -1) {
		if m[0] > f.Col || f.Col > m[1]+1 || strings.Count(line[:m[0]], `"`)%2 == 1 {
			continue
		}
		word := line[m[0]:m[1]]
		name := strings.TrimSuffix(word, ":")
		before := strings.TrimSpace(line[:m[0]])
		switch {
		case name != word && isWord.MatchString(name) && before != "" && !strings.ContainsAny(before[len(before)-1:], ",{:"):
			f.Col, f.pos = m[0]+1, token.NoPos
			f.Path, f.Message = "", fmt.Sprintf("a comma is missing before %s", name)
			return
		case name != word && strings.ContainsAny(name, "-./") && !strings.Contains(name, ":"):
			f.Col, f.pos = m[0]+1, token.NoPos
			f.Path, f.Message = "", fmt.Sprintf("a name with other characters than letters, digits and _ needs quotes: %q:", name)
			return
		case name == word && strings.ContainsAny(name, "-./:@") && strings.HasSuffix(before, ":"):
			f.Col, f.pos = m[0]+1, token.NoPos
			f.Path, f.Message = "", needsQuotes
			return
		}
	}
}

// needsQuotes does not quote the text: it may be a password.
const needsQuotes = `text needs quotes: "..."`

var (
	words  = regexp.MustCompile(`[A-Za-z0-9/][^\s",{}\[\]()]*`)
	isWord = regexp.MustCompile(`^[A-Za-z]\w*$`)
)
