package apply

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

// annotationSignature carries the signature of a parent or a revision, annotationFightsBy
// that of the fights that are noted on a parent.
const (
	annotationSignature = "evenkeel.dev/signature"
	annotationFightsBy  = "evenkeel.dev/fights-signature"
)

// keyNamespace is where the keys are: it is in every cluster, and who may write
// there is its administrator.
const keyNamespace = metav1.NamespaceSystem

// keyName is the Secret with the key of an environment. Neither name can hold a
// dot, so no two environments have the same.
func keyName(env, namespace string) string { return schema.Manager + "." + namespace + "." + env }

// signingKey is what is known of the key of an environment.
type signingKey struct {
	asked     bool
	value     []byte // nil: there is none
	noted     noted
	forbidden bool
}

// noted is what stands beside the key, where no tenant of the namespace can write.
type noted struct {
	// newest is the number of the newest revision that was signed; 0 is not known. What
	// is older than those that are kept was deleted, and is not believed if somebody puts
	// it back.
	newest int
	commit string // of the newest revision that has one
	hold   string // the rendered digest that was rolled back from
}

// signer signs and checks the records of one environment. It reads the key when
// that is first needed, and once.
type signer struct {
	c              *Cluster
	env, namespace string
	// lenient takes records as they are where the key may not be read: for plans
	// of those who write nothing.
	lenient bool

	mu  sync.Mutex
	key signingKey
}

func (c *Cluster) signer(env, namespace string) *signer {
	return &signer{c: c, env: env, namespace: namespace}
}

// signerOf goes on with what a plan knows of the key.
func (c *Cluster) signerOf(env *schema.Environment, plan *Plan) *signer {
	s := c.signer(env.Name, env.Namespace)
	s.lenient, s.key = !plan.options.ToApply, plan.key
	return s
}

// reader checks records for who writes nothing.
func (c *Cluster) reader(env *schema.Environment) *signer {
	s := c.signer(env.Name, env.Namespace)
	s.lenient = true
	return s
}

// load reads the key. That there is none, or that it may not be read, is no error.
func (s *signer) load(ctx context.Context) error {
	if s.key.asked {
		return nil
	}
	u, err := s.c.secrets(keyNamespace).Get(ctx, keyName(s.env, s.namespace), metav1.GetOptions{})
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
			return &Refused{
				Reason: fmt.Sprintf("Secret/%s/%s holds no key", keyNamespace, u.GetName()),
				Hints:  []string{fmt.Sprintf("kubectl delete secret -n %s %s: the next apply makes a new one, and what was recorded before counts as not signed", keyNamespace, u.GetName())},
			}
		}
		s.key.value = key
		data := func(name string) string {
			text, _, _ := unstructured.NestedString(u.Object, "data", name)
			value, _ := base64.StdEncoding.DecodeString(text)
			return string(value)
		}
		s.key.noted = noted{commit: data("commit"), hold: data("hold")}
		if n, ok := canonical(data("newest"), numberLimit); ok {
			s.key.noted.newest = n
		}
	}
	s.key.asked = true
	return nil
}

// signed reports whether a record was signed by who has the key.
func (s *signer) signed(ctx context.Context, signature, sort string, content ...string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil {
		return false, err
	}
	if s.key.forbidden {
		return s.lenient, nil
	}
	return s.key.value != nil && hmac.Equal([]byte(signature), []byte(s.sum(sort, content))), nil
}

// vouched is signed for what keeps evenkeel from writing. Where there is no key, or who
// asks may not read it, it is believed: what somebody wants left alone is left alone.
func (s *signer) vouched(ctx context.Context, signature, sort string, content ...string) (bool, error) {
	ok, err := s.signed(ctx, signature, sort, content...)
	return ok || !s.hasKey(), err
}

// sign makes the signature of a record, "" where there is no key.
func (s *signer) sign(ctx context.Context, sort string, content ...string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil || s.key.value == nil {
		return "", err
	}
	return s.sum(sort, content), nil
}

// known is what is known of the key by now.
func (s *signer) known() signingKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.key
}

// hasKey reports whether the key was read, or made.
func (s *signer) hasKey() bool { return s.known().value != nil }

// sum is the HMAC of what a record is and says, each with its length, so that
// nothing can be moved from one to the next.
func (s *signer) sum(sort string, content []string) string {
	mac := hmac.New(sha256.New, s.key.value)
	for _, text := range append([]string{schema.Manager + "/v1", s.env, s.namespace, sort}, content...) {
		fmt.Fprintf(mac, "%d:%s", len(text), text)
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// ensure makes a key where there is none. The caller holds the lock of the
// environment. Where admission forbids it, records are not signed.
func (s *signer) ensure(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil || s.key.value != nil || s.key.forbidden {
		return err
	}
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	err := s.write(ctx, key, noted{})
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
func (s *signer) write(ctx context.Context, key []byte, n noted) error {
	data := map[string]any{"key": base64.StdEncoding.EncodeToString(key)}
	set := func(name, value string) {
		if value != "" {
			data[name] = base64.StdEncoding.EncodeToString([]byte(value))
		}
	}
	if n.newest > 0 {
		set("newest", strconv.Itoa(n.newest))
	}
	set("commit", n.commit)
	set("hold", n.hold)
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1",
		"kind":       "Secret",
		"metadata": map[string]any{
			"name":      keyName(s.env, s.namespace),
			"namespace": keyNamespace,
			"labels":    map[string]any{schema.LabelManagedBy: schema.Manager},
		},
		"type": "evenkeel.dev/key",
		"data": data,
	}}
	_, err := s.c.secrets(keyNamespace).Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: revisionManager, Force: true})
	return err
}

// newest is the number of the newest revision that was signed; 0 where that is not
// known.
func (s *signer) newest(ctx context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.load(ctx)
	return s.key.noted.newest, err
}

// note changes what is noted beside the key, where there is one. The caller holds the
// lock of the environment.
func (s *signer) note(ctx context.Context, change func(n *noted)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil || s.key.value == nil {
		return err
	}
	n := s.key.noted
	if change(&n); n == s.key.noted {
		return nil
	}
	if err := s.write(ctx, s.key.value, n); err != nil {
		return fmt.Errorf("key of environment %s: %w", s.env, err)
	}
	s.key.noted = n
	return nil
}

// deleteKey deletes the key, with the environment. Who may not do so leaves it: it
// opens nothing that is left.
func (s *signer) deleteKey(ctx context.Context) error {
	err := s.c.secrets(keyNamespace).Delete(ctx, keyName(s.env, s.namespace), metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil
	}
	return err
}
