package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	shared   bool     // built as the Makefile builds the module: most of it is in Go's cache
	flags    []string // of go build
	prepare  func(*lab, context.Context) (flags []string, err error)
}

const (
	modules      = "cmd/lab/modules/"
	traefikV     = "3.7.13" // as in the stack
	corednsV     = "1.15.0"
	flannelV     = "0.28.10"
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
		{module: labModule, packages: []string{"./cmd/lab"}, output: "lab", cgo: "0", shared: true, flags: small},
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
		{
			module: modules + "traefik", packages: []string{"github.com/traefik/traefik/v3/cmd/traefik"}, output: "traefik", version: traefikV, cgo: "0",
			flags: []string{"-ldflags", "-s -w -X github.com/traefik/traefik/v3/pkg/version.Version=" + traefikV}, prepare: (*lab).withoutClouds,
		},
		{module: demoModule, packages: []string{"./provider", "./consumer"}, output: "demo/", cgo: "0", flags: small},
		{module: labModule, packages: []string{"./cmd/evenkeel"}, output: "evenkeel-static", cgo: "0", shared: true, flags: small},
	}
}

// programs are what up needs of what build makes.
func programs() []string {
	return []string{"lab", "kubelet", "kube-proxy", "containerd", "containerd-shim-runc-v2", "ctr", "cni/bridge", "cni/flannel", "coredns", "flanneld", "install-conf", "demo/provider", "demo/consumer", "evenkeel-static"}
}

// name is what the target is called.
func (t target) name() string {
	if name := strings.TrimSuffix(t.output, "/"); name != "." {
		return name
	}
	return "containerd"
}

// wanted are the targets of the names, all without one.
func wanted(names []string, withoutTraefik bool) ([]target, error) {
	var list []target
	var known []string
	for _, t := range targets() {
		known = append(known, t.name())
		if len(names) == 0 && (t.output != "traefik" || !withoutTraefik) || slices.Contains(names, t.name()) {
			list = append(list, t)
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("nothing called %s is built: there are %s", name, strings.Join(slices.Compact(known), ", "))
		}
	}
	return list, nil
}

// build builds what is not in bin, all or what is named. Go's cache decides what of it
// is work.
func (l *lab) build(ctx context.Context, names []string, withoutTraefik bool) error {
	begin := time.Now()
	list, err := wanted(names, withoutTraefik)
	if err != nil {
		return err
	}
	for i, t := range list {
		start := time.Now()
		l.say("build %d of %d: %s %s", i+1, len(list), t.name(), t.version)
		out := l.path("bin", t.output)
		if strings.HasSuffix(t.output, "/") {
			out += "/"
		}
		if err := os.MkdirAll(filepath.Dir(out+"x"), 0o755); err != nil {
			return err
		}
		args := append([]string{"build", "-mod=readonly", "-o", out}, t.flags...)
		if !t.shared {
			args = append(args, "-trimpath")
		}
		if t.prepare != nil {
			more, err := t.prepare(l, ctx)
			if err != nil {
				return err
			}
			args = append(args, more...)
		}
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
	l.say("built in %s", time.Since(begin).Round(time.Second))
	return nil
}

// withoutClouds leaves out of Traefik what asks clouds: copies of it without the provider
// for ECS, and of its library for ACME with a list of no challenges by DNS. The SDKs of a
// hundred clouds are more than half of what there is to compile, and the lab has none.
func (l *lab) withoutClouds(ctx context.Context) ([]string, error) {
	var replace strings.Builder
	for _, c := range []struct{ module, dir, file, text string }{
		{legoModule, "providers/dns", "dns.go", noDNSProviders},
		{traefikModule, "pkg/provider/ecs", "ecs.go", noECS},
	} {
		source, err := l.moduleDir(ctx, c.module)
		if err != nil {
			return nil, err
		}
		copied := l.path("build", filepath.Base(filepath.Dir(c.module)))
		if err := os.RemoveAll(copied); err != nil {
			return nil, err
		}
		if err := os.CopyFS(copied, os.DirFS(source)); err != nil {
			return nil, err
		}
		dir := filepath.Join(copied, filepath.FromSlash(c.dir))
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o644); err != nil {
			return nil, err
		}
		fmt.Fprintf(&replace, "\nreplace %s => %s\n", c.module, copied)
	}
	modfile := l.path("build", "traefik.mod")
	for name, more := range map[string]string{"mod": replace.String(), "sum": ""} {
		data, err := os.ReadFile(l.repo(modules+"traefik", "go."+name))
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(strings.TrimSuffix(modfile, "mod")+name, append(data, more...), 0o644); err != nil {
			return nil, err
		}
	}
	return []string{"-modfile=" + modfile}, nil
}

// moduleDir is where the source of a module of Traefik's build is.
func (l *lab) moduleDir(ctx context.Context, name string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", name)
	cmd.Dir = l.repo(modules + "traefik")
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go mod download %s: %w\n%s", name, err, text)
	}
	var module struct{ Dir string }
	return module.Dir, json.Unmarshal(text, &module)
}

const (
	legoModule     = "github.com/go-acme/lego/v5"
	traefikModule  = "github.com/traefik/traefik/v3"
	noDNSProviders = `package dns

import (
	"fmt"

	"github.com/go-acme/lego/v5/challenge"
)

// NewDNSChallengeProviderByName knows none.
func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {
	return nil, fmt.Errorf("no DNS provider %s in this build", name)
}
`
	noECS = `package ecs

import (
	"errors"

	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	"github.com/traefik/traefik/v3/pkg/safe"
)

// ProviderName is that of the provider.
const ProviderName = "ecs"

// Provider is in this build by name only.
type Provider struct{}

// SetDefaults has none to set.
func (*Provider) SetDefaults() {}

// Init refuses.
func (*Provider) Init() error { return errors.New("no ECS in this build") }

// Provide has nothing to say.
func (*Provider) Provide(chan<- dynamic.Message, *safe.Pool) error { return nil }
`
)
