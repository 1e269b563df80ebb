package importer

import "github.com/seed-428f4edd/evenkeel/render"

// Silence switches off the rules that the objects do not meet, unit by unit, so that what
// runs today can be rendered today: the reasons stay visible in the source. It
// says whether there was any to switch off.
func (imp *Import) Silence(findings render.Findings) bool {
	changed := false
	for _, f := range findings {
		if f.Rule == "" || f.Rule == "strict" || f.Warning {
			continue
		}
		for i := range imp.Units {
			u := &imp.Units[i]
			if u.Name != f.Unit || u.Silence[f.Rule] != "" {
				continue
			}
			u.Silence[f.Rule] = "as imported: " + f.Message
			changed = true
		}
	}
	return changed
}
