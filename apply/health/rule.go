package health

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	contract "github.com/seed-428f4edd/evenkeel/schema"
)

// declaredRule is a schema.ReadyRule made ready to be asked often.
type declaredRule struct {
	condition string
	source    string
	program   *expression
	err       error // of the expression
}

// compileRule keeps the error of a bad expression: it is the judgement of the
// object that has it, and no reason not to judge the others.
func compileRule(rule contract.ReadyRule) declaredRule {
	d := declaredRule{condition: rule.Condition, source: rule.CEL}
	if rule.CEL == "" {
		return d
	}
	d.program, d.err = compileCEL(rule.CEL)
	return d
}

func (d *declaredRule) judge(obj *unstructured.Unstructured) verdict {
	switch {
	case d.err != nil:
		return failed("cel", fmt.Sprintf("the declared rule %q cannot be compiled: %s", d.source, oneLine(d.err.Error(), 300)))
	case d.program != nil:
		return d.evaluate(obj)
	case d.condition != "":
		return judgeCondition(obj, d.condition)
	}
	return failed("declared", "the declared rule is empty")
}

func judgeCondition(obj *unstructured.Unstructured, kind string) verdict {
	rule := "condition " + kind
	c, ok := conditionOf(obj, kind)
	if v, stale := staleStatus(obj, c); stale {
		return v
	}
	switch {
	case !ok:
		return progressing(rule, "not reported yet")
	case c.Status == "True":
		return healthy(rule, "")
	}
	return progressing(rule, join(kind+" is "+c.Status, c.Reason, oneLine(c.Message, 400)))
}

// evaluate takes a missing field for "not yet": a status is filled in piece by
// piece. Where the object says which generation it reports on, that counts too.
func (d *declaredRule) evaluate(obj *unstructured.Unstructured) verdict {
	if v, stale := staleStatus(obj, condition{}); stale {
		return v
	}
	out, err := d.program.eval(obj.Object)
	if err != nil {
		if strings.Contains(err.Error(), "no such key") || strings.Contains(err.Error(), "no such attribute") {
			return progressing("cel", fmt.Sprintf("%s: not reported yet (%s)", d.source, oneLine(err.Error(), 200)))
		}
		return unknown("cel", fmt.Sprintf("%s: %s", d.source, oneLine(err.Error(), 300)))
	}
	met, ok := out.Value().(bool)
	switch {
	case !ok:
		return failed("cel", fmt.Sprintf("%s: yields %s, not a bool", d.source, out.Type().TypeName()))
	case met:
		return healthy("cel", "")
	}
	msg := d.source + " is false"
	if c, ok := conditionOf(obj, "Ready"); ok && c.Message != "" {
		msg = join(msg, c.Reason, oneLine(c.Message, 300))
	}
	return progressing("cel", msg)
}
