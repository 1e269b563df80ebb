package schema

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the hosts and images that evenkeel runs on often have no zones
)

// Freeze is a time in which nothing new is applied to an environment. From and To
// are both a day ("2026-02-14"), a moment ("2026-02-14 18:00"), a time of the week
// ("Fri 18:00") or of the day ("18:00"), on the clock of Zone.
type Freeze struct {
	From string `json:"from"`
	To   string `json:"to"`
	Zone string `json:"zone"`
	Why  string `json:"why"`
}

// String is the freeze as people read it.
func (f Freeze) String() string {
	return fmt.Sprintf("%s (%s to %s, %s)", f.Why, f.From, f.To, f.Zone)
}

// Frozen returns the freeze that lasts longest of those that now is in, and when it
// ends; false where now is in none. One that Check refuses holds: who wrote it meant
// something by it.
func (e *Environment) Frozen(now time.Time) (f Freeze, until time.Time, frozen bool) {
	for _, each := range e.Freezes {
		end, in, err := each.during(now)
		if (in || err != nil) && (!frozen || end.After(until)) {
			f, until, frozen = each, end, true
		}
	}
	return f, until, frozen
}

// Check says what is wrong with a freeze: a day that no calendar has, a zone that
// nobody knows, an end before the beginning.
func (f Freeze) Check() error {
	_, _, err := f.during(time.Time{})
	return err
}

// during reports whether now is in the freeze, and when that time ends.
//
// A clock that is put forward skips times, one that is put back shows them twice:
// where that leaves a choice, a freeze begins with the first and ends with the last.
func (f Freeze) during(now time.Time) (until time.Time, in bool, err error) {
	from, to, zone, err := f.read()
	if err != nil {
		return time.Time{}, false, err
	}
	if from.every == 0 {
		begin, _ := onClock(from.day, from.minute, zone)
		_, end := onClock(to.day, to.minute, zone)
		if !begin.Before(end) {
			return time.Time{}, false, errors.New("it ends before it begins")
		}
		return end, !now.Before(begin) && now.Before(end), nil
	}
	length := (to.minute - from.minute + from.every) % from.every
	if length == 0 {
		return time.Time{}, false, errors.New("it ends when it begins")
	}
	if now.IsZero() {
		return time.Time{}, false, nil
	}
	y, m, d := now.In(zone).Date()
	today := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	weekStart := today.AddDate(0, 0, -int(today.Weekday()))
	for ago := 8; ago >= -1; ago-- {
		// A week holds one beginning of a weekly freeze, and a day one of a daily one.
		day := today.AddDate(0, 0, -ago)
		if from.every == minutesOfWeek {
			day = weekStart.AddDate(0, 0, -7*ago)
		}
		begin, _ := onClock(day, from.minute, zone)
		_, end := onClock(day, from.minute+length, zone)
		if !now.Before(begin) && now.Before(end) {
			return end, true, nil
		}
	}
	return time.Time{}, false, nil
}

const (
	minutesOfDay  = 24 * 60
	minutesOfWeek = 7 * minutesOfDay
)

// clockTime is From or To: a minute of a day, or of every day or week. The week
// begins on Sunday.
type clockTime struct {
	every  int // minutes after which it comes again; zero: never
	day    time.Time
	minute int
}

func (f Freeze) read() (from, to clockTime, zone *time.Location, err error) {
	if zone, err = time.LoadLocation(f.Zone); err != nil || f.Zone == "" || f.Zone == "Local" {
		return from, to, nil, fmt.Errorf("%q is not a time zone, such as Asia/Shanghai", f.Zone)
	}
	if from, err = readClock(f.From, 0); err != nil {
		return from, to, nil, err
	}
	// The last day is a part of it.
	if to, err = readClock(f.To, minutesOfDay); err != nil {
		return from, to, nil, err
	}
	if from.every != to.every {
		return from, to, nil, fmt.Errorf("%q and %q are not of one sort", f.From, f.To)
	}
	return from, to, zone, nil
}

// readClock reads a time of a freeze; wholeDay is the minute that a day without a
// time means.
func readClock(text string, wholeDay int) (clockTime, error) {
	none := fmt.Errorf("%q is not a time, such as 2026-02-14, 2026-02-14 18:00, Fri 18:00 or 18:00", text)
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return clockTime{day: day, minute: wholeDay}, nil
	}
	first, rest, two := strings.Cut(text, " ")
	if !two {
		rest = first
	}
	hour, err := time.Parse("15:04", rest)
	if err != nil || len(rest) != len("15:04") {
		return clockTime{}, none
	}
	at := clockTime{every: minutesOfDay, minute: hour.Hour()*60 + hour.Minute()}
	if !two {
		return at, nil
	}
	for day := time.Sunday; day <= time.Saturday; day++ {
		if first == day.String()[:3] {
			at.every, at.minute = minutesOfWeek, at.minute+int(day)*minutesOfDay
			return at, nil
		}
	}
	day, err := time.Parse(time.DateOnly, first)
	if err != nil {
		return clockTime{}, none
	}
	at.every, at.day = 0, day
	return at, nil
}

// onClock returns the first and the last moment at which a clock of the zone shows
// that minute of a day. They are one, but for the times that clocks skip or show
// twice when they are changed.
func onClock(day time.Time, minute int, zone *time.Location) (first, last time.Time) {
	wall := day.Add(time.Duration(minute) * time.Minute)
	var shown, near []time.Time
	for _, around := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		_, offset := wall.Add(around).In(zone).Zone()
		at := wall.Add(-time.Duration(offset) * time.Second)
		near = append(near, at)
		if _, is := at.In(zone).Zone(); is == offset {
			shown = append(shown, at)
		}
	}
	if len(shown) == 0 {
		shown = near
	}
	first, last = shown[0], shown[len(shown)-1]
	if last.Before(first) {
		first, last = last, first
	}
	return first, last
}
