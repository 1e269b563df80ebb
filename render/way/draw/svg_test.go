package draw

import (
	"slices"
	"strings"
	"testing"
)

// TestLongTexts draws texts of megabytes, as a path or an image may have: what does not
// fit is not measured again for each of its characters, which would take hours.
func TestLongTexts(t *testing.T) {
	for _, r := range []string{"a", "\u6f02", "\xff"} {
		long := strings.Repeat(r, 1<<20)
		if got := cutTo(long, 12, 100); len(got) > 200 || !strings.HasSuffix(got, "…") || !strings.HasPrefix(got, r) {
			t.Errorf("cut to %q", got)
		}
		lines := wrap("x "+long+" y", 12, 100)
		if got := strings.Join(lines, ""); got != "x"+long+"y" && got != "x"+long+" y" {
			t.Errorf("of %d bytes %d are left", len(long)+2, len(got))
		}
	}
	for _, test := range []struct {
		text        string
		size, limit float64
		want        []string
	}{
		{"one two three", 10, 50, []string{"one two", "three"}},
		{"mmmmmm", 10, 28, []string{"mmm", "mmm"}},
		{"m mmmm m", 10, 28, []string{"m", "mmm", "m m"}},
		{"mm", 10, 1, []string{"m", "m"}},
		{"", 10, 1, nil},
	} {
		if got := wrap(test.text, test.size, test.limit); !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
	for _, test := range []struct {
		text  string
		limit float64
		want  string
	}{{"mmmm", 36, "mmmm"}, {"mmmmm", 36, "mmm…"}, {"mmmmm", 1, "m…"}, {"", 1, ""}} {
		if got := cutTo(test.text, 10, test.limit); got != test.want {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
}
