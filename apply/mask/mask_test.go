package mask

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
)

func TestMaskHidesEverySecretValue(t *testing.T) {
	const hidden = "hunter2"
	objects := map[string]string{
		"data":                 "{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {password: aHVudGVyMg==}}",
		"stringData":           "{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {password: hunter2}}",
		"odd type":             "{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {password: {x: hunter2}}}",
		"odd data":             "{apiVersion: v1, kind: Secret, metadata: {name: s}, data: hunter2}",
		"last-applied":         `{apiVersion: v1, kind: Secret, metadata: {name: s, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"data":{"password":"aHVudGVyMg=="}}'}}}`,
		"annotation elsewhere": `{apiVersion: v1, kind: ConfigMap, metadata: {name: s, annotations: {kubectl.kubernetes.io/last-applied-configuration: 'hunter2'}}}`,
	}
	for name, text := range objects {
		t.Run(name, func(t *testing.T) {
			u := applytest.Object(t, text)
			before := u.DeepCopy()
			raw, err := json.Marshal(Masker{key: []byte("k")}.Object(u).Object)
			if err != nil {
				t.Fatal(err)
			}
			for _, leak := range []string{hidden, "aHVudGVyMg"} {
				if strings.Contains(string(raw), leak) {
					t.Errorf("%s holds %s", raw, leak)
				}
			}
			if !managed.Equal(before.Object, u.Object) {
				t.Error("masking changed the object itself")
			}
		})
	}
}

func TestMaskTagsTellEqualityOnly(t *testing.T) {
	m, other := Masker{key: []byte("one")}, Masker{key: []byte("two")}
	first, again, second := m.tag([]byte("a")), m.tag([]byte("a")), m.tag([]byte("b"))
	if first != again || first == second {
		t.Error("tags do not follow values")
	}
	if m.tag([]byte("a")) == other.tag([]byte("a")) {
		t.Error("tags do not depend on the key")
	}
}

func TestMaskErrorWithholdsTheText(t *testing.T) {
	secret := applytest.Object(t, "{apiVersion: v1, kind: Secret, metadata: {name: s}}")
	err := Error(secret, &apierrors.StatusError{ErrStatus: metav1.Status{
		Message: `Secret "s" is invalid: data.password: Invalid value: "hunter2"`,
		Reason:  metav1.StatusReasonInvalid,
		Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{
			Field: "data.password", Type: metav1.CauseTypeFieldValueInvalid, Message: `Invalid value: "hunter2"`,
		}}},
	}})
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("leaks: %s", err)
	}
	if !strings.Contains(err.Error(), "data.password") || !apierrors.IsInvalid(err) {
		t.Errorf("says too little: %s", err)
	}
	plain := errors.New("hunter2")
	if got := Error(applytest.Object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: s}}"), plain); !errors.Is(got, plain) {
		t.Errorf("changed the error of another kind: %s", got)
	}
}
