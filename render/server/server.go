// Package server holds objects to what the API server itself would say of them when
// they are created. Those of the built-in kinds get its defaults, its conversions and
// its validation, of the version of Kubernetes that is linked in; custom resources the
// validation by the schema of their definition. It asks no cluster, so it
// cannot know what admission, quotas or other objects would say; and it knows neither
// CUE nor the files that an object comes from.
//
// What it imports is large: the scheme is built when the first object is checked, and
// nobody else pays for it.
package server

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/capabilities"

	"github.com/seed-428f4edd/evenkeel/render/internal/tree"
	"github.com/seed-428f4edd/evenkeel/render/typed"
)

// Server answers like an API server. The zero value is ready; it is safe for
// concurrent use.
type Server struct {
	once   sync.Once
	scheme *runtime.Scheme
	custom schemas
}

// Refusal is what the server says against one field.
type Refusal struct {
	Path     typed.Path
	Message  string
	Value    any      // a scalar that is refused, nil where it is none
	Accepted []string // the values that the field may have, where there are few
	Near     []string // what it may have been meant to be, where the values are too many to be said
	Computed bool     // the message is made from fields of the object, in any form
}

// Refusals are the reasons for which the server would not create the object; none for
// a kind that is not known here.
func (s *Server) Refusals(obj map[string]any) []Refusal {
	s.once.Do(func() {
		s.scheme = newScheme()
		capabilities.Setup(true, 0) // as servers that run a CNI are: --allow-privileged
	})
	gvk := (&unstructured.Unstructured{Object: obj}).GroupVersionKind()
	errs, ok := extending(obj, gvk)
	if !ok {
		if errs, ok = s.builtIn(obj, gvk); !ok {
			return nil
		}
	}
	refusals := make([]Refusal, 0, len(errs))
	for _, err := range errs {
		if err.Type != field.ErrorTypeInternal && !follows(err, errs) {
			refusals = append(refusals, refusal(obj, err))
		}
	}
	return refusals
}

// builtIn is the server's own validation, with what is generated for the kind.
func (s *Server) builtIn(obj map[string]any, gvk schema.GroupVersionKind) (errs field.ErrorList, ok bool) {
	internal, ok := s.internal(obj, gvk)
	if !ok {
		return nil, false
	}
	prepare(internal)
	if errs, ok = validate(internal); !ok {
		return nil, false
	}
	ctx := request.WithRequestInfo(context.Background(), &request.RequestInfo{
		IsResourceRequest: true, Verb: "create", APIGroup: gvk.Group, APIVersion: gvk.Version,
	})
	return rest.ValidateDeclarativelyWithMigrationChecks(ctx, s.scheme, internal, nil, errs, operation.Create, declared(internal)), true
}

// internal is the object as the server works with it: decoded, with its defaults, in
// the internal version.
func (s *Server) internal(obj map[string]any, gvk schema.GroupVersionKind) (runtime.Object, bool) {
	versioned, err := s.scheme.New(gvk)
	if err != nil {
		return nil, false
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj, versioned); err != nil {
		return nil, false // the types say it better
	}
	s.scheme.Default(versioned)
	internal, err := s.scheme.ConvertToVersion(versioned, schema.GroupVersion{Group: gvk.Group, Version: runtime.APIVersionInternal})
	return internal, err == nil
}

