package lock

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHolderGone(t *testing.T) {
	me := ThisProcess("test")
	if me.Boot == "" {
		t.Skip("needs /proc")
	}
	other := func(change func(*Holder)) Holder {
		h := me
		h.Run = "other"
		change(&h)
		return h
	}
	for _, test := range []struct {
		name  string
		other Holder
		gone  bool
	}{
		{"the same process", me, false},
		{"no such process", other(func(h *Holder) { h.PID = 1 << 30 }), true},
		{"the number was used again", other(func(h *Holder) { h.Started = "1" }), true},
		{"another boot", other(func(h *Holder) { h.PID, h.Boot = 1<<30, "x" }), false},
		{"another container", other(func(h *Holder) { h.PID, h.PIDs = 1<<30, "pid:[1]" }), false},
		{"another host", other(func(h *Holder) { h.PID, h.Host = 1<<30, "x" }), false},
		{"the parent process", other(func(h *Holder) { h.PID = os.Getppid(); h.Started, _ = processStart(h.PID) }), false},
		{"nothing is known", Holder{Host: "x"}, false},
	} {
		if got := me.gone(test.other); got != test.gone {
			t.Errorf("%s: gone is %v", test.name, got)
		}
	}
	if diff := cmp.Diff(me, decodeHolder(me.encode(), me.identity())); diff != "" {
		t.Errorf("encoded and decoded (-want +got):\n%s", diff)
	}
}
