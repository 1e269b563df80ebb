package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// site is a repository and a cluster that commands are run against.
type site struct {
	dir, kubeconfig string
}

// evenkeel runs a command line and fails the test unless it exits as wanted.
func (s *site) evenkeel(t *testing.T, code int, args ...string) string {
	t.Helper()
	var out, msg bytes.Buffer
	args = append(args, "-C", s.dir, "--kubeconfig", s.kubeconfig)
	if got := run(t.Context(), args, streams{in: strings.NewReader(""), out: &out, err: &msg}); got != code {
		t.Fatalf("evenkeel %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, &msg, &out)
	}
	return out.String()
}

// kubectl runs the sandbox's kubectl with manifests on standard input.
func (s *site) kubectl(t *testing.T, manifests string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), applytest.Binary(t), append([]string{"kubectl", "--kubeconfig", s.kubeconfig}, args...)...)
	cmd.Stdin = strings.NewReader(manifests)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("kubectl %s: %v\n%.3000s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// level applies an environment and expects that nothing differs then: not for a
// plan, which proves that without a single dry-run, and not for kubectl.
func (s *site) level(t *testing.T, env string, code int, flags ...string) *apply.Plan {
	t.Helper()
	s.evenkeel(t, code, slices.Concat([]string{"apply", env, "--yes"}, flags)...)
	plan := &apply.Plan{}
	if err := json.Unmarshal([]byte(s.evenkeel(t, exitDone, "diff", env, "-o", "json")), plan); err != nil {
		t.Fatal(err)
	}
	if plan.Requests.DryRun != 0 {
		t.Errorf("%s: %d dry-runs after the apply", env, plan.Requests.DryRun)
	}
	manifests := s.evenkeel(t, exitDone, "render", env)
	s.kubectl(t, manifests, "diff", "--server-side", "--force-conflicts", "--field-manager", schema.Manager, "-f", "-")
	return plan
}

// TestExamples applies every example environment. Each is level afterwards, and
// its label finds exactly what it rendered, and the copies that controllers make
// of labels.
func TestExamples(t *testing.T) {
	repo, err := render.Open(repoRoot(t))
	if err != nil {
		t.Fatal(err)
	}
	envs, err := repo.Envs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byContext := map[string][]*schema.Environment{}
	for _, e := range envs {
		res, err := repo.Render(t.Context(), e.Name)
		if err != nil {
			t.Fatal(err)
		}
		byContext[e.Cluster.Context] = append(byContext[e.Cluster.Context], res.Env)
	}
	for kubeContext, envs := range byContext {
		t.Run(kubeContext, func(t *testing.T) {
			t.Parallel()
			s := &site{dir: t.TempDir(), kubeconfig: applytest.FreshKubeconfig(t, kubeContext)}
			if err := copyExample(s.dir, repoRoot(t)); err != nil {
				t.Fatal(err)
			}
			for _, env := range envs {
				if env.Name == "cloud-prod" { // its autoscaler waits for metrics that nobody serves here
					unprotect(t, filepath.Join(s.dir, "envs", env.Name, "prod.cue"))
					env.Protected = false
				}
				code, flags := exitDone, []string{"--no-wait"}
				switch {
				case env.Name == "cloud-infra": // nobody serves metrics here, nor gives a Service an address
					code, flags = exitNotHealthy, []string{"--timeout", "5s"}
				case env.Protected:
					flags = nil
				}
				s.others(t, env)
				if env.Name == "cloud-infra" {
					s.evenkeel(t, code, "apply", env.Name, "--yes", "--timeout", "2s")
					s.kubectl(t, "", "-n", "traefik", "patch", "service", "traefik", "--subresource=status", "--type=merge",
						"-p", `{"status":{"loadBalancer":{"ingress":[{"ip":"10.0.0.1"}]}}}`) // what stands behind it
				}
				plan := s.level(t, env.Name, code, flags...)
				s.listed(t, env)
				t.Logf("counted: %s: %d objects, %d requests to see that they are level", env.Name, plan.Summary[apply.Unchanged], plan.Requests.Total())
			}
		})
	}
}

// unprotect takes the protection from an environment, so that --no-wait is allowed.
func unprotect(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.Replace(data, []byte("protected: true"), []byte("protected: false"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
}

// others makes what an environment needs and does not make.
func (s *site) others(t *testing.T, env *schema.Environment) {
	t.Helper()
	if len(env.External) == 0 {
		return
	}
	var manifests strings.Builder
	fmt.Fprintf(&manifests, "apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n", env.Namespace)
	for _, e := range env.External {
		fmt.Fprintf(&manifests, "---\napiVersion: v1\nkind: %s\nmetadata: {name: %s, namespace: %s}\n", e.Kind, e.Name, env.Namespace)
		for i, key := range e.Keys {
			if i == 0 {
				manifests.WriteString(map[string]string{"Secret": "stringData:\n", "ConfigMap": "data:\n"}[e.Kind])
			}
			fmt.Fprintf(&manifests, "  %s: x\n", key)
		}
	}
	s.kubectl(t, manifests.String(), "apply", "-f", "-")
}

// listed compares what bears an environment's label with what it renders.
func (s *site) listed(t *testing.T, env *schema.Environment) {
	t.Helper()
	want, kinds := map[string]bool{}, map[string]bool{}
	for _, u := range env.Units {
		for _, o := range u.Objects {
			gvk := o.GroupVersionKind()
			kind := strings.ToLower(gvk.GroupKind().String())
			want[kind+"/"+o.GetName()], kinds[kind] = true, true
		}
	}
	var list []string
	for k := range kinds {
		list = append(list, k)
	}
	id := schema.ApplySetID(env.Name, env.Namespace)
	out := s.kubectl(t, "", "get", strings.Join(list, ","), "--all-namespaces", "-o", "name", "-l", schema.LabelPartOf+"="+id)
	got := map[string]bool{}
	for line := range strings.Lines(out) {
		got[strings.TrimSpace(line)] = true
	}
	for name := range want {
		if !got[name] {
			t.Errorf("kubectl get -l does not list %s", name)
		}
	}
	for name := range got {
		if !want[name] {
			t.Errorf("kubectl get -l lists %s, which is not rendered", name)
		}
	}
}

// TestUpstreamImported imports the manifests of upstream projects and applies
// them: as rendered, everything is certified at once. It has a cluster of its own,
// as their namespaces are the projects' own.
func TestUpstreamImported(t *testing.T) {
	t.Parallel()
	kubeconfig, root := applytest.FreshKubeconfig(t, "up"), repoRoot(t)
	s := &site{dir: filepath.Join(t.TempDir(), "deploy"), kubeconfig: kubeconfig}
	var out, msg bytes.Buffer
	if code := run(t.Context(), []string{"init", s.dir, "--domain", "up.example.org", "--harbor", "r.example.org", "--vip", "none"}, streams{out: &out, err: &msg}); code != exitDone {
		t.Fatal(msg.String())
	}
	objects := 0
	for _, project := range []struct{ env, namespace, files string }{
		{"u-flannel", "kube-flannel", "flannel/kube-flannel.yml"},
		{"u-jenkins", "jenkins", "jenkins/chart-rendered-without-secrets.yaml"},
	} {
		s.evenkeel(t, exitDone, "import", "--env", project.env, "-n", project.namespace, filepath.Join(root, "testdata", "upstream", project.files))
		plan := s.level(t, project.env, exitDone, "--no-wait")
		objects += plan.Summary[apply.Unchanged]
	}
	t.Logf("counted: %d objects of 2 projects, certified after their first apply without a dry-run", objects)
}
