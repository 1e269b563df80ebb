package record

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/seed-428f4edd/evenkeel/internal/paging"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// Revisions are kept in Secrets, because they hold the Secrets of the
// environment: JSON, compressed, split over as many as it needs.
const (
	revisionsKept = 10
	// revisionPart is how much one Secret holds; the limit is 1 MiB for all
	// values of a Secret together.
	revisionPart = 900 << 10

	// NumberLimit, partsLimit and gapLimit bound what is believed of a revision
	// that somebody may have forged: its number, its parts (230 MiB), and how many
	// numbers are missing before it.
	NumberLimit = 1 << 30
	partsLimit  = 256
	gapLimit    = 1000

	revisionType     = "evenkeel.dev/revision"
	labelEnvironment = "evenkeel.dev/environment"
	labelRevision    = "evenkeel.dev/revision"
	labelPart        = "evenkeel.dev/part"
	// annotationMeta stands on part 0, which is written last: a revision
	// without it was never finished.
	annotationMeta = "evenkeel.dev/meta"

	// annotationPrefix is that of all annotations of ours.
	annotationPrefix = "evenkeel.dev/"

	revisionManager = schema.Manager + "-history"

	// headsPage is how many objects one answer tells the metadata of.
	headsPage = 2500
)

// GitInfo is where a rendered environment came from.
type GitInfo struct {
	Commit string `json:"commit,omitempty"`
	Dirty  bool   `json:"dirty,omitempty"` // the tree held what the commit does not
}

// Revision is one successful apply of an environment.
type Revision struct {
	Number   int       `json:"number"`
	Time     time.Time `json:"time"`
	Who      string    `json:"who,omitempty"`
	Git      GitInfo   `json:"git"`
	Rendered string    `json:"rendered"` // digest of what was applied
	// Message is what who applied it said about it, DespiteFreeze the reason to do so in
	// a freeze.
	Message       string `json:"message,omitempty"`
	DespiteFreeze string `json:"despiteFreeze,omitempty"`
	// Units names what was applied, where it was not all of the environment.
	Units   []string       `json:"units,omitempty"`
	Changes map[string]int `json:"changes"` // by action
	// Secrets is false where the Secrets were left out of the revision.
	Secrets bool `json:"secrets"`
	Parts   int  `json:"parts"`
	// Sum is the SHA-256 of its packed manifests, before they are cut into parts.
	Sum string `json:"sum,omitempty"`
	// Authenticated says that an apply recorded it: its signature is right. It is
	// found by reading and never read.
	Authenticated bool `json:"authenticated"`

	// Environment is what was applied. History leaves it nil, and Healthy too.
	Environment *schema.Environment `json:"-"`
	// Healthy are the units that the run waited for and saw healthy, with the digests of
	// the images that their ready pods ran then. Without Authenticated it is nil.
	Healthy Pulled `json:"-"`
}

// String is "revision 7", with the commit where there is one.
func (r Revision) String() string {
	if r.Git.Commit == "" {
		return fmt.Sprintf("revision %d", r.Number)
	}
	return fmt.Sprintf("revision %d (%s)", r.Number, r.Git)
}

// Said is what who applied it said about it, the reason for going past a freeze
// included, in one line.
func (r Revision) Said() string {
	said := strings.Join(strings.Fields(r.Message), " ")
	if r.DespiteFreeze == "" {
		return said
	}
	return strings.TrimSpace(said + " (despite the freeze: " + strings.Join(strings.Fields(r.DespiteFreeze), " ") + ")")
}

// String is the short commit, with a mark where the tree held more than it.
func (g GitInfo) String() string {
	commit := g.Commit[:min(len(g.Commit), 12)]
	if g.Dirty {
		commit += "-dirty"
	}
	return commit
}

// Restored is env with the units that the revision has, so that it can be
// planned and applied: all of them, or those named, the others as env has them.
// Where the revision holds no Secrets, apply it with LeaveSecrets.
func (r *Revision) Restored(env *schema.Environment, units ...string) *schema.Environment {
	return Restored(env, r.Environment, func(unit string) bool { return len(units) == 0 || slices.Contains(units, unit) })
}

