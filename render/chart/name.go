package chart

import "strings"

// IsName and IsVersion keep to what may stand in the name of a file and on a command line.
// Helm itself takes more.
func IsName(s string) bool {
	return isPlain(s, "._-") && s[0] != '.' && s[0] != '-' && s == strings.ToLower(s)
}

// IsVersion says whether that is the version of a chart.
func IsVersion(s string) bool {
	v := strings.TrimPrefix(s, "v")
	return isPlain(v, ".+-") && v[0] >= '0' && v[0] <= '9'
}

func isPlain(s, also string) bool {
	const most = 100
	return s != "" && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune(also, r)
	})
}
