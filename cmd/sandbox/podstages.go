package main

import (
	"fmt"
	"time"
)

// podStages is the life of pods as states and the steps between them. A state is
// that of the fated container (stateQuery), so a pod carries all there is to know
// and kwok can be restarted at any time.
func podStages() []podStage {
	stages := runningStages()
	stages = append(stages, crashStages()...)
	stages = append(stages, pullStages()...)
	return append(stages, waitingStages()...)
}

const ownedByJob = `any(.metadata.ownerReferences[]?; .kind == "Job")`

func runningStages() []podStage {
	const unready = "{{ $ready = false }}\n"
	refused := event{"Warning", "Unhealthy", `"Readiness probe failed: dial tcp: connect: connection refused"`}
	return []podStage{
		{
			name: "ready", fates: []string{healthy, "flapping", "job-forever"}, states: []string{"new"},
			after: 100 * time.Millisecond,
		},
		{
			name: "complete", fates: []string{healthy, "slow", "crash-once"}, states: []string{"Ready"}, when: ownedByJob,
			after:  time.Second,
			status: `{{ $phase = "Succeeded" }}{{ $finished = true }}{{ $state = dict "terminated" (dict "exitCode" 0 "reason" "Completed" "startedAt" $state.running.startedAt "finishedAt" $now) }}` + "\n",
		},
		{
			name: "slow-start", fates: []string{"slow"}, states: []string{"new"},
			after: 100 * time.Millisecond, status: unready, events: []event{refused},
		},
		{
			name: "slow-ready", fates: []string{"slow"}, states: []string{"Running"}, after: 10 * time.Second,
		},
		{
			name: "never-ready", fates: []string{"never-ready"}, states: []string{"new"},
			after: 100 * time.Millisecond, status: unready, events: []event{{"Warning", "Unhealthy", probeFailure("Readiness", "readinessProbe", 503)}},
		},
		{
			name: "flapping-unready", fates: []string{"flapping"}, states: []string{"Ready"},
			// Only the first time: when it became ready as it started.
			when: `[.status.conditions[] | select(.type == "Ready").lastTransitionTime | fromdateiso8601][0]
- ([.status.containerStatuses[]?.state.running.startedAt // empty | fromdateiso8601] | min) < 2`,
			after: 3 * time.Second, status: unready, events: []event{{"Warning", "Unhealthy", probeFailure("Readiness", "readinessProbe", 503)}},
		},
		{
			name: "flapping-ready", fates: []string{"flapping"}, states: []string{"Running"}, after: 3 * time.Second,
		},
	}
}

// crashStages: the container ends so soon that the kubelet never sees it running.
// The first restart is immediate, then CrashLoopBackOff grows. It says what a
// kubelet says and takes a third of the time.
func crashStages() []podStage {
	const (
		terminated = `{{ $ready = false }}{{ $phase = ternary "Failed" (ternary "Pending" "Running" $init) $never -}}
{{ if hasKey (get $mine "state" | default dict) "terminated" }}{{ $last = $mine.state }}{{ end -}}
{{ $state = dict "terminated" (dict "exitCode" $fact.exit "reason" $fact.reason "message" $fact.message "startedAt" $now "finishedAt" $now "containerID" (printf "containerd://%s" (sha256sum (printf "%s/%s/%v" .metadata.uid $fated.name $restarts)))) }}
`
		again   = `{{ $restarts = add1 $restarts }}`
		backOff = `{{ $ready = false }}{{ $phase = ternary "Pending" "Running" $init -}}
{{ $last = $mine.state }}{{ if eq $restarts 0 }}{{ $restarts = 1 }}{{ end -}}
{{ $state = dict "waiting" (dict "reason" "CrashLoopBackOff" "message" (printf "back-off %s restarting failed container=%s pod=%s_%s(%s)" (index (list "10s" "20s" "40s" "1m20s" "2m40s" "5m0s") (sub (min $restarts 6) 1)) $fated.name .metadata.name .metadata.namespace .metadata.uid)) }}
`
		notNever = `.spec.restartPolicy != "Never"`
		wait     = `"\([3.3 * pow(2; ` + restarts + ` - 1), 100] | min)s"`
	)
	all := tags(crashFates())
	loop := tags(crashFates(), "crash-once")
	return []podStage{
		{
			name: "crash", fates: tags(crashFates(), "broken-liveness"), states: []string{"new"},
			after: 500 * time.Millisecond, status: terminated,
		},
		{
			name: "crash-back-off", fates: loop, states: []string{"Terminated"}, when: notNever,
			after: 700 * time.Millisecond, status: backOff,
			events: []event{{"Warning", "BackOff", `printf "Back-off restarting failed container %s in pod %s_%s(%s)" $fated.name .metadata.name .metadata.namespace .metadata.uid`}},
		},
		{
			name: "crash-again", fates: all, states: []string{"CrashLoopBackOff"},
			from: wait, status: again + terminated + `{{ $last = $mine.lastState }}`,
		},
		{
			name: "crash-recover", fates: []string{"crash-once"}, states: []string{"Terminated"}, when: notNever,
			after: time.Second, status: again + `{{ $last = $mine.state }}` + "\n",
		},
		{
			name: "liveness", fates: []string{"broken-liveness"}, states: []string{"new"},
			after: 100 * time.Millisecond, status: "{{ $ready = false }}\n",
			events: []event{
				{"Warning", "Unhealthy", probeFailure("Liveness", "livenessProbe", 500)},
				{"Normal", "Killing", `printf "Container %s failed liveness probe, will be restarted" $fated.name`},
			},
		},
		{
			name: "liveness-killed", fates: []string{"broken-liveness"}, states: []string{"Running"},
			after: 2 * time.Second, status: terminated,
		},
	}
}

