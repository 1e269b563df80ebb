package main

import (
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/seed-428f4edd/evenkeel/apply/report"
)

// cleaner is what a command prints to, so that nothing that others wrote acts on the
// terminal or on the CI service that shows it: names and messages come from the
// cluster, from git and from the repository. What a terminal would act on is made
// visible (report.Clean), and in CI what the service would take for a command of its
// own is broken.
//
// It is for what people read. Data (manifests, JSON, HTML) goes to uncleaned.
type cleaner struct {
	w  io.Writer
	ci bool
	// colors lets the colours of the reports pass, which clean their values themselves.
	colors bool

	state *cleanState // shared by the writers to one stream
}

type cleanState struct {
	mu   sync.Mutex
	rest []byte // the beginning of a character
	text bool   // the line has more than spaces so far
}

func newCleaner(w io.Writer, ci bool) *cleaner {
	return &cleaner{w: w, ci: ci, state: &cleanState{}}
}

// inCI says whether a CI service reads what is printed.
func inCI() bool {
	for _, name := range []string{"CI", "TF_BUILD", "GITHUB_ACTIONS", "GITLAB_CI"} {
		if v := os.Getenv(name); v != "" && v != "false" {
			return true
		}
	}
	return false
}

// uncleaned is where data goes.
func uncleaned(w io.Writer) io.Writer {
	if c, ok := w.(*cleaner); ok {
		return c.w
	}
	return w
}

// painted is for reports: colours pass.
func painted(w io.Writer) io.Writer {
	if c, ok := w.(*cleaner); ok {
		return &cleaner{w: c.w, ci: c.ci, colors: true, state: c.state}
	}
	return w
}

// Write cleans. A character may come in two writes, a line in many.
func (c *cleaner) Write(p []byte) (int, error) {
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	data := append(c.state.rest, p...)
	whole := len(data)
	for n := 1; n < utf8.UTFMax && n <= len(data); n++ {
		if utf8.RuneStart(data[len(data)-n]) {
			if !utf8.FullRune(data[len(data)-n:]) {
				whole = len(data) - n
			}
			break
		}
	}
	c.state.rest = append([]byte(nil), data[whole:]...)
	if _, err := io.WriteString(c.w, c.clean(string(data[:whole]))); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *cleaner) clean(text string) string {
	if !c.colors {
		text = report.Clean(text)
	} else {
		var b strings.Builder
		last := 0
		for _, at := range colors.FindAllStringIndex(text, -1) {
			b.WriteString(report.Clean(text[last:at[0]]) + text[at[0]:at[1]])
			last = at[1]
		}
		text = b.String() + report.Clean(text[last:])
	}
	if !c.ci {
		return text
	}
	text = commands.ReplaceAllStringFunc(text, func(s string) string { return s[:1] + " " + s[1:] })
	var b strings.Builder
	for line := range strings.Lines(text) {
		begin := strings.TrimLeftFunc(colors.ReplaceAllString(line, ""), unicode.IsSpace) // as GitHub's runner: those of Unicode, too
		if !c.state.text && strings.HasPrefix(begin, "::") {
			line = strings.Replace(line, "::", ": :", 1)
		}
		c.state.text = !strings.HasSuffix(line, "\n") && (c.state.text || begin != "")
		b.WriteString(line)
	}
	return b.String()
}

// colors are the sequences that reports have, and nothing else of a terminal's.
var colors = regexp.MustCompile("\x1b\\[(?:[0-2]|3[1-6])m")

// commands are what CI services act on in the middle of a line: Azure Pipelines,
// older GitHub runners and TeamCity (##vso[, ##[, ##teamcity[), GitLab (section_start:
// and section_end:).
var commands = regexp.MustCompile(`##[A-Za-z]*\[|section_(?:start|end):`)
