package typed

import "strings"

// Closest returns the name that was probably meant by word: the one at the
// smallest edit distance, at most a third of the word away, or the empty string.
// Upper and lower case are the same. In a short word another letter in place of one
// is a slip only where it is beside it on the keyboard, the letter before or after it
// once more, or a vowel for a vowel: heep is heap, and nope no node.
func Closest(word string, names []string) string {
	near := Near(word, names, max(1, len(word)/3))
	if near == "" || len(word) > shortWord || !replaced(strings.ToLower(word), strings.ToLower(near)) {
		return near
	}
	others := make([]string, 0, len(names))
	for _, name := range names {
		if name != near {
			others = append(others, name)
		}
	}
	return Closest(word, others)
}

// shortWord is the length up to which one letter makes another word.
const shortWord = 4

// replaced says whether two words differ in one letter that no slip of a finger writes
// for the other.
func replaced(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	at := -1
	for i := range len(a) {
		switch {
		case a[i] == b[i]:
		case at >= 0:
			return false
		default:
			at = i
		}
	}
	return at >= 0 && !besides(a[at], b[at]) && !doubled(a, at) && (!isVowel(a[at]) || !isVowel(b[at]))
}

// doubled says whether a letter stands beside itself.
func doubled(word string, at int) bool {
	return at > 0 && word[at-1] == word[at] || at+1 < len(word) && word[at+1] == word[at]
}

func isVowel(c byte) bool { return strings.IndexByte("aeiouy", c) >= 0 }

// besides says whether two keys stand beside each other, or whether one of them is no
// letter.
func besides(a, b byte) bool {
	rows := []string{"qwertyuiop", "asdfghjkl", "zxcvbnm"}
	find := func(c byte) (row, column int) {
		for i, keys := range rows {
			if at := strings.IndexByte(keys, c); at >= 0 {
				return i, at
			}
		}
		return -1, 0
	}
	rowA, a1 := find(a)
	rowB, b1 := find(b)
	if rowA < 0 || rowB < 0 {
		return true
	}
	down, across := rowA-rowB, a1-b1
	return down*down <= 1 && across*across <= 1
}

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
