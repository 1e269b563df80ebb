package render

import (
	"strings"

	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"
)

// bracket opens or closes something in a file.
type bracket struct {
	tok       token.Token
	line, col int
}

// closing is what closes a bracket; ILLEGAL for what is none, or closes one.
func (b bracket) closing() token.Token {
	switch b.tok {
	case token.LBRACE:
		return token.RBRACE
	case token.LBRACK:
		return token.RBRACK
	case token.LPAREN:
		return token.RPAREN
	}
	return token.ILLEGAL
}

// tokens are the words of a file in their order, without comments; of a text only that
// there is one. What is read is false where some cannot be told apart.
func (s source) tokens() (all []bracket, read bool) {
	text := []byte(strings.Join(s.lines, "\n"))
	var scan scanner.Scanner
	read = true
	scan.Init(token.NewFile("", 0, len(text)), text, func(token.Pos, string, []any) { read = false }, scanner.DontInsertCommas)
	var inText []bool // of each ( that is open, whether it stands in a text: "\(name)"
	begins := false   // the next ( stands in a text
	for {
		pos, tok, _ := scan.Scan()
		if tok == token.EOF {
			return all, read
		}
		all = append(all, bracket{tok, pos.Line(), pos.Column()})
		switch tok {
		case token.INTERPOLATION:
			begins = true
		case token.LPAREN:
			inText, begins = append(inText, begins), false
		case token.RPAREN:
			if n := len(inText); n > 0 {
				if inText[n-1] {
					begins = strings.HasSuffix(scan.ResumeInterpolation(), "(")
				}
				inText = inText[:n-1]
			}
		}
	}
}

// brackets are those of a file in their order; none where its words cannot be told
// apart, which is then the first thing to be said.
func (s source) brackets() (found []bracket) {
	all, read := s.tokens()
	if !read {
		return nil
	}
	for _, b := range all {
		switch b.tok {
		case token.LBRACE, token.RBRACE, token.LBRACK, token.RBRACK, token.LPAREN, token.RPAREN:
			found = append(found, b)
		}
	}
	return found
}

// assigned is the place of the first = that stands where a field has its colon; 0 where
// there is none. An alias has one as well: shop: S={...}, S=shop: {...}.
func (s source) assigned() (line, col int) {
	all, _ := s.tokens()
	for i, b := range all {
		if b.tok != token.BIND || i == 0 || i+1 == len(all) {
			continue
		}
		if all[i-1].tok == token.COLON { // name := value
			return b.line, b.col
		}
		if all[i-1].tok != token.IDENT && all[i-1].tok != token.STRING {
			continue
		}
		if i > 1 && (all[i-2].tok == token.LET || all[i-2].tok == token.COLON || all[i-2].tok == token.LPAREN) {
			continue
		}
		alias := false
		label := all[i+1:]
		if label[0].tok == token.LBRACK || label[0].tok == token.LPAREN {
			for n, next := range label {
				if next.tok == token.RBRACK || next.tok == token.RPAREN {
					label = label[n:]
					break
				}
			}
		}
		if len(label) > 1 {
			switch label[1].tok {
			case token.COLON, token.OPTION, token.NOT:
				alias = true
			}
		}
		if !alias {
			return b.line, b.col
		}
	}
	return 0, 0
}

// unbalanced is the bracket that has no other half, and what is wrong with it; false
// where each has one. Where the order alone says too little the indentation decides.
func (s source) unbalanced() (at bracket, message, hint string, ok bool) {
	all := s.brackets()
	var open []bracket
	for _, b := range all {
		n := len(open)
		switch {
		case b.closing() != token.ILLEGAL:
			open = append(open, b)
		case n > 0 && open[n-1].closing() == b.tok:
			open = open[:n-1]
		case n == 0 || !opened(open, b.tok) && open[n-1].line != b.line:
			return s.surplus(all, b)
		case open[n-1].line == b.line && !opened(onLine(open, b.line), b.tok):
			return b, "this " + b.tok.String() + " closes a " + open[n-1].tok.String(), "write " + open[n-1].closing().String(), true
		default:
			return s.unclosed(all, open[n-1])
		}
	}
	if len(open) > 0 {
		return s.unclosed(all, open[len(open)-1])
	}
	return bracket{}, "", "", false
}

