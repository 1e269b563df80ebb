package render

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/seed-428f4edd/evenkeel/render/chart"
	"github.com/seed-428f4edd/evenkeel/render/internal/crd"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// typeChart is the type of a unit that a Helm chart makes.
const typeChart = "Chart"

// chartData is what such a unit says of its chart.
type chartData struct {
	chart, version, digest, release, seed, now, repo string

	values      map[string]any
	apiVersions []string
	lookup      []map[string]any
	hooks       map[string]any
	crds        bool
	mirror      bool

	is Chart // what was loaded
}

// Chart is the Helm chart that makes a unit.
type Chart struct {
	Unit          string
	Name, Version string // as its Chart.yaml says
	Repo          string // where it comes from; empty where the unit does not say
}

// Charts are those of the environment, in the order of its units.
func (r *Result) Charts() []Chart { return r.charts }

func chartDataOf(fields map[string]any) *chartData {
	if fields["type"] != typeChart || fields["chart"] == nil {
		return nil
	}
	d := &chartData{
		chart: tree.Text(fields["chart"]), version: tree.Text(fields["version"]), digest: tree.Text(fields["digest"]),
		release: tree.Text(fields["release"]), seed: tree.Text(fields["seed"]), now: tree.Text(fields["now"]), repo: tree.Text(fields["repo"]),
		values: tree.Map(fields["values"]), apiVersions: tree.Texts(fields["apiVersions"]), hooks: tree.Map(fields["hooks"]),
		crds: fields["crds"] != false, mirror: fields["mirror"] != false,
	}
	tree.Each(fields["lookup"], func(_ int, obj map[string]any) { d.lookup = append(d.lookup, obj) })
	return d
}

// chart adds the objects of the unit's chart to those that it has.
func (fin *finisher) chart(ctx context.Context, u *unit) Findings {
	d := u.data.chart
	loaded, err := chart.Load(fin.repo.fsys, d.chart)
	if err != nil {
		return Findings{fin.ofChart(u, err, "chart")}
	}
	if f := fin.otherChart(u, loaded); f != nil {
		return Findings{*f}
	}
	d.is = Chart{Unit: u.data.Name, Name: loaded.Name, Version: loaded.Version, Repo: d.repo}
	var findings Findings
	for _, p := range loaded.Unknown(d.values) {
		findings = append(findings, fin.chartValue(u, p))
	}
	if len(findings) > 0 {
		return findings
	}
	in := chart.Input{
		Release: d.release, Namespace: u.data.Namespace, Values: d.values, KubeVersion: fin.header.KubernetesVersion,
		APIVersions: fin.repo.apiVersions(fin.header, d), Lookup: d.lookup,
	}
	if d.seed != "" { // each unit of each environment has values of its own
		in.Seed = strings.Join([]string{d.seed, fin.header.Name, u.data.Name}, "\x00")
	}
	if in.Now, err = time.Parse(time.RFC3339, cmp.Or(d.now, "0001-01-01T00:00:00Z")); err != nil {
		f := fin.at(u, typed.Path{"now"})
		f.Message, f.Expected, f.Found = "no time", "such as 2026-01-31T00:00:00Z", quote(d.now)
		return Findings{f}
	}
	out, err := loaded.Render(ctx, in)
	if err != nil {
		u.failed = &failedChart{loaded, in, err}
		return nil // said when all units are done: see chartErrors
	}
	if _, silenced := u.data.Silence[lint.RuleChart]; !silenced {
		findings = append(findings, fin.chartWarnings(u, loaded, in, out)...)
		u.later = append(u.later, func() Findings { return fin.ungiven(ctx, u, loaded, in) })
	}
	return append(findings, fin.take(u, out.Objects)...)
}

// chartWarnings are what deserves a look of a chart that rendered.
func (fin *finisher) chartWarnings(u *unit, c *chart.Chart, in chart.Input, out chart.Output) (findings Findings) {
	for _, text := range out.Warnings {
		findings = append(findings, fin.ofChart(u, errors.New(text), "values"))
	}
	for _, p := range c.TextsForSwitches(in.Values) {
		f := fin.chartValue(u, p)
		f.Hint = "write it without quotes"
		findings = append(findings, f)
	}
	if name := path.Join(path.Clean(u.data.chart.chart), "values.yaml"); c.Digest == "" {
		data, _ := fs.ReadFile(fin.repo.fsys, name)
		f := fin.at(u, typed.Path{"chart"})
		if fault, ok := twice(data); ok && fin.repo.inYAML(&f, name, fault) {
			findings = append(findings, f)
		}
	}
	return warnings(findings, lint.RuleChart)
}

