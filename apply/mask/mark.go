package mask

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// Mark is the way to a field whose value is not shown, so that it is found in
// other versions of the object too. Its steps are ".name" for a field, "=name"
// for the item of a list with that name, and "*" for every item. Anything else leads
// nowhere: marks are recorded where others may write.
type Mark []string

// marksOf are the marked fields of a desired object.
func marksOf(obj *schema.Object) []Mark {
	marks := make([]Mark, 0, len(obj.Secret))
	for _, pointer := range obj.Secret {
		var m Mark
		var at any = obj.Object
		for _, token := range schema.PointerTokens(pointer) {
			switch v := at.(type) {
			case []any:
				step, i := "*", -1
				if n, err := strconv.Atoi(token); err == nil && n >= 0 && n < len(v) {
					i = n
				}
				at = nil
				if i >= 0 {
					at = v[i]
					if item, ok := v[i].(map[string]any); ok {
						if name, ok := item["name"].(string); ok {
							step = "=" + name
						}
					}
				}
				m = append(m, step)
			default:
				fields, _ := v.(map[string]any)
				at = fields[token]
				m = append(m, "."+token)
			}
		}
		marks = append(marks, m)
	}
	return marks
}

// at replaces what a mark leads to, in place, and returns the new value.
func (m Mark) at(v any, replace func(any) any) any {
	if len(m) == 0 {
		return eachLeaf(v, replace)
	}
	step, rest := m[0], m[1:]
	switch v := v.(type) {
	case map[string]any:
		if name, ok := strings.CutPrefix(step, "."); ok {
			if inner, ok := v[name]; ok {
				v[name] = rest.at(inner, replace)
			}
		}
	case []any:
		for i, item := range v {
			if name, ok := strings.CutPrefix(step, "="); step == "*" || ok && nameOf(item) == name {
				v[i] = rest.at(item, replace)
			}
		}
	}
	return v
}

func nameOf(item any) string {
	m, _ := item.(map[string]any)
	name, _ := m["name"].(string)
	return name
}

func eachLeaf(v any, replace func(any) any) any {
	switch v := v.(type) {
	case nil:
		return nil
	case map[string]any:
		for k, item := range v {
			v[k] = eachLeaf(item, replace)
		}
		return v
	case []any:
		for i, item := range v {
			v[i] = eachLeaf(item, replace)
		}
		return v
	}
	return replace(v)
}

// secretValues are the values of an object that are not shown: the content of a
// Secret, decoded, and what the marks lead to.
func secretValues(u *unstructured.Unstructured, marks []Mark) []string {
	var values []string
	if IsSecret(u) {
		for field, decode := range secretFields() {
			for _, v := range asMap(u.Object[field]) {
				if s, ok := v.(string); ok {
					values = append(values, string(decode(s)))
				}
			}
		}
	}
	for _, m := range marks {
		m.at(u.DeepCopy().Object, func(v any) any {
			values = append(values, fmt.Sprint(v))
			return v
		})
	}
	return values
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// Merge adds marks that are not there yet.
func Merge(marks, more []Mark) []Mark {
	for _, m := range more {
		if !slices.ContainsFunc(marks, func(have Mark) bool { return slices.Equal(have, m) }) {
			marks = append(marks, m)
		}
	}
	return marks
}

// Marks are the marked fields of all objects of an environment, by object.
func Marks(env *schema.Environment) map[schema.ID][]Mark {
	all := map[schema.ID][]Mark{}
	for _, obj := range env.Objects() {
		if len(obj.Secret) > 0 {
			id := schema.IDOf(obj.Unstructured)
			all[id] = Merge(all[id], marksOf(obj))
		}
	}
	return all
}

// MayQuote reports whether what somebody says of a field of an object, given by the
// names on the way to it, may quote a value that is marked: the field is that one, or
// above it, or below.
func (m Masker) MayQuote(u *unstructured.Unstructured, names []string) bool {
	return slices.ContainsFunc(m.marks[schema.IDOf(u)], func(mark Mark) bool {
		i := 0
		for _, step := range mark {
			if !strings.HasPrefix(step, ".") {
				continue
			}
			if i == len(names) {
				return true
			}
			if names[i] != step[1:] {
				return false
			}
			i++
		}
		return true
	})
}
