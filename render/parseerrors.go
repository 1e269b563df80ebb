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

	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// plainly says in words what CUE does not parse, or takes for a reference, where the
// line shows what was meant: comments and lists as YAML has them, text without
// quotes, what a merge left. One mistake may break a file in many places: what only
// follows from it is not said.
func (r *Repo) plainly(findings Findings) Findings {
	files := map[string]*broken{}
	var kept Findings
	for _, f := range findings {
		if !f.pos.IsValid() || !r.isUserPos(f.pos) || !notParsed.MatchString(f.Message) {
			kept = append(kept, f)
			continue
		}
		name := f.pos.Filename()
		file := files[name]
		if file == nil {
			file = &broken{source: source{lines: r.linesOf(name), packages: r.packagesNamed}, beside: r.packageBeside(name)}
			files[name] = file
		}
		if file.say(&f) && !slices.ContainsFunc(kept, func(k Finding) bool { return k.at() == f.at() && k.Message == f.Message }) {
			kept = append(kept, f)
		}
	}
	return kept
}

// broken is a file that does not parse, or refers to what is not there, with what was
// said of it.
type broken struct {
	source
	beside  string          // the package of the other files of its directory
	foreign int             // the line of characters of another alphabet
	whole   map[string]bool // what is said once of a file
}

// once says whether it is the first time that something is to be said.
func (b *broken) once(what string) bool {
	if b.whole == nil {
		b.whole = map[string]bool{}
	}
	first := !b.whole[what]
	b.whole[what] = true
	return first
}

// say puts a finding in words; false where it only follows from another one of the file.
func (b *broken) say(f *Finding) bool {
	moved := func(line, col int) {
		f.pos, f.Line, f.Col, f.Path = token.NoPos, line, col, ""
		f.Expected, f.Found, f.DidYouMean, f.Hint = "", "", "", ""
	}
	if _, col, ok := b.source.foreign(f.Line); ok || b.foreign > 0 {
		if !ok || b.foreign == f.Line {
			return false // follows from the first of its line, or of the file
		}
		if b.foreign = f.Line; col != f.Col {
			f.pos = token.NoPos
		}
		f.Col = col
	}
	if at := b.conflict(); at > 0 {
		moved(at, 1)
		f.Message = conflictBegins
		if !strings.HasPrefix(b.line(at), "<") {
			f.Message = "the rest of a merge conflict"
		}
		f.Hint = keepOneSide
		return b.once("conflict")
	}
	if strings.HasPrefix(f.Message, "reference ") { // the file parses
		b.refers(f)
		return !strings.HasPrefix(f.Message, noImport) || b.once(f.Message)
	}
	if b.foreign == 0 && !b.once("parsed") {
		return false // CUE goes on as well as it can
	}
	if line := b.noCUE(); line > 0 {
		moved(line, 1)
		f.Message, f.Hint = "this is no CUE: a file of CUE begins with its package", "write package "+b.beside+" above it, or give the file another name"
		return true
	}
	if line := b.outdented(f); line > 0 {
		moved(line, 1)
		f.Message, f.Hint = "this line is less indented than the "+textOfLines+" that closes the text", "indent it as that is"
		return true
	}
	if line, col := b.assigned(); line > 0 && line <= f.Line {
		moved(line, col)
		f.Message, f.Hint = "a field has a colon, not =", "write name: value"
		return true
	}
	if line, col, message, hint, ok := b.shape(f.Line, f.Col, f.Message); ok {
		moved(line, col)
		f.Message, f.Hint = message, hint
		return true
	}
	if at, message, hint, ok := b.unbalanced(); ok && (at.line <= f.Line || strings.Contains(f.Message, "'EOF'")) {
		moved(at.line, at.col)
		f.Message, f.Hint = message, hint
		return true
	}
	was := f.Message
	b.source.say(f)
	if f.Message == was && f.Hint == "" {
		inPlainWords(f)
		if text := b.line(f.Line); f.Message == notClosed && f.Col > 0 && f.Col <= len(text) && strings.HasPrefix(text[f.Col-1:], textOfLines) {
			f.Hint = "write " + textOfLines + " on a line of its own where it ends"
		}
	}
	return true
}

const (
	conflictBegins = "a merge conflict begins here"
	keepOneSide    = "keep one side, and take out the lines that begin with <<<<<<<, ======= and >>>>>>>"

	notClosed   = "this text is not closed"
	textOfLines = `"""` // what a text of several lines begins with
)

