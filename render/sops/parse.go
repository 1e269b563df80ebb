package sops

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseYAML reads all documents of a file.
func parseYAML(data []byte) ([]Map, error) {
	var docs []Map
	reader := yamlReader{left: maxNodes}
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var node yaml.Node
		err := dec.Decode(&node)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, quiet(err)
		}
		v, err := reader.value(node.Content[0])
		if err != nil {
			return nil, err
		}
		doc, ok := v.(Map)
		if !ok && v != nil {
			return nil, errors.New("not a mapping of keys to values")
		}
		docs = append(docs, doc)
	}
	if len(docs) == 0 {
		return nil, ErrNotEncrypted
	}
	return docs, nil
}

// yamlLine is where go-yaml says what it does not like; what stands behind may
// quote a value.
var yamlLine = regexp.MustCompile(`line \d+`)

func quiet(err error) error {
	if at := yamlLine.FindString(err.Error()); at != "" {
		return errors.New("not YAML: " + at)
	}
	return errors.New("not YAML")
}

// maxNodes bounds what aliases of aliases can blow a file up to.
const maxNodes = 100_000

type yamlReader struct{ left int }

func (r *yamlReader) value(n *yaml.Node) (any, error) {
	if r.left--; r.left < 0 {
		return nil, fmt.Errorf("line %d: too much for a file of secrets", n.Line)
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := make(Map, 0, len(n.Content)/2)
		seen := make(map[string]bool, len(n.Content)/2)
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" && key.ShortTag() != "!!merge" {
				return nil, fmt.Errorf("line %d: a key that is not text", key.Line)
			}
			if seen[key.Value] {
				return nil, fmt.Errorf("line %d: key %q stands twice", key.Line, key.Value)
			}
			seen[key.Value] = true
			v, err := r.value(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			m = append(m, Entry{key.Value, v})
		}
		return m, nil
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			v, err := r.value(item)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.AliasNode:
		return r.value(n.Alias)
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, fmt.Errorf("line %d: not a value of YAML", n.Line)
	}
	return v, nil
}

// parseJSON reads an object in the order of its keys.
func parseJSON(data []byte) ([]Map, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := fromJSON(dec)
	if err != nil {
		return nil, fmt.Errorf("not JSON: at byte %d", dec.InputOffset())
	}
	m, ok := v.(Map)
	if !ok {
		return nil, errors.New("not a mapping of keys to values")
	}
	return []Map{m}, nil
}

func fromJSON(dec *json.Decoder) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return fromJSONObject(dec)
		}
		list := []any{}
		for dec.More() {
			v, err := fromJSON(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.Token()
		return list, err
	case json.Number:
		if i, err := t.Int64(); err == nil {
			return int(i), nil
		}
		return t.Float64()
	}
	return token, nil
}

func fromJSONObject(dec *json.Decoder) (Map, error) {
	m := Map{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, errors.New("a key that is not text")
		}
		v, err := fromJSON(dec)
		if err != nil {
			return nil, err
		}
		m = append(m, Entry{name, v})
	}
	_, err := dec.Token()
	return m, err
}

// parseDotenv reads NAME=value lines; nothing is quoted, and \n is a line break.
func parseDotenv(data []byte) ([]Map, error) {
	m := Map{}
	for i, line := range strings.Split(string(data), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("line %d: not NAME=value", i+1)
		}
		m = append(m, Entry{name, strings.ReplaceAll(value, `\n`, "\n")})
	}
	return []Map{m}, nil
}

// dotenvKey is a key of sops in a dotenv file, such as
// sops_age__list_0__map_enc (its stores/flatten.go).
var dotenvKey = regexp.MustCompile(`^([a-z_]+?)__list_(\d+)__map_([a-z_]+)$`)

// dotenvMetadata takes the keys of sops out of a dotenv file, and puts them as
// other files have them.
func dotenvMetadata(doc Map) (rest, meta Map) {
	lists := map[string]map[int]Map{}
	for _, e := range doc {
		key, ok := strings.CutPrefix(e.Key, "sops_")
		if !ok {
			rest = append(rest, e)
			continue
		}
		match := dotenvKey.FindStringSubmatch(key)
		if match == nil {
			meta = append(meta, Entry{key, e.Value})
			continue
		}
		name := match[1]
		if lists[name] == nil {
			lists[name] = map[int]Map{}
			meta = append(meta, Entry{Key: name})
		}
		index, _ := strconv.Atoi(match[2]) // digits
		lists[name][index] = append(lists[name][index], Entry{match[3], e.Value})
	}
	for i, e := range meta {
		if items := lists[e.Key]; items != nil {
			list := make([]any, 0, len(items))
			for _, item := range items {
				list = append(list, item)
			}
			meta[i].Value = list
		}
	}
	return rest, meta
}
