package record

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// The records of an environment lie in its namespace, where others may write:
// having "edit" there must not give anyone evenkeel's own rights. So parent,
// state and revisions are signed (HMAC-SHA256) with a key of the environment's own
// that lies in kube-system, and what they say decides something beyond what git
// says only where the signature is right.
//
// A signature binds a record to its environment, namespace and sort, and that of
// a revision to its number. Beside the key stands what must not be made up or put back
// (noted). Of parent and state it is not known which is the newest one.

// The sorts of records.
const (
	signedParent   = "parent"
	signedState    = "state"
	signedRevision = "revision"
	signedFights   = "fights"
)

// AnnotationSignature carries the signature of a parent or a revision, annotationFightsBy
// that of the fights that are noted on a parent.
const (
	annotationSignature = "evenkeel.dev/signature"
	annotationFightsBy  = "evenkeel.dev/fights-signature"
)

// KeyNamespace is where the keys are: it is in every cluster, and who may write
// there is its administrator.
const KeyNamespace = metav1.NamespaceSystem

// KeyName is the Secret with the key of an environment. Neither name can hold a
// dot, so no two environments have the same.
func KeyName(env, namespace string) string { return schema.Manager + "." + namespace + "." + env }

// Key is what is known of the key of an environment.
type Key struct {
	asked     bool
	value     []byte // nil: there is none
	Noted     Noted
	forbidden bool
}

// Noted is what stands beside the key, where no tenant of the namespace can write.
type Noted struct {
	// Newest is the number of the newest revision that was signed; 0 is not known. What
	// is older than those that are kept was deleted, and is not believed if somebody puts
	// it back.
	Newest int
	Commit string // of the newest revision that has one
	Hold   string // the rendered digest that was rolled back from
}

// Signer signs and checks the records of one environment. It reads the key when
// that is first needed, and once.
type Signer struct {
	c              *Store
	env, namespace string
	// Lenient takes records as they are where the key may not be read: for plans
	// of those who write nothing.
	Lenient bool

	mu  sync.Mutex
	key Key
}

// Signer signs and checks the records of an environment.
func (c *Store) Signer(env, namespace string) *Signer {
	return &Signer{c: c, env: env, namespace: namespace}
}

// Reader checks records for who writes nothing.
func (c *Store) Reader(env *schema.Environment) *Signer {
	s := c.Signer(env.Name, env.Namespace)
	s.Lenient = true
	return s
}

// From goes on with what is known of the key already.
func (s *Signer) From(key Key, lenient bool) *Signer {
	s.Lenient, s.key = lenient, key
	return s
}

// load reads the key. That there is none, or that it may not be read, is no error.
func (s *Signer) load(ctx context.Context) error {
	if s.key.asked {
		return nil
	}
	u, err := s.c.Secrets(KeyNamespace).Get(ctx, KeyName(s.env, s.namespace), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
	case apierrors.IsForbidden(err):
		s.key.forbidden = true
	case err != nil:
		return fmt.Errorf("key of environment %s: %w", s.env, err)
	default:
		text, _, _ := unstructured.NestedString(u.Object, "data", "key")
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(key) < sha256.Size {
			return &hint.Refused{
				Reason: fmt.Sprintf("Secret/%s/%s holds no key", KeyNamespace, u.GetName()),
				Hints:  []string{fmt.Sprintf("kubectl delete secret -n %s %s: the next apply makes a new one, and what was recorded before counts as not signed", KeyNamespace, u.GetName())},
			}
		}
		s.key.value = key
		data := func(name string) string {
			text, _, _ := unstructured.NestedString(u.Object, "data", name)
			value, _ := base64.StdEncoding.DecodeString(text)
			return string(value)
		}
		s.key.Noted = Noted{Commit: data("commit"), Hold: data("hold")}
		if n, ok := Canonical(data("newest"), NumberLimit); ok {
			s.key.Noted.Newest = n
		}
	}
	s.key.asked = true
	return nil
}