// ungiven are the values that templates write and nothing gives.
func (fin *finisher) ungiven(ctx context.Context, u *unit, c *chart.Chart, in chart.Input) (findings Findings) {
	for _, v := range c.Ungiven(ctx, in) {
		if c.Digest != "" && v.DidYouMean == "" { // its makers know what they leave out
			continue
		}
		f := fin.ofChart(u, fmt.Errorf("%s/%s:%d: nothing gives %s, and the template writes nothing in its place", c.Name, v.File, v.Line, v.Value), "chart")
		f.DidYouMean, f.makes = v.DidYouMean, v.Makes
		if f.Line == v.Line {
			f.Col = v.Col
		}
		if f.DidYouMean == "" {
			f.Hint = "give it in values.yaml, or say in the template what stands in its place: | default \"\""
		}
		findings = append(findings, f)
	}
	return warnings(findings, lint.RuleChart)
}

// warnings makes findings those of a rule that stand in nobody's way.
func warnings(findings Findings, rule string) Findings {
	for i := range findings {
		findings[i].Warning, findings[i].Rule = true, rule
	}
	return findings
}

// failedChart is a chart that did not render, and what it was given.
type failedChart struct {
	chart *chart.Chart
	in    chart.Input
	err   error
}

// chartErrors say why charts did not render.
func (fin *finisher) chartErrors(ctx context.Context) (findings Findings) {
	for _, u := range fin.units {
		if u.failed == nil {
			continue
		}
		err := u.failed.err
		if values := fin.markedValues(); len(values) > 0 {
			err = fin.withoutMarked(ctx, u, values)
		}
		if invalid, ok := errors.AsType[*chart.Invalid](err); ok {
			for _, p := range invalid.Problems {
				findings = append(findings, fin.chartValue(u, p))
			}
			continue
		}
		findings = append(findings, fin.ofChart(u, err, "chart"))
	}
	return findings
}

// withoutMarked is what a chart said, without what it makes of marked values: it is
// given others, and what it then says otherwise is left out. Where it cannot be given
// others, no more than the place is left.
func (fin *finisher) withoutMarked(ctx context.Context, u *unit, values []markedValue) error {
	failed := u.failed
	if ctx.Err() != nil {
		return ctx.Err()
	}
	other, ok := fin.otherInput(ctx, u, values)
	if !ok {
		return unsaid(failed.err)
	}
	_, err := failed.chart.Render(ctx, other)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	invalid, isInvalid := errors.AsType[*chart.Invalid](failed.err)
	otherInvalid, otherIsInvalid := errors.AsType[*chart.Invalid](err)
	switch {
	case err == nil || isInvalid != otherIsInvalid:
		return unsaid(failed.err)
	case !isInvalid:
		text := inBoth(failed.err.Error(), err.Error())
		if text == failed.err.Error() {
			return failed.err
		}
		return errors.New(text)
	case len(invalid.Problems) != len(otherInvalid.Problems):
		return unsaid(failed.err)
	}
	said := slices.Clone(invalid.Problems)
	for i, p := range otherInvalid.Problems {
		if !slices.Equal(said[i].Path, p.Path) || said[i].DidYouMean != p.DidYouMean {
			return unsaid(failed.err)
		}
		said[i].Message = inBoth(said[i].Message, p.Message)
	}
	return &chart.Invalid{Problems: said}
}

// otherInput is what the chart of a unit is given where all marked values are others;
// false where one of them stays as it is.
func (fin *finisher) otherInput(ctx context.Context, u *unit, values []markedValue) (chart.Input, bool) {
	in := u.failed.in
	ev, units := fin.otherUnits(ctx, fin.markedLiterals(values), values, otherText)
	if units == nil {
		return in, false
	}
	others := ev.markedValues()
	if len(others) != len(values) {
		return in, false
	}
	for i, v := range values {
		if v.text != "" && others[i].text == v.text {
			return in, false
		}
	}
	i := slices.IndexFunc(units, func(o *unit) bool { return o.group == u.group && o.data.Name == u.data.Name })
	if i < 0 || units[i].data.chart == nil || units[i].data.chart.chart != u.data.chart.chart {
		return in, false
	}
	d := units[i].data.chart
	in.Release, in.Namespace, in.Values, in.Lookup = d.release, units[i].data.Namespace, d.values, d.lookup
	return in, true
}

