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

	"github.com/seed-428f4edd/evenkeel/apply/kube"
)

// reviewsAtOnce bounds the access reviews in flight.
const reviewsAtOnce = 16

// right is one verb on one resource, in a namespace or for the whole cluster, of
// all objects or of one.
type right struct {
	verb      string
	group     string
	resource  string
	namespace string
	name      string
}

func (r right) String() string {
	text := r.verb + " " + kschema.GroupResource{Group: r.group, Resource: r.resource}.String()
	if r.name != "" {
		text += " " + r.name
	}
	if r.namespace != "" {
		text += " in namespace " + r.namespace
	}
	return text
}

func compareRights(a, b right) int {
	return cmp.Or(
		cmp.Compare(a.namespace, b.namespace),
		cmp.Compare(a.group, b.group),
		cmp.Compare(a.resource, b.resource),
		cmp.Compare(a.verb, b.verb),
		cmp.Compare(a.name, b.name),
	)
}

// unnamed is the right for all objects of the resource.
func (r right) unnamed() right {
	r.name = ""
	return r
}

// covers reports whether who has r has other.
func (r right) covers(other right) bool {
	return r.verb == other.verb && r.group == other.group && r.resource == other.resource &&
		(r.namespace == "" || r.namespace == other.namespace) && (r.name == "" || r.name == other.name)
}

// sortedRights is a list of rights in order, each once, without those that
// another one of the list covers.
func sortedRights(rights []right) []right {
	rights = slices.Clone(rights)
	slices.SortFunc(rights, compareRights)
	rights = slices.Compact(rights)
	has := make(map[right]bool, len(rights))
	for _, r := range rights {
		has[r] = true
	}
	return slices.DeleteFunc(rights, func(r right) bool {
		for _, wider := range []right{
			{r.verb, r.group, r.resource, r.namespace, ""},
			{r.verb, r.group, r.resource, "", r.name},
			{r.verb, r.group, r.resource, "", ""},
		} {
			if wider != r && has[wider] {
				return true
			}
		}
		return false
	})
}

// missingRights are those of the needed rights that the caller does not have.
// One review of the rules of each namespace answers most; what the rules do not
// show is asked one by one, because an authorizer need not list its rules, and
// because the rules of a namespace do not tell which of them hold for the
// cluster. Objects are asked about by name only where the right does not hold for
// all of the resource; where it holds for none of them the answer names none.
func missingRights(ctx context.Context, c *kube.Client, needed []right) ([]right, error) {
	needed = sortedRights(needed)
	if len(needed) == 0 {
		return nil, nil
	}
	if all, err := allowed(ctx, c, right{verb: "*", group: "*", resource: "*"}); err != nil || all {
		return nil, err
	}
	rules, err := rulesFor(ctx, c, needed)
	if err != nil {
		return nil, err
	}
	wide := slices.Clone(needed)
	for i := range wide {
		wide[i].name = ""
	}
	wide, err = refused(ctx, c, slices.Compact(wide), rules)
	if err != nil {
		return nil, err
	}
	needed = slices.DeleteFunc(needed, func(r right) bool { return !slices.Contains(wide, r.unnamed()) })
	missing, err := refused(ctx, c, needed, rules)
	if err != nil {
		return nil, err
	}
	var out []right
	for _, w := range wide {
		of := func(r right) bool { return r.unnamed() == w }
		lack := slices.DeleteFunc(slices.Clone(missing), func(r right) bool { return !of(r) })
		if n := len(slices.DeleteFunc(slices.Clone(needed), func(r right) bool { return !of(r) })); n > 1 && n == len(lack) {
			lack = []right{w}
		}
		out = append(out, lack...)
	}
	return out, nil
}

// refused are those of some rights that the caller does not have.
func refused(ctx context.Context, c *kube.Client, rights []right, rules map[string][]authorizationv1.ResourceRule) ([]right, error) {
	missing := make([]bool, len(rights))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(reviewsAtOnce)
	for i, r := range rights {
		if r.namespace != "" && slices.ContainsFunc(rules[r.namespace], r.in) {
			continue
		}
		group.Go(func() error {
			ok, err := allowed(ctx, c, r)
			missing[i] = !ok
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var out []right
	for i, r := range rights {
		if missing[i] {
			out = append(out, r)
		}
	}
	return out, nil
}

// in reports whether a rule grants the right.
func (r right) in(rule authorizationv1.ResourceRule) bool {
	has := func(list []string, want string) bool {
		return slices.Contains(list, want) || slices.Contains(list, "*")
	}
	return has(rule.Verbs, r.verb) && has(rule.APIGroups, r.group) && has(rule.Resources, r.resource) &&
		(len(rule.ResourceNames) == 0 || r.name != "" && slices.Contains(rule.ResourceNames, r.name))
}

// rulesFor reviews the rules of every namespace that a right names.
func rulesFor(ctx context.Context, c *kube.Client, needed []right) (map[string][]authorizationv1.ResourceRule, error) {
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

// allowed asks about one right.
func allowed(ctx context.Context, c *kube.Client, r right) (bool, error) {
	resource, subresource, _ := strings.Cut(r.resource, "/")
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: r.verb, Group: r.group, Resource: resource, Subresource: subresource, Namespace: r.namespace, Name: r.name,
		},
	}}
	if err := ask(ctx, c, "selfsubjectaccessreviews", "SelfSubjectAccessReview", review); err != nil {
		return false, fmt.Errorf("right to %s: %w", r, err)
	}
	return review.Status.Allowed, nil
}

// ask creates a review and reads the answer into it.
func ask(ctx context.Context, c *kube.Client, resource, kind string, review any) error {
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
