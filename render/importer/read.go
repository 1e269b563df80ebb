// Package importer turns manifests into CUE: objects as files or a cluster have
// them become units of an environment, typed where a type renders them back
// alike, else whole objects. It writes text and evaluates nothing; whoever calls
// it renders the result and holds it against the objects with Compare.
package importer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/render/internal/alias"
	"github.com/seed-428f4edd/evenkeel/render/internal/crd"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// Object is one Kubernetes object as it was read.
type Object = map[string]any

// Item is an object and where it was read: a file and a line.
type Item struct {
	Object Object
	From   string
}

// Reading is what was read: objects, and what was passed over, with the reason.
type Reading struct {
	Items   []Item
	Skipped []string
}

// noObject says that a document is YAML of something else.
type noObject struct{ why string }

func (e noObject) Error() string { return "no Kubernetes object: " + e.why }

// Read reads a stream of YAML or JSON documents that has a name in messages. Lists
// are opened; documents that are empty are passed over, others that are no objects
// are an error.
func Read(r io.Reader, name string) (Reading, error) {
	data, err := io.ReadAll(io.LimitReader(r, mostBytes+1))
	if err == nil && len(data) > mostBytes {
		err = fmt.Errorf("%s: larger than %d MiB", name, mostBytes>>20)
	}
	if err != nil {
		return Reading{}, err
	}
	return readDocuments(data, name)
}

const mostBytes = 256 << 20

// readDocuments reads what a file holds. All that is wrong with it comes back
// together.
func readDocuments(data []byte, name string) (Reading, error) {
	var out Reading
	var errs []error
	for _, doc := range documents(data) {
		at := fmt.Sprintf("%s:%d", name, doc.line)
		value, err := decode(doc.text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, atLine(err, doc.line)))
			continue
		}
		if value == nil {
			continue
		}
		obj, ok := value.(map[string]any)
		if !ok {
			errs = append(errs, fmt.Errorf("%s: %w", at, noObject{why: "it is not a mapping"}))
			continue
		}
		if len(obj) > 0 {
			errs = append(errs, out.open(obj, at)...)
		}
	}
	return out, errors.Join(errs...)
}

// open adds an object, or those of a list.
func (r *Reading) open(obj Object, at string) []error {
	items, isList := obj["items"].([]any)
	if isList && text(obj, "kind") != "" && text(obj, "metadata", "name") == "" {
		var errs []error
		for _, item := range items {
			inner, ok := item.(map[string]any)
			if !ok {
				errs = append(errs, fmt.Errorf("%s: a list with an item that is not an object", at))
				continue
			}
			errs = append(errs, r.open(inner, at)...)
		}
		return errs
	}
	if why := notAnObject(obj); why != "" {
		return []error{fmt.Errorf("%s: %w", at, noObject{why: why})}
	}
	if why := notDeclared(obj); why != "" {
		r.Skipped = append(r.Skipped, fmt.Sprintf("%s: %s: %s", at, named(obj), why))
		return nil
	}
	r.Items = append(r.Items, Item{Object: obj, From: at})
	return nil
}

// builtIn are the kinds of Kubernetes.
var builtIn = sync.OnceValue(typed.New) //nolint:gochecknoglobals // made once, and only read

// notAnObject says why no API server would take a document.
func notAnObject(obj Object) string {
	apiVersion, kind := text(obj, "apiVersion"), text(obj, "kind")
	gv, err := kschema.ParseGroupVersion(apiVersion)
	switch {
	case apiVersion == "" || kind == "":
		return "apiVersion or kind is missing"
	case err != nil:
		return "apiVersion is not group/version"
	case gv.Group == "kustomize.config.k8s.io":
		return "a file of kustomize"
	case gv.Group != "" && !strings.Contains(gv.Group, ".") && !builtIn().Groups()[gv.Group] && gv.Group != "extensions":
		return fmt.Sprintf("Kubernetes has no API group %q", gv.Group)
	case text(obj, "metadata", "name") == "" && text(obj, "metadata", "generateName") == "":
		return "metadata.name is missing"
	}
	return ""
}

// notDeclared says why an object that a server would take cannot be declared.
func notDeclared(obj Object) string {
	switch {
	case strings.Contains(text(obj, "metadata", "name"), "{{"):
		return "a template: print it first"
	case text(obj, "metadata", "name") == "":
		return "generateName gives it another name at each creation; to declare it, give it metadata.name"
	case text(mapping(obj, "metadata", "annotations"), "config.kubernetes.io/local-config") == "true":
		return "config.kubernetes.io/local-config: it is for tools, not for the cluster"
	}
	return ""
}

