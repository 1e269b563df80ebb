package managed

import (
	"strconv"
	"strings"
)

// Equal compares two JSON values. Numbers are equal by value, whatever Go type
// they came as; nil equals only nil.
func Equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, av := range a {
			bv, ok := b[k]
			if !ok || !Equal(av, bv) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !Equal(a[i], b[i]) {
				return false
			}
		}
		return true
	case string:
		b, ok := b.(string)
		return ok && a == b
	case bool:
		b, ok := b.(bool)
		return ok && a == b
	case nil:
		return b == nil
	}
	an, aok := number(a)
	bn, bok := number(b)
	return aok && bok && an == bn
}

// num is an integer, or a float that is none. Large integers would lose digits as
// floats.
type num struct {
	i int64
	f float64
}

func number(v any) (num, bool) {
	switch v := v.(type) {
	case int64:
		return num{i: v}, true
	case int:
		return num{i: int64(v)}, true
	case int32:
		return num{i: int64(v)}, true
	case float64:
		if i := int64(v); float64(i) == v && v < 1<<53 && v > -1<<53 {
			return num{i: i}, true
		}
		return num{f: v}, true
	}
	return num{}, false
}

// scalarID is a string that two scalars share exactly when they are equal. The
// second result is false for anything but a scalar.
func scalarID(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return "s" + v, true
	case bool:
		return "b" + strconv.FormatBool(v), true
	case nil:
		return "n", true
	}
	n, ok := number(v)
	if !ok {
		return "", false
	}
	if n.f != 0 {
		return "f" + strconv.FormatFloat(n.f, 'g', -1, 64), true
	}
	return "i" + strconv.FormatInt(n.i, 10), true
}

// keyID identifies an item of a keyed list by the fields that its key consists
// of. An item without one of them has no key: the server would fill in a default
// that is not known here.
func keyID(item map[string]any, names []string) (string, bool) {
	var b strings.Builder
	for _, name := range names {
		v, ok := item[name]
		if !ok {
			return "", false
		}
		id, ok := scalarID(v)
		if !ok {
			return "", false
		}
		b.WriteString(strconv.Itoa(len(id)))
		b.WriteString(id)
	}
	return b.String(), true
}
