package apply

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A log is read in pieces that overlap by a second, is turned over, and is cut in the
// middle of a line; each line counts once.
func TestLogCount(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	line := func(i int) string {
		what := "fine"
		if i%10 == 0 {
			what = "java.lang.Exception: no"
		}
		return begin.Add(time.Duration(i)*100*time.Millisecond).Format(time.RFC3339Nano) + " " + what + "\n"
	}
	lines := func(from, to int) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			b.WriteString(line(i))
		}
		return b.String()
	}
	var count logCount
	for _, step := range []struct {
		log  string
		want int
	}{
		{lines(0, 100), 10},
		{lines(90, 100), 10},                                     // nothing new
		{lines(90, 150), 15},                                     // the second of the last line again
		{lines(160, 200), 19},                                    // turned over: what is gone was not seen
		{lines(190, 201) + line(201)[:20], 20},                   // a line that is being written
		{lines(200, 205) + "no time in it\n", 20},                // a line of somebody else's
		{strings.Repeat(line(0), 3), 20},                         // older
		{lines(205, 211) + "2026-11-30T08:00:30Z Exception", 22}, // the last one without its end
	} {
		if _, err := count.add(strings.NewReader(step.log), "Exception"); err != nil {
			t.Fatal(err)
		}
		if count.n != step.want {
			t.Errorf("%d lines counted, want %d, after\n%.200s", count.n, step.want, step.log)
		}
	}
	if _, err := count.add(strings.NewReader("an Exception\nand no time\n"), "Exception"); err == nil {
		t.Error("a log without times is counted")
	}
	if _, err := count.add(strings.NewReader(""), "Exception"); err != nil {
		t.Error(err)
	}
	long := logCount{}
	cut := begin.Format(time.RFC3339Nano) + " Exception " + strings.Repeat("x", logSize)
	if size, err := long.add(strings.NewReader(cut[:logSize]), "Exception"); err != nil || size != logSize || long.n != 0 {
		t.Errorf("%d bytes, %d lines, %v", size, long.n, err)
	}
	if fmt.Sprint(long.until) != fmt.Sprint(time.Time{}) {
		t.Errorf("read until %s", long.until)
	}
}