// Restored is env with the units that then had, where old says so. A unit that
// is in one of them only is, or is not, in the result by the same choice.
func Restored(env, then *schema.Environment, old func(unit string) bool) *schema.Environment {
	out := *env
	out.Units = nil
	for _, u := range env.Units {
		if !old(u.Name) {
			out.Units = append(out.Units, u)
		} else if was := then.Unit(u.Name); was != nil {
			out.Units = append(out.Units, *was)
		}
	}
	for _, u := range then.Units {
		if old(u.Name) && env.Unit(u.Name) == nil {
			out.Units = append(out.Units, u)
		}
	}
	return &out
}

// History lists the recorded revisions of an environment, the newest first,
// without their manifests.
func (c *Store) History(ctx context.Context, name, namespace string) ([]Revision, error) {
	return c.HistoryBy(ctx, c.Signer(name, namespace))
}

// HistoryBy is History for who has a signer already.
func (c *Store) HistoryBy(ctx context.Context, signer *Signer) ([]Revision, error) {
	name, namespace := signer.env, signer.namespace
	newest, err := signer.Newest(ctx)
	if err != nil {
		return nil, err
	}
	parts, err := c.RevisionParts(ctx, name, namespace, newest)
	if err != nil {
		return nil, err
	}
	var revisions []Revision
	for _, part := range parts {
		meta := part.Annotations[annotationMeta]
		if meta == "" {
			continue
		}
		r, err := readMeta(meta, part.number)
		if err != nil {
			c.Warn(fmt.Sprintf("Secret/%s/%s is not read as a revision: %v", namespace, part.Name, err))
			continue
		}
		if r.Authenticated, err = signer.Signed(ctx, part.Annotations[annotationSignature], signedRevision, meta); err != nil {
			return nil, err
		}
		if r.Number <= newest-revisionsKept { // it was deleted, and put back
			r.Authenticated = false
		}
		revisions = append(revisions, *r)
	}
	slices.SortFunc(revisions, func(a, b Revision) int { return cmp.Compare(b.Number, a.Number) })
	return revisions, nil
}

// readMeta reads what stands on part 0 of a revision.
func readMeta(meta string, number int) (*Revision, error) {
	r := &Revision{}
	if err := json.Unmarshal([]byte(meta), r); err != nil {
		return nil, err
	}
	switch {
	case r.Number != number:
		return nil, fmt.Errorf("its name says %d, its content %d", number, r.Number)
	case r.Parts < 1 || r.Parts > partsLimit:
		return nil, fmt.Errorf("it claims to have %d parts", r.Parts)
	case r.Sum != "" && !isDigest(r.Sum):
		return nil, fmt.Errorf("%.40q is not a digest", r.Sum)
	case !isDigest(r.Rendered):
		return nil, fmt.Errorf("%.40q is not a digest", r.Rendered)
	case r.Git.Commit != "" && !isHex(r.Git.Commit):
		return nil, fmt.Errorf("%.40q is not a commit", r.Git.Commit) // it is printed as part of a command
	}
	return r, nil
}

