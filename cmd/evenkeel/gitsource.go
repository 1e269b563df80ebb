package main

import (
	"fmt"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/seed-428f4edd/evenkeel/apply/reconcile/remote"
)

// gitSize is the flag of remote.Git.Most.
type gitSize struct{ bytes *int64 }

// String implements pflag.Value.
func (s gitSize) String() string {
	if s.bytes == nil || *s.bytes == 0 {
		return ""
	}
	return resource.NewQuantity(*s.bytes, resource.BinarySI).String()
}

// Set implements pflag.Value.
func (s gitSize) Set(text string) error {
	size, err := resource.ParseQuantity(text)
	if err != nil {
		return err
	}
	if *s.bytes = size.Value(); *s.bytes < 1<<20 {
		return fmt.Errorf("it is 1Mi at least, as in --git-size 2Gi")
	}
	return nil
}

// Type implements pflag.Value.
func (s gitSize) Type() string { return "size" }

// addGitFlags adds the flags that say where a git repository is, and what opens it.
func addGitFlags(f *pflag.FlagSet, s *remote.Git) {
	f.StringVar(&s.URL, "git", "", "read the environments from this git repository (https, ssh or file) instead of from --dir")
	f.StringVar(&s.Ref, "ref", "main", "the branch or tag of --git")
	f.StringVar(&s.Path, "git-path", "", "the directory of the environments' repository below the top of --git")
	f.StringVar(&s.User, "git-user", "", "the user of --git; default: git")
	f.StringVar(&s.TokenFile, "git-token-file", "", "the file with the token for https; default: the variable "+remote.EnvToken)
	f.StringVar(&s.Key, "git-ssh-key", "", "the file with the private key for ssh; default: the agent ("+remote.EnvPassphrase+" opens the key)")
	f.StringVar(&s.KnownHosts, "git-known-hosts", "", "the file with the host keys for ssh; default: ~/.ssh/known_hosts")
	f.StringVar(&s.CA, "git-ca", "", "the file with the certificates (PEM) that sign the https server's")
	s.Most = 2 << 30
	f.Var(gitSize{&s.Most}, "git-size", "how much of the disk a clone of --git may take, such as 2Gi")
	f.StringVar(&s.Keyring, "verify-signatures", "", "take only commits signed by a key of this file (OpenPGP, armored) that descend from the one applied last")
	f.BoolVar(&s.AllowRewind, "allow-rewind", false, "with --verify-signatures: take a commit that does not descend from the one applied last, such as an older one")
}
