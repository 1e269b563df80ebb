package health

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// The rules of the kinds of others are data: one file for each API group, or
// for the domain that the groups of a project share, named after it.
//
//go:embed rules/*.yaml
var ruleFiles embed.FS

// RuleFile is the rules of one project.
type RuleFile struct {
	// Domain is the file's name: an API group, or what several end with.
	Domain  string `json:"domain"`
	Project string `json:"project"`
	// Source is where the project says what its conditions and phases mean.
	Source string  `json:"source"`
	Rules  []*Rule `json:"rules"`
}

// Rule says how the status of some kinds is read. Observed generations are
// compared before anything else but Enough.
type Rule struct {
	// Group is the API group, where it is not the file's domain: "*" stands for
	// any part of it.
	Group string `json:"group,omitempty"`
	// Kinds are those that it is for; "*" stands for any part of a name. The
	// first rule of a file that names a kind is the one that counts.
	Kinds []string `json:"kinds"`
	// Name is what a judgement gives as its rule; the project where it is empty.
	Name string `json:"name,omitempty"`
	// Source is the rule's own, where it is not the file's.
	Source string `json:"source,omitempty"`
	// NoStatus says that the kinds have no status: to exist is all they can do.
	NoStatus bool `json:"noStatus,omitempty"`
	// Config says that nobody needs to report on the kinds. If somebody does, the
	// general rules judge it.
	Config bool `json:"config,omitempty"`
	// Enough is what makes an object healthy whatever else its status says, and
	// whether it has one: it is suspended, say.
	Enough Alternatives `json:"enough,omitempty"`
	// Failed is what waiting does not help against.
	Failed Alternatives `json:"failed,omitempty"`
	// Lasting is what may pass, and is a failure where it lasts: an error that the
	// controller tries again.
	Lasting Alternatives `json:"lasting,omitempty"`
	// Progressing is what must not be.
	Progressing Alternatives `json:"progressing,omitempty"`
	// Healthy is what must be.
	Healthy Alternatives `json:"healthy,omitempty"`
	// Parts wants an entry with good conditions in this list of the status.
	Parts string `json:"parts,omitempty"`
	// Counts wants replicas updated and ready, as of a Deployment.
	Counts bool `json:"counts,omitempty"`
	// Words are paths of what the controller says in words; by default those
	// that most kinds have.
	Words []string `json:"words,omitempty"`
	// Note is for the reader.
	Note string `json:"note,omitempty"`
	// Examples are objects in the words of the tests, by state.
	Examples map[State]Alternatives `json:"examples,omitempty"`

	file     *RuleFile
	once     sync.Once
	programs map[string]*expression
	err      error // of a CEL expression
}

// Alternatives are met by one of them.
type Alternatives []Tests

// UnmarshalJSON reads one for a list of one.
func (a *Alternatives) UnmarshalJSON(raw []byte) error {
	if raw[0] == '[' {
		return json.Unmarshal(raw, (*[]Tests)(a))
	}
	var one Tests
	err := json.Unmarshal(raw, &one)
	*a = Alternatives{one}
	return err
}

// MarshalJSON writes a list of one as that one.
func (a Alternatives) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]Tests(a))
}

// Tests are conditions ("Ready"), paths ("status.phase") or "cel", each with the
// values that meet it. A condition's value is its status, or its status and its
// reason; "*" stands for any text. All of them must hold.
type Tests map[string]Values

// Values meet a test: one of them is enough.
type Values []string

// UnmarshalJSON reads a text, a boolean or a number for a list of one. A
// boolean is a condition's status.
func (v *Values) UnmarshalJSON(raw []byte) error {
	var one any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&one); err != nil {
		return err
	}
	list, ok := one.([]any)
	if !ok {
		list = []any{one}
	}
	for _, item := range list {
		switch t := item.(type) {
		case string:
			*v = append(*v, t)
		case json.Number:
			*v = append(*v, t.String())
		case bool:
			*v = append(*v, map[bool]string{true: "True", false: "False"}[t])
		default:
			return fmt.Errorf("a test has texts for values, not %s", raw)
		}
	}
	return nil
}

// MarshalJSON writes a list of one as a text.
func (v Values) MarshalJSON() ([]byte, error) {
	if len(v) == 1 {
		return json.Marshal(v[0])
	}
	return json.Marshal([]string(v))
}

// RuleName is the name that a judgement by the rule has.
func (r *Rule) RuleName() string {
	if r.Name != "" {
		return r.Name
	}
	return strings.ToLower(strings.ReplaceAll(r.file.Project, " ", "-"))
}

// File is the file that the rule stands in.
func (r *Rule) File() *RuleFile { return r.file }

// Groups is the API group of the rule's kinds, with "*" for any part.
func (r *Rule) Groups() string {
	if r.Group != "" {
		return r.Group
	}
	return r.file.Domain
}

// matches says whether the rule is for a kind.
func (r *Rule) matches(gk schema.GroupKind) bool {
	return glob(r.Groups(), gk.Group) && slices.ContainsFunc(r.Kinds, func(k string) bool { return glob(k, gk.Kind) })
}

// glob matches with "*" for any text.
func glob(pattern, s string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == s
	}
	ok, err := path.Match(pattern, strings.ReplaceAll(s, "/", "|"))
	return ok && err == nil
}

// RuleFiles reads all files of the table, in the order of their names.
func RuleFiles() ([]*RuleFile, error) {
	entries, err := ruleFiles.ReadDir("rules")
	if err != nil {
		return nil, err
	}
	var out []*RuleFile
	for _, e := range entries {
		f, err := readRules(strings.TrimSuffix(e.Name(), ".yaml"))
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func readRules(domain string) (*RuleFile, error) {
	name := "rules/" + domain + ".yaml"
	text, err := ruleFiles.ReadFile(name)
	if err != nil {
		return nil, err
	}
	f := &RuleFile{}
	if err := yaml.UnmarshalStrict(text, f); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	f.Domain = domain
	for _, r := range f.Rules {
		r.file = f
	}
	return f, nil
}

// table are the files that have been asked for: a run reads those of the groups
// that it meets.
type table struct {
	mu    sync.Mutex
	files map[string]*RuleFile // by domain; nil where there is none
}

// rules is filled on demand and means the same whoever fills it.
var rules = &table{files: map[string]*RuleFile{}} //nolint:gochecknoglobals // a cache of embedded files

// ruleOf returns the table's rule for a kind.
func ruleOf(gk schema.GroupKind) (*Rule, bool) {
	for domain, more := gk.Group, true; more; _, domain, more = strings.Cut(domain, ".") {
		f := rules.file(domain)
		if f == nil {
			continue
		}
		if i := slices.IndexFunc(f.Rules, func(r *Rule) bool { return r.matches(gk) }); i >= 0 {
			return f.Rules[i], true
		}
	}
	return nil, false
}

func (t *table) file(domain string) *RuleFile {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f, ok := t.files[domain]; ok {
		return f
	}
	f, err := readRules(domain)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		panic(err) // the table is part of the program, and a test reads all of it
	}
	t.files[domain] = f
	return f
}
