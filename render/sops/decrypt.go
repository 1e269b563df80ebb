package sops

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// encrypted is how sops writes a value (its aes/cipher.go).
var encrypted = regexp.MustCompile(`^ENC\[AES256_GCM,data:(.+),iv:(.+),tag:(.+),type:(.+)\]$`)

// ErrTampered says that a file is not what sops wrote.
var ErrTampered = errors.New("the file is not what sops wrote: its MAC does not fit its content")

// WrongIdentity says that none of the identities can decrypt a file.
type WrongIdentity struct {
	Recipients []string // of the file
}

func (e WrongIdentity) Error() string {
	return "none of the age identities fits; it is encrypted for " + strings.Join(e.Recipients, ", ")
}

// Recipients are the age recipients that the file is encrypted for.
func (f *File) Recipients() []string {
	names := make([]string, len(f.meta.age))
	for i, r := range f.meta.age {
		names[i] = r.name
	}
	return names
}

// CheckRecipients says why no age identity can ever decrypt the file.
func (f *File) CheckRecipients() error {
	switch {
	case len(f.meta.age) > 0:
		return nil
	case len(f.meta.otherKeys) > 0:
		return fmt.Errorf("it is encrypted for no age recipient, only for %s", strings.Join(f.meta.otherKeys, ", "))
	}
	return errors.New("it is encrypted for nobody")
}

// Decrypt returns the documents with their values. All of the file is checked
// before anything is returned.
func (f *File) Decrypt(identities []age.Identity) ([]Map, error) {
	key, err := f.dataKey(identities)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, ErrTampered // not the length of a key
	}
	d := decrypter{meta: &f.meta, block: block, mac: sha512.New()}
	if f.meta.macOnlyEncrypted {
		d.mac.Write(macOnlyEncrypted)
	}
	docs := make([]Map, len(f.Documents))
	for i, doc := range f.Documents {
		if docs[i], err = d.mapping(doc, nil); err != nil {
			return nil, err
		}
	}
	mac, err := d.value(f.meta.mac, f.meta.lastModified.Format(time.RFC3339))
	if err != nil {
		return nil, ErrTampered
	}
	want, _ := mac.(string)
	if subtle.ConstantTimeCompare([]byte(want), fmt.Appendf(nil, "%X", d.mac.Sum(nil))) != 1 {
		return nil, ErrTampered
	}
	return docs, nil
}

// macOnlyEncrypted begins the MAC of files whose MAC leaves out what is not
// encrypted (MACOnlyEncryptedInitialization in sops.go).
var macOnlyEncrypted = []byte{ //nolint:gochecknoglobals // a table
	0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0xb,
	0xb, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
}

// dataKey is the key of the values, which each recipient has for itself.
func (f *File) dataKey(identities []age.Identity) ([]byte, error) {
	if err := f.CheckRecipients(); err != nil {
		return nil, err
	}
	var broken error
	for _, r := range f.meta.age {
		plain, err := age.Decrypt(armor.NewReader(strings.NewReader(r.key)), identities...)
		if err == nil {
			return io.ReadAll(plain)
		}
		if no := (*age.NoIdentityMatchError)(nil); !errors.As(err, &no) {
			broken = fmt.Errorf("the key for %s cannot be read: %w", r.name, err)
		}
	}
	if broken != nil {
		return nil, broken
	}
	return nil, WrongIdentity{Recipients: f.Recipients()}
}

// decrypter walks a file in its order, which is that of the MAC.
type decrypter struct {
	meta  *metadata
	block cipher.Block
	mac   hash.Hash
}

// comment is a comment that stands as an item of a list.
type comment struct{}

func (d *decrypter) mapping(m Map, at []string) (Map, error) {
	out := make(Map, 0, len(m))
	for _, e := range m {
		v, err := d.any(e.Value, append(slices.Clip(at), e.Key))
		if err != nil {
			return nil, err
		}
		if _, isComment := v.(comment); isComment {
			return nil, ErrTampered
		}
		out = append(out, Entry{e.Key, v})
	}
	return out, nil
}

func (d *decrypter) any(v any, at []string) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case Map:
		return d.mapping(v, at)
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			plain, err := d.any(item, at) // items have the path of their list
			if err != nil {
				return nil, err
			}
			if _, isComment := plain.(comment); !isComment {
				out = append(out, plain)
			}
		}
		return out, nil
	}
	return d.leaf(v, at)
}

func (d *decrypter) leaf(v any, at []string) (any, error) {
	secret := d.meta.encrypts(at, v)
	if secret {
		s, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("the value of %s stands in clear, and should not", strings.Join(at, "."))
		}
		var err error
		if v, err = d.value(s, strings.Join(at, ":")+":"); err != nil {
			return nil, fmt.Errorf("the value of %s cannot be decrypted: %w", strings.Join(at, "."), err)
		}
	}
	if _, isComment := v.(comment); isComment || d.meta.macOnlyEncrypted && !secret {
		return v, nil
	}
	said, err := said(v)
	d.mac.Write(said)
	return v, err
}

// value decrypts one value, bound to its path. What is empty is not encrypted.
func (d *decrypter) value(s, path string) (any, error) {
	if s == "" {
		return "", nil
	}
	m := encrypted.FindStringSubmatch(s)
	if m == nil {
		return nil, errors.New("it is not encrypted, and should be")
	}
	var parts [3][]byte
	for i := range parts {
		var err error
		if parts[i], err = base64.StdEncoding.DecodeString(m[i+1]); err != nil {
			return nil, ErrTampered
		}
	}
	data, iv, tag := parts[0], parts[1], parts[2]
	if len(iv) == 0 {
		return nil, ErrTampered
	}
	gcm, err := cipher.NewGCMWithNonceSize(d.block, len(iv))
	if err != nil {
		return nil, ErrTampered
	}
	plain, err := gcm.Open(nil, iv, append(data, tag...), []byte(path))
	if err != nil {
		return nil, ErrTampered
	}
	return typed(string(plain), m[4])
}

// typed is a value of the type that sops noted. Errors do not repeat it.
func typed(plain, kind string) (any, error) {
	wrong := fmt.Errorf("it is no %s", kind)
	switch kind {
	case "str", "bytes":
		return plain, nil
	case "int":
		if i, err := strconv.Atoi(plain); err == nil {
			return i, nil
		}
	case "float":
		if f, err := strconv.ParseFloat(plain, 64); err == nil {
			return f, nil
		}
	case "bool":
		if b, err := strconv.ParseBool(plain); err == nil {
			return b, nil
		}
	case "time":
		if t, err := time.Parse(time.RFC3339, plain); err == nil {
			return t, nil
		}
	case "comment":
		return comment{}, nil
	default:
		return nil, fmt.Errorf("its type %q is not known", kind)
	}
	return nil, wrong
}

// said is what the MAC covers of a value (ToBytes in sops.go).
func said(v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return []byte(v), nil
	case int:
		return []byte(strconv.Itoa(v)), nil
	case float64:
		return []byte(strconv.FormatFloat(v, 'f', -1, 64)), nil
	case bool:
		if v {
			return []byte("True"), nil
		}
		return []byte("False"), nil
	case time.Time:
		return v.MarshalText()
	}
	return nil, fmt.Errorf("a value of type %T is not supported", v)
}
