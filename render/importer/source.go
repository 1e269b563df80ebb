package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/literal"
	cueyaml "cuelang.org/go/encoding/yaml"
	"sigs.k8s.io/yaml"
)

// Source is the CUE text of an import: a file of the environment's package that
// holds its units, and the Secrets that others make.
func (imp *Import) Source(pkg string) ([]byte, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "package %s\n\n", pkg)
	if len(imp.Units) > 0 {
		b.WriteString("import \"github.com/seed-428f4edd/evenkeel/schema\"\n\n")
	}
	b.WriteString("environment: {\n")
	if len(imp.Secrets) > 0 {
		b.WriteString("\t// left out of the import: they have to be there, with these keys\n\texternal: secrets: {\n")
		for _, s := range imp.Secrets {
			b.WriteString(s.source())
		}
		b.WriteString("\t}\n")
	}
	for _, u := range imp.Units {
		fmt.Fprintf(&b, "\tapps: %s: schema.#Objects & {\n", label(u.Name))
		for _, rule := range slices.Sorted(maps.Keys(u.Silence)) {
			fmt.Fprintf(&b, "\t\tsilence: %s: %s\n", label(rule), literal.String.Quote(u.Silence[rule]))
		}
		b.WriteString("\t\textraObjects: {\n")
		for _, key := range slices.Sorted(maps.Keys(u.Objects)) {
			value, err := object(u.Objects[key])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", ref(u.Objects[key]), err)
			}
			fmt.Fprintf(&b, "%s: {\n%s\n}\n", label(key), value)
		}
		b.WriteString("\t\t}\n\t}\n")
	}
	b.WriteString("}\n")
	return format.Source([]byte(b.String()), format.Simplify())
}

func (s Secret) source() string {
	keys := make([]string, len(s.Keys))
	for i, k := range s.Keys {
		keys[i] = literal.String.Quote(k)
	}
	ns := ""
	if s.Namespace != "" {
		ns = ", namespace: " + literal.String.Quote(s.Namespace)
	}
	return fmt.Sprintf("\t\t%s: {keys: [%s]%s}\n", label(s.Name), strings.Join(keys, ", "), ns)
}

// object is an object as CUE fields. It goes through YAML, where texts of several
// lines stay that: so they do in CUE.
func object(obj Object) (string, error) {
	data, err := yaml.Marshal(obj)
	if err != nil {
		return "", err
	}
	file, err := cueyaml.Extract("", data)
	if err != nil {
		return "", err
	}
	out, err := format.Node(file)
	return string(out), err
}

// label writes a name as the label of a field.
func label(name string) string {
	if ast.StringLabelNeedsQuoting(name) {
		return literal.Label.Quote(name)
	}
	return name
}
