package report

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	gmhtml "github.com/yuin/goldmark/renderer/html"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/browsertest"
)

func TestHTML(t *testing.T) {
	got := pageOf(t, []*apply.Plan{fixture(t)}, Options{})
	_, body, ok := strings.Cut(got, "<body>")
	if !ok {
		t.Fatal("no body")
	}
	body, _, _ = strings.Cut(body, "<script>")
	golden(t, "plan.html", body)
	for _, outside := range []string{"http://", "https://", "src=", "@import", "url("} {
		if strings.Contains(got, outside) {
			t.Errorf("the page refers to something outside: %s", outside)
		}
	}
}

func pageOf(t *testing.T, plans []*apply.Plan, opts Options) string {
	t.Helper()
	var got bytes.Buffer
	if err := HTML(&got, plans, opts); err != nil {
		t.Fatal(err)
	}
	return got.String()
}

// TestPageInChromium drives a page as its reader does: with keys and mouse.
func TestPageInChromium(t *testing.T) {
	ctx, problems := browse(t, pageOf(t, []*apply.Plan{fixture(t), large("test", 40, 2, 400)}, Options{}))
	is := func(what, js string, want any) step { return expect(t, what, js, want) }
	const (
		visible = `[...document.querySelectorAll(".card")].filter(c => c.checkVisibility()).length`
		current = `document.querySelector(".card.here .name")?.innerText ?? ""`
		open    = `document.querySelector(".card.here")?.open ?? null`
	)
	err := chromedp.Do(ctx,
		is("all is shown", visible, 96.0),
		is("styles are allowed", `getComputedStyle(document.getElementById("bar")).position`, "sticky"),
		press("j"), is("j goes to the first", current, "the same change in 6 objects (6 Deployment), 6 restart their pods"),
		press("j"), is("j goes on", current, "Deployment app/dubbo-demo-service-0"),
		press("k"), press("k"), is("k goes back and stays", current, "the same change in 6 objects (6 Deployment), 6 restart their pods"),
		press("n"), is("n goes to the next unit", current, "Deployment app/dubbo-demo-service-0"),
		is("folded where there are many", open, false),
		press("e"), is("e unfolds", open, true),
		press("e"), is("e folds", open, false),
		press("/"), is("/ searches", `document.activeElement.id`, "find"),
		is("without a slash", `document.getElementById("find").value`, ""),
		press("Registry secret:9e"),
		is("search shows what holds all words", visible, 1.0),
		is("it says how many", `document.getElementById("found").value`, "1 of 96"),
		is("navigation follows", `[...document.querySelectorAll("#nav .unit")].filter(a => a.checkVisibility()).length`, 1.0),
		press("\r"), is("enter goes to it", current, "Secret app/registry"),
		is("and unfolds it", open, true), is("matches are painted", `CSS.highlights.get("found").size > 1`, true),
		press("/"), press("\x1b"), is("escape shows all again", visible, 96.0),
		press("/"), is("/ searches again", `document.activeElement.id + document.getElementById("find").value`, "find"), press("nothing has this"),
		is("nothing found is said", `document.getElementById("none").checkVisibility()`, true),
		chromedp.Click("#clear"), is("and undone", visible, 96.0),
		chromedp.Click(`.chip[data-action="deleted"]`), is("a chip filters", visible, 1.0),
		chromedp.Click(`.chip[data-action="deleted"]`), is("and is undone", visible, 96.0),
		chromedp.Click(`#nav a[href*="service-0"]`), is("navigation goes there", current, "Deployment app/dubbo-demo-service-0"),
		press("e"), press("s"),
		is("side by side", `[...document.querySelectorAll(".card.here .sides .l")].filter(l => l.checkVisibility()).length`, 20.0),
		is("pairs stand beside each other", `[...document.querySelectorAll(".card.here .sides .del")].map(l => l.lastChild.innerText.trim() + " | " + l.nextSibling.lastChild.innerText.trim())`,
			[]any{"team: old | team: new", "- image: harbor.od.com/app/service:1 | - image: harbor.od.com/app/service:2"}),
		press("s"), is("and back", `document.querySelector(".card.here .sides").checkVisibility()`, false),
		press("E"), is("all unfold", `document.querySelectorAll(".card:not([open])").length`, 0.0),
		press("E"), is("all fold", `document.querySelectorAll(".card[open]").length`, 0.0),
		press("t"), is("dark", `document.documentElement.dataset.theme`, "dark"),
		press("t"), is("light", `document.documentElement.dataset.theme`, "light"),
		press("?"), is("keys are explained", `document.getElementById("keys").open`, true),
		is("nothing of a manifest runs", `document.querySelectorAll("script").length`, 1.0),
	)
	if err != nil {
		t.Fatal(err)
	}
	if said := problems(); len(said) > 0 {
		t.Errorf("the page complains: %q", said)
	}
	shots(ctx, t)
}