// unsaid keeps the place of what Helm said of a template.
func unsaid(err error) error {
	if m := templatePlace.FindStringSubmatch(err.Error()); m != nil {
		return errors.New(m[1] + ": what the template says may hold the value of a marked field")
	}
	return errors.New("what it says may hold the value of a marked field")
}

// templatePlace is how the errors of Helm's engine begin.
var templatePlace = regexp.MustCompile(`^(?:execution error at \(|parse error at \()?([\w./-]+:\d+(?::\d+)?)[):]`)

// inBoth is a text with the words in the middle of it left out in which another one
// differs. A word differs as a whole: what two values have in common by chance is left
// out too.
func inBoth(text, other string) string {
	if text == other {
		return text
	}
	a, b := strings.Fields(text), strings.Fields(other)
	from := 0
	for from < min(len(a), len(b)) && a[from] == b[from] {
		from++
	}
	end := 0
	for end < min(len(a), len(b))-from && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	return strings.Join(slices.Concat(a[:from], []string{withheld}, a[len(a)-end:]), " ")
}

// ofChart says what is wrong with the chart of a unit.
func (fin *finisher) ofChart(u *unit, err error, field string) Finding {
	f := fin.at(u, typed.Path{field})
	dir := path.Clean(u.data.chart.chart)
	f.Message = dir + ": " + err.Error()
	if m := unreadable.FindStringSubmatch(err.Error()); m != nil {
		data, _ := fs.ReadFile(fin.repo.fsys, path.Join(dir, m[1]))
		if fault, ok := faultIn(data); ok && fin.repo.inYAML(&f, path.Join(dir, m[1]), fault) {
			return f
		}
	}
	if no, ok := errors.AsType[*chart.NoYAML](err); ok && fin.inTemplate(&f, dir, no) {
		return f
	}
	fin.repo.inFile(&f)
	if refused, ok := errors.AsType[*chart.Refused](err); ok {
		switch refused.Function {
		case "now", "ago", "date", "dateInZone", "htmlDate", "htmlDateInZone", "durationRound":
			f.Hint = "give the unit a time: now: \"2026-01-31T00:00:00Z\""
		default:
			f.Hint = "give what it makes among the values, or what to make it from: seed: \"...\" @secret()"
			if strings.HasPrefix(refused.Function, "gen") && refused.Function != "genPrivateKey" {
				f.Hint += ", and now: \"2026-01-31T00:00:00Z\", from when on certificates are valid"
			}
		}
	}
	return f
}

// unreadable matches what Helm says of a file of a chart that it cannot read.
var unreadable = regexp.MustCompile(`^cannot load (\S+\.ya?ml): `)

// inTemplate leads a finding to the line of a template that makes what is no YAML.
func (fin *finisher) inTemplate(f *Finding, dir string, no *chart.NoYAML) bool {
	fault, ok := faultIn([]byte(no.Text))
	_, name, _ := strings.Cut(no.File, "/")
	data, err := fs.ReadFile(fin.repo.fsys, path.Join(dir, name))
	if !ok || err != nil {
		return false
	}
	line := renderedFrom(string(data), strings.Split(no.Text, "\n")[fault.line-1])
	if line == 0 {
		return false
	}
	was := f.Message
	if !fin.repo.inYAML(f, path.Join(dir, name), yamlFault{line, 1, "this renders to what is no YAML: " + fault.message, fault.hint}) {
		return false
	}
	if len(fin.markedValues()) > 0 {
		f.Message, f.Hint = was, "" // what is said of the text may hold one of them
	}
	return true
}

