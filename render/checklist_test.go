package render_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-428f4edd/evenkeel/render"
)

// assertion is one line of what an operator would look for in a system.
type assertion struct {
	system, says string
	check        check
	// because is why rendered objects cannot show it; in place of check.
	because string
}

// check returns what is wrong, or nothing.
type check func(world) string

// world holds the fields of all objects, as flatten writes them, by
// ENV Kind/name and, for the edge, by ENV Edge/edge.
type world map[string]map[string]string

// TestChecklist holds the worked examples, and testdata/stacks for systems that
// they do not have, to the list of each system.
func TestChecklist(t *testing.T) {
	w := world{}
	w.load(t, "..", "infra", "dev", "test", "pre", "prod", "cloud-infra", "cloud-dev", "cloud-prod")
	w.load(t, filepath.Join("..", "testdata", "stacks"), "systems")
	for _, a := range checklist() {
		switch {
		case (a.check == nil) == (a.because == ""):
			t.Errorf("%s: %s: a check, or why there is none", a.system, a.says)
		case a.check != nil:
			if wrong := a.check(w); wrong != "" {
				t.Errorf("%s: %s: %s", a.system, a.says, wrong)
			}
		}
	}
}

func (w world) load(t *testing.T, dir string, envs ...string) {
	t.Helper()
	repo, err := render.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	results, err := repo.RenderAll(t.Context(), envs)
	if err != nil {
		t.Fatal(err)
	}
	for _, res := range results {
		for _, u := range res.Env.Units {
			for _, o := range u.Objects {
				w[res.Env.Name+" "+o.GetKind()+"/"+o.GetName()] = flatten(o.Object)
			}
		}
		for _, notice := range res.Notices {
			unit, text, _ := strings.Cut(notice, ": ")
			w[res.Env.Name+" Notice/"+unit] = map[string]string{"text": text}
		}
		if res.Edge != nil {
			w[res.Env.Name+" Edge/edge"] = fieldsOf(t, res.Edge)
		}
	}
}

func fieldsOf(t *testing.T, v any) map[string]string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	obj := map[string]any{}
	if err := json.Unmarshal(data, &obj); err != nil {
		t.Fatal(err)
	}
	return flatten(obj)
}

// all is for lines that say several things.
func all(checks ...check) check {
	return func(w world) string {
		for _, c := range checks {
			if wrong := c(w); wrong != "" {
				return wrong
			}
		}
		return ""
	}
}

// is: the field has this value. Container paths begin with ".".
func is(obj, path, want string) check {
	return func(w world) string {
		fields, ok := w[obj]
		if !ok {
			return obj + " is not rendered"
		}
		if got, ok := fields[full(path)]; !ok || got != want {
			return fmt.Sprintf("%s %s is %q, want %q", obj, full(path), got, want)
		}
		return ""
	}
}

// has: a field begins with this path.
func has(obj, path string) check {
	return func(w world) string {
		for got := range w[obj] {
			if strings.HasPrefix(got, full(path)) {
				return ""
			}
		}
		return fmt.Sprintf("%s has no %s", obj, full(path))
	}
}

// hasNot: the object is there, and no field begins with this path.
func hasNot(obj, path string) check {
	return func(w world) string {
		if _, ok := w[obj]; !ok {
			return obj + " is not rendered"
		}
		if has(obj, path)(w) == "" {
			return fmt.Sprintf("%s has %s", obj, full(path))
		}
		return ""
	}
}

// gone: there is no such object.
func gone(obj string) check {
	return func(w world) string {
		if _, ok := w[obj]; ok {
			return obj + " is rendered"
		}
		return ""
	}
}

// every object of an environment whose id holds part passes.
func every(part string, pass func(fields map[string]string) string) check {
	return func(w world) string {
		met := false
		for id, fields := range w {
			if !strings.Contains(id, part) {
				continue
			}
			met = true
			if wrong := pass(fields); wrong != "" {
				return id + ": " + wrong
			}
		}
		if !met {
			return "nothing matches " + part
		}
		return ""
	}
}

