// Package alias counts what the aliases of YAML stand for. Nine lists of nine aliases
// to the list before are a few lines, and 387 million values to a decoder that writes
// them out, as kustomize and sigs.k8s.io/yaml do.
package alias

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Most is how many values a file with aliases may stand for.
const Most = 1 << 20

// Check refuses YAML whose aliases stand for too much or for themselves, also in
// texts that are YAML again, as patches are. What is no YAML is for its reader to
// refuse.
func Check(data []byte) error { return check(data, 3) }

// An anchor and an alias, as they stand in a file, or escaped in a text in quotes.
var (
	anchors = regexp.MustCompile(`&|\\(?:x|u00|U000000)26`)
	aliases = regexp.MustCompile(`\*|\\(?:x|u00|U000000)2[aA]`)
)

func check(data []byte, depth int) error {
	if depth == 0 || !anchors.Match(data) || !aliases.Match(data) {
		return nil
	}
	c := counter{sizes: map[*yaml.Node]int{}}
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		err := dec.Decode(&doc)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return nil //nolint:nilerr // no YAML
		}
		if err := c.measure(&doc); err != nil {
			return err
		}
		for _, text := range c.texts {
			if err := check([]byte(text), depth-1); err != nil {
				return err
			}
		}
		c.texts = nil
	}
}

// Numbers that are not finite, and keys that are no text, as they may stand in YAML.
var (
	infinite   = regexp.MustCompile(`(?m)(?:^|[\s:,\[{-])[-+]?\.(?:inf|Inf|INF|nan|NaN|NAN)(?:[\s,\]}]|$)`)
	complexKey = regexp.MustCompile(`(?m)(?:^|[\s,{-])\? `)
)

// JSON is Check for YAML that is to become JSON, which has no word for some of it.
func JSON(data []byte) error {
	if err := Check(data); err != nil {
		return err
	}
	if !infinite.Match(data) && !complexKey.Match(data) {
		return nil
	}
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		if err := dec.Decode(&doc); err != nil {
			return nil //nolint:nilerr // its end, or no YAML
		}
		if err := sayable(&doc); err != nil {
			return err
		}
	}
}

func sayable(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!float" && infinite.MatchString(n.Value) {
		return fmt.Errorf("line %d: JSON has no number %s: write it as text, in quotes", n.Line, n.Value)
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && (child.Kind == yaml.MappingNode || child.Kind == yaml.SequenceNode) {
			return fmt.Errorf("line %d: a key has to be text", child.Line)
		}
		if err := sayable(child); err != nil {
			return err
		}
	}
	return nil
}

// counter holds how many values nodes stand for; zero while that is being counted.
type counter struct {
	sizes map[*yaml.Node]int
	texts []string
}

func (c *counter) measure(n *yaml.Node) error {
	if size, known := c.sizes[n]; known {
		if size == 0 {
			return fmt.Errorf("line %d: the alias stands for what it is part of", n.Line)
		}
		return nil
	}
	c.sizes[n] = 0
	size := 1
	children := n.Content
	if n.Alias != nil {
		children = []*yaml.Node{n.Alias}
	}
	for _, child := range children {
		if err := c.measure(child); err != nil {
			return err
		}
		if size += c.sizes[child]; size > Most {
			return fmt.Errorf("line %d: its aliases stand for more than %d values", n.Line, Most)
		}
	}
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "\n") {
		c.texts = append(c.texts, n.Value)
	}
	c.sizes[n] = size
	return nil
}
