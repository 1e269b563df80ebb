//go:build !linux

package render

func addressSpace(int) bool { return false }

func preferHugePages([]byte) {}
