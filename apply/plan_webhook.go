package apply

import (
	"regexp"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// unansweredWebhook is what the API server says of a webhook that it reaches by a
// Service: the cure may be in the same plan, behind that Service.
var unansweredWebhook = regexp.MustCompile(`failed (?:calling|to call) webhook .*https://([a-z0-9-]+)\.([a-z0-9-]+)\.svc[:/?]`)

func refusedByWebhook(err error) bool { return unansweredWebhook.MatchString(statusMessage(err)) }

// plannedServer names the workload behind a webhook that did not answer, where the
// plan makes or changes it and it is written before: the object waits for it.
func (p *planner) plannedServer(it *item, err error) string {
	m := unansweredWebhook.FindStringSubmatch(statusMessage(err))
	if m == nil {
		return ""
	}
	service := p.desired[schema.Ref{APIVersion: "v1", Kind: "Service", Namespace: m[2], Name: m[1]}.ID()]
	if service == nil {
		return ""
	}
	selector, _, selectorErr := unstructured.NestedStringMap(service.obj.Object, "spec", "selector")
	if selectorErr != nil || len(selector) == 0 {
		return ""
	}
	for _, server := range p.desired {
		if server.ref.Namespace != m[2] || kinds.Wave(server.ref.GVK().GroupKind()) != kinds.WaveWorkload || !hasLabels(server.obj.Unstructured, selector) {
			continue
		}
		if (p.isNew(server) || p.changes(server)) && p.writtenBefore(server, it) {
			return server.ref.String()
		}
	}
	return ""
}

func (p *planner) isNew(it *item) bool {
	return it.live == nil && it.generation == 0 && p.selected(it.unit)
}

// hasLabels says whether the pods of a workload bear labels.
func hasLabels(workload *unstructured.Unstructured, labels map[string]string) bool {
	have, _, err := unstructured.NestedStringMap(workload.Object, "spec", "template", "metadata", "labels")
	if err != nil {
		return false
	}
	for name, value := range labels {
		if have[name] != value {
			return false
		}
	}
	return true
}
