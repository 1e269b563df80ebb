package schema_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// TestFrozen looks at freezes with the clock set to the moments around them, in zones
// with and without daylight saving.
func TestFrozen(t *testing.T) {
	festival := schema.Freeze{From: "2026-02-14", To: "2026-02-24", Zone: "Asia/Shanghai", Why: "Spring Festival"}
	weekend := schema.Freeze{From: "Fri 18:00", To: "Mon 08:00", Zone: "Asia/Shanghai", Why: "weekend"}
	berlin := schema.Freeze{From: "Fri 18:00", To: "Mon 08:00", Zone: "Europe/Berlin", Why: "weekend"}
	nights := schema.Freeze{From: "22:00", To: "06:00", Zone: "America/New_York", Why: "nights"}
	gap := schema.Freeze{From: "02:30", To: "05:00", Zone: "Europe/Berlin", Why: "in the hour that is skipped"}
	twice := schema.Freeze{From: "2026-10-24 12:00", To: "2026-10-25 02:30", Zone: "Europe/Berlin", Why: "to an hour that comes twice"}
	twiceFrom := schema.Freeze{From: "2026-10-25 02:30", To: "2026-10-25 12:00", Zone: "Europe/Berlin", Why: "from an hour that comes twice"}
	lordHowe := schema.Freeze{From: "2026-04-05", To: "2026-04-05", Zone: "Australia/Lord_Howe", Why: "half an hour of daylight saving"}
	apia := schema.Freeze{From: "2011-12-29", To: "2011-12-30", Zone: "Pacific/Apia", Why: "a day that was left out"}
	leap := schema.Freeze{From: "2028-02-29", To: "2028-02-29", Zone: "Asia/Shanghai", Why: "a day of leap years"}
	toMarch := schema.Freeze{From: "2028-02-28 12:00", To: "2028-03-01", Zone: "UTC", Why: "over a leap day"}
	toMarchCommon := schema.Freeze{From: "2027-02-28 12:00", To: "2027-03-01", Zone: "UTC", Why: "over none"}
	weekEnd := schema.Freeze{From: "Sat 23:00", To: "Sun 01:00", Zone: "Asia/Shanghai", Why: "over the end of the week"}
	nearlyAll := schema.Freeze{From: "Mon 00:00", To: "Sun 23:00", Zone: "Asia/Shanghai", Why: "an hour a week"}
	sundayNight := schema.Freeze{From: "Sat 23:00", To: "Sun 02:30", Zone: "Europe/Berlin", Why: "to an hour that clocks skip or show twice"}
	midnight := schema.Freeze{From: "23:30", To: "00:30", Zone: "America/Sao_Paulo", Why: "over midnight"}
	cairo := schema.Freeze{From: "2026-04-24", To: "2026-04-24", Zone: "Africa/Cairo", Why: "a day without midnight"}
	cairoBack := schema.Freeze{From: "2026-10-29", To: "2026-10-29", Zone: "Africa/Cairo", Why: "a day of 25 hours"}
	kathmandu := schema.Freeze{From: "18:00", To: "08:00", Zone: "Asia/Kathmandu", Why: "three quarters of an hour"}
	for _, tt := range []struct {
		freeze     schema.Freeze
		now, until string // until is empty where nothing is frozen
	}{
		{festival, "2026-02-13T15:59:59Z", ""},
		{festival, "2026-02-13T16:00:00Z", "2026-02-24T16:00:00Z"}, // midnight in Shanghai
		{festival, "2026-02-24T15:59:59Z", "2026-02-24T16:00:00Z"}, // the last day is a part of it
		{festival, "2026-02-24T16:00:00Z", ""},
		{festival, "2027-02-20T00:00:00Z", ""},

		{weekend, "2026-11-27T09:59:59Z", ""},
		{weekend, "2026-11-27T10:00:00Z", "2026-11-30T00:00:00Z"},
		{weekend, "2026-11-29T23:59:59Z", "2026-11-30T00:00:00Z"},
		{weekend, "2026-11-30T00:00:00Z", ""},
		{weekend, "2026-12-31T23:00:00Z", ""},
		{weekend, "2027-01-01T12:00:00Z", "2027-01-04T00:00:00Z"}, // over the end of a year

		// Clocks are put forward on Sunday, 2026-03-29: the weekend has an hour less.
		{berlin, "2026-03-27T16:59:59Z", ""},
		{berlin, "2026-03-27T17:00:00Z", "2026-03-30T06:00:00Z"},
		{berlin, "2026-03-30T05:59:59Z", "2026-03-30T06:00:00Z"},
		{berlin, "2026-03-30T06:00:00Z", ""},
		// And back on 2026-10-25: an hour more.
		{berlin, "2026-10-23T15:59:59Z", ""},
		{berlin, "2026-10-23T16:00:00Z", "2026-10-26T07:00:00Z"},
		{berlin, "2026-10-26T06:59:59Z", "2026-10-26T07:00:00Z"},
		{berlin, "2026-10-26T07:00:00Z", ""},

		{nights, "2026-07-01T01:59:59Z", ""},
		{nights, "2026-07-01T02:00:00Z", "2026-07-01T10:00:00Z"}, // New York is 4 hours behind in summer
		{nights, "2026-12-01T02:59:59Z", ""},
		{nights, "2026-12-01T03:00:00Z", "2026-12-01T11:00:00Z"}, // and 5 in winter
		{nights, "2026-03-08T07:30:00Z", "2026-03-08T10:00:00Z"}, // the night of the change
		{nights, "2026-03-08T10:00:00Z", ""},

		{gap, "2026-03-29T00:29:59Z", ""}, // 01:29:59; 02:30 does not come, and by the old clock is 01:30 UTC
		{gap, "2026-03-29T00:30:00Z", "2026-03-29T03:00:00Z"},
		{gap, "2026-03-29T01:30:00Z", "2026-03-29T03:00:00Z"},
		{gap, "2026-03-29T03:00:00Z", ""},

		{twice, "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"}, // 02:30 the first time: it goes on
		{twice, "2026-10-25T01:29:59Z", "2026-10-25T01:30:00Z"},
		{twice, "2026-10-25T01:30:00Z", ""}, // the second time
		{twiceFrom, "2026-10-25T00:29:59Z", ""},
		{twiceFrom, "2026-10-25T00:30:00Z", "2026-10-25T11:00:00Z"},

		{lordHowe, "2026-04-04T12:59:59Z", ""}, // 10:30 ahead in winter, 11:00 in summer
		{lordHowe, "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z"},
		{lordHowe, "2026-04-05T13:30:00Z", ""},
		{apia, "2011-12-29T09:59:59Z", ""},
		{apia, "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"},
		{apia, "2011-12-30T10:00:00Z", ""},

		{leap, "2028-02-28T15:59:59Z", ""},
		{leap, "2028-02-28T16:00:00Z", "2028-02-29T16:00:00Z"},
		{leap, "2028-02-29T16:00:00Z", ""},
		{toMarch, "2028-02-29T23:59:59Z", "2028-03-02T00:00:00Z"},
		{toMarchCommon, "2027-02-28T23:59:59Z", "2027-03-02T00:00:00Z"},

		{weekEnd, "2026-11-28T14:59:59Z", ""}, // Saturday
		{weekEnd, "2026-11-28T15:00:00Z", "2026-11-28T17:00:00Z"},
		{weekEnd, "2026-11-28T16:30:00Z", "2026-11-28T17:00:00Z"}, // Sunday: the next week has begun
		{weekEnd, "2026-11-28T17:00:00Z", ""},
		{nearlyAll, "2026-11-29T14:59:59Z", "2026-11-29T15:00:00Z"},
		{nearlyAll, "2026-11-29T15:00:00Z", ""},
		{nearlyAll, "2026-11-29T16:00:00Z", "2026-12-06T15:00:00Z"},

		{sundayNight, "2026-03-28T22:00:00Z", "2026-03-29T01:30:00Z"}, // 02:30 does not come: until 03:30 of the new clock
		{sundayNight, "2026-03-29T01:30:00Z", ""},
		{sundayNight, "2026-10-24T21:00:00Z", "2026-10-25T01:30:00Z"}, // 02:30 the second time
		{sundayNight, "2026-10-25T00:45:00Z", "2026-10-25T01:30:00Z"},
		{sundayNight, "2026-10-25T01:30:00Z", ""},

		{midnight, "2018-11-04T02:29:59Z", ""},
		{midnight, "2018-11-04T02:30:00Z", "2018-11-04T03:30:00Z"}, // 00:30 does not come: until 01:30 of the new clock
		{midnight, "2018-11-04T03:30:00Z", ""},
		{midnight, "2026-12-31T23:59:59Z", ""},
		{midnight, "2027-01-01T03:00:00Z", "2027-01-01T03:30:00Z"},

		{cairo, "2026-04-23T20:59:59Z", ""},
		{cairo, "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"}, // Thursday's last second is followed by 01:00
		{cairo, "2026-04-24T21:00:00Z", ""},
		{cairoBack, "2026-10-28T21:00:00Z", "2026-10-29T22:00:00Z"}, // the hour before midnight comes twice
		{cairoBack, "2026-10-29T21:30:00Z", "2026-10-29T22:00:00Z"},
		{cairoBack, "2026-10-29T22:00:00Z", ""},

		{kathmandu, "2026-11-28T12:14:59Z", ""},
		{kathmandu, "2026-11-28T12:15:00Z", "2026-11-29T02:15:00Z"},
	} {
		env := &schema.Environment{Freezes: []schema.Freeze{tt.freeze}}
		now, err := time.Parse(time.RFC3339, tt.now)
		if err != nil {
			t.Fatal(err)
		}
		_, until, frozen := env.Frozen(now)
		got := ""
		if frozen {
			got = until.UTC().Format(time.RFC3339)
		}
		if got != tt.until {
			t.Errorf("%s: at %s frozen until %q, want %q", tt.freeze, tt.now, got, tt.until)
		}
	}
}

