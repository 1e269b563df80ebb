package typed

import (
	_ "embed"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

//go:embed since.tsv
var sinceTable string

// sinceOf reads the embedded table of what came after Kubernetes 1.30, once: minor
// versions by package, type and field.
//
//nolint:gochecknoglobals // the table is a constant that has to be parsed
var sinceOf = sync.OnceValue(func() map[string]int {
	table := map[string]int{}
	for line := range strings.Lines(sinceTable) {
		at := strings.LastIndex(line, "\t1.")
		if at < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if minor, err := strconv.Atoi(strings.TrimSpace(line[at+len("\t1."):])); err == nil {
			table[line[:at]] = minor
		}
	}
	return table
})

// since is the minor version of Kubernetes that a field came with, 0 where all
// versions that evenkeel knows have it.
func since(t reflect.Type, field string) int {
	pkg, ok := strings.CutPrefix(t.PkgPath(), "k8s.io/api/")
	if !ok {
		return 0
	}
	return sinceOf()[pkg+"\t"+t.Name()+"\t"+field]
}

// Since is the minor version of Kubernetes that a kind came with in its version, 0
// where all versions that evenkeel knows have it.
func Since(t reflect.Type) int { return since(t, "-") }