// named is an object in messages before it is known to have a name.
func named(obj Object) string {
	return text(obj, "kind") + "/" + cmp.Or(text(obj, "metadata", "name"), text(obj, "metadata", "generateName")+"*")
}

// document is one document of a stream, and the line that it begins at.
type document struct {
	text []byte
	line int
}

// documents splits a stream at lines that begin with three dashes.
func documents(data []byte) []document {
	var docs []document
	doc := document{line: 1}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		rest, marked := bytes.CutPrefix(line, []byte("---"))
		if !marked || len(rest) > 0 && !bytes.ContainsAny(rest[:1], " \t\r\n") {
			doc.text = append(doc.text, line...)
			continue
		}
		docs = append(docs, doc)
		doc = document{text: append([]byte(nil), rest...), line: n}
	}
	docs = append(docs, doc)
	for i := range docs {
		docs[i].skipBlank()
	}
	return docs
}

// skipBlank lets a document begin where its content does, for messages.
func (d *document) skipBlank() {
	skipped := 0
	for line := range bytes.Lines(d.text) {
		trimmed := bytes.TrimSpace(line)
		if len(trimmed) > 0 && trimmed[0] != '#' {
			break
		}
		skipped++
		d.text = d.text[len(line):]
	}
	d.line += skipped
}

// decode reads a document as kubectl does. Whole numbers stay what they are; those
// that no reader of JSON keeps are an error.
func decode(data []byte) (any, error) {
	if err := alias.JSON(data); err != nil {
		return nil, err
	}
	plain, err := yaml.YAMLToJSONStrict(data)
	if err != nil && bytes.Contains(data, []byte("<<:")) && strings.Contains(err.Error(), "already set in map") {
		plain, err = yaml.YAMLToJSON(data) // what a merge key brings may be set again
	}
	if err != nil {
		return nil, err
	}
	var value any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(plain, &value); err != nil {
		return nil, err
	}
	if text(value, "kind") != crd.Kind && beyond(value) { // limits of a schema are no values
		if number := wholeBeyond(plain); number != "" {
			return nil, fmt.Errorf("a whole number of more than 64 bits, about %s, which no API server keeps: write it as text, in quotes", number)
		}
	}
	return value, nil
}

// beyond says whether there is a number that may have been a whole one of more than
// 64 bits.
func beyond(v any) bool {
	switch n := v.(type) {
	case float64:
		return math.Abs(n) >= math.MaxInt64
	case map[string]any:
		for _, item := range n {
			if beyond(item) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(n, beyond)
	}
	return false
}

func wholeBeyond(data []byte) string {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err != nil {
			return ""
		}
		number, ok := token.(json.Number)
		if !ok || strings.ContainsAny(number.String(), ".eE") {
			continue
		}
		if _, err := number.Int64(); err != nil {
			return number.String()
		}
	}
}

var keyTwice = regexp.MustCompile(`line (\d+): key ("[^"]*") already set in map`)

var lineNumber = regexp.MustCompile(`\bline (\d+)`)

// atLine counts the lines of an error of a document from the start of its file.
func atLine(err error, first int) error {
	msg := lineNumber.ReplaceAllStringFunc(err.Error(), func(s string) string {
		n, _ := strconv.Atoi(strings.TrimPrefix(s, "line "))
		return "line " + strconv.Itoa(n+first-1)
	})
	msg = strings.Join(strings.Fields(strings.ReplaceAll(msg, "error converting YAML to JSON: ", "")), " ")
	if twice := keyTwice.FindAllStringSubmatch(msg, -1); twice != nil {
		var lines []string
		for _, m := range twice {
			lines = append(lines, fmt.Sprintf("line %s: the key %s is there twice", m[1], m[2]))
		}
		msg = strings.Join(lines, ", ")
	}
	return errors.New(msg)
}

// at is the value at a path of maps, or nil.
func at(v any, path ...string) any {
	for _, step := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[step]
	}
	return v
}

func text(v any, path ...string) string {
	s, _ := at(v, path...).(string)
	return s
}

func mapping(v any, path ...string) map[string]any {
	m, _ := at(v, path...).(map[string]any)
	return m
}

func list(v any, path ...string) []any {
	items, _ := at(v, path...).([]any)
	return items
}

// ref names an object in messages: Kind/namespace/name.
func ref(obj Object) string {
	if ns := text(obj, "metadata", "namespace"); ns != "" {
		return text(obj, "kind") + "/" + ns + "/" + text(obj, "metadata", "name")
	}
	return text(obj, "kind") + "/" + text(obj, "metadata", "name")
}
