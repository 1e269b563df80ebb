package health

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// judge judges an object of a kind of the table.
func (r *Rule) judge(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	name := r.RuleName()
	s := &subject{obj: obj, conditions: conditionsOf(obj), related: related, now: now}
	if m, ok := r.any(s, r.Enough); ok {
		return healthy(name, m.words(r))
	}
	if r.NoStatus {
		return healthy(name, "")
	}
	if v, stale := s.stale(); stale && reports(obj) {
		return v
	}
	if m, ok := r.any(s, r.Failed); ok {
		c := m.condition
		if c.Type == "" {
			c = condition{Type: m.key}
		}
		return s.givesUp(progressing(name, m.words(r)), c)
	}
	if c, ok := find(s.conditions, "Stalled"); ok && c.Status == "True" && !c.stale(obj.GetGeneration()) {
		return failed(name, s.sayCondition(c))
	}
	if m, ok := r.any(s, r.Progressing); ok {
		return s.lasting(progressing(name, m.words(r)), m.condition)
	}
	if m, ok := r.any(s, r.Lasting); ok {
		c := m.condition
		if c.Type == "" {
			c = condition{Type: m.key}
		}
		c.Reason = "Error" // whatever it says, the rule knows it for one
		return s.lasting(progressing(name, m.words(r)), c)
	}
	switch {
	case r.err != nil:
		return unknown(name, oneLine(r.err.Error(), 300))
	case r.Config:
		return judgeConfig(name, s)
	}
	return r.judgeWorking(s)
}

// judgeWorking asks whether what must be is.
func (r *Rule) judgeWorking(s *subject) verdict {
	name := r.RuleName()
	if v, ok := r.unmet(s); ok {
		return v
	}
	v, ok := judgeNested(s, name)
	switch c, _ := find(s.conditions, "Reconciling"); {
	case c.Status == "True" && !c.stale(s.obj.GetGeneration()):
		return progressing(name, s.sayCondition(c))
	case ok && v.State != Healthy:
		return v
	case r.Parts != "" && !ok:
		return progressing(name, "no controller has answered yet")
	case r.Counts:
		if v, ok = judgeCounts(s, name); !ok {
			return progressing(name, "its replicas are not counted yet")
		}
		return s.fresh(v)
	}
	return s.fresh(healthy(name, ""))
}

// unmet is the judgement where no alternative of Healthy is met: by the first
// test of the first that is not.
func (r *Rule) unmet(s *subject) (verdict, bool) {
	var first *match
	for _, tests := range r.Healthy {
		m, ok := r.all(s, tests)
		if ok {
			return r.takenBack(s, tests)
		}
		if first == nil || m.saysMoreThan(*first) {
			first = &m
		}
	}
	name := r.RuleName()
	switch {
	case first == nil:
		return verdict{}, false
	case first.outdated:
		return staleStatus(s.obj, first.condition)
	case first.missing:
		if other, ok := s.error(); ok {
			return s.lasting(progressing(name, s.sayCondition(other)), other), true
		}
	}
	switch {
	case first.missing && first.key == "cel":
		return progressing(name, join("not reported yet", first.said(r))), true
	case first.missing:
		return progressing(name, join(label(first.key)+" not reported yet", first.said(r))), true
	}
	c := first.condition
	if word, ok := failureWord(s); ok && !c.namesError() {
		return s.lasting(progressing(name, join(word, said(s, r, ""))), condition{Type: name, Reason: "Error"}), true
	}
	if isPath(first.key) && isFailure(first.key, first.value) {
		c = condition{Type: first.key, Reason: "Error"}
	}
	if other, ok := s.error(); ok && c.Status == "False" && !c.namesError() {
		return s.lasting(progressing(name, s.sayCondition(other)), other), true
	}
	return s.lasting(progressing(name, first.words(r)), c), true
}

// saysMoreThan prefers what a status says to what it does not have yet, and both to
// what a spec asks for: that chooses among the alternatives, and is no cause.
func (m match) saysMoreThan(o match) bool {
	if of := strings.HasPrefix(o.key, "spec."); of != strings.HasPrefix(m.key, "spec.") {
		return of
	}
	return o.missing && !m.missing
}

