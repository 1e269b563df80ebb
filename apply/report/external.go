package report

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/internal/program"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// External runs the reader's own diff program over the bodies of a plan, one file
// per object in a directory for either side, as kubectl diff does (diff.go in
// k8s.io/kubectl/pkg/cmd/diff): the program is told the two directories and then
// the words of command after the first that consist of letters, digits, "-" and
// "=" only. An empty command means "diff -u -N".
//
// A program that exits with 0 or 1 did its work; any other code is an error. The
// files hold no secret values, belong to the user alone and are removed when the
// program ends.
func External(ctx context.Context, command string, out, errOut io.Writer, p *apply.Plan) error {
	live, merged, err := writeBodies(p)
	defer func() {
		_ = os.RemoveAll(live) // nothing is left to do about it
		_ = os.RemoveAll(merged)
	}()
	if err != nil {
		return err
	}
	words := externalCommand(command, live, merged)
	cmd := program.Command(ctx, words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr = out, errOut
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("diff program %q: %w", words[0], err)
	}
	return nil
}

func externalCommand(command, live, merged string) []string {
	words := strings.Fields(command)
	if len(words) == 0 {
		return []string{"diff", "-u", "-N", live, merged}
	}
	plain := regexp.MustCompile(`^[a-zA-Z0-9-=]+$`)
	args := []string{words[0], live, merged}
	for _, word := range words[1:] {
		if plain.MatchString(word) {
			args = append(args, word)
		}
	}
	return args
}

// writeBodies writes the bodies that differ. The directories are removed by the
// caller, also when there is an error.
func writeBodies(p *apply.Plan) (live, merged string, err error) {
	if live, err = os.MkdirTemp("", "LIVE-"); err != nil {
		return "", "", err
	}
	if merged, err = os.MkdirTemp("", "MERGED-"); err != nil {
		return live, "", err
	}
	for i := range p.Changes {
		c := &p.Changes[i]
		before, after := body(c.Before), body(c.After)
		if before == after {
			continue
		}
		for dir, text := range map[string]string{live: before, merged: after} {
			if text == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, fileName(c.Ref)), []byte(text), 0o600); err != nil {
				return live, merged, err
			}
		}
	}
	return live, merged, nil
}

// fileName is group.version.Kind.namespace.name, as kubectl has it.
func fileName(r schema.Ref) string {
	gvk := r.GVK()
	var b strings.Builder
	if gvk.Group != "" {
		b.WriteString(gvk.Group + ".")
	}
	fmt.Fprintf(&b, "%s.%s.%s.%s", gvk.Version, gvk.Kind, r.Namespace, r.Name)
	return strings.ReplaceAll(b.String(), string(filepath.Separator), "_")
}
