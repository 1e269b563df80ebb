package render

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/internal/syntax"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// own leads a finding about a field of an object to what the user wrote: an app says
// mounts: logz: "/logs", and the definitions make a field of a container of it. Where
// CUE has lost the way, it is the one word in the unit that the field says too.
func (ev *evaluated) own(f *Finding, u *unit, o *object, path typed.Path) {
	var rest typed.Path
	for n := len(path); n > 0 && !f.literal; n-- {
		if _, item := path[n-1].(int); n < len(path) && !item {
			continue // of what is above the field, items of lists have names
		}
		if pos, ok := ev.wordAt(u, o, path[:n]); ok && (n == len(path) || ev.names(pos, o, path[:n])) {
			ev.repo.place(f, pos)
			f.literal, rest = true, path[n:]
		}
	}
	if pos, ok := ev.defaultAt(o, path); ok && !f.literal {
		ev.repo.place(f, pos)
		f.literal = true
	}
	if !f.literal {
		return // the place is above the field: its path in the object says more
	}
	if labels := ev.labelsAt(f.pos); labels != nil {
		if key := labels[len(labels)-1]; len(rest) > 0 && slices.Contains(itemKeys, fmt.Sprint(key)) {
			labels = labels[:len(labels)-1] // the item, by what names it
		}
		if below, ok := belowUnit(labels, u); ok {
			f.Path = u.path(append(below, rest...))
		} else if labels[0] == "environment" {
			f.Path = append(labels[1:], rest...).String()
		}
	}
	f.literal = len(rest) == 0 || len(rest) == 1
}

// defaultAt finds the default of the environment that a field of an object repeats: it is
// wrong there, in as many apps as take it.
func (ev *evaluated) defaultAt(o *object, path typed.Path) (at token.Pos, found bool) {
	text, _ := scalarAt(o.Object, path)
	if text == "" {
		return token.NoPos, false
	}
	for w := range ev.wordsBelow("defaults") {
		if len(w.path) > 2 && w.path[0] == fieldEnvironment && w.path[1] == "defaults" && !w.isLabel && w.text == text && akin(w.path[len(w.path)-1], path) {
			at, found = w.pos, true
		}
	}
	return at, found
}

// names says whether a word names an item of a list, as a label or in the field that
// does: what only refers to one of that name, such as to: "user", is not above its fields.
func (p *envPackage) names(pos token.Pos, o *object, path typed.Path) bool {
	labels := p.labelsAt(pos)
	if len(labels) == 0 {
		return true
	}
	label := fmt.Sprint(labels[len(labels)-1])
	text, _ := scalarAt(o.Object, path)
	return label == text || slices.Contains(itemKeys, label)
}

// belowUnit is what of a path of labels stands below the unit: the same in an
// environment and in a list that several share.
func belowUnit(labels typed.Path, u *unit) (typed.Path, bool) {
	name := u.label()
	for i, label := range labels[:len(labels)-1] {
		if label == name {
			return labels[i+1:], true
		}
	}
	return nil, false
}

// label is that of the field that declares the unit.
func (u *unit) label() string {
	if u.group == "base" {
		return u.group
	}
	return u.data.Name
}

// labelsAt are the labels of the fields around a place in the user's files.
func (p *envPackage) labelsAt(pos token.Pos) typed.Path {
	return p.indexed().at[wordPlace{pos.Filename(), pos.Offset()}]
}

// wordAt finds the word of the unit, as the user wrote it, that a field of an object
// repeats: the only one, or the only one below the same names.
func (p *envPackage) wordAt(u *unit, o *object, path typed.Path) (token.Pos, bool) {
	text, isText := scalarAt(o.Object, path)
	if text == "" {
		return token.NoPos, false
	}
	names := namesAlong(o.Object, path)
	var best word
	most, tied := -1, false
	for w := range p.wordsBelow(u.label()) {
		below, ok := belowUnit(w.path, u)
		if !ok || w.text != text || !isText && !akin(w.path[len(w.path)-1], path) || below[0] == "objects" {
			continue
		}
		n := 0
		for _, label := range below {
			if names[fmt.Sprint(label)] {
				n++
			}
		}
		switch {
		case n > most:
			best, most, tied = w, n, false
		case n == most && w.pos != best.pos:
			tied = true
		}
	}
	return best.pos, most >= 0 && !tied
}

