package report

import (
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
)

// hunk is a run of lines that differ, with unchanged ones around.
type hunk struct {
	From, To int // number of its first line on either side, from 1
	Lines    []line
}

// line is one line of a hunk, without its newline.
type line struct {
	Sign byte // ' ', '-' or '+'
	Text string
}

// bodies is the unified diff of the bodies of a change; nil where the plan
// carries none, or where they are equal.
func bodies(c *apply.Change, context int) []hunk {
	return diffLines(body(c.Before), body(c.After), context)
}

func body(object map[string]any) string {
	if object == nil {
		return ""
	}
	return block(object)
}

// diffLines is the unified diff of two texts.
func diffLines(before, after string, context int) []hunk {
	if before == after {
		return nil
	}
	unified, err := udiff.ToUnifiedDiff("", "", before, udiff.Lines(before, after), context)
	if err != nil {
		// Its own edits always apply; should they not, all is shown as replaced.
		return []hunk{{From: 1, To: 1, Lines: append(signed('-', before), signed('+', after)...)}}
	}
	hunks := make([]hunk, 0, len(unified.Hunks))
	for _, h := range unified.Hunks {
		next := hunk{From: h.FromLine, To: h.ToLine}
		for _, l := range h.Lines {
			next.Lines = append(next.Lines, line{Sign: signOf(l.Kind), Text: strings.TrimSuffix(l.Content, "\n")})
		}
		hunks = append(hunks, next)
	}
	return hunks
}

func signOf(kind udiff.OpKind) byte {
	switch kind {
	case udiff.Delete:
		return '-'
	case udiff.Insert:
		return '+'
	}
	return ' '
}

func signed(sign byte, text string) []line {
	var lines []line
	for l := range strings.Lines(text) {
		lines = append(lines, line{Sign: sign, Text: strings.TrimSuffix(l, "\n")})
	}
	return lines
}

// fieldLines is the difference of one field as lines.
func fieldLines(c *apply.Change, f managed.Field, context int) []hunk {
	switch {
	case isAddition(c):
		return []hunk{{From: 1, To: 1, Lines: signed(' ', block(f.From))}}
	case isRemoval(c, f):
		return diffLines(block(f.From), "", context)
	}
	return diffLines(block(f.From), block(f.To), context)
}
