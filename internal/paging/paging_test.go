package paging

import (
	"errors"
	"fmt"
	"testing"
)

func TestSmaller(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err         error
		limit, want int64
		ok          bool
	}{
		{fmt.Errorf("Get %q: %w", "https://x", TooLarge{}), 2500, 312, true},
		{TooLarge{}, 4, 1, true},
		{TooLarge{}, 1, 0, false},
		{errors.New("another"), 2500, 0, false},
		{nil, 2500, 0, false},
	} {
		if got, ok := Smaller(c.err, c.limit); got != c.want || ok != c.ok {
			t.Errorf("%v, %d: %d %v, want %d %v", c.err, c.limit, got, ok, c.want, c.ok)
		}
	}
}
