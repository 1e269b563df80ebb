package edge

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// Difference is a file of a host that is not as rendered.
type Difference struct {
	Host string `json:"host"`
	Path string `json:"path"` // as in File
	// Problem is one of "missing", "differs" and "left over": rendered once, but
	// no longer.
	Problem string `json:"problem"`
	// Diff is a unified diff from the host's file to the rendered one, where it
	// differs. Passwords are left out.
	Diff string `json:"diff,omitempty"`
}

// What Difference.Problem says.
const (
	Missing  = "missing"
	Differs  = "differs"
	LeftOver = "left over"
)

// Compare compares rendered files with those fetched from the hosts: live holds a
// directory per host, with what the host has below /etc/nginx and /etc/keepalived.
// Hosts without a directory are left out, so that one host can be looked at alone;
// where no host has one, that is an error. What cannot be read is an error beside the
// differences of all else.
func Compare(files []File, live fs.FS) ([]Difference, error) {
	var diffs []Difference
	var errs []error
	fetched := 0
	for _, host := range hostsOf(files) {
		info, err := fs.Stat(live, host)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		fetched++
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is not a directory: it should hold what the host has below /etc", host)
		}
		var own []Difference
		if err == nil {
			own, err = compareHost(host, files, live)
		}
		diffs, errs = append(diffs, own...), append(errs, err)
	}
	if fetched == 0 {
		return nil, fmt.Errorf("no files of a host: expected a directory named %s, with what the host has below /etc/nginx and /etc/keepalived",
			strings.Join(hostsOf(files), " or "))
	}
	return diffs, errors.Join(errs...)
}

// hostsOf are the hosts that files are for, in their order.
func hostsOf(files []File) []string {
	var hosts []string
	for _, f := range files {
		if f.Host != "" && !slices.Contains(hosts, f.Host) {
			hosts = append(hosts, f.Host)
		}
	}
	return hosts
}

func compareHost(host string, files []File, live fs.FS) ([]Difference, error) {
	var diffs []Difference
	var errs []error
	rendered := map[string]bool{}
	for _, f := range files {
		if f.Host != host || !f.installed() {
			continue
		}
		rendered[f.Path] = true
		there, err := readLive(live, f.Name())
		switch {
		case errors.Is(err, fs.ErrNotExist):
			diffs = append(diffs, Difference{Host: host, Path: f.Path, Problem: Missing})
		case err != nil:
			errs = append(errs, err)
		case string(there) != f.Content:
			diffs = append(diffs, Difference{Host: host, Path: f.Path, Problem: Differs, Diff: unified(f, string(there))})
		}
	}
	old, wrong := leftOver(host, rendered, live)
	include, unread := compareInclude(host, live)
	diffs = slices.Concat(diffs, old, include)
	slices.SortStableFunc(diffs, func(a, b Difference) int { return cmp.Compare(a.Path, b.Path) })
	return diffs, errors.Join(append(errs, wrong, unread)...)
}

const (
	// mostLive bounds a file of a host that is compared, in bytes: a diff takes a hundred
	// times as much. Rendered ones have kilobytes.
	mostLive = 1 << 20
	// headLive is what is read of files of others.
	headLive = 4 << 10
)

// readLive reads a file that was fetched from a host, which anybody may have written who
// has the host: a pipe has no end, and neither has a device.
func readLive(live fs.FS, name string) ([]byte, error) {
	data, err := headOf(live, name, mostLive+1)
	if len(data) > mostLive {
		return nil, fmt.Errorf("%s: larger than %d MiB", name, mostLive>>20)
	}
	return data, err
}

// headOf reads the beginning of such a file.
func headOf(live fs.FS, name string, most int64) ([]byte, error) {
	info, err := fs.Stat(live, name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", name)
	}
	if err != nil {
		return nil, err
	}
	file, err := live.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // read only
	return io.ReadAll(io.LimitReader(file, most))
}

// leftOver finds files that nginx reads, that carry the marker and that are not
// rendered: a host name that is no longer served here still is.
func leftOver(host string, rendered map[string]bool, live fs.FS) ([]Difference, error) {
	var diffs []Difference
	var errs []error
	for _, dir := range []string{"nginx/conf.d", "nginx/stream.d"} {
		names, err := fs.Glob(live, path.Join(host, dir, "*.conf"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			own := strings.TrimPrefix(name, host+"/")
			if rendered[own] {
				continue
			}
			content, err := headOf(live, name, headLive)
			errs = append(errs, err)
			if head, _, _ := strings.Cut(string(content), "\n"); strings.Contains(head, marker) {
				diffs = append(diffs, Difference{Host: host, Path: own, Problem: LeftOver})
			}
		}
	}
	return diffs, errors.Join(errs...)
}

// compareInclude asks whether nginx.conf, where it was fetched, loads the stream
// block: without that line the files for the API server have no effect.
func compareInclude(host string, live fs.FS) ([]Difference, error) {
	const name = "nginx/nginx.conf"
	content, err := readLive(live, path.Join(host, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(content)) {
		if strings.TrimSpace(line) == includeLine {
			return nil, nil
		}
	}
	return []Difference{{
		Host: host, Path: name, Problem: Differs,
		Diff: "the line is missing: " + includeLine + "\n",
	}}, nil
}

// authPassLineRE matches a password with what surrounds it on its line, in comments, too.
var authPassLineRE = regexp.MustCompile(`(?m)^(.*?\bauth_pass\b).*$`)

// unified is the difference between a file of the host and the rendered one. Of
// passwords it says only whether they differ.
func unified(f File, live string) string {
	rendered := f.Content
	there, here := authPassLineRE.FindString(live), authPassLineRE.FindString(rendered)
	hidden := "$1 (hidden)"
	rendered = authPassLineRE.ReplaceAllString(rendered, hidden)
	if there != here {
		hidden = "$1 (hidden, another one)"
	}
	live = authPassLineRE.ReplaceAllString(live, hidden)
	return string(diff.Diff(f.Host+":/etc/"+f.Path, []byte(live), "rendered", []byte(rendered)))
}