// otherChart finds that the chart is not the one that the unit asks for.
func (fin *finisher) otherChart(u *unit, c *chart.Chart) *Finding {
	d := u.data.chart
	for _, want := range []struct{ field, want, is string }{{"version", d.version, c.Version}, {"digest", d.digest, c.Digest}} {
		if want.want == "" || want.want == want.is {
			continue
		}
		f := fin.at(u, typed.Path{want.field})
		f.Message, f.Expected, f.Found = d.chart+" has another "+want.field, quote(want.want), quote(want.is)
		if want.is == "" {
			f.Message, f.Expected, f.Found = d.chart+" is a directory, and has no digest", "", ""
		}
		return &f
	}
	return nil
}

// valueOf is the value of the unit that its chart made a field of: the only one that says
// the same, and has the name of the field or is a text of some length; nil where there is
// none, or more than one.
func (u *unit) valueOf(o *object, field typed.Path) typed.Path {
	text, _ := scalarAt(o.Object, field)
	if u.data.chart == nil || text == "" || len(field) == 0 {
		return nil
	}
	var found []typed.Path
	var look func(v any, at typed.Path)
	look = func(v any, at typed.Path) {
		switch v := v.(type) {
		case map[string]any:
			for key, inner := range v {
				look(inner, append(slices.Clip(at), key))
			}
		case []any:
			for i, inner := range v {
				look(inner, append(slices.Clip(at), i))
			}
		default:
			const telling = 8
			if fmt.Sprint(v) == text && (len(text) >= telling || at[len(at)-1] == field[len(field)-1] || mixed.MatchString(text)) {
				found = append(found, at)
			}
		}
	}
	look(u.data.chart.values, typed.Path{"values"})
	if len(found) != 1 {
		return nil
	}
	return found[0]
}

// mixed matches a text that hardly stands somewhere else by chance, such as "10 GB".
var mixed = regexp.MustCompile(`^[0-9.]+ ?[A-Za-z]{2,}$|^[A-Za-z]+ [A-Za-z0-9 ]+$`)

// inValues leads a finding to the one value of the chart's own values.yaml that says what
// a field of an object does; false where there is none, or more than one.
func (r *Repo) inValues(f *Finding, u *unit, o *object, field typed.Path) bool {
	text, _ := scalarAt(o.Object, field)
	name := path.Join(path.Clean(u.data.chart.chart), "values.yaml")
	data, err := fs.ReadFile(r.fsys, name)
	if err != nil || len(text) < 3 || len(field) == 0 {
		return false
	}
	var found []*yaml.Node
	var look func(n *yaml.Node)
	look = func(n *yaml.Node) {
		for i, child := range n.Content {
			if child.Kind == yaml.ScalarNode && child.Value == text && (n.Kind != yaml.MappingNode || i%2 == 1) {
				found = append(found, child)
			}
			look(child)
		}
	}
	var doc yaml.Node
	if yaml.Unmarshal(data, &doc) == nil {
		look(&doc)
	}
	if len(found) != 1 {
		return false
	}
	message, hint := f.Message, f.Hint
	if !r.inYAML(f, name, yamlFault{found[0].Line, found[0].Column, "", ""}) {
		return false
	}
	f.Message, f.Hint = message, hint
	return true
}

func (fin *finisher) chartValue(u *unit, p chart.Problem) Finding {
	at := typed.Path{"values"}
	for _, step := range p.Path {
		at = append(at, step)
	}
	f := fin.at(u, at)
	f.Message, f.DidYouMean = p.Message, p.DidYouMean
	if f.DidYouMean == "" {
		f.Hint = "evenkeel chart values " + u.data.chart.chart + " lists the chart's"
	}
	return f
}

// apiVersions are those that .Capabilities has: of the built-in kinds of the
// environment's version of Kubernetes, but for betas, which clusters do not serve by
// themselves; of the folder crds; and those that the unit adds.
func (r *Repo) apiVersions(h header, d *chartData) []string {
	versions := slices.Clone(d.apiVersions)
	versions = append(versions, r.kinds.Served(lint.Minor(h.KubernetesVersion))...)
	shared, _ := r.definitions() // what is wrong with them is said elsewhere
	for _, obj := range shared {
		versions = append(versions, crd.Versions(obj)...)
	}
	slices.Sort(versions)
	return slices.Compact(versions)
}

