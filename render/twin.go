package render

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/load"
	"cuelang.org/go/cue/token"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// compareTwin renders the environment with other values in its marked fields, and
// notes in the objects what differs. It says where the values went that cannot be
// hidden there, and where they could not be followed. It returns the twin, nil where
// there is none.
func (p *envPackage) compareTwin(ctx context.Context, h header, units []*unit, values []markedValue) (*evaluated, Findings) {
	literals := p.markedLiterals(values)
	if len(literals)+len(values) == 0 {
		return nil, nil
	}
	var other *evaluated
	var twin []*unit
	for _, change := range otherTexts() {
		if other, twin = p.twin(ctx, h, literals, values, change); twin != nil {
			break
		}
	}
	place := Finding{Environment: p.dir.name}
	p.repo.place(&place, p.marked().values[0].Pos())
	if len(literals) > 0 {
		p.repo.place(&place, literals[0].Pos())
	}
	if twin == nil {
		place.Warning = true
		place.Message = "marked values cannot be followed here: what they become depends on their form"
		place.Hint = "they are hidden where they stand as they are, or encoded; what is computed from them is not"
		return nil, Findings{place}
	}
	c := twinComparison{place: place, findings: p.unfollowed(values, other)}
	for i, u := range units {
		if i >= len(twin) || u.data.Name != twin[i].data.Name || len(u.objs) != len(twin[i].objs) {
			c.cannotHide("which objects there are")
			return other, c.findings
		}
		for j, o := range u.objs {
			c.object(o, twin[i].objs[j])
		}
	}
	return other, c.findings
}

// unfollowed are the marked values that are the same in the twin, and that it follows
// nowhere: what they are made of stands in no literal, and in no file as it is.
func (p *envPackage) unfollowed(values []markedValue, other *evaluated) (findings Findings) {
	theirs := other.markedValues()
	for i, m := range values {
		if len(m.text) < followedLength || i >= len(theirs) || theirs[i].label != m.label || theirs[i].text != m.text {
			continue
		}
		f := Finding{Environment: p.dir.name, Warning: true, Message: "this marked value cannot be followed: it stands nowhere as it is", Hint: "it is hidden as it is, or encoded; what is computed from it is not"}
		p.repo.place(&f, cmp.Or(p.repo.userPos(m.value), p.marked().values[0].Pos()))
		if !slices.ContainsFunc(findings, func(g Finding) bool { return g.File == f.File && g.Line == f.Line && g.Col == f.Col }) {
			findings = append(findings, f)
		}
	}
	return findings
}

// markedLiterals are the literals in the user's files that marked values consist
// of: those that are marked, and those that a marked field refers to.
func (p *envPackage) markedLiterals(values []markedValue) []*ast.BasicLit {
	var found []*ast.BasicLit
	for _, n := range p.marked().values {
		found = append(found, literalsIn(n)...)
	}
	places := map[string]map[int]bool{}
	for _, m := range values {
		for _, pos := range p.repo.sources(m.value, 0) {
			if places[pos.Filename()] == nil {
				places[pos.Filename()] = map[int]bool{}
			}
			places[pos.Filename()][pos.Offset()] = true
		}
	}
	for _, file := range p.userFiles() {
		at := places[file.Filename]
		labels := map[ast.Node]bool{} // which stand where their fields do
		ast.Walk(file, func(n ast.Node) bool {
			if field, ok := n.(*ast.Field); ok {
				labels[field.Label] = true
			}
			if n.Pos().IsValid() && at[n.Pos().Offset()] && !labels[n] {
				switch n.(type) {
				case *ast.BasicLit, *ast.Interpolation, *ast.UnaryExpr:
					found = append(found, literalsIn(n)...)
				}
			}
			return true
		}, nil)
	}
	found = slices.DeleteFunc(found, func(lit *ast.BasicLit) bool { return !p.repo.isUserPos(lit.Pos()) })
	slices.SortStableFunc(found, func(a, b *ast.BasicLit) int { return a.Pos().Compare(b.Pos()) })
	return slices.CompactFunc(found, func(a, b *ast.BasicLit) bool { return a.Pos() == b.Pos() })
}

