package main

import (
	"strings"
	"testing"

	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/render/way"
	"github.com/seed-428f4edd/evenkeel/render/way/draw"
)

// TestMarks holds that pictures and traces have the marks of the terminal and of the page,
// which render does not know.
func TestMarks(t *testing.T) {
	for _, state := range []health.State{health.Healthy, health.Progressing, health.Failed, health.Unknown} {
		live := &way.Live{State: string(state)}
		picture := draw.GraphSVG(&way.Graph{Entry: []way.Card{{ID: "edge", Kind: way.Edge, Name: "nginx", Live: live}}})
		if want := ">" + state.Mark() + " " + string(state) + "<"; !strings.Contains(picture, want) {
			t.Errorf("a picture has no %q", want)
		}
		text := draw.WayText(&way.Way{URL: "http://shop.example/", Hops: []way.Hop{{Kind: way.Edge, Name: "nginx", Live: live}}}, false)
		if want := "\n" + state.Mark() + " edge "; !strings.Contains(text, want) {
			t.Errorf("a trace has no line that begins with %q:\n%s", want, text)
		}
	}
}
