package importer

import (
	"regexp"
	"slices"

	"github.com/seed-428f4edd/evenkeel/render"
)

// certain are the rules that foretell what a server does: refuse the object. To
// switch them off would only hide it until the first apply.
func certain(rule string) bool {
	return slices.Contains([]string{
		"strict", "api-version", "custom-resource", "container", "duplicate", "name", "namespace", "node-port", "object-taken", "selector", "server", "silence", "size", "strategy", "volume",
	}, rule)
}

// Silence switches off the rules that the objects do not meet, unit by unit, so that what
// runs today can be rendered today: the reasons stay visible in the source. It
// says whether there was any to switch off. What a server would refuse stays.
func (imp *Import) Silence(findings render.Findings) bool {
	changed := false
	for _, f := range findings {
		if f.Rule == "" || certain(f.Rule) || f.Warning {
			continue
		}
		for i := range imp.Units {
			u := &imp.Units[i]
			if u.Name != f.Unit || u.Silence[f.Rule] != "" {
				continue
			}
			u.Silence[f.Rule] = "as imported: " + f.Message
			u.text = nil
			changed = true
		}
	}
	return changed
}

// inObject matches the path of a field, from a whole object on.
var inObject = regexp.MustCompile(`\.extraObjects(?:\.[\w-]+|\["[^"]*"\])\.(.+)$`)

// Blamed gives findings about imported objects the place where those were read: the
// file that they are about is not kept.
func (imp *Import) Blamed(findings render.Findings, namespace string) []string {
	var lines []string
	for _, f := range findings {
		line := f.String()
		for _, obj := range imp.objects {
			shown := ref(obj)
			if text(obj, "metadata", "namespace") == "" {
				shown = text(obj, "kind") + "/" + namespace + "/" + text(obj, "metadata", "name")
			}
			if from := imp.from[imp.identity(obj)]; from != "" && (f.Object == shown || f.Object == ref(obj)) {
				line = from + ": " + f.Object + ": "
				if m := inObject.FindStringSubmatch(f.Path); m != nil {
					line += m[1] + ": "
				}
				line += f.Message
				if f.Found != "" {
					line += ", found " + f.Found
				}
				break
			}
		}
		lines = append(lines, line)
	}
	return slices.Compact(lines)
}
