package draw_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/seed-428f4edd/evenkeel/apply/browsertest"
	"github.com/seed-428f4edd/evenkeel/render"
	"github.com/seed-428f4edd/evenkeel/render/way"
	"github.com/seed-428f4edd/evenkeel/render/way/draw"
)

// looks opens a page at three widths, light and dark: it never scrolls sideways, no text
// leaves its card, no two cards overlap, and no wire goes through one.
func looks(t *testing.T, browser context.Context, name string) {
	t.Helper()
	const cards = `[...document.querySelectorAll(".node")].map(n => ({id: n.dataset.id, box: n.querySelector("rect").getBBox(), texts: [...n.querySelectorAll("text")]}))`
	const leaving = cards + `.flatMap(c => c.texts.filter(t => {
		const b = t.getBBox();
		return b.x < c.box.x || b.x + b.width > c.box.x + c.box.width || b.y + b.height > c.box.y + c.box.height;
	}).map(t => t.textContent)).join("\n")`
	const overlapping = cards + `.flatMap((c, i, all) => all.slice(i + 1).filter(o =>
		c.box.x < o.box.x + o.box.width && o.box.x < c.box.x + c.box.width && c.box.y < o.box.y + o.box.height && o.box.y < c.box.y + c.box.height,
	).map(o => c.id + " and " + o.id)).join("\n")`
	const through = `(() => {
		const cards = ` + cards + `;
		return [...document.querySelectorAll(".wire[data-from]")].flatMap(w => {
			for (let at = 0, length = w.getTotalLength(); at < length; at += 4) {
				const p = w.getPointAtLength(at);
				const hit = cards.find(c => p.x > c.box.x + 1 && p.x < c.box.x + c.box.width - 1 && p.y > c.box.y + 1 && p.y < c.box.y + c.box.height - 1);
				if (hit) return [w.dataset.from + " to " + w.dataset.to + " through " + hit.id];
			}
			return [];
		}).join("\n");
	})()`
	if err := chromedp.Do(browser,
		browsertest.Expect(t, "all texts stay within their cards", leaving, ""),
		browsertest.Expect(t, "no two cards overlap", overlapping, ""),
		browsertest.Expect(t, "no wire goes through a card", through, ""),
	); err != nil {
		t.Fatal(err)
	}
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
				browsertest.Shot(fmt.Sprintf("%s-%s-%d", name, theme, width)),
			)
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestGraphInChromium looks at the page of `graph -o html`, where a card with the focus
// lights up what it calls. EVENKEEL_TEST_SHOTS keeps pictures.
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
	looks(t, browser, "graph")
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

// hundred is an environment of so many apps: in each of ten fields a page, a gateway's
// consumer, and services that call each other and those of other fields.
const hundred = `package prod

import "github.com/seed-428f4edd/evenkeel/schema"

environment: schema.#Environment & {
	name: "prod"
	site: {
		name:   "lab"
		domain: "lab.example"
		entry:  "loadBalancer"
		networks: {nodes: "10.4.7.0/24", pods: "172.7.0.0/16", services: "192.168.0.0/16"}
		harbor: host: "harbor.lab.example"
	}
	registry: zookeeper: servers: ["zk1.lab.example:2181", "zk2.lab.example:2181", "zk3.lab.example:2181"]
	let Fields = ["order", "user", "stock", "payment", "catalogue", "promotion", "search", "shipping", "message", "risk-control"]
	let Kinds = ["query", "command", "price", "rules", "archive", "export", "history"]
	apps: {
		for i, f in Fields {
			"\(f)-page": schema.#WebApp & {image: "harbor.lab.example/app/\(f)-page:1.0.0", host: "\(f).lab.example"}
			"\(f)-admin": schema.#DubboConsumer & {image: "harbor.lab.example/app/\(f)-admin:1.0.0", host: "\(f)-admin.lab.example", consumes: ["\(f)-query", "\(f)-command", "user-query"]}
			"\(f)-api": schema.#DubboConsumer & {
				image: "harbor.lab.example/app/\(f)-api:1.0.0", host: "api.lab.example", paths: ["/\(f)"]
				consumes: ["\(f)-query", "\(f)-command", "\(f)-price", "user-query", "risk-control-rules"]
			}
			for s in Kinds {
				"\(f)-\(s)": schema.#DubboProvider & {
					image: "harbor.lab.example/app/\(f)-\(s):1.0.0"
					consumes: [if s == "command" {"\(f)-price"}, if s == "command" {"\(Fields[mod(i+1, 10)])-query"}, if s == "price" {"\(f)-rules"}, if s == "query" {"\(f)-history"}, if s == "command" {"message-export"}]
				}
			}
		}
	}
}
`

// TestHundredApps looks at the picture of so many.
func TestHundredApps(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"cue.mod/module.cue": "module: \"lab.example/deploy@v0\"\nlanguage: version: \"v0.17.0\"\n", "envs/prod/prod.cue": hundred} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	repo, err := render.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	ways, err := repo.Ways(t.Context(), []string{"prod"})
	if err != nil {
		t.Fatal(err)
	}
	graph := ways.Models["prod"].Graph("prod")
	apps := 0
	graph.Cards(func(c *way.Card) {
		if c.Kind == way.App {
			apps++
		}
		if len(c.Breaks) > 0 {
			t.Errorf("%s: %q", c.ID, c.Breaks)
		}
	})
	if apps != 100 {
		t.Errorf("%d apps", apps)
	}
	browser, problems := browsertest.OpenPage(t, draw.GraphHTML(graph, []*way.Graph{graph}))
	looks(t, browser, "hundred")
	if err := chromedp.Do(browser, chromedp.EmulateViewport(2000, 3000), browsertest.Shot("hundred-whole")); err != nil {
		t.Fatal(err)
	}
	if said := problems(); len(said) > 0 {
		t.Errorf("the page complains: %q", said)
	}
}
