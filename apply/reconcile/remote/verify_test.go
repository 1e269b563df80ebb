package remote

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// TestKeys holds commits against files with one key and several, and with keys that
// are no longer good: of a key that one of them says is revoked no other copy counts.
func TestKeys(t *testing.T) {
	t.Parallel()
	ago := func(d time.Duration) *packet.Config {
		return &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, Time: func() time.Time { return time.Now().Add(-d) }}
	}
	const days = 24 * time.Hour
	entity := func(c *packet.Config) *openpgp.Entity {
		e, err := openpgp.NewEntity("a", "", "a@example.org", c)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	export := func(e *openpgp.Entity) string {
		var b strings.Builder
		w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Serialize(w); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String() + "\n"
	}
	sign := func(e *openpgp.Entity, c *packet.Config) *object.Commit {
		commit := &object.Commit{Message: "m", TreeHash: plumbing.ZeroHash}
		o := &plumbing.MemoryObject{}
		if err := commit.EncodeWithoutSignature(o); err != nil {
			t.Fatal(err)
		}
		r, err := o.Reader()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := openpgp.ArmoredDetachSign(&b, e, r, c); err != nil {
			t.Fatal(err)
		}
		commit.PGPSignature = b.String()
		return commit
	}
	good, other, lost := entity(ago(2*days)), entity(ago(2*days)), entity(ago(2*days))
	brief := ago(2 * days)
	brief.KeyLifetimeSecs = 3600
	expired := entity(brief)
	short := ago(2 * days)
	short.SigLifetimeSecs = 60
	byLost, before := sign(lost, ago(days)), export(lost)
	if err := lost.RevokeKey(packet.KeyCompromised, "lost", ago(0)); err != nil {
		t.Fatal(err)
	}
	altered := sign(good, ago(days))
	altered.Message = "another"
	twice := sign(good, ago(days))
	twice.PGPSignature = sign(other, ago(days)).PGPSignature + twice.PGPSignature
	for name, c := range map[string]struct {
		keys   string
		commit *object.Commit
		says   string
	}{
		"one":                       {export(good), sign(good, ago(days)), ""},
		"the first of several":      {export(good) + export(other), sign(good, ago(days)), ""},
		"the second of several":     {"two keys\n" + export(other) + export(good), sign(good, ago(days)), ""},
		"unknown":                   {export(other) + export(other), sign(good, ago(days)), "unknown entity"},
		"revoked since":             {export(lost), byLost, "revoked"},
		"revoked, in a later copy":  {before + export(lost), byLost, "revoked"},
		"revoked, with others":      {export(lost) + export(good) + before, byLost, "revoked"},
		"good beside a revoked one": {export(lost) + export(good), sign(good, ago(days)), ""},
		"expired":                   {export(expired), sign(expired, brief), "expired"},
		"expired signature":         {export(good), sign(good, short), "expired"},
		"signed tomorrow":           {export(good), sign(good, ago(-days)), "expired"},
		"altered":                   {export(good), altered, "invalid signature"},
		"two signatures":            {export(good), twice, "unknown entity"},
		"none":                      {export(good), &object.Commit{Message: "m"}, "is not signed"},
		"no key":                    {"", sign(good, ago(days)), "no armored public key"},
		"no block ends":             {keyBlock, sign(good, ago(days)), "openpgp"},
	} {
		file := filepath.Join(t.TempDir(), "keys.asc")
		if err := os.WriteFile(file, []byte(c.keys), 0o600); err != nil {
			t.Fatal(err)
		}
		err := (&Git{Keyring: file}).verify(c.commit)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}
