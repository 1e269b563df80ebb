//go:build unix

package main

import (
	"os"
	"syscall"
)

// beginAnew puts this program in the place of this process, with the same arguments,
// streams and environment. It returns only where that fails.
func beginAnew() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, os.Environ())
}
