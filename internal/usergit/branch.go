package usergit

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
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
		return nil, &hint.Error{Err: fmt.Errorf("there is a branch %s already", name), Hint: "give another name, or remove it: git branch -D " + name}
	}
	from, err := f.git(ctx, "symbolic-ref", "--short", "--quiet", "HEAD")
	if err != nil { // no branch, as in many pipelines
		if from, err = f.git(ctx, "rev-parse", "--verify", "HEAD^{commit}"); err != nil {
			return nil, &hint.Error{Err: errors.New("there is no commit to begin a branch at"), Hint: "commit first"}
		}
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
	out, err := f.command(ctx, "push", "--set-upstream", "origin", "refs/heads/"+name).CombinedOutput()
	if err != nil {
		return &hint.Error{
			Err:  fmt.Errorf("git push: %s", strings.TrimSpace(string(out))),
			Hint: fmt.Sprintf("the commit is there, on the branch %[1]s: git push --set-upstream origin %[1]s", name),
		}
	}
	f.Say("pushed to the branch " + name)
	for _, url := range requests(string(out)) {
		f.Say("the git host answers: " + url)
	}
	return nil
}

// remoteURL matches an address in what a git host says of a push.
var remoteURL = regexp.MustCompile(`(?m)^remote:.*?(https?://\S+)`)

// requests are the addresses that a git host answers a push with, at most three: hosts
// add advertisements.
func requests(said string) []string {
	var urls []string
	for _, m := range remoteURL.FindAllStringSubmatch(said, -1) {
		if url := strings.TrimRight(m[1], ".,)"); !slices.Contains(urls, url) && len(urls) < 3 {
			urls = append(urls, url)
		}
	}
	return urls
}