// akin says whether a label may be that of a number in an object: port of
// containerPort. Numbers are everywhere.
func akin(label any, path typed.Path) bool {
	name := strings.ToLower(fmt.Sprint(label))
	for _, step := range path[max(0, len(path)-2):] {
		if strings.HasSuffix(strings.ToLower(fmt.Sprint(step)), name) {
			return true
		}
	}
	return false
}

// scalarAt is the text of a scalar of an object, and of the only one of a struct.
func scalarAt(v any, path typed.Path) (text string, isText bool) {
	v = path.In(v)
	if name := tree.Text(tree.Map(v)["name"]); name != "" && len(path) > 0 {
		if _, item := path[len(path)-1].(int); item {
			return name, true
		}
	}
	if m := tree.Map(v); len(m) == 1 {
		for _, inner := range m {
			v = inner
		}
	}
	switch v := v.(type) {
	case string:
		return v, true
	case int64, float64, bool:
		return fmt.Sprint(v), false
	}
	return "", false
}

// namesAlong are the keys of a path in an object and the names of the items of lists
// on it.
func namesAlong(v any, path typed.Path) map[string]bool {
	names := map[string]bool{}
	for _, step := range path {
		switch s := step.(type) {
		case string:
			names[s] = true
			v = tree.Map(v)[s]
		case int:
			items := tree.List(v)
			if s >= len(items) {
				return names
			}
			v = items[s]
			for _, key := range itemKeys {
				if name := tree.Text(tree.Map(v)[key]); name != "" {
					names[name] = true
				}
			}
		}
	}
	return names
}

// recreated finds how many pods may be missing, or be there beyond the number, beside a
// strategy that takes all of them away at once.
func (p *envPackage) recreated(units []*unit) (findings Findings) {
	recreates := func(o *object) bool {
		return o.GetKind() == "Deployment" && tree.At(o.Object, "spec", "strategy", "type") == "Recreate"
	}
	for _, u := range units {
		_, silenced := u.data.Silence["strategy"]
		if u.group != "apps" || silenced || !slices.ContainsFunc(u.objs, recreates) {
			continue
		}
		f := Finding{Environment: p.dir.name, Unit: u.data.Name, literal: true}
		for w := range p.wordsBelow(u.label()) {
			below, ok := belowUnit(w.path, u)
			if !ok || !w.isLabel || len(below) != 2 || below[0] != "strategy" || w.text == "type" {
				continue
			}
			if f.File == "" {
				f.Path = u.path(below)
				p.repo.place(&f, w.pos)
				f.Message = "without effect: Recreate takes all pods away before it makes new ones"
			}
		}
		if f.File != "" {
			f.Rule, f.Warning = "strategy", true
			f.Hint = `take it out, or type: "RollingUpdate"`
			findings = append(findings, f)
		}
	}
	return findings
}

// overruled finds replicas beside an autoscale, which takes over from it. One of a list
// that environments share may be meant for those that have no autoscale.
func (p *envPackage) overruled(units []*unit) (findings Findings) {
	for _, u := range units {
		_, silenced := u.data.Silence["autoscaler"]
		if u.group != "apps" || silenced || !slices.ContainsFunc(u.objs, func(o *object) bool { return o.GetKind() == "HorizontalPodAutoscaler" }) {
			continue
		}
		inFile := map[string]map[string]token.Pos{}
		for w := range p.wordsBelow(u.label()) {
			if below, ok := belowUnit(w.path, u); ok && w.isLabel && len(below) == 1 {
				if inFile[w.pos.Filename()] == nil {
					inFile[w.pos.Filename()] = map[string]token.Pos{}
				}
				inFile[w.pos.Filename()][w.text] = w.pos
			}
		}
		for _, file := range slices.Sorted(maps.Keys(inFile)) {
			at := inFile[file]
			if !at["replicas"].IsValid() || !at["autoscale"].IsValid() {
				continue
			}
			f := Finding{Environment: p.dir.name, Unit: u.data.Name, Path: u.path(typed.Path{"replicas"}), literal: true}
			p.repo.place(&f, at["replicas"])
			f.Rule, f.Warning, f.Message = "autoscaler", true, "without effect: autoscale says how many pods there are"
			findings = append(findings, f)
		}
	}
	return findings
}

