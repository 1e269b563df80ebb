package health

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// FuzzJudge gives Judge objects of any shape: custom resources may put anything
// anywhere. It answers with one of the four states and a rule, and nothing else.
func FuzzJudge(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		for _, c := range readCases(f, file) {
			f.Add([]byte(c.Object))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		obj := &unstructured.Unstructured{}
		if json.Unmarshal(raw, &map[string]any{}) != nil || obj.UnmarshalJSON(raw) != nil {
			t.Skip()
		}
		before, err := obj.MarshalJSON()
		if err != nil {
			t.Skip()
		}
		got := Judge(obj, nil, Related{}, judgedAt())
		if !slices.Contains([]State{Healthy, Progressing, Failed, Unknown}, got.State) || got.Rule == "" {
			t.Errorf("%+v", got)
		}
		if got.State != Healthy && got.Message == "" {
			t.Errorf("%s by rule %s, without a cause", got.State, got.Rule)
		}
		if after, err := obj.MarshalJSON(); err != nil || string(after) != string(before) {
			t.Errorf("the object was changed: %s", after)
		}
	})
}
