package render

import (
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// plainly says in words what CUE does not parse, or takes for a reference, where the
// line shows what was meant: comments and lists as YAML has them, text without
// quotes, what a merge left. One mistake may break a file in many places: what only
// follows from it is not said.
func (r *Repo) plainly(findings Findings) Findings {
	lines := map[string][]string{}
	conflicts := map[string]bool{}
	parsed := map[string]int{}  // mistakes that were said of a file
	foreign := map[string]int{} // the line of characters of another alphabet that was said of a file
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
		s := source{lines: lines[name], packages: r.packagesNamed}
		if _, col, ok := s.foreign(f.Line); ok || foreign[name] > 0 {
			if !ok || foreign[name] == f.Line {
				continue // follows from the first of its line, or of the file
			}
			if foreign[name] = f.Line; col != f.Col {
				f.pos = token.NoPos
			}
			f.Col = col
		}
		if at := s.conflict(); at > 0 {
			if !conflicts[name] {
				conflicts[name] = true
				f.pos, f.Line, f.Col, f.Path = token.NoPos, at, 1, ""
				f.Message, f.Expected, f.Found, f.DidYouMean = "a merge conflict begins here", "", "", ""
				if !strings.HasPrefix(s.line(at), "<") {
					f.Message = "the rest of a merge conflict"
				}
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
			if line, col := s.open(); line > 0 && strings.Contains(f.Message, "'}'") {
				f.pos, f.Line, f.Col, f.Path = token.NoPos, line, col, ""
				f.Message = "this { is not closed"
			}
		}
		if f.Message == "expected 'EOF', found '}'" {
			f.Message, f.Hint = "a } too many: no { is open here", ""
			if line, col := s.surplus(); line > 0 && line != f.Line {
				f.pos, f.Line, f.Col = token.NoPos, line, col
				f.Message = "a } too many: it closes what is further out than its line"
			}
		}
		parsed[name]++
		s.say(&f)
		if !slices.ContainsFunc(kept, func(k Finding) bool { return k.at() == f.at() && k.Message == f.Message }) {
			kept = append(kept, f)
		}
	}
	return kept
}

// at is the place of a finding, as it is printed.
func (f Finding) at() string { return fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Col) }

// notParsed matches what CUE says of text that is none of its own, or that it takes
// for a name.
var notParsed = regexp.MustCompile(`^(expected |missing |reference "|illegal |unexpected |invalid (character|operation|operand)|operand|string literal not|order )|\(- struct\)|not a list or struct`)

// packagesNamed are the import paths of the packages of a name below envs, and of the
// definitions.
func (r *Repo) packagesNamed(name string) []string {
	switch name {
	case "schema":
		return []string{Module + "/schema"}
	case "core":
		return []string{Module + "/schema/core"}
	}
	dirs, err := r.cueDirs()
	if err != nil {
		return nil
	}
	var paths []string
	for _, d := range dirs {
		if d.declares || !slices.Contains(d.packages, name) {
			continue
		}
		full := r.module + "/" + d.dir
		if path.Base(d.dir) != name {
			full += ":" + name
		}
		paths = append(paths, full)
	}
	return paths
}

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
type source struct {
	lines    []string
	packages func(name string) []string // the import paths of the packages of a name
}

func (s source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return s.lines[n-1]
}

// conflict is the line where what a merge left begins.
func (s source) conflict() int {
	for i, line := range s.lines {
		if strings.HasPrefix(line, "<<<<<<< ") || strings.HasPrefix(line, ">>>>>>> ") || strings.TrimRight(line, "\r") == "=======" {
			return i + 1
		}
	}
	return 0
}

// open is the place of a brace that nothing closes: by the indentation, the innermost
// one where a line that closes a brace is further out than the one that opened it.
func (s source) open() (line, col int) {
	text := []byte(strings.Join(s.lines, "\n"))
	var scan scanner.Scanner
	file := token.NewFile("", 0, len(text))
	scan.Init(file, text, func(token.Pos, string, []any) {}, scanner.DontInsertCommas)
	var braces []token.Position
	for {
		pos, tok, _ := scan.Scan()
		at := pos.Position()
		switch tok {
		case token.EOF:
			if n := len(braces); n > 0 {
				return braces[n-1].Line, braces[n-1].Column
			}
			return 0, 0
		case token.LBRACE:
			braces = append(braces, at)
		case token.RBRACE:
			if len(braces) == 0 {
				return 0, 0
			}
			opened := braces[len(braces)-1]
			first := strings.TrimSpace(s.line(at.Line)[:at.Column-1]) == ""
			if first && s.indent(at.Line) < s.indent(opened.Line) {
				return opened.Line, opened.Column
			}
			braces = braces[:len(braces)-1]
		}
	}
}

