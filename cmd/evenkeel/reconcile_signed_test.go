package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// TestMovedReferences has whoever may write to the git server move a branch and a tag
// while the daemon takes signed commits only: to an older signed commit, to a signed
// one beside, to one that is not signed, to one of a stranger. None is applied; what
// follows the last one is.
func TestMovedReferences(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "t-moved")
	known, stranger := newKey(t), newKey(t)
	repo, err := git.PlainOpen(d.work)
	if err != nil {
		t.Fatal(err)
	}
	image := regexp.MustCompile(`web:[0-9.]+`)
	commit := func(version string, key *openpgp.Entity) string {
		t.Helper()
		name := "envs/" + d.env + "/env.cue"
		text, err := os.ReadFile(filepath.Join(d.work, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, d.work, name, image.ReplaceAllString(string(text), "web:"+version))
		tree, err := repo.Worktree()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tree.Add(name); err != nil {
			t.Fatal(err)
		}
		who := &object.Signature{Name: "ops", Email: "ops@example.org", When: time.Now()}
		hash, err := tree.Commit(version, &git.CommitOptions{Author: who, SignKey: key})
		if err != nil {
			t.Fatal(err)
		}
		return hash.String()
	}
	to := func(reference, hash string) { d.git(d.work, "push", "-q", "-f", "origin", hash+":"+reference) }
	refuses := func(p *process, reference, hash, version, why string) {
		t.Helper()
		before := strings.Count(p.said(), why)
		to(reference, hash)
		d.until(version+" is refused: "+why, func() bool { return strings.Count(p.said(), why) > before })
		if got := d.kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}"); strings.HasSuffix(got, version) {
			t.Errorf("%s is applied, which %s", got, why)
		}
	}

	c1 := commit("1.1", known)
	to("refs/heads/main", c1)
	first := exec.CommandContext(t.Context(), "evenkeel", "-C", d.work, "apply", d.env, "--yes")
	first.Env = append(os.Environ(), "KUBECONFIG="+d.kubeconfig)
	if out, err := first.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	keyring := write(t, t.TempDir(), "keyring", keyring(t, known))
	p := d.reconcile("--lease", "none", "--verify-signatures", keyring)
	d.image("example.org/web:1.1")
	c2 := commit("1.2", known)
	to("refs/heads/main", c2)
	d.until("1.2 is recorded", func() bool { return strings.Contains(p.said(), `"revision":2,"commit":"`+c2[:12]) })

	refuses(p, "refs/heads/main", c1, "1.1", "does not descend from "+c2)
	d.git(d.work, "reset", "-q", "--hard", c1)
	beside := commit("1.9", known)
	refuses(p, "refs/heads/main", beside, "1.9", "does not descend from "+c2)
	d.git(d.work, "reset", "-q", "--hard", c2)
	unsigned := commit("1.8", nil)
	refuses(p, "refs/heads/main", unsigned, "1.8", fmt.Sprintf("commit %s is not signed", unsigned))
	d.git(d.work, "reset", "-q", "--hard", c2)
	foreign := commit("1.7", stranger)
	refuses(p, "refs/heads/main", foreign, "1.7", fmt.Sprintf("commit %s: no key of", foreign))

	// What follows is applied, and with it what was refused is the past.
	d.git(d.work, "reset", "-q", "--hard", c2)
	c3 := commit("1.3", known)
	to("refs/heads/main", c3)
	// What was applied is known once it is recorded.
	d.until("1.3 is recorded", func() bool { return strings.Contains(p.said(), `"revision":3,"commit":"`+c3[:12]) })
	p.end(t)

	// A tag is moved as easily as a branch.
	to("refs/tags/released", c3)
	p = d.reconcile("--lease", "none", "--verify-signatures", keyring, "--ref", "released")
	d.until("the tag is rendered", func() bool { return strings.Contains(p.said(), c3) })
	refuses(p, "refs/tags/released", c2, "1.2", "does not descend from "+c3)
	refuses(p, "refs/tags/released", unsigned, "1.8", fmt.Sprintf("commit %s is not signed", unsigned))
	d.git(d.work, "-c", "tag.gpgSign=false", "tag", "-a", "-m", "x", "annotated", beside)
	refuses(p, "refs/tags/released", "refs/tags/annotated", "1.9", "does not descend from "+c3)
	d.git(d.work, "reset", "-q", "--hard", c3)
	c4 := commit("1.4", known)
	to("refs/tags/released", c4)
	d.image("example.org/web:1.4")
	p.end(t)
}
