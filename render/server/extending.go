package server

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	admission "k8s.io/api/admissionregistration/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	definitions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// extending is what the server says against the kinds that extend it. Its packages for
// these link gRPC, OpenTelemetry and test clients, 29 MB at every start, so what people
// get wrong by hand is written down after them: apis/admissionregistration/validation of
// k8s.io/kubernetes, and apis/apiextensions/validation of k8s.io/apiextensions-apiserver,
// of 1.37. ok is false for other kinds.
func extending(obj map[string]any, gvk schema.GroupVersionKind) (errs field.ErrorList, ok bool) {
	switch gvk {
	case admission.SchemeGroupVersion.WithKind("ValidatingWebhookConfiguration"), admission.SchemeGroupVersion.WithKind("MutatingWebhookConfiguration"):
		var hooks admission.MutatingWebhookConfiguration // has all fields of the other
		if runtime.DefaultUnstructuredConverter.FromUnstructured(obj, &hooks) != nil {
			return nil, false
		}
		return webhooks(hooks.Webhooks), true
	case definitions.SchemeGroupVersion.WithKind("CustomResourceDefinition"):
		var crd definitions.CustomResourceDefinition
		if runtime.DefaultUnstructuredConverter.FromUnstructured(obj, &crd) != nil {
			return nil, false
		}
		return definition(&crd), true
	}
	return nil, false
}

func webhooks(hooks []admission.MutatingWebhook) (errs field.ErrorList) {
	names := map[string]bool{}
	for i, hook := range hooks {
		at := field.NewPath("webhooks").Index(i)
		errs = append(errs, webhook(&hook, at)...)
		if names[hook.Name] && hook.Name != "" {
			errs = append(errs, field.Duplicate(at.Child("name"), hook.Name))
		}
		names[hook.Name] = true
	}
	return errs
}

func webhook(hook *admission.MutatingWebhook, at *field.Path) field.ErrorList {
	errs := validation.IsFullyQualifiedName(at.Child("name"), hook.Name)
	for i, rule := range hook.Rules {
		errs = append(errs, webhookRule(rule, at.Child("rules").Index(i))...)
	}
	errs = append(errs, oneOfThese(at.Child("failurePolicy"), hook.FailurePolicy, admission.Ignore, admission.Fail)...)
	errs = append(errs, oneOfThese(at.Child("matchPolicy"), hook.MatchPolicy, admission.Exact, admission.Equivalent)...)
	errs = append(errs, oneOfThese(at.Child("sideEffects"), hook.SideEffects, admission.SideEffectClassNone, admission.SideEffectClassNoneOnDryRun)...)
	errs = append(errs, oneOfThese(at.Child("reinvocationPolicy"), hook.ReinvocationPolicy, admission.NeverReinvocationPolicy, admission.IfNeededReinvocationPolicy)...)
	if hook.SideEffects == nil {
		errs = append(errs, field.Required(at.Child("sideEffects"), "None or NoneOnDryRun"))
	}
	if s := hook.TimeoutSeconds; s != nil && (*s < 1 || *s > 30) {
		errs = append(errs, field.Invalid(at.Child("timeoutSeconds"), *s, "not between 1 and 30"))
	}
	if s := hook.NamespaceSelector; s != nil {
		errs = append(errs, metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{}, at.Child("namespaceSelector"))...)
	}
	if s := hook.ObjectSelector; s != nil {
		errs = append(errs, metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{}, at.Child("objectSelector"))...)
	}
	switch versions := at.Child("admissionReviewVersions"); {
	case len(hook.AdmissionReviewVersions) == 0:
		errs = append(errs, field.Required(versions, "v1 or v1beta1"))
	case !slices.Contains(hook.AdmissionReviewVersions, "v1") && !slices.Contains(hook.AdmissionReviewVersions, "v1beta1"):
		errs = append(errs, field.Invalid(versions, hook.AdmissionReviewVersions, "has neither v1 nor v1beta1"))
	}
	return append(errs, webhookClient(hook.ClientConfig, at.Child("clientConfig"))...)
}

