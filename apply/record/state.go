package record

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/apply/canary"
	"github.com/seed-428f4edd/evenkeel/apply/managed"
	"github.com/seed-428f4edd/evenkeel/apply/mask"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// State is what evenkeel keeps beside an environment for later plans, in a Secret
// that only an apply writes: receipts of dry-runs that changed nothing, Jobs that
// are done, and the key of keyed hashes. Losing it costs some dry-runs, and runs
// again what expired.
type State struct {
	// Key is nil before the first apply.
	Key []byte
	// Receipts by object; see Receipt.
	Receipts map[string]string
	// Finished are the Jobs that succeeded, as they were rendered; see Expires.
	Finished map[string]string
	// Members are the objects of the last recorded apply: what of them lost its
	// label is found by name.
	Members []schema.Ref
	// Canary is where the canary of an app stands; nil where none runs.
	Canary *canary.State
	// Marked are the fields of the last recorded apply whose values are not shown.
	Marked []MarkedObject
	// raw is what is signed of the state that was read, with its signature.
	raw       []string
	signature string
	verified  bool
	// Warnings are about what of the state could not be used.
	Warnings []string
	// stored is what is in the cluster, to know whether there is news.
	stored *State
}

// MarkedObject is an object with fields whose values are not shown.
type MarkedObject struct {
	Ref   schema.Ref
	Marks []mask.Mark
}

// packMarked and unpackMarked are the form of marked objects in the state.
func packMarked(all []MarkedObject) ([]byte, error) {
	packed := map[string][]mask.Mark{}
	for _, m := range all {
		key, err := json.Marshal(m.Ref)
		if err != nil {
			return nil, err
		}
		packed[string(key)] = m.Marks
	}
	return json.Marshal(packed)
}

func unpackMarked(raw []byte) []MarkedObject {
	var packed map[string][]mask.Mark
	if json.Unmarshal(raw, &packed) != nil {
		return nil
	}
	var all []MarkedObject
	for _, key := range slices.Sorted(maps.Keys(packed)) {
		m := MarkedObject{Marks: packed[key]}
		if json.Unmarshal([]byte(key), &m.Ref) == nil {
			all = append(all, m)
		}
	}
	return all
}

// NewState is the state before the first apply.
func NewState() *State {
	return &State{Receipts: map[string]string{}, Finished: map[string]string{}}
}

// Copied is a state that can be changed without changing s.
func (s *State) Copied() *State {
	out := *s
	out.Receipts, out.Finished = maps.Clone(s.Receipts), maps.Clone(s.Finished)
	return &out
}

// StateName is the Secret with the state of an environment.
func StateName(env string) string { return schema.ParentName(env) + "-state" }

// LoadState reads the state. Where it is not there, or may not be read, the plan
// goes without.
//
// Receipts spare a dry-run, so those of a state that is not signed are dropped.
func (c *Store) LoadState(ctx context.Context, env *schema.Environment, signer *Signer) (*State, error) {
	s := NewState()
	secrets := kschema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	u, err := c.Dynamic.Resource(secrets).Namespace(env.Namespace).Get(ctx, StateName(env.Name), metav1.GetOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state of environment %s: %w", env.Name, err)
	}
	data, _, _ := unstructured.NestedStringMap(u.Object, "data")
	s.Key, err = base64.StdEncoding.DecodeString(data["key"])
	if err != nil {
		s.Key = nil
	}
	s.Receipts, s.Finished = unpackMap(data["receipts"]), unpackMap(data["finished"])
	if s.Members, err = unpackMembers(data["members"]); err != nil {
		s.Warnings = append(s.Warnings, fmt.Sprintf("Secret/%s/%s: members: %v; what lost its label is not found", env.Namespace, u.GetName(), err))
	}
	if marked, err := base64.StdEncoding.DecodeString(data["marked"]); err == nil {
		s.Marked = unpackMarked(marked)
	}
	if raw, err := base64.StdEncoding.DecodeString(data["canary"]); err == nil && len(raw) > 0 {
		s.Canary = unpackCanary(raw)
	}
	s.raw, s.signature = signedValues(data), u.GetAnnotations()[annotationSignature]
	s.keep()
	s.renew(env)
	if len(s.Receipts) > 0 || s.Canary != nil {
		return s, s.Verify(ctx, signer)
	}
	return s, nil
}

