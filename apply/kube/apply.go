package kube

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-428f4edd/evenkeel/schema"
)

// ApplyObject is a forced server-side apply. Forced, because conflicts are found
// beforehand from managedFields, with the names of those concerned. created says
// that the object was not there. manager is schema.Manager but for the verbs of
// evenkeel that have an entry of their own.
func (c *Client) ApplyObject(ctx context.Context, m *meta.RESTMapping, obj *unstructured.Unstructured, manager string, dryRun bool) (result *unstructured.Unstructured, created bool, err error) {
	body, err := obj.MarshalJSON()
	if err != nil {
		return nil, false, err
	}
	req := c.REST.Patch(types.ApplyYAMLPatchType).
		AbsPath(append(resourcePath(m, obj.GetNamespace()), obj.GetName())...).
		Param("fieldManager", manager).Param("force", "true").
		Param("fieldValidation", metav1.FieldValidationStrict).
		Body(body)
	if dryRun {
		req = req.Param("dryRun", metav1.DryRunAll)
	}
	var code int
	res := req.Do(ctx).StatusCode(&code)
	if err := res.Error(); err != nil {
		return nil, false, c.hide.Error(obj, err)
	}
	raw, err := res.Raw()
	if err != nil {
		return nil, false, err
	}
	result, err = decode(raw, m.GroupVersionKind)
	return result, code == http.StatusCreated, err
}

// DryRun asks the server what an apply of obj would make of it.
func (c *Client) DryRun(ctx context.Context, m *meta.RESTMapping, obj *unstructured.Unstructured) (result *unstructured.Unstructured, created bool, err error) {
	return c.ApplyObject(ctx, m, obj, schema.Manager, true)
}

// MergePatch sends a JSON merge patch of a live object, and of that version of it
// alone.
func (c *Client) MergePatch(ctx context.Context, m *meta.RESTMapping, live *unstructured.Unstructured, patch map[string]any, manager string, dryRun bool) (*unstructured.Unstructured, error) {
	patch = maps.Clone(patch)
	metadata := map[string]any{}
	if fields, ok := patch["metadata"].(map[string]any); ok {
		metadata = maps.Clone(fields)
	}
	metadata["uid"], metadata["resourceVersion"] = string(live.GetUID()), live.GetResourceVersion()
	patch["metadata"] = metadata
	body, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	req := c.REST.Patch(types.MergePatchType).
		AbsPath(append(resourcePath(m, live.GetNamespace()), live.GetName())...).
		Param("fieldManager", manager).
		Param("fieldValidation", metav1.FieldValidationStrict).
		Body(body)
	if dryRun {
		req = req.Param("dryRun", metav1.DryRunAll)
	}
	res := req.Do(ctx)
	if err := res.Error(); err != nil { // Raw has not read what the server says of it
		return nil, c.hide.Error(live, err)
	}
	raw, err := res.Raw()
	if err != nil {
		return nil, err
	}
	return decode(raw, m.GroupVersionKind)
}

// immutableText matches what API validation, CEL rules and webhooks say of a
// field that cannot be changed:
// k8s.io/apimachinery/pkg/api/validation ("field is immutable"), the validation of
// Services ("may not change once set"), StatefulSets ("updates to statefulset spec
// for fields other than ... are forbidden"), RoleBindings ("cannot change
// roleRef"), claims ("spec is immutable after creation"), PriorityClasses ("may not
// be changed in an update"), pods ("pod updates may not change fields other than"),
// VolumeAttributesClasses ("updates to parameters are forbidden").
var immutableText = regexp.MustCompile(`immutable|may not change once set|updates to \S+ spec for fields other than|cannot change roleRef|` +
	`may not be changed in an update|updates may not change fields other than|updates to \S+ are forbidden`)

// ImmutableFields reads the fields from an error that says that they cannot be
// changed, and nothing else: an object that is invalid besides is not helped by
// recreating it.
func ImmutableFields(err error) []string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return nil
	}
	s := status.Status()
	if s.Reason != metav1.StatusReasonInvalid && s.Reason != metav1.StatusReasonForbidden {
		return nil
	}
	if s.Details == nil || len(s.Details.Causes) == 0 {
		if immutableText.MatchString(s.Message) {
			return []string{""}
		}
		return nil
	}
	var fields []string
	for _, cause := range s.Details.Causes {
		if !immutableText.MatchString(cause.Message) {
			return nil
		}
		fields = append(fields, strings.TrimPrefix(cause.Field, "."))
	}
	return fields
}