// failureWord is a phase, state or status of an object that is a word of failure, for
// which its rule has no line of its own.
func failureWord(s *subject) (string, bool) {
	for _, field := range stateFields() {
		if word, ok := textAt(s.obj.Object, "status."+field); ok && isFailure(field, word) {
			return oneLine(word, 200), true
		}
	}
	return "", false
}

// isFailure says that a field has a word of failure. What goes on meanwhile, or was
// before, is none.
func isFailure(path, value string) bool {
	words := camelWords(value)
	return isBroken(words) && !negated(words) && !slices.ContainsFunc(words, isDoing) && !wordIn(words, "transient") &&
		!isFormer(camelWords(path[strings.LastIndexByte(path, '.')+1:]))
}

// takenBack looks at the conditions of the alternatives that were not met: what
// one version of a controller reports is not enough beside a False of another's.
func (r *Rule) takenBack(s *subject, met Tests) (verdict, bool) {
	for _, tests := range r.Healthy {
		for _, key := range tests.keys() {
			c, ok := find(s.conditions, key)
			if _, named := met[key]; !ok || named || c.Status != "False" || c.stale(s.obj.GetGeneration()) {
				continue
			}
			return s.lasting(progressing(r.RuleName(), s.sayCondition(c)), c), true
		}
	}
	return verdict{}, false
}

// judgeConfig is for kinds whose controller reads them and may report nothing.
func judgeConfig(name string, s *subject) verdict {
	if !reports(s.obj) {
		return healthy(name, "")
	}
	s.config = true
	v := judgeStatus(s)
	if v.State == Unknown {
		return healthy(name, "")
	}
	v.Rule = name
	return v
}

// keys are the names of the tests: conditions and paths in their order, "cel" last.
func (t Tests) keys() []string {
	out := slices.Sorted(maps.Keys(t))
	if i := slices.Index(out, "cel"); i >= 0 {
		out = append(slices.Delete(out, i, i+1), "cel")
	}
	return out
}

// match is how a test came out.
type match struct {
	s                 *subject
	key, value        string
	condition         condition
	missing, outdated bool
}

// any returns the first alternative that is met. A condition of an earlier
// generation meets none.
func (r *Rule) any(s *subject, of Alternatives) (match, bool) {
	for _, tests := range of {
		if m, ok := r.all(s, tests); ok {
			return m, true
		}
	}
	return match{}, false
}

// all returns the first test, if all are met, or the one that is not and says
// most: a condition that names an error, before one that is False, before what is
// not known yet.
func (r *Rule) all(s *subject, tests Tests) (out match, met bool) {
	met = true
	for i, key := range tests.keys() {
		m, ok := r.meets(s, key, tests[key])
		ok = ok && !m.outdated
		says := !ok && (met || m.weight() > out.weight())
		if says || i == 0 {
			out = m
		}
		met = met && ok
	}
	return out, met
}

// weight is how much a test says that is not met.
func (m match) weight() int {
	switch {
	case m.condition.Status != "False" || m.outdated:
		return 0
	case m.condition.namesError():
		return 2
	}
	return 1
}

func (r *Rule) meets(s *subject, key string, values Values) (match, bool) {
	m := match{s: s, key: key}
	switch {
	case key == "cel":
		var met bool
		met, m.missing, m.value = r.evaluate(s.obj, values)
		return m, met
	case isPath(key):
		value, ok := textAt(s.obj.Object, key)
		m.value, m.missing = value, !ok || value == ""
		return m, !m.missing && slices.ContainsFunc(values, func(want string) bool {
			return globFold(want, value)
		})
	}
	c, ok := find(s.conditions, key)
	m.condition, m.missing, m.outdated = c, !ok, ok && c.stale(s.obj.GetGeneration())
	return m, ok && slices.ContainsFunc(values, func(want string) bool {
		status, reason, withReason := strings.Cut(want, " ")
		return globFold(status, c.Status) && (!withReason || glob(reason, c.Reason))
	})
}

// globFold passes over case in words of a few letters: projects have changed it
// from one version to the next.
func globFold(pattern, s string) bool {
	return glob(strings.ToLower(pattern), strings.ToLower(s))
}

func isPath(key string) bool {
	return strings.HasPrefix(key, "status.") || strings.HasPrefix(key, "spec.") || strings.HasPrefix(key, "metadata.")
}

