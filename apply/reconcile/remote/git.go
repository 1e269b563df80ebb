package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"github.com/go-git/go-git/v5/storage/memory"
)

// The environment variables with what opens a git repository: a flag would show it
// to everybody on the machine.
const (
	EnvToken      = "EVENKEEL_GIT_TOKEN"
	EnvPassphrase = "EVENKEEL_GIT_PASSPHRASE"
)

// Git is a remote git repository, and what opens it.
type Git struct {
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
	// Patience is how long the server may take to name its references; a clone may
	// take ten times as long. Zero is a minute.
	Patience time.Duration `json:"patience,omitempty"`
}

// within bounds what is asked of the server: one that stops answering is asked again
// at the next look, in place of being waited for.
func (s *Git) within(ctx context.Context, times time.Duration) (context.Context, context.CancelFunc) {
	limit := times * cmp.Or(s.Patience, time.Minute)
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
}

// unanswered says that the time was over, where that is why something failed.
func unanswered(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	return err
}

// Head is the commit that the reference names on the server, without fetching it.
func (s *Git) Head(ctx context.Context) (string, error) {
	ctx, cancel := s.within(ctx, 1)
	defer cancel()
	at, err := s.find(ctx)
	return at.commit, s.tidy(unanswered(ctx, err))
}

// place is a reference on the server, and what opened it.
type place struct {
	name   plumbing.ReferenceName
	commit string
	auth   transport.AuthMethod
	ca     []byte
}

// find asks the server for its references.
func (s *Git) find(ctx context.Context) (at place, err error) {
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
func (s *Git) resolve(refs []*plumbing.Reference) (plumbing.ReferenceName, string, error) {
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

// Cloned is a commit, and where only one that descends from others may be applied,
// all that it descends from.
type Cloned struct {
	Commit    string
	Ancestors []string
}

// Descent tells whether a commit descends from another one; nil where that is not
// asked for.
func Descent(ancestors []string) func(commit string) bool {
	if ancestors == nil {
		return nil
	}
	return func(commit string) bool { return slices.Contains(ancestors, commit) }
}

// Clone fetches the newest commit into dir, checks its signature where that is asked
// for, and returns it. Its history is fetched only where it is looked at.
func (s *Git) Clone(ctx context.Context, dir string) (out Cloned, err error) {
	ctx, cancel := s.within(ctx, 10)
	defer cancel()
	defer func() { err = s.tidy(unanswered(ctx, err)) }()
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
		if out.Ancestors, err = ancestors(repo, head.Hash()); err != nil {
			return out, err
		}
	}
	tree, err := repo.Worktree()
	if err != nil {
		return out, err
	}
	out.Commit = head.Hash().String()
	return out, tree.Checkout(&git.CheckoutOptions{Hash: head.Hash(), Force: true})
}

// ordered says whether a commit has to descend from the one that was applied last. A
// signature alone is no protection from going back: the old commit has one, too.
func (s *Git) ordered() bool { return s.Keyring != "" && !s.AllowRewind }

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
func (s *Git) verify(commit *object.Commit) error {
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
func (s *Git) open() (auth transport.AuthMethod, ca []byte, err error) {
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
		token, err := SecretFrom(s.TokenFile, EnvToken)
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

func (s *Git) user(otherwise string) string {
	switch {
	case s.User != "":
		return s.User
	case otherwise != "":
		return otherwise
	}
	return "git"
}

func (s *Git) openSSH(user string) (transport.AuthMethod, error) {
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
	auth, err := gitssh.NewPublicKeysFromFile(user, s.Key, os.Getenv(EnvPassphrase))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Key, err)
	}
	auth.HostKeyCallback = known
	return auth, nil
}

// tidy names the repository in an error, without what opens it.
func (s *Git) tidy(err error) error {
	if err == nil {
		return nil
	}
	text := strings.ReplaceAll(err.Error(), s.URL, s.shown())
	if u, err := url.Parse(s.URL); err == nil && u.User != nil {
		text = strings.ReplaceAll(text, u.User.String()+"@", "")
	}
	if token, err := SecretFrom(s.TokenFile, EnvToken); err == nil && token != "" {
		text = strings.ReplaceAll(text, token, "***")
	}
	return fmt.Errorf("git %s, %s: %w", s.shown(), s.Ref, errors.New(text))
}

// shown is the URL without what opens it.
func (s *Git) shown() string {
	u, err := url.Parse(s.URL)
	if err != nil || u.User == nil {
		return s.URL
	}
	u.User = nil
	return u.String()
}

// SecretFrom reads a secret from a file, or else from a variable.
func SecretFrom(file, variable string) (string, error) {
	if file == "" {
		return strings.TrimSpace(os.Getenv(variable)), nil
	}
	data, err := os.ReadFile(file)
	return strings.TrimSpace(string(data)), err
}

// Checkout clones into a new directory below that of temporary files. The caller
// calls done when it is no longer needed.
func (s *Git) Checkout(ctx context.Context) (root string, at Cloned, done func(), err error) {
	dir, err := os.MkdirTemp("", "evenkeel-git-")
	if err != nil {
		return "", at, func() {}, err
	}
	done = func() { _ = os.RemoveAll(dir) }
	if at, err = s.Clone(ctx, dir); err != nil {
		done()
		return "", at, func() {}, err
	}
	return filepath.Join(dir, filepath.FromSlash(s.Path)), at, done, nil
}
