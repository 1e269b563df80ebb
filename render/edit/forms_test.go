package edit_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/edit"
	"github.com/seed-428f4edd/evenkeel/render/scaffold"
)

// forms says what comes of setting the image of each container of each Deployment of
// testdata/forms.txtar: the field that is set, or a part of what refuses it.
var forms = map[string]string{
	"aliased/aliased":               "apps.aliased.image",
	"based/based":                   "envs/dev/env.cue:11:33: apps.based.image is not a plain literal of the environment there",
	"bent/bent":                     "apps.bent.image says example.org/bent:1, and the container bent runs example.org/other:1",
	"both/both":                     "apps.both.image",
	"braces/braces":                 "apps.braces.image",
	"consumer/consumer":             "apps.consumer.image",
	"elsewhere/elsewhere":           "apps.elsewhere.image",
	"embedded/embedded":             "apps.embedded.image",
	"extra/extra":                   "no field of foreign gives the container extra its image",
	"fixed/fixed":                   "envs/shared/shared.cue:7:37: apps.fixed.image is set there, outside of envs/dev",
	"foreign/foreign":               "apps.foreign.image",
	"fromlist/fromlist":             "envs/shared/shared.cue:6:30: apps.fromlist.image is set there, outside of envs/dev",
	"headlamp/headlamp":             "stacks.headlamp.image",
	"helpers/helpers":               "apps.helpers.image",
	"helpers/log-agent":             "apps.helpers.sidecars.log-agent.image",
	"helpers/migrate":               "apps.helpers.initContainers.migrate.image",
	"helpers/proxy":                 "apps.helpers.sidecars.proxy.image",
	"joined/joined":                 "envs/dev/env.cue:53:36: apps.joined.image is not a plain literal of the environment there",
	"lines/lines":                   "apps.lines.image",
	"metrics-server/metrics-server": "stacks.metrics-server.image",
	"own/main":                      "apps.own.image",
	"pinned/pinned":                 "apps.pinned.image",
	"plain/plain":                   "apps.plain.image",
	"port/port":                     "apps.port.image",
	"provider/provider":             "apps.provider.image",
	"quoted-name/quoted-name":       "apps.quoted-name.image",
	"raw/raw":                       "apps.raw.image",
	"same/same":                     "apps.same.image",
	"same/same2":                    "apps.same.sidecars.same2.image",
	"second/second":                 "apps.second.image",
	"spring/spring":                 "apps.spring.image",
	"tagged/tagged":                 "envs/dev/env.cue:52:36: apps.tagged.image is not a plain literal of the environment there",
	"twice/twice":                   "apps.twice.image is set in several places: envs/dev/env.cue:55:35, envs/dev/env.cue:56:17",
	"worker/worker":                 "apps.worker.image",
}

// TestForms sets images by Deployment and container, in every form in which a source
// says them. What is set is the one literal, and nothing else of the file.
func TestForms(t *testing.T) {
	t.Parallel()
	repo := repository(t)
	results, err := repo.RenderAll(t.Context(), []string{"dev"})
	if err != nil {
		t.Fatal(err)
	}
	summaries, err := repo.Envs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, o := range results[0].Env.Objects() {
		if o.GetKind() != "Deployment" {
			continue
		}
		d, err := edit.FindDeployment(results, o.GetNamespace(), o.GetName())
		if err != nil {
			t.Errorf("%s: %v", o.GetName(), err)
			continue
		}
		for _, container := range d.Containers {
			name := o.GetName() + "/" + container
			want, ok := forms[name]
			if !ok {
				t.Errorf("%s has no line in the table", name)
			}
			seen[name] = true
			for _, image := range []string{"example.org/new:2", "registry.example.org:5000/a/b:v1.2.3-rc_1@sha256:" + strings.Repeat("ab", 32)} {
				set := formOf(t, repo, summaries[0], d, container, image)
				if set != want && (!strings.Contains(want, " ") || !strings.Contains(set, want)) {
					t.Errorf("%s = %s:\n%s\nwant %s", name, image, set, want)
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(forms)) {
		if !seen[name] {
			t.Errorf("%s is no container of a Deployment", name)
		}
	}
}

// formOf is the path that was set, or the error. It holds that nothing else changed.
func formOf(t *testing.T, repo *render.Repo, at render.Summary, d *edit.Deployment, container, image string) string {
	t.Helper()
	target, err := d.Target(container, image)
	if err != nil {
		return err.Error()
	}
	edits, names, err := edit.Find(t.Context(), repo, at.Name, edit.Image, []edit.Target{target})
	if err != nil {
		return err.Error()
	}
	before, after, err := edit.Prepare(repo, at, names, edits)
	if err != nil {
		return err.Error()
	}
	if len(after) != 1 {
		t.Fatalf("%s/%s: %d files changed", d.Name, container, len(after))
	}
	i := slices.IndexFunc(before, func(f scaffold.File) bool { return f.Name == after[0].Name })
	was, is := string(before[i].Data), string(after[0].Data)
	if old := d.Images[container]; strings.Contains(was, old) {
		if cut := strings.Replace(is, image, old, 1); unquoted(cut) != unquoted(was) {
			t.Errorf("%s/%s: more than the image changed:\n%s", d.Name, container, is)
		}
	}
	return edits[0].Path
}

// unquoted evens out how a literal is quoted.
func unquoted(text string) string { return strings.NewReplacer(`#"`, `"`, `"#`, `"`).Replace(text) }

func repository(t *testing.T) *render.Repo {
	t.Helper()
	dir := t.TempDir()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "forms.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	repo, err := render.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}
