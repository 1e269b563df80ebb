package typed

import (
	_ "embed"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

//go:embed gates.tsv
var gatesTable string

// Gated is a field that does nothing where a feature gate of the API server is off.
type Gated struct {
	Path Path
	Gate string
	On   int // the minor version from which it is on by default, 0 where none is
}

// gatesOf reads the embedded table, once: what guards a field, by package, type and field.
//
//nolint:gochecknoglobals // the table is a constant that has to be parsed
var gatesOf = sync.OnceValue(func() map[string][]Gated {
	table := map[string][]Gated{}
	for line := range strings.Lines(gatesTable) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 5 || strings.HasPrefix(line, "#") {
			continue
		}
		on, _ := strconv.Atoi(strings.TrimPrefix(f[4], "1."))
		key := strings.Join(f[:3], "\t")
		table[key] = append(table[key], Gated{Gate: f[3], On: on})
	}
	return table
})

// gates are those that guard a field.
func gates(t reflect.Type, field string) []Gated {
	pkg, ok := strings.CutPrefix(t.PkgPath(), "k8s.io/api/")
	if !ok {
		return nil
	}
	return gatesOf()[pkg+"\t"+t.Name()+"\t"+field]
}
