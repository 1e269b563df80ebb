package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// image is a tar that the nodes are given, under the names that the manifests of
// the site use: no registry is reachable, so its bytes are the lab's own.
type image struct {
	file  string
	names []string
	is    string // what it holds in place of what its name says, empty where it is that
	entry []string
	user  string
	env   []string
	bind  string            // the program that may listen on ports below 1024
	files map[string]string // path in the image -> file of the lab or, with "->", target of a link
	tools bool              // with busybox
	nft   bool              // with nft and iptables, and the libraries they need
}

const (
	mirror       = "harbor.od.com/public/"
	providerName = "harbor.od.com/app/dubbo-demo-service:"
	consumerName = "harbor.od.com/app/dubbo-demo-consumer:"
	monitorName  = "harbor.od.com/infra/dubbo-monitor:190117_1930"
	providerV1   = providerName + "master_190117_1920"
	consumerV1   = consumerName + "master_190119_2015"
	providerV2   = providerName + "master_261124_0900"
	consumerV2   = consumerName + "master_261124_0900"
	providerBad  = providerName + "master_261124_1000"
	consumerBad  = consumerName + "master_261124_1000"
	providerLost = providerName + "master_261124_1100"
	consumerLost = consumerName + "master_261124_1100"
	evenkeelName = "harbor.od.com/infra/evenkeel:lab"
)

func (l *lab) imageList() []image {
	lab := map[string]string{"/lab": "lab"}
	list := []image{
		{file: "pause", names: []string{"localhost/pause:1"}, entry: []string{"/lab", "pause"}, files: lab},
		{
			file: "flannel", names: []string{mirror + "ghcr.io/flannel-io/flannel:v" + flannelV}, entry: []string{"/opt/bin/flanneld"},
			files: map[string]string{"/opt/bin/flanneld": "flanneld", "/opt/bin/install-conf": "install-conf"}, tools: true, nft: true,
		},
		{
			file: "flannel-cni", names: []string{mirror + "ghcr.io/flannel-io/flannel-cni-plugin:v1.9.1-flannel3"}, is: "flannel's CNI plugin v" + cniFlannelV,
			files: map[string]string{"/flannel": "cni/flannel"}, tools: true,
		},
		{
			file: "coredns", names: []string{mirror + "registry.k8s.io/coredns/coredns:v" + corednsV}, entry: []string{"/coredns"}, user: "65532", bind: "/coredns",
			files: map[string]string{"/coredns": "coredns"},
		},
		l.traefik(),
		{
			file: "dashboard", names: []string{mirror + "docker.io/kubernetesui/dashboard:v2.7.0"}, is: "a page that says which pod it is", entry: []string{"/lab", "stand-in"},
			user: "1001", env: []string{"STAND_IN=https:8443"}, files: lab,
		},
		{
			file: "dubbo-monitor", names: []string{monitorName}, is: "a page that says which pod it is", entry: []string{"/lab", "stand-in"},
			env: []string{"STAND_IN=http:8080,tcp:20880"}, files: lab,
		},
		{
			file: "evenkeel", names: []string{evenkeelName}, entry: []string{"/evenkeel"}, user: "65532",
			// with the authority of the lab's git server
			files: map[string]string{"/evenkeel": "evenkeel-static", "/etc/ssl/certs/ca-certificates.crt": "../run/shared/pki/ca.crt"},
		},
	}
	for _, demo := range []struct {
		file, name, version, broken string
	}{
		{"provider-1", providerV1, "1", ""},
		{"provider-2", providerV2, "2", ""},
		{"provider-broken", providerBad, "3", "crash"},
		{"consumer-1", consumerV1, "1", ""},
		{"consumer-2", consumerV2, "2", ""},
		{"consumer-broken", consumerBad, "3", "crash"},
		{"provider-failing", providerLost, "4", "error"},
		{"consumer-failing", consumerLost, "4", "error"},
	} {
		list = append(list, image{
			file: demo.file, names: []string{demo.name}, is: "dubbo-go v3.3.1, started as the Java image is",
			entry: []string{"/lab", "jre8"}, env: []string{"DEMO_VERSION=" + demo.version, "DEMO_BROKEN=" + demo.broken}, tools: true,
			files: map[string]string{"/dubbo-server.jar": "demo/provider", "/dubbo-client.jar": "demo/consumer", "/lab": "lab"},
		})
	}
	return list
}

// traefik is Traefik, or a small router of the lab where it was not built.
func (l *lab) traefik() image {
	image := image{file: "traefik", names: []string{mirror + "docker.io/library/traefik:v3.7.13"}}
	if _, err := os.Stat(l.path("bin", "traefik")); err != nil {
		image.is, image.entry, image.files = "a router of the lab, for Ingresses only (lab build --without-traefik)", []string{"/lab", "ingress"}, map[string]string{"/lab": "lab"}
		return image
	}
	image.is, image.entry, image.files = "Traefik v"+traefikV+" without its web page, DNS challenges and ECS", []string{"/traefik"}, map[string]string{"/traefik": "traefik"}
	return image
}

// images writes the tars, and says what is not what its name says.
func (l *lab) images(ctx context.Context) error {
	if err := os.MkdirAll(l.path("images"), 0o755); err != nil {
		return err
	}
	for _, image := range l.imageList() {
		if image.is != "" {
			l.say("  stands in: %s is %s", image.names[0], image.is)
		}
		if err := l.writeImage(ctx, image); err != nil {
			return fmt.Errorf("image %s: %w", image.file, err)
		}
	}
	return nil
}

func (l *lab) writeImage(ctx context.Context, image image) error {
	b := newImageTar()
	for _, path := range sortedKeys(image.files) {
		if err := b.file(path, l.path("bin", image.files[path]), path == image.bind); err != nil {
			return err
		}
	}
	if image.tools {
		busybox, err := exec.LookPath("busybox")
		if err != nil {
			return err
		}
		if err := b.file("/bin/busybox", busybox, false); err != nil {
			return err
		}
		for _, name := range []string{"sh", "cp", "ls", "cat", "mkdir", "ip", "sleep", "wget", "nslookup"} {
			b.link("/bin/"+name, "busybox")
		}
	}
	if image.nft {
		if err := addNFT(ctx, b); err != nil {
			return err
		}
	}
	return b.write(l.path("images", image.file+".tar"), image)
}

// addNFT adds nft and iptables of this machine, which flannel calls.
func addNFT(ctx context.Context, b *imageTar) error {
	programs := []string{"/usr/sbin/nft", "/usr/sbin/xtables-nft-multi"}
	extensions, err := filepath.Glob("/usr/lib/*/xtables/*.so")
	if err != nil {
		return err
	}
	var libs []string
	for _, program := range programs {
		out, err := exec.CommandContext(ctx, "ldd", program).Output()
		if err != nil {
			return fmt.Errorf("ldd %s: %w", program, err)
		}
		for field := range strings.FieldsSeq(string(out)) {
			if strings.HasPrefix(field, "/") {
				libs = append(libs, field)
			}
		}
	}
	slices.Sort(libs)
	for _, path := range slices.Concat(programs, slices.Compact(libs), extensions) {
		if err := b.file(path, path, false); err != nil {
			return err
		}
	}
	for _, name := range []string{"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"} {
		b.link("/usr/sbin/"+name, "xtables-nft-multi")
	}
	return b.err
}
