package server

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
)

// Custom answers for the custom resources of one version of a definition; nil for a
// schema that no server accepts.
type Custom struct{ schema *customSchema }

// Custom is asked once for all objects of a kind: the schema (openAPIV3Schema of the
// version) may have megabytes.
func (s *Server) Custom(openAPIV3Schema map[string]any) *Custom {
	if schema := s.schema(openAPIV3Schema); schema != nil {
		return &Custom{schema}
	}
	return nil
}

// Refusals are the reasons for which the server would not create a custom resource, by
// the schema of its definition: types, oneOf, anyOf and not, keys of lists that come
// twice, and the rules in CEL, which are evaluated within the server's own limits of cost.
func (c *Custom) Refusals(obj map[string]any) []Refusal {
	if c == nil {
		return nil
	}
	schema := c.schema
	var refusals []Refusal
	errs, ofRules := schema.errors(obj)
	for _, err := range errs {
		if err.Type == field.ErrorTypeInternal {
			continue
		}
		computed := ofRules && !schema.said[err.Detail]
		inWords(err)
		r := refusal(obj, err)
		r.Computed = computed
		refusals = append(refusals, r)
	}
	return refusals
}

// inWords takes out of a message what is said elsewhere: the path in front, the value
// behind. What is said of schemas that are put together has its path in quotes alone.
func inWords(err *field.Error) {
	for _, form := range []struct{ mark, words string }{
		{"(anyOf)", "has none of the forms that the definition allows (anyOf)"},
		{"(oneOf)", "has not exactly one of the forms that the definition allows (oneOf)"},
		{"(allOf)", "has not all that the definition asks for (allOf)"},
		{"(not)", "has a form that the definition forbids (not)"},
	} {
		if strings.Contains(err.Detail, form.mark) {
			if quoted, _, _ := strings.Cut(err.Detail, " must "); quoted != "" && (err.Field == "" || err.Field == "<nil>") {
				err.Field = strings.Trim(quoted, `"`)
			}
			err.Detail, err.BadValue = form.words, nil
			return
		}
	}
	if _, rest, ok := strings.Cut(err.Detail, " in body "); ok {
		err.Detail, _, _ = strings.Cut(rest, `: "`)
	}
}

// schemas are those that were asked for, by their digest: environments share them.
type schemas struct {
	mu   sync.Mutex
	made map[[sha256.Size]byte]func() *customSchema
}

func (s *Server) schema(openAPIV3Schema map[string]any) *customSchema {
	data, err := json.Marshal(openAPIV3Schema)
	if err != nil {
		return nil
	}
	digest := sha256.Sum256(data)
	s.custom.mu.Lock()
	compile, ok := s.custom.made[digest]
	if !ok {
		compile = sync.OnceValue(func() *customSchema { return newCustomSchema(data) })
		if s.custom.made == nil {
			s.custom.made = map[[sha256.Size]byte]func() *customSchema{}
		}
		s.custom.made[digest] = compile
	}
	s.custom.mu.Unlock()
	return compile()
}

type customSchema struct {
	values validation.SchemaValidator
	shape  *structural.Structural
	rules  *cel.Validator  // nil without any
	said   map[string]bool // what rules say in words that the definition holds
}

// newCustomSchema is nil where the schema is none.
func newCustomSchema(data []byte) *customSchema {
	var v1 apiextensionsv1.JSONSchemaProps
	var internal apiextensions.JSONSchemaProps
	if json.Unmarshal(data, &v1) != nil || apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&v1, &internal, nil) != nil {
		return nil
	}
	shape, err := structural.NewStructural(&internal)
	if err != nil {
		return nil
	}
	values, _, err := validation.NewSchemaValidator(&internal)
	if err != nil {
		return nil
	}
	made := &customSchema{values: values, shape: shape, rules: cel.NewValidator(shape, true, celconfig.PerCallLimit), said: map[string]bool{}}
	var whole any
	if json.Unmarshal(data, &whole) == nil {
		made.listen(whole)
	}
	return made
}

// listen notes the messages of rules below a part of a schema, as the server words them
// (ruleMessageOrDefault).
func (s *customSchema) listen(part any) {
	switch part := part.(type) {
	case []any:
		for _, item := range part {
			s.listen(item)
		}
	case map[string]any:
		for key, item := range part {
			s.listen(item)
			if key != "x-kubernetes-validations" {
				continue
			}
			tree.Each(item, func(_ int, rule map[string]any) {
				s.said[strings.TrimSpace(tree.Text(rule["message"]))] = true
				s.said["failed rule: "+strings.TrimSpace(tree.Text(rule["rule"]))] = true
			})
		}
	}
}

// errors are of the rules, or of all else: rules are written for what has the right types.
func (s *customSchema) errors(obj map[string]any) (errs field.ErrorList, ofRules bool) {
	errs = validation.ValidateCustomResource(nil, obj, s.values)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, s.shape, obj)...)
	if len(errs) > 0 || s.rules == nil {
		return errs, false
	}
	broken, _ := s.rules.Validate(context.Background(), nil, s.shape, runtime.DeepCopyJSON(obj), nil, celconfig.RuntimeCELCostBudget)
	return broken, true
}
