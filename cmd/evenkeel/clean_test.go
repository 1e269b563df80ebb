package main

import (
	"bytes"
	"errors"
	"io"
	"log"
	"strings"
	"testing"

	"k8s.io/klog/v2"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
)

// TestCleaner writes what others may have written: nothing that a terminal or a CI
// service acts on comes through, and what people read stays.
func TestCleaner(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want, ci string }{
		{in: "plain text\n\ttab\n", want: "plain text\n\ttab\n"},
		{in: "\x1b]0;title\x07\x1b[2J", want: `\u001b]0;title\u0007\u001b[2J`},
		{in: "\x1b[31mred\x1b[0m", want: `\u001b[31mred\u001b[0m`},
		{in: "a\rb\x08c\x7f", want: `a\u000db\u0008c\u007f`},
		{in: "c1 \u009b31m \x9b31m", want: "c1 \\u009b31m \ufffd31m"},
		{in: "\u202egnp.exe\u2066\u200e\u061c", want: `\u202egnp.exe\u2066\u200e\u061c`},
		{in: "zero\u200bwidth\ufeff\u00ad\u2060", want: `zero\u200bwidth\ufeff\u00ad\u2060`},
		{in: "line\u2028para\u2029", want: `line\u2028para\u2029`},
		{in: "tag\U000e0041", want: `tag\U000e0041`},
		{in: "中文，全角字符：健康关卡", want: "中文，全角字符：健康关卡"},
		{in: "👩\u200d💻 e\u0301 ✓ ❤\ufe0f", want: "👩💻 e\u0301 ✓ ❤\ufe0f"},
		{in: "##vso[task.setvariable]x ##[error]y ##teamcity[a]", ci: "# #vso[task.setvariable]x # #[error]y # #teamcity[a]"},
		{in: "::error::x\n  ::add-mask::y\na ::b\n", ci: ": :error::x\n  : :add-mask::y\na ::b\n"},
		{in: "\u00a0::error::x\n\u3000 \u2003::add-mask::y\na\u00a0::b\n", ci: "\u00a0: :error::x\n\u3000 \u2003: :add-mask::y\na\u00a0::b\n"},
		{in: "section_start:1:a\r\x1b[0K", ci: `s ection_start:1:a\u000d\u001b[0K`, want: `section_start:1:a\u000d\u001b[0K`},
	} {
		for _, ci := range []bool{false, true} {
			want := c.want
			if want == "" {
				want = c.in
			}
			if ci && c.ci != "" {
				want = c.ci
			}
			var whole, bits bytes.Buffer
			if _, err := newCleaner(&whole, ci).Write([]byte(c.in)); err != nil {
				t.Fatal(err)
			}
			if got := whole.String(); got != want {
				t.Errorf("CI %v: %q: got %q, want %q", ci, c.in, got, want)
			}
			if strings.Contains(c.in, "##") || strings.Contains(c.in, "::") || strings.Contains(c.in, "section") || strings.Contains(c.in, "\x9b") {
				continue // no writer of ours takes a marker apart
			}
			w := newCleaner(&bits, ci)
			for _, b := range []byte(c.in) {
				if _, err := w.Write([]byte{b}); err != nil {
					t.Fatal(err)
				}
			}
			if got := bits.String(); got != want {
				t.Errorf("CI %v: %q byte by byte: got %q, want %q", ci, c.in, got, want)
			}
		}
	}
}

// TestPainted lets the colours of reports through, and no other sequence.
func TestPainted(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if _, err := painted(newCleaner(&b, true)).Write([]byte("\x1b[31m::error::\x1b[0m \x1b[8m \x1b[2J\n")); err != nil {
		t.Fatal(err)
	}
	if want := "\x1b[31m: :error::\x1b[0m \\u001b[8m \\u001b[2J\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

// TestPrintErrorLines prints an error whose text a server wrote: its lines look like
// none of ours.
func TestPrintErrorLines(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	printError(&b, errors.Join(
		errors.New("denied: a\nerror: b\r\n::error::c\u2028d"),
		&hint.Refused{Hints: []string{"do\nhint: this"}},
	))
	want := "error: denied: a\n  error: b\n  ::error::c d\n"
	if got := b.String(); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "\nhint: do hint: this\n") {
		t.Errorf("got %q, want %q first", got, want)
	}
}

// TestLibrariesAreClean has what libraries say on their own go the same way as all else.
func TestLibrariesAreClean(t *testing.T) { //nolint:paralleltest // the loggers are of the process
	t.Setenv("CI", "true")
	var said bytes.Buffer
	if code := run(t.Context(), []string{"version"}, streams{in: strings.NewReader(""), out: io.Discard, err: &said}); code != exitDone {
		t.Fatal(code)
	}
	klog.Errorf("couldn't get resource list for \x1b]0;x\x07%s", "##vso[task.x]")
	log.Print("well-defined vars that were never replaced: \x1b[31m##vso[task.x]")
	text := said.String()
	if strings.Count(text, "\n") != 2 || strings.Contains(text, "\x1b") || strings.Contains(text, "##vso[") || !strings.Contains(text, "couldn't get") || !strings.Contains(text, "never replaced") {
		t.Errorf("%q", text)
	}
}
