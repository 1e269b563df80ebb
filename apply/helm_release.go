package apply

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/apply/record"
)

// Helm keeps each revision of a release in a Secret (helm.sh/helm/v4/pkg/storage/driver):
// its labels say whose it is, and "release" is base64 of gzip of JSON.
const (
	helmSecretType = "helm.sh/release.v1"
	helmKey        = "release"
	// helmLimit bounds what a release unpacks to; the Secret has 1 MiB at most.
	helmLimit = 64 << 20
)

// helmRecord is the newest revision of a Helm release.
type helmRecord struct {
	secret *corev1.Secret
	data   []byte // JSON; it holds the values of Secrets
}

// NoRelease says that Helm has no such release.
type NoRelease struct{ Namespace, Name string }

func (e NoRelease) Error() string {
	return fmt.Sprintf("no Helm release %q in namespace %s", e.Name, e.Namespace)
}

// HelmRelease is the newest revision of a Helm release as JSON. It holds the values
// of Secrets, and is what the namespace's tenants may have written.
func (c *Cluster) HelmRelease(ctx context.Context, namespace, name string) ([]byte, error) {
	record, err := c.helmRecord(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	return record.data, nil
}

func (c *Cluster) helmRecord(ctx context.Context, namespace, name string) (*helmRecord, error) {
	if len(validation.IsDNS1123Subdomain(name)) > 0 || len(validation.IsDNS1123Label(namespace)) > 0 {
		return nil, NoRelease{namespace, name}
	}
	revisions, err := c.SecretHeads(ctx, namespace, helmSecretType, "owner=helm,name="+name)
	if err != nil {
		return nil, fmt.Errorf("reading Helm release %s: %w", name, err)
	}
	if len(revisions) == 0 {
		return nil, NoRelease{namespace, name}
	}
	newest := slices.MaxFunc(revisions, func(a, b metav1.PartialObjectMetadata) int {
		return helmRevision(&a) - helmRevision(&b)
	})
	live, err := c.Secrets(namespace).Get(ctx, newest.Name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading Helm release %s: %w", name, err)
	}
	record := &helmRecord{secret: &corev1.Secret{}}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, record.secret); err != nil {
		return nil, fmt.Errorf("reading Helm release %s: %w", name, err)
	}
	if record.data, err = unpackHelm(record.secret.Data[helmKey]); err != nil {
		return nil, fmt.Errorf("reading Secret/%s/%s: %w", namespace, newest.Name, err)
	}
	return record, nil
}

func helmRevision(meta *metav1.PartialObjectMetadata) int {
	n, _ := record.Canonical(meta.Labels["version"], record.NumberLimit)
	return n
}

// unpackHelm undoes what Helm packs a release in: base64 of gzip, and before 2.7 of
// nothing.
func unpackHelm(stored []byte) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(string(stored))
	if err != nil {
		return nil, errors.New("it is not base64, as Helm's releases are")
	}
	if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		return data, nil
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("unpacking it: %w", err)
	}
	if data, err = io.ReadAll(io.LimitReader(unzipped, helmLimit+1)); err != nil {
		return nil, fmt.Errorf("unpacking it: %w", err)
	}
	if len(data) > helmLimit {
		return nil, record.TooLarge{Limit: helmLimit}
	}
	return data, nil
}

func packHelm(data []byte) ([]byte, error) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return []byte(base64.StdEncoding.EncodeToString(packed.Bytes())), nil
}

// wrote reports whether the release has an object among its manifests: what an object
// says of itself, anybody may have written who can edit it.
func (h *helmRecord) wrote(o *unstructured.Unstructured) bool {
	var release struct {
		Namespace string `json:"namespace"`
		Manifest  string `json:"manifest"`
	}
	if json.Unmarshal(h.data, &release) != nil {
		return false
	}
	for doc := range bytes.SplitSeq([]byte("\n"+release.Manifest), []byte("\n---")) {
		var head struct {
			Kind     string `json:"kind"`
			Metadata struct {
				Name      string `json:"name"`
				Namespace string `json:"namespace"`
			} `json:"metadata"`
		}
		if yaml.Unmarshal(doc, &head) != nil || head.Kind != o.GetKind() || head.Metadata.Name != o.GetName() {
			continue
		}
		if head.Metadata.Namespace == o.GetNamespace() || head.Metadata.Namespace == "" && release.Namespace == o.GetNamespace() {
			return true
		}
	}
	return false
}

// pendingUpgrade is the status with which Helm refuses helm upgrade: "another
// operation (install/upgrade/rollback) is in progress". helm rollback still works.
const pendingUpgrade = "pending-upgrade"

// handOver is the Secret of the release with the status pendingUpgrade; nil where it
// has that. Nothing of it is lost.
func (h *helmRecord) handOver(to string) (*corev1.Secret, error) {
	var release, info map[string]json.RawMessage
	if json.Unmarshal(h.data, &release) != nil || json.Unmarshal(release["info"], &info) != nil {
		return nil, errors.New("it is not a release of Helm 3 or 4")
	}
	status := strconv.Quote(pendingUpgrade)
	if string(info["status"]) == status {
		return nil, nil
	}
	description, err := json.Marshal("taken over by " + to + "; helm upgrade would undo that")
	if err != nil {
		return nil, err
	}
	info["status"], info["description"] = json.RawMessage(status), description
	if release["info"], err = json.Marshal(info); err != nil {
		return nil, err
	}
	data, err := json.Marshal(release)
	if err != nil {
		return nil, err
	}
	secret := h.secret.DeepCopy()
	secret.Labels["status"] = pendingUpgrade
	secret.Data[helmKey], err = packHelm(data)
	return secret, err
}
