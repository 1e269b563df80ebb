package main

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// ciDir has the pipelines that init writes and the documentation links to.
const ciDir = "render/scaffold/ci"

// commandLine finds where a file runs evenkeel: up to what the shell takes for
// itself.
var commandLine = regexp.MustCompile(`\bevenkeel ((?:[a-z]+)(?: [^|>;)'` + "`" + `\n]+)?)`)

// TestCICommands holds the CI files to the commands: every command line in them
// names a command and flags that exist.
func TestCICommands(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(repoRoot(t), ciDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		found := 0
		for line := range strings.Lines(string(readFile(t, repoRoot(t), ciDir+"/"+name))) {
			if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, "//") {
				continue
			}
			m := commandLine.FindStringSubmatch(line)
			if m == nil || !strings.ContainsAny(m[1], "-$") && m[1] != "vet" {
				continue // a word of a text, such as a title
			}
			found++
			if err := parses(strings.Fields(m[1])); err != nil {
				t.Errorf("%s: %s: %v", name, m[0], err)
			}
		}
		if found < 4 {
			t.Errorf("%s: %d command lines found, want vet, diff, apply and the look for drift", name, found)
		}
	}
	if len(files) != 4 {
		t.Errorf("%s has %d files, want 4", ciDir, len(files))
	}
}

// parses says whether a command exists and knows the flags of a command line.
func parses(args []string) error {
	cmd, rest, err := newRootCmd(streams{}).Find(args)
	if err != nil {
		return err
	}
	return cmd.ParseFlags(rest)
}

// TestCIRights holds the GitHub workflow to the least rights: none by default, and
// one job that may comment and has no source checked out.
func TestCIRights(t *testing.T) {
	var workflow struct {
		Permissions map[string]string `json:"permissions"`
		Jobs        map[string]struct {
			If          string            `json:"if"`
			Environment string            `json:"environment"`
			Permissions map[string]string `json:"permissions"`
			Steps       []struct {
				Uses string            `json:"uses"`
				Run  string            `json:"run"`
				Env  map[string]string `json:"env"`
			} `json:"steps"`
		} `json:"jobs"`
	}
	if err := yaml.Unmarshal(readFile(t, repoRoot(t), ciDir+"/github-actions.yml"), &workflow); err != nil {
		t.Fatal(err)
	}
	if len(workflow.Permissions) != 0 || workflow.Permissions == nil {
		t.Errorf("permissions of all jobs: %v, want none", workflow.Permissions)
	}
	for name, job := range workflow.Jobs {
		if job.Permissions == nil {
			t.Errorf("job %s has no permissions of its own", name)
		}
		writes := slices.Contains(slices.Collect(maps.Values(job.Permissions)), "write")
		if writes != (name == "comment") {
			t.Errorf("job %s: permissions %v", name, job.Permissions)
		}
		for _, s := range job.Steps {
			if writes && (strings.HasPrefix(s.Uses, "actions/checkout") || strings.Contains(s.Run, "evenkeel vet")) {
				t.Errorf("job %s may write and runs %s%s", name, s.Uses, s.Run)
			}
			if _, ok := s.Env["KUBECONFIG"]; ok && (job.Environment != "cluster" || job.If == "github.event_name == 'pull_request'") {
				t.Errorf("job %s has the kubeconfig outside of the environment cluster", name)
			}
		}
	}
	for _, file := range []string{"github-actions.yml", "gitlab-ci.yml"} {
		var parsed map[string]any
		if err := yaml.UnmarshalStrict(readFile(t, repoRoot(t), ciDir+"/"+file), &parsed); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