// take makes objects of the unit of what its chart made.
func (fin *finisher) take(u *unit, made []chart.Object) (findings Findings) {
	d := u.data.chart
	keys := map[string]bool{}
	for _, o := range u.objs {
		keys[o.key] = true
	}
	hooks := hookStages{}
	var tests []string
	for _, m := range made {
		if !d.crds && m.Content["kind"] == crd.Kind && strings.Contains("/"+m.Source, "/crds/") {
			continue
		}
		o := &object{Unstructured: unstructured.Unstructured{Object: m.Content}, maker: "chart"}
		o.key = chartKey(o, keys)
		keys[o.key] = true
		when, err := u.hook(o, m.Hook)
		if err != nil {
			f := fin.at(u, typed.Path{"hooks", o.key})
			f.Object, f.Message = o.ref(), err.Error()
			f.Hint = fmt.Sprintf("say what to do with it: hooks: %q: \"before\", \"after\", \"with\" or \"never\"", o.key)
			findings = append(findings, f)
			continue
		}
		switch when {
		case "test":
			tests = append(tests, o.ref())
			continue
		case "never":
			continue
		case "before", "after":
			asJob(o)
			if o.GetKind() == "Job" && !slices.Contains(u.data.Recreate, o.key) {
				u.data.Recreate = append(u.data.Recreate, o.key)
			}
			hooks.add(o, when, m.Hook.Weight)
		}
		if d.mirror {
			mirrorImages(o.Object, tree.Map(tree.At(fin.header.Site, "images", "mirror")))
		}
		u.objs = append(u.objs, o)
	}
	hooks.number()
	if len(tests) > 0 {
		u.data.left = "left out, as tests or a deletion by Helm alone need it: " + strings.Join(tests, ", ")
	}
	for _, key := range slices.Sorted(maps.Keys(d.hooks)) {
		if !keys[key] {
			f := fin.at(u, typed.Path{"hooks", key})
			f.Message = fmt.Sprintf("the chart makes no object %q", key)
			f.DidYouMean = typed.Closest(key, slices.Sorted(maps.Keys(keys)))
			findings = append(findings, f)
		}
	}
	return findings
}

// chartKey is the key of an object: its kind and name; where two share those, with the
// namespace and the group.
func chartKey(o *object, taken map[string]bool) string {
	key := chart.Key(o.GetKind(), o.GetName())
	for _, more := range []string{o.GetNamespace(), o.GroupVersionKind().Group} {
		if taken[key] && more != "" {
			key = chart.Key(key, more)
		}
	}
	return key
}

// hook says when an object is written: "" with the rest of the unit.
func (u *unit) hook(o *object, hook *chart.Hook) (string, error) {
	if hook == nil {
		return "", nil
	}
	switch chosen := tree.Text(u.data.chart.hooks[o.key]); chosen {
	case "":
	case "with":
		return "", nil
	default:
		return chosen, nil
	}
	var before, after, other []string
	for _, event := range hook.Events {
		switch event {
		case "pre-install", "pre-upgrade":
			before = append(before, event)
		case "post-install", "post-upgrade":
			after = append(after, event)
		case "test", "test-success", "test-failure":
		default:
			other = append(other, event)
		}
	}
	written := slices.Concat(before, after)
	if kind := o.GetKind(); kind != "Job" && kind != "Pod" { // it stays, so it may come first
		switch {
		case len(before) > 0:
			return "before", nil
		case len(after) > 0:
			return "after", nil
		}
		return "test", nil
	}
	switch {
	case len(before) > 0 && len(after) > 0:
		return "", fmt.Errorf("a hook both before and after (%s): an environment has one order, and no first time", strings.Join(written, ", "))
	case len(written) > 0 && len(other) > 0:
		return "", fmt.Errorf("a hook of %s and of %s: evenkeel runs nothing at the latter", strings.Join(written, ", "), strings.Join(other, ", "))
	case len(before) > 0:
		return "before", nil
	case len(after) > 0:
		return "after", nil
	case len(other) > 0:
		return "", fmt.Errorf("a hook of %s: evenkeel runs nothing then", strings.Join(other, ", "))
	}
	return "test", nil
}

