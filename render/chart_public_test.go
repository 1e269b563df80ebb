package render_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/internal/program"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
)

// TestPublicCharts holds charts that people use against helm template, as TestChartParity
// does with those written for it: EVENKEEL_CHARTS names a directory of unpacked charts, with
// their sub-charts in charts/. NAME.yaml beside a chart has the values without which it says
// nothing. Printed is a line for each; an object that one side alone has, or a field of it
// that is not made of chance, fails.
func TestPublicCharts(t *testing.T) {
	dir := os.Getenv("EVENKEEL_CHARTS")
	if dir == "" {
		t.Skip("EVENKEEL_CHARTS names no directory of charts")
	}
	charts, err := filepath.Glob(filepath.Join(dir, "*", "Chart.yaml"))
	if err != nil || len(charts) == 0 {
		t.Fatalf("%d charts in %s: %v", len(charts), dir, err)
	}
	helm := buildHelm(t)
	for _, file := range charts {
		name := filepath.Base(filepath.Dir(file))
		t.Run(name, func(t *testing.T) {
			p := publicChart{root: shop(t, &txtar.Archive{})}
			if err := os.CopyFS(filepath.Join(p.root, "chart"), os.DirFS(filepath.Dir(file))); err != nil {
				t.Fatal(err)
			}
			values := "{}"
			if text, err := os.ReadFile(filepath.Join(dir, name+".yaml")); err == nil {
				data, err := yaml.YAMLToJSON(text)
				if err != nil {
					t.Fatal(err)
				}
				values = string(data)
			}
			p.compare(t, helm, values)
		})
	}
}

// publicChart is a chart in a repository of its own.
type publicChart struct {
	root  string
	unit  []string // what the unit says beside the chart
	notes []string // what had to be said to it, and what differs
}

func (p *publicChart) compare(t *testing.T, helm, values string) {
	file := filepath.Join(p.root, "values.json")
	if err := os.WriteFile(file, []byte(values), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := program.Command(t.Context(), helm, templateArgs("--values", file)...)
	cmd.Dir = p.root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	manifests, err := cmd.Output()
	if err != nil {
		t.Fatalf("helm refuses: %s", stderr.String())
	}
	unitEnv(t, p.root, "theirs", "extraObjects: "+chartObjects(t, hookless.ReplaceAll(manifests, nil))+"\n")
	ours, err := p.render(t, values)
	if err != nil {
		t.Fatalf("evenkeel refuses: %v", err)
	}
	theirs, err := docsOf(t, p.root, "theirs")
	if err != nil {
		t.Fatalf("what helm makes is refused: %v", err)
	}
	var differ []string
	for _, key := range slices.Sorted(maps.Keys(union(ours, theirs))) {
		a, inTheirs := theirs[key]
		b, inOurs := ours[key]
		switch {
		case !inOurs:
			differ = append(differ, "only helm: "+key)
		case !inTheirs:
			differ = append(differ, "only evenkeel: "+key)
		default:
			for _, path := range differing("", a, b) {
				if len(p.unit) > 0 && ofChance.MatchString(key+path) {
					t.Logf("of chance: %s %s", key, path)
					continue
				}
				differ = append(differ, key+" "+path)
			}
		}
	}
	t.Logf("%d objects; %s", len(ours), strings.Join(p.notes, "; "))
	for _, d := range differ {
		t.Error(d)
	}
}

// ofChance are fields that a chart makes of random values and of the time.
var ofChance = regexp.MustCompile(`^Secret/.*\.data\.|\.annotations\.checksum/|\.caBundle$`)

// render renders the chart, and says what it asks for.
func (p *publicChart) render(t *testing.T, values string) (map[string]any, error) {
	t.Helper()
	for range 30 {
		unitEnv(t, p.root, "ours", strings.Join(p.unit, "\n"))
		file := filepath.Join(p.root, "envs", "ours", "env.cue")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		chart := "stacks: unit: schema.#Chart & {\nchart: \"chart\"\nvalues: " + values + "\n"
		text = bytes.Replace(text, []byte("apps: unit: schema.#Objects & {"), []byte(chart), 1)
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
		docs, err := docsOf(t, p.root, "ours")
		if err == nil || !p.answer(err) {
			return docs, err
		}
	}
	return nil, fmt.Errorf("asks without an end")
}

var hookKey = regexp.MustCompile(`hooks: "([^"]+)"`)

// answer says what the refusal asks for.
func (p *publicChart) answer(refusal error) bool {
	text := refusal.Error()
	said := func(line, note string) bool {
		if slices.Contains(p.unit, line) {
			return false
		}
		p.unit, p.notes = append(p.unit, line), append(p.notes, note)
		return true
	}
	if m := hookKey.FindStringSubmatch(text); m != nil {
		return said(fmt.Sprintf("hooks: %q: \"with\"", m[1]), "hook "+m[1])
	}
	if strings.Contains(text, "seed: ") && said(`seed: "kept-out-of-sight" @secret()`, "chance") {
		return true
	}
	return strings.Contains(text, "now: ") && said(`now: "2026-01-31T00:00:00Z"`, "the time")
}

// docsOf are the objects of the unit of an environment by kind and name.
func docsOf(t *testing.T, root, env string) (map[string]any, error) {
	t.Helper()
	repo, err := render.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	res, err := repo.Render(t.Context(), env)
	if err != nil {
		return nil, err
	}
	docs := map[string]any{}
	for _, unit := range res.Env.Units {
		if unit.Name != "unit" {
			continue
		}
		for _, o := range unit.Objects {
			data, err := json.Marshal(o.Object)
			if err != nil {
				t.Fatal(err)
			}
			var doc map[string]any
			if err := json.Unmarshal(data, &doc); err != nil {
				t.Fatal(err)
			}
			for _, meta := range []any{doc["metadata"], tree.At(doc["spec"], "template", "metadata")} {
				delete(tree.Map(tree.At(meta, "annotations")), "evenkeel.dev/config-hash") // of what hooks and pods read
			}
			if labels, ok := doc["metadata"].(map[string]any)["labels"].(map[string]any); ok {
				delete(labels, "applyset.kubernetes.io/part-of") // of the environment's name
			}
			docs[o.GetKind()+"/"+o.GetNamespace()+"/"+o.GetName()] = doc
		}
	}
	return docs, nil
}

func union(a, b map[string]any) map[string]any {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// differing are the paths at which two values are not the same.
func differing(path string, a, b any) []string {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok && !isEmpty(b) {
			return []string{path}
		}
		var paths []string
		for _, key := range slices.Sorted(maps.Keys(union(x, y))) {
			paths = append(paths, differing(path+"."+key, x[key], y[key])...)
		}
		return paths
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return []string{path}
		}
		var paths []string
		for i := range x {
			paths = append(paths, differing(fmt.Sprintf("%s[%d]", path, i), x[i], y[i])...)
		}
		return paths
	}
	if a == b || isEmpty(a) && isEmpty(b) {
		return nil
	}
	return []string{path}
}

func isEmpty(v any) bool {
	m, ok := v.(map[string]any)
	return v == nil || ok && len(m) == 0
}
