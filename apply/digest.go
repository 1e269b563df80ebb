package apply

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
// and order, with the same handling, give the same digest. Values of Secrets
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
			shown := hiddenSecret(obj.Unstructured, key)
			if err := out.Encode([]any{shown.Object, obj.Recreate, obj.Ignore, obj.Ready}); err != nil {
				return "", fmt.Errorf("unit %s: %s: %w", unit.Name, refOf(obj.Unstructured), err)
			}
		}
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// hiddenSecret replaces the values of a Secret by a full-length HMAC.
func hiddenSecret(u *unstructured.Unstructured, key []byte) *unstructured.Unstructured {
	if !isSecret(u) {
		return u
	}
	u = u.DeepCopy()
	for _, field := range []string{"data", "stringData"} {
		values, _ := u.Object[field].(map[string]any)
		for name, v := range values {
			values[name] = ""
			if len(key) > 0 {
				mac := hmac.New(sha256.New, key)
				fmt.Fprint(mac, v)
				values[name] = hex.EncodeToString(mac.Sum(nil))
			}
		}
	}
	return u
}

// hashOf is a short digest of a JSON value.
func hashOf(v ...any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16]), nil
}
