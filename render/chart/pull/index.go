package pull

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"
)

// A list of a repository names all its charts, and is as large as the repository wants it
// to be. What is decoded of it is one version of the wanted chart at a time, so that what a
// list takes does not grow with it.
const (
	mostEntry    = 256 << 10 // of one version, or of a list that is decoded as a whole
	mostVersions = 50_000    // of one chart
	mostDepth    = 100
)

// entry is what the list of a repository says of a version.
type entry struct {
	Version string `json:"version"`
	URLs    urls   `json:"urls"`
	Digest  string `json:"digest"`
}

// urls is the first of some.
type urls string

// UnmarshalJSON leaves out the others.
func (u *urls) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	t, err := d.Token()
	if err != nil || t == nil {
		return err
	}
	if t != json.Delim('[') {
		return errors.New("urls is no list")
	}
	if !d.More() {
		return nil
	}
	return d.Decode((*string)(u))
}

// entriesOf reads what a list says of a chart: YAML as Helm writes it, line by line, or
// JSON; in any form where it is small.
func entriesOf(ctx context.Context, from io.Reader, chart string) ([]entry, error) {
	in := bufio.NewReaderSize(from, mostEntry+1)
	begin, err := in.Peek(mostEntry + 1)
	switch {
	case errors.Is(err, io.EOF):
		var list struct {
			Entries map[string][]entry `json:"entries"`
		}
		if err := yaml.Unmarshal(begin, &list); err != nil {
			return nil, err
		}
		return list.Entries[chart], nil
	case err != nil:
		return nil, err
	}
	c := &collector{ctx: ctx}
	if bytes.HasPrefix(bytes.TrimSpace(begin), []byte("{")) {
		err = c.json(json.NewDecoder(in), chart)
	} else {
		err = c.yaml(in, chart)
	}
	return c.entries, err
}

type collector struct {
	ctx     context.Context // of one call
	entries []entry
}

func (c *collector) add(entries ...entry) error {
	c.entries = append(c.entries, entries...)
	if len(c.entries) > mostVersions {
		return fmt.Errorf("it lists more than %d versions of one chart", mostVersions)
	}
	return c.ctx.Err()
}

// yaml reads
//
//	entries:
//	  CHART:
//	  - version: ...
//
// where all that belongs to a version is indented further than its dash.
func (c *collector) yaml(in *bufio.Reader, chart string) error {
	var item []byte // the version that is being read
	key, dash := -1, -1
	inEntries, wanted := false, false
	flush := func() error {
		if len(item) == 0 {
			return nil
		}
		var one []entry
		err := yaml.Unmarshal(item, &one)
		item = item[:0]
		if err != nil {
			return err
		}
		return c.add(one...)
	}
	for {
		line, err := in.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !long && !errors.Is(err, io.EOF) {
			return err
		}
		last := errors.Is(err, io.EOF)
		text := strings.TrimRight(string(line[:min(len(line), 512)]), " \r\n")
		bare := strings.TrimLeft(text, " ")
		at := len(text) - len(bare)
		switch isDash := bare == "-" || strings.HasPrefix(bare, "- "); {
		case bare == "" || bare[0] == '#': // of a text, or of nothing
		case at == 0 && !isDash:
			if err := flush(); err != nil {
				return err
			}
			if inEntries, wanted = bare == "entries:", false; !inEntries && strings.HasPrefix(bare, "entries:") {
				return errors.New("it is large, and not written line by line as Helm does")
			}
		case !inEntries:
		case !isDash && (key < 0 || at <= key):
			if err := flush(); err != nil {
				return err
			}
			key, dash = at, -1
			name, rest, _ := strings.Cut(bare, ":")
			if wanted = strings.Trim(name, `"'`) == chart; wanted && strings.TrimSpace(rest) != "" {
				return errors.New("it is large, and not written line by line as Helm does")
			}
		case wanted && isDash && (dash < 0 || at == dash):
			if err := flush(); err != nil {
				return err
			}
			dash = at
		}
		if wanted && dash >= 0 {
			if item = append(item, line...); len(item) > mostEntry {
				return fmt.Errorf("it says more than %d KiB of one version", mostEntry>>10)
			}
		}
		for long { // the rest of a line of others
			_, err := in.ReadSlice('\n')
			if long = errors.Is(err, bufio.ErrBufferFull); !long && err != nil && !errors.Is(err, io.EOF) {
				return err
			}
		}
		if last {
			return flush()
		}
	}
}

// json reads {"entries": {CHART: [{"version": ...}]}}.
func (c *collector) json(d *json.Decoder, chart string) error {
	return object(d, func(key string) (bool, error) {
		if key != "entries" {
			return false, nil
		}
		return true, object(d, func(key string) (bool, error) {
			if key != chart {
				return false, nil
			}
			if t, err := d.Token(); err != nil || t != json.Delim('[') {
				return true, errors.Join(err, errors.New("its versions are no list"))
			}
			for d.More() {
				var e entry
				if err := d.Decode(&e); err != nil {
					return true, err
				}
				if err := c.add(e); err != nil {
					return true, err
				}
			}
			_, err := d.Token()
			return true, err
		})
	})
}

// object reads one, and calls on with each key; what that does not read is passed over.
func object(d *json.Decoder, on func(key string) (read bool, err error)) error {
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.Join(err, errors.New("it is no object"))
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		read, err := on(name)
		if err == nil && !read {
			err = pass(d)
		}
		if err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// pass reads a value and keeps nothing of it.
func pass(d *json.Decoder) error {
	for depth := 0; ; {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > mostDepth {
				return errors.New("it is nested too deeply")
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}
