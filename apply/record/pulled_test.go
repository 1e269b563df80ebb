package record

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestDigests(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	pod := &corev1.Pod{}
	pod.Spec.InitContainers = []corev1.Container{{Name: "init", Image: "harbor.od.com/init:1"}}
	pod.Spec.Containers = []corev1.Container{
		{Name: "web", Image: "harbor.od.com/web:1"}, {Name: "loaded", Image: "web:dev"}, {Name: "odd", Image: "odd:1"}, {Name: "starting", Image: "starting:1"},
	}
	pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "init", ImageID: "docker-pullable://harbor.od.com/init@sha256:" + sum}}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{
		{Name: "web", ImageID: "harbor.od.com/web@sha256:" + sum},
		{Name: "loaded", ImageID: "sha256:" + sum},
		{Name: "odd", ImageID: "odd@sha256:AB\x1b[31m"},
		{Name: "starting"},
		{Name: "unknown", ImageID: "x@sha256:" + sum},
	}
	want := map[string]string{"harbor.od.com/init:1": "sha256:" + sum, "harbor.od.com/web:1": "sha256:" + sum}
	if diff := cmp.Diff(want, digests(pod)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
