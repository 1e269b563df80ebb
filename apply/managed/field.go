package managed

import (
	"cmp"
	"slices"
	"time"
)

// Field is one field that differs. Values of Secrets are masked before they get
// here.
type Field struct {
	Path string     `json:"path"`
	From any        `json:"from,omitempty"`
	To   any        `json:"to,omitempty"`
	By   string     `json:"by,omitempty"` // field manager of the live value
	At   *time.Time `json:"at,omitempty"` // that manager's last write
}

// Fields are differences as they are printed.
func Fields(diffs []Difference) []Field {
	fields := make([]Field, 0, len(diffs))
	for i := range diffs {
		fields = append(fields, diffs[i].field())
	}
	return fields
}

// field turns a difference into what is printed: with the manager of the live
// value that wrote last, and when.
func (d *Difference) field() Field {
	f := Field{Path: d.Path.String(), From: d.from, To: d.to}
	if by := latest(d.owners); by != nil {
		f.By, f.At = by.manager, by.at
	}
	return f
}

// latest prefers other managers over our own: where both own a value, theirs is
// the news.
func latest(owners []*entry) *entry {
	if len(owners) == 0 {
		return nil
	}
	return slices.MaxFunc(owners, func(a, b *entry) int {
		if a.isOurs() != b.isOurs() {
			if a.isOurs() {
				return -1
			}
			return 1
		}
		return timeOf(a).Compare(timeOf(b))
	})
}

// sortFields orders fields for printing.
func sortFields(fields []Field) {
	slices.SortStableFunc(fields, func(a, b Field) int { return cmp.Compare(a.Path, b.Path) })
}
