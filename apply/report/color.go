package report

import (
	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
)

// color is an ANSI SGR sequence (ECMA-48).
type color string

const (
	bold   color = "\x1b[1m"
	red    color = "\x1b[31m"
	green  color = "\x1b[32m"
	yellow color = "\x1b[33m"
	cyan   color = "\x1b[36m"
	reset        = "\x1b[0m"
)

func painter(on bool) func(color, string) string {
	if !on {
		return func(_ color, s string) string { return s }
	}
	return func(c color, s string) string { return string(c) + s + reset }
}

func colorOf(a apply.Action) color {
	switch a {
	case apply.Created, apply.UnverifiedCreated, apply.Adopted:
		return green
	case apply.Deleted, apply.Recreated, apply.Conflict, apply.Rejected:
		return red
	case apply.Foreign, apply.CopiedLabel, apply.Kept:
		return cyan
	default:
		return yellow
	}
}

func colorOfState(s health.State) color {
	switch s {
	case health.Healthy:
		return green
	case health.Failed:
		return red
	default:
		return yellow
	}
}

func stateColor(healthy bool) color {
	if healthy {
		return green
	}
	return red
}
