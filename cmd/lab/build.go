package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// target is what one go build makes. Each module below modules/ holds the versions
// of one upstream project in its go.mod, as a tool of it.
type target struct {
	module   string   // directory, from the root of the repository
	packages []string // what is built
	output   string   // file or, with a slash at its end, directory below bin
	version  string
	cgo      string   // CGO_ENABLED, where it matters
	flags    []string // of go build
}

const (
	modules      = "cmd/lab/modules/"
	traefikV     = "3.6.12" // the module of the stack's version cannot be had complete
	corednsV     = "1.14.3"
	flannelV     = "0.28.9"
	containerdV  = "2.4.2"
	cniV         = "1.9.1"
	cniFlannelV  = "0.9.1" // the last one that is a Go module
	demoModule   = "testdata/dubbo"
	labModule    = "."
	staticLinker = "-linkmode external -extldflags -static"
)

func targets() []target {
	containerd := "github.com/containerd/containerd/v2/cmd/"
	cni := "github.com/containernetworking/plugins/plugins/"
	component := "k8s.io/component-base/version."
	kube := []string{"-ldflags", "-s -w -X " + component + "gitVersion=v" + kubernetes + " -X " + component + "gitMajor=1 -X " + component + "gitMinor=37"}
	small := []string{"-ldflags", "-s -w"}
	static := func(more string) []string {
		return []string{"-tags", "netgo,osusergo", "-ldflags", "-s -w " + staticLinker + more}
	}
	return []target{
		{module: labModule, packages: []string{"./cmd/lab"}, output: "lab", cgo: "0", flags: small},
		{module: "cmd/sandbox", packages: []string{"k8s.io/kubernetes/cmd/kubelet"}, output: "kubelet", version: kubernetes, flags: kube},
		{module: "cmd/sandbox", packages: []string{"k8s.io/kubernetes/cmd/kube-proxy"}, output: "kube-proxy", version: kubernetes, flags: kube},
		{
			module: modules + "containerd", packages: []string{containerd + "containerd", containerd + "containerd-shim-runc-v2", containerd + "ctr"}, output: "./", version: containerdV,
			flags: []string{"-tags", "no_btrfs no_devmapper no_zfs", "-ldflags", "-s -w"},
		},
		{module: modules + "cni", packages: []string{cni + "main/bridge", cni + "main/loopback", cni + "ipam/host-local", cni + "meta/portmap"}, output: "cni/", version: cniV, cgo: "0", flags: small},
		{module: modules + "cniflannel", packages: []string{cni + "meta/flannel"}, output: "cni/", version: cniFlannelV, cgo: "0", flags: small},
		{module: modules + "coredns", packages: []string{"github.com/coredns/coredns"}, output: "coredns", version: corednsV, cgo: "0", flags: small},
		{module: modules + "flannel", packages: []string{"github.com/flannel-io/flannel"}, output: "flanneld", version: flannelV, cgo: "1", flags: static(" -X github.com/flannel-io/flannel/pkg/version.Version=v" + flannelV)},
		{module: modules + "flannel", packages: []string{"github.com/flannel-io/flannel/cmd/install_conf"}, output: "install-conf", version: flannelV, cgo: "1", flags: static("")},
		{module: modules + "traefik", packages: []string{"github.com/traefik/traefik/v3/cmd/traefik"}, output: "traefik", version: traefikV, cgo: "0", flags: []string{"-ldflags", "-s -w -X github.com/traefik/traefik/v3/pkg/version.Version=" + traefikV}},
		{module: demoModule, packages: []string{"./provider", "./consumer"}, output: "demo/", cgo: "0", flags: small},
		{module: labModule, packages: []string{"./cmd/evenkeel"}, output: "evenkeel-static", cgo: "0", flags: small},
	}
}

// programs are what up needs of what build makes.
func programs() []string {
	return []string{"lab", "kubelet", "kube-proxy", "containerd", "containerd-shim-runc-v2", "ctr", "cni/bridge", "cni/flannel", "coredns", "flanneld", "install-conf", "traefik", "demo/provider", "demo/consumer"}
}

// build builds what is not in bin. Go's cache decides what of it is work.
func (l *lab) build(ctx context.Context) error {
	begin := time.Now()
	for i, t := range targets() {
		start := time.Now()
		what := strings.TrimSuffix(t.output, "/")
		if what == "." {
			what = "containerd"
		}
		l.say("build %d of %d: %s %s", i+1, len(targets()), what, t.version)
		out := l.path("bin", t.output)
		if strings.HasSuffix(t.output, "/") {
			out += "/"
		}
		if err := os.MkdirAll(filepath.Dir(out+"x"), 0o755); err != nil {
			return err
		}
		args := append([]string{"build", "-mod=readonly", "-trimpath", "-o", out}, t.flags...)
		cmd := exec.CommandContext(ctx, "go", append(args, t.packages...)...)
		cmd.Dir = l.repo(t.module)
		cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false")
		if t.cgo != "" {
			cmd.Env = append(cmd.Env, "CGO_ENABLED="+t.cgo)
		}
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go build in %s: %w\n%s", t.module, err, text)
		}
		if took := time.Since(start); took > 10*time.Second {
			l.say("  took %s", took.Round(time.Second))
		}
	}
	l.say("built everything in %s", time.Since(begin).Round(time.Second))
	return nil
}
