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
	for _, kept := range []struct {
		name   string
		values map[string]any
	}{{"namespaceLabels", imp.Labels}, {"namespaceAnnotations", imp.Annotations}} {
		if len(kept.values) == 0 {
			continue
		}
		if err := whole(&b, kept.name, kept.values); err != nil {
			return nil, err
		}
	}
	if len(imp.Secrets) > 0 {
		b.WriteString("\t// left out of the import: they have to be there, with these keys\n\texternal: secrets: {\n")
		for _, s := range imp.Secrets {
			b.WriteString(s.source())
		}
		b.WriteString("\t}\n")
	}
	for _, u := range imp.Units {
		if err := u.source(&b); err != nil {
			return nil, fmt.Errorf("unit %s: %w", u.Name, err)
		}
	}
	b.WriteString("}\n")
	out, err := format.Source([]byte(b.String()), format.Simplify())
	if err != nil {
		return nil, err
	}
	return format.Source(out) // the first pass leaves alignment to a second
}

func (u *Unit) source(b *strings.Builder) error {
	fmt.Fprintf(b, "\tapps: %s: schema.#%s & {\n", label(u.Name), u.Type)
	if u.app != nil {
		if err := u.app.fields.source(b); err != nil {
			return err
		}
	}
	for _, rule := range slices.Sorted(maps.Keys(u.Silence)) {
		fmt.Fprintf(b, "silence: %s: %s\n", label(rule), literal.String.Quote(u.Silence[rule]))
	}
	if len(u.patch) > 0 {
		b.WriteString("\n// what the manifests have otherwise than the type; null is what they do\n// not have: take lines out to get what the type adds\n")
		if err := whole(b, "patch", u.patch); err != nil {
			return err
		}
	}
	if len(u.Objects) > 0 {
		if err := whole(b, "extraObjects", u.Objects); err != nil {
			return err
		}
	}
	b.WriteString("}\n")
	return nil
}

// whole writes a value as one field.
func whole(b *strings.Builder, name string, value any) error {
	text, err := object(Object{name: value})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	b.WriteString(text + "\n")
	return nil
}

// source writes fields in their order.
func (f fields) source(b *strings.Builder) error {
	for _, one := range f {
		if one.comment != "" {
			fmt.Fprintf(b, "// %s\n", one.comment)
		}
		if inner, ok := one.value.(fields); ok {
			b.WriteString(label(one.name) + ": ")
			short := len(inner) == 1 && inner[0].comment == ""
			if !short {
				b.WriteString("{\n")
			}
			if err := inner.source(b); err != nil {
				return err
			}
			if !short {
				b.WriteString("}\n")
			}
			continue
		}
		if err := whole(b, one.name, one.value); err != nil {
			return err
		}
	}
	return nil
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
	return strings.TrimSpace(string(out)), err
}

// label writes a name as the label of a field.
func label(name string) string {
	if ast.StringLabelNeedsQuoting(name) {
		return literal.Label.Quote(name)
	}
	return name
}