// surplus is the place of a brace that closes too much: by the indentation, the first
// one that closes a brace of a line that is further out than its own.
func (s source) surplus() (line, col int) {
	text := []byte(strings.Join(s.lines, "\n"))
	var scan scanner.Scanner
	file := token.NewFile("", 0, len(text))
	scan.Init(file, text, func(token.Pos, string, []any) {}, scanner.DontInsertCommas)
	var braces []int // the lines that opened them
	for {
		pos, tok, _ := scan.Scan()
		at := pos.Position()
		switch tok {
		case token.EOF:
			return 0, 0
		case token.LBRACE:
			braces = append(braces, at.Line)
		case token.RBRACE:
			if len(braces) == 0 || braces[len(braces)-1] != at.Line && s.indent(braces[len(braces)-1]) < s.indent(at.Line) {
				return at.Line, at.Column
			}
			braces = braces[:len(braces)-1]
		}
	}
}

func (s source) indent(n int) int {
	line := s.line(n)
	return len(line) - len(strings.TrimLeft(line, " \t"))
}

// say says what a line shows; of a list as in YAML, at its first item.
func (s source) say(f *Finding) {
	line := s.line(f.Line)
	text := strings.TrimSpace(line)
	at := func(col int) { f.Col, f.pos = col, token.NoPos }
	char, _, isForeign := s.foreign(f.Line)
	switch {
	case isForeign:
		f.Path, f.Expected, f.Found, f.DidYouMean, f.Hint = "", "", "", "", ""
		f.Message = fmt.Sprintf("%q (%U) is no character of CUE outside of text", string(char), char)
		switch plain := asASCII(char); {
		case unicode.IsSpace(char):
			f.Message = fmt.Sprintf("a space that CUE does not know (%U)", char)
			f.Hint = "write a plain space"
		case !unicode.IsPrint(char):
			f.Message = fmt.Sprintf("a character that is not seen (%U)", char)
			f.Hint = "take it out"
		case plain != 0:
			f.Hint = "write " + string(plain) + " as on an English keyboard"
		default:
			f.Hint = needsQuotes
		}
	case hashComment.MatchString(line[:min(len(line), f.Col+1)]):
		at(strings.LastIndex(line[:min(len(line), f.Col+1)], "#") + 1)
		f.Path, f.Message, f.Hint, f.DidYouMean = "", "comments begin with //, not with #", "", ""
	case s.assigned(f.Line) > 0:
		f.Line = s.assigned(f.Line)
		at(strings.Index(s.line(f.Line), "=") + 1)
		f.Path, f.Expected, f.Found, f.DidYouMean = "", "", "", ""
		f.Message, f.Hint = "a field has a colon, not =", "write name: value"
	case f.Col > 0 && f.Col <= len(line) && line[f.Col-1] == ';':
		f.Path, f.Message, f.Hint = "", "fields are set apart by a comma or the end of the line, not by ;", "take it out"
	case strings.HasPrefix(text, "- ") || text == "-":
		for s.dashes(f.Line - 1) {
			f.Line--
		}
		at(strings.Index(s.line(f.Line), "-") + 1)
		f.Expected, f.Found = "", ""
		f.Message, f.DidYouMean, f.Hint = "lists stand in brackets, with commas, not behind dashes", "", `write ["one", "two"]`
	case misspeltPackage(text) != "":
		at(strings.Index(line, text) + 1)
		f.Path, f.Expected, f.Found, f.Hint = "", "", "", ""
		f.Message, f.DidYouMean = "this is neither a field nor a package clause", misspeltPackage(text)
	case strings.HasPrefix(f.Message, "expected label or ':', found '") && !strings.Contains(f.Message, "'IDENT'") && s.before(f) != "":
		f.Path, f.Message, f.Hint = "", "a field has a colon behind its name", fmt.Sprintf("write %s: ...", s.before(f))
	default:
		was := f.Message
		s.unquoted(f, line)
		if m := twoWords.FindStringSubmatch(line); m != nil && f.Message == was && strings.HasPrefix(was, "expected label or ':', found 'IDENT'") {
			f.Message, f.Hint = "a field has a colon behind its name", fmt.Sprintf("write %s: %s", m[1], m[2])
		}
	}
}

