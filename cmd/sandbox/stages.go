package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	"sigs.k8s.io/yaml"
)

// Every pod stage is rendered from these two around a few lines of its own:
// before sets variables to what is usual, after writes the status of the pod
// from them.
var (
	//go:embed status_before.tmpl
	statusBefore string
	//go:embed status_after.tmpl
	statusAfter string
	//go:embed event.tmpl
	eventTemplate string
)

// podStage is one step in the life of a pod: pods of these fates, whose fated
// container is in one of these states, get the status that the template sets.
type podStage struct {
	name   string
	fates  []string
	states []string
	// when is a jq condition on top, empty for none.
	when string
	// after is how long the pod stays in the state before; from is a jq expression
	// for it that goes first.
	after time.Duration
	from  string
	// status is the template that sets the variables of status_before.tmpl.
	status string
	// events are written after the status, in this order.
	events []event
}

// event is what a kubelet would write about the container. The message is a
// template with the same variables.
type event struct {
	kind, reason, message string
}

// writeStages writes the configuration of kwok: its own stages for nodes, ours
// for pods.
func writeStages(path string, nodes []node) error {
	documents := []string{fast.DefaultNodeInit, heartbeat.DefaultNodeHeartbeatWithLease, podDelete, volumeStages}
	for _, s := range podStages() {
		text, err := yaml.Marshal(s.manifest(nodes[0].name))
		if err != nil {
			return err
		}
		documents = append(documents, string(text))
	}
	return os.WriteFile(path, []byte(strings.Join(documents, "\n---\n")), 0o600)
}

const podDelete = `
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-delete}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: Exists}
  next: {delete: true}
`

type object = map[string]any

// manifest is the stage as kwok reads it. Healthy on firstNode is what half-ready
// pods are.
func (s podStage) manifest(firstNode string) object {
	expressions := []object{
		{"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"},
		{"key": fateQuery(firstNode), "operator": "In", "values": s.fates},
		{"key": stateQuery(), "operator": "In", "values": s.states},
	}
	if s.when != "" {
		expressions = append(expressions, object{"key": "(" + s.when + ") | tostring", "operator": "In", "values": []string{"true"}})
	}
	delay := object{"durationMilliseconds": s.after.Milliseconds()}
	if s.from != "" {
		delay["durationFrom"] = object{"expressionFrom": s.from}
	}
	before := strings.Replace(statusBefore, `"PATTERN"`, strconv.Quote(fatePattern()), 1) + fateVariables()
	steps := []object{{"patch": object{
		"subresource": "status", "root": "status", "type": "strategic",
		"template": before + s.status + statusAfter,
	}}}
	for _, e := range s.events {
		set := fmt.Sprintf("{{ $type := %q }}{{ $reason := %q }}{{ $text := %s }}\n", e.kind, e.reason, e.message)
		steps = append(steps, object{"apply": object{"template": before + s.status + set + eventTemplate}})
	}
	return object{
		"apiVersion": "kwok.x-k8s.io/v1alpha1",
		"kind":       "Stage",
		"metadata":   object{"name": "pod-" + s.name},
		"spec": object{
			"resourceRef": object{"apiGroup": "v1", "kind": "Pod"},
			"selector":    object{"matchExpressions": expressions},
			"delay":       delay,
			"steps":       steps,
		},
	}
}

// fatePattern matches an image reference whose tag names a fate, which it
// captures as t.
func fatePattern() string {
	var tags []string
	for _, f := range fates() {
		tags = append(tags, f.tag)
	}
	return ":(?:[A-Za-z0-9_.-]*[-_.])?(?P<t>" + strings.Join(tags, "|") + ")(?:@.*)?$"
}

// fateQuery is the jq expression for the fate of a pod.
func fateQuery(firstNode string) string {
	return fmt.Sprintf(`([(.spec.initContainers[]?, .spec.containers[]).image | capture(%q).t][0] // %q) as $t
| if $t == "half-ready" then (if .spec.nodeName == %q then %q else "never-ready" end) else $t end`,
		fatePattern(), healthy, firstNode, healthy)
}

// stateQuery is the jq expression for the state of the container that has the
// fate, or of the first one: new, Running, Ready, Terminated or, while it waits,
// the reason.
func stateQuery() string {
	return fmt.Sprintf(`([(.spec.initContainers[]?, .spec.containers[]) | select(.image | test(%q)).name][0] // .spec.containers[0].name) as $c
| ([(.status.initContainerStatuses[]?, .status.containerStatuses[]?) | select(.name == $c)][0]) as $s
| if $s == null then "new" elif $s.state.waiting then $s.state.waiting.reason elif $s.ready then "Ready"
  elif $s.state.terminated then "Terminated" else "Running" end`, fatePattern())
}

// restarts is the jq expression for the number of restarts of the fated container.
const restarts = `([(.status.initContainerStatuses[]?, .status.containerStatuses[]?).restartCount] | max // 0)`

// fateVariables sets the template variables that hold what the table of fates
// says about the fate of the pod.
func fateVariables() string {
	facts := object{}
	for _, f := range fates() {
		facts[f.tag] = object{"exit": f.exit, "reason": f.reason, "message": f.message}
	}
	text, _ := json.Marshal(facts) // strings and numbers only
	return fmt.Sprintf(`{{ $fact := get (fromJson %q) $fate | default dict -}}
{{ $repository := regexReplaceAll "(:[^:/]*)?(@.*)?$" $fated.image "" -}}
{{ if $fact }}{{ $_ := set $fact "message" ($fact.message | replace "IMAGE" $fated.image | replace "REPOSITORY" $repository | replace "HOST" (splitList "/" $repository | first)) }}{{ end -}}
`, text)
}

func tags(list []fate, except ...string) []string {
	var names []string
	for _, f := range list {
		if !slices.Contains(except, f.tag) {
			names = append(names, f.tag)
		}
	}
	return names
}
