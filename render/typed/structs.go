package typed

import (
	"reflect"
	"strings"
)

// structInfo is what JSON sees of a Go struct.
type structInfo struct {
	fields map[string]fieldInfo
	names  []string // in the order of the type, for suggestions
}

type fieldInfo struct {
	typ       reflect.Type
	omitEmpty bool
	since     int // the minor version of Kubernetes that it came with, where it is not in all
	gates     []Gated
}

func (k *Kinds) structOf(t reflect.Type) *structInfo {
	if info, ok := k.structs.Load(t); ok {
		return info.(*structInfo)
	}
	info := &structInfo{fields: map[string]fieldInfo{}}
	info.add(t)
	actual, _ := k.structs.LoadOrStore(t, info)
	return actual.(*structInfo)
}

func (s *structInfo) add(t reflect.Type) {
	for f := range t.Fields() {
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case name == "" && f.Anonymous:
			s.add(f.Type)
		case name != "" && f.IsExported():
			s.fields[name] = fieldInfo{typ: f.Type, omitEmpty: strings.Contains(opts, "omitempty"), since: since(t, name), gates: gates(t, name)}
			s.names = append(s.names, name)
		}
	}
}
