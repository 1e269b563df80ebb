package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
)

// rollouts finds steps of a canary in the words of Argo Rollouts, and says them in ours.
func (s *slips) rollouts(f *ast.Field, path []string, own bool) {
	for e := range syntax.Conjuncts(f.Value) {
		list, ok := e.(*ast.ListLit)
		if !ok {
			continue
		}
		steps := canarySteps{}
		for _, elt := range list.Elts {
			for _, lit := range syntax.Structs(elt) {
				for name, field := range syntax.Fields(lit.Elts) {
					steps.add(name, field.Value)
				}
			}
		}
		if steps.foreign {
			hint := `write steps: [{percent: 20, hold: "10m"}]`
			if len(steps.all) > 0 {
				hint = "write steps: [" + strings.Join(steps.all.texts(), ", ") + "]"
			}
			if steps.asks {
				hint += "; what analysis asks stands in checks"
			}
			s.add(f.Pos(), path, own, "these are steps of Argo Rollouts", hint)
		}
	}
}

// canarySteps are steps as they are read.
type canarySteps struct {
	all     canaryStepList
	foreign bool // a word of Argo Rollouts is among them
	asks    bool // they ask Prometheus or others
}

type canaryStep struct{ size, hold string }

type canaryStepList []canaryStep

func (l canaryStepList) texts() (texts []string) {
	for _, s := range l {
		texts = append(texts, "{"+strings.Join(slices.DeleteFunc([]string{s.size, s.hold}, func(t string) bool { return t == "" }), ", ")+"}")
	}
	return texts
}

// add takes in a field of a step. Argo Rollouts has a step for how much and another one
// for how long; here they are one.
func (c *canarySteps) add(name string, value ast.Expr) {
	size := func(text string) { c.all = append(c.all, canaryStep{size: text}) }
	hold := func(text string) {
		if n := len(c.all); n > 0 && c.all[n-1].hold == "" {
			c.all[n-1].hold = "hold: " + text
		}
	}
	switch name {
	case "percent", "pods":
		size(name + ": " + literalText(value))
	case "hold":
		hold(literalText(value))
	case "setWeight":
		c.foreign = true
		size("percent: " + literalText(value))
	case "setCanaryScale":
		c.foreign = true
		for ours, theirs := range map[string]string{"pods": "replicas", "percent": "weight"} {
			for field := range syntax.Named(fieldsOf(value), theirs) {
				size(ours + ": " + literalText(field.Value))
			}
		}
	case "pause":
		c.foreign = true
		hold(pauseText(value))
	case "analysis", "experiment", "plugin", "setHeaderRoute", "setMirrorRoute":
		c.foreign = true
		c.asks = c.asks || name == "analysis"
	}
}

// pauseText is how long a pause of Argo Rollouts lasts: without a duration until somebody
// goes on, and a number is one of seconds.
func pauseText(value ast.Expr) string {
	text := `"manual"`
	if lit, ok := value.(*ast.BasicLit); ok {
		text = literalText(lit)
	}
	for field := range syntax.Named(fieldsOf(value), "duration") {
		text = literalText(field.Value)
	}
	if strings.Trim(text, "0123456789") == "" {
		text = fmt.Sprintf("%q", text+"s")
	}
	return text
}

func fieldsOf(value ast.Expr) (decls []ast.Decl) {
	for _, lit := range syntax.Structs(value) {
		decls = append(decls, lit.Elts...)
	}
	return decls
}

// literalText is a number or a text as it stands there.
func literalText(value ast.Expr) string {
	if lit, ok := value.(*ast.BasicLit); ok {
		return cmp.Or(lit.Value, "...")
	}
	return "..."
}