// noCUE is the first line of a file that has no package clause, where a file beside it has
// one: a note, or what another tool reads, with the name of a file of CUE.
func (b *broken) noCUE() int {
	first := 0
	for i, line := range b.lines {
		text := strings.TrimSpace(line)
		switch {
		case packageAgain.MatchString(line), misspeltPackage(text) != "", strings.HasPrefix(text, "package"):
			return 0
		case first == 0 && text != "" && !strings.HasPrefix(text, "//"):
			first = i + 1
		}
	}
	if b.beside == "" {
		return 0
	}
	return first
}

// outdented is the first line of a text of several lines that does not begin as the one
// which closes it; 0 where the finding is not about that.
func (b *broken) outdented(f *Finding) int {
	if !strings.HasPrefix(f.Message, "non-matching whitespace") {
		return 0
	}
	end := f.Line + 1
	for end <= len(b.lines) && !strings.HasPrefix(strings.TrimSpace(b.line(end)), textOfLines) {
		end++
	}
	margin := b.line(end)[:b.indent(end)]
	for n := f.Line + 1; n < end; n++ {
		if text := b.line(n); strings.TrimSpace(text) != "" && !strings.HasPrefix(text, margin) {
			return n
		}
	}
	return 0
}

// packageBeside is the package of the other files in the directory of one; empty where
// there is none.
func (r *Repo) packageBeside(name string) string {
	names, _ := fs.Glob(r.fsys, r.below(filepath.Dir(name))+"/*.cue") // the pattern is well formed
	for _, other := range names {
		if path.Base(other) == filepath.Base(name) {
			continue
		}
		if data, err := fs.ReadFile(r.fsys, other); err == nil && packageOf(other, data) != "" {
			return packageOf(other, data)
		}
	}
	return ""
}

// noImport begins what is said of a name that no import has.
const noImport = "no import of this name: "

