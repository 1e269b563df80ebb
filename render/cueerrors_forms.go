package render

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
)

// What a value was probably meant to be: one that stands for a struct, a quantity with a
// unit of another language, a name in capitals.

// inFull is a value as the struct that was meant, where a field of the definitions has
// several and somebody wrote the one that matters; empty where that is not known.
func inFull(path []string, found string) string {
	fields := map[string]string{
		"autoscale": "max", "cluster": "context", "claim": "size", "disruptionBudget": "maxUnavailable", "java": "heap", "liveness": "path",
		"metrics": "path", "promotion": "from", "readiness": "path", "resources": "memory", "service": "type", "startup": "path", "strategy": "type",
	}
	lists := map[string]string{"java": "options", "resources": "limits"}
	name := last(path)
	above := ""
	if len(path) > 1 {
		above = path[len(path)-2]
	}
	text := strings.HasPrefix(found, `"`)
	if above == "ports" || above == "env" || above == "files" {
		return ""
	}
	switch {
	case found == "false" && len(path) == unitDepth:
		return fmt.Sprintf("to leave it out: %s: enabled: false", name)
	case found == "null" && len(path) == unitDepth:
		return fmt.Sprintf("to leave it out: %s: enabled: false", name)
	case found == "true":
		return fmt.Sprintf("write %s: {}", name)
	case text && len(path) == unitDepth && path[1] == "apps" && strings.ContainsAny(found, "/:"):
		return fmt.Sprintf("write %s: image: %s", name, found)
	case text && above == "volumes":
		return fmt.Sprintf(`write %s: {path: %s, empty: {}}, or with another source`, name, found)
	case text && above == "envRef":
		return fmt.Sprintf(`write %s: {secret: "NAME", key: "KEY"}`, name)
	case text && name == "registry" && (found == `"zookeeper"` || found == `"nacos"`):
		return fmt.Sprintf("write registry: %s: {}", strings.Trim(found, `"`))
	case strings.HasPrefix(found, "[") && lists[name] != "":
		return fmt.Sprintf("write %s: %s: %s", name, lists[name], found)
	case strings.HasPrefix(found, "[") && above == "secrets":
		return fmt.Sprintf("write %q: keys: %s", name, found)
	case text && above == "secrets":
		return fmt.Sprintf("write %q: keys: [%s]", name, found)
	case name == "metrics" && !strings.HasPrefix(found, `"/`):
	case found != "" && !strings.ContainsAny(found[:1], "[{'n") && fields[name] != "":
		return fmt.Sprintf("write %s: {%s: %s}", name, fields[name], found)
	}
	return ""
}

// nearValue is the value of the form that a field takes which was meant by another one:
// 512Mi by 512MB, 24h by 1d, a host name in lower case; empty where that is not known.
func nearValue(name, found, expected string) string {
	text, err := strconv.Unquote(found)
	if err != nil || text == "" {
		return ""
	}
	switch m := valueWithUnit.FindStringSubmatch(text); {
	case m != nil && strings.Contains(expected, "256Mi") || m != nil && strings.Contains(expected, "10Gi") || m != nil && strings.Contains(expected, "1Gi"):
		if unit := inBytes(m[2]); unit != "" {
			return m[1] + unit
		}
	case m != nil && strings.Contains(expected, "100m"):
		if unit := strings.ToLower(m[2]); unit == "" || strings.HasPrefix(unit, "m") {
			return strings.Replace(m[1], ",", ".", 1) + strings.TrimSuffix(unit[:min(1, len(unit))], " ")
		}
		if slices.Contains([]string{"cpu", "cpus", "core", "cores"}, strings.ToLower(m[2])) {
			return strings.Replace(m[1], ",", ".", 1)
		}
	case m != nil && name == "heap":
		if unit := inBytes(m[2]); len(unit) > 1 {
			return m[1] + strings.ToLower(unit[:1])
		}
	case m != nil && (strings.Contains(expected, "24h") || strings.Contains(expected, "such as 5m") || strings.Contains(expected, "30s")):
		return inHours(m[1], m[2])
	}
	if low := strings.ReplaceAll(strings.ToLower(text), "_", "-"); low != text && strings.HasPrefix(expected, "the name of ") && plainName.MatchString(low) {
		return low
	}
	if slices.Contains([]string{"host", "name", "domain", "namespace"}, name) {
		low := strings.TrimSuffix(strings.ToLower(strings.TrimSpace(text)), ".")
		if low != text && !strings.ContainsAny(low, " /:,") {
			return low
		}
	}
	return ""
}

// plainName matches what an object of Kubernetes may be called.
var plainName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// valueWithUnit matches a number and what stands behind it.
var valueWithUnit = regexp.MustCompile(`^([0-9]+(?:[.,][0-9]+)?)\s*([A-Za-z]*)$`)

// inBytes is a unit of memory as Kubernetes writes it; empty for what is none.
func inBytes(unit string) string {
	unit = strings.ToUpper(unit)
	if len(unit) > 0 && len(unit) < 4 && strings.Contains("KMGTP", unit[:1]) && slices.Contains([]string{"", "B", "I", "IB"}, unit[1:]) {
		return unit[:1] + "i"
	}
	return ""
}

// inHours is a duration as Go writes it.
func inHours(number, unit string) string {
	n, err := strconv.Atoi(number)
	if err != nil {
		return ""
	}
	switch strings.ToLower(unit) {
	case "d", "day", "days":
		return fmt.Sprintf("%dh", 24*n)
	case "w", "week", "weeks":
		return fmt.Sprintf("%dh", 7*24*n)
	case "h", "hour", "hours", "hrs":
		return fmt.Sprintf("%dh", n)
	case "m", "min", "mins", "minute", "minutes":
		return fmt.Sprintf("%dm", n)
	case "s", "sec", "secs", "second", "seconds":
		return fmt.Sprintf("%ds", n)
	}
	return ""
}

