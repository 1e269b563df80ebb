package ui

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/browsertest"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// large is an environment of so many units with ten objects each.
func large(units int) Environment {
	env := noCluster("large")
	env.Desired.Units = nil
	for i := range units {
		u := schema.Unit{Name: fmt.Sprintf("app-%d", i)}
		for j := range 10 {
			u.Objects = append(u.Objects, schema.Object{Unstructured: &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"namespace": "large", "name": fmt.Sprintf("app-%d-%d", i, j)},
			}}})
		}
		env.Desired.Units = append(env.Desired.Units, u)
	}
	return env
}

// tell has a watch say how an object is.
func tell(b *board, unit, object int, state health.State) {
	o := b.Desired.Units[unit].Objects[object]
	b.event(apply.Event{
		Unit: b.Desired.Units[unit].Name, Ref: schema.RefOf(o.Unstructured), State: state, Message: "as it is",
		Wrote: &health.Write{By: "evenkeel", At: time.Now()},
	})
}

// TestLargeInChromium measures 5,000 objects: the page is painted within a second after
// the data is there, and a change is shown within another. The bounds of the test are
// wider, for machines that do other things, too; -v tells what was measured.
func TestLargeInChromium(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(l.Addr(), Options{Viewer: func(string) Viewer { return Viewer{Environments: []Environment{large(500)}} }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { _ = s.Serve(ctx, l) }()
	b := s.local.boards[0]
	for u := range 500 {
		for o := range 10 {
			state := health.Healthy
			if u%10 == 0 && o == 0 {
				state = health.Progressing
			}
			tell(b, u, o, state)
		}
	}
	page := "http://" + l.Addr().String() + s.Path() + "en/env/large/"
	began := time.Now()
	resp, err := http.Get(page) //nolint:noctx // a test of its own server
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	written := time.Since(began)

	browser, problems := browsertest.Open(t, page)
	do := func(steps ...browsertest.Step) {
		t.Helper()
		if err := chromedp.Do(browser, steps...); err != nil {
			t.Fatal(err)
		}
	}
	do(browsertest.Expect(t, "all units", `document.querySelectorAll("li.unit").length`, 500.0))
	const painted = `performance.getEntriesByName("first-contentful-paint").length`
	do(browsertest.Expect(t, "the page is painted", painted, 1.0))
	paint, err := chromedp.Run(browser, chromedp.Evaluate[float64](`performance.getEntriesByName("first-contentful-paint")[0].startTime`))
	if err != nil {
		t.Fatal(err)
	}
	do(browsertest.Expect(t, "the stream runs", `Number(document.querySelector("[data-live]").dataset.changes ?? 0) > 0`, true))
	began = time.Now()
	tell(b, 7, 3, health.Failed)
	do(browsertest.Expect(t, "a change", `document.querySelector("#unit-app-7").classList.contains("failed")`, true))
	shown := time.Since(began)
	t.Logf("5,000 objects: written in %s, first paint %.0f ms after the request, a change shown after %s", written, paint, shown)
	if written > 2*time.Second || paint > 4000 || shown > 4*time.Second {
		t.Error("too slow")
	}
	if said := problems(); len(said) > 0 {
		t.Errorf("the page complains: %q", said)
	}
}
