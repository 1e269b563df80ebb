package scaffold_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-428f4edd/evenkeel/render/scaffold"
)

// TestSet sets a field in files as people write them: nothing but the literal
// changes, and what is not said as one literal is refused with its place.
func TestSet(t *testing.T) {
	image := scaffold.Setting{Path: []string{"apps", "shop", "image"}, Value: `"shop:2"`}
	for _, test := range []struct {
		name, source, want, refused string
	}{
		{
			name:   "a literal in a struct",
			source: "environment: apps: shop: {\n\timage: \"shop:1\" // of the pipeline\n\thost:  \"shop\"\n}\n",
			want:   "environment: apps: shop: {\n\timage: \"shop:2\" // of the pipeline\n\thost:  \"shop\"\n}\n",
		},
		{
			name:   "a literal on one line, quoted labels, behind a definition",
			source: "environment: schema.#Environment & {apps: {\"shop\": schema.#WebApp & {image: \"shop:1\"}}}\n",
			want:   "environment: schema.#Environment & {apps: {\"shop\": schema.#WebApp & {image: \"shop:2\"}}}\n",
		},
		{
			name:   "not said yet",
			source: "environment: apps: shop: {\n\thost: \"shop\"\n}\n",
			want:   "environment: apps: shop: {\n\thost: \"shop\"\n\timage: \"shop:2\"\n}\n",
		},
		{
			name:    "computed",
			source:  "environment: apps: shop: image: \"shop:\" + tag\ntag: \"1\"\n",
			refused: "dev.cue:2:33: apps.shop.image is not a plain literal of the environment there",
		},
		{
			name:    "twice",
			source:  "environment: apps: shop: image: \"shop:1\"\nenvironment: apps: shop: image: \"shop:1\"\n",
			refused: "apps.shop.image is set in several places: dev.cue:2:33, dev.cue:3:33",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			const head = "package dev\n"
			files := []scaffold.File{{Name: "dev.cue", Data: []byte(head + test.source)}}
			changed, err := scaffold.Set(files, []scaffold.Setting{image})
			if test.refused != "" {
				if err == nil || err.Error() != test.refused {
					t.Fatalf("error %v, want %s", err, test.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(head+test.want, string(changed[0].Data)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			again, err := scaffold.Set(changed, []scaffold.Setting{image})
			if err != nil || len(again) != 0 {
				t.Errorf("set again: %d files changed: %v", len(again), err)
			}
		})
	}
}

// TestCopyEnv copies an environment under another name.
func TestCopyEnv(t *testing.T) {
	files := []scaffold.File{{Name: "envs/test/test.cue", Data: []byte(`package test

environment: {
	name:      "test"
	namespace: "test"
	apps: shop: host: "shop-test"
}
`)}}
	copies, notes, err := scaffold.CopyEnv(files, "test", scaffold.Env{Name: "pre"})
	if err != nil || len(copies) != 1 {
		t.Fatalf("%d files: %v", len(copies), err)
	}
	want := strings.NewReplacer("package test", "package pre", `"test"`, `"pre"`, "shop-test", "shop-pre").Replace(string(files[0].Data))
	if diff := cmp.Diff(want, string(copies[0].Data)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if copies[0].Name != "envs/pre/pre.cue" {
		t.Errorf("the copy is %s", copies[0].Name)
	}
	if diff := cmp.Diff([]string{"apps.shop.host: shop-test becomes shop-pre"}, notes); diff != "" {
		t.Errorf("notes (-want +got)\n%s", diff)
	}
}

// TestCopyEnvForms finds the names in every form in which CUE writes a struct.
func TestCopyEnvForms(t *testing.T) {
	for _, form := range []string{
		`apps: shop: host: "shop-test"`,
		`apps: {shop: {host: "shop-test"}}`,
		`apps: S={shop: host: "shop-test"}`,
		`apps: {shop: host: "shop-test"}...`,
		`apps: {if true {shop: host: "shop-test"}}`,
		`apps: {#shared, {shop: #Shop & ({host: "shop-test"})}}`,
		`apps: shop: hosts: ["shop-test"]`,
	} {
		text := "@experiment(explicitopen)\n\npackage test\n\nenvironment: {\n\tname: \"test\"\n\t" + form + "\n}\n"
		copies, _, err := scaffold.CopyEnv([]scaffold.File{{Name: "envs/test/test.cue", Data: []byte(text)}}, "test", scaffold.Env{Name: "pre"})
		if err != nil || len(copies) != 1 {
			t.Fatalf("%s: %d files: %v", form, len(copies), err)
		}
		if got := string(copies[0].Data); strings.Contains(got, "shop-test") || !strings.Contains(got, "shop-pre") {
			t.Errorf("%s becomes\n%s", form, got)
		}
	}
}

// TestParseField takes KEY=VALUE as a person types it.
func TestParseField(t *testing.T) {
	for _, pair := range []string{"", "=x", "host"} {
		if f, err := scaffold.ParseField(pair); err == nil {
			t.Errorf("%q is taken as %v", pair, f)
		}
	}
}

// TestWriteKeeps never overwrites a file that is there.
func TestWriteKeeps(t *testing.T) {
	dir := t.TempDir()
	first := []scaffold.File{{Name: "a/b.cue", Data: []byte("first")}}
	if kept, err := scaffold.Write(dir, first); err != nil || len(kept) > 0 {
		t.Fatalf("kept %v: %v", kept, err)
	}
	kept, err := scaffold.Write(dir, []scaffold.File{{Name: "a/b.cue", Data: []byte("second")}, {Name: "c.cue", Data: []byte("new")}})
	if err != nil || len(kept) != 1 || kept[0] != "a/b.cue" {
		t.Fatalf("kept %v: %v", kept, err)
	}
}
