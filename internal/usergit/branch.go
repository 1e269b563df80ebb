package usergit

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/internal/plain"
)

// Branch makes a new branch of what is checked out and checks it out, for Commit and
// PushBranch. What is changed and not committed goes along and stays as it is. The
// function that it returns goes back to where it was; with drop it removes the branch,
// which then has nothing of its own.
func (f Files) Branch(ctx context.Context, name string) (back func(drop bool) error, err error) {
	if _, err := f.git(ctx, "check-ref-format", "--branch", name); err != nil || strings.HasPrefix(name, "-") {
		return nil, &hint.Error{Err: fmt.Errorf("%q is not a name that git takes for a branch", name), Hint: "such as release/shop-1.4.2"}
	}
	if _, err := f.git(ctx, "rev-parse", "--verify", "--quiet", "refs/heads/"+name); err == nil {
		return nil, &hint.Error{Err: fmt.Errorf("there is a branch %s already", name), Hint: "give another name, or remove it: git branch -D " + plain.Argument(name)}
	}
	from, err := f.git(ctx, "symbolic-ref", "--short", "--quiet", "HEAD")
	if err != nil { // no branch, as in many pipelines
		if from, err = f.git(ctx, "rev-parse", "--verify", "HEAD^{commit}"); err != nil {
			return nil, &hint.Error{Err: errors.New("there is no commit to begin a branch at"), Hint: "commit first"}
		}
	}
	if strings.HasPrefix(from, "-") { // which git would take for a flag on the way back
		return nil, &hint.Error{Err: fmt.Errorf("the branch that is checked out is called %q", from), Hint: "git switch to another one before"}
	}
	if _, err := f.git(ctx, "checkout", "--quiet", "-b", name, "--"); err != nil {
		return nil, err
	}
	return func(drop bool) error {
		ctx := context.WithoutCancel(ctx) // where it was interrupted, too
		if _, err := f.git(ctx, "checkout", "--quiet", from, "--"); err != nil {
			return err
		}
		if !drop {
			return nil
		}
		_, err := f.git(ctx, "branch", "--quiet", "-D", name)
		return err
	}, nil
}

// PushBranch pushes a branch to origin, and says the addresses that the git host
// answers with: where a pull request is opened.
func (f Files) PushBranch(ctx context.Context, name string) error {
	said := &lastWords{}
	push := f.command(ctx, "push", "--set-upstream", "origin", "refs/heads/"+name)
	push.Stdout, push.Stderr = said, said
	if err := push.Run(); err != nil {
		return &hint.Error{
			Err:  fmt.Errorf("git push: %s", strings.TrimSpace(said.String())),
			Hint: fmt.Sprintf("the commit is there, on the branch %[1]s: git push --set-upstream origin %[1]s", plain.Argument(name)),
		}
	}
	f.Say("pushed to the branch " + name)
	for _, url := range requests(said.String()) {
		f.Say("the git host answers: " + url)
	}
	return nil
}

// lastWords keeps the end of what git says: a git host may say more than there is memory.
type lastWords struct{ said []byte }

const mostWords = 64 << 10

// Write implements io.Writer.
func (l *lastWords) Write(p []byte) (int, error) {
	l.said = append(l.said, p[max(0, len(p)-mostWords):]...)
	if over := len(l.said) - mostWords; over > 0 {
		l.said = append(l.said[:0], l.said[over:]...)
	}
	return len(p), nil
}

func (l *lastWords) String() string { return string(l.said) }

// remoteURL matches an address in what a git host says of a push.
var remoteURL = regexp.MustCompile(`(?m)^remote:.*?(https?://[!-~]+)`)

// mostURL bounds such an address, in bytes.
const mostURL = 2000

// requests are the addresses that a git host answers a push with, at most three: hosts
// add advertisements.
func requests(said string) []string {
	var urls []string
	for _, m := range remoteURL.FindAllStringSubmatch(said, -1) {
		if url := strings.TrimRight(m[1][:min(len(m[1]), mostURL)], ".,)"); !slices.Contains(urls, url) && len(urls) < 3 {
			urls = append(urls, url)
		}
	}
	return urls
}
