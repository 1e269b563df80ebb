package record

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/mask"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Everything that is read from a cluster may have been written by anybody who has
// write in the environment's namespace.

// bomb is what packs small and unpacks to size bytes.
func bomb(t testing.TB, size int) []byte {
	t.Helper()
	var packed bytes.Buffer
	w, err := zstd.NewWriter(&packed, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 1<<20); size > 0; size -= len(block) {
		if _, err := w.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func TestBombs(t *testing.T) {
	stream := bomb(t, revisionLimit+1<<20)
	whole, err := compress(make([]byte, revisionLimit+1)) // names its size in the header
	if err != nil {
		t.Fatal(err)
	}
	for name, packed := range map[string][]byte{
		"a stream": stream, "a whole": whole, "two frames": append(bomb(t, revisionLimit), bomb(t, revisionLimit)...),
	} {
		if _, _, err := unpack(packed, revisionLimit); err == nil || !strings.Contains(err.Error(), "more than 64 MiB") {
			t.Errorf("%s of %d bytes as a revision: %v", name, len(packed), err)
		}
		if members, err := unpackMembers(base64.StdEncoding.EncodeToString(packed)); err == nil || members != nil {
			t.Errorf("%s of %d bytes as members: %d of them, %v", name, len(packed), len(members), err)
		}
	}
	if raw, err := decompress(bomb(t, revisionLimit), revisionLimit); err != nil || len(raw) != revisionLimit {
		t.Errorf("what is just small enough: %d bytes, %v", len(raw), err)
	}
}

// TestSmallValues unpacks records of the smallest values there are: decoded they would be a
// hundred times the size. What an environment of 10,000 apps has is read.
func TestSmallValues(t *testing.T) {
	pack := func(text string) []byte {
		t.Helper()
		packed, err := compress([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return packed
	}
	allocated := func(do func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		do()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	const most = 256 << 20
	for name, text := range map[string]string{
		"empty members": "[" + strings.Repeat("{},", membersLimit/3-2) + "{}]",
		"no members":    "[" + strings.Repeat("null,", membersLimit/5-2) + "{}]",
		"short members": "[" + strings.Repeat(`{"kind":"A","name":"a"},`, membersLimit/24-2) + "{}]",
	} {
		packed := base64.StdEncoding.EncodeToString(pack(text))
		if n := allocated(func() {
			if members, err := unpackMembers(packed); err == nil || members != nil {
				t.Errorf("%s: %d are read, %v", name, len(members), err)
			}
		}); n > most {
			t.Errorf("%s: %d MiB are allocated", name, n>>20)
		}
	}
	for name, text := range map[string]string{
		"units":   `{"units":[` + strings.Repeat("{},", revisionLimit/3-20) + `{}]}`,
		"objects": `{"units":[{"objects":[{"a":[` + strings.Repeat("[],", revisionLimit/3-40) + `[]]}]}]}`,
		"maps":    `{"units":[{"objects":[{"a":[` + strings.Repeat(`{"a":0},`, revisionLimit/8-40) + `0]}]}]}`,
		"numbers": `{"units":[{"objects":[{"a":[` + strings.Repeat(`0,`, revisionLimit/2-40) + `0]}]}]}`,
	} {
		packed := pack(text)
		if n := allocated(func() {
			if env, _, err := unpack(packed, revisionLimit); !errors.As(err, new(tooMany)) {
				t.Errorf("%s: read as %v, %v", name, env != nil, err)
			}
		}); n > most {
			t.Errorf("%s: %d MiB are allocated", name, n>>20)
		}
	}
	members := make([]schema.Ref, 50_000)
	for i := range members {
		members[i] = schema.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "dev", Name: fmt.Sprint("web-", i)}
	}
	packed, err := PackMembers(members)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := unpackMembers(packed); err != nil || len(got) != len(members) {
		t.Errorf("%d of %d members are read, %v", len(got), len(members), err)
	}
}

// TestBelieved leaves out Secrets that are no parts of the environment's revisions.
func TestBelieved(t *testing.T) {
	secret := func(name, number, part string) metav1.PartialObjectMetadata {
		return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{labelRevision: number, labelPart: part}}}
	}
	own := func(number, part int) metav1.PartialObjectMetadata {
		return secret(revisionName("dev", number, part), fmt.Sprint(number), fmt.Sprint(part))
	}
	for _, test := range []struct {
		name    string
		secrets []metav1.PartialObjectMetadata
		want    string
		newest  int
	}{
		{name: "a small number that hides none", secrets: []metav1.PartialObjectMetadata{own(1, 0), own(5000, 0)}, want: "1.0 5000.0", newest: 5000},
		{name: "a number far ahead of the newest", secrets: []metav1.PartialObjectMetadata{own(5000, 0), own(5001, 0), own(7000, 0)}, want: "5000.0 5001.0", newest: 5000},
		{name: "in order", secrets: []metav1.PartialObjectMetadata{own(10, 0), own(9, 1), own(9, 0)}, want: "9.0 9.1 10.0"},
		{name: "the largest number", secrets: []metav1.PartialObjectMetadata{own(7, 0), own(math.MaxInt64, 0)}, want: "7.0"},
		{name: "a number far ahead", secrets: []metav1.PartialObjectMetadata{own(7, 0), own(NumberLimit, 0)}, want: "7.0"},
		{name: "a negative number", secrets: []metav1.PartialObjectMetadata{own(7, 0), own(-7, 0)}, want: "7.0"},
		{name: "zero", secrets: []metav1.PartialObjectMetadata{own(0, 0)}, want: ""},
		{name: "leading zeros", secrets: []metav1.PartialObjectMetadata{own(7, 0), secret("evenkeel-dev.r07.0", "07", "0")}, want: "7.0"},
		{name: "a plus", secrets: []metav1.PartialObjectMetadata{secret("evenkeel-dev.r7.0", "+7", "0")}, want: ""},
		{name: "no number", secrets: []metav1.PartialObjectMetadata{secret("evenkeel-dev.rx.0", "x", "0")}, want: ""},
		{name: "too large for a number", secrets: []metav1.PartialObjectMetadata{secret("evenkeel-dev.r99999999999999999999.0", "99999999999999999999", "0")}, want: ""},
		{name: "no part", secrets: []metav1.PartialObjectMetadata{secret("evenkeel-dev.r7.0", "7", "")}, want: ""},
		{name: "a part beyond the limit", secrets: []metav1.PartialObjectMetadata{own(7, partsLimit)}, want: ""},
		{name: "somebody's Secret with the labels", secrets: []metav1.PartialObjectMetadata{secret("database", "1", "0")}, want: ""},
		{name: "another environment's name", secrets: []metav1.PartialObjectMetadata{secret("evenkeel-prod.r7.0", "7", "0")}, want: ""},
		{name: "another number in the name", secrets: []metav1.PartialObjectMetadata{secret("evenkeel-dev.r8.0", "7", "0")}, want: ""},
	} {
		var got []string
		for _, p := range believed("dev", test.secrets, test.newest) {
			got = append(got, fmt.Sprintf("%d.%d", p.number, p.part))
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func testMeta(t testing.TB, change func(*Revision)) string {
	t.Helper()
	r := &Revision{Number: 7, Parts: 1, Rendered: "sha256:" + strings.Repeat("0a", 32), Git: GitInfo{Commit: "0123abcd"}}
	change(r)
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestReadMeta(t *testing.T) {
	for name, meta := range map[string]string{
		"another number":         testMeta(t, func(r *Revision) { r.Number = 8 }),
		"no parts":               testMeta(t, func(r *Revision) { r.Parts = 0 }),
		"negative parts":         testMeta(t, func(r *Revision) { r.Parts = -5 }),
		"a billion parts":        testMeta(t, func(r *Revision) { r.Parts = 1e9 }),
		"no digest":              testMeta(t, func(r *Revision) { r.Rendered = "" }),
		"a command for a commit": testMeta(t, func(r *Revision) { r.Git.Commit = "$(reboot)" }),
		"a list":                 "[]", "nothing": "null", "text": `"7"`, "no JSON": "{", "a text for the number": `{"number":"7"}`,
		"more than a number": `{"number":1e400}`,
	} {
		if r, err := readMeta(meta, 7); err == nil {
			t.Errorf("%s: %s is read as %+v", name, meta, r)
		}
	}
	if _, err := readMeta(testMeta(t, func(*Revision) {}), 7); err != nil {
		t.Error(err)
	}
}

// TestUnpackRefuses refuses manifests that no apply can have recorded, and that
// would crash or stop one.
func TestUnpackRefuses(t *testing.T) {
	object := `{"object":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}}`
	for name, raw := range map[string]string{
		"nothing":                  `null`,
		"two units of a name":      `{"units":[{"name":"a"},{"name":"a"}]}`,
		"a unit behind itself":     `{"units":[{"name":"a","after":["a"]}]}`,
		"a circle":                 `{"units":[{"name":"a","after":["b"]},{"name":"b","after":["a"]}]}`,
		"no object":                `{"units":[{"name":"a","objects":[{}]}]}`,
		"an object that is null":   `{"units":[{"name":"a","objects":[{"object":null}]}]}`,
		"an object without a name": `{"units":[{"name":"a","objects":[{"object":{"apiVersion":"v1","kind":"ConfigMap","metadata":{}}}]}]}`,
		"a kind that is a number":  `{"units":[{"name":"a","objects":[{"object":{"apiVersion":"v1","kind":1,"metadata":{"name":"a"}}}]}]}`,
		"metadata that is a list":  `{"units":[{"name":"a","objects":[{"object":{"apiVersion":"v1","kind":"A","metadata":["name"]}}]}]}`,
		"a namespace as a list":    `{"units":[{"name":"a","objects":[{"object":{"apiVersion":"v1","kind":"A","metadata":{"name":"a","namespace":[]}}}]}]}`,
		"no end of waiting":        `{"units":[{"name":"a","timeout":9223372036854775807}]}`,
		"less than no waiting":     `{"units":[{"name":"a","timeout":-1}]}`,
		"units that are a map":     `{"units":{}}`,
	} {
		packed, err := compress([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		if env, _, err := unpack(packed, revisionLimit); err == nil && (env.Name != "" || len(env.Units) > 0) {
			t.Errorf("%s: %s is read as %+v", name, raw, env)
		}
	}
	packed, err := compress([]byte(`{"name":"dev","units":[{"name":"b","after":["a","gone"],"objects":[` + object + `]},{"name":"a"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := unpack(packed, revisionLimit); err != nil {
		t.Error(err)
	}
}

// TestAbsurdNotes believes no note for ever, and reads anything.
func TestAbsurdNotes(t *testing.T) {
	now := time.Now()
	for name, text := range map[string]string{
		"for ever": `{"web":{"workload":"Deployment/web","replicas":0,"until":"9999-12-31T23:59:59Z"}}`,
		"over":     `{"web":{"until":"2001-01-01T00:00:00Z"}}`,
		"null":     "null", "a list": "[]", "no JSON": "{", "a text": `{"web":"x"}`, "no time": `{"web":{"until":"tomorrow"}}`,
	} {
		scaled := ScaledIn(notedBy(annotationScaled, text), now)
		if len(scaled) > 0 {
			t.Errorf("%s: %v", name, scaled)
		}
		scaled["another"] = Scaled{} // a note is added to what is there
	}
	text := fmt.Sprintf(`{"web":{"until":%q}}`, now.Add(time.Hour).Format(time.RFC3339))
	if scaled := ScaledIn(notedBy(annotationScaled, text), now); len(scaled) != 1 {
		t.Errorf("an honest one is not read: %s", text)
	}
}

func notedBy(annotation, text string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetAnnotations(map[string]string{annotation: text})
	return u
}

func FuzzMembers(f *testing.F) {
	packed, err := PackMembers([]schema.Ref{{APIVersion: "v1", Kind: "ConfigMap", Namespace: "dev", Name: "a"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Add(base64.StdEncoding.EncodeToString(bomb(f, 1<<20)))
	f.Add("KLUv/QQAAQAAW10=")
	f.Fuzz(func(t *testing.T, packed string) {
		members, err := unpackMembers(packed)
		if err != nil && members != nil {
			t.Errorf("%d members and %v", len(members), err)
		}
		for _, m := range members {
			_, _ = m.ID(), m.GVK()
		}
	})
}

// FuzzState reads the other values of the state.
func FuzzState(f *testing.F) {
	f.Add(packMap(map[string]string{"ConfigMap/dev/a": "0"}), []byte(`{"{\"kind\":\"Secret\"}":[]}`))
	f.Add("bnVsbA==", []byte("null"))
	f.Add("", []byte(`{"{}":[[""],[".a",""],[".a","*","",".b"],null]}`))
	f.Fuzz(func(_ *testing.T, receipts string, marked []byte) {
		unpackMap(receipts)["a"] = "written to"
		for _, m := range unpackMarked(marked) {
			u := &unstructured.Unstructured{Object: map[string]any{"a": []any{map[string]any{"b": "c"}}}}
			masker := mask.New(nil, map[schema.ID][]mask.Mark{schema.IDOf(u): m.Marks}, &mask.Redactor{})
			masker.Object(u)
			masker.MayQuote(u, []string{"a"})
		}
	})
}

func FuzzMeta(f *testing.F) {
	f.Add(testMeta(f, func(*Revision) {}), "7")
	f.Add(`{"number":7,"parts":-5,"who":"\u001b[2J"}`, "007")
	f.Add("null", "9223372036854775807")
	f.Fuzz(func(t *testing.T, meta, number string) {
		n, ok := Canonical(number, NumberLimit)
		if ok && fmt.Sprint(n) != number {
			t.Errorf("%q is read as %d", number, n)
		}
		if r, err := readMeta(meta, n); err == nil {
			if r.Parts < 1 || r.Parts > partsLimit || r.Number != n {
				t.Errorf("%+v", r)
			}
			if _, err := json.Marshal(r); err != nil {
				t.Error(err)
			}
			_ = r.String()
		}
	})
}

// FuzzParent reads the annotations of a parent; what is written from it reads the
// same.
func FuzzParent(f *testing.F) {
	env := &schema.Environment{Name: "dev", Namespace: "dev"}
	f.Add("ConfigMap:dev;Deployment.apps:dev,other", "ConfigMap,Deployment.apps", "other")
	f.Add(";:;:,;a:", ",,", "kube-system")
	f.Fuzz(func(t *testing.T, places, kinds, namespaces string) {
		live := &unstructured.Unstructured{Object: map[string]any{}}
		live.SetAnnotations(map[string]string{AnnotationPlaces: places, AnnotationKinds: kinds, AnnotationNamespaces: namespaces})
		s := (&Parent{Env: env, Live: live}).Scope()
		live.SetAnnotations(s.annotations(env.Namespace))
		if again := (&Parent{Env: env, Live: live}).Scope(); len(again) != len(s) {
			t.Errorf("%v is read as %v", s, again)
		}
	})
}

func FuzzNotes(f *testing.F) {
	f.Add(`{"web":{"workload":"Deployment/web","replicas":3,"until":"2026-11-21T10:00:00Z","by":"a"}}`)
	f.Add("null")
	f.Fuzz(func(_ *testing.T, text string) {
		ScaledIn(notedBy(annotationScaled, text), time.Now())["a"] = Scaled{}
		NotesIn[Paused](notedBy(AnnotationPaused, text), AnnotationPaused)["a"] = Paused{}
		for _, f := range NotesIn[Fight](notedBy(annotationFights, text), annotationFights) {
			_ = f.Until.Format(time.RFC3339)
		}
	})
}

// TestSpans counts the time of a revision only where the next one is signed too: who may
// delete revisions, or write one between, must not make one last longer.
func TestSpans(t *testing.T) {
	at := func(minute int) time.Time { return time.Unix(int64(minute)*60, 0) }
	history := func(numbers ...int) []Revision { // negative: not signed
		var all []Revision
		for _, n := range slices.Backward(numbers) {
			all = append(all, Revision{Number: max(n, -n), Time: at(max(n, -n)), Authenticated: n > 0})
		}
		return all
	}
	for name, tt := range map[string]struct {
		history []Revision
		newest  int
		want    map[int]span
	}{
		"all":               {history(1, 2, 3), 3, map[int]span{1: {at(1), at(2)}, 2: {at(2), at(3)}, 3: {from: at(3)}}},
		"one is gone":       {history(1, 3), 3, map[int]span{3: {from: at(3)}}},
		"one is forged":     {history(1, -2, 3), 3, map[int]span{3: {from: at(3)}}},
		"the newest gone":   {history(1, 2), 3, map[int]span{1: {at(1), at(2)}}},
		"the newest forged": {history(1, 2, -3), 3, map[int]span{1: {at(1), at(2)}}},
		"newest not known":  {history(1, 2), 0, map[int]span{1: {at(1), at(2)}, 2: {from: at(2)}}},
		"nothing signed":    {history(-1, -2), 0, map[int]span{}},
	} {
		if got := spans(tt.history, tt.newest); !maps.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
