package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// expression is a CEL expression made ready to be asked often, of objects that
// anybody may have written.
type expression struct {
	program cel.Program
	// pairwise says that it compares each entry of a list with each of another.
	pairwise bool
	// slow are the objects, by their version, that it did not come to an end with:
	// a gate judges them once a second.
	slow sync.Map
}

// costLimit is that of one expression of Kubernetes
// (k8s.io/apiserver/pkg/apis/cel/config.go, PerCallLimit).
const costLimit = 1_000_000

// evalTime is how long an expression may take: what a loop costs says little about
// that.
const evalTime = 2 * time.Second

// longest is how many entries a list may have where each is compared with each.
const longest = 5000

// compileCEL gives an expression "self" and the strings, lists, sets and
// optional-value extensions, which Kubernetes gives its own expressions. A cost
// is counted when a function has returned, so those are left out that build in one
// call what has no bound.
func compileCEL(source string) (*expression, error) {
	env, err := cel.NewEnv(cel.Variable("self", cel.DynType), cel.OptionalTypes(), ext.Strings(), ext.Lists(), ext.Sets(), ext.Math())
	if err != nil {
		return nil, err
	}
	tree, issues := env.Compile(source)
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	if t := tree.OutputType(); t != cel.BoolType && t != cel.DynType {
		return nil, fmt.Errorf("it yields %s, not a bool", t)
	}
	x := &expression{}
	for name := range calls(tree) {
		switch {
		case name == "replace", name == "join", name == "format":
			return nil, fmt.Errorf("%s is not there for rules: what it builds has no bound", name)
		case name == "distinct", strings.HasPrefix(name, "sets."):
			x.pairwise = true
		}
	}
	x.program, err = env.Program(tree, cel.CostTracking(textCost{}), cel.CostLimit(costLimit), cel.InterruptCheckFrequency(100))
	return x, err
}

// textCost counts the length of texts that are added, which else cost as much as
// two numbers where their types are not known before.
type textCost struct{}

func (textCost) CallCost(function, _ string, _ []ref.Val, result ref.Val) *uint64 {
	text, ok := result.(types.String)
	if function != operators.Add || !ok {
		return nil
	}
	cost := 1 + uint64(len(text))/10
	return &cost
}

// calls are the names of the functions that an expression calls.
func calls(tree *cel.Ast) map[string]struct{} {
	names := map[string]struct{}{}
	ast.PostOrderVisit(tree.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.CallKind {
			names[e.AsCall().FunctionName()] = struct{}{}
		}
	}))
	return names
}

func (x *expression) eval(self map[string]any) (ref.Val, error) {
	if x.pairwise && hasLongList(self) {
		return nil, errors.New("the object has a list that is too long to be compared with another")
	}
	version, _, _ := unstructured.NestedString(self, "metadata", "resourceVersion")
	uid, _, _ := unstructured.NestedString(self, "metadata", "uid")
	object := uid + "/" + version
	if err, ok := x.slow.Load(object); ok {
		return nil, err.(error)
	}
	ctx, cancel := context.WithTimeout(context.Background(), evalTime) // no caller waits for less
	defer cancel()
	out, _, err := x.program.ContextEval(ctx, map[string]any{"self": self})
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("it takes longer than %s", evalTime)
		if version != "" {
			x.slow.Store(object, err)
		}
	}
	return out, err
}

func hasLongList(v any) bool {
	switch t := v.(type) {
	case map[string]any:
		for _, item := range t {
			if hasLongList(item) {
				return true
			}
		}
	case []any:
		return len(t) > longest || slices.ContainsFunc(t, hasLongList)
	}
	return false
}