// sources are the places of the user's files that a value is made from.
func (r *Repo) sources(v cue.Value, depth int) []token.Pos {
	if depth > maxReferences {
		return nil
	}
	var all []token.Pos
	if pos := v.Pos(); r.isUserPos(pos) {
		all = append(all, pos)
	}
	if root, path := v.ReferencePath(); len(path.Selectors()) > 0 {
		if target := root.LookupPath(path); target.Exists() {
			all = append(all, r.sources(target, depth+1)...)
		}
	}
	switch op, args := v.Expr(); op {
	case cue.AndOp, cue.OrOp, cue.AddOp, cue.MultiplyOp, cue.InterpolationOp, cue.CallOp:
		for _, arg := range args {
			all = append(all, r.sources(arg, depth+1)...)
		}
	}
	return all
}

// twin renders the environment with each literal changed; nil where that fails.
func (p *envPackage) twin(ctx context.Context, h header, literals []*ast.BasicLit, values []markedValue, change func(string) string) (*evaluated, []*unit) {
	other, units := p.otherUnits(ctx, literals, values, change)
	if units == nil {
		return nil, nil
	}
	units, off := withoutOff(units)
	units, findings := other.sortUnits(units, off)
	_, sealed := other.seal(h, units)
	findings = slices.Concat(findings, sealed, (&finisher{other, h, units}).finish(ctx))
	if errs, _ := findings.split(); len(errs) > 0 {
		return nil, nil
	}
	return other, units
}

// otherUnits evaluates the environment with each literal changed; nil where that fails.
func (p *envPackage) otherUnits(ctx context.Context, literals []*ast.BasicLit, values []markedValue, change func(string) string) (*evaluated, []*unit) {
	other := p.other(literals, values, change)
	if other == nil {
		return nil, nil
	}
	_, units, err := other.inOne(ctx)
	if err != nil {
		return nil, nil
	}
	return other, units
}

// other is the environment with each literal changed, and values that stand in embedded
// files, not evaluated yet; nil where that fails.
func (p *envPackage) other(literals []*ast.BasicLit, values []markedValue, change func(string) string) *evaluated {
	overlay := map[string]load.Source{}
	for _, file := range p.userFiles() {
		rel, err := filepath.Rel(p.repo.root, file.Filename)
		if err != nil {
			return nil
		}
		data, err := fs.ReadFile(p.repo.fsys, filepath.ToSlash(rel))
		if err != nil {
			return nil
		}
		changed := false
		for _, lit := range slices.Backward(literals) { // the last first: true is shorter than false
			from, to := lit.Pos().Offset(), lit.Pos().Offset()+len(lit.Value)
			if lit.Pos().Filename() != file.Filename || to > len(data) || string(data[from:to]) != lit.Value {
				continue
			}
			changed = true
			data = slices.Replace(data, from, to, []byte(changeLiteral(lit, change))...)
		}
		if changed {
			overlay[file.Filename] = load.FromBytes(data)
		}
	}
	insts, err := p.repo.load([]envDir{p.dir}, overlay)
	if err != nil {
		return nil
	}
	p.repo.embedFrom(insts, newOtherFiles(p.repo.fsys, values, change))
	other := newEvaluated(p.repo, p.dir, insts[0])
	other.thorough = p.thorough
	return other
}

// otherTexts are the ways to change a literal, to be tried in turn: a value may have to
// begin in a certain way.
func otherTexts() []func(string) string { return []func(string) string{otherText, otherEnd} }

// changeLiteral is another literal of the same form, and of the same length unless it
// is a yes or no.
func changeLiteral(lit *ast.BasicLit, change func(string) string) string {
	switch lit.Kind {
	case token.TRUE:
		return "false"
	case token.FALSE:
		return "true"
	case token.STRING:
		return changeUnescaped(lit.Value, change)
	}
	at := strings.LastIndexAny(lit.Value, "0123456789")
	return otherEnd(lit.Value[:at+1]) + lit.Value[at+1:]
}

