package health

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// FindRules returns the rules of a kind, which is named as "Kafka" or
// "Kafka.kafka.strimzi.io", whatever the case of its letters: several, where
// projects give a kind the same name. A rule for any kind of a group is found by
// the group.
func FindRules(kind string) ([]*Rule, error) {
	files, err := RuleFiles()
	if err != nil {
		return nil, err
	}
	name, group, _ := strings.Cut(strings.ToLower(kind), ".")
	var out []*Rule
	for _, f := range files {
		for _, r := range f.Rules {
			if r.named(name, group) {
				out = append(out, r)
			}
		}
	}
	if group == "" {
		return out, nil
	}
	// A rule that names the kind comes before one for any.
	if i := slices.IndexFunc(out, func(r *Rule) bool { return !slices.Contains(r.Kinds, "*") }); i >= 0 {
		return out[i : i+1], nil
	}
	return out[:min(1, len(out))], nil
}

func (r *Rule) named(name, group string) bool {
	return slices.ContainsFunc(r.Kinds, func(k string) bool {
		if group == "" {
			return k != "*" && glob(strings.ToLower(k), name)
		}
		return glob(strings.ToLower(k), name) && glob(r.Groups(), group)
	})
}

// KnownKinds are the kinds that the table names, for whoever has misspelt one.
func KnownKinds() ([]string, error) {
	files, err := RuleFiles()
	if err != nil {
		return nil, err
	}
	names := map[string]struct{}{}
	for _, f := range files {
		for _, r := range f.Rules {
			for _, k := range r.Kinds {
				if !strings.Contains(k, "*") {
					names[k] = struct{}{}
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// OfKubernetes says whether a kind of that name is one of Kubernetes itself,
// which is judged by code.
func OfKubernetes(kind string) bool {
	groups := []string{
		"", "apps", "batch", "networking.k8s.io", "policy", "autoscaling", "apiextensions.k8s.io", "apiregistration.k8s.io",
		"admissionregistration.k8s.io", "flowcontrol.apiserver.k8s.io", "certificates.k8s.io",
	}
	name, group, qualified := strings.Cut(kind, ".")
	return slices.ContainsFunc(groups, func(g string) bool {
		if qualified && g != group {
			return false
		}
		_, ok := builtin(schema.GroupKind{Group: g, Kind: name})
		return ok && (!exists(schema.GroupKind{Group: g, Kind: name}) || g == "" || g == "apps" || g == "networking.k8s.io")
	})
}

// Explained is a rule as `explain health` writes it in JSON.
type Explained struct {
	Group   string `json:"group"`
	Project string `json:"project"`
	Rule    string `json:"rule"`
	Source  string `json:"source"`
	*plainRule
}

type plainRule Rule

// Explain gives a rule with what its file says.
func (r *Rule) Explain() Explained {
	plain := plainRule(Rule{
		Kinds: r.Kinds, NoStatus: r.NoStatus, Config: r.Config, Enough: r.Enough, Failed: r.Failed, Lasting: r.Lasting, Progressing: r.Progressing,
		Healthy: r.Healthy, Parts: r.Parts, Counts: r.Counts, Words: r.Words, Note: r.Note, Examples: r.Examples,
	})
	return Explained{Group: r.Groups(), Project: r.file.Project, Rule: r.RuleName(), Source: r.from(), plainRule: &plain}
}

func (r *Rule) from() string {
	if r.Source != "" {
		return r.Source
	}
	return r.file.Source
}

// States are what a rule says of each state, in words.
func (r *Rule) States() (healthy, progressing, failed string) {
	switch {
	case r.NoStatus:
		return "it exists: it has no status", "", ""
	case r.Config:
		healthy = "it exists, and nobody reports otherwise"
	default:
		var parts []string
		if len(r.Healthy) > 0 {
			parts = append(parts, r.Healthy.words())
		}
		if r.Parts != "" {
			parts = append(parts, "every one of its "+r.Parts+" accepts it")
		}
		if r.Counts {
			parts = append(parts, "all replicas are updated and ready")
		}
		healthy = strings.Join(parts, ", and ")
	}
	if len(r.Enough) > 0 {
		healthy += "; or " + r.Enough.words()
	}
	failed = r.Failed.words()
	if len(r.Lasting) > 0 {
		failed = strings.TrimPrefix(failed+"; or where it lasts: "+r.Lasting.words(), "; or ")
	}
	return healthy, r.Progressing.words(), failed
}

func (a Alternatives) words() string {
	var out []string
	for _, tests := range a {
		var all []string
		for _, key := range tests.keys() {
			all = append(all, testWords(key, tests[key]))
		}
		out = append(out, strings.Join(all, ", "))
	}
	return strings.Join(out, "; or ")
}

func testWords(key string, values Values) string {
	switch {
	case key == "cel":
		return "`" + strings.Join(values, "` or `") + "`"
	case len(values) == 1 && values[0] == "*":
		return key + " is there"
	}
	return key + " " + strings.Join(values, " or ")
}

// Text is the rule as `explain health` shows it.
func (r *Rule) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s): rule %s\n", strings.Join(r.Kinds, ", "), r.Groups(), r.RuleName())
	fmt.Fprintf(&b, "of %s, see %s\n", r.file.Project, r.from())
	healthy, progressing, failed := r.States()
	for _, line := range [][2]string{{"healthy", healthy}, {"progressing", progressing}, {"failed", failed}, {"note", r.Note}} {
		if line[1] != "" {
			fmt.Fprintf(&b, "  %-12s %s\n", line[0], line[1])
		}
	}
	for _, state := range []State{Healthy, Progressing, Failed} {
		for _, example := range r.Examples[state] {
			text, err := json.Marshal(example)
			if err == nil {
				fmt.Fprintf(&b, "  %-14s %s\n", string(state)+" is", text)
			}
		}
	}
	return b.String()
}
