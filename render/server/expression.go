package server

import (
	"regexp"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
)

// Expression says what is wrong with a CEL expression about "self", as rules of health
// are written; empty where it can be read.
func (s *Server) Expression(source string) string {
	env, err := cel.NewEnv(cel.Variable("self", cel.DynType), cel.OptionalTypes(), ext.Strings(), ext.Lists(), ext.Sets(), ext.Math())
	if err != nil {
		return ""
	}
	_, issues := env.Compile(source)
	if issues.Err() == nil {
		return ""
	}
	first, _, _ := strings.Cut(issues.Err().Error(), "\n")
	first = strings.TrimSpace(inExpression.ReplaceAllString(first, ""))
	if oneEqual.MatchString(source) {
		return "= compares nothing in CEL: write =="
	}
	return "no expression of CEL: " + first
}

var (
	// inExpression matches the place in front of an error of CEL.
	inExpression = regexp.MustCompile(`^ERROR: <input>:\d+:\d+: `)
	// oneEqual matches an = that is none of ==, !=, <= and >=.
	oneEqual = regexp.MustCompile(`[^=!<>]=[^=]`)
)
