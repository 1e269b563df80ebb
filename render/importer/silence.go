package importer

import (
	"regexp"
	"slices"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/lint"
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
		if f.Rule == "" || certain(f.Rule) {
			continue
		}
		if f.Absent != nil && imp.declare(*f.Absent) {
			changed = true
			continue
		}
		if f.Warning {
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

// declare notes an object that the manifests refer to and do not have: it is declared
// where the environment has its namespace, so that the next name that leads nowhere is
// found. It says whether that is so.
func (imp *Import) declare(absent lint.Absent) bool {
	namespace := absent.Namespace
	if namespace == imp.opts.Namespace {
		namespace = ""
	}
	for i := range imp.Absent {
		one := &imp.Absent[i]
		if one.Kind != absent.Kind || one.Name != absent.Name {
			continue
		}
		if one.Namespace != namespace {
			return false // one of a name can be declared
		}
		for _, key := range absent.Keys {
			if !slices.Contains(one.Keys, key) {
				one.Keys = append(one.Keys, key)
			}
		}
		slices.Sort(one.Keys)
		return true
	}
	if absent.Declared || slices.ContainsFunc(imp.Secrets, func(s Secret) bool { return absent.Kind == "Secret" && s.Name == absent.Name }) {
		return false // with other keys, or of another namespace
	}
	imp.Absent = append(imp.Absent, lint.Absent{Kind: absent.Kind, Namespace: namespace, Name: absent.Name, Keys: slices.Sorted(slices.Values(absent.Keys))})
	return true
}

// inObject matches the path of a field, from a whole object on.
var inObject = regexp.MustCompile(`\.extraObjects(?:\.[\w-]+|\["[^"]*"\])\.(.+)$`)

// Blamed gives findings about imported objects the place where those were read: the
// file that they are about is not kept.
func (imp *Import) Blamed(findings render.Findings, namespace string) []string {
	if len(findings) == 0 {
		return nil
	}
	found := map[string]string{} // where an object was read, by what findings call it
	for _, obj := range imp.objects {
		from := imp.from[imp.identity(obj)]
		shown := ref(obj)
		if text(obj, "metadata", "namespace") == "" {
			shown = text(obj, "kind") + "/" + namespace + "/" + text(obj, "metadata", "name")
		}
		for _, name := range []string{shown, ref(obj)} {
			if from != "" && found[name] == "" {
				found[name] = from
			}
		}
	}
	var lines []string
	for _, f := range findings {
		line := f.String()
		if from := found[f.Object]; from != "" {
			line = from + ": " + f.Object + ": "
			if m := inObject.FindStringSubmatch(f.Path); m != nil {
				line += m[1] + ": "
			}
			line += f.Message
			if f.Found != "" {
				line += ", found " + f.Found
			}
		}
		lines = append(lines, line)
	}
	return slices.Compact(lines)
}
