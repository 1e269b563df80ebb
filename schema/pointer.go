package schema

import "strings"

// PointerTokens splits a JSON pointer (RFC 6901), as Object.Ignore and Object.Secret
// have them, into the names and indexes that it leads through.
func PointerTokens(pointer string) []string {
	trimmed, ok := strings.CutPrefix(pointer, "/")
	if !ok {
		return []string{pointer}
	}
	tokens := strings.Split(trimmed, "/")
	for i, t := range tokens {
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~")
	}
	return tokens
}

// PointerToken is a name as it stands in a JSON pointer.
func PointerToken(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
