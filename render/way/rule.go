package way

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// rule is a rule of Traefik: Host(`a.od.com`) && PathPrefix(`/b`). Traefik reads it
// as a Go expression, and so does this.
type rule struct {
	text  string
	expr  ast.Expr
	parts []part // the matchers, from the left
	res   map[string]*regexp.Regexp
	wild  bool // Host takes wildcards, which it does from v3.7 on
}

// part is one matcher of a rule.
type part struct {
	name string
	args []string
}

func parseRule(text string, wild bool) (*rule, error) {
	expr, err := parser.ParseExpr(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	r := &rule{text: text, expr: expr, res: map[string]*regexp.Regexp{}, wild: wild}
	return r, r.check(expr)
}

// matchers are those that Traefik has.
func matchers() []string {
	return []string{"Host", "HostRegexp", "Path", "PathPrefix", "PathRegexp", "Header", "HeaderRegexp", "Query", "QueryRegexp", "Method", "ClientIP"}
}

// matcherOf is the name of a matcher that may be written as it is, in small or in capital
// letters, or with one capital letter.
func matcherOf(written string) string {
	for _, name := range matchers() {
		small := strings.ToLower(name)
		if slices.Contains([]string{name, small, strings.ToUpper(name), strings.ToUpper(small[:1]) + small[1:]}, written) {
			return name
		}
	}
	return written
}

// argumentsOf is the number of the arguments of a matcher.
func argumentsOf(matcher string) (least, most int) {
	switch matcher {
	case "Host", "HostRegexp", "Path", "PathRegexp", "PathPrefix", "Method", "ClientIP":
		return 1, 1
	case "Header", "HeaderRegexp":
		return 2, 2
	case "Query", "QueryRegexp":
		return 1, 2
	}
	return 0, 0
}

func (r *rule) check(expr ast.Expr) error {
	switch x := expr.(type) {
	case *ast.ParenExpr:
		return r.check(x.X)
	case *ast.UnaryExpr:
		if x.Op != token.NOT {
			return fmt.Errorf("%s: the operator %s is not one of rules", r.text, x.Op)
		}
		return r.check(x.X)
	case *ast.BinaryExpr:
		if x.Op != token.LAND && x.Op != token.LOR {
			return fmt.Errorf("%s: the operator %s is not one of rules", r.text, x.Op)
		}
		if err := r.check(x.X); err != nil {
			return err
		}
		return r.check(x.Y)
	case *ast.CallExpr:
		p, err := partOf(x)
		if err != nil {
			return fmt.Errorf("%s: %w", r.text, err)
		}
		if strings.HasSuffix(p.name, "Regexp") && (len(p.args) > 1 || !strings.HasPrefix(p.name, "Query")) && r.res[p.args[len(p.args)-1]] == nil {
			re, err := regexp.Compile(p.args[len(p.args)-1])
			if err != nil {
				return fmt.Errorf("%s: %w", r.text, err)
			}
			r.res[p.args[len(p.args)-1]] = re
		}
		r.parts = append(r.parts, p)
		return nil
	}
	return fmt.Errorf("%s is not a rule of Traefik", r.text)
}

func partOf(call *ast.CallExpr) (part, error) {
	name, ok := call.Fun.(*ast.Ident)
	if !ok {
		return part{}, fmt.Errorf("not a matcher")
	}
	p := part{name: matcherOf(name.Name)}
	for _, arg := range call.Args {
		lit, ok := arg.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return part{}, fmt.Errorf("%s takes texts", p.name)
		}
		text, err := strconv.Unquote(lit.Value)
		if err != nil {
			return part{}, err
		}
		p.args = append(p.args, text)
	}
	switch least, most := argumentsOf(p.name); {
	case most == 0:
		return part{}, fmt.Errorf("no matcher %s in Traefik v3%s", p.name, didYouMean(nil, p.name, matchers()))
	case len(p.args) < least || len(p.args) > most:
		return part{}, fmt.Errorf("%s takes %d arguments, not %d", p.name, most, len(p.args))
	}
	return p, p.check()
}

// check says why Traefik refuses the arguments of a matcher.
func (p part) check() error {
	if slices.Contains(p.args, "") {
		return fmt.Errorf("%s takes no empty text", p.name)
	}
	switch arg := p.args[0]; p.name {
	case "Path", "PathPrefix":
		if !strings.HasPrefix(arg, "/") {
			return fmt.Errorf("%s takes a path that begins with /, not %q", p.name, arg)
		}
	case "Host", "HostRegexp":
		if strings.ContainsFunc(arg, func(r rune) bool { return r >= utf8.RuneSelf }) {
			return fmt.Errorf("%s takes ASCII, not %q: write the name in Punycode", p.name, arg)
		}
	case "ClientIP":
		_, address := netip.ParseAddr(arg)
		if _, network := netip.ParsePrefix(arg); address != nil && network != nil {
			return fmt.Errorf("ClientIP takes an address or a network, not %q", arg)
		}
	}
	return nil
}

// match says whether the rule takes a request. What a URL does not tell, such as
// headers, counts as unknown says.
func (r *rule) match(req request, unknown bool) bool { return r.eval(r.expr, req, unknown) }

func (r *rule) eval(expr ast.Expr, req request, unknown bool) bool {
	switch x := expr.(type) {
	case *ast.ParenExpr:
		return r.eval(x.X, req, unknown)
	case *ast.UnaryExpr:
		return !r.eval(x.X, req, !unknown)
	case *ast.BinaryExpr:
		if x.Op == token.LAND {
			return r.eval(x.X, req, unknown) && r.eval(x.Y, req, unknown)
		}
		return r.eval(x.X, req, unknown) || r.eval(x.Y, req, unknown)
	case *ast.CallExpr:
		p, err := partOf(x)
		return err == nil && r.part(p, req, unknown)
	}
	return false
}

func (r *rule) part(p part, req request, unknown bool) bool {
	switch arg := p.args[0]; p.name {
	case "Host":
		name := strings.TrimSuffix(strings.ToLower(arg), ".")
		return name == req.host || r.wild && (name == "*" || strings.HasPrefix(name, "*.") && hostMatches(name, req.host))
	case "HostRegexp":
		return r.res[arg].MatchString(req.host + req.dot)
	case "Path":
		return req.routingPath() == arg
	case "PathPrefix":
		return strings.HasPrefix(req.routingPath(), arg)
	case "PathRegexp":
		return r.res[arg].MatchString(req.routingPath())
	case "Method":
		return strings.EqualFold(arg, "GET") || unknown
	case "Query", "QueryRegexp":
		values := req.url.Query()[arg]
		switch {
		case len(p.args) == 1: // a name alone is one without a value
			return slices.Contains(values, "")
		case p.name == "Query":
			return slices.Contains(values, p.args[1])
		}
		return slices.ContainsFunc(values, r.res[p.args[1]].MatchString)
	}
	return unknown // headers and the client's address
}

// values are the arguments of all matchers of a name.
func (r *rule) values(name string) []string {
	var all []string
	for _, p := range r.parts {
		if p.name == name {
			all = append(all, p.args[0])
		}
	}
	return all
}
