// Package rights asks the API server what the caller may do. It knows no
// environment: package apply says what a run needs.
//
// Caller says who that is. Missing sends one review for the rules of each namespace, and single ones for what
// these do not show: an authorizer need not list its rules. A right that is not
// certainly there counts as missing.
package rights

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/internal/contain"
)

// reviewsAtOnce bounds the access reviews in flight.
const reviewsAtOnce = 16

// Right is one verb on one resource, in a namespace or for the whole cluster, of
// all objects or of one.
type Right struct {
	Verb      string
	Group     string
	Resource  string
	Namespace string
	Name      string
}

func (r Right) String() string {
	text := r.Verb + " " + kschema.GroupResource{Group: r.Group, Resource: r.Resource}.String()
	if r.Name != "" {
		text += " " + r.Name
	}
	if r.Namespace != "" {
		text += " in namespace " + r.Namespace
	}
	return text
}

// words is the right for a sentence.
func (r Right) words() string {
	if r.Verb == "*" && r.Group == "*" && r.Resource == "*" {
		return "do everything"
	}
	return r.String()
}

func compare(a, b Right) int {
	return cmp.Or(
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Group, b.Group),
		cmp.Compare(a.Resource, b.Resource),
		cmp.Compare(a.Verb, b.Verb),
		cmp.Compare(a.Name, b.Name),
	)
}

// unnamed is the right for all objects of the resource.
func (r Right) unnamed() Right {
	r.Name = ""
	return r
}

// Needs gathers rights.
type Needs []Right

// Add adds some verbs on one resource; an empty namespace is the whole cluster, an
// empty name all objects.
func (n *Needs) Add(group, resource, namespace, name string, verbs ...string) {
	for _, verb := range verbs {
		*n = append(*n, Right{Verb: verb, Group: group, Resource: resource, Namespace: namespace, Name: name})
	}
}

// Covers reports whether who has r has other.
func (r Right) Covers(other Right) bool {
	return r.Verb == other.Verb && r.Group == other.Group && r.Resource == other.Resource &&
		(r.Namespace == "" || r.Namespace == other.Namespace) && (r.Name == "" || r.Name == other.Name)
}

// Sorted is a list of rights in order, each once, without those that
// another one of the list covers.
func Sorted(rights []Right) []Right {
	rights = slices.Clone(rights)
	slices.SortFunc(rights, compare)
	rights = slices.Compact(rights)
	has := make(map[Right]bool, len(rights))
	for _, r := range rights {
		has[r] = true
	}
	return slices.DeleteFunc(rights, func(r Right) bool {
		for _, wider := range []Right{
			{r.Verb, r.Group, r.Resource, r.Namespace, ""},
			{r.Verb, r.Group, r.Resource, "", r.Name},
			{r.Verb, r.Group, r.Resource, "", ""},
		} {
			if wider != r && has[wider] {
				return true
			}
		}
		return false
	})
}

// Missing are those of the needed rights that the caller does not have.
// One review of the rules of each namespace answers most; what the rules do not
// show is asked one by one, because an authorizer need not list its rules, and
// because the rules of a namespace do not tell which of them hold for the
// cluster. Objects are asked about by name only where the right does not hold for
// all of the resource; where it holds for none of them the answer names none.
func Missing(ctx context.Context, c *kube.Client, needed []Right) ([]Right, error) {
	needed = Sorted(needed)
	if len(needed) == 0 {
		return nil, nil
	}
	if all, err := Allowed(ctx, c, Right{Verb: "*", Group: "*", Resource: "*"}); err != nil || all {
		return nil, err
	}
	rules, err := rulesFor(ctx, c, needed)
	if err != nil {
		return nil, err
	}
	wide := slices.Clone(needed)
	for i := range wide {
		wide[i].Name = ""
	}
	wide, err = refused(ctx, c, slices.Compact(wide), rules)
	if err != nil {
		return nil, err
	}
	needed = slices.DeleteFunc(needed, func(r Right) bool { return !slices.Contains(wide, r.unnamed()) })
	missing, err := refused(ctx, c, needed, rules)
	if err != nil {
		return nil, err
	}
	var out []Right
	for _, w := range wide {
		of := func(r Right) bool { return r.unnamed() == w }
		lack := slices.DeleteFunc(slices.Clone(missing), func(r Right) bool { return !of(r) })
		if n := len(slices.DeleteFunc(slices.Clone(needed), func(r Right) bool { return !of(r) })); n > 1 && n == len(lack) {
			lack = []Right{w}
		}
		out = append(out, lack...)
	}
	return out, nil
}