// signedValues are the values of the state's Secret that its signature is about.
func signedValues(data map[string]string) []string {
	values := []string{data["key"], data["receipts"], data["finished"], data["members"], data["marked"]}
	if data["canary"] != "" { // what was signed before there were any has none
		values = append(values, data["canary"])
	}
	return values
}

// unpackCanary reads where a canary stands. What cannot be is none.
func unpackCanary(raw []byte) *canary.State {
	s := &canary.State{}
	if json.Unmarshal(raw, s) != nil || s.App == "" || s.Step < 0 || s.Replicas < 0 || s.Replicas > ReplicasLimit {
		return nil
	}
	return s
}

// ReplicasLimit bounds the pods that a record may say an app has.
const ReplicasLimit = 10000

// Verify drops the receipts, the members and the canary of a state that is not signed. What has
// finished stays: to run a Job twice would be worse. So do the marks, which only
// hide.
func (s *State) Verify(ctx context.Context, signer *Signer) error {
	if s.verified || s.raw == nil {
		return nil
	}
	ok, err := signer.Signed(ctx, s.signature, signedState, s.raw...)
	if err != nil {
		return err
	}
	if s.verified = true; !ok {
		s.Receipts, s.Members, s.Canary = map[string]string{}, nil, nil
	}
	return nil
}

// packMap and unpackMap are the form of maps by object in the state. What cannot be
// read is empty.
func packMap(m map[string]string) string {
	raw, _ := json.Marshal(m) // strings cannot fail
	return base64.StdEncoding.EncodeToString(raw)
}

func unpackMap(packed string) map[string]string {
	var m map[string]string
	raw, err := base64.StdEncoding.DecodeString(packed)
	if err != nil || json.Unmarshal(raw, &m) != nil || m == nil {
		return map[string]string{}
	}
	return m
}

// keep notes that what is known now is what is in the cluster.
func (s *State) keep() {
	s.stored = &State{Key: s.Key, Receipts: maps.Clone(s.Receipts), Finished: maps.Clone(s.Finished), Members: s.Members, Marked: s.Marked, Canary: s.Canary}
}

// Unsigned reports whether the state bears no signature.
func (s *State) Unsigned() bool { return s.signature == "" }

// Changed reports whether there is something that is not in the cluster.
func (s *State) Changed() bool {
	return s.stored == nil || len(s.stored.Key) == 0 ||
		!maps.Equal(s.Receipts, s.stored.Receipts) || !maps.Equal(s.Finished, s.stored.Finished) || !slices.Equal(s.Members, s.stored.Members) ||
		!reflect.DeepEqual(s.Marked, s.stored.Marked) || !reflect.DeepEqual(s.Canary, s.stored.Canary)
}

// SaveState stores the state. It is written by no two runs at once: the lock is
// held.
func (c *Store) SaveState(ctx context.Context, s *State, env *schema.Environment, signer *Signer) error {
	secret, err := s.secret(env)
	if err == nil {
		err = s.sign(ctx, secret, signer)
	}
	if err != nil {
		return fmt.Errorf("state of environment %s: %w", env.Name, err)
	}
	err = c.writeState(ctx, secret)
	if apierrors.IsInvalid(err) {
		c.Warn(fmt.Sprintf("the state of environment %s is not kept, as another Secret has its place: kubectl delete secret -n %s %s (%v)", env.Name, env.Namespace, secret.GetName(), err))
		return nil // it is not needed: some dry-runs are sent again
	}
	if err != nil {
		return fmt.Errorf("state of environment %s: %w", env.Name, err)
	}
	s.keep()
	return nil
}

