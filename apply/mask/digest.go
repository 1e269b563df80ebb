package mask

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// Digest identifies a rendered environment: the same objects, in the same units
// and order, with the same handling, give the same digest. Secret values
// enter it as an HMAC with key, and not at all without one, so that a digest in a
// saved plan or a log tells nothing about them.
func Digest(env *schema.Environment, key []byte) (string, error) {
	sum := sha256.New()
	out := json.NewEncoder(sum)
	for _, unit := range env.Units {
		if err := out.Encode([]any{unit.Name, unit.After}); err != nil {
			return "", err
		}
		for _, obj := range unit.Objects {
			shown := hiddenSecret(obj.Unstructured, marksOf(&obj), key)
			if err := out.Encode([]any{shown.Object, obj.Recreate, obj.Ignore, obj.Ready}); err != nil {
				return "", fmt.Errorf("unit %s: %s: %w", unit.Name, schema.RefOf(obj.Unstructured), err)
			}
		}
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// hiddenSecret replaces the values of a Secret, and those of marked fields, by a
// full-length HMAC.
func hiddenSecret(u *unstructured.Unstructured, marks []Mark, key []byte) *unstructured.Unstructured {
	if !IsSecret(u) && len(marks) == 0 {
		return u
	}
	u = u.DeepCopy()
	hide := func(v any) any {
		if len(key) == 0 {
			return ""
		}
		mac := hmac.New(sha256.New, key)
		fmt.Fprint(mac, v)
		return hex.EncodeToString(mac.Sum(nil))
	}
	for _, m := range marks {
		m.at(u.Object, hide)
	}
	if IsSecret(u) {
		for field := range secretFields() {
			eachLeaf(u.Object[field], hide)
		}
	}
	return u
}
