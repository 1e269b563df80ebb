package look

import (
	"cmp"
	"fmt"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
)

// UnitLines say how a unit is: the causes of what is not healthy (with the objects, where
// there are several), how many pods are ready, and what evenkeel did to it past git.
func UnitLines(u apply.UnitStatus) []string {
	var lines []string
	unhealthy := 0
	for _, o := range u.Objects {
		if o.State != health.Healthy {
			unhealthy++
		}
	}
	ready, desired := 0, 0
	for _, o := range u.Objects {
		if o.State != health.Healthy {
			line := cmp.Or(o.Message, o.Rule)
			if unhealthy > 1 {
				line = fmt.Sprintf("%s %s: %s", o.Ref, o.State, line)
			}
			lines = append(lines, line)
		}
		ready, desired = ready+o.Ready, desired+o.Desired
	}
	if desired > 0 {
		lines = append(lines, fmt.Sprintf("%d of %d pods are ready", ready, desired))
	}
	return append(lines, noteLines(u)...)
}

// noteLines are what somebody, or a canary, does to a unit past git.
func noteLines(u apply.UnitStatus) []string {
	var lines []string
	if u.Canary != nil {
		lines = append(lines, u.Canary.String())
	}
	if u.Paused != nil {
		lines = append(lines, "paused "+u.Paused.String())
	}
	if u.Scaled != nil {
		lines = append(lines, "scaled past git "+u.Scaled.String())
	}
	return lines
}
