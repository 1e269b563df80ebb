package record

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

func TestPackKeepsEverything(t *testing.T) {
	env := &schema.Environment{Name: "prod", Namespace: "app", Controllers: []string{"x"}, Units: []schema.Unit{{
		Name: "a", Type: "T", After: []string{"b"}, Timeout: time.Minute,
		Objects: []schema.Object{
			{Unstructured: configMap("app", "c", "k", "v"), Key: "config", Recreate: true, Ignore: []string{"/data/k"}, Ready: &schema.ReadyRule{CEL: "true"}, Secret: []string{"/data/k"}, Sealed: true},
			{Unstructured: &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "s"}, "n": int64(1) << 60,
			}}},
		},
	}}}
	packed, err := Pack(env, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := unpack(packed, revisionLimit)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(env, got); diff != "" {
		t.Errorf("packed and unpacked (-want +got):\n%s", diff)
	}

	packed, err = Pack(env, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, err = unpack(packed, revisionLimit); err != nil {
		t.Fatal(err)
	}
	if n := len(got.Units[0].Objects); n != 1 {
		t.Errorf("without Secrets: %d objects, want the ConfigMap alone", n)
	}
}

func configMap(namespace, name, key, value string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"namespace": namespace, "name": name},
		"data":     map[string]any{key: value},
	}}
}
