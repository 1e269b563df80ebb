package health

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
)

// exit says how a container ended: by which code or signal, and for want of
// memory under which limit.
func exit(pod *corev1.Pod, container string, t *corev1.ContainerStateTerminated) string {
	var how string
	switch signal := int(t.ExitCode) - 128; {
	case t.Reason == "OOMKilled":
		how = "OOMKilled"
		if limit := memoryLimit(pod, container); limit != "" {
			how += " (memory limit " + limit + ")"
		}
	case t.Signal != 0:
		how = fmt.Sprintf("killed by signal %d (%s)", t.Signal, signalName(int(t.Signal)))
	case signal > 0 && signal < 32:
		how = fmt.Sprintf("exit %d (%s)", t.ExitCode, signalName(signal))
	case t.ExitCode == 0:
		how = "exit 0: the process ended by itself, a container that serves must not"
		if pod.Spec.RestartPolicy != corev1.RestartPolicyAlways {
			how = "exit 0"
		}
	default:
		how = fmt.Sprintf("exit %d", t.ExitCode)
		if t.Reason != "" && t.Reason != "Error" {
			how += " (" + t.Reason + ")" // ContainerCannotRun, StartError
		}
	}
	return join(how, oneLine(t.Message, 400))
}

func signalName(n int) string {
	names := map[int]string{1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 13: "SIGPIPE", 15: "SIGTERM"}
	if name, ok := names[n]; ok {
		return name
	}
	return syscall.Signal(n).String()
}

func memoryLimit(pod *corev1.Pod, container string) string {
	for _, c := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
		if limit, ok := c.Resources.Limits[corev1.ResourceMemory]; ok && c.Name == container {
			return limit.String()
		}
	}
	return ""
}

// lastWords picks the line of a log that says most: the last "Caused by", else
// the last one that is not part of a stack trace.
func lastWords(log string) string {
	var last, caused string
	for line := range strings.SplitSeq(log, "\n") {
		switch {
		case strings.TrimSpace(line) == "":
		case strings.HasPrefix(line, "Caused by:"):
			caused = line
		case line[0] != ' ' && line[0] != '\t':
			last = line
		}
	}
	if caused != "" {
		last = caused
	}
	if last == "" {
		return ""
	}
	return "last log line: " + oneLine(last, 200)
}
