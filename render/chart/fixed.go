package chart

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
	"k8s.io/apimachinery/pkg/runtime"
)

// fixed holds the functions whose results Helm takes from the clock, from chance, from
// the machine or from the cluster. They are replaced: those results come from the
// input. Where the input has none, a stand-in is given, and whether the result depends
// on it shows when another one is given: templates ask for a random password although
// there is one (default evaluates both).
type fixed struct {
	in     Input
	seeded int // calls that the seed was taken for
	calls  int // calls that took a stand-in
	// vary is the call that takes another stand-in, everyCall for all.
	vary int
	// refuse is the call that gets an error, for its place.
	refuse  int
	refused string // the function that got it
}

const (
	noCall    = -1
	everyCall = -2
)

func newFixed(in Input) *fixed { return &fixed{in: in, vary: noCall, refuse: noCall} }

var errRefused = errors.New("refused")

// explain gives the place of what was refused, or the engine's own message.
func (f *fixed) explain(err error) error {
	text := message(err)
	if f.refused == "" {
		return errors.New(text)
	}
	refused := &Refused{Function: f.refused, Place: "a template"}
	if places := location.FindAllString(text, -1); len(places) > 0 {
		refused.Place = places[len(places)-1] // the innermost
	}
	return refused
}

// standIn counts a call that the input says nothing for, and returns whether it takes
// the other stand-in.
func (f *fixed) standIn(name string) (n int, other bool, err error) {
	n = f.calls
	f.calls++
	if n == f.refuse {
		f.refused = name
		return n, false, errRefused
	}
	return n, f.vary == everyCall || n == f.vary, nil
}

// random is the source of a random value: each call has its own.
func (f *fixed) random(name string) (*rand.ChaCha8, error) {
	if f.in.Seed != "" {
		f.seeded++
		return rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", f.in.Seed, f.seeded))), nil
	}
	n, other, err := f.standIn(name)
	return rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "stand-in %t %d", other, n))), err
}

// now is the time.
func (f *fixed) now(name string) (time.Time, error) {
	if !f.in.Now.IsZero() {
		return f.in.Now.UTC(), nil
	}
	_, other, err := f.standIn(name)
	if other {
		return time.Date(2031, 6, 15, 12, 34, 56, 0, time.UTC), err
	}
	return time.Date(2001, 1, 2, 3, 4, 5, 0, time.UTC), err
}

func (f *fixed) functions() template.FuncMap {
	funcs := template.FuncMap{
		"lookup":        f.lookup,
		"getHostByName": func(string) string { return "" }, // as Helm without --enable-dns
		"keys":          sortedKeys,
		"values":        sortedValues,
	}
	maps.Copy(funcs, f.clock())
	maps.Copy(funcs, f.chance())
	maps.Copy(funcs, f.certificates())
	maps.Copy(funcs, f.passwords())
	return funcs
}

// lookup finds what the input has: rendering knows no cluster. Without a name it is a
// list, as Helm has it. Templates get copies, which they may change.
func (f *fixed) lookup(apiVersion, kind, namespace, name string) map[string]any {
	var items []any
	for _, obj := range f.in.Lookup {
		meta, _ := obj["metadata"].(map[string]any)
		if obj["apiVersion"] != apiVersion || obj["kind"] != kind || namespace != "" && meta["namespace"] != namespace {
			continue
		}
		if name != "" && meta["name"] == name {
			return runtime.DeepCopyJSON(obj)
		}
		items = append(items, runtime.DeepCopyJSON(obj))
	}
	if name != "" || len(items) == 0 {
		return map[string]any{}
	}
	return map[string]any{"apiVersion": apiVersion, "kind": kind + "List", "items": items}
}

