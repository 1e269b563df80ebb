package report

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExternal(t *testing.T) {
	if _, err := exec.LookPath("diff"); err != nil {
		t.Skip("no diff program: ", err)
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	var out, errOut bytes.Buffer
	if err := External(t.Context(), "diff -r -N --brief ;false", &out, &errOut, fixture(t)); err != nil {
		t.Fatal(err, errOut.String())
	}
	for _, name := range []string{"v1.ConfigMap.app.dubbo-demo-consumer", "v1.Service.app.retired", "apps.v1.Deployment.app.dubbo-demo-service-0", "v1.Secret.app.registry"} {
		if !strings.Contains(out.String(), name+" and ") {
			t.Errorf("nothing about %s in\n%s", name, out.String())
		}
	}
	left, err := filepath.Glob(filepath.Join(tmp, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestExternalFails(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, command := range []string{"no-such-program", "diff --no-such-option"} {
		var out bytes.Buffer
		if err := External(t.Context(), command, &out, &out, fixture(t)); err == nil {
			t.Errorf("%s: no error", command)
		}
	}
}

// TestExternalFiles holds that others cannot read what is compared.
func TestExternalFiles(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	live, merged, err := writeBodies(fixture(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{live, merged} {
		err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: %s", path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestExternalCommand(t *testing.T) {
	for command, want := range map[string][]string{
		"":                   {"diff", "-u", "-N", "L", "M"},
		"colordiff -N -u":    {"colordiff", "L", "M", "-N", "-u"},
		"/opt/my/diff":       {"/opt/my/diff", "L", "M"},
		"diff -u ; rm -rf /": {"diff", "L", "M", "-u", "rm", "-rf"},
	} {
		if diff := cmp.Diff(want, externalCommand(command, "L", "M")); diff != "" {
			t.Errorf("%q (-want +got):\n%s", command, diff)
		}
	}
}
