package render_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/seed-428f4edd/evenkeel/render"
)

// TestObjectsShareNothing finds no map or list that two objects of an environment have in
// common: objects are finished at the same time, each in place.
func TestObjectsShareNothing(t *testing.T) {
	for _, dir := range []string{"..", filepath.Join("..", "testdata", "kestrel")} {
		repo, err := render.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		envs, err := repo.Envs(t.Context())
		if err != nil || len(envs) == 0 {
			t.Fatalf("%d environments, %v", len(envs), err)
		}
		for _, env := range envs {
			res, err := repo.Render(t.Context(), env.Name)
			if err != nil {
				t.Fatal(err)
			}
			owner := map[uintptr]string{}
			for _, o := range res.Env.Objects() {
				name := fmt.Sprint(env.Name, ": ", o.GetKind(), " ", o.GetName())
				containers(o.Object, name, func(at uintptr, path string) {
					if other, ok := owner[at]; ok {
						t.Errorf("%s is also in %s", path, other)
					}
					owner[at] = path
				})
			}
		}
	}
}

// containers calls fn for each map and each list with anything in it of a JSON value.
func containers(v any, path string, fn func(at uintptr, path string)) {
	switch v := v.(type) {
	case map[string]any:
		fn(reflect.ValueOf(v).Pointer(), path)
		for key, item := range v {
			containers(item, path+"."+key, fn)
		}
	case []any:
		if len(v) > 0 {
			fn(reflect.ValueOf(v).Pointer(), path)
		}
		for i, item := range v {
			containers(item, fmt.Sprintf("%s[%d]", path, i), fn)
		}
	}
}
