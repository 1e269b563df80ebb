package render

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// WriteOptions say what of an environment is written.
type WriteOptions struct {
	// Secrets includes objects of kind Secret; without it they are left out, and
	// the number of them is returned.
	Secrets bool
	// Units selects units by name; none means all.
	Units []string
}

// WriteYAML writes the objects as a multi-document stream, in apply order, the
// keys sorted: the same environment gives the same bytes. It returns the number
// of Secrets that were left out.
func WriteYAML(w io.Writer, env *schema.Environment, opts WriteOptions) (omitted int, err error) {
	out := bufio.NewWriter(w)
	omitted, err = eachObject(env, opts, func(o schema.Object) error {
		data, err := yaml.Marshal(o.Object)
		if err != nil {
			return fmt.Errorf("%s %s: %w", o.GetKind(), o.GetName(), err)
		}
		out.WriteString("---\n") // the error stays in the writer until Flush
		out.Write(data)
		return nil
	})
	if err != nil {
		return omitted, err
	}
	return omitted, out.Flush()
}

// WriteJSON writes the objects as one v1 List. It returns the number of Secrets
// that were left out.
func WriteJSON(w io.Writer, env *schema.Environment, opts WriteOptions) (omitted int, err error) {
	items := []any{}
	omitted, err = eachObject(env, opts, func(o schema.Object) error {
		items = append(items, o.Object)
		return nil
	})
	if err != nil {
		return omitted, err
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return omitted, enc.Encode(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
}

func eachObject(env *schema.Environment, opts WriteOptions, fn func(schema.Object) error) (omitted int, err error) {
	for _, u := range env.Units {
		if !selected(u.Name, opts.Units) {
			continue
		}
		for _, o := range u.Objects {
			if !opts.Secrets && o.GetKind() == "Secret" && o.GetAPIVersion() == "v1" {
				omitted++
				continue
			}
			if err := fn(o); err != nil {
				return omitted, err
			}
		}
	}
	return omitted, nil
}

func selected(name string, names []string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return len(names) == 0
}

