package typed

import "strings"

// Closest returns the name that was probably meant by word: the one at the
// smallest edit distance, at most a third of the word away, or the empty string.
// Upper and lower case are the same.
func Closest(word string, names []string) string { return Near(word, names, max(1, len(word)/3)) }

// Near is Closest within a distance.
func Near(word string, names []string, most int) string {
	best, at := "", most+1
	for _, name := range names {
		if name == word {
			continue
		}
		d := distance(strings.ToLower(word), strings.ToLower(name), at)
		if d < at {
			best, at = name, d
		}
	}
	return best
}

// distance is the Damerau-Levenshtein distance (adjacent letters may swap); it
// gives up, with limit, once the lengths alone are that far apart.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
