package render

import "strings"

// enumerate lists names for a message.
func enumerate(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
