package apply

import (
	"errors"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Quotas, limits and admission policies judge the objects beside them by what is
// live, while the plan may change them first: what they refuse is then judged at
// the write. The words are those of the API server's admission plugins.
var (
	overQuota = regexp.MustCompile(`(?:exceeded quota|failed quota): ([^,: ]+)`)
	byPolicy  = regexp.MustCompile(`ValidatingAdmissionPolicy '([^']+)' with binding '([^']+)'`)
)

const (
	perLimit  = " usage per "
	podLevels = "violates PodSecurity"
)

// refusedByLimit reports whether an error is the judgement of a quota, a limit, a
// policy or a pod security level.
func refusedByLimit(err error) bool {
	said := statusMessage(err)
	return overQuota.MatchString(said) || byPolicy.MatchString(said) || strings.Contains(said, perLimit) || strings.Contains(said, podLevels)
}

func statusMessage(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return ""
	}
	return status.Status().Message
}

// plannedLimit names the object that refused another one, where the plan changes it
// and it is written before.
func (p *planner) plannedLimit(it *item, err error) string {
	said := statusMessage(err)
	for _, limit := range p.desired {
		if !refuses(limit.ref, it.ref.Namespace, said) || !p.changes(limit) || !p.writtenBefore(limit, it) {
			continue
		}
		return limit.ref.String()
	}
	return ""
}

// What the API server's admission plugins say of what a pod names and is not there.
var (
	noAccount  = regexp.MustCompile(`error looking up service account [^/ ]+/([^: ]+): serviceaccount "[^"]*" not found`)
	noPriority = regexp.MustCompile(`no PriorityClass with name (\S+) was found`)
	noRuntime  = regexp.MustCompile(`RuntimeClass "([^"]+)" not found`)
)

// plannedReference names what a pod names and is not there yet, where the plan makes
// it and it is written before.
func (p *planner) plannedReference(it *item, err error) string {
	said := statusMessage(err)
	for kind, words := range map[string]*regexp.Regexp{"ServiceAccount": noAccount, "PriorityClass": noPriority, "RuntimeClass": noRuntime} {
		m := words.FindStringSubmatch(said)
		if m == nil {
			continue
		}
		for _, named := range p.desired {
			if named.ref.Kind == kind && named.ref.Name == m[1] && (named.ref.Namespace == "" || named.ref.Namespace == it.ref.Namespace) &&
				p.isNew(named) && p.writtenBefore(named, it) {
				return named.ref.String()
			}
		}
	}
	return ""
}

// refuses says whether an object is the one that a refusal is from.
func refuses(limit schema.Ref, namespace, said string) bool {
	quota, policy := overQuota.FindStringSubmatch(said), byPolicy.FindStringSubmatch(said)
	switch limit.Kind {
	case "ResourceQuota":
		return quota != nil && limit.Name == quota[1] && limit.Namespace == namespace
	case "LimitRange":
		return strings.Contains(said, perLimit) && limit.Namespace == namespace
	case "ValidatingAdmissionPolicy":
		return policy != nil && limit.Name == policy[1]
	case "ValidatingAdmissionPolicyBinding":
		return policy != nil && limit.Name == policy[2]
	case "Namespace":
		return strings.Contains(said, podLevels) && limit.Name == namespace
	}
	return false
}

// changes says whether the plan changes a live object: by what it sets, because the
// server is being asked about it at the same time.
func (p *planner) changes(it *item) bool {
	return it.live != nil && p.selected(it.unit) && len(managed.LocalDifferences(managed.Effective(it.obj, it.live), it.live)) > 0
}

// writtenBefore says whether an apply has written one object before it begins with
// the other.
func (p *planner) writtenBefore(first, then *item) bool {
	if kinds.IsNamespace(first.obj.Unstructured) {
		return true
	}
	if first.unit == then.unit {
		return kinds.Wave(first.ref.GVK().GroupKind()) < kinds.Wave(then.ref.GVK().GroupKind())
	}
	seen := map[string]bool{}
	next := []string{then.unit}
	for len(next) > 0 {
		unit := p.env.Unit(next[0])
		next = next[1:]
		if unit == nil || seen[unit.Name] {
			continue
		}
		seen[unit.Name] = true
		next = append(next, behind(p.env, unit)...)
	}
	return seen[first.unit]
}
