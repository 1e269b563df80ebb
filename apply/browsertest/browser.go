// Package browsertest drives pages in a real Chromium, as those who read them do: with
// keys and mouse.
package browsertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"
)

// Step is something that is done or looked at.
type Step = chromedp.Action[chromedp.Void]

// Open starts a browser on an address and gathers what the page writes to the console
// and what it throws.
func Open(t *testing.T, url string) (context.Context, func() []string) {
	t.Helper()
	return OpenWith(t, url)
}

// OpenWith is Open with more flags.
func OpenWith(t *testing.T, url string, more ...chromedp.ExecAllocatorOption) (context.Context, func() []string) {
	t.Helper()
	flags := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900),
	}
	for _, flag := range []string{
		"headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
		"disable-background-networking", "disable-component-update", "disable-sync",
	} {
		flags = append(flags, chromedp.Flag(flag, true))
	}
	flags = append(flags, more...)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, flags...)
	t.Cleanup(cancel)
	var mu sync.Mutex
	var said []string
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithBrowserOption(chromedp.WithConsolef(func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, fmt.Sprintf(format, args...))
	})))
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate(url), chromedp.WaitReady("body")); err != nil {
		t.Fatal(err)
	}
	return ctx, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(said)
	}
}

// OpenPage is Open for the text of a page.
func OpenPage(t *testing.T, page string) (context.Context, func() []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	return Open(t, "file://"+file)
}

// chromium finds the browser. Only a machine that is nobody's CI may lack it.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const reason = "no chromium on this machine (apt-get install chromium)"
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
	return ""
}

// Press types keys as a keyboard does: a character comes with its key, so that a
// handler that prevents the one prevents the other. (chromedp.KeyEvent sends them
// apart.)
func Press(keys string) Step {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		for _, r := range keys {
			events := kb.Encode(r)
			down, up := *events[0], *events[len(events)-1]
			if len(events) == 3 {
				down.Text = events[1].Text
			}
			for _, event := range []input.DispatchKeyEventParams{down, up} {
				if _, err := cdp.Call(ctx, target, input.DispatchKeyEvent, event); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Expect waits until an expression has a value. A page settles a moment after the
// last key, on a busy machine a longer one.
func Expect(t *testing.T, what, js string, want any) Step {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		var got any
		for deadline := time.Now().Add(20 * time.Second); ; {
			var err error
			if got, err = chromedp.Evaluate[any](js)(ctx, target); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			if cmp.Equal(want, got) {
				return nil
			}
			if time.Now().After(deadline) {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Errorf("%s (-want +got):\n%s", what, cmp.Diff(want, got))
		return nil
	})
}

// Shot writes a picture of what is seen to the directory that EVENKEEL_TEST_SHOTS
// names, to be looked at; without it, it does nothing.
func Shot(name string) Step {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		dir := os.Getenv("EVENKEEL_TEST_SHOTS")
		if dir == "" {
			return nil
		}
		if err := chromedp.Do(ctx, chromedp.Sleep(300*time.Millisecond)); err != nil {
			return err
		}
		png, err := chromedp.CaptureScreenshot()(ctx, target)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	})
}
