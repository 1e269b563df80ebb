package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"github.com/go-git/go-git/v5/storage/memory"
	"github.com/spf13/pflag"
)

// The environment variables with what opens a git repository: a flag would show it
// to everybody on the machine.
const (
	envGitToken      = "EVENKEEL_GIT_TOKEN"
	envGitPassphrase = "EVENKEEL_GIT_PASSPHRASE"
)

// gitSource is a remote git repository, and what opens it.
type gitSource struct {
	URL        string `json:"url"`
	Ref        string `json:"ref"`
	Path       string `json:"path,omitempty"` // of the environments' root below the top
	User       string `json:"user,omitempty"`
	TokenFile  string `json:"tokenFile,omitempty"`
	Key        string `json:"key,omitempty"`
	KnownHosts string `json:"knownHosts,omitempty"`
	CA         string `json:"ca,omitempty"`
	Keyring    string `json:"keyring,omitempty"`
	// AllowRewind takes commits that do not descend from the one applied last.
	AllowRewind bool `json:"allowRewind,omitempty"`
}

func (s *gitSource) addFlags(f *pflag.FlagSet) {
	f.StringVar(&s.URL, "git", "", "read the environments from this git repository (https, ssh or file) instead of from --dir")
	f.StringVar(&s.Ref, "ref", "main", "the branch or tag of --git")
	f.StringVar(&s.Path, "git-path", "", "the directory of the environments' repository below the top of --git")
	f.StringVar(&s.User, "git-user", "", "the user of --git; default: git")
	f.StringVar(&s.TokenFile, "git-token-file", "", "the file with the token for https; default: the variable "+envGitToken)
	f.StringVar(&s.Key, "git-ssh-key", "", "the file with the private key for ssh; default: the agent ("+envGitPassphrase+" opens the key)")
	f.StringVar(&s.KnownHosts, "git-known-hosts", "", "the file with the host keys for ssh; default: ~/.ssh/known_hosts")
	f.StringVar(&s.CA, "git-ca", "", "the file with the certificates (PEM) that sign the https server's")
	f.StringVar(&s.Keyring, "verify-signatures", "", "take only commits signed by a key of this file (OpenPGP, armored) that descend from the one applied last")
	f.BoolVar(&s.AllowRewind, "allow-rewind", false, "with --verify-signatures: take a commit that does not descend from the one applied last, such as an older one")
}

// head is the commit that the reference names on the server, without fetching it.
func (s *gitSource) head(ctx context.Context) (string, error) {
	at, err := s.find(ctx)
	return at.commit, s.tidy(err)
}

// place is a reference on the server, and what opened it.
type place struct {
	name   plumbing.ReferenceName
	commit string
	auth   transport.AuthMethod
	ca     []byte
}

// find asks the server for its references.
func (s *gitSource) find(ctx context.Context) (at place, err error) {
	if at.auth, at.ca, err = s.open(); err != nil {
		return at, err
	}
	remote := git.NewRemote(memory.NewStorage(), &config.RemoteConfig{Name: "origin", URLs: []string{s.URL}})
	refs, err := remote.ListContext(ctx, &git.ListOptions{Auth: at.auth, CABundle: at.ca, PeelingOption: git.AppendPeeled})
	if err != nil {
		return at, err
	}
	at.name, at.commit, err = s.resolve(refs)
	return at, err
}

// resolve finds the reference among those of the server: a branch, a tag, or a
// whole name such as refs/heads/main. An annotated tag is the commit that it is of.
func (s *gitSource) resolve(refs []*plumbing.Reference) (plumbing.ReferenceName, string, error) {
	byName := map[plumbing.ReferenceName]*plumbing.Reference{}
	for _, ref := range refs {
		byName[ref.Name()] = ref
	}
	for _, name := range []string{s.Ref, "refs/heads/" + s.Ref, "refs/tags/" + s.Ref} {
		at := plumbing.ReferenceName(name)
		if peeled := byName[at+"^{}"]; peeled != nil {
			return at, peeled.Hash().String(), nil
		}
		ref := byName[at]
		if ref != nil && ref.Type() == plumbing.SymbolicReference {
			at = ref.Target()
			ref = byName[at]
		}
		if ref != nil {
			return at, ref.Hash().String(), nil
		}
	}
	return "", "", fmt.Errorf("it has no branch or tag %q", s.Ref)
}

// cloned is a commit, and where only one that descends from others may be applied,
// all that it descends from.
type cloned struct {
	commit    string
	ancestors []string
}

// descent tells whether the commit descends from another one; nil where that is not
// asked for.
func descent(ancestors []string) func(commit string) bool {
	if ancestors == nil {
		return nil
	}
	return func(commit string) bool { return slices.Contains(ancestors, commit) }
}

// clone fetches the newest commit into dir, checks its signature where that is asked
// for, and returns it. Its history is fetched only where it is looked at.
func (s *gitSource) clone(ctx context.Context, dir string) (out cloned, err error) {
	defer func() { err = s.tidy(err) }()
	at, err := s.find(ctx)
	if err != nil {
		return out, err
	}
	depth := 1
	if s.ordered() {
		depth = 0 // all of it
	}
	repo, err := git.PlainCloneContext(ctx, dir, false, &git.CloneOptions{
		URL: s.URL, Auth: at.auth, CABundle: at.ca, ReferenceName: at.name, SingleBranch: true, Depth: depth, Tags: git.NoTags, NoCheckout: true,
	})
	if err != nil {
		return out, err
	}
	head, err := repo.Head()
	if err != nil {
		return out, err
	}
	signed, err := repo.CommitObject(head.Hash())
	if err != nil {
		return out, err
	}
	if err := s.verify(signed); err != nil {
		return out, err
	}
	if s.ordered() {
		if out.ancestors, err = ancestors(repo, head.Hash()); err != nil {
			return out, err
		}
	}
	tree, err := repo.Worktree()
	if err != nil {
		return out, err
	}
	out.commit = head.Hash().String()
	return out, tree.Checkout(&git.CheckoutOptions{Hash: head.Hash(), Force: true})
}

