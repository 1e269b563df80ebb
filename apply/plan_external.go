package apply

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seed-428f4edd/evenkeel/internal/contain"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// missing is an object that the environment says others make, and that is not
// there, or not with the keys that the environment needs.
type missing struct {
	schema.External
	absent []string // keys; empty where the whole object is missing
	has    []string // the keys that are there
	// forbidden says that it may not be read: whether it is there is not known.
	forbidden bool
}

func (m missing) ref() string { return m.Kind + "/" + m.Namespace + "/" + m.Name }

// reason never tells a value, only keys.
func (m missing) reason() string {
	switch {
	case m.forbidden:
		return m.ref() + ", which others make, could not be checked: no right to get it"
	case len(m.absent) > 0:
		has := "no keys"
		if len(m.has) > 0 {
			has = strings.Join(m.has, ", ")
		}
		return fmt.Sprintf("%s, which others make, has no key %s (it has %s)", m.ref(), strings.Join(m.absent, ", "), has)
	case len(m.Keys) > 0:
		return fmt.Sprintf("%s, which others make, is not there (with the keys %s)", m.ref(), strings.Join(m.Keys, ", "))
	}
	return m.ref() + ", which others make, is not there"
}

func (m missing) warning() string {
	if m.forbidden {
		return m.reason()
	}
	return m.reason() + ": apply refuses"
}

func (m missing) hint() string {
	switch {
	case len(m.absent) > 0:
		return fmt.Sprintf("add it, or correct the keys under external in the environment; kubectl describe %s -n %s %s shows what it has", strings.ToLower(m.Kind), m.Namespace, m.Name)
	case m.Kind == "Secret" && slices.Contains(m.Keys, ".dockerconfigjson"):
		return fmt.Sprintf("kubectl create secret docker-registry %s -n %s --docker-server=... makes it", m.Name, m.Namespace)
	case m.Kind == "Secret" || m.Kind == "ConfigMap":
		command := "secret generic"
		if m.Kind == "ConfigMap" {
			command = "configmap"
		}
		var keys strings.Builder
		for _, key := range m.Keys {
			keys.WriteString(" --from-file=" + key + "=FILE")
		}
		return fmt.Sprintf("kubectl create %s %s -n %s%s makes it", command, m.Name, m.Namespace, keys.String())
	}
	return "make it, or give it optional: true under external where it comes later"
}

// missingExternal looks for what others make, and names what is not there.
func (c *Cluster) missingExternal(ctx context.Context, env *schema.Environment) ([]missing, error) {
	found := make([]*missing, len(env.External))
	group, ctx := contain.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for i, ext := range env.External {
		group.Go(func() (err error) {
			found[i], err = c.lookFor(ctx, ext)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var all []missing
	for _, m := range found {
		if m != nil {
			all = append(all, *m)
		}
	}
	return all, nil
}

// lookFor returns nil where the object is there with its keys.
func (c *Cluster) lookFor(ctx context.Context, ext schema.External) (*missing, error) {
	resource := kschema.GroupVersionResource{Version: "v1", Resource: externalResource(ext.Kind)}
	u, err := c.Dynamic.Resource(resource).Namespace(ext.Namespace).Get(ctx, ext.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return &missing{External: ext}, nil
	case apierrors.IsForbidden(err):
		return &missing{External: ext, forbidden: true}, nil
	case err != nil:
		return nil, fmt.Errorf("%s/%s/%s: %w", ext.Kind, ext.Namespace, ext.Name, err)
	}
	var has []string
	for _, field := range []string{"data", "binaryData"} {
		values, _ := u.Object[field].(map[string]any)
		has = append(has, slices.Sorted(maps.Keys(values))...)
	}
	m := &missing{External: ext, has: has}
	for _, key := range ext.Keys {
		if !slices.Contains(has, key) {
			m.absent = append(m.absent, key)
		}
	}
	if len(m.absent) == 0 {
		return nil, nil
	}
	return m, nil
}

func externalResource(kind string) string { return strings.ToLower(kind) + "s" }

// readsAtOnce bounds the reads in flight of what others make.
const readsAtOnce = 16