// refusal is an error of the validation in words that stand alone.
func refusal(obj map[string]any, err *field.Error) Refusal {
	r := Refusal{Path: path(obj, err.Field), Message: plain(err.Detail), Value: scalar(err.BadValue)}
	r.Path = append(r.Path, keyOf(r.Path.In(obj), r.Value)...)
	switch err.Type {
	case field.ErrorTypeRequired:
		r.Value = nil
		if r.Message = "missing"; err.Detail != "" {
			r.Message += ": " + plain(err.Detail)
		}
	case field.ErrorTypeNotSupported:
		r.Message, r.Accepted = "not one of the values that it may have", accepted(err.Detail)
	case field.ErrorTypeDuplicate:
		r.Message = "a second one of this name or number"
	case field.ErrorTypeForbidden:
		r.Value = nil
	case field.ErrorTypeNotFound:
		r.Message = "there is none of this name"
	case field.ErrorTypeTooLong:
		if r.Value = scalar(err.BadValue); r.Value == omitted {
			r.Value = nil
		}
		if all := err.Field == "[]" || err.Field == "data"; all && (obj["kind"] == "ConfigMap" || obj["kind"] == "Secret") {
			r.Path, r.Message = typed.Path{"data"}, fmt.Sprintf("too large: a %v holds a MiB at most, all values together", obj["kind"])
			if obj["data"] == nil {
				r.Path = typed.Path{"binaryData"}
			}
		}
	case field.ErrorTypeInternal, field.ErrorTypeInvalid, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
	}
	if r.Message == "" {
		r.Message = "refused"
	}
	if err.Type != field.ErrorTypeTooLong { // which quotes nothing
		r.reword(obj)
	}
	return r
}

// omitted stands for a value that is too long to be repeated (field.omitValueType).
const omitted = "<value omitted>"

// reword says what belongs together where the server names the other field, and keeps
// what is in a Secret to itself: a parser quotes what it stumbles over.
func (r *Refusal) reword(obj map[string]any) {
	name, _, limit := strings.Cut(strings.TrimPrefix(r.Message, "must be less than or equal to "), " limit of ")
	if tree.At(obj, "spec", "clusterIPs") == nil && strings.HasPrefix(r.Path.String(), "spec.clusterIPs") {
		r.Path = typed.Path{"spec", "clusterIP"} // which the server keeps as a list, too
	}
	n := len(r.Path)
	if m := aboveMost.FindStringSubmatch(r.Message); m != nil {
		r.Message = fmt.Sprintf("%s is more than %s, the most there", m[1], m[2])
	}
	switch {
	case strings.HasPrefix(r.Message, "error converting fieldPath: field label not supported") && slices.Contains(r.Path, any("env")):
		r.Message = "no field of a pod that a variable can have"
		r.Accepted = []string{
			"metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels['KEY']", "metadata.annotations['KEY']", "spec.nodeName",
			"spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
		}
	case strings.HasPrefix(r.Message, "`selector` does not match"):
		r.Path, r.Message, r.Value = typed.Path{"spec", "selector"}, "does not match the labels of the pod template", nil
	case strings.HasPrefix(r.Message, "must be a standard "):
		r.Message, r.Near = "no resource that Kubernetes has, and none with a domain, such as nvidia.com/gpu", resources
	case obj["kind"] == "LimitRange" && scalar(r.Path.In(obj)) != nil:
		r.Value = r.Path.In(obj) // the server names the bound
	case limit && slices.Contains(r.Path, any("requests")):
		r.Path = append(slices.Clip(r.Path[:slices.Index(r.Path, any("requests"))]), "limits", name)
		r.Message, r.Value = fmt.Sprintf("below the request of %v", r.Value), r.Path.In(obj)
	case obj["kind"] == "Secret" && n > 0 && r.Path[0] == "data":
		r.Value = nil
		if !strings.HasPrefix(r.Message, "missing") {
			r.Message = fmt.Sprintf("not what a Secret of the type %v holds", obj["type"])
		}
	}
}

// resources are what quotas, limits and requests are of.
var resources = []string{ //nolint:gochecknoglobals // a table
	"configmaps", "cpu", "ephemeral-storage", "limits.cpu", "limits.ephemeral-storage", "limits.memory", "memory", "persistentvolumeclaims",
	"pods", "replicationcontrollers", "requests.cpu", "requests.ephemeral-storage", "requests.memory", "requests.storage", "resourcequotas",
	"secrets", "services", "services.loadbalancers", "services.nodeports", "storage",
}

