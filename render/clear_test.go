package render_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// A Secret in plain text is said at its line, however it is made; what is marked, the
// certificate, what is empty and what a rule is switched off for is not.
func TestSecretInClear(t *testing.T) {
	t.Parallel()
	secret := func(fields string) string {
		return `extraObjects: db: {apiVersion: "v1", kind: "Secret", metadata: name: "db", ` + fields + `}`
	}
	cases := map[string]secretCase{
		"text":      {app: secret(`stringData: pin: "hunter2x"`), says: "apps.web.extraObjects.db.stringData: values of a Secret"},
		"data":      {app: secret(`data: pin: "aHVudGVyMng="`), says: "apps.web.extraObjects.db.data: values of a Secret"},
		"generated": {app: `kustomize: secretGenerator: [{name: "s", literals: ["pin=hunter2x"]}]`, says: "apps.web.kustomize.secretGenerator: values of a Secret"},
		"base": {app: `kustomize: dir: "b"`, says: "b/s.yaml:4:1:", files: "-- b/kustomization.yaml --\nresources: [s.yaml]\n" +
			"-- b/s.yaml --\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {pin: hunter2x}\n"},
		"marked":      {app: secret(`stringData: pin: "hunter2x" @secret()`)},
		"certificate": {app: secret(`stringData: "ca.crt": "a"`)},
		"empty":       {app: secret(`stringData: pin: ""`)},
		"silenced":    {app: secret(`stringData: pin: "hunter2x"`) + "\n\t\tsilence: password: \"of a demo\""},
	}
	warnings, err := repoOf(t, cases).Vet(t.Context(), slices.Sorted(maps.Keys(cases))...)
	if err != nil {
		t.Fatal(err)
	}
	said := map[string][]string{}
	for _, f := range warnings {
		if strings.HasPrefix(f.Message, "values of a Secret") {
			said[f.Environment] = append(said[f.Environment], f.String())
		}
		if form := plantedIn(f.String()); form != "" {
			t.Errorf("%s is said: %s", form, f)
		}
	}
	for name, c := range cases {
		if all := strings.Join(said[name], "\n"); c.says == "" && all != "" || c.says != "" && len(said[name]) != 1 || !strings.Contains(all, c.says) {
			t.Errorf("%s: got %q, want %q once", name, all, c.says)
		}
	}
}