// ordered says whether a commit has to descend from the one that was applied last. A
// signature alone is no protection from going back: the old commit has one, too.
func (s *gitSource) ordered() bool { return s.Keyring != "" && !s.AllowRewind }

// ancestors are a commit and all that it descends from.
func ancestors(repo *git.Repository, head plumbing.Hash) ([]string, error) {
	commits, err := repo.Log(&git.LogOptions{From: head})
	if err != nil {
		return nil, err
	}
	var all []string
	err = commits.ForEach(func(c *object.Commit) error {
		all = append(all, c.Hash.String())
		return nil
	})
	return all, err
}

// verify refuses a commit that no key of the keyring signed.
func (s *gitSource) verify(commit *object.Commit) error {
	if s.Keyring == "" {
		return nil
	}
	keyring, err := os.ReadFile(s.Keyring)
	if err != nil {
		return err
	}
	if commit.PGPSignature == "" {
		return fmt.Errorf("commit %s is not signed", commit.Hash)
	}
	if _, err := commit.Verify(string(keyring)); err != nil {
		return fmt.Errorf("commit %s: no key of %s made its signature: %w", commit.Hash, s.Keyring, err)
	}
	return nil
}

// open is what opens the repository. Files are read anew each time: they are
// replaced when what they hold expires.
func (s *gitSource) open() (auth transport.AuthMethod, ca []byte, err error) {
	endpoint, err := transport.NewEndpoint(s.URL)
	if err != nil {
		return nil, nil, err
	}
	if s.CA != "" {
		if ca, err = os.ReadFile(s.CA); err != nil {
			return nil, nil, err
		}
	}
	switch endpoint.Protocol {
	case "http", "https":
		token, err := secretFrom(s.TokenFile, envGitToken)
		if err != nil || token == "" {
			return nil, ca, err
		}
		return &githttp.BasicAuth{Username: s.user("git"), Password: token}, ca, nil
	case "ssh":
		auth, err := s.openSSH(s.user(endpoint.User))
		return auth, ca, err
	}
	return nil, ca, nil
}

func (s *gitSource) user(otherwise string) string {
	switch {
	case s.User != "":
		return s.User
	case otherwise != "":
		return otherwise
	}
	return "git"
}

func (s *gitSource) openSSH(user string) (transport.AuthMethod, error) {
	var files []string
	if s.KnownHosts != "" {
		files = []string{s.KnownHosts}
	}
	known, err := gitssh.NewKnownHostsCallback(files...)
	if err != nil {
		return nil, fmt.Errorf("known hosts: %w", err)
	}
	if s.Key == "" {
		auth, err := gitssh.NewSSHAgentAuth(user)
		if err != nil {
			return nil, fmt.Errorf("no --git-ssh-key, and no agent: %w", err)
		}
		auth.HostKeyCallback = known
		return auth, nil
	}
	auth, err := gitssh.NewPublicKeysFromFile(user, s.Key, os.Getenv(envGitPassphrase))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Key, err)
	}
	auth.HostKeyCallback = known
	return auth, nil
}

// tidy names the repository in an error, without what opens it.
func (s *gitSource) tidy(err error) error {
	if err == nil {
		return nil
	}
	text := strings.ReplaceAll(err.Error(), s.URL, s.shown())
	if u, err := url.Parse(s.URL); err == nil && u.User != nil {
		text = strings.ReplaceAll(text, u.User.String()+"@", "")
	}
	if token, err := secretFrom(s.TokenFile, envGitToken); err == nil && token != "" {
		text = strings.ReplaceAll(text, token, "***")
	}
	return fmt.Errorf("git %s, %s: %w", s.shown(), s.Ref, errors.New(text))
}

// shown is the URL without what opens it.
func (s *gitSource) shown() string {
	u, err := url.Parse(s.URL)
	if err != nil || u.User == nil {
		return s.URL
	}
	u.User = nil
	return u.String()
}

// secretFrom reads a secret from a file, or else from a variable.
func secretFrom(file, variable string) (string, error) {
	if file == "" {
		return strings.TrimSpace(os.Getenv(variable)), nil
	}
	data, err := os.ReadFile(file)
	return strings.TrimSpace(string(data)), err
}

// checkout clones into a new directory below that of temporary files. The caller
// calls done when it is no longer needed.
func (s *gitSource) checkout(ctx context.Context) (root string, at cloned, done func(), err error) {
	dir, err := os.MkdirTemp("", "evenkeel-git-")
	if err != nil {
		return "", at, func() {}, err
	}
	done = func() { _ = os.RemoveAll(dir) }
	if at, err = s.clone(ctx, dir); err != nil {
		done()
		return "", at, func() {}, err
	}
	return filepath.Join(dir, filepath.FromSlash(s.Path)), at, done, nil
}
