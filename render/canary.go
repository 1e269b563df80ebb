package render

import (
	"fmt"
	"slices"
	"time"

	"cuelang.org/go/cue"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// canary is how a new version of the unit comes in: as it says itself, or else as the
// environment does for all apps with a Deployment; nil where nobody says anything. What
// has no field to leave the canary of the environment by does not get it.
func (u *unit) canary(h header) *schema.Canary {
	if u.group != "apps" || !u.deploys() {
		return nil
	}
	fields := tree.Map(u.data.Rollout["canary"])
	if fields == nil && u.data.Type != "Objects" && u.data.Type != "Chart" {
		fields = tree.Map(tree.Map(h.Defaults["rollout"])["canary"])
	}
	if fields == nil {
		return nil
	}
	c := &schema.Canary{Prometheus: tree.Text(fields["prometheus"])}
	c.Every, _ = time.ParseDuration(tree.Text(fields["every"])) // their form is that of core.#Duration
	steps, _ := fields["steps"].([]any)
	for _, item := range steps {
		s := tree.Map(item)
		step := schema.CanaryStep{Pods: number(s["pods"]), Percent: number(s["percent"]), Manual: s["hold"] == "manual"}
		step.Hold, _ = time.ParseDuration(tree.Text(s["hold"]))
		c.Steps = append(c.Steps, step)
	}
	checks, _ := fields["checks"].([]any)
	for _, item := range checks {
		k := tree.Map(item)
		check := schema.CanaryCheck{
			PromQL: tree.Text(k["promql"]), URL: tree.Text(k["url"]), Expect: number(k["expect"]), Log: tree.Text(k["log"]),
			Max: decimal(k["max"]), Min: decimal(k["min"]),
		}
		if k["restarts"] != nil {
			n := number(k["restarts"])
			check.Restarts = &n
		}
		c.Checks = append(c.Checks, check)
	}
	if c.Weight = number(fields["weight"]); c.Weight > 0 {
		c.Env = u.weigh(c.Weight)
		for _, o := range u.objs {
			routes, _ := u.shared(o)
			c.Routes = append(c.Routes, routes...)
		}
	}
	return c
}

func (u *unit) deploys() bool {
	for _, o := range u.objs {
		if o.GetKind() == "Deployment" {
			return true
		}
	}
	return false
}

func number(v any) int {
	if f := decimal(v); f != nil {
		return int(*f)
	}
	return 0
}

func decimal(v any) *float64 {
	var f float64
	switch v := v.(type) {
	case int64:
		f = float64(v)
	case float64:
		f = v
	default:
		return nil
	}
	return &f
}

// canaries finds what the fields of a canary do not say together, and what a second
// Deployment beside the first cannot be.
func (fin *finisher) canaries() Findings {
	var findings Findings
	var all objectsByName
	for _, u := range fin.units {
		c := u.canary(fin.header)
		if c == nil || len(c.Steps) == 0 {
			continue
		}
		if all == nil {
			all = byName(fin.units)
		}
		path := typed.Path{"apps", u.data.Name, "rollout", "canary"}
		byDefault := tree.Map(u.data.Rollout["canary"]) == nil
		if byDefault {
			path = typed.Path{"defaults", "rollout", "canary"}
		}
		find := func(message, hint string, below ...any) {
			f := fin.atHeader(append(append(typed.Path{}, path...), below...))
			f.Unit, f.Message, f.Hint = u.data.Name, message, hint
			findings = append(findings, f)
		}
		for i, s := range c.Steps {
			if (s.Pods > 0) == (s.Percent > 0) {
				find("a step has either pods or percent", "", "steps", i)
			}
		}
		for _, message := range u.notWeighed(c) {
			find(message, "leave out weight: calls come in proportion to pods", "weight")
		}
		for i, k := range c.Checks {
			if message := wrongCheck(k, c); message != "" {
				find(message, "", "checks", i)
			}
		}
		for _, o := range u.objs {
			if other := all[objectName{o.GetKind(), o.GetNamespace(), o.GetName() + canarySuffix}]; other != nil && (canHaveCopy(o) || len(c.Routes) > 0 && o.GetKind() == "Service") {
				find(fmt.Sprintf("%s has the name that the canary of %s takes", other.ref(), o.ref()), "rollout: canary: steps: [] has none; or give it another name")
			}
			why, field := alone(o, all)
			switch {
			case why == "":
			case byDefault: // it is one app's, and all the others keep their canary
				f := fin.atObject(u, o, field)
				if !f.literal {
					f = fin.at(u, typed.Path{"rollout"})
				}
				f.Message = "no canary, which defaults.rollout gives all apps: " + why
				f.Hint = fmt.Sprintf("apps: %s: rollout: canary: steps: [] leaves it out", cue.Str(u.data.Name))
				findings = append(findings, f)
			default:
				find(fmt.Sprintf("%s cannot have a canary: %s", o.ref(), why), "rollout: canary: steps: [] has none")
			}
		}
	}
	return findings
}

func wrongCheck(k schema.CanaryCheck, c *schema.Canary) string {
	kinds := 0
	for _, is := range []bool{k.PromQL != "", k.URL != "", k.Log != "", k.Restarts != nil} {
		if is {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return "a check is one of promql, url, log and restarts"
	case k.PromQL != "" && c.Prometheus == "":
		return "promql asks nobody: prometheus is not set"
	case k.PromQL != "" && k.Max == nil && k.Min == nil:
		return "promql without max and min allows everything"
	case k.PromQL == "" && k.Min != nil || k.Max != nil && k.PromQL == "" && k.Log == "":
		return "max is for promql and log, min for promql"
	}
	return ""
}

// canarySuffix is what package apply/canary names the objects of a canary by.
const canarySuffix = "-canary"

// canHaveCopy reports whether an object may have a second one beside it in a canary.
func canHaveCopy(o *object) bool {
	return slices.Contains([]string{"Deployment", "ConfigMap", "Secret"}, o.GetKind())
}

type (
	objectName    struct{ kind, namespace, name string }
	objectsByName map[objectName]*object
)

func byName(units []*unit) objectsByName {
	all := objectsByName{}
	for _, u := range units {
		for _, o := range u.objs {
			all[objectName{o.GetKind(), o.GetNamespace(), o.GetName()}] = o
		}
	}
	return all
}

// alone says why two versions of a Deployment cannot run side by side, and by which of its
// fields.
func alone(o *object, all objectsByName) (why string, field typed.Path) {
	if o.GetKind() != "Deployment" {
		return "", nil
	}
	spec := tree.Map(o.Object["spec"])
	if tree.Map(spec["strategy"])["type"] == "Recreate" {
		return "its strategy is Recreate, two versions of it must not run at once", typed.Path{"spec", "strategy", "type"}
	}
	pod := tree.Map(tree.Map(spec["template"])["spec"])
	for _, list := range []string{"initContainers", "containers"} {
		containers, _ := pod[list].([]any)
		for i, c := range containers {
			ports, _ := tree.Map(c)["ports"].([]any)
			for k, p := range ports {
				const why = "a container has a port of the node, which a second pod there cannot have"
				switch {
				case pod["hostNetwork"] == true:
					return why, typed.Path{"spec", "template", "spec", "hostNetwork"}
				case tree.Map(p)["hostPort"] != nil:
					return why, typed.Path{"spec", "template", "spec", list, i, "ports", k, "hostPort"}
				}
			}
		}
	}
	volumes, _ := pod["volumes"].([]any)
	for i, v := range volumes {
		name := tree.Text(tree.Map(tree.Map(v)["persistentVolumeClaim"])["claimName"])
		if claim := all[objectName{"PersistentVolumeClaim", o.GetNamespace(), name}]; claim != nil && ofOneNode(claim) {
			return fmt.Sprintf("its volume %s is for one node at a time, and a second pod may come to another one", name), typed.Path{"spec", "template", "spec", "volumes", i}
		}
	}
	return "", nil
}

// ofOneNode reports whether the pods of one node at most have a volume at a time.
func ofOneNode(claim *object) bool {
	modes, _ := tree.Map(claim.Object["spec"])["accessModes"].([]any)
	return !slices.Contains(modes, any("ReadWriteMany")) && !slices.Contains(modes, any("ReadOnlyMany"))
}
