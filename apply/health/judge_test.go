package health

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	contract "github.com/seed-428f4edd/evenkeel/schema"
)

// judgeCase is one object of testdata/*.yaml with what is expected of it.
type judgeCase struct {
	Name string `json:"name"`
	Want struct {
		State State  `json:"state"`
		Rule  string `json:"rule"`
		// Message is the whole message; a case without one expects none, unless
		// the object is not healthy.
		Message string `json:"message"`
		Log     string `json:"log"`
	} `json:"want"`
	Ready    *contract.ReadyRule `json:"ready"`
	Object   json.RawMessage     `json:"object"`
	Related  []json.RawMessage   `json:"related"`
	NoStatus bool                `json:"noStatus"`
	Silent   bool                `json:"silent"`
	Since    time.Time           `json:"since"`
	Logs     []struct {
		Pod       types.UID `json:"pod"`
		Container string    `json:"container"`
		Restarts  int32     `json:"restarts"`
		Text      string    `json:"text"`
	} `json:"logs"`
}

// judgedAt is the present of all cases.
func judgedAt() time.Time { return time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC) }

func TestJudge(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects := 0
	for _, file := range files {
		cases := readCases(t, file)
		objects += len(cases)
		for _, c := range cases {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml")+"/"+c.Name, func(t *testing.T) {
				got := Judge(readObject(t, c.Object), c.Ready, c.related(t), judgedAt())
				want := Result{State: c.Want.State, Rule: c.Want.Rule, Message: c.Want.Message, Log: c.Want.Log}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		}
	}
	if objects < 150 {
		t.Errorf("%d objects, want at least 150", objects)
	}
}

// The rules that objects are judged by are those that the manual explains.
func TestRulesAreExplained(t *testing.T) {
	manual, err := os.ReadFile("../../docs/health.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, c := range readCases(t, file) {
			if rule := c.Want.Rule; !strings.Contains(string(manual), "`"+rule+"`") && c.Ready == nil {
				t.Errorf("%s: rule %q is not in docs/health.md", file, rule)
			}
		}
	}
}

func readCases(t testing.TB, file string) []judgeCase {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []judgeCase
	if err := yaml.UnmarshalStrict(text, &cases); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return cases
}

func readObject(t *testing.T, raw json.RawMessage) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := obj.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	return obj
}

func (c judgeCase) related(t *testing.T) Related {
	t.Helper()
	r := Related{Since: c.Since, NoStatus: c.NoStatus, Silent: c.Silent, Logs: map[LogKey]string{}}
	for _, raw := range c.Related {
		obj := readObject(t, raw)
		switch obj.GetKind() {
		case "ReplicaSet":
			r.ReplicaSets = append(r.ReplicaSets, typed[appsv1.ReplicaSet](t, obj))
		case "ControllerRevision":
			r.Revisions = append(r.Revisions, typed[appsv1.ControllerRevision](t, obj))
		case "Pod":
			r.Pods = append(r.Pods, typed[corev1.Pod](t, obj))
		case "Event":
			r.Events = append(r.Events, typed[corev1.Event](t, obj))
		case "PersistentVolumeClaim":
			r.Claims = append(r.Claims, typed[corev1.PersistentVolumeClaim](t, obj))
		case "StorageClass":
			r.Classes = append(r.Classes, typed[storagev1.StorageClass](t, obj))
		default:
			t.Fatalf("%s is no related kind", obj.GetKind())
		}
	}
	for _, l := range c.Logs {
		r.Logs[LogKey{Pod: l.Pod, Container: l.Container, Restarts: l.Restarts}] = l.Text
	}
	return r
}

func typed[T any](t *testing.T, obj *unstructured.Unstructured) *T {
	t.Helper()
	out, err := as[T](obj)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