// SumOf identifies packed manifests.
func SumOf(packed []byte) string {
	sum := sha256.Sum256(packed)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// isDigest reports whether s is as Digest makes them.
func isDigest(s string) bool {
	digits, ok := strings.CutPrefix(s, "sha256:")
	return ok && len(digits) == 2*sha256.Size && isHex(digits)
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
}

// Revision reads one recorded revision with its environment; number 0 is the
// newest. The cluster, the pins and the order of the environment are not part
// of a revision: only what was applied is.
func (c *Store) Revision(ctx context.Context, name, namespace string, number int) (*Revision, error) {
	signer := c.Signer(name, namespace)
	history, err := c.HistoryBy(ctx, signer)
	if err != nil {
		return nil, err
	}
	newest := signer.Known().Noted.Newest
	at := slices.IndexFunc(history, func(r Revision) bool { return number == 0 || r.Number == number })
	switch {
	case at < 0 && number == 0:
		return nil, fmt.Errorf("environment %s: %w", name, ErrNoRevision)
	case at < 0:
		return nil, fmt.Errorf("environment %s has no revision %d", name, number)
	}
	r := &history[at]
	if number == 0 && r.Number < newest {
		c.Warn(GoneNewest(name, newest))
		r.Authenticated = false
	}
	var packed []byte
	for part := range r.Parts {
		secret, err := c.Secrets(namespace).Get(ctx, revisionName(name, r.Number, part), metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("revision %d of environment %s: %w", r.Number, name, err)
		}
		text, _, _ := unstructured.NestedString(secret.Object, "data", "part")
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("revision %d of environment %s: Secret %s: %w: %w", r.Number, name, secret.GetName(), ErrUnreadable, err)
		}
		packed = append(packed, data...)
	}
	limit := revisionLimit
	if sum := SumOf(packed); sum != r.Sum {
		r.Authenticated = false
		if r.Sum != "" {
			return nil, fmt.Errorf("revision %d of environment %s: %w: it is not what was recorded", r.Number, name, ErrUnreadable)
		}
	} else if r.Authenticated {
		limit = ownRevisionLimit
	}
	r.Environment, r.Healthy, err = unpack(packed, limit)
	if !r.Authenticated {
		r.Healthy = nil
	}
	if err == nil && (r.Environment.Name != name || r.Environment.Namespace != namespace) {
		err = fmt.Errorf("it holds environment %.80q of namespace %.80q", r.Environment.Name, r.Environment.Namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("revision %d of environment %s: %w: %w", r.Number, name, ErrUnreadable, err)
	}
	return r, nil
}

// Part is a Secret of a revision, without its data.
type Part struct {
	metav1.PartialObjectMetadata
	number, part int
}

// RevisionParts lists the Secrets of an environment's revisions. newest is the number
// of the newest one that was signed, 0 where that is not known.
func (c *Store) RevisionParts(ctx context.Context, name, namespace string, newest int) ([]Part, error) {
	heads, err := c.SecretHeads(ctx, namespace, revisionType, labelEnvironment+"="+name+","+labelRevision)
	if err != nil {
		return nil, fmt.Errorf("revisions of environment %s: %w", name, err)
	}
	return believed(name, heads, newest), nil
}

// SecretHeads lists the Secrets of a type, or of any, that a selector finds, without
// their data.
func (c *Store) SecretHeads(ctx context.Context, namespace, kind, selector string) ([]metav1.PartialObjectMetadata, error) {
	fields := ""
	if kind != "" {
		fields = "type=" + kind
	}
	return c.heads(ctx, kschema.GroupVersionResource{Version: "v1", Resource: "secrets"}, namespace, selector, fields)
}

// heads lists objects of a namespace that selectors find, of which only the metadata are
// sent.
func (c *Store) heads(ctx context.Context, of kschema.GroupVersionResource, namespace, selector, fields string) ([]metav1.PartialObjectMetadata, error) {
	path := []string{"apis", of.Group, of.Version}
	if of.Group == "" {
		path = []string{"api", of.Version}
	}
	var all []metav1.PartialObjectMetadata
	limit := int64(headsPage)
	for next := ""; ; {
		request := c.REST.Get().AbsPath(append(path, "namespaces", namespace, of.Resource)...).Param("limit", strconv.FormatInt(limit, 10))
		for name, value := range map[string]string{"labelSelector": selector, "fieldSelector": fields, "continue": next} {
			if value != "" {
				request = request.Param(name, value)
			}
		}
		var list metav1.PartialObjectMetadataList
		err := request.SetHeader("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1").
			Do(ctx).Into(&list)
		if less, ok := paging.Smaller(err, limit); ok {
			limit = less
			continue
		}
		if apierrors.IsResourceExpired(err) && next != "" {
			all, next = nil, ""
			continue
		}
		if err != nil {
			return nil, err
		}
		for i := range list.Items { // of which nobody asks for more
			list.Items[i].ManagedFields = nil
			maps.DeleteFunc(list.Items[i].Annotations, func(name, _ string) bool { return !strings.HasPrefix(name, annotationPrefix) })
		}
		all = append(all, list.Items...)
		if next = list.Continue; next == "" {
			return all, nil
		}
	}
}

// believed are the Secrets that can be parts of an environment's revisions, in
// the order of their numbers: whose name and labels say the same, and whose number
// is not far from the newest one, or where that is not known, from all others. Else
// one forged number would be the last for ever.
func believed(env string, secrets []metav1.PartialObjectMetadata, newest int) []Part {
	var parts []Part
	for _, s := range secrets {
		p := Part{PartialObjectMetadata: s}
		var okNumber, okPart bool
		p.number, okNumber = Canonical(s.Labels[labelRevision], NumberLimit)
		p.part, okPart = Canonical(s.Labels[labelPart], partsLimit-1)
		if okNumber && okPart && p.number > 0 && s.Name == revisionName(env, p.number, p.part) {
			parts = append(parts, p)
		}
	}
	slices.SortFunc(parts, func(a, b Part) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.part, b.part))
	})
	for i := range parts {
		before := newest
		if newest == 0 {
			before = parts[max(i-1, 0)].number
		}
		if parts[i].number-before > gapLimit {
			return parts[:i]
		}
	}
	return parts
}