// bothBudgets finds maxUnavailable beside minAvailable, which takes its place.
func (p *envPackage) bothBudgets(units []*unit) (findings Findings) {
	for _, u := range units {
		_, silenced := u.data.Silence["disruption-budget"]
		if u.group != "apps" || silenced || !slices.ContainsFunc(u.objs, func(o *object) bool { return o.GetKind() == "PodDisruptionBudget" }) {
			continue
		}
		inFile := map[string]map[string]token.Pos{}
		for w := range p.wordsBelow(u.label()) {
			if below, ok := belowUnit(w.path, u); ok && w.isLabel && len(below) == 2 && below[0] == "disruptionBudget" {
				if inFile[w.pos.Filename()] == nil {
					inFile[w.pos.Filename()] = map[string]token.Pos{}
				}
				inFile[w.pos.Filename()][w.text] = w.pos
			}
		}
		for _, file := range slices.Sorted(maps.Keys(inFile)) {
			at := inFile[file]
			if !at["maxUnavailable"].IsValid() || !at["minAvailable"].IsValid() {
				continue
			}
			f := Finding{Environment: p.dir.name, Unit: u.data.Name, Path: u.path(typed.Path{"disruptionBudget", "maxUnavailable"}), literal: true}
			p.repo.place(&f, at["maxUnavailable"])
			f.Rule, f.Warning, f.Message, f.Hint = "disruption-budget", true, "without effect: minAvailable says how many pods stay", "take one of them out"
			findings = append(findings, f)
		}
	}
	return findings
}

// itemKeys are the fields that name an item of a list.
var itemKeys = []string{"name", "mountPath", "key"} //nolint:gochecknoglobals // a table

// word is a label or a literal in a file; its path ends with the label itself.
type word struct {
	text    string
	path    typed.Path
	pos     token.Pos
	isLabel bool
}

// wordIndex are the words of the user's files, in their order, by where they stand: what
// looks for the place of each of many findings would else read all files for each.
type wordIndex struct {
	words []word
	below map[string][]int // by a label above them
	at    map[wordPlace]typed.Path
}

type wordPlace struct {
	file   string
	offset int
}

// indexed reads the words once.
func (p *envPackage) indexed() *wordIndex {
	p.indexing.Do(func() {
		x := &wordIndex{below: map[string][]int{}, at: map[wordPlace]typed.Path{}}
		for _, file := range p.userFiles() {
			eachWord(file, func(w word) {
				for i, step := range w.path[:len(w.path)-1] {
					if label, ok := step.(string); ok && !slices.Contains(w.path[:i], step) {
						x.below[label] = append(x.below[label], len(x.words))
					}
				}
				x.words = append(x.words, w)
				x.at[wordPlace{file.Filename, w.pos.Offset()}] = w.path
			})
		}
		p.index = x
	})
	return p.index
}

// wordsBelow are the words below a label, in their order.
func (p *envPackage) wordsBelow(label string) iter.Seq[word] {
	return func(yield func(word) bool) {
		x := p.indexed()
		for _, i := range x.below[label] {
			if !yield(x.words[i]) {
				return
			}
		}
	}
}

// eachWord calls fn for the labels and literals of a file.
func eachWord(file *ast.File, fn func(word)) {
	for _, decl := range file.Decls {
		wordsOf(decl, nil, fn)
	}
}

func wordsOf(n ast.Node, path typed.Path, fn func(word)) {
	switch n := n.(type) {
	case *ast.Field:
		label, ok := syntax.Name(n)
		if !ok {
			return // a pattern: what it makes has no place of its own
		}
		at := append(slices.Clip(path), label)
		fn(word{label, at, n.Label.Pos(), true})
		wordsIn(n.Value, at, fn)
	case *ast.EmbedDecl:
		wordsIn(n.Expr, path, fn)
	case *ast.Comprehension:
		wordsIn(n.Value, path, fn)
	}
}

func wordsIn(expr ast.Expr, path typed.Path, fn func(word)) {
	for e := range syntax.Operands(expr) {
		switch n := e.(type) {
		case *ast.StructLit:
			for _, decl := range n.Elts {
				wordsOf(decl, path, fn)
			}
		case *ast.ListLit:
			for i, item := range n.Elts {
				wordsIn(item, append(slices.Clip(path), i), fn)
			}
		case *ast.BasicLit:
			text, err := syntax.Literal(n)
			if err != nil {
				text = n.Value
			}
			if len(path) > 0 {
				fn(word{text, path, n.Pos(), false})
			}
		case *ast.Interpolation:
			if len(path) > 0 {
				fn(word{"", path, n.Pos(), false})
			}
		}
	}
}