// changeUnescaped changes a text but for what stands behind a backslash, which keeps its
// meaning.
func changeUnescaped(text string, change func(string) string) string {
	var b strings.Builder
	last := 0
	for _, at := range escape.FindAllStringIndex(text, -1) {
		b.WriteString(change(text[last:at[0]]) + text[at[0]:at[1]])
		last = at[1]
	}
	return b.String() + change(text[last:])
}

var escape = regexp.MustCompile(`\\#*(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|.)`)

// otherText takes another letter for each letter, and another digit for each digit.
func otherText(s string) string { return strings.Map(otherRune, s) }

// otherEnd changes the last letter or digit alone, for values that must begin in a
// certain way.
func otherEnd(s string) string {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] >= utf8.RuneSelf {
			continue
		}
		if r := otherRune(rune(s[i])); r != rune(s[i]) {
			return s[:i] + string(r) + s[i+1:]
		}
	}
	return s
}

// otherRune stays among the hexadecimal digits, and takes no zero for another digit.
func otherRune(r rune) rune {
	switch {
	case r >= '1' && r <= '9':
		return '1' + (r-'0')%9
	case r == '0':
		return '1'
	case r >= 'a' && r <= 'f':
		return 'a' + (r-'a'+1)%6
	case r >= 'g' && r <= 'z':
		return 'g' + (r-'g'+1)%20
	case r >= 'A' && r <= 'F':
		return 'A' + (r-'A'+1)%6
	case r >= 'G' && r <= 'Z':
		return 'G' + (r-'G'+1)%20
	case r >= utf8.RuneSelf && unicode.IsLetter(r) && unicode.IsLetter(r^1):
		return r ^ 1
	}
	return r
}

// twinComparison finds what differs between an object and its twin.
type twinComparison struct {
	place    Finding
	findings Findings
}

func (c *twinComparison) cannotHide(what string) {
	f := c.place
	f.Message = "the value of a marked field decides " + what + ", and that cannot be hidden"
	f.Hint = "take away the mark, or keep the value out of there"
	if !slices.ContainsFunc(c.findings, func(g Finding) bool { return g.Message == f.Message }) {
		c.findings = append(c.findings, f)
	}
}

func (c *twinComparison) object(o, twin *object) {
	if o.GetKind() != twin.GetKind() || o.GetNamespace() != twin.GetNamespace() || o.key != twin.key && !hashSuffix.MatchString(o.key) {
		c.cannotHide("which objects there are")
		return
	}
	if o.GetName() != twin.GetName() && (o.from != nil || !hashSuffix.MatchString(o.GetName())) {
		c.cannotHide("the name of an object")
		return
	}
	o.secret = nil
	if o.GetKind() == "Secret" && o.GetAPIVersion() == "v1" {
		if !reflect.DeepEqual(slices.Sorted(maps.Keys(tree.Map(o.Object["data"]))), slices.Sorted(maps.Keys(tree.Map(twin.Object["data"])))) {
			c.cannotHide("the name of a field")
		}
		return
	}
	c.differ(o.Object, twin.Object, "", &o.secret)
	rolls := "/annotations/" + schema.PointerToken(schema.AnnotationConfigHash) // made of much, and shortened
	o.secret = slices.DeleteFunc(o.secret, func(at string) bool { return at == "/metadata/name" || strings.HasSuffix(at, rolls) })
}

// hashSuffix ends the names that kustomize generates from the content.
var hashSuffix = regexp.MustCompile(`-[a-z0-9]{10}$`)

func (c *twinComparison) differ(v, other any, at string, to *[]string) {
	switch v := v.(type) {
	case map[string]any:
		o, ok := other.(map[string]any)
		if !ok || !reflect.DeepEqual(slices.Sorted(maps.Keys(v)), slices.Sorted(maps.Keys(o))) {
			c.cannotHide("the name of a field")
			return
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			c.differ(v[key], o[key], at+"/"+schema.PointerToken(key), to)
		}
	case []any:
		o, ok := other.([]any)
		if !ok || len(o) != len(v) {
			c.cannotHide("the length of a list")
			return
		}
		for i, item := range v {
			c.differ(item, o[i], at+"/"+strconv.Itoa(i), to)
		}
	default:
		if fmt.Sprint(v) != fmt.Sprint(other) {
			*to = append(*to, at)
		}
	}
}
