package schema

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "k8s.io/apimachinery/pkg/util/json"
)

// objectJSON is the JSON of an Object: the embedded object's own would hide what
// stands beside it.
type objectJSON struct {
	Object   map[string]any `json:"object"`
	Key      string         `json:"key,omitempty"`
	Stage    int            `json:"stage,omitempty"`
	Recreate bool           `json:"recreate,omitempty"`
	Ignore   []string       `json:"ignore,omitempty"`
	Ready    *ReadyRule     `json:"ready,omitempty"`
	Secret   []string       `json:"secret,omitempty"`
	Sealed   bool           `json:"sealed,omitempty"`
}

// MarshalJSON writes the object with its handling, Secrets included: the result is
// for another process of evenkeel.
func (o Object) MarshalJSON() ([]byte, error) {
	return json.Marshal(objectJSON{Object: o.Object, Key: o.Key, Stage: o.Stage, Recreate: o.Recreate, Ignore: o.Ignore, Ready: o.Ready, Secret: o.Secret, Sealed: o.Sealed})
}

// UnmarshalJSON reads what MarshalJSON wrote, integers kept.
func (o *Object) UnmarshalJSON(data []byte) error {
	var form objectJSON
	if err := kjson.Unmarshal(data, &form); err != nil {
		return err
	}
	*o = Object{
		Unstructured: &unstructured.Unstructured{Object: form.Object},
		Key:          form.Key, Stage: form.Stage, Recreate: form.Recreate, Ignore: form.Ignore, Ready: form.Ready,
		Secret: form.Secret, Sealed: form.Sealed,
	}
	return nil
}
