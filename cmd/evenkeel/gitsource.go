package main

import (
	"github.com/spf13/pflag"

	"github.com/seed-428f4edd/evenkeel/apply/reconcile/remote"
)

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
	f.StringVar(&s.Keyring, "verify-signatures", "", "take only commits signed by a key of this file (OpenPGP, armored) that descend from the one applied last")
	f.BoolVar(&s.AllowRewind, "allow-rewind", false, "with --verify-signatures: take a commit that does not descend from the one applied last, such as an older one")
}
