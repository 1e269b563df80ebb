package main

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"sigs.k8s.io/yaml"
)

// ciDir has the pipelines that init writes and the documentation links to.
const ciDir = "render/scaffold/ci"

// pipeline runs what a job of a CI file runs, one step after the other until one
// fails, and checks the exit code: "pipeline 1 gitlab-ci.yml drift". NAME=VALUE is
// a variable of the service, or what a workflow calls ${{ NAME }}; NAME=@OTHER is
// the file that OTHER names. Steps that install evenkeel are left out.
func pipeline(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: pipeline CODE FILE JOB [NAME=VALUE...]")
	}
	given := map[string]string{}
	for _, arg := range args[3:] {
		name, value, _ := strings.Cut(arg, "=")
		if file, ok := strings.CutPrefix(value, "@"); ok {
			value = ts.ReadFile(ts.Getenv(file))
		}
		given[name] = value
	}
	steps := jobSteps(ts, args[1], args[2])
	if len(steps) == 0 {
		ts.Fatalf("%s has no job %s that runs something", args[1], args[2])
	}
	for i, s := range steps {
		command := []string{"env", "GITHUB_STEP_SUMMARY=" + ts.MkAbs("summary.md"), "PATH=" + ts.MkAbs("bin") + ":" + ts.Getenv("PATH")}
		for name, value := range given {
			if !strings.Contains(name, ".") {
				command = append(command, name+"="+value)
			}
		}
		for name, value := range s.env {
			command = append(command, name+"="+expression.ReplaceAllStringFunc(value, func(e string) string {
				name := expression.FindStringSubmatch(e)[1]
				value, ok := given[name]
				if !ok {
					ts.Fatalf("%s: the step asks for %s", args[1], name)
				}
				return value
			}))
		}
		command = append(append(command, s.shell...), s.run)
		code := "0"
		if i == len(steps)-1 {
			code = args[0]
		}
		exits(ts, false, append([]string{code}, command...))
	}
}

var expression = regexp.MustCompile(`\$\{\{ *([a-zA-Z_.]+) *\}\}`)

// A ciStep is one script of a job.
type ciStep struct {
	run   string
	env   map[string]string
	shell []string
}

// jobSteps are the scripts of a job, with the shell that the service gives them.
func jobSteps(ts *testscript.TestScript, file, job string) (steps []ciStep) {
	data := []byte(ts.ReadFile(filepath.Join(ts.Getenv("REPO"), ciDir, file)))
	switch file {
	case "github-actions.yml":
		var workflow struct {
			Jobs map[string]struct {
				Steps []struct {
					Run string            `json:"run"`
					Env map[string]string `json:"env"`
				} `json:"steps"`
			} `json:"jobs"`
		}
		ts.Check(yaml.Unmarshal(data, &workflow))
		for _, s := range workflow.Jobs[job].Steps {
			if s.Run != "" && !strings.HasPrefix(s.Run, "go install") {
				steps = append(steps, ciStep{s.Run, s.Env, []string{"bash", "-e", "-c"}})
			}
		}
	case "gitlab-ci.yml":
		var jobs map[string]json.RawMessage
		ts.Check(yaml.Unmarshal(data, &jobs))
		var j struct {
			Script []string `json:"script"`
		}
		ts.Check(json.Unmarshal(jobs[job], &j))
		steps = []ciStep{{run: strings.Join(j.Script, "\n"), shell: []string{"bash", "-eo", "pipefail", "-c"}}}
	case "Jenkinsfile":
		_, stage, _ := strings.Cut(string(data), "stage('"+job+"')")
		stage, _, _ = strings.Cut(stage, "stage('")
		for _, m := range regexp.MustCompile(`(?s)sh (?:\'\'\'(.*?)\'\'\'|\'([^\']*)\')`).FindAllStringSubmatch(stage, -1) {
			steps = append(steps, ciStep{run: m[1] + m[2], shell: []string{"sh", "-e", "-c"}})
		}
	}
	return steps
}

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
		text := string(readFile(t, repoRoot(t), ciDir+"/"+name))
		if strings.Contains(text, "ci.sh") && name != "ci.sh" {
			wraps(t, name, text)
			continue
		}
		found := 0
		for line := range strings.Lines(text) {
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
	if len(files) != 8 {
		t.Errorf("%s has %d files, want 8", ciDir, len(files))
	}
}

// wraps holds the file of a service that runs ci.sh to it: it is YAML, installs
// evenkeel, and names steps that ci.sh has.
func wraps(t *testing.T, name, text string) {
	t.Helper()
	var content map[string]any
	if err := yaml.UnmarshalStrict([]byte(text), &content); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	script := string(readFile(t, repoRoot(t), ciDir+"/ci.sh"))
	steps := regexp.MustCompile(`(?m)^ +sh (?:\.ci/ci\.sh|"\$script") (\w+)$`).FindAllStringSubmatch(text, -1)
	if len(steps) == 0 || !strings.Contains(text, "@latest # pin a version") {
		t.Errorf("%s: runs no step of ci.sh, or does not install evenkeel", name)
	}
	for _, step := range steps {
		if !strings.Contains(script, "\n"+step[1]+")\n") {
			t.Errorf("%s: ci.sh has no %s", name, step[1])
		}
	}
}

// TestCIRunsScriptOfMain runs what the services that take ci.sh run for a pull request that
// replaces it: the script of the main branch is what runs.
func TestCIRunsScriptOfMain(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"flow-diff.yml", "gitee-diff.yml"} {
		t.Run(name, func(t *testing.T) {
			bare := bareSite(t)
			work := t.TempDir()
			run := func(command string) {
				t.Helper()
				cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", command)
				cmd.Dir = work
				cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "SITE="+bare, "SCRIPT="+filepath.Join(repoRoot(t), ciDir, "ci.sh"), "TMPDIR="+t.TempDir())
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", command, err, out)
				}
			}
			commit := "git add -A && git -c user.name=ops -c user.email=ops@example.org commit -q -m x && "
			run(`git clone -q "$SITE" . && mkdir .ci && cp "$SCRIPT" .ci/ && ` + commit + `git push -q origin main`)
			run(`git switch -q -c proposed && printf 'touch "$0.ran" ran\n' > .ci/ci.sh && ` + commit + `true`)
			_, steps, found := strings.Cut(string(readFile(t, repoRoot(t), ciDir+"/"+name)), "git fetch --quiet origin main\n")
			if !found {
				t.Fatal("it does not fetch main")
			}
			run("git fetch --quiet origin main\n" + steps)
			if out, err := exec.CommandContext(t.Context(), "git", "-C", work, "status", "--porcelain").Output(); err != nil || len(out) > 0 {
				t.Errorf("the script that is proposed ran: %s, %v", out, err)
			}
		})
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