func webhookRule(rule admission.RuleWithOperations, at *field.Path) (errs field.ErrorList) {
	for _, list := range []struct {
		name  string
		items []string
	}{{"apiGroups", rule.APIGroups}, {"apiVersions", rule.APIVersions}, {"resources", rule.Resources}} {
		switch {
		case len(list.items) == 0:
			errs = append(errs, field.Required(at.Child(list.name), ""))
		case list.name != "resources" && len(list.items) > 1 && slices.Contains(list.items, "*"):
			errs = append(errs, field.Invalid(at.Child(list.name), list.items, "beside *, others are not allowed"))
		}
	}
	if len(rule.Operations) == 0 {
		errs = append(errs, field.Required(at.Child("operations"), ""))
	}
	for i, operation := range rule.Operations {
		if operation == admission.OperationAll && len(rule.Operations) > 1 {
			errs = append(errs, field.Invalid(at.Child("operations"), operation, "beside *, others are not allowed"))
		}
		errs = append(errs, oneOfThese(at.Child("operations").Index(i), &operation, admission.OperationAll, admission.Create, admission.Update, admission.Delete, admission.Connect)...)
	}
	return append(errs, oneOfThese(at.Child("scope"), rule.Scope, admission.ClusterScope, admission.NamespacedScope, admission.AllScopes)...)
}

func webhookClient(client admission.WebhookClientConfig, at *field.Path) (errs field.ErrorList) {
	switch {
	case (client.URL == nil) == (client.Service == nil):
		return field.ErrorList{field.Required(at, "url or service, and not both")}
	case client.URL != nil:
		u, err := url.Parse(*client.URL)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || u.RawQuery != "" {
			return field.ErrorList{field.Forbidden(at.Child("url"), "not of the form https://host/path")} // the value may hold a password
		}
		return nil
	}
	at = at.Child("service")
	if client.Service.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	}
	if client.Service.Namespace == "" {
		errs = append(errs, field.Required(at.Child("namespace"), ""))
	}
	if port := client.Service.Port; port != nil && len(validation.IsValidPortNum(int(*port))) > 0 {
		errs = append(errs, field.Invalid(at.Child("port"), *port, "not between 1 and 65535"))
	}
	if path := client.Service.Path; path != nil && *path != "" && *path != "/" {
		if !strings.HasPrefix(*path, "/") {
			return append(errs, field.Invalid(at.Child("path"), *path, "does not begin with /"))
		}
		for step := range strings.SplitSeq(strings.Trim(*path, "/"), "/") {
			if len(validation.IsDNS1123Subdomain(step)) > 0 {
				errs = append(errs, field.Invalid(at.Child("path"), *path, fmt.Sprintf("%q has other characters than lower case letters, digits, - and .", step)))
			}
		}
	}
	return errs
}

// oneOfThese refuses a value that is none of those; none at all is its default.
func oneOfThese[T ~string](at *field.Path, value *T, accepted ...T) field.ErrorList {
	if value == nil || slices.Contains(accepted, *value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(at, *value, accepted)}
}

