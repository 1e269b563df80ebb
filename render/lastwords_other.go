//go:build !linux

package render

// sayInstead is for the wall, which only Linux has.
func sayInstead(string, string) {}