// aboveMost matches what the parser of schedules says of a number.
var aboveMost = regexp.MustCompile(`^end of range \((\d+)\) above maximum \((\d+)\)`)

// follows says whether an error is only what another leads to: a volume that is refused
// is not there for those who mount it.
func follows(err *field.Error, all field.ErrorList) bool {
	return err.Type == field.ErrorTypeNotFound && strings.Contains(err.Field, ".volumeMounts[") &&
		slices.ContainsFunc(all, func(other *field.Error) bool { return strings.Contains(other.Field, "spec.volumes[") })
}

// scalar is a refused value in plain types, nil where it is a struct.
func scalar(v any) any {
	switch v := v.(type) {
	case intstr.IntOrString:
		return v.String()
	case resource.Quantity:
		return v.String()
	case fmt.Stringer:
		return v.String()
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.String:
		return r.String()
	case reflect.Bool:
		return r.Bool()
	case reflect.Int, reflect.Int32, reflect.Int64:
		return r.Int()
	default:
		return nil
	}
}

// keyOf is the key of a map that is refused, or the only one with the value that is.
func keyOf(v, value any) typed.Path {
	text, ok := value.(string)
	m := tree.Map(v)
	if !ok || m == nil {
		return nil
	}
	if _, ok := m[text]; ok {
		return typed.Path{text}
	}
	var keys typed.Path
	for key, inner := range m {
		if inner == text {
			keys = append(keys, key)
		}
	}
	if len(keys) != 1 {
		return nil
	}
	return keys
}

// accepted reads the values of: supported values: "A", "B".
func accepted(detail string) []string {
	_, list, _ := strings.Cut(detail, ": ")
	var values []string
	for value := range strings.SplitSeq(list, ", ") {
		if value = strings.Trim(value, `"`); value != "" {
			values = append(values, value)
		}
	}
	return values
}

// plain drops the examples and the regular expression from a message.
func plain(detail string) string {
	detail, _, _ = strings.Cut(detail, " (e.g.")
	return detail
}

// path reads a path of the validation: spec.ports[0].name, data[a.key]. It follows the
// object, since a key may be written behind a dot as well.
func path(obj map[string]any, text string) typed.Path {
	var steps typed.Path
	var v any = obj
	for text != "" && text != "<nil>" {
		var step string
		if rest, bracket := strings.CutPrefix(text, "["); bracket {
			step, text, _ = strings.Cut(rest, "]")
		} else {
			text = strings.TrimPrefix(text, ".")
			step, text = name(v, text)
		}
		if items, isList := v.([]any); isList {
			var i int
			if _, err := fmt.Sscanf(step, "%d", &i); err != nil {
				return steps
			}
			steps = append(steps, i)
			v = typed.Path{i}.In(items)
			continue
		}
		if between := above(v, step); between != "" {
			steps = append(steps, between)
			v = tree.At(v, between)
		}
		steps = append(steps, step)
		v = tree.At(v, step)
	}
	return steps
}

// above is the struct that the validation leaves out of a path: metadata above
// annotations, requests above storage.
func above(v any, step string) string {
	m := tree.Map(v)
	if _, ok := m[step]; ok {
		return ""
	}
	for _, between := range []string{"metadata", "requests"} {
		if tree.At(m[between], step) != nil {
			return between
		}
	}
	return ""
}

// name is the next name of a path: as much as is a key, else up to the next dot.
func name(v any, text string) (step, rest string) {
	for key := range tree.Map(v) {
		after, ok := strings.CutPrefix(text, key)
		if ok && len(key) > len(step) && (after == "" || after[0] == '.' || after[0] == '[') {
			step, rest = key, after
		}
	}
	if step != "" {
		return step, rest
	}
	if i := strings.IndexAny(text, ".["); i > 0 {
		return text[:i], text[i:]
	}
	return text, ""
}