// writeState writes the Secret of a state. Another one that stands in its place, of
// another type or immutable, is deleted: the name is evenkeel's. It is Invalid where that
// does not go away.
func (c *Store) writeState(ctx context.Context, secret *unstructured.Unstructured) error {
	secrets := c.Secrets(secret.GetNamespace())
	write := func() error {
		_, err := secrets.Apply(ctx, secret.GetName(), secret, metav1.ApplyOptions{FieldManager: revisionManager, Force: true})
		return err
	}
	err := write()
	if !apierrors.IsInvalid(err) {
		return err
	}
	if gone := secrets.Delete(ctx, secret.GetName(), metav1.DeleteOptions{}); gone != nil && !apierrors.IsNotFound(gone) {
		return err
	}
	return write()
}

// sign puts the signature on the state that is to be stored.
func (s *State) sign(ctx context.Context, secret *unstructured.Unstructured, signer *Signer) error {
	data, _, err := unstructured.NestedStringMap(secret.Object, "data")
	if err != nil {
		return err
	}
	signature, err := signer.Sign(ctx, signedState, signedValues(data)...)
	if err != nil || signature == "" {
		return err
	}
	s.raw, s.signature, s.verified = signedValues(data), signature, true
	secret.SetAnnotations(map[string]string{annotationSignature: signature})
	return nil
}

// PackMembers is a list of objects, compressed: ten thousand of them would fill
// a Secret.
func PackMembers(members []schema.Ref) (string, error) {
	raw, err := json.Marshal(members)
	if err != nil {
		return "", err
	}
	packed, err := compress(raw)
	return base64.StdEncoding.EncodeToString(packed), err
}

// unpackMembers reads what PackMembers wrote. What cannot be read is none: the
// label is what membership is known by. Too many are none, and an error.
func unpackMembers(packed string) ([]schema.Ref, error) {
	compressed, err := base64.StdEncoding.DecodeString(packed)
	if err != nil || len(compressed) == 0 {
		return nil, nil
	}
	raw, err := decompress(compressed, membersLimit)
	if errors.As(err, new(TooLarge)) {
		return nil, err
	}
	if countValues(raw) > mostMembers*5 { // an object has four fields
		return nil, tooMany{mostMembers * 5}
	}
	var members []schema.Ref
	if err != nil || json.Unmarshal(raw, &members) != nil {
		return nil, nil
	}
	return members, nil
}

// secret is the object to store the state as. It gets a key if there is none yet.
// It is no member of the ApplySet: the environment does not render it.
func (s *State) secret(env *schema.Environment) (*unstructured.Unstructured, error) {
	if len(s.Key) == 0 {
		s.Key = make([]byte, 32)
		_, _ = rand.Read(s.Key) // never fails (crypto/rand)
	}
	members, err := PackMembers(s.Members)
	if err != nil {
		return nil, err
	}
	marked, err := packMarked(s.Marked)
	if err != nil {
		return nil, err
	}
	secret := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1",
		"kind":       "Secret",
		"metadata": map[string]any{
			"name":      StateName(env.Name),
			"namespace": env.Namespace,
			"labels":    map[string]any{schema.LabelManagedBy: schema.Manager},
		},
		"type": "evenkeel.dev/state",
		"data": map[string]any{
			"key":      base64.StdEncoding.EncodeToString(s.Key),
			"receipts": packMap(s.Receipts),
			"finished": packMap(s.Finished),
			"members":  members,
			"marked":   base64.StdEncoding.EncodeToString(marked),
		},
	}}
	if s.Canary == nil {
		return secret, nil
	}
	raw, err := json.Marshal(s.Canary)
	if err != nil {
		return nil, err
	}
	return secret, unstructured.SetNestedField(secret.Object, base64.StdEncoding.EncodeToString(raw), "data", "canary")
}

// Receipt identifies a pair of desired and live object whose dry-run changed
// nothing. What changes without anybody touching the object is left out: status,
// versions and times. Who owns which field is not, and neither is the generation
// of the CRD of a custom resource.
func Receipt(desired, live *unstructured.Unstructured, schema int64) (string, error) {
	object := maps.Clone(live.Object)
	delete(object, "status")
	meta, _ := object["metadata"].(map[string]any)
	meta = maps.Clone(meta)
	delete(meta, "resourceVersion")
	delete(meta, "generation")
	delete(meta, "managedFields")
	object["metadata"] = meta
	return HashOf(live.GetUID(), desired.Object, object, managed.Ownership(live), schema)
}
