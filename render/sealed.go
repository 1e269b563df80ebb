package render

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"filippo.io/age"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/lint"
	"github.com/seed-428f4edd/evenkeel/render/sops"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// secretFile is a Secret of an environment whose values stand in a file that sops
// encrypted.
type secretFile struct {
	File string `json:"file"`
	Type string `json:"type"`
}

// sealed is such a Secret: until Unseal it holds what the file says, encrypted.
// That is enough to compare two renderings, to check which keys pods read, and to
// hash the content onto pod templates, all without a key.
type sealed struct {
	place  Finding // where the environment names the file
	name   string  // of the file, in the repository
	secret string
	file   *sops.File
	object *object
}

// seal fills the Secrets of an environment that come from files.
func (ev *evaluated) seal(h header, units []*unit) ([]*sealed, Findings) {
	var all []*sealed
	var findings Findings
	for _, name := range slices.Sorted(maps.Keys(h.Secrets)) {
		s := &sealed{name: path.Clean(h.Secrets[name].File), secret: name, object: baseObject(units, "secret-"+name)}
		s.place = (&rendered{ev: ev, units: units}).place(lint.Finding{Path: typed.Path{"secrets", name, "file"}})
		if s.object == nil {
			continue // the environment does not make one; something else is wrong
		}
		if err := s.read(ev.repo.fsys, h.Secrets[name]); err != nil {
			findings = append(findings, s.finding(err))
			continue
		}
		all = append(all, s)
		for _, key := range s.inClear() {
			f := s.finding(fmt.Errorf("the value of %s stands in it in clear: no rule of sops says so by that key's name", key))
			f.Warning, f.Hint = true, "look at encrypted_regex or encrypted_suffix in .sops.yaml"
			findings = append(findings, f)
		}
	}
	return all, findings
}

func baseObject(units []*unit, key string) *object {
	for _, u := range units {
		if u.group != "base" {
			continue
		}
		for _, o := range u.objs {
			if o.key == key {
				return o
			}
		}
	}
	return nil
}

func (s *sealed) read(fsys fs.FS, from secretFile) error {
	if !fs.ValidPath(s.name) {
		return errors.New("not a path below the root of the repository")
	}
	data, err := fs.ReadFile(fsys, s.name)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("no such file in the repository")
	}
	if err != nil {
		return err
	}
	if s.file, err = sops.Parse(s.name, data); err != nil {
		return err
	}
	if err := s.file.CheckRecipients(); err != nil {
		return err
	}
	content, err := secretContent(s.secret, s.file.Documents)
	if err != nil {
		return err
	}
	s.fill(content)
	if from.Type == "" && content.kind != "" {
		s.object.Object["type"] = content.kind
	}
	return nil
}

// finding says what is wrong with the file, at the line that names it.
func (s *sealed) finding(err error) Finding {
	f := s.place
	f.Message = s.name + ": " + err.Error()
	switch {
	case errors.Is(err, sops.ErrNotEncrypted):
		f.Hint = "its values may be in git's history by now; encrypt it: sops encrypt --in-place " + s.name
	case errors.Is(err, sops.ErrTampered):
		f.Hint = "take the file from git as it was; edit it with sops " + s.name
	case isType[sops.NoIdentity](err), isType[sops.WrongIdentity](err):
		f.Hint = "ask one of the recipients to add you: sops updatekeys " + s.name
	}
	return f
}