// inPlainWords says without CUE's own words what it does not read, where nothing better
// is known of it.
func inPlainWords(f *Finding) {
	expected, found, _ := strings.Cut(f.Message, ", found ")
	found = strings.Trim(found, "'")
	switch {
	case strings.HasPrefix(f.Message, "missing ',' before newline"):
		f.Message = "a comma is missing at the end of this line"
	case strings.HasPrefix(f.Message, "missing ',' in struct literal"):
		f.Message = "a comma, or a new line, is missing before this"
	case strings.HasPrefix(f.Message, "missing ','"):
		f.Message = "a comma is missing before this"
	case f.Message == "string literal not terminated":
		f.Message, f.Hint = notClosed, `write " where it ends`
	case f.Message == "unknown escape sequence":
		f.Message, f.Hint = `a \ in a text begins a special character, and this is none`, `write \\ for a \`
	case strings.HasPrefix(f.Message, "invalid operands"):
		f.Message, f.Hint = "no operator joins values of two kinds", `in a text, \(name) inserts another value`
	case strings.HasPrefix(f.Message, "illegal integer number"):
		f.Message, f.Hint = "no number begins with 0", needsQuotes
	case strings.HasPrefix(f.Message, "illegal byte order mark"):
		f.Message, f.Hint = "a character that is not seen (U+FEFF)", "take it out"
	case expected == "expected operand" && (found == "newline" || found == "EOF"):
		f.Message = "a value is missing at the end of this line"
	case expected == "expected operand" && found == ",":
		f.Message, f.Hint = "a comma too many", "take it out"
	case expected == "expected operand" && found == ":":
		f.Message, f.Hint = "a colon too many", "take it out"
	case expected == "expected operand":
		f.Message = "a value is missing before " + found
	case expected == "expected label or ':'":
		f.Message, f.Hint = "this is no field", "a field is name: value"
	default:
		f.Message, f.Hint = "CUE cannot read this", `a field is name: value, a list ["a", "b"], and text stands in double quotes`
	}
}

// at is the place of a finding, as it is printed.
func (f Finding) at() string { return fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Col) }

// notParsed matches what CUE says of text that is none of its own, or that it takes
// for a name.
var notParsed = regexp.MustCompile(`^(expected |non-matching whitespace|missing |reference "|illegal |unexpected |invalid (character|operation|operand)|operand|string literal not|unknown escape|order )|\(- struct\)|not a list or struct`)

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
	case f.Col > 0 && f.Col <= len(line) && line[f.Col-1] == ';':
		f.Path, f.Message, f.Hint = "", "fields are set apart by a comma or the end of the line, not by ;", "take it out"
	case dashBehind.MatchString(line):
		at(dashBehind.FindStringSubmatchIndex(line)[2] + 1)
		f.Expected, f.Found = "", ""
		f.Message, f.DidYouMean, f.Hint = "a list stands in brackets, with commas, not behind dashes", "", `write ["one", "two"]`
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

// dashBehind matches a list of one item as in YAML, behind its field.
var dashBehind = regexp.MustCompile(`^\s*[\w"-]+\s*:\s*(-)\s+["A-Za-z]`)

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
		case c > unicode.MaxASCII && (asASCII(c) != 0 || !unicode.IsLetter(c) && !unicode.IsDigit(c)) && c != '\uFEFF':
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

// hashComment matches the beginning of a line up to a comment as in shells.
var hashComment = regexp.MustCompile(`(^|[\s,{}"\]])#(\s|$)?$|^\s*#\s`)

// dashes says whether a line, or the one that it is under, is a list item as in YAML.
func (s source) dashes(n int) bool {
	text := strings.TrimSpace(s.line(n))
	return strings.HasPrefix(text, "- ") || text == "-"
}

// refers says what a name that nothing has was probably meant to be.
func (s source) refers(f *Finding) {
	name, err := strconv.Unquote(strings.TrimSuffix(strings.TrimPrefix(f.Message, "reference "), " not found"))
	if err != nil {
		return
	}
	line := s.line(f.Line)
	text := strings.TrimSpace(line)
	switch end := f.Col - 1 + len(name); {
	case arrow.MatchString(text):
		f.Path, f.Message, f.DidYouMean, f.Hint = "", "a field has a colon behind its name, not an arrow", "", "write "+arrow.FindStringSubmatch(text)[1]+": value"
	case noValues[strings.ToLower(name)]:
		f.Message, f.DidYouMean, f.Hint = name+" is no value of CUE", "", "leave the field out"
	case registryWord.MatchString(text):
		f.DidYouMean, f.Hint = "", fmt.Sprintf("write registry: %s: {...}", name)
	case yesNo[strings.ToLower(name)] != "":
		f.Message, f.DidYouMean = name+" is no value of CUE", ""
		f.Hint = "write " + yesNo[strings.ToLower(name)]
	case strings.HasPrefix(text, "- "):
		s.say(f)
	case hashComment.MatchString(line[:min(len(line), f.Col)]) && strings.HasPrefix(text, "#"):
		s.say(f)
	case strings.HasPrefix(name, "$"):
		f.Hint = "CUE has no variables of the shell: write the value, in quotes where it is text"
	case f.DidYouMean != "" || !isWord.MatchString(name):
	case end < len(line) && f.Col > 0 && line[end] == '.':
		f.Message, f.Hint = noImport+name, "add it to import (...) at the top of the file"
		if paths := s.packages(name); len(paths) == 1 {
			f.Hint += ": " + strconv.Quote(paths[0])
		}
		f.Path = ""
	case text == name || strings.HasSuffix(text, "{"+name):
		f.Path, f.Message, f.Hint = "", "a word alone is no field", "write "+name+": value, or take it out"
	case inText(line[:max(0, min(len(line), f.Col-1))]):
		f.Hint = `\(...) inserts a field or a let of this name, and there is none`
	default:
		f.Hint = needsQuotes
	}
}

var (
	// arrow matches a field with an arrow in place of its colon.
	arrow = regexp.MustCompile(`^(\w+)\s*(?:->|=>)\s`)
	// registryWord matches a registry that is named by its kind alone.
	registryWord = regexp.MustCompile(`^registry:\s*(zookeeper|nacos)\b`)
)

// noValues are the words of other languages for nothing.
var noValues = map[string]bool{"none": true, "nil": true, "undefined": true} //nolint:gochecknoglobals // a table

// inText says whether what follows stands in a reference of a text: "\(name)".
func inText(before string) bool {
	at := strings.LastIndex(before, `\(`)
	return at >= 0 && !strings.Contains(before[at:], ")")
}

// unquoted says that a name or a text needs quotes, or a field a comma before it.
func (s source) unquoted(f *Finding, line string) {
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
			if dotted.MatchString(name) {
				f.Message = "a field in another one stands behind a colon, not a dot"
				f.Hint = fmt.Sprintf("write %s:, or %q: where the dot is part of the name", strings.ReplaceAll(name, ".", ": "), name)
			}
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
	dotted = regexp.MustCompile(`^[a-zA-Z]\w*(\.[a-zA-Z]\w*)+$`)
	words  = regexp.MustCompile(`[A-Za-z0-9/][^\s",{}\[\]()]*`)
	isWord = regexp.MustCompile(`^\pL[\pL\d_]*$`)
)