// opened says whether one of the brackets is closed by a token.
func opened(open []bracket, tok token.Token) bool {
	for _, b := range open {
		if b.closing() == tok {
			return true
		}
	}
	return false
}

func onLine(open []bracket, line int) []bracket {
	for i, b := range open {
		if b.line == line {
			return open[i:]
		}
	}
	return nil
}

// unclosed is the bracket that nothing closes: by the indentation, the first one where a
// line that begins with its other half is further out than the one that opened it.
func (s source) unclosed(all []bracket, last bracket) (at bracket, message, hint string, ok bool) {
	at = last
	var open []bracket
	for _, b := range all {
		n := len(open)
		if b.closing() != token.ILLEGAL {
			open = append(open, b)
			continue
		}
		if n == 0 || open[n-1].closing() != b.tok {
			break
		}
		if s.first(b) && s.indent(b.line) < s.indent(open[n-1].line) {
			at = open[n-1]
			break
		}
		open = open[:n-1]
	}
	return at, "this " + at.tok.String() + " is not closed", "write " + at.closing().String() + " where it ends", true
}

// surplus is the bracket that closes too much: by the indentation, the first one that
// closes what began on a line that is further out than its own.
func (s source) surplus(all []bracket, b bracket) (at bracket, message, hint string, ok bool) {
	var open []bracket
	for _, c := range all {
		n := len(open)
		if c.closing() != token.ILLEGAL {
			open = append(open, c)
			continue
		}
		if n == 0 || open[n-1].closing() != c.tok {
			break
		}
		if begun := open[n-1].line; begun != c.line && s.indent(begun) < s.indent(c.line) && c.tok == b.tok {
			if at, message, hint, ok := s.opensNothing(c); ok {
				return at, message, hint, true
			}
			return c, "a " + c.tok.String() + " too many: it closes what is further out than its line", "", true
		}
		open = open[:n-1]
	}
	if at, message, hint, ok := s.opensNothing(b); ok {
		return at, message, hint, true
	}
	return b, "a " + b.tok.String() + " too many: no " + opens(b.tok) + " is open here", "", true
}

// opens is the other half of a bracket that closes.
func opens(tok token.Token) string {
	return map[token.Token]string{token.RBRACE: "{", token.RBRACK: "[", token.RPAREN: "("}[tok]
}

// opensNothing is the place where what a bracket closes should have been opened.
func (s source) opensNothing(b bracket) (at bracket, message, hint string, ok bool) {
	line, outside, ok := s.unopened(b)
	at = bracket{b.tok, line, s.indent(line) + 1}
	if outside {
		return at, "this stands outside of the environment", "write " + fieldEnvironment + ": schema.#Environment & { above it", ok
	}
	return at, "a line that ends in " + opens(b.tok) + " is missing above this", "it is further in than the line before it", ok
}

// unopened is the first line above a bracket that is further in than the one before it,
// where that one opens nothing and is no beginning of it; outside says that the line is the
// first one behind the imports of a file without an environment.
func (s source) unopened(b bracket) (at int, outside, ok bool) {
	all, _ := s.tokens()
	begins, ends := map[int]token.Token{}, map[int]token.Token{}
	environment := false
	for i, t := range all {
		if _, seen := begins[t.line]; !seen {
			begins[t.line] = t.tok
		}
		ends[t.line] = t.tok
		environment = environment || t.col == 1 && t.tok == token.IDENT && i+1 < len(all) && all[i+1].tok == token.COLON && strings.HasPrefix(s.line(t.line), fieldEnvironment)
	}
	previous := 0
	for n := 1; n <= b.line; n++ {
		if begins[n] == token.ILLEGAL { // empty, a comment, or within a text
			continue
		}
		if previous > 0 && s.indent(n) > s.indent(previous) && (begins[n] == token.IDENT || begins[n] == token.STRING) {
			switch ends[previous] {
			case token.RBRACE, token.RBRACK, token.RPAREN, token.IDENT, token.STRING, token.INT, token.FLOAT, token.TRUE, token.FALSE, token.NULL:
				behind := ends[previous] == token.RPAREN && s.indent(previous) == 0 || strings.HasPrefix(s.line(previous), "import ")
				return n, behind && !environment, true
			}
		}
		previous = n
	}
	return 0, false, false
}

// first says whether a bracket is the first thing on its line.
func (s source) first(b bracket) bool { return strings.TrimSpace(s.line(b.line)[:b.col-1]) == "" }
