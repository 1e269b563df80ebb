// Package paging reads lists whose objects are larger than anybody expects: by smaller
// pages.
package paging

import (
	"errors"
	"fmt"
)

// Most bounds one answer of an API server, in bytes: whoever may write objects there
// could else have whoever lists them read gigabytes at once. The 2,500 objects of a page
// have 13 KiB each then, and one object alone has at most a few MiB.
const Most = 32 << 20

// TooLarge says that an answer has more than Most.
type TooLarge struct{}

func (TooLarge) Error() string {
	return fmt.Sprintf("the answer of the server is larger than %d MiB", Most>>20)
}

// Smaller is the limit by which a page is to be asked for again, where its answer was too
// large with this one. It is false of other errors, and where nothing smaller is left.
func Smaller(err error, limit int64) (int64, bool) {
	if _, large := errors.AsType[TooLarge](err); !large || limit <= 1 {
		return 0, false
	}
	return max(limit/8, 1), true
}
