package main

import (
	"bytes"
	"encoding/pem"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-428f4edd/evenkeel/apply/applytest"
)

// TestImage builds the binary as the Dockerfile does and runs it as its image in a
// pod does: alone in a read-only root, not as root, with certificates, a writable
// /tmp, an account with the rights of rbac, and a key for encrypted Secrets. There
// is no git: the source is read without it.
func TestImage(t *testing.T) {
	if os.Getenv("EVENKEEL_TORTURE") == "" {
		t.Skip("builds the command anew: make torture")
	}
	if os.Geteuid() != 0 {
		t.Skip("a root of its own takes root")
	}
	d := newDeployment(t, "t-image")
	d.encrypt()
	i := &image{gitDeployment: d, root: t.TempDir()}
	i.build()
	i.furnish()

	d.kubectl("scale", "deployment", "web", "--replicas", "3")
	out, code := i.run(false, "reconcile", d.env, "--mode=correct", "--once")
	if code != exitDone || !strings.Contains(out, "corrected 1 object") {
		t.Fatalf("one look: exit code %d\n%s", code, out)
	}
	d.oneReplica()
	if out, code := i.run(false, "reconcile", d.env, "--once"); code != exitDone {
		t.Errorf("it is not level: exit code %d\n%s", code, out)
	}

	// A pod has /proc, which the daemon starts its renderings by.
	daemon, said := i.command(true, "reconcile", d.env, "--mode=correct", "--interval=1s", "--listen=127.0.0.1:0", "--log-format=json")
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	d.kubectl("scale", "deployment", "web", "--replicas", "3")
	d.oneReplica()
	d.push("web:1.0", "web:1.1")
	d.image("example.org/web:1.1")
	if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Wait(); err != nil {
		t.Errorf("the daemon ended with %v", err)
	}
	if strings.Contains(said.String(), `"level":"ERROR"`) {
		t.Errorf("log:\n%s", said)
	}
}

// encrypt gives the environment a Secret that takes a key, and applies it.
func (d *gitDeployment) encrypt() {
	d.Helper()
	write(d.T, d.work, "db.yaml", string(readFile(d.T, repoRoot(d.T), "render/sops/testdata/db.yaml")))
	d.git(d.work, "add", "db.yaml")
	d.push("\tapps: web:", "\tsecrets: db: file: \"db.yaml\"\n\tapps: web:")
	first := exec.CommandContext(d.Context(), "evenkeel", "-C", d.work, "apply", d.env, "--yes")
	first.Env = append(os.Environ(), "KUBECONFIG="+d.kubeconfig, "SOPS_AGE_KEY_FILE="+filepath.Join(repoRoot(d.T), "render/sops/testdata/keys.txt"))
	if out, err := first.CombinedOutput(); err != nil {
		d.Fatalf("%v\n%s", err, out)
	}
}

// image is the file system of a pod.
type image struct {
	*gitDeployment
	root string
	env  []string
}

// put writes a file that everybody may read.
func (i *image) put(name, text string) {
	i.Helper()
	path := filepath.Join(i.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		i.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		i.Fatal(err)
	}
}

var buildLine = regexp.MustCompile(`(?m)^ +(go build .*) -o /evenkeel (.*)$`)

// build runs the command line of the Dockerfile.
func (i *image) build() {
	i.Helper()
	root := repoRoot(i.T)
	line := buildLine.FindStringSubmatch(string(readFile(i.T, root, "Dockerfile")))
	if line == nil {
		i.Fatal("the Dockerfile has no go build")
	}
	binary := filepath.Join(i.root, "usr/local/bin/evenkeel")
	build := exec.CommandContext(i.Context(), "sh", "-c", line[1]+" -o "+binary+" "+line[2])
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0", "VERSION=v0.0.0-image")
	if out, err := build.CombinedOutput(); err != nil {
		i.Fatalf("%v\n%s", err, out)
	}
	if size, err := os.Stat(binary); err == nil {
		i.Logf("counted: the static binary has %d MB", size.Size()>>20)
	}
}

// furnish puts into the root what a pod of stacks/evenkeel has.
func (i *image) furnish() {
	i.Helper()
	const account = "var/run/secrets/kubernetes.io/serviceaccount/"
	rights := exec.CommandContext(i.Context(), "evenkeel", "-C", i.work, "rbac", i.gitDeployment.env, "--mode", "reconcile", "--service-account", i.gitDeployment.env+"/keeper")
	rights.Env = append(os.Environ(), "KUBECONFIG="+i.kubeconfig)
	rights.Stderr = os.Stderr
	roles, err := rights.Output()
	if err != nil {
		i.Fatal(err)
	}
	i.kubectl("apply", "-f", write(i.T, i.TempDir(), "roles.yaml", string(roles)))
	cfg := applytest.Cluster(i.T)
	server, err := url.Parse(cfg.Host)
	if err != nil {
		i.Fatal(err)
	}
	authority := cfg.CAData
	if len(authority) == 0 {
		authority = readFile(i.T, "/", cfg.CAFile)
	}
	i.put(account+"token", i.kubectl("create", "token", "keeper"))
	i.put(account+"namespace", i.gitDeployment.env)
	i.put(account+"ca.crt", string(authority))
	i.put("etc/ssl/certs/ca-certificates.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.server.Certificate().Raw})))
	i.put("etc/evenkeel/git/token", "t0ken")
	i.put("etc/evenkeel/age/keys.txt", string(readFile(i.T, repoRoot(i.T), "render/sops/testdata/keys.txt")))
	for _, dir := range []string{"tmp", "proc"} {
		if err := os.Mkdir(filepath.Join(i.root, dir), 0o755); err != nil {
			i.Fatal(err)
		}
	}
	i.env = []string{
		"HOME=/tmp", "SOPS_AGE_KEY_FILE=/etc/evenkeel/age/keys.txt",
		"KUBERNETES_SERVICE_HOST=" + server.Hostname(), "KUBERNETES_SERVICE_PORT=" + server.Port(),
	}
}

const inRoot = `mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && mount -t tmpfs -o mode=1777 tmp "$0/tmp" &&
{ [ -z "$PROC" ] || mount --bind /proc "$0/proc"; } && unset PROC PATH PWD OLDPWD SHLVL &&
exec /usr/sbin/chroot --userspec=65532:65532 "$0" /usr/local/bin/evenkeel "$@"`

// command is evenkeel in its root, reading git.
func (i *image) command(proc bool, args ...string) (*exec.Cmd, *bytes.Buffer) {
	i.Helper()
	args = append(args, "--git="+i.server.URL+"/repo.git", "--git-token-file=/etc/evenkeel/git/token")
	cmd := exec.CommandContext(i.Context(), "unshare", append([]string{"--mount", "sh", "-c", inRoot, i.root}, args...)...)
	cmd.Env = append(i.env, "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
	if proc {
		cmd.Env = append(cmd.Env, "PROC=yes")
	}
	said := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = said, said
	return cmd, said
}

func (i *image) run(proc bool, args ...string) (string, int) {
	i.Helper()
	cmd, said := i.command(proc, args...)
	_ = cmd.Run()
	return said.String(), cmd.ProcessState.ExitCode()
}
