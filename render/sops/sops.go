// Package sops reads files that the sops command encrypted for age recipients:
// YAML, JSON and dotenv. It decrypts and checks, and never writes; files are made
// and edited with sops itself.
//
// It is a small part of github.com/getsops/sops/v3 (its format is what that
// module's sops.go, aes/cipher.go and stores/ do), because the module brings the
// SDKs of every cloud's key service. Key groups (Shamir) and other keys than age's
// are refused.
//
// The path of the data: file -> Parse (needs no key) -> File.Documents, the values
// as they stand -> File.Decrypt (identities) -> the values, checked by the MAC.
package sops

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Map is a mapping in the order of the file, which the MAC covers.
type Map []Entry

// Entry is one key of a Map. Its value is a Map, []any, string, int, float64,
// bool, time.Time or nil.
type Entry struct {
	Key   string
	Value any
}

// Get returns the value of a key, or nil.
func (m Map) Get(key string) any {
	for _, e := range m {
		if e.Key == key {
			return e.Value
		}
	}
	return nil
}

// File is an encrypted file.
type File struct {
	// Documents are the file's documents, without what sops says about them, their
	// values encrypted. Only YAML has more than one.
	Documents []Map
	meta      metadata
}

// metadata is what sops keeps beside the values (its stores/stores.go).
type metadata struct {
	age          []recipient
	otherKeys    []string // kinds of keys that are not age's
	lastModified time.Time
	mac          string

	unencryptedSuffix, encryptedSuffix string
	unencryptedRegex, encryptedRegex   *regexp.Regexp
	byComment                          bool // comments say what is encrypted
	macOnlyEncrypted                   bool
}

type recipient struct{ name, key string }

// ErrNotEncrypted says that a file holds nothing of sops: its values stand in it
// in clear.
var ErrNotEncrypted = errors.New("is not encrypted by sops")

// Parse reads an encrypted file. The format is that of the name's ending.
func Parse(name string, data []byte) (*File, error) {
	var docs []Map
	var meta Map
	var err error
	switch ext := path.Ext(name); ext {
	case ".yaml", ".yml":
		docs, err = parseYAML(data)
	case ".json":
		docs, err = parseJSON(data)
	case ".env":
		docs, err = parseDotenv(data)
	default:
		return nil, fmt.Errorf("%q tells no format: its name ends in .yaml, .yml, .json or .env", path.Base(name))
	}
	if err != nil {
		return nil, err
	}
	if path.Ext(name) == ".env" {
		docs[0], meta = dotenvMetadata(docs[0])
	} else {
		docs, meta, err = takeMetadata(docs)
	}
	if err != nil {
		return nil, err
	}
	f := &File{Documents: docs}
	if f.meta, err = readMetadata(meta); err != nil {
		return nil, err
	}
	return f, nil
}

// takeMetadata takes the key "sops" out of every document; that of the first one
// counts.
func takeMetadata(docs []Map) ([]Map, Map, error) {
	var meta Map
	for i, doc := range docs {
		if m, ok := doc.Get("sops").(Map); ok && i == 0 {
			meta = m
		}
		docs[i] = slices.DeleteFunc(doc, func(e Entry) bool { return e.Key == "sops" })
	}
	if meta == nil {
		return nil, nil, ErrNotEncrypted
	}
	return docs, meta, nil
}

// defaultUnencryptedSuffix holds where a file names no rule of its own.
const defaultUnencryptedSuffix = "_unencrypted"

func readMetadata(m Map) (metadata, error) {
	if m == nil {
		return metadata{}, ErrNotEncrypted
	}
	meta := metadata{mac: text(m, "mac"), macOnlyEncrypted: truth(m.Get("mac_only_encrypted"))}
	if groups, _ := m.Get("key_groups").([]any); len(groups) > 0 {
		return meta, errors.New("key groups are not supported: encrypt it for age recipients alone")
	}
	keys, _ := m.Get("age").([]any)
	for _, k := range keys {
		if k, ok := k.(Map); ok {
			meta.age = append(meta.age, recipient{name: text(k, "recipient"), key: text(k, "enc")})
		}
	}
	for _, kind := range []string{"pgp", "kms", "gcp_kms", "hckms", "azure_kv", "hc_vault"} {
		if keys, _ := m.Get(kind).([]any); len(keys) > 0 {
			meta.otherKeys = append(meta.otherKeys, kind)
		}
	}
	var err error
	if meta.lastModified, err = time.Parse(time.RFC3339, timeText(m.Get("lastmodified"))); err != nil {
		return meta, errors.New("sops.lastmodified is not a time")
	}
	return meta, meta.readRules(m)
}

// readRules reads which values are encrypted.
func (meta *metadata) readRules(m Map) error {
	meta.unencryptedSuffix, meta.encryptedSuffix = text(m, "unencrypted_suffix"), text(m, "encrypted_suffix")
	rules := 0
	for _, s := range []string{meta.unencryptedSuffix, meta.encryptedSuffix} {
		if s != "" {
			rules++
		}
	}
	for name, to := range map[string]**regexp.Regexp{"unencrypted_regex": &meta.unencryptedRegex, "encrypted_regex": &meta.encryptedRegex} {
		source := text(m, name)
		if source == "" {
			continue
		}
		rules++
		var err error
		if *to, err = regexp.Compile(source); err != nil {
			return fmt.Errorf("sops.%s: %w", name, err)
		}
	}
	for _, name := range []string{"encrypted_comment_regex", "unencrypted_comment_regex"} {
		if text(m, name) != "" {
			rules++
			meta.byComment = true
		}
	}
	switch rules {
	case 0:
		meta.unencryptedSuffix = defaultUnencryptedSuffix
	case 1:
	default:
		return errors.New("sops names more than one rule for what is encrypted")
	}
	return nil
}

// encrypts says whether the rules want the value at a path encrypted. Comments
// are not kept by the parsers: where they decide, what looks encrypted is. A value
// that is not what it was is found by the MAC all the same.
func (meta *metadata) encrypts(at []string, v any) bool {
	match := func(test func(string) bool) bool { return slices.ContainsFunc(at, test) }
	suffix := func(s string) func(string) bool {
		return func(key string) bool { return strings.HasSuffix(key, s) }
	}
	switch {
	case meta.byComment:
		s, ok := v.(string)
		return ok && encrypted.MatchString(s)
	case meta.unencryptedSuffix != "":
		return !match(suffix(meta.unencryptedSuffix))
	case meta.encryptedSuffix != "":
		return match(suffix(meta.encryptedSuffix))
	case meta.unencryptedRegex != nil:
		return !match(meta.unencryptedRegex.MatchString)
	default:
		return match(meta.encryptedRegex.MatchString)
	}
}

// Selects says whether the file names the keys whose values are encrypted, so that
// others stand in clear because nobody thought of them.
func (f *File) Selects() bool {
	return f.meta.encryptedSuffix != "" || f.meta.encryptedRegex != nil || f.meta.byComment
}

// IsEncrypted says whether a value, as it stands in Documents, is encrypted, and
// what it is then: str, int, float, bool, time, comment.
func IsEncrypted(v any) (kind string, ok bool) {
	s, _ := v.(string)
	m := encrypted.FindStringSubmatch(s)
	if m == nil {
		return "", false
	}
	return m[4], true
}

func text(m Map, key string) string {
	s, _ := m.Get(key).(string)
	return s
}

func truth(v any) bool { return v == true || v == "true" }

// timeText is a time that YAML may have read as one.
func timeText(v any) string {
	if t, ok := v.(time.Time); ok {
		return t.Format(time.RFC3339)
	}
	s, _ := v.(string)
	return s
}