// Canonical reads a number that is written as strconv.Itoa writes it.
func Canonical(text string, limit int) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0 && n <= limit && strconv.Itoa(n) == text
}

// Secrets is the client of the Secrets of a namespace.
func (c *Store) Secrets(namespace string) dynamic.ResourceInterface {
	return c.Dynamic.Resource(secretResource()).Namespace(namespace)
}

// ErrNoRevision says that nothing was recorded yet.
var ErrNoRevision = errors.New("no revision is recorded")

// ErrUnreadable says that a revision is not what an apply recorded.
var ErrUnreadable = errors.New("it cannot be read")

// GoneNewest says that the newest of the records is not the newest that there was.
func GoneNewest(env string, number int) string {
	return fmt.Sprintf("environment %s: revision %d was recorded, and is gone: somebody has deleted it", env, number)
}

// Record writes a revision and forgets the oldest ones. Its number is one more
// than that of any part that is there, finished or not, and than any that was signed.
// From now on hold is on hold.
func (c *Store) Record(ctx context.Context, r Revision, hold string, signer *Signer) (Revision, error) {
	env := r.Environment
	newest, err := signer.Newest(ctx)
	if err != nil {
		return r, err
	}
	parts, err := c.RevisionParts(ctx, env.Name, env.Namespace, newest)
	if err != nil {
		return r, err
	}
	r.Number = newest
	if len(parts) > 0 {
		r.Number = max(r.Number, parts[len(parts)-1].number)
	}
	if r.Number++; r.Number > NumberLimit {
		return r, fmt.Errorf("environment %s has a revision with the number %d: nothing can be recorded until its Secret is deleted: kubectl delete secret -n %s %s",
			env.Name, r.Number-1, env.Namespace, parts[len(parts)-1].Name)
	}
	packed, err := Pack(env, r.Secrets, r.Healthy)
	if err != nil {
		return r, fmt.Errorf("revision %d: %w", r.Number, err)
	}
	chunks := slices.Collect(slices.Chunk(packed, revisionPart))
	if r.Parts = len(chunks); r.Parts > partsLimit {
		return r, fmt.Errorf("revision %d: its manifests are too large to be kept", r.Number)
	}
	r.Sum = SumOf(packed)
	signs := r.Authenticated
	for {
		err := c.write(ctx, &r, signs, signer, chunks)
		if err == nil {
			break
		}
		if !apierrors.IsInvalid(err) {
			return r, fmt.Errorf("revision %d: %w", r.Number, err)
		}
		if r.Number, err = c.freeNumber(ctx, env, r.Number, err); err != nil {
			return r, err
		}
	}
	err = signer.Note(ctx, func(n *Noted) {
		if r.Authenticated {
			n.Newest = r.Number
		}
		if r.Git.Commit != "" {
			n.Commit = r.Git.Commit
		}
		n.Hold = hold
	})
	if err != nil {
		return r, err
	}
	return r, c.Forget(ctx, env.Namespace, parts, r.Number-revisionsKept)
}

