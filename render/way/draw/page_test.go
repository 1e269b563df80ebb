package draw_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/seed-428f4edd/evenkeel/apply/browsertest"
	"github.com/seed-428f4edd/evenkeel/render/way"
	"github.com/seed-428f4edd/evenkeel/render/way/draw"
)

// TestGraphInChromium looks at the page of `graph -o html` at three widths, light and
// dark: the page itself never scrolls sideways, no text leaves its card, and a card with
// the focus lights up what it calls. EVENKEEL_TEST_SHOTS keeps pictures.
func TestGraphInChromium(t *testing.T) {
	graph := models(t, "infra", "prod")["prod"].Graph("infra", "prod")
	states := []string{"healthy", "progressing", "failed", "unknown"}
	n := 0
	graph.Cards(func(c *way.Card) {
		if c.Kind == way.App || c.Kind == way.Controller {
			c.Live = &way.Live{State: states[n%len(states)], Says: []string{"Deployment/prod/dubbo-demo-consumer progressing: 1 of 2 ready: pod dubbo-demo-consumer-7dfc4f5f4d-wcxw4: ImagePullBackOff", "1 of 2 pods are ready"}}
			n++
		}
	})
	browser, problems := browsertest.OpenPage(t, draw.GraphHTML(graph, []*way.Graph{graph}))
	const leaving = `[...document.querySelectorAll(".node")].flatMap(n => {
		const card = n.querySelector("rect").getBBox();
		return [...n.querySelectorAll("text")].filter(t => { const b = t.getBBox(); return b.x < card.x || b.x + b.width > card.x + card.width || b.y + b.height > card.y + card.height; }).map(t => t.textContent);
	}).join("\n")`
	for _, theme := range []string{"light", "dark"} {
		colour := map[string]string{"light": "rgb(255, 255, 255)", "dark": "rgb(15, 20, 27)"}[theme]
		for _, width := range []int64{420, 1024, 1600} {
			err := chromedp.Do(browser,
				chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
					_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}})
					return err
				}),
				chromedp.EmulateViewport(width, 900),
				browsertest.Expect(t, "the page keeps to its width", `document.documentElement.scrollWidth <= innerWidth`, true),
				browsertest.Expect(t, theme, `getComputedStyle(document.body).backgroundColor`, colour),
				browsertest.Expect(t, "so does the picture", `getComputedStyle(document.querySelector(".bg")).fill`, colour),
				browsertest.Expect(t, "all texts stay within their cards", leaving, ""),
				browsertest.Shot(fmt.Sprintf("graph-%s-%d", theme, width)),
			)
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	const consumer = `document.querySelector('.node[data-id="prod/dubbo-demo-consumer"]')`
	err := chromedp.Do(browser,
		chromedp.Func(func(ctx context.Context, target *chromedp.Target) error { // a window without the focus gets no such events
			_, err := cdp.Call(ctx, target, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
			return err
		}),
		browsertest.Expect(t, "a card takes the focus", `(`+consumer+`.focus(), document.activeElement.dataset.id)`, "prod/dubbo-demo-consumer"),
		browsertest.Expect(t, "it lights up what it calls", `document.querySelector('.node.on[data-id="prod/dubbo-demo-service"]') !== null`, true),
		browsertest.Expect(t, "and nothing else", `document.querySelectorAll(".node.on").length`, 2.0),
		browsertest.Shot("graph-focus"),
	)
	if err != nil {
		t.Fatal(err)
	}
	if said := problems(); len(said) > 0 {
		t.Errorf("the page complains: %q", said)
	}
}
