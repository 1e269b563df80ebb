package record_test

import (
	"testing"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/mask"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// FuzzRevision reads forged revisions, and does with them what a rollback does.
func FuzzRevision(f *testing.F) {
	f.Add([]byte(`{"name":"dev","namespace":"dev","units":[{"name":"web","after":["db"],"timeout":1000000000,"objects":[
		{"object":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"dev"}},"ready":{},"secret":["data"]}]}]}`))
	f.Add([]byte(`{"units":[{"name":"a"},{"name":"a"}]}`))
	f.Add([]byte(`{"units":[{"name":"a","objects":[{"object":{"apiVersion":"v1","kind":"A","metadata":{"name":"a","labels":{"a":1},"annotations":[]}}}]}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, _, _ = record.UnpackForged(raw)
		packed, err := record.Compress(raw)
		if err != nil {
			t.Fatal(err)
		}
		env, _, err := record.UnpackForged(packed)
		if err != nil {
			return
		}
		if err := record.Runnable(env); err != nil {
			t.Error(err)
		}
		back := (&record.Revision{Environment: env}).Restored(&schema.Environment{Name: "dev", Namespace: "dev"})
		if _, err := mask.Digest(back, nil); err != nil {
			t.Error(err)
		}
		apply.Compare(&schema.Environment{}, back)
		record.ScopeOf(back)
	})
}
