package render

import (
	"slices"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// freezes are those of the site and the environment's own.
func (h header) freezes() []schema.Freeze {
	return slices.Concat(h.siteFreezes(), h.Freeze)
}

func (h header) siteFreezes() []schema.Freeze {
	list, _ := h.Site["freeze"].([]any)
	freezes := make([]schema.Freeze, len(list))
	for i, item := range list {
		f := tree.Map(item)
		freezes[i] = schema.Freeze{From: tree.Text(f["from"]), To: tree.Text(f["to"]), Zone: tree.Text(f["zone"]), Why: tree.Text(f["why"])}
	}
	return freezes
}

// freezes finds those that no calendar and no clock knows: CUE saw their form only.
func (fin *finisher) freezes() Findings {
	var findings Findings
	check := func(freezes []schema.Freeze, path ...any) {
		for i, f := range freezes {
			if err := f.Check(); err != nil {
				finding := fin.atHeader(append(slices.Clip(typed.Path(path)), i))
				finding.Message = err.Error()
				findings = append(findings, finding)
			}
		}
	}
	check(fin.header.siteFreezes(), "site", "freeze")
	check(fin.header.Freeze, "freeze")
	return findings
}

// atHeader is at, for a field of the environment that is of no unit.
func (ev *evaluated) atHeader(path typed.Path) Finding {
	f := Finding{Environment: ev.dir.name, Path: path.String()}
	for n := len(path); n >= 0; n-- {
		if pos := ev.repo.userPos(ev.value().LookupPath(cuePath(path[:n]))); pos.IsValid() {
			ev.repo.place(&f, pos)
			f.literal = n == len(path)
			break
		}
	}
	return f
}
