package apply

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
)

// runsAgain is said of a Job of which only what its pods read differs.
const runsAgain = "runs again: a ConfigMap or Secret that its pods read changes"

// warnOfJobs says of Jobs that may not be recreated that they do not run again,
// although the plan changes what their pods read.
func (p *planner) warnOfJobs() {
	changed := map[string]bool{}
	for i := range p.plan.Changes {
		if c := &p.plan.Changes[i]; c.changesData() {
			changed[c.Namespace+"/"+c.Kind+"/"+c.Name] = true
		}
	}
	for _, it := range p.items {
		if it.obj.GroupVersionKind().GroupKind().String() != "Job.batch" || it.obj.Recreate || it.generation == 0 || it.change.Action == Recreated {
			continue
		}
		read := slices.DeleteFunc(kinds.Reads(it.obj.Unstructured), func(name string) bool { return !changed[it.ref.Namespace+"/"+name] })
		if len(read) > 0 {
			p.warn(fmt.Sprintf("%s: its pods read %s, which changes; it does not run again for that: delete it to have it run once more, or put recreate: [%q] in its unit for the next time",
				it.ref, strings.Join(read, ", "), it.obj.Key))
		}
	}
}

// changesData reports whether a change is one of what a ConfigMap or Secret holds.
func (c *Change) changesData() bool {
	if c.APIVersion != "v1" || c.Kind != "ConfigMap" && c.Kind != "Secret" || c.live == nil || c.desired == nil {
		return false
	}
	for _, f := range c.Fields {
		if strings.HasPrefix(f.Path, "data") || strings.HasPrefix(f.Path, "binaryData") {
			return true
		}
	}
	return false
}
