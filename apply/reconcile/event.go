package reconcile

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// maxEvent is what the API server takes of an Event's message.
const maxEvent = 1000

// event writes a Kubernetes Event on the ApplySet parent of the environment. That
// there is no right to do so, or no parent yet, stops nothing.
func (w *worker) event(ctx context.Context, severity, reason, message string) {
	env := w.content
	if env == nil || w.cluster == nil || ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	namespace := env.env.Namespace
	parent, err := w.cluster.Dynamic.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace(namespace).
		Get(ctx, schema.ParentName(w.name), metav1.GetOptions{})
	if err != nil {
		return
	}
	if len(message) > maxEvent {
		message = message[:maxEvent] + "..."
	}
	now := metav1.Now()
	event := &corev1.Event{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Event"},
		ObjectMeta: metav1.ObjectMeta{GenerateName: parent.GetName() + ".", Namespace: namespace},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "v1", Kind: "ConfigMap", Namespace: namespace, Name: parent.GetName(), UID: parent.GetUID(),
		},
		Reason: reason, Message: message, Type: severity, Count: 1, FirstTimestamp: now, LastTimestamp: now,
		Source:              corev1.EventSource{Component: schema.Manager},
		ReportingController: schema.Manager, ReportingInstance: w.d.opts.Replica,
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(event)
	if err != nil {
		return
	}
	_, err = w.cluster.Dynamic.Resource(corev1.SchemeGroupVersion.WithResource("events")).Namespace(namespace).
		Create(ctx, &unstructured.Unstructured{Object: object}, metav1.CreateOptions{FieldManager: schema.Manager + "-reconcile"})
	if err != nil && !apierrors.IsForbidden(err) {
		w.log.Debug("event not written", "error", err)
	}
}
