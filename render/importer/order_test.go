package importer

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGapOrder: a patch says the order of a list where it is another one, and only there.
func TestGapOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, have, want, patch string }{
		{
			"the same order",
			`{env: [{name: B, value: "2"}, {name: A, value: "1"}], ports: [{containerPort: 80, name: http, protocol: TCP}], name: c, image: i}`,
			`{env: [{name: B, value: "3"}, {name: A, value: "1"}], ports: [{containerPort: 80}], name: c, image: i}`,
			`{env: [{name: B, value: "3"}], name: c, ports: [{containerPort: 80, name: null}]}`,
		},
		{
			"another order",
			`{env: [{name: A, value: "1"}, {name: B, value: "2"}], name: c, image: i}`,
			`{env: [{name: B, value: "2"}, {name: A, value: "1"}], name: c, image: i}`,
			`{$setElementOrder/env: [{name: B}, {name: A}], name: c}`,
		},
		{
			"one more in front, one less",
			`{env: [{name: A, value: "1"}, {name: B, value: "2"}], name: c, image: i}`,
			`{env: [{name: C, value: "3"}, {name: B, value: "2"}], name: c, image: i}`,
			`{env: [{name: C, value: "3"}, {$patch: delete, name: A}], name: c}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			object := func(container string) Object {
				value, err := decode([]byte(`{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {template: {spec: {containers: [` + container + `]}}}}`))
				if err != nil {
					t.Fatal(err)
				}
				return value.(map[string]any)
			}
			imp := &Import{kinds: builtIn()}
			got, err := imp.gap(object(c.have), object(c.want))
			if err != nil {
				t.Fatal(err)
			}
			containers := list(got, "spec", "template", "spec", "containers")
			want, err := decode([]byte(c.patch))
			if err != nil {
				t.Fatal(err)
			}
			if len(containers) != 1 {
				t.Fatalf("%v", got)
			}
			if diff := cmp.Diff(want, containers[0]); diff != "" {
				t.Errorf("-want +got:\n%s\n%v", diff, got)
			}
		})
	}
}
