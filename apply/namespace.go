package apply

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/kube"
)

// terminating says what holds a namespace that is being deleted, or "" for one that
// is not.
func (c *Cluster) terminating(ctx context.Context, name string) (string, error) {
	ns, err := c.Dynamic.Resource(kube.Namespaces()).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil || ns.GetDeletionTimestamp() == nil {
		return "", err
	}
	return namespaceGoing(ns), nil
}

// namespaceGoing says what holds a namespace that is being deleted.
func namespaceGoing(ns *unstructured.Unstructured) string {
	return fmt.Sprintf("namespace %s is being deleted: %s", ns.GetName(), holdsNamespace(ns))
}

// holdsNamespace is what the namespace controller says that it waits for, finalizers
// first.
func holdsNamespace(ns *unstructured.Unstructured) string {
	var held []string
	if finalizers := ns.GetFinalizers(); len(finalizers) > 0 {
		held = append(held, "it waits for the finalizer "+strings.Join(finalizers, ", "))
	}
	for _, kind := range []corev1.NamespaceConditionType{
		corev1.NamespaceFinalizersRemaining, corev1.NamespaceContentRemaining,
		corev1.NamespaceDeletionContentFailure, corev1.NamespaceDeletionDiscoveryFailure, corev1.NamespaceDeletionGVParsingFailure,
	} {
		if status, why := health.Condition(ns, string(kind)); status == "True" {
			held = append(held, inOneLine(why))
		}
	}
	if len(held) == 0 {
		return "it waits until everything in it is gone"
	}
	return strings.Join(held, "; ")
}

func inOneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > mostOfCause {
		text = strings.ToValidUTF8(text[:mostOfCause], "") + " ..."
	}
	return text
}

// What of a refusal is shown: a server that dislikes a pod may answer with the whole
// of it.
const (
	mostCauses  = 5
	mostOfCause = 300 // bytes
)