func isType[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// inClear are the keys whose values are not encrypted although nothing says that
// they need not be: the rules name what is encrypted, and the keys do not fit.
func (s *sealed) inClear() []string {
	if !s.file.Selects() {
		return nil
	}
	var keys []string
	data := tree.Map(s.object.Object["data"])
	for _, key := range slices.Sorted(maps.Keys(data)) {
		raw, _ := base64.StdEncoding.DecodeString(tree.Text(data[key])) // encoded by fill
		if _, ok := sops.IsEncrypted(string(raw)); !ok && len(raw) > 0 {
			keys = append(keys, key)
		}
	}
	return keys
}

func (s *sealed) fill(content secretData) {
	data := make(map[string]any, len(content.data))
	for key, value := range content.data {
		data[key] = base64.StdEncoding.EncodeToString([]byte(value))
	}
	s.object.Object["data"] = data
}

// secretData is what a file says of its Secret.
type secretData struct {
	kind string // the type of the Secret
	data map[string]string
}

// secretContent reads the documents of a file as a Secret: a flat mapping of its
// keys, or a whole manifest of kind Secret, as other tools have them. The values
// may still be encrypted.
func secretContent(name string, docs []sops.Map) (secretData, error) {
	if len(docs) != 1 {
		return secretData{}, fmt.Errorf("it has %d documents, a Secret is one", len(docs))
	}
	doc := docs[0]
	c := secretData{data: map[string]string{}}
	if doc.Get("kind") != "Secret" {
		return c, c.add(doc, func(s string) (string, error) { return s, nil })
	}
	c.kind, _ = doc.Get("type").(string)
	meta, _ := doc.Get("metadata").(sops.Map)
	if is, _ := meta.Get("name").(string); is != "" && is != name {
		return c, fmt.Errorf("it is the manifest of a Secret named %q", is)
	}
	for _, field := range []struct {
		name   string
		decode func(string) (string, error)
	}{{"data", decodeData}, {"stringData", func(s string) (string, error) { return s, nil }}} {
		values, ok := doc.Get(field.name).(sops.Map)
		if !ok {
			continue
		}
		if err := c.add(values, field.decode); err != nil {
			return c, err
		}
	}
	return c, nil
}

// decodeData decodes a value under data; one that is still encrypted stays.
func decodeData(s string) (string, error) {
	if _, ok := sops.IsEncrypted(s); ok {
		return s, nil
	}
	raw, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\r", "", "\n", "").Replace(s))
	if err != nil {
		return "", errors.New("is not base64")
	}
	return string(raw), nil
}

func (c secretData) add(values sops.Map, decode func(string) (string, error)) error {
	for _, e := range values {
		value, err := secretText(e.Value)
		if err == nil {
			value, err = decode(value)
		}
		if err != nil {
			return fmt.Errorf("the value of %s %w", e.Key, err)
		}
		c.data[e.Key] = value
	}
	return nil
}

// secretText is a value as a Secret holds it. A float or a time is none: 1.50
// would become 1.5. Errors never repeat the value.
func secretText(v any) (string, error) {
	kind, _ := sops.IsEncrypted(v)
	switch v := v.(type) {
	case string:
		if kind != "float" && kind != "time" {
			return v, nil
		}
	case int:
		return strconv.Itoa(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case sops.Map, []any:
		return "", errors.New("is not text: a Secret has one level of keys (of a whole manifest, encrypt only the values: --encrypted-regex '^(data|stringData)$')")
	case nil:
		return "", errors.New("is missing")
	}
	return "", errors.New("is a number with a fraction, or a time: quote it, so that it stays as it is written")
}

// Unseal decrypts the Secrets of rendered environments, for output that goes to a
// cluster or that asks for them: with the caller's age identities, which are asked
// for only where there is something to decrypt.
func Unseal(ctx context.Context, results ...*Result) error {
	var identities []age.Identity
	var findings Findings
	for _, r := range results {
		for _, s := range r.sealed {
			if identities == nil {
				var err error
				if identities, err = sops.Identities(ctx); err != nil {
					return Findings{s.finding(err)}
				}
			}
			if err := s.unseal(identities); err != nil {
				findings = append(findings, s.finding(err))
				continue
			}
			r.setSealed(s, false)
		}
	}
	if len(findings) > 0 {
		return findings.tidy()
	}
	return nil
}

func (s *sealed) unseal(identities []age.Identity) error {
	docs, err := s.file.Decrypt(identities)
	if err != nil {
		return err
	}
	content, err := secretContent(s.secret, docs)
	if err != nil {
		return err
	}
	s.fill(content)
	return nil
}

// markSealed says in the environment which of its objects are not to be applied
// as they are.
func (r *Result) markSealed() {
	for _, s := range r.sealed {
		r.setSealed(s, true)
	}
}

func (r *Result) setSealed(s *sealed, is bool) {
	for i := range r.Env.Units {
		for j := range r.Env.Units[i].Objects {
			if o := &r.Env.Units[i].Objects[j]; o.Unstructured == &s.object.Unstructured {
				o.Sealed = is
			}
		}
	}
}
