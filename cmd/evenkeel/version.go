package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the build: -ldflags "-X main.version=v1.2.3".
var version = "devel"

// versionInfo is what "evenkeel version -o json" prints.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // git commit of the build
	Modified bool   `json:"modified,omitempty"` // the tree was dirty
	Go       string `json:"go"`
	Platform string `json:"platform"`
	CUE      string `json:"cue,omitempty"` // version of the CUE library
}

func newVersionCmd(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version of evenkeel",
		Long:    "Print the version of evenkeel, of the CUE language library inside it and of Go.",
		Example: "  evenkeel version\n  evenkeel version -o json",
		Args:    cobra.NoArgs,
	}
	g.addOutput(cmd, "text", "json")
	cmd.RunE = func(_ *cobra.Command, _ []string) error {
		v := readVersion()
		if g.output == "json" {
			return writeJSON(g.out, v)
		}
		fmt.Fprintf(g.out, "evenkeel %s (cue %s, %s %s)\n", v.Version, v.CUE, v.Go, v.Platform)
		return nil
	}
	return cmd
}

func readVersion() versionInfo {
	v := versionInfo{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if v.Version == "devel" && info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, dep := range info.Deps {
		if dep.Path == "cuelang.org/go" {
			v.CUE = dep.Version
		}
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}
