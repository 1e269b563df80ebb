package remote

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	openpgp "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/seed-428f4edd/evenkeel/internal/plain"
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
	// Most bounds what a clone may take on disk, in bytes. Zero is 2 GiB.
	Most int64 `json:"most,omitempty"`
}

// within bounds what is asked of the server: one that stops answering is asked again
// at the next look, in place of being waited for.
func (s *Git) within(ctx context.Context, times time.Duration) (context.Context, context.CancelFunc) {
	limit := times * cmp.Or(s.Patience, time.Minute)
	return context.WithTimeoutCause(ctx, limit, TooMuch(fmt.Sprintf("no answer within %s", limit)))
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
	var at place
	err := until(ctx, func() (err error) {
		at, err = s.find(ctx)
		return err
	})
	if err != nil {
		return "", s.tidy(unanswered(ctx, err))
	}
	return at.commit, nil
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
// for, and returns it. Its history is fetched only where it is looked at. Nothing is
// written to dir once it has returned.
func (s *Git) Clone(ctx context.Context, dir string) (Cloned, error) {
	ctx, cancel := s.within(ctx, 10)
	defer cancel()
	limit := &quota{ctx: ctx, most: cmp.Or(s.Most, defaultMost)}
	var out Cloned
	err := until(ctx, func() (err error) {
		out, err = s.clone(ctx, dir, limit)
		return err
	})
	if err != nil {
		// Not each error of a write comes back as what it was.
		return Cloned{}, s.tidy(cmp.Or(limit.exceeded(), unanswered(ctx, err)))
	}
	return out, nil
}

func (s *Git) clone(ctx context.Context, dir string, limit *quota) (out Cloned, err error) {
	at, err := s.find(ctx)
	if err != nil {
		return out, err
	}
	depth := 1
	if s.ordered() {
		depth = 0 // all of it
	}
	worktree := boundedFS{osfs.New(dir), limit}
	dotGit, err := worktree.Chroot(git.GitDirName)
	if err != nil {
		return out, err
	}
	repo, err := git.CloneContext(ctx, filesystem.NewStorage(dotGit, cache.NewObjectLRUDefault()), worktree, &git.CloneOptions{
		URL: s.URL, Auth: at.auth, CABundle: at.ca, ReferenceName: at.name, SingleBranch: true, Depth: depth, Tags: git.NoTags, NoCheckout: true,
	})
	if err != nil {
		return out, err
	}
	head, err := repo.Head()
	if err != nil {
		return out, err
	}
	if err := small(repo.Storer, head.Hash()); err != nil {
		return out, err
	}
	newest, err := repo.CommitObject(head.Hash())
	if err != nil {
		return out, err
	}
	if err := s.verify(newest); err != nil {
		return out, err
	}
	if s.ordered() {
		if out.Ancestors, err = ancestors(repo, head.Hash()); err != nil {
			return out, err
		}
	}
	if err := survey(repo.Storer, newest.TreeHash, limit); err != nil {
		return out, err
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
	if err := signedBy(commit, string(keyring)); err != nil {
		return fmt.Errorf("commit %s: no key of %s made its signature: %w", commit.Hash, s.Keyring, err)
	}
	return nil
}

// keyBlock begins the keys of an export: files of several are put one behind the other.
const keyBlock = "-----BEGIN PGP PUBLIC KEY BLOCK-----"

// signedBy refuses a commit that no key of an armored text signed, or one of which any
// block of it says that it is revoked or expired: an older copy of the key may stand in
// another one.
func signedBy(commit *object.Commit, keyring string) error {
	blocks := strings.Split(keyring, keyBlock)[1:]
	if len(blocks) == 0 {
		return errors.New("it holds no armored public key (gpg --export --armor)")
	}
	var unknown error
	known := false
	for _, block := range blocks {
		_, err := commit.Verify(keyBlock + block)
		switch {
		case err == nil:
			known = true
		case errors.Is(err, openpgp.ErrUnknownIssuer):
			unknown = err
		default:
			return err
		}
	}
	if !known {
		return unknown
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

// mostText is what is kept of an error: a server writes a part of it.
const mostText = 500

// tidy names the repository in an error, without what opens it, on one line.
func (s *Git) tidy(err error) error {
	if limit, ok := errors.AsType[TooMuch](err); ok {
		return fmt.Errorf("git %s: %w", s.Shown(), limit)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // its text has the URL, and the one that a server leads to
	}
	text := strings.ReplaceAll(err.Error(), s.URL, s.Shown())
	for _, secret := range s.secrets() {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return fmt.Errorf("git %s: %s", s.Shown(), plain.Line(text, mostText))
}

// secrets are what opens the repository, as an error may quote it: by itself, in a
// URL, or in the header that a server sends back.
func (s *Git) secrets() []string {
	var all []string
	add := func(plain string) {
		all = append(all, plain, url.QueryEscape(plain), url.PathEscape(plain), url.UserPassword("", plain).String()[1:])
	}
	if token, err := SecretFrom(s.TokenFile, EnvToken); err == nil && token != "" {
		add(token)
		all = append(all, base64.StdEncoding.EncodeToString([]byte(s.user("git")+":"+token)))
	}
	if u, err := url.Parse(s.URL); err == nil {
		password, has := u.User.Password()
		if has {
			all = append(all, base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
			add(password)
		} else if name := u.User.Username(); name != "git" { // a token may stand as the user
			add(name)
		}
		add(u.RawQuery)
		for _, values := range u.Query() {
			for _, value := range values {
				add(value)
			}
		}
		add(u.Fragment)
	}
	all = slices.DeleteFunc(all, func(text string) bool { return text == "" })
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return all
}

// Shown is the repository and the reference without what opens it, which may stand
// before the host or behind the path.
func (s *Git) Shown() string {
	u, err := url.Parse(s.URL)
	if err != nil { // as in git@host:path
		address, _, _ := strings.Cut(s.URL, "?")
		if _, host, found := strings.Cut(address, "@"); found {
			address = host
		}
		return address + ", " + s.Ref
	}
	plain := url.URL{Scheme: u.Scheme, Opaque: u.Opaque, Host: u.Host, Path: u.Path}
	return plain.String() + ", " + s.Ref
}

// SecretFrom reads a secret from a file, or else from a variable.
func SecretFrom(file, variable string) (string, error) {
	if file == "" {
		return strings.TrimSpace(os.Getenv(variable)), nil
	}
	data, err := os.ReadFile(file)
	return strings.TrimSpace(string(data)), err
}
