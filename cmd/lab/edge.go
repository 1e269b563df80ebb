package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// startEdge gives the edge hosts what Debian's packages put below /etc and a
// certificate; everything else is what evenkeel edge writes and its install.sh does.
func (l *lab) startEdge(ctx context.Context) error {
	out := l.state("edge")
	cmd := exec.CommandContext(ctx, l.repo(".cache", "bin", "evenkeel"), "edge", "infra", "--output-dir", out)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("evenkeel edge infra: %w\n%s", err, text)
	}
	for _, h := range slices.Backward(hosts()) { // the lowest priority first, as README.txt says
		if !h.edge {
			continue
		}
		if err := l.prepareEdge(h); err != nil {
			return err
		}
		text, err := l.on(ctx, h.name, "sh", filepath.Join(out, h.name, "install.sh"))
		if err != nil {
			return err
		}
		for line := range strings.Lines(text) {
			l.say("  %s", strings.TrimSpace(line))
		}
	}
	return wait(ctx, 15*time.Second, "a host that holds the VIP", func() error {
		_, err := l.vipHolder(ctx)
		return err
	})
}

func (l *lab) prepareEdge(h host) error {
	dir := l.state("hosts", h.name)
	if err := os.CopyFS(filepath.Join(dir, "nginx"), os.DirFS("/etc/nginx")); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	certs := filepath.Join(dir, "nginx", "certs")
	if err := os.MkdirAll(certs, 0o700); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "log", "nginx"), 0o755); err != nil {
		return err
	}
	for _, ext := range []string{".crt", ".key"} {
		data, err := os.ReadFile(l.state("shared", "pki", tlsName+ext))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(certs, tlsName+ext), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// vipHolder is the edge host that has the VIP; two of them are an error.
func (l *lab) vipHolder(ctx context.Context) (string, error) {
	var holders []string
	for _, h := range hosts() {
		if !h.edge {
			continue
		}
		if out, err := l.on(ctx, h.name, "ip", "-4", "-o", "address", "show", "to", vip+"/32"); err == nil && out != "" {
			holders = append(holders, h.name)
		}
	}
	if len(holders) != 1 {
		return "", fmt.Errorf("%d hosts hold %s: %v", len(holders), vip, holders)
	}
	return holders[0], nil
}

// startDNS serves od.com, with the records that evenkeel edge wrote, and host.com.
func (l *lab) startDNS(ctx context.Context) error {
	records, err := os.ReadFile(l.state("edge", "dns", "od.com.zone"))
	if err != nil {
		return err
	}
	var zone strings.Builder
	zone.WriteString("$ORIGIN od.com.\n$TTL 60\n@ IN SOA dns.od.com. ops.od.com. 1 60 60 600 60\n@ IN NS dns\ndns IN A " + nameServer + "\nharbor IN A 10.4.7.200\ngit IN A 10.4.7.200\n")
	var names strings.Builder
	names.WriteString("$ORIGIN host.com.\n$TTL 60\n@ IN SOA dns.host.com. ops.od.com. 1 60 60 600 60\n@ IN NS dns\ndns IN A " + nameServer + "\n")
	for _, h := range hosts() {
		fmt.Fprintf(&names, "%s IN A %s\n", h.name, h.address)
		if h.zookeeper > 0 {
			fmt.Fprintf(&zone, "zk%d IN A %s\n", h.zookeeper, h.address)
		}
	}
	corefile := fmt.Sprintf(`od.com {
	bind %[1]s
	errors
	file %[2]s/od.com.zone
}
host.com {
	bind %[1]s
	errors
	file %[2]s/host.com.zone
}
. {
	bind %[1]s
	errors
	template ANY ANY {
		rcode NXDOMAIN
	}
}
`, nameServer, shared)
	for name, text := range map[string]string{"od.com.zone": zone.String() + string(records), "host.com.zone": names.String(), "Corefile": corefile} {
		if err := os.WriteFile(l.state("shared", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return l.startDNSServer(ctx)
}

func (l *lab) startDNSServer(ctx context.Context) error {
	return l.start(ctx, "hdss7-11", "named", l.path("bin", "coredns"), "-conf", shared+"/Corefile")
}