// write writes the parts of a revision, and its content with its signature.
func (c *Store) write(ctx context.Context, r *Revision, signs bool, signer *Signer, chunks [][]byte) error {
	r.Authenticated = false // that is for its readers to find
	meta, err := json.Marshal(r)
	if err != nil {
		return err
	}
	annotations := map[string]string{annotationMeta: string(meta)}
	if signs {
		if annotations[annotationSignature], err = signer.Sign(ctx, signedRevision, string(meta)); err != nil {
			return err
		}
		r.Authenticated = annotations[annotationSignature] != ""
	}
	for part, chunk := range slices.Backward(chunks) {
		secret := r.secret(part, chunk)
		if part == 0 {
			secret.SetAnnotations(annotations)
		}
		if _, err := c.Secrets(secret.GetNamespace()).Apply(ctx, secret.GetName(), secret, metav1.ApplyOptions{FieldManager: revisionManager, Force: true}); err != nil {
			return err
		}
	}
	return nil
}

// freeNumber is the first number after one whose place another Secret holds, of another
// type or immutable: who may write in the namespace must not keep revisions from being
// recorded. why is what the server said of that place.
func (c *Store) freeNumber(ctx context.Context, env *schema.Environment, after int, why error) (int, error) {
	all, err := c.SecretHeads(ctx, env.Namespace, "", "")
	if err != nil {
		return after, fmt.Errorf("revisions of environment %s: %w", env.Name, err)
	}
	taken := map[int]bool{}
	for _, s := range all {
		number, _, _ := strings.Cut(strings.TrimPrefix(s.Name, revisionPrefix(env.Name)), ".")
		if n, ok := Canonical(number, NumberLimit); ok && strings.HasPrefix(s.Name, revisionPrefix(env.Name)) {
			taken[n] = true
		}
	}
	for n := after + 1; n < after+gapLimit && n <= NumberLimit; n++ {
		if !taken[n] {
			return n, nil
		}
	}
	return after, fmt.Errorf("revision %d: Secrets of other kinds hold the places of the next %d revisions: delete those named %s* in namespace %s that are not of type %s: %w",
		after, gapLimit, revisionPrefix(env.Name), env.Namespace, revisionType, why)
}

// Forget deletes the revisions up to a number.
func (c *Store) Forget(ctx context.Context, namespace string, parts []Part, upTo int) error {
	var errs []error
	for _, p := range parts {
		if p.number > upTo {
			continue
		}
		err := c.Secrets(namespace).Delete(ctx, p.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &p.UID}})
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("forget revision %d: %w", p.number, err))
		}
	}
	return errors.Join(errs...)
}

func revisionName(env string, number, part int) string {
	return fmt.Sprintf("%s%d.%d", revisionPrefix(env), number, part)
}

func revisionPrefix(env string) string { return schema.ParentName(env) + ".r" }

// secret is one part of the revision.
func (r Revision) secret(part int, chunk []byte) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1",
		"kind":       "Secret",
		"type":       revisionType,
		"data":       map[string]any{"part": base64.StdEncoding.EncodeToString(chunk)},
	}}
	u.SetName(revisionName(r.Environment.Name, r.Number, part))
	u.SetNamespace(r.Environment.Namespace)
	u.SetLabels(map[string]string{
		schema.LabelManagedBy: schema.Manager,
		labelEnvironment:      r.Environment.Name,
		labelRevision:         strconv.Itoa(r.Number),
		labelPart:             strconv.Itoa(part),
	})
	return u
}

// Runnable refuses units that could not be applied one behind the other: two of a
// name, or a circle. What is rendered has neither, but a revision may have been
// written by anybody, and its units may stand beside those of git.
func Runnable(env *schema.Environment) error {
	const entered, left = 1, 2
	state := map[string]int{}
	units := map[string]*schema.Unit{}
	for i := range env.Units {
		u := &env.Units[i]
		if units[u.Name] != nil {
			return fmt.Errorf("there are two units %.80q", u.Name)
		}
		units[u.Name] = u
	}
	var enter func(name string) error
	enter = func(name string) error {
		u := units[name]
		switch {
		case u == nil || state[name] == left:
			return nil
		case state[name] == entered:
			return fmt.Errorf("unit %.80q stands behind itself", name)
		}
		state[name] = entered
		for _, before := range u.After {
			if err := enter(before); err != nil {
				return err
			}
		}
		state[name] = left
		return nil
	}
	for _, u := range env.Units {
		if err := enter(u.Name); err != nil {
			return err
		}
	}
	return nil
}
