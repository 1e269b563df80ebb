package apply

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/record"
)

// TestHelmRecord marks what Helm stored, loses nothing of it, and believes an object's
// word that it belongs to a release only where the release has it.
func TestHelmRecord(t *testing.T) {
	data := []byte(`{"name":"shop","namespace":"prod","later":{"x":1.5},"info":{"status":"deployed","notes":"n"},"manifest":"---\nkind: ConfigMap\nmetadata: {name: a}\n---\nkind: Role\nmetadata: {name: b, namespace: other}\n"}`)
	h := &helmRecord{data: data, secret: &corev1.Secret{Data: map[string][]byte{}}}
	h.secret.Labels = map[string]string{"status": "deployed", "owner": "helm"}
	secret, err := h.handOver("evenkeel")
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := unpackHelm(secret.Data[helmKey])
	if err != nil {
		t.Fatal(err)
	}
	var before, after map[string]any
	if err := errors.Join(json.Unmarshal(data, &before), json.Unmarshal(unpacked, &after)); err != nil {
		t.Fatal(err)
	}
	info := before["info"].(map[string]any)
	info["status"], info["description"] = pendingUpgrade, "taken over by evenkeel; helm upgrade would undo that"
	a, _ := json.Marshal(before)
	b, _ := json.Marshal(after)
	if !bytes.Equal(a, b) || secret.Labels["status"] != pendingUpgrade || h.secret.Labels["status"] != "deployed" {
		t.Errorf("marked:\n%s\nwant\n%s", b, a)
	}
	h.data = unpacked
	if again, err := h.handOver("evenkeel"); again != nil || err != nil {
		t.Errorf("marked twice: %v", err)
	}

	for _, test := range []struct {
		kind, namespace, name string
		want                  bool
	}{
		{"ConfigMap", "prod", "a", true},
		{"Role", "other", "b", true},
		{"ConfigMap", "tenant", "a", false},
		{"Role", "prod", "b", false},
		{"Secret", "prod", "a", false},
	} {
		o := &unstructured.Unstructured{Object: map[string]any{"kind": test.kind}}
		o.SetNamespace(test.namespace)
		o.SetName(test.name)
		if got := h.wrote(o); got != test.want {
			t.Errorf("%s/%s/%s: %t", test.kind, test.namespace, test.name, got)
		}
	}
}

// TestHelmBomb does not unpack what is too large.
func TestHelmBomb(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	zeros := make([]byte, 1<<20)
	for range helmLimit>>20 + 1 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := unpackHelm([]byte(base64.StdEncoding.EncodeToString(packed.Bytes())))
	if _, ok := errors.AsType[record.TooLarge](err); !ok {
		t.Errorf("got %v", err)
	}
	if _, err := unpackHelm([]byte("%")); err == nil {
		t.Error("not base64 is taken")
	}
}
