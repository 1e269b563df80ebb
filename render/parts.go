package render

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
)

// An environment of many units is evaluated in parts: a context for each, with
// all that stands in the environment but the units of the other parts, and let go
// as soon as its units are decoded. What CUE keeps of a unit is ten times what is
// decoded from it, and only contexts can be evaluated side by side: with 1,000
// apps the peak of memory is 310 MB in place of 720.
//
// It is a shortcut that nobody may notice. It is taken only where the files show
// that no unit is seen from outside of itself (split); and unless every part is a
// plain success, with exactly the units that it should have, all of it is
// forgotten and the whole is evaluated.

// partSize is the most units in a part. A context compiles the definitions
// anew, which takes as long as a unit or two; with three times the units the peak
// is half as high again. maxParts keeps that, and reading the files for each part,
// linear.
const (
	partSize = 50
	maxParts = 64
)

// partSizeFor is how many units to put into a part, so that all workers end at the
// same time: the parts are equal, at most most units each, and as many for each
// worker. Zero means that it does not pay.
func partSizeFor(n, most, workers int) int {
	if n < most {
		return 0
	}
	parts := min((n+most-1)/most, maxParts)
	parts = (parts + workers - 1) / workers * workers
	return (n + parts - 1) / parts
}

// inParts evaluates and decodes the environment in parts. It returns false where
// that is not possible or does not pay.
func (ev *evaluated) inParts(ctx context.Context) (header, []*unit, bool) {
	parts := ev.parts
	ev.parts = nil
	if len(parts) < 2 {
		return header{}, nil, false
	}
	var h header
	units := make([][]*unit, len(parts))
	g, ctx := contain.WithContext(ctx)
	g.SetLimit(parallel())
	for i, p := range parts {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			defer p.release()
			var err error
			if units[i], err = p.decodePart(i == 0); err != nil || i > 0 {
				return err
			}
			h, err = p.header()
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return header{}, nil, false
	}
	all := slices.Concat(units...)
	groups := []string{"base", "stacks", "apps"} // as in unitValues
	slices.SortStableFunc(all, func(a, b *unit) int {
		return cmp.Or(slices.Index(groups, a.group)-slices.Index(groups, b.group), cmp.Compare(a.data.Name, b.data.Name))
	})
	return h, all, true
}

// part is some units of an environment.
type part struct {
	*evaluated
	names map[unitName]bool
}

type unitName struct{ group, name string }

var errOtherUnits = errors.New("a part has other units than its files show")

// decodePart returns the units of the part, with the environment's own if asked.
func (p part) decodePart(withBase bool) ([]*unit, error) {
	if err := p.evaluate(); err != nil {
		return nil, err
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	var units []*unit
	found := 0
	for _, u := range p.unitValues() {
		switch {
		case u.group != "base" && !p.names[unitName{u.group, u.data.Name}]:
			return nil, errOtherUnits
		case u.group != "base":
			found++
		case !withBase:
			continue
		}
		if err := u.decode(); err != nil {
			return nil, err
		}
		units = append(units, u)
	}
	if found != len(p.names) {
		return nil, errOtherUnits
	}
	return units, nil
}