func definition(v1 *definitions.CustomResourceDefinition) (errs field.ErrorList) {
	spec := field.NewPath("spec")
	names := v1.Spec.Names
	if want := names.Plural + "." + v1.Spec.Group; v1.Name != want {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), v1.Name, "not the plural and the group: "+want))
	}
	if len(validation.IsDNS1123Subdomain(v1.Spec.Group)) > 0 || !strings.Contains(v1.Spec.Group, ".") {
		errs = append(errs, field.Invalid(spec.Child("group"), v1.Spec.Group, "not a domain with a dot"))
	}
	if v1.Spec.Scope == "" {
		errs = append(errs, field.Required(spec.Child("scope"), "Cluster or Namespaced"))
	} else {
		errs = append(errs, oneOfThese(spec.Child("scope"), &v1.Spec.Scope, definitions.ClusterScoped, definitions.NamespaceScoped)...)
	}
	for _, name := range []struct{ field, value string }{
		{"plural", names.Plural}, {"singular", names.Singular}, {"kind", strings.ToLower(names.Kind)}, {"listKind", strings.ToLower(names.ListKind)},
	} {
		at := spec.Child("names", name.field)
		switch {
		case name.value != "" && len(validation.IsDNS1035Label(name.value)) > 0:
			errs = append(errs, field.Invalid(at, name.value, "has other characters than letters, digits and -, or begins with a digit"))
		case name.value == "" && (name.field == "plural" || name.field == "kind"):
			errs = append(errs, field.Required(at, ""))
		}
	}
	for _, list := range []struct {
		name  string
		items []string
	}{{"shortNames", names.ShortNames}, {"categories", names.Categories}} {
		for i, item := range list.items {
			if len(validation.IsDNS1035Label(item)) > 0 {
				errs = append(errs, field.Invalid(spec.Child("names", list.name).Index(i), item, "has other characters than lower case letters, digits and -"))
			}
		}
	}
	if v1.Spec.PreserveUnknownFields {
		errs = append(errs, field.Invalid(spec.Child("preserveUnknownFields"), true, "must be false: write x-kubernetes-preserve-unknown-fields: true into the schema"))
	}
	if c := v1.Spec.Conversion; c != nil {
		errs = append(errs, oneOfThese(spec.Child("conversion", "strategy"), &c.Strategy, definitions.NoneConverter, definitions.WebhookConverter)...)
		if c.Strategy == definitions.WebhookConverter && (c.Webhook == nil || c.Webhook.ClientConfig == nil) {
			errs = append(errs, field.Required(spec.Child("conversion", "webhook", "clientConfig"), ""))
		}
	}
	if names.Kind != "" && names.Kind == names.ListKind {
		errs = append(errs, field.Invalid(spec.Child("names", "listKind"), names.ListKind, "the same as kind"))
	}
	return append(errs, versions(v1.Spec.Versions, spec.Child("versions"))...)
}

func versions(all []definitions.CustomResourceDefinitionVersion, at *field.Path) (errs field.ErrorList) {
	stored, seen := 0, map[string]bool{}
	for i, version := range all {
		at := at.Index(i)
		if version.Storage {
			stored++
		}
		switch {
		case len(validation.IsDNS1035Label(version.Name)) > 0:
			errs = append(errs, field.Invalid(at.Child("name"), version.Name, "not of the form v1, v1beta1, ..."))
		case seen[version.Name]:
			errs = append(errs, field.Duplicate(at.Child("name"), version.Name))
		}
		seen[version.Name] = true
		for j, column := range version.AdditionalPrinterColumns {
			at := at.Child("additionalPrinterColumns").Index(j)
			errs = append(errs, oneOfThese(at.Child("type"), &column.Type, "integer", "number", "string", "boolean", "date")...)
			if column.Name == "" {
				errs = append(errs, field.Required(at.Child("name"), ""))
			}
			if !strings.HasPrefix(column.JSONPath, ".") {
				errs = append(errs, field.Invalid(at.Child("jsonPath"), column.JSONPath, "does not begin with a dot"))
			}
		}
		errs = append(errs, versionSchema(version.Schema, at.Child("schema", "openAPIV3Schema"))...)
	}
	if stored != 1 {
		errs = append(errs, field.Invalid(at, stored, "not one version with storage: true"))
	}
	return errs
}

func versionSchema(v1 *definitions.CustomResourceValidation, at *field.Path) field.ErrorList {
	if v1 == nil || v1.OpenAPIV3Schema == nil {
		return field.ErrorList{field.Required(at, "without a schema, nothing of an object would be kept")}
	}
	var internal apiextensions.JSONSchemaProps
	if definitions.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v1.OpenAPIV3Schema, &internal, nil) != nil {
		return nil
	}
	shape, err := structural.NewStructural(&internal)
	if err != nil {
		return field.ErrorList{field.Forbidden(at, err.Error())}
	}
	errs := structural.ValidateStructural(at, shape)
	if shape.Type == "" {
		errs = slices.DeleteFunc(errs, func(err *field.Error) bool { return err.Field == at.Child("type").String() })
		errs = append(errs, field.Required(at.Child("type"), "object"))
	} else if shape.Type != "object" {
		errs = append(errs, field.Invalid(at.Child("type"), shape.Type, "not object"))
	}
	return errs
}