// asJob makes a Job of a Pod that runs to its end: a Pod is not run again, and nobody
// looks after it.
func asJob(o *object) {
	if o.GetKind() != "Pod" || o.GetAPIVersion() != "v1" {
		return
	}
	pod := o.Object
	meta := tree.Map(pod["metadata"])
	template := map[string]any{}
	for _, name := range []string{"labels", "annotations"} {
		if v, ok := meta[name]; ok {
			template[name] = v
		}
	}
	spec := tree.Map(pod["spec"])
	if policy := tree.Text(spec["restartPolicy"]); policy == "" || policy == "Always" {
		spec["restartPolicy"] = "Never"
	}
	o.Object = map[string]any{
		"apiVersion": "batch/v1", "kind": "Job", "metadata": meta,
		"spec": map[string]any{"backoffLimit": int64(0), "template": map[string]any{"metadata": template, "spec": spec}},
	}
}

// hookStages puts hooks in the order of their weights, before and after the rest. A
// stage ends with a weight that has something that runs: what does not is not waited for.
type hookStages struct {
	hooks []stagedHook
}

type stagedHook struct {
	o      *object
	after  bool
	weight int
}

func (s *hookStages) add(o *object, when string, weight int) {
	s.hooks = append(s.hooks, stagedHook{o, when == "after", weight})
}

func (s *hookStages) number() {
	for _, after := range []bool{false, true} {
		runs := map[int]bool{}
		for _, h := range s.hooks {
			if h.after == after {
				runs[h.weight] = runs[h.weight] || h.o.GetKind() == "Job"
			}
		}
		stages, stage := map[int]int{}, 0
		weights := slices.Sorted(maps.Keys(runs))
		for _, weight := range weights {
			stages[weight] = stage
			if runs[weight] {
				stage++
			}
		}
		for _, h := range s.hooks {
			switch {
			case h.after != after:
			case after:
				h.o.stage = stages[h.weight] + 1
			default:
				h.o.stage = stages[h.weight] - len(weights)
			}
		}
	}
}

// mirrorImages takes the images of an object to the site's mirror: those of containers,
// fields named image of custom resources, and arguments and variables that are or end
// in the name of one.
func mirrorImages(obj map[string]any, mirror map[string]any) {
	if len(mirror) == 0 || obj["kind"] == "ConfigMap" || obj["kind"] == "Secret" || obj["kind"] == crd.Kind {
		return
	}
	var visit func(v any, inPod bool)
	visit = func(v any, inContainer bool) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				visit(item, inContainer)
			}
		case map[string]any:
			for key, value := range v {
				text, isText := value.(string)
				switch {
				case key == "image" && isText:
					v[key] = mirrored(text, mirror)
				case inContainer && (key == "args" || key == "command"):
					for i, item := range tree.List(value) {
						if arg, ok := item.(string); ok {
							tree.List(value)[i] = mirroredArgument(arg, mirror)
						}
					}
				case inContainer && key == "env":
					tree.Each(value, func(_ int, variable map[string]any) {
						if text, ok := variable["value"].(string); ok {
							variable["value"] = mirroredArgument(text, mirror)
						}
					})
				case key == "data" || key == "annotations" || key == "labels":
				default:
					visit(value, key == "containers" || key == "initContainers")
				}
			}
		}
	}
	visit(obj, false)
}

// mirrored is an image as the site has it; one without a registry is Docker Hub's.
func mirrored(image string, mirror map[string]any) string {
	registry, name, ok := strings.Cut(image, "/")
	if !ok || !strings.ContainsAny(registry, ".:") && registry != "localhost" {
		registry, name = "docker.io", image
		if !ok {
			name = "library/" + image
		}
	}
	prefix := tree.Text(mirror[registry])
	if prefix == "" || prefix == registry || image == "" {
		return image
	}
	return prefix + "/" + name
}

// mirroredArgument takes an image in an argument to the mirror: --image=quay.io/a/b:1.
// Only where the registry is spelt out, as other texts have slashes too.
func mirroredArgument(arg string, mirror map[string]any) string {
	at := strings.LastIndex(arg, "=") + 1
	registry, _, ok := strings.Cut(arg[at:], "/")
	if !ok || tree.Text(mirror[registry]) == "" || !strings.Contains(registry, ".") || strings.ContainsAny(arg[at:], " \n\t,") {
		return arg
	}
	return arg[:at] + mirrored(arg[at:], mirror)
}