// twoWords matches a field without its colon.
var twoWords = regexp.MustCompile(`^\s*([A-Za-z_#]\w*)\s+([\w."#]+)`)

// misspeltPackage is the package clause that a line was meant to be.
func misspeltPackage(text string) string {
	word, name, ok := strings.Cut(text, " ")
	if !ok || strings.ContainsAny(name, " :{") || typed.Closest(word, []string{"package"}) == "" {
		return ""
	}
	return "package " + name
}

// before is the name in front of a finding on its line.
func (s source) before(f *Finding) string {
	line := s.line(f.Line)
	return lastName.FindString(strings.TrimRight(line[:max(0, min(len(line), f.Col-1))], " \t"))
}

// lastName matches a name at the end of a text.
var lastName = regexp.MustCompile(`("[-./\w]+"|\w+)$`)

// foreign is the first character of a line outside of text and comments that CUE does
// not know, with its column in bytes, as CUE counts: what an input method for Chinese
// writes in place of punctuation, or a page has copied along with the rest.
func (s source) foreign(n int) (char rune, col int, ok bool) {
	inText := false
	line := s.line(n)
	for i, c := range line {
		switch {
		case c == '"' && (i == 0 || line[i-1] != '\\'):
			inText = !inText
		case inText:
		case strings.HasPrefix(line[i:], "//"):
			return 0, 0, false
		case c > unicode.MaxASCII && !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '\uFEFF':
			return c, i + 1, true
		}
	}
	return 0, 0, false
}

// asASCII is what CUE has in place of a character; 0 where that is not known.
func asASCII(c rune) rune {
	switch {
	case c >= '！' && c <= '～': // the full-width forms, in the order of ASCII
		return c - '！' + '!'
	case strings.ContainsRune("“”„‘’‚「」『』«»", c):
		return '"'
	}
	switch c {
	case '、':
		return ','
	case '。':
		return '.'
	case '【':
		return '['
	case '】':
		return ']'
	case '–', '—', '−':
		return '-'
	}
	return 0
}

// assigned is the line where something is written as an assignment, a line or the one
// before it; 0 where none is.
func (s source) assigned(n int) int {
	for _, at := range []int{n, n - 1} {
		if assignment.MatchString(s.line(at)) {
			return at
		}
	}
	return 0
}

// assignment matches name = value, with nothing else on the line.
var assignment = regexp.MustCompile(`^\s*"?[\w-]+"?\s*=\s*(?:"[^"]*"|[\w.-]+)\s*,?\s*$`)

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
		switch end := f.Col - 1 + len(name); {
		case yesNo[strings.ToLower(name)] != "":
			f.Message, f.DidYouMean = name+" is no value of CUE", ""
			f.Hint = "write " + yesNo[strings.ToLower(name)]
		case f.DidYouMean != "" || !isWord.MatchString(name):
		case end < len(line) && f.Col > 0 && line[end] == '.':
			f.Message, f.Hint = fmt.Sprintf("no import of this name: %s", name), "add it to import (...) at the top of the file"
			if paths := s.packages(name); len(paths) == 1 {
				f.Hint += ": " + strconv.Quote(paths[0])
			}
			f.Path = ""
		default:
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

// yesNo are the words of YAML, and of other languages, for true and false.
var yesNo = map[string]string{ //nolint:gochecknoglobals // a table
	"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false",
}

// needsQuotes does not quote the text: it may be a password.
const needsQuotes = `text needs quotes: "..."`

var (
	words  = regexp.MustCompile(`[A-Za-z0-9/][^\s",{}\[\]()]*`)
	isWord = regexp.MustCompile(`^[A-Za-z]\w*$`)
)
