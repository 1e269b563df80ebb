package checkout

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
)

// Origin is where a rendering comes from, for those who are handed it without the
// repository.
type Origin struct {
	URL    string // of the remote "origin", without credentials; may be empty
	Commit string
	Branch string    // empty where no branch is checked out
	Time   time.Time // of the commit
	Dirty  bool      // the tree holds what the commit does not
}

// ErrNoCommit says that there is no commit to name.
var ErrNoCommit = errors.New("no git commit is checked out")

// OriginOf is the origin of what is rendered from a directory; ErrNoCommit where
// nothing was committed.
func OriginOf(dir string) (Origin, error) {
	commit, dirty, err := Head(dir)
	if err != nil {
		return Origin{}, err
	}
	if commit == "" {
		return Origin{}, fmt.Errorf("%s: %w", dir, ErrNoCommit)
	}
	repo, err := Open(dir)
	if err != nil {
		return Origin{}, err
	}
	o := Origin{Commit: commit, Dirty: dirty}
	head, err := repo.Head()
	if err != nil {
		return Origin{}, err
	}
	if head.Name().IsBranch() {
		o.Branch = head.Name().Short()
	}
	c, err := repo.CommitObject(head.Hash())
	if err != nil {
		return Origin{}, err
	}
	o.Time = c.Committer.When
	remote, err := repo.Remote("origin")
	if errors.Is(err, git.ErrRemoteNotFound) {
		return o, nil
	}
	if err != nil {
		return Origin{}, err
	}
	if urls := remote.Config().URLs; len(urls) > 0 {
		o.URL = withoutCredentials(urls[0])
	}
	return o, nil
}

// withoutCredentials takes out of a URL what opens it, before the host or behind the path.
func withoutCredentials(remote string) string {
	u, err := url.Parse(remote)
	if err != nil { // git@host:path is no URL and holds no password
		address, _, _ := strings.Cut(remote, "?")
		return address
	}
	plain := url.URL{Scheme: u.Scheme, Opaque: u.Opaque, Host: u.Host, Path: u.Path}
	if u.Scheme == "ssh" && u.User != nil {
		plain.User = url.User(u.User.Username())
	}
	return plain.String()
}