// TestFreezesOverlap names the freeze that lasts longest.
func TestFreezesOverlap(t *testing.T) {
	env := &schema.Environment{Freezes: []schema.Freeze{
		{From: "Fri 18:00", To: "Mon 08:00", Zone: "UTC", Why: "weekend"},
		{From: "2026-02-14", To: "2026-02-24", Zone: "UTC", Why: "festival"},
		{From: "00:00", To: "23:59", Zone: "UTC", Why: "days"},
	}}
	f, _, frozen := env.Frozen(time.Date(2026, 2, 15, 12, 0, 0, 0, time.UTC))
	if !frozen || f.Why != "festival" {
		t.Errorf("got %v, %v", f, frozen)
	}
}

// TestFreezeWrong says what is wrong, and holds all the same: it was meant.
func TestFreezeWrong(t *testing.T) {
	for _, f := range []schema.Freeze{
		{From: "2026-02-30", To: "2026-03-01", Zone: "UTC"},
		{From: "2027-02-29", To: "2027-03-01", Zone: "UTC"}, // no leap year
		{From: "2026-02-01", To: "2026-01-01", Zone: "UTC"},
		{From: "2026-02-01 10:00", To: "2026-02-01 10:00", Zone: "UTC"},
		{From: "Fri 18:00", To: "Fri 18:00", Zone: "UTC"},
		{From: "Fri 18:00", To: "2026-02-01", Zone: "UTC"},
		{From: "Fri 18:00", To: "08:00", Zone: "UTC"},
		{From: "Fri 24:00", To: "Mon 08:00", Zone: "UTC"},
		{From: "Fri 18:60", To: "Mon 08:00", Zone: "UTC"},
		{From: "Fry 18:00", To: "Mon 08:00", Zone: "UTC"},
		{From: "", To: "", Zone: "UTC"},
		{From: "18:00", To: "08:00", Zone: "Asia/Beijing"},
		{From: "18:00", To: "08:00", Zone: "Local"},
		{From: "18:00", To: "08:00", Zone: ""},
		{From: "18:00", To: "08:00", Zone: "../../etc/passwd"},
	} {
		if err := f.Check(); err == nil {
			t.Errorf("%+v: no error", f)
		}
		env := &schema.Environment{Freezes: []schema.Freeze{f}}
		if _, _, frozen := env.Frozen(time.Now()); !frozen {
			t.Errorf("%+v: not frozen", f)
		}
	}
}

// TestZonesCome holds that the zones are a part of what imports the package: the hosts
// and images that evenkeel runs on may have none.
func TestZonesCome(t *testing.T) {
	deps, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(strings.Fields(string(deps)), "time/tzdata") {
		t.Error("the zones are not linked in: a freeze depends on the files of the machine")
	}
}
