package main

import (
	"context"
	"net/http"
	"net/http/cgi"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const gitName = "git.od.com"

// serveGit serves the repositories below a directory by HTTPS, as a team's git
// server would: git's own program behind Go's server.
func serveGit(ctx context.Context, root, pki string) error {
	execPath, err := exec.CommandContext(ctx, "git", "--exec-path").Output()
	if err != nil {
		return err
	}
	server := &http.Server{
		Addr:              "10.4.7.200:443",
		ReadHeaderTimeout: 5 * time.Second,
		Handler: &cgi.Handler{
			Path: filepath.Join(strings.TrimSpace(string(execPath)), "git-http-backend"),
			Env: []string{
				"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1",
				"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
			},
		},
	}
	return server.ListenAndServeTLS(filepath.Join(pki, gitName+".crt"), filepath.Join(pki, gitName+".key"))
}