type step = browsertest.Step

func press(keys string) step { return browsertest.Press(keys) }

func expect(t *testing.T, what, js string, want any) step {
	return browsertest.Expect(t, what, js, want)
}

// TestCommentInChromium shows the comment as a code host renders it: all of it is
// folded as meant, tables are tables, and nothing in it became markup.
func TestCommentInChromium(t *testing.T) {
	var page bytes.Buffer
	render := goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(gmhtml.WithUnsafe()))
	if err := render.Convert([]byte(markdown(t, []*apply.Plan{fixture(t)}, Options{})), &page); err != nil {
		t.Fatal(err)
	}
	const style = "<!DOCTYPE html><meta charset=utf-8><style>body{font:14px sans-serif;max-width:60rem;margin:2rem auto}pre,code{background:#eef1f4}pre{padding:.6rem}" +
		"table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2rem .5rem}</style>"
	ctx, problems := browse(t, style+page.String())
	count := func(selector string, want float64) step {
		return expect(t, selector, fmt.Sprintf("document.querySelectorAll(%q).length", selector), want)
	}
	err := chromedp.Do(ctx,
		count("h3", 1), count("table", 1), count("tbody tr", 6), count("details", 6), count("details details", 0), count("details > summary", 6),
		count("pre > code.language-diff", 12),
		count("script, b, a, img, em", 0),
		expect(t, "hostile text is text", `[...document.querySelectorAll("pre")].some(p => p.textContent.includes("<script>alert(1)</script>"))`, true),
		expect(t, "a pipe stays in its place", `[...document.querySelectorAll("pre")].some(p => p.textContent.includes("a | b `+"`c`"+` <d> @all #1"))`, true),
	)
	if err != nil {
		t.Fatal(err)
	}
	if said := problems(); len(said) > 0 {
		t.Errorf("the page complains: %q", said)
	}
	if dir := os.Getenv("EVENKEEL_TEST_SHOTS"); dir != "" {
		if _, err := chromedp.Run(ctx, chromedp.Evaluate[any](`document.querySelectorAll("details").forEach(d => d.open = true); null`)); err != nil {
			t.Fatal(err)
		}
		png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "comment.png"), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// shots writes pictures of the page to the directory that EVENKEEL_TEST_SHOTS
// names, to be looked at.
func shots(ctx context.Context, t *testing.T) {
	dir := os.Getenv("EVENKEEL_TEST_SHOTS")
	if dir == "" {
		return
	}
	run := func(js string) step {
		return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := chromedp.Evaluate[any](js+"; null")(ctx, target)
			return err
		})
	}
	err := chromedp.Do(ctx,
		browsertest.Shot("keys"), run(`document.getElementById("keys").close(); scrollTo(0, 0)`), browsertest.Shot("folded"),
		press("E"), run(`scrollTo(0, 0)`), browsertest.Shot("light"),
		press("t"), browsertest.Shot("dark"),
		run(`document.getElementById("prod/edge").scrollIntoView()`), browsertest.Shot("dark-edge"),
		press("s"), press("t"), run(`document.getElementById("prod/dubbo-demo-service-0").scrollIntoView()`), browsertest.Shot("sides"),
		press("/"), press("kubectl"), browsertest.Shot("search"), run(`scrollTo(0, 0)`),
		chromedp.EmulateViewport(420, 900), press("\x1b"), run(`scrollTo(0, 0)`), browsertest.Shot("narrow"),
	)
	if err != nil {
		t.Fatal(err)
	}
}

func browse(t *testing.T, page string) (context.Context, func() []string) {
	t.Helper()
	return browsertest.OpenPage(t, page)
}
