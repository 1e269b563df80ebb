package sops

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/seed-428f4edd/evenkeel/internal/program"
)

// NoIdentity says that there is no age identity, and where it was looked for.
type NoIdentity struct {
	Looked []string
}

func (e NoIdentity) Error() string {
	return "no age identity: looked at " + strings.Join(e.Looked, ", ")
}

// Identities finds the caller's age identities where sops does: the variables
// SOPS_AGE_KEY (the key), SOPS_AGE_KEY_FILE and SOPS_AGE_KEY_CMD (a command that
// prints it), and the file sops/age/keys.txt of the user's configuration. It
// returns NoIdentity where there is none.
func Identities(ctx context.Context) ([]age.Identity, error) {
	var all []age.Identity
	var looked []string
	add := func(from string, data []byte) error {
		ids, err := parseIdentities(from, data)
		all = append(all, ids...)
		return err
	}
	looked = append(looked, "SOPS_AGE_KEY")
	if key := os.Getenv("SOPS_AGE_KEY"); key != "" {
		if err := add("SOPS_AGE_KEY", []byte(key)); err != nil {
			return nil, err
		}
	}
	looked = append(looked, "SOPS_AGE_KEY_FILE")
	if name := os.Getenv("SOPS_AGE_KEY_FILE"); name != "" {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("SOPS_AGE_KEY_FILE: %w", err)
		}
		if err := add(name, data); err != nil {
			return nil, err
		}
	}
	looked = append(looked, "SOPS_AGE_KEY_CMD")
	if command := os.Getenv("SOPS_AGE_KEY_CMD"); command != "" {
		data, err := program.Command(ctx, "sh", "-c", command).Output() // what it prints on stderr may be the key
		if err != nil {
			return nil, fmt.Errorf("SOPS_AGE_KEY_CMD: %w", err)
		}
		if err := add("what SOPS_AGE_KEY_CMD prints", data); err != nil {
			return nil, err
		}
	}
	if dir, err := os.UserConfigDir(); err == nil {
		name := filepath.Join(dir, "sops", "age", "keys.txt")
		looked = append(looked, name)
		data, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err := add(name, data); err != nil {
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, NoIdentity{Looked: looked}
	}
	return all, nil
}

// parseIdentities reads the identities of a text, as lines or side by side.
// Errors never quote it.
func parseIdentities(from string, data []byte) ([]age.Identity, error) {
	var ids []age.Identity
	for i, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for word := range strings.FieldsSeq(line) {
			id, err := parseIdentity(word)
			if err != nil {
				return nil, fmt.Errorf("%s: line %d: %w", from, i+1, err)
			}
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func parseIdentity(s string) (age.Identity, error) {
	var id age.Identity
	var err error
	switch {
	case strings.HasPrefix(s, "AGE-SECRET-KEY-PQ-1"):
		id, err = age.ParseHybridIdentity(s)
	case strings.HasPrefix(s, "AGE-SECRET-KEY-1"):
		id, err = age.ParseX25519Identity(s)
	case strings.HasPrefix(s, "AGE-PLUGIN-"):
		return nil, errors.New("identities of age plugins are not supported")
	case strings.HasPrefix(s, "age-encryption.org/"), strings.HasPrefix(s, "-----BEGIN"):
		return nil, errors.New("the identity is encrypted itself: hand it over in SOPS_AGE_KEY or by SOPS_AGE_KEY_CMD")
	default:
		err = errors.New("not one")
	}
	if err != nil {
		return nil, errors.New("not an age identity (AGE-SECRET-KEY-1...)")
	}
	return id, nil
}
