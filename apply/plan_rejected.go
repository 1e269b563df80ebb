package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-428f4edd/evenkeel/apply/kinds"
	"github.com/seed-428f4edd/evenkeel/apply/kube"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/apply/mask"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// refusal turns the error of a dry-run into a change where it can be one: the plan
// of the other objects does not depend on it. What is left are errors of the
// caller's rights, of the connection and of a server that does not answer.
func (p *planner) refusal(ctx context.Context, it *item, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.mu.Lock()
	crd := p.changedCRD[it.obj.GroupVersionKind().GroupKind()]
	p.mu.Unlock()
	role := p.plannedRole(it)
	switch immutable := kube.ImmutableFields(err); {
	case len(immutable) > 0:
		if recreated := p.mustRecreate(ctx, it, immutable); recreated != nil {
			return recreated
		}
		if it.change.Message == mustBeRecreated { // the refusal names no field
			it.change.Message += ": " + p.words(it, err)
		}
		return nil
	case crd != "":
		p.unverified(it, crd)
		return nil
	case role != "" && (apierrors.IsForbidden(err) || apierrors.IsNotFound(err)):
		p.unverified(it, role)
		return nil
	case refusedByLimit(err) && p.plannedLimit(it, err) != "":
		p.unverified(it, p.plannedLimit(it, err))
		return nil
	case p.plannedReference(it, err) != "":
		p.unverified(it, p.plannedReference(it, err))
		return nil
	case refusedByWebhook(err) && p.plannedServer(it, err) != "":
		p.unverified(it, p.plannedServer(it, err))
		it.change.waitsForServer = true
		return nil
	case p.needsHome(ctx, it, err):
		p.unverified(it, p.home().ref.String())
		return nil
	case !isRejection(err):
		return err
	}
	if it.live == nil {
		if done, err := p.lookAgain(ctx, it); done || err != nil {
			return err
		}
	}
	if done, err := p.unite(ctx, it, err); done || err != nil {
		return err
	}
	// What another object has is not free when this one is gone.
	isTaken := allocated.MatchString(p.words(it, err))
	if it.live != nil && slices.Contains(p.opts.Recreate, it.ref.Kind+"/"+it.ref.Name) && !kinds.Irreplaceable(it.obj.Unstructured) && !isTaken {
		if done, err := p.replace(ctx, it, err); done || err != nil {
			return err
		}
	}
	hint := p.hintOf(ctx, it, err)
	if it.live != nil && !kinds.Irreplaceable(it.obj.Unstructured) && !isTaken && !strings.Contains(hint, "--recreate") && p.wouldCreate(ctx, it) {
		anew := fmt.Sprintf("--recreate %s/%s deletes it and creates it anew, which the server takes", it.ref.Kind, it.ref.Name)
		hint = strings.TrimPrefix(hint+"; "+anew, "; ")
	}
	p.reject(it, p.words(it, err), hint)
	return ctx.Err()
}

// wouldCreate reports whether the server takes an object that it refuses to change, where
// it is not there yet.
func (p *planner) wouldCreate(ctx context.Context, it *item) bool {
	_, _, err := p.cluster.DryRun(ctx, it.mapping, probeOf(it.obj))
	return err == nil
}

// isRejection reports whether an error is the server's judgement of the object that
// was sent, and none of the caller's rights or of the server's own state. A webhook
// that does not answer is one of its objects, whatever the code.
func isRejection(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || isDenied(err) {
		return false
	}
	switch code := status.Status().Code; {
	case code == 401, code == 408, code == 429, code == 410:
		return false
	case code >= 500:
		// An object that cannot even be decoded is a plain error inside the server,
		// which gives 500 no reason. A taken port for health checks is an internal error.
		message := status.Status().Message
		return strings.Contains(message, "webhook") || strings.Contains(message, "already allocated") ||
			code == 500 && status.Status().Reason == metav1.StatusReasonUnknown
	}
	return status.Status().Code >= 400
}

// lookAgain reads an object that the LIST did not show, because it bears no label
// of ours. done says that it needs nothing more.
func (p *planner) lookAgain(ctx context.Context, it *item) (done bool, err error) {
	live, err := p.cluster.Get(ctx, it.mapping, it.ref.Namespace, it.ref.Name)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	p.assess(it, live)
	return it.change != nil, nil
}

// reject plans an object that the server does not take: nothing is written of it,
// and the others are planned as if it were not there.
func (p *planner) reject(it *item, why, hint string) {
	ch := p.newChange(it, Rejected)
	if it.live != nil {
		ch.Fields = managed.Fields(managed.LocalDifferences(p.mask.Object(managed.Effective(it.obj, it.live)), p.mask.Object(it.live)))
	} else {
		p.note(it) // what would stand in it waits for it
	}
	ch.Refused, ch.Hint = why, hint
	it.change = ch
}

// replace plans the recreation, asked for by name, of an object that the server
// refuses to change, where it would create it anew. done is false where it would
// not.
func (p *planner) replace(ctx context.Context, it *item, refused error) (done bool, err error) {
	if _, _, err := p.cluster.DryRun(ctx, it.mapping, probeOf(it.obj)); err != nil && !isDenied(err) {
		return false, ctx.Err()
	}
	ch := p.newChange(it, Recreated)
	diffs := managed.LocalDifferences(p.mask.Object(managed.Effective(it.obj, it.live)), p.mask.Object(it.live))
	ch.Fields = managed.Fields(diffs)
	ch.Message = "recreated, because the server refuses the change: " + p.words(it, refused)
	p.claim(ch)
	it.change = ch
	if err := p.losesWith(ctx, it); err != nil {
		return true, err
	}
	return true, p.refuseLoss(ctx, it, diffs)
}