// label is what a test is called in a message.
func label(key string) string {
	switch {
	case key == "cel":
		return "its state is"
	case isPath(key):
		_, name, _ := strings.Cut(key, ".")
		return name
	}
	return key
}

// words say what a test found.
func (m match) words(r *Rule) string {
	switch {
	case m.key == "cel":
		return said(m.s, r, "its status is not what the rule wants; evenkeel explain health "+m.s.obj.GetKind()+" shows it")
	case isPath(m.key):
		said := m.said(r)
		if strings.Contains(said, oneLine(m.value, 100)) {
			return said
		}
		return join(label(m.key)+" is "+oneLine(m.value, 100), said)
	}
	return m.s.sayCondition(m.condition)
}

// said is what the controller says, for a test that is none of a condition.
func (m match) said(r *Rule) string {
	if m.condition.Type != "" {
		return join(m.condition.Reason, oneLine(m.condition.Message, 400))
	}
	if m.key == "" {
		return ""
	}
	return said(m.s, r, "")
}

// said reads the words of an object's controller.
func said(s *subject, r *Rule, otherwise string) string {
	paths := r.Words
	if len(paths) == 0 {
		paths = []string{"status.message", "status.reason", "status.error", "status.errorMessage", "status.failureMessage", "status.failureReason", "status.statusMessage"}
	}
	for _, p := range paths {
		if value, _, err := unstructured.NestedFieldNoCopy(s.obj.Object, strings.Split(p, ".")...); err == nil {
			if words := plainWords(value); words != "" {
				return oneLine(words, 400)
			}
		}
	}
	if c, ok := find(s.conditions, "Ready"); ok && c.Status != "True" && c.Message != "" {
		return join(c.Reason, oneLine(c.Message, 300))
	}
	return otherwise
}

// plainWords are those of a text, of a list of texts, or of a map of texts by names.
func plainWords(v any) string {
	var out []string
	switch v := v.(type) {
	case string:
		return v
	case []any:
		for _, item := range v {
			out = append(out, text(item))
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if words := text(v[key]); words != "" {
				out = append(out, key+": "+words)
			}
		}
	}
	return strings.Join(slices.DeleteFunc(out, func(s string) bool { return s == "" }), "; ")
}

// textAt reads the text, number or boolean at a path of an object. Of a list or a
// map it says that there is something.
func textAt(obj map[string]any, path string) (string, bool) {
	value, ok, err := unstructured.NestedFieldNoCopy(obj, strings.Split(path, ".")...)
	if err != nil || !ok || value == nil {
		return "", false
	}
	switch t := value.(type) {
	case string:
		return t, true
	case bool:
		return strconv.FormatBool(t), true
	case int64:
		return strconv.FormatInt(t, 10), true
	case float64:
		return strconv.FormatFloat(t, 'g', -1, 64), true
	case []any:
		return plainCount(len(t)), len(t) > 0
	case map[string]any:
		return plainCount(len(t)), len(t) > 0
	}
	return fmt.Sprint(value), true
}

func plainCount(n int) string { return fmt.Sprintf("%d %s", n, plural(n, "entry")) }

// evaluate asks the expressions of a test: one that is true is enough. A field
// that is not there is not reported yet.
func (r *Rule) evaluate(obj *unstructured.Unstructured, sources Values) (met, missing bool, source string) {
	r.once.Do(r.compile)
	for _, source = range sources {
		program, ok := r.programs[source]
		if !ok {
			continue
		}
		out, err := program.eval(obj.Object)
		if err != nil {
			missing = true // a field is not there, or not of the type that it has where it works
			continue
		}
		if met, ok := out.Value().(bool); ok && met {
			return true, false, source
		}
	}
	return false, missing, source
}

// compile makes the programs of a rule ready, once and when the first object
// needs them.
func (r *Rule) compile() {
	r.programs = map[string]*expression{}
	for _, tests := range slices.Concat(r.Enough, r.Failed, r.Lasting, r.Progressing, r.Healthy) {
		for _, source := range tests["cel"] {
			program, err := compileCEL(source)
			if err != nil {
				r.err = fmt.Errorf("rule %s: %q: %w", r.RuleName(), source, err)
				continue
			}
			r.programs[source] = program
		}
	}
}
