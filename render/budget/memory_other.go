//go:build !linux

package budget

func wall(uint64) func() { return func() {} }

func addressSpace(int) bool { return false }

func preferHugePages([]byte) {}
