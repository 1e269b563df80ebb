package applytest

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel end the sandbox when the test binary ends in
// whatever way, a timeout's panic included.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
