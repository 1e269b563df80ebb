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
// a revision to its number. Beside the key stands the number of the newest revision:
// what is older than those that are kept was deleted, and is not believed if somebody
// puts it back. Of parent and state it is not known which is the newest one.

// The sorts of records.
const (
	signedParent   = "parent"
	signedState    = "state"
	signedRevision = "revision"
)

// annotationSignature carries the signature of a parent or a revision.
const annotationSignature = "evenkeel.dev/signature"

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
	newest    int    // the number of the newest revision; 0: not known
	forbidden bool
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
		text, _, _ = unstructured.NestedString(u.Object, "data", "newest")
		newest, err := base64.StdEncoding.DecodeString(text)
		if n, ok := canonical(string(newest), numberLimit); err == nil && ok {
			s.key.newest = n
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
	err := s.write(ctx, key, 0)
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

// write stores a key and the number of the newest revision.
func (s *signer) write(ctx context.Context, key []byte, newest int) error {
	data := map[string]any{"key": base64.StdEncoding.EncodeToString(key)}
	if newest > 0 {
		data["newest"] = base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(newest)))
	}
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
	return s.key.newest, err
}

// recorded notes the number of a revision that was signed. The caller holds the lock of
// the environment.
func (s *signer) recorded(ctx context.Context, number int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key.value == nil || number <= s.key.newest {
		return nil
	}
	if err := s.write(ctx, s.key.value, number); err != nil {
		return fmt.Errorf("key of environment %s: %w", s.env, err)
	}
	s.key.newest = number
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
