package reconcile

import (
	"time"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// fights notices fields that are corrected again and again. It is used by one
// goroutine.
type fights struct {
	limit    int           // corrections of one field within window that are a fight
	window   time.Duration // how far back corrections count
	coolDown time.Duration // how long the object is left alone then
	past     map[fightKey][]time.Time
}

// fightKey names a field of an object; the field is empty where it is the object
// that goes.
type fightKey struct {
	ref   schema.Ref
	field string
}

func newFights(limit int, window, coolDown time.Duration) *fights {
	return &fights{limit: limit, window: window, coolDown: coolDown, past: map[fightKey][]time.Time{}}
}

// note takes down corrections and returns the fights that they have become, by
// Kind/namespace/name.
func (f *fights) note(now time.Time, corrected []apply.Change) map[string]record.Fight {
	f.forget(now)
	var begun map[string]record.Fight
	for _, change := range corrected {
		for _, field := range fieldsOf(change) {
			key := fightKey{change.Ref, field.Path}
			f.past[key] = append(f.past[key], now)
			if len(f.past[key]) < f.limit {
				continue
			}
			if begun == nil {
				begun = map[string]record.Fight{}
			}
			name := field.Path
			if name == "" {
				name = "its existence"
			}
			begun[change.String()] = record.Fight{
				Field: name, By: field.By, Since: f.past[key][0].UTC().Truncate(time.Second), Until: now.Add(f.coolDown).UTC().Truncate(time.Second),
			}
			delete(f.past, key)
		}
	}
	return begun
}

// fieldsOf are the fields of a correction; an object that was made again has none
// to name.
func fieldsOf(change apply.Change) []managed.Field {
	if change.Action == apply.Created || change.Action == apply.UnverifiedCreated {
		return []managed.Field{{}}
	}
	return change.Fields
}

// forget drops what is too long ago to count.
func (f *fights) forget(now time.Time) {
	for key, times := range f.past {
		for len(times) > 0 && now.Sub(times[0]) > f.window {
			times = times[1:]
		}
		if len(times) == 0 {
			delete(f.past, key)
		} else {
			f.past[key] = times
		}
	}
}

// reset forgets all: what is fought over may be other content now.
func (f *fights) reset() { clear(f.past) }
