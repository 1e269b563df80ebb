package outdated

import (
	_ "embed"
	"strings"
	"sync"
)

//go:embed known.tsv
var knownTable string

// knowledge is the table of the binary.
type knowledge struct {
	date   string
	images map[string]release // by repository
	stacks map[string]string  // by type: the image that carries the version
}

// release is the newest tag of an image.
type release struct {
	tag string
	// counts: the number at the end of the suffix counts releases
	counts bool
}

//nolint:gochecknoglobals // the table is a constant that has to be parsed
var known = sync.OnceValue(func() *knowledge {
	k := &knowledge{images: map[string]release{}, stacks: map[string]string{}}
	for line := range strings.Lines(knownTable) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		switch f[0] {
		case "date":
			k.date = f[1]
		case KindImage:
			k.images[f[1]] = release{tag: f[2], counts: len(f) > 3 && f[3] == "counts"}
		case KindStack:
			k.stacks[f[1]] = f[2]
		}
	}
	return k
})

// compare says what the table knows of an image; of charts it knows nothing.
func (k *knowledge) compare(i *Item) {
	if i.Kind == KindStack {
		return
	}
	have, ok := k.images[i.Name]
	is, form := parse(i.Version)
	i.Status = Unknown
	switch {
	case i.Kind == KindChart:
		i.Why = "charts are in no table: --online asks their repository"
	case !ok:
		i.Why = "the table does not have it"
	case i.Version == have.tag:
		i.Status, i.Newest = Current, have.tag
	case !form:
		i.Why = noVersion(i.Version)
	default:
		last, _ := parse(have.tag)
		order, counted := counts(is, last)
		switch {
		case have.counts && counted && order < 0, !have.counts && is.newer(last):
			i.Status, i.Newest = Outdated, have.tag
		case have.counts && counted, is.suffix == last.suffix && is.prefix == last.prefix && is.parts == last.parts:
			i.Status, i.Newest = Current, i.Version
		default:
			i.Why = "the table has " + have.tag + ", which is of another form"
		}
	}
}

func noVersion(tag string) string {
	if tag == "" {
		return "it has no tag"
	}
	return "its tag is no version that can be compared"
}
