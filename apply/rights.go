package apply

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
)

// reviewsAtOnce bounds the access reviews in flight.
const reviewsAtOnce = 16

// right is one verb on one resource, in a namespace or for the whole cluster.
type right struct {
	verb      string
	group     string
	resource  string
	namespace string
}

func (r right) String() string {
	resource := kschema.GroupResource{Group: r.group, Resource: r.resource}.String()
	if r.namespace == "" {
		return fmt.Sprintf("%s %s", r.verb, resource)
	}
	return fmt.Sprintf("%s %s in namespace %s", r.verb, resource, r.namespace)
}

func compareRights(a, b right) int {
	return cmp.Or(
		cmp.Compare(a.namespace, b.namespace),
		cmp.Compare(a.group, b.group),
		cmp.Compare(a.resource, b.resource),
		cmp.Compare(a.verb, b.verb),
	)
}

// missingRights are those of the needed rights that the caller does not have.
// One review of the rules of each namespace answers most; what the rules do not
// show is asked one by one, because an authorizer need not list its rules, and
// because the rules of a namespace do not tell which of them hold for the
// cluster.
func (c *Cluster) missingRights(ctx context.Context, needed []right) ([]right, error) {
	needed = slices.Clone(needed)
	slices.SortFunc(needed, compareRights)
	needed = slices.Compact(needed)
	if len(needed) == 0 {
		return nil, nil
	}
	if all, err := c.allowed(ctx, right{verb: "*", group: "*", resource: "*"}); err != nil || all {
		return nil, err
	}
	rules, err := c.rules(ctx, needed)
	if err != nil {
		return nil, err
	}
	missing := make([]bool, len(needed))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(reviewsAtOnce)
	for i, r := range needed {
		if r.namespace != "" && slices.ContainsFunc(rules[r.namespace], r.in) {
			continue
		}
		group.Go(func() error {
			ok, err := c.allowed(ctx, r)
			missing[i] = !ok
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var out []right
	for i, r := range needed {
		if missing[i] {
			out = append(out, r)
		}
	}
	return out, nil
}

// in reports whether a rule grants the right for every object of the resource.
func (r right) in(rule authorizationv1.ResourceRule) bool {
	has := func(list []string, want string) bool {
		return slices.Contains(list, want) || slices.Contains(list, "*")
	}
	return has(rule.Verbs, r.verb) && has(rule.APIGroups, r.group) && has(rule.Resources, r.resource) && len(rule.ResourceNames) == 0
}

// rules reviews the rules of every namespace that a right names.
func (c *Cluster) rules(ctx context.Context, needed []right) (map[string][]authorizationv1.ResourceRule, error) {
	var namespaces []string
	for _, r := range needed {
		if r.namespace != "" && !slices.Contains(namespaces, r.namespace) {
			namespaces = append(namespaces, r.namespace)
		}
	}
	found := make([][]authorizationv1.ResourceRule, len(namespaces))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(reviewsAtOnce)
	for i, ns := range namespaces {
		group.Go(func() error {
			review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: ns}}
			if err := c.review(ctx, "selfsubjectrulesreviews", "SelfSubjectRulesReview", review); err != nil {
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

// allowed asks about one right.
func (c *Cluster) allowed(ctx context.Context, r right) (bool, error) {
	resource, subresource, _ := strings.Cut(r.resource, "/")
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: r.verb, Group: r.group, Resource: resource, Subresource: subresource, Namespace: r.namespace,
		},
	}}
	if err := c.review(ctx, "selfsubjectaccessreviews", "SelfSubjectAccessReview", review); err != nil {
		return false, fmt.Errorf("right to %s: %w", r, err)
	}
	return review.Status.Allowed, nil
}

// review creates a review and reads the answer into it.
func (c *Cluster) review(ctx context.Context, resource, kind string, review any) error {
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(review)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: object}
	u.SetAPIVersion("authorization.k8s.io/v1")
	u.SetKind(kind)
	u, err = c.Dynamic.Resource(authorizationv1.SchemeGroupVersion.WithResource(resource)).Create(ctx, u, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	return runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, review)
}