// clock are the functions that ask what time it is, or where.
func (f *fixed) clock() template.FuncMap {
	// at is the time that sprig takes an argument for: another type stands for now.
	at := func(name string, v any) (time.Time, error) {
		switch v := v.(type) {
		case time.Time:
			return v, nil
		case *time.Time:
			return *v, nil
		case int64:
			return time.Unix(v, 0), nil
		case int:
			return time.Unix(int64(v), 0), nil
		case int32:
			return time.Unix(int64(v), 0), nil
		}
		return f.now(name)
	}
	format := func(name, layout string, v any, zone string) (string, error) {
		t, err := at(name, v)
		if err != nil {
			return "", err
		}
		loc, err := time.LoadLocation(zone)
		if err != nil || zone == "Local" {
			loc = time.UTC
		}
		return t.In(loc).Format(layout), nil
	}
	dateInZone := func(layout string, v any, zone string) (string, error) { return format("dateInZone", layout, v, zone) }
	ago := func(v any) (string, error) {
		t, err := at("ago", v)
		if err != nil {
			return "", err
		}
		to, err := f.now("ago")
		return to.Sub(t).Round(time.Second).String(), err
	}
	parse := func(layout, text string) (time.Time, error) { return time.ParseInLocation(layout, text, time.UTC) }
	round, _ := sprig.GenericFuncMap()["durationRound"].(func(any) string)
	return template.FuncMap{
		"now":            func() (time.Time, error) { return f.now("now") },
		"ago":            ago,
		"date":           func(layout string, v any) (string, error) { return format("date", layout, v, "UTC") },
		"dateInZone":     dateInZone,
		"date_in_zone":   dateInZone,
		"htmlDate":       func(v any) (string, error) { return format("htmlDate", time.DateOnly, v, "UTC") },
		"htmlDateInZone": func(v any, zone string) (string, error) { return format("htmlDateInZone", time.DateOnly, v, zone) },
		"toDate": func(layout, text string) time.Time {
			t, _ := parse(layout, text) // a zero time, as sprig
			return t
		},
		"mustToDate": parse,
		"durationRound": func(v any) (string, error) {
			t, ok := v.(time.Time)
			if !ok {
				return round(v), nil
			}
			to, err := f.now("durationRound")
			return round(to.Sub(t).String()), err
		},
	}
}

const (
	digits  = "0123456789"
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// chance are the functions that make random values.
func (f *fixed) chance() template.FuncMap {
	text := func(name, from string) func(any) (string, error) {
		return func(count any) (string, error) {
			n, err := length(count)
			if err != nil {
				return "", err
			}
			source, err := f.random(name)
			if err != nil {
				return "", err
			}
			random, b := rand.New(source), make([]byte, n)
			for i := range b {
				b[i] = from[random.IntN(len(from))]
			}
			return string(b), nil
		}
	}
	var ascii strings.Builder
	for r := rune(32); r < 127; r++ {
		ascii.WriteRune(r)
	}
	return template.FuncMap{
		"randAlphaNum": text("randAlphaNum", letters+digits),
		"randAlpha":    text("randAlpha", letters),
		"randNumeric":  text("randNumeric", digits),
		"randAscii":    text("randAscii", ascii.String()),
		"randBytes": func(count any) (string, error) {
			n, err := length(count)
			if err != nil {
				return "", err
			}
			b, err := f.read("randBytes", n)
			return encoded(b), err
		},
		"randInt": func(from, to int) (int, error) {
			if to <= from {
				return 0, fmt.Errorf("randInt: no number from %d below %d", from, to)
			}
			source, err := f.random("randInt")
			return from + rand.New(source).IntN(to-from), err
		},
		"shuffle": func(s string) (string, error) {
			source, err := f.random("shuffle")
			runes := []rune(s)
			rand.New(source).Shuffle(len(runes), func(i, j int) { runes[i], runes[j] = runes[j], runes[i] })
			return string(runes), err
		},
		"uuidv4": func() (string, error) {
			b, err := f.read("uuidv4", 16)
			b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
			return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), err
		},
	}
}

// mostRandom bounds a random value.
const mostRandom = 1 << 20

func length(count any) (int, error) {
	n, err := strconv.Atoi(fmt.Sprint(count))
	if err != nil || n < 0 || n > mostRandom {
		return 0, fmt.Errorf("no length: %v", count)
	}
	return n, nil
}

func (f *fixed) read(name string, n int) ([]byte, error) {
	source, err := f.random(name)
	b := make([]byte, n)
	_, _ = io.ReadFull(source, b) // it has no end
	return b, err
}

// sortedKeys is sprig's keys, which takes the order of the map.
func sortedKeys(dicts ...map[string]any) []string {
	var all []string
	for _, dict := range dicts {
		all = append(all, slices.Sorted(maps.Keys(dict))...)
	}
	return all
}

func sortedValues(dict map[string]any) []any {
	all := make([]any, 0, len(dict))
	for _, key := range slices.Sorted(maps.Keys(dict)) {
		all = append(all, dict[key])
	}
	return all
}