// words are what the server says, without what the reader knows, and without the
// values of Secrets and of fields that are marked.
func (p *planner) words(it *item, err error) string {
	if mask.IsSecret(it.obj.Unstructured) {
		return err.Error() // the connection has withheld the rest
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return p.cluster.known.Text(err.Error())
	}
	s := status.Status()
	if s.Details == nil || len(s.Details.Causes) == 0 || s.Reason != metav1.StatusReasonInvalid {
		return inOneLine(p.cluster.known.Text(s.Message))
	}
	var parts []string
	for _, cause := range s.Details.Causes {
		text := inOneLine(p.cluster.known.Text(cause.Message))
		if cause.Field != "" && cause.Field != "<nil>" { // a policy names none
			if p.mask.MayQuote(it.obj.Unstructured, managed.FieldNames(cause.Field)) {
				text = string(cause.Type) + "; the rest is withheld because it may quote a secret"
			}
			text = cause.Field + ": " + text
		}
		if !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	if more := len(parts) - mostCauses; more > 0 {
		parts = append(parts[:mostCauses], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

// knownRefusal is something that the API server says, in its own words, and what
// helps.
type knownRefusal struct {
	says string // in the message
	hint string
}

// knownRefusals are the refusals that people meet, the narrower ones first. KIND,
// NAME and NAMESPACE are those of the object.
func knownRefusals() []knownRefusal {
	return []knownRefusal{
		// pkg/apis/*/validation: one-of fields, of which somebody else set another one.
		{"may not specify more than 1", "another side of the field is still set by somebody else: take it out by hand, or --recreate KIND/NAME"},
		{"may not be specified when", "another side of the field is still set by somebody else: take it out by hand, or --recreate KIND/NAME"},
		// ValidateService and others: a list with a second field that is unique.
		{"Duplicate value", "an entry that somebody added by hand has the same value: take it out by hand, or --recreate KIND/NAME"},
		// ValidateCustomResourceDefinitionStoredVersions.
		{"storedVersions", "objects may still be stored in that version: keep it in git with served: false, migrate them, and take it out of status.storedVersions before it goes"},
		// ValidatePersistentVolumeClaimUpdate: a claim never shrinks.
		{"status.capacity", "the claim has grown: set the same size in git, or put spec.resources.requests.storage in ignore"},
		{"can not be less than", "what has grown does not shrink: set the same size in git, or put the field in ignore"},
		// The allocators of Services.
		{"port is already allocated", "another Service has the port: free it first, or give this one another"},
		{"IP is already allocated", "another Service has the address: free it first, or give this one another"},
		{"being terminated", "wait until namespace NAMESPACE is gone, or find out what holds it: kubectl get namespace NAMESPACE -o yaml"},
		// plugin/pkg/admission/resourcequota and limitranger.
		{"exceeded quota", "free some of the quota, or apply the unit that raises it first with --unit"},
		{"failed quota", "name what the quota counts (requests or limits) in git"},
		{"failed calling webhook", "bring the webhook's server back first; if it is of this environment, apply its unit alone with --unit"},
		{"failed to call webhook", "bring the webhook's server back first; if it is of this environment, apply its unit alone with --unit"},
		{"denied the request", "the rule of that webhook decides: change the object in git, or ask who runs it"},
		{"ValidatingAdmissionPolicy", "that policy decides: change the object in git, or ask who wrote it"},
		{"PodSecurity", "the pod security level of namespace NAMESPACE decides: change the pod in git, or the namespace's label"},
		{"unknown field", "the server does not know the field: correct it in git, or update the definition that the server has"},
	}
}

// hintOf says what helps against a refusal.
func (p *planner) hintOf(ctx context.Context, it *item, err error) string {
	if apierrors.IsNotFound(err) && it.ref.Namespace != "" {
		return fmt.Sprintf("is namespace %s part of what is applied?", it.ref.Namespace)
	}
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		if why, err := p.cluster.terminating(ctx, it.ref.Namespace); err == nil && why != "" {
			return why + "; apply again when it is gone"
		}
	}
	said := err.Error()
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		said = status.Status().Message // of a Secret, too: it is only compared
	}
	for _, known := range knownRefusals() {
		if strings.Contains(said, known.says) {
			return strings.NewReplacer("KIND", it.ref.Kind, "NAMESPACE", it.ref.Namespace, "NAME", it.ref.Name).Replace(known.hint)
		}
	}
	return ""
}

// withoutRejected is what to type to apply the other units of a plan, where there
// are any.
func (p *Plan) withoutRejected(units []schema.Unit) string {
	refused := map[string]bool{}
	for _, c := range p.Changes {
		refused[c.Unit] = refused[c.Unit] || c.Action == Rejected
	}
	const most = 5
	var flags []string
	for i := range units {
		name := units[i].Name
		if !refused[name] && among(p.options.Units, name) {
			flags = append(flags, "--unit "+name)
		}
	}
	switch {
	case len(flags) == 0 || !slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Action == Rejected }):
		return ""
	case len(flags) > most:
		return "--unit NAME applies a unit without those that were refused"
	}
	return strings.Join(flags, " ") + " applies the rest without it"
}