func pullStages() []podStage {
	const (
		failed = `{{ $ready = false }}{{ $phase = "Pending" }}{{ $state = dict "waiting" (dict "reason" "ErrImagePull" "message" $fact.message) }}
`
		backOff = `{{ $ready = false }}{{ $phase = "Pending" }}{{ $state = dict "waiting" (dict "reason" "ImagePullBackOff" "message" (printf "Back-off pulling image %q: ErrImagePull: %s" $fated.image $fact.message)) }}
`
	)
	all := tags(pullFates())
	events := []event{
		{"Normal", "Pulling", `printf "Pulling image %q" $fated.image`},
		{"Warning", "Failed", `printf "Failed to pull image %q: %s" $fated.image $fact.message`},
		{"Warning", "Failed", `"Error: ErrImagePull"`},
	}
	return []podStage{
		{name: "pull", fates: all, states: []string{"new"}, after: 300 * time.Millisecond, status: failed, events: events},
		{
			name: "pull-back-off", fates: all, states: []string{"ErrImagePull"}, after: time.Second, status: backOff,
			events: []event{
				{"Normal", "BackOff", `printf "Back-off pulling image %q" $fated.image`},
				{"Warning", "Failed", `"Error: ImagePullBackOff"`},
			},
		},
		{name: "pull-again", fates: all, states: []string{"ImagePullBackOff"}, after: 15 * time.Second, status: failed, events: events},
	}
}

// waitingStages are of containers that are never created.
func waitingStages() []podStage {
	const (
		// What is missing is what the container asks for first, where it asks.
		missing = `{{ $missing := "configmap \"app-config\" not found" -}}
{{ range concat ($fated.env | default list) ($fated.envFrom | default list) -}}
{{ $from := .valueFrom | default . -}}
{{ with or $from.configMapKeyRef $from.configMapRef }}{{ $missing = printf "configmap %q not found" .name }}{{ end -}}
{{ with or $from.secretKeyRef $from.secretRef }}{{ $missing = printf "secret %q not found" .name }}{{ end -}}
{{ end -}}
{{ $ready = false }}{{ $phase = "Pending" }}{{ $state = dict "waiting" (dict "reason" "CreateContainerConfigError" "message" $missing) }}
`
		creating = `{{ $sandbox = false }}{{ $phase = "Pending" }}
`
		unmounted = creating + `{{ $volume := "config" }}{{ $why := "configmap \"app-config\" not found" -}}
{{ range .spec.volumes -}}
{{ with .configMap }}{{ $why = printf "configmap %q not found" .name }}{{ end -}}
{{ with .secret }}{{ $why = printf "secret %q not found" .secretName }}{{ end -}}
{{ if or .configMap .secret }}{{ $volume = .name }}{{ end -}}
{{ end -}}
`
	)
	return []podStage{
		{
			name: "config", fates: []string{"broken-config"}, states: []string{"new"},
			after: 300 * time.Millisecond, status: missing,
			events: []event{{"Warning", "Failed", `printf "Error: %s" $missing`}},
		},
		{
			name: "volume", fates: []string{"broken-volume"}, states: []string{"new"},
			after: 300 * time.Millisecond, status: unmounted,
			events: []event{{"Warning", "FailedMount", `printf "MountVolume.SetUp failed for volume %q : %s" $volume $why`}},
		},
		{
			name: "sandbox", fates: []string{"broken-sandbox"}, states: []string{"new"},
			after: 300 * time.Millisecond, status: creating,
			events: []event{{"Warning", "FailedCreatePodSandBox", `printf "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox %q: plugin type=\"flannel\" failed (add): loadFlannelSubnetEnv failed: open /run/flannel/subnet.env: no such file or directory" (sha256sum .metadata.uid)`}},
		},
	}
}

// probeFailure is the template of what a kubelet says when the probe fails, which
// depends on the way it probes.
func probeFailure(kind, field string, status int) string {
	return fmt.Sprintf(`printf "%s probe failed: %%s" (ternary "dial tcp: connect: connection refused" (ternary "service unhealthy" "HTTP probe failed with statuscode: %d" (hasKey ($fated.%s | default dict) "exec")) (hasKey ($fated.%s | default dict) "tcpSocket"))`,
		kind, status, field, field)
}