// different: the field differs between these objects.
func different(path string, objs ...string) check {
	return func(w world) string {
		seen := map[string]string{}
		for _, obj := range objs {
			value, ok := w[obj][full(path)]
			if !ok {
				return fmt.Sprintf("%s has no %s", obj, full(path))
			}
			if other, ok := seen[value]; ok {
				return fmt.Sprintf("%s and %s have the same %s: %s", other, obj, full(path), value)
			}
			seen[value] = obj
		}
		return ""
	}
}

// claimedOnce: no two Ingresses of these environments have a host and path in common.
func claimedOnce(envs ...string) check {
	return func(w world) string {
		claims := map[string]string{}
		for id, fields := range w {
			env, obj, _ := strings.Cut(id, " ")
			if !slices.Contains(envs, env) || !strings.HasPrefix(obj, "Ingress/") {
				continue
			}
			for path := range fields {
				if !strings.HasPrefix(path, "spec.rules[") || !strings.HasSuffix(path, "].path") {
					continue
				}
				if other, ok := claims[path]; ok {
					return fmt.Sprintf("%s and %s both have %s", other, id, path)
				}
				claims[path] = id
			}
		}
		if len(claims) == 0 {
			return "no Ingress has a path"
		}
		return ""
	}
}

// contains: the field holds this text.
func contains(obj, path, part string) check {
	return func(w world) string {
		if got := w[obj][full(path)]; !strings.Contains(got, part) {
			return fmt.Sprintf("%s %s is %q, want it to hold %q", obj, full(path), got, part)
		}
		return ""
	}
}

// full writes out the pod template: "." stands for the pod, "[" for its containers.
func full(path string) string {
	if strings.HasPrefix(path, "[") {
		return "spec.template.spec.containers" + path
	}
	if strings.HasPrefix(path, ".") {
		return "spec.template.spec" + path
	}
	return path
}

// rightsAreNarrow: no wildcard and no reading of all Secrets.
func rightsAreNarrow(fields map[string]string) string {
	if fields["roleRef.name"] == "cluster-admin" {
		return "binds cluster-admin"
	}
	for path, verbs := range fields {
		if strings.HasPrefix(path, "rules[") && (strings.Contains(verbs, "*") || strings.Contains(path, "/secrets *") || strings.Contains(path, "[*/")) {
			return path + " " + verbs
		}
	}
	return ""
}

// pinned: every image has a tag or a digest that is not latest.
func pinned(fields map[string]string) string {
	for path, image := range fields {
		if strings.HasSuffix(path, "].image") && (strings.HasSuffix(image, ":latest") || !strings.Contains(image[strings.LastIndex(image, "/")+1:], ":")) {
			return image
		}
	}
	return ""
}

// endsInTime: the pause before SIGTERM and Dubbo's own wait fit into the grace period.
func endsInTime(fields map[string]string) string {
	grace, err := strconv.Atoi(fields[full(".terminationGracePeriodSeconds")])
	if err != nil {
		grace = 30
	}
	for path, value := range fields {
		if !strings.HasSuffix(path, "preStop.sleep.seconds") {
			continue
		}
		if pause, err := strconv.Atoi(value); err != nil || pause+10 >= grace {
			return fmt.Sprintf("%s seconds and Dubbo's 10 do not fit into %d", value, grace)
		}
	}
	return ""
}

// servesV1: an Ingress names its class by field, and every path has a type.
func servesV1(fields map[string]string) string {
	if fields["spec.ingressClassName"] == "" {
		return "no ingressClassName"
	}
	if _, ok := fields["metadata.annotations.kubernetes.io/ingress.class"]; ok {
		return "the annotation for the class"
	}
	for path := range fields {
		if strings.HasSuffix(path, "].path") {
			if _, ok := fields[strings.TrimSuffix(path, "path")+"pathType"]; !ok {
				return path + " without pathType"
			}
		}
	}
	return ""
}