// refused are those of some rights that the caller does not have.
func refused(ctx context.Context, c *kube.Client, rights []Right, rules map[string][]authorizationv1.ResourceRule) ([]Right, error) {
	missing := make([]bool, len(rights))
	group, ctx := contain.WithContext(ctx)
	group.SetLimit(reviewsAtOnce)
	for i, r := range rights {
		if r.Namespace != "" && slices.ContainsFunc(rules[r.Namespace], r.in) {
			continue
		}
		group.Go(func() error {
			ok, err := Allowed(ctx, c, r)
			missing[i] = !ok
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var out []Right
	for i, r := range rights {
		if missing[i] {
			out = append(out, r)
		}
	}
	return out, nil
}

// in reports whether a rule grants the right.
func (r Right) in(rule authorizationv1.ResourceRule) bool {
	has := func(list []string, want string) bool {
		return slices.Contains(list, want) || slices.Contains(list, "*")
	}
	return has(rule.Verbs, r.Verb) && has(rule.APIGroups, r.Group) && has(rule.Resources, r.Resource) &&
		(len(rule.ResourceNames) == 0 || r.Name != "" && slices.Contains(rule.ResourceNames, r.Name))
}

// rulesFor reviews the rules of every namespace that a right names.
func rulesFor(ctx context.Context, c *kube.Client, needed []Right) (map[string][]authorizationv1.ResourceRule, error) {
	var namespaces []string
	for _, r := range needed {
		if r.Namespace != "" && !slices.Contains(namespaces, r.Namespace) {
			namespaces = append(namespaces, r.Namespace)
		}
	}
	found := make([][]authorizationv1.ResourceRule, len(namespaces))
	group, ctx := contain.WithContext(ctx)
	group.SetLimit(reviewsAtOnce)
	for i, ns := range namespaces {
		group.Go(func() error {
			review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: ns}}
			if err := ask(ctx, c, "selfsubjectrulesreviews", "SelfSubjectRulesReview", review); err != nil {
				return fmt.Errorf("rights in namespace %s: %w", ns, err)
			}
			found[i] = review.Status.ResourceRules
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	rules := make(map[string][]authorizationv1.ResourceRule, len(namespaces))
	for i, ns := range namespaces {
		rules[ns] = found[i]
	}
	return rules, nil
}

// Allowed reports whether the caller has a right.
func Allowed(ctx context.Context, c *kube.Client, r Right) (bool, error) {
	resource, subresource, _ := strings.Cut(r.Resource, "/")
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: r.Verb, Group: r.Group, Resource: resource, Subresource: subresource, Namespace: r.Namespace, Name: r.Name,
		},
	}}
	if err := ask(ctx, c, "selfsubjectaccessreviews", "SelfSubjectAccessReview", review); err != nil {
		return false, fmt.Errorf("asking the API server whether you may %s: %w", r.words(), err)
	}
	return review.Status.Allowed, nil
}

// Caller is the name of the account that asks.
func Caller(ctx context.Context, c *kube.Client) (string, error) {
	review := &authenticationv1.SelfSubjectReview{}
	if err := create(ctx, c, authenticationv1.SchemeGroupVersion.WithResource("selfsubjectreviews"), "SelfSubjectReview", review); err != nil {
		return "", fmt.Errorf("asking the API server who you are: %w", err)
	}
	return review.Status.UserInfo.Username, nil
}

// ask creates a review of rights and reads the answer into it.
func ask(ctx context.Context, c *kube.Client, resource, kind string, review any) error {
	return create(ctx, c, authorizationv1.SchemeGroupVersion.WithResource(resource), kind, review)
}

func create(ctx context.Context, c *kube.Client, resource kschema.GroupVersionResource, kind string, review any) error {
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(review)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: object}
	u.SetAPIVersion(resource.GroupVersion().String())
	u.SetKind(kind)
	u, err = c.Dynamic.Resource(resource).Create(ctx, u, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	return runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, review)
}