// fuller is the only one of some names that a word is the beginning of, that begins the
// word, or that has it inside: initialDelaySeconds for initialDelay, min for minimum.
func fuller(word string, names []string) string {
	found := ""
	low := strings.ToLower(word)
	for _, name := range names {
		other := strings.ToLower(name)
		if len(low) > 2 && strings.HasPrefix(other, low) || len(other) > 2 && strings.HasPrefix(low, other) || len(low) > 4 && strings.Contains(other, low) {
			if found != "" {
				return ""
			}
			found = name
		}
	}
	return found
}

// unset are the names of fields that nobody has written beside one.
func (t translator) unset(names, path []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		v := t.ev.root.LookupPath(stringPath(append(slices.Clone(path[:len(path)-1]), name)))
		return v.Exists() && t.repo.isUserPos(v.Pos())
	})
}

// manyNames is how many fields a message lists.
const manyNames = 30

// listed says which fields there are, where none is like the one that was written.
func (t translator) listed(f *Finding, path, names []string) {
	patch := ""
	if slices.Contains(names, "patch") {
		patch = fmt.Sprintf("what has no field of its own goes into an object: patch: %s: {...}", t.mainObject(path))
	}
	f.Hint = patch
	if len(names) <= manyNames {
		f.Expected = "one of " + enumerate(names)
		return
	}
	kind, _ := t.ev.root.LookupPath(stringPath(append(slices.Clone(path[:min(len(path), unitDepth)]), "type"))).String()
	if kind == "" || len(path) != unitDepth+1 || path[1] != "apps" {
		f.Expected = "one of " + enumerate(names)
		return
	}
	f.Hint = fmt.Sprintf("evenkeel explain %s lists the fields; %s", kind, patch)
}

// mainObject is the key of the object that has the pods of a unit.
func (t translator) mainObject(path []string) string {
	if len(path) > unitDepth {
		for _, key := range []string{"statefulSet", "daemonSet", "cronJob", "job"} {
			if t.ev.root.LookupPath(stringPath(append(slices.Clone(path[:unitDepth]), "objects", key))).Exists() {
				return key
			}
		}
	}
	return "deployment"
}

// renamed are units that a closed list does not have, beside units of the list that lack
// what the environments say: one that was given another name in one of the two places.
func renamed(findings Findings) Findings {
	lacking := map[string]string{}
	for _, f := range findings {
		if f.Message == missing && f.Unit != "" && strings.HasPrefix(f.Path, "apps.") {
			lacking[f.Unit] = f.Path
		}
	}
	at := slices.IndexFunc(findings, func(f Finding) bool { return f.gone != "" && f.Unit != "" })
	if at < 0 || len(lacking) != 1 {
		return findings
	}
	for name, path := range lacking {
		if findings[at].Unit == name {
			return findings
		}
		findings[at].DidYouMean = name
		findings[at].Hint = fmt.Sprintf("the list has %s, and nobody gives %s: write the same name here and there", name, path)
		findings = slices.DeleteFunc(findings, func(f Finding) bool { return f.Message == missing && f.Unit == name })
	}
	return findings
}

// home is where an environment says what its unit is, or what its units are.
func (p *envPackage) home(unit string) (at token.Pos) {
	for _, file := range p.inst.Files {
		for _, f := range syntax.FieldsAt(file.Decls, fieldEnvironment, "apps") {
			structs, _ := syntax.Parts(f.Value)
			if len(structs) > 0 || !at.IsValid() {
				at = f.Pos()
			}
			for _, lit := range structs {
				for own := range syntax.Named(lit.Elts, unit) {
					return own.Pos()
				}
			}
		}
	}
	return at
}

// sharesList says whether an environment takes apps from elsewhere.
func (p *envPackage) sharesList() bool {
	for _, file := range p.inst.Files {
		for _, f := range syntax.FieldsAt(file.Decls, fieldEnvironment, "apps") {
			if _, others := syntax.Parts(f.Value); len(others) > 0 {
				return true
			}
		}
	}
	return false
}

// unnamed says of a unit that its name is none.
func (t translator) unnamed(f *Finding, e cueError) {
	unit := e.path[:unitDepth]
	f.Path, f.Message, f.Found = displayPath(unit), "not a name for a unit", strconv.Quote(last(unit))
	f.Expected = "lower case letters, digits and dashes, at most 63"
	if near := strings.Trim(strings.NewReplacer("_", "-", " ", "-", ".", "-").Replace(strings.ToLower(last(unit))), "-"); near != last(unit) {
		f.DidYouMean = near
	}
	if t.ev.list(f, last(unit)); f.listed.IsValid() {
		t.repo.place(f, f.listed)
	}
}

// given says whether the user's files have a field.
func (t translator) given(path []string) bool {
	if t.ev == nil || t.ev.inst == nil || len(path) < 2 {
		return false
	}
	for w := range t.ev.wordsBelow(path[len(path)-2]) {
		if w.isLabel && slices.EqualFunc(w.path, path, func(step any, name string) bool { return step == name }) {
			return true
		}
	}
	return false
}

// likeReference is what a text refers to that has the form of a reference.
func likeReference(found string) string {
	if text, err := strconv.Unquote(found); err == nil && typeAsText.MatchString(text) {
		return text
	}
	return ""
}
