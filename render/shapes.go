package render

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// shape is a form of another language, or half of an edit, that a line shows which CUE
// does not read; the place is that of the first group.
type shape struct {
	form      *regexp.Regexp
	say, hint string // $2 is the second group
	before    bool   // the line before may have it as well
}

// textless is a line up to what is no text of it.
const textless = `^(?:[^"]|"[^"]*")*?`

// shapes are compiled where a file does not parse: no other command pays for them.
//
//nolint:gochecknoglobals // a table
var shapes = sync.OnceValue(func() []shape {
	return []shape{
		{form: regexp.MustCompile("^\\s*(```)"), say: "``` is of Markdown", hint: "take the line out"},
		{form: regexp.MustCompile(textless + "(`)"), say: "text stands in double quotes, not in `"},
		{form: regexp.MustCompile(`^\s*([$%>]) `), say: "this is a line of a shell", hint: "take it out"},
		{form: regexp.MustCompile(`^([+-])\t`), say: "this is a line of a diff", hint: "take its first character out"},
		{form: regexp.MustCompile(`^\s*(\d+):?\s+"?[\w-]+"?\s*:`), say: "this is the number of a line", hint: "take it out"},
		{form: regexp.MustCompile(`^\s*(---)\s*$`), say: "--- begins a document of YAML", hint: "take it out: a file of CUE is one", before: true},
		{form: regexp.MustCompile(textless + `(/\*|\*/|<!--|-->)`), say: "comments begin with //, not with $1"},
		{form: regexp.MustCompile(`^\s*(--|/|%|REM)\s`), say: "comments begin with //, not with $1"},
		{form: regexp.MustCompile(textless + `(\{\{|\}\}-|\{%)`), say: "this is a template of another tool, and CUE does not fill it in", hint: "write the value"},
		{form: regexp.MustCompile(`:\s*([|>][-+]?)\s*$`), say: `text of several lines stands between """ and """, each on a line`, before: true},
		{form: regexp.MustCompile(`(?:^|[{,\s])(<<)\s*:`), say: "CUE has no merge keys", hint: "unify: a & {...}"},
		{form: regexp.MustCompile(`:\s*(&)\s*\{`), say: "a type is missing before &", hint: "such as schema.#WebApp & {"},
		{form: regexp.MustCompile(`:\s*(&\w+)(?:\s|$)`), say: "CUE has no anchors", hint: "give what several share a field of its own, and refer to that by its name", before: true},
		{form: regexp.MustCompile(`:\s*(~)\s*[,}]?\s*$`), say: "~ is no value of CUE", hint: "leave the field out"},
		{form: regexp.MustCompile(`[:\[,]\s*(<)["A-Za-z]`), say: "no value stands in < and >", hint: "write the value itself, in quotes where it is text", before: true},
		{form: regexp.MustCompile(textless + `()((?:\b\w+\.)?\b_?#\w+|\w+\.#\w+)\s*\{`), say: "an & is missing behind $2", hint: "write $2 & {"},
		{form: regexp.MustCompile(textless + `()((?:\w+\.)?#\w+)\s*:\s*\{`), say: "an & stands between $2 and {, not a colon", hint: "write $2 & {"},
		{form: regexp.MustCompile(`(&)\s*$`), say: "a { is missing behind &", before: true},
		{form: regexp.MustCompile(`:\s*(\d{1,3}(?:,\d{3})+)\s*(?:[,}]|//|$)`), say: "a number has no commas between its digits", hint: "take them out"},
		{form: regexp.MustCompile(`^\s*(let)\s+(\w+)\s*:`), say: "let has = behind its name, not a colon", hint: "write let $2 = ..."},
		{form: regexp.MustCompile(`(?:"|\w)\s*(\*)\s*\|`), say: "the * of a default stands before it", hint: `such as *"5Gi" | _`},
		{form: regexp.MustCompile(`^\s*if\b[^{]*\b(then)\b`), say: "CUE has no then", hint: "write if CONDITION {...}"},
		{form: regexp.MustCompile(`^\s*(else|elif|elsif|fi|endif|end)\b\s*[^:\s]?`), say: "CUE has no $1", hint: "write a second if with the opposite condition"},
		{form: regexp.MustCompile(`^\s*import\s*()$`), say: "import has no ( behind it", hint: "write import ("},
		{form: regexp.MustCompile(`^\s*(?:import\s+)?()((?:[\w-]+\.)+[\w-]+(?:/[\w.-]+)+)\s*$`), say: "an import stands in double quotes", hint: `write "$2"`},
		{form: regexp.MustCompile(`^\s*(from)\s+"`), say: "an import is written import and its path", hint: `import "..."`},
		{form: regexp.MustCompile(`^\s*package\s*()"(\w+)"\s*$`), say: "the name of a package has no quotes", hint: "write package $2"},
		{form: regexp.MustCompile(`^\s*package\s*()\w*[-./]\S*\s*$`), say: "the name of a package has letters, digits and _ alone", hint: "such as package dev1"},
		{form: regexp.MustCompile(`^\s*package\s*()$`), say: "the package has no name", hint: "write the name of the directory behind it"},
		{form: regexp.MustCompile(`[:\[,]\s*(\d[\d.]*[A-Za-z%][\w%]*)\s*(?:[,}\]]|//|$)`), say: needsQuotes},
		{form: regexp.MustCompile(`:\s*((?:[\d*/,-]+\s+){4}[\d*/,-]+)\s*$`), say: needsQuotes},
		{form: regexp.MustCompile(`[:\[,]\s*(\\")`), say: `a " around text has no \ before it`, hint: `take each \ out`},
		{form: regexp.MustCompile(`(\\)\s*$`), say: `no line ends with \`, hint: `take it out: lists and structs go on to the bracket that closes them`},
		{form: regexp.MustCompile(`[:\[,]\s*("")\w`), say: `a " too many`, hint: "take one out"},
		{form: regexp.MustCompile(`\w("")\s*[,}\]]*\s*$`), say: `a " too many`, hint: "take one out"},
	}
})

// shape finds what a line shows that CUE does not read, or the one before it.
func (s source) shape(n, col int, message string) (line, at int, say, hint string, ok bool) {
	previous := n - 1
	for previous > 0 && strings.TrimSpace(s.line(previous)) == "" {
		previous--
	}
	for _, known := range shapes() {
		for _, line := range []int{n, previous} {
			if line == previous && !known.before {
				continue
			}
			text := strings.TrimRight(s.line(line), "\r")
			m := known.form.FindStringSubmatchIndex(text)
			if m == nil {
				continue
			}
			at := m[2]
			if m[2] == m[3] && len(m) > 5 {
				at = m[4]
			}
			fill := func(with string) string { return string(known.form.ExpandString(nil, with, text, m)) }
			return line, at + 1, fill(strings.ReplaceAll(known.say, "$2 ", "${2} ")), fill(known.hint), true
		}
	}
	text := s.line(n)
	switch word := firstWord.FindStringSubmatchIndex(text); {
	case strings.HasPrefix(message, "expected ')' for string interpolation"):
		return n, col, "the reference in this text is not closed", "write ) where it ends", true
	case strings.HasPrefix(message, "expected operand, found") && strings.HasSuffix(strings.TrimSpace(s.line(previous)), ":") && strings.Contains(message, "'}'"):
		return previous, len(strings.TrimRight(s.line(previous), " \t\r")) + 1, "a value is missing behind the colon", "", true
	case word != nil && text[word[2]:word[3]] == "import":
		return n, word[2] + 1, "imports stand at the top of the file, behind the package clause", "", true
	case word != nil && typed.Closest(text[word[2]:word[3]], []string{"import"}) != "":
		return n, word[2] + 1, "this is neither a field nor an import", "write import", true
	case packageAgain.MatchString(text) && s.beforePackage(n) > 0:
		return s.beforePackage(n), 1, "this stands before the package clause", "take it out, or write // before it", true
	case packageAgain.MatchString(text) && slices.ContainsFunc(s.lines[:n-1], packageAgain.MatchString):
		return n, 1, "a second package clause", "take it out", true
	}
	return s.wrongBrackets(n, col)
}

// beforePackage is the first line above one that is neither empty nor a comment.
func (s source) beforePackage(n int) int {
	for i := 1; i < n; i++ {
		if text := strings.TrimSpace(s.line(i)); text != "" && !strings.HasPrefix(text, "//") && !strings.HasPrefix(text, "@") && !packageAgain.MatchString(text) {
			return i
		}
	}
	return 0
}

var (
	// firstWord matches a word with what may be the path of an import.
	firstWord = regexp.MustCompile(`^\s*(\w+)\s*(?:"[\w./:-]+"|\()\s*$`)
	// packageAgain matches a package clause.
	packageAgain = regexp.MustCompile(`^\s*package\s+\w+`)
)

// wrongBrackets: a list stands in [ ], a struct in { }; of both, what is in them says
// which was meant.
func (s source) wrongBrackets(n, col int) (line, at int, say, hint string, ok bool) {
	all, _ := s.tokens()
	var open []int
	for i, b := range all {
		if b.line > n || b.line == n && b.col >= col {
			break
		}
		switch {
		case b.closing() != token.ILLEGAL:
			open = append(open, i)
		case b.tok == token.RBRACE || b.tok == token.RBRACK || b.tok == token.RPAREN:
			open = open[:max(0, len(open)-1)]
		}
	}
	if text := s.line(n); col > 0 && col <= len(text) && strings.ContainsAny(text[col-1:col], "[(") { // named as the one that opens
		for i, b := range all {
			if b.line == n && b.col == col {
				open = append(open, i)
			}
		}
	}
	if len(open) == 0 {
		return 0, 0, "", "", false
	}
	b := all[open[len(open)-1]]
	i := open[len(open)-1]
	named := i+2 < len(all) && (all[i+1].tok == token.IDENT || all[i+1].tok == token.STRING) && all[i+2].tok == token.COLON
	inImport := i > 0 && all[i-1].tok == token.IDENT && strings.HasPrefix(strings.TrimSpace(s.line(b.line)), "import")
	switch {
	case b.tok == token.LBRACK && named:
		return b.line, b.col, "fields stand in { }, not in [ ]", "", true
	case b.tok == token.LPAREN && named:
		return b.line, b.col, "fields stand in { }, not in ( )", "", true
	case b.tok == token.LPAREN && !inImport:
		return b.line, b.col, "a list stands in [ ], not in ( )", "", true
	}
	return 0, 0, "", "", false
}