// Signed reports whether a record was signed by who has the key.
func (s *Signer) Signed(ctx context.Context, signature, sort string, content ...string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil {
		return false, err
	}
	if s.key.forbidden {
		return s.Lenient, nil
	}
	return s.key.value != nil && hmac.Equal([]byte(signature), []byte(s.sum(sort, content))), nil
}

// vouched is signed for what keeps evenkeel from writing. Where there is no key, or who
// asks may not read it, it is believed: what somebody wants left alone is left alone.
func (s *Signer) vouched(ctx context.Context, signature, sort string, content ...string) (bool, error) {
	ok, err := s.Signed(ctx, signature, sort, content...)
	return ok || !s.HasKey(), err
}

// Sign makes the signature of a record, "" where there is no key.
func (s *Signer) Sign(ctx context.Context, sort string, content ...string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil || s.key.value == nil {
		return "", err
	}
	return s.sum(sort, content), nil
}

// Known is what is known of the key by now.
func (s *Signer) Known() Key {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.key
}

// HasKey reports whether the key was read, or made.
func (s *Signer) HasKey() bool { return s.Known().value != nil }

// sum is the HMAC of what a record is and says, each with its length, so that
// nothing can be moved from one to the next.
func (s *Signer) sum(sort string, content []string) string {
	mac := hmac.New(sha256.New, s.key.value)
	for _, text := range append([]string{schema.Manager + "/v1", s.env, s.namespace, sort}, content...) {
		fmt.Fprintf(mac, "%d:%s", len(text), text)
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// EnsureKey makes a key where there is none. The caller holds the lock of the
// environment. Where admission forbids it, records are not signed.
func (s *Signer) EnsureKey(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil || s.key.value != nil || s.key.forbidden {
		return err
	}
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	err := s.write(ctx, key, Noted{})
	if apierrors.IsForbidden(err) {
		s.key.forbidden = true
		s.c.Warn(fmt.Sprintf("the records of environment %s are not signed: %v", s.env, err))
		return nil
	}
	if err != nil {
		return fmt.Errorf("key of environment %s: %w", s.env, err)
	}
	s.key.value = key
	return nil
}

// write stores a key and what is noted beside it.
func (s *Signer) write(ctx context.Context, key []byte, n Noted) error {
	data := map[string]any{"key": base64.StdEncoding.EncodeToString(key)}
	set := func(name, value string) {
		if value != "" {
			data[name] = base64.StdEncoding.EncodeToString([]byte(value))
		}
	}
	if n.Newest > 0 {
		set("newest", strconv.Itoa(n.Newest))
	}
	set("commit", n.Commit)
	set("hold", n.Hold)
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1",
		"kind":       "Secret",
		"metadata": map[string]any{
			"name":      KeyName(s.env, s.namespace),
			"namespace": KeyNamespace,
			"labels":    map[string]any{schema.LabelManagedBy: schema.Manager},
		},
		"type": "evenkeel.dev/key",
		"data": data,
	}}
	_, err := s.c.Secrets(KeyNamespace).Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: revisionManager, Force: true})
	return err
}

// Newest is the number of the newest revision that was signed; 0 where that is not
// known.
func (s *Signer) Newest(ctx context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.load(ctx)
	return s.key.Noted.Newest, err
}

// Note changes what is noted beside the key, where there is one. The caller holds the
// lock of the environment.
func (s *Signer) Note(ctx context.Context, change func(n *Noted)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil || s.key.value == nil {
		return err
	}
	n := s.key.Noted
	if change(&n); n == s.key.Noted {
		return nil
	}
	if err := s.write(ctx, s.key.value, n); err != nil {
		return fmt.Errorf("key of environment %s: %w", s.env, err)
	}
	s.key.Noted = n
	return nil
}

// DeleteKey deletes the key, with the environment. Who may not do so leaves it: it
// opens nothing that is left.
func (s *Signer) DeleteKey(ctx context.Context) error {
	err := s.c.Secrets(KeyNamespace).Delete(ctx, KeyName(s.env, s.namespace), metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil
	}
	return err
}
