package lint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
)

// checkSchedules: the server takes a schedule of days that no month has, and of steps that
// lead beyond the end of what they step through.
func checkSchedules(w *world) {
	for _, o := range w.byKind["CronJob"] {
		schedule := tree.Text(tree.At(o.Content, "spec", "schedule"))
		message, hint := wrongSchedule(strings.Fields(schedule))
		if message == "" || tree.At(o.Content, "spec", "suspend") == true {
			continue
		}
		f := o.at("schedule", "spec", "schedule")
		f.Warning, f.Message, f.Hint, f.Found = true, message, hint, quote(schedule)
		w.report(f)
	}
}

// cronField is what a field of a schedule may say.
type cronField struct {
	name        string
	first, last int
}

// longestMonths are the days of the months.
var longestMonths = []int{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31} //nolint:gochecknoglobals // a table

var monthNames = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"} //nolint:gochecknoglobals // a table

func wrongSchedule(fields []string) (message, hint string) {
	known := []cronField{{"minute", 0, 59}, {"hour", 0, 23}, {"day of the month", 1, 31}, {"month", 1, 12}, {"day of the week", 0, 6}}
	if len(fields) != len(known) {
		return "", "" // @daily, or what the server refuses
	}
	for i, field := range known {
		for part := range strings.SplitSeq(fields[i], ",") {
			over, by, ok := strings.Cut(part, "/")
			if step, err := strconv.Atoi(by); ok && err == nil && step > field.last && (over == "*" || over == "?") {
				return fmt.Sprintf("step %d is beyond the last %s, %d: only %d is left", step, field.name, field.last, field.first), ""
			}
		}
	}
	if fields[4] != "*" && fields[4] != "?" {
		return "", "" // or on a day of the week
	}
	days, months := known[2].values(fields[2], nil), known[3].values(fields[3], monthNames)
	if len(days) == 0 || len(months) == 0 {
		return "", ""
	}
	most := 0
	for _, month := range months {
		most = max(most, longestMonths[month-1])
	}
	if least := slices.Min(days); least > most {
		return fmt.Sprintf("it never runs: day %d is in none of its months", least), "suspend: true says so, where it is only run by hand"
	}
	return "", ""
}

// values are those of a field; none where it is not understood.
func (c cronField) values(text string, names []string) (all []int) {
	number := func(text string) int {
		if i := slices.Index(names, strings.ToLower(text)); i >= 0 {
			return c.first + i
		}
		n, err := strconv.Atoi(text)
		if err != nil || n > c.last {
			return c.first - 1
		}
		return n
	}
	for part := range strings.SplitSeq(text, ",") {
		over, by, steps := strings.Cut(part, "/")
		first, last, step := c.first, c.last, 1
		if steps {
			step = number(by)
		}
		if over != "*" && over != "?" {
			from, to, isRange := strings.Cut(over, "-")
			first = number(from)
			switch {
			case isRange:
				last = number(to)
			case !steps:
				last = first
			}
		}
		if first < c.first || last < c.first || step < 1 {
			return nil
		}
		for n := first; n <= last; n += step {
			all = append(all, n)
		}
	}
	return all
}
