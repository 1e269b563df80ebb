package apply_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// rightsEnv is an environment that is applied with the least rights.
type rightsEnv struct {
	env    *schema.Environment
	before *schema.Environment // what the admin applied once
	noWait bool
	cfg    *rest.Config
	admin  *apply.Cluster
}

// others makes what the environment needs and does not make.
func (e *rightsEnv) others(t *testing.T) {
	t.Helper()
	client, err := kubernetes.NewForConfig(e.cfg)
	must(t, err)
	for _, ext := range e.env.External {
		if ext.Kind != "Secret" {
			continue
		}
		_, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ext.Namespace}}, metav1.CreateOptions{})
		if !apierrors.IsAlreadyExists(err) {
			must(t, err)
		}
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: ext.Name}, StringData: map[string]string{}}
		for _, key := range ext.Keys {
			secret.StringData[key] = "x"
		}
		_, err = client.CoreV1().Secrets(ext.Namespace).Create(t.Context(), secret, metav1.CreateOptions{})
		must(t, err)
	}
}

// relabel takes the label of the set from every object, so that a plan has to ask
// for each by name, and scales workloads.
func (e *rightsEnv) relabel(t *testing.T) {
	t.Helper()
	e.admin.Mapper.Reset()
	for i := range e.env.Units {
		for _, o := range e.env.Units[i].Objects {
			client := e.client(t, o.Unstructured)
			_, err := client.Patch(t.Context(), o.GetName(), types.MergePatchType,
				[]byte(`{"metadata":{"labels":{"`+schema.LabelPartOf+`":null}}}`), metav1.PatchOptions{FieldManager: "kubectl-label"})
			must(t, err)
			if o.GetKind() == "Deployment" {
				_, err := client.Patch(t.Context(), o.GetName(), types.MergePatchType, []byte(`{"spec":{"replicas":3}}`), metav1.PatchOptions{FieldManager: "kubectl"}, "scale")
				must(t, err)
			}
		}
	}
}

// remove deletes what could not be tried before what it stands on was there:
// custom resources and bindings.
func (e *rightsEnv) remove(t *testing.T) {
	t.Helper()
	removed := map[string]bool{"RoleBinding": true, "ClusterRoleBinding": true}
	for i := range e.env.Units {
		for _, o := range e.env.Units[i].Objects {
			if o.GetKind() == "CustomResourceDefinition" {
				kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
				removed[kind] = true
			}
		}
	}
	for i := range e.env.Units {
		for _, o := range e.env.Units[i].Objects {
			if removed[o.GetKind()] {
				must(t, e.client(t, o.Unstructured).Delete(t.Context(), o.GetName(), metav1.DeleteOptions{}))
			}
		}
	}
}

func (e *rightsEnv) client(t *testing.T, o *unstructured.Unstructured) dynamic.ResourceInterface {
	t.Helper()
	m, err := e.admin.Mapper.RESTMappingWithContext(t.Context(), o.GroupVersionKind().GroupKind(), o.GroupVersionKind().Version)
	must(t, err)
	return e.admin.Dynamic.Resource(m.Resource).Namespace(o.GetNamespace())
}

// less is what is left of the environment when everything that these rights may
// delete has gone from it.
func (e *rightsEnv) less() *schema.Environment {
	env := *e.env
	env.Units = slices.Clone(env.Units)
	for i := range env.Units {
		env.Units[i].Objects = slices.DeleteFunc(slices.Clone(env.Units[i].Objects), func(o schema.Object) bool {
			return o.GetKind() != "Namespace"
		})
	}
	return &env
}

// broken is the environment with workloads that crash, and nothing declared
// healthy.
func (e *rightsEnv) broken() *schema.Environment {
	env := *e.env
	env.Units = slices.Clone(env.Units)
	for i := range env.Units {
		objects := slices.Clone(env.Units[i].Objects)
		for j := range objects {
			o := objects[j].DeepCopy()
			containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
			for _, c := range containers {
				if container, ok := c.(map[string]any); ok {
					container["image"] = "example.com/app:broken-crash"
				}
			}
			if len(containers) > 0 {
				_ = unstructured.SetNestedSlice(o.Object, containers, "spec", "template", "spec", "containers")
			}
			if objects[j].Recreate {
				_ = unstructured.SetNestedField(o.Object, "two", "data", "a")
			}
			objects[j].Unstructured, objects[j].Ready = o, nil
		}
		env.Units[i].Objects = objects
	}
	return &env
}

// untilBroken waits until every workload says why it fails.
func (e *rightsEnv) untilBroken(t *testing.T, broken *schema.Environment) {
	t.Helper()
	workloads := 0
	for i := range broken.Units {
		for _, o := range broken.Units[i].Objects {
			if slices.Contains([]string{"Deployment", "DaemonSet", "StatefulSet"}, o.GetKind()) {
				workloads++
			}
		}
	}
	failing := 0
	for range 60 {
		status, err := e.admin.Status(t.Context(), broken, apply.StatusOptions{})
		must(t, err)
		failing = 0
		for _, u := range status.Units {
			for _, o := range u.Objects {
				if strings.Contains(o.Message, "exit code 1") || strings.Contains(o.Message, "CrashLoopBackOff") {
					failing++
				}
			}
		}
		if failing == workloads {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Fatalf("%d of %d workloads crash", failing, workloads)
}

// deletePods deletes those that a StatefulSet does not replace by itself while
// they crash.
func (e *rightsEnv) deletePods(t *testing.T) {
	t.Helper()
	for i := range e.env.Units {
		for _, o := range e.env.Units[i].Objects {
			if o.GetKind() == "StatefulSet" {
				pods := e.admin.Dynamic.Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace(o.GetNamespace())
				must(t, pods.Delete(t.Context(), o.GetName()+"-0", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}))
			}
		}
	}
}

// exampleEnvs are the worked examples as the command renders them.
func exampleEnvs(t *testing.T) []*rightsEnv {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "run", "../cmd/evenkeel", "render-child")
	in, err := cmd.StdinPipe() // which stays open: at its end the child takes us for dead
	must(t, err)
	go func() { _, _ = io.WriteString(in, `{"dir": "..", "all": true}`) }()
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	must(t, err)
	type answer struct {
		Environments []*schema.Environment `json:"environments"`
		Wrong        map[string]string     `json:"wrong"`
	}
	var rendered answer
	for messages := json.NewDecoder(bytes.NewReader(out)); messages.More(); { // the last has the answer
		var message struct {
			Response *answer `json:"response"`
		}
		must(t, messages.Decode(&message))
		if message.Response != nil {
			rendered = *message.Response
		}
	}
	if len(rendered.Environments) != 10 || len(rendered.Wrong) > 0 {
		t.Fatalf("%d environments, want 10; wrong: %v", len(rendered.Environments), rendered.Wrong)
	}
	var envs []*rightsEnv
	for _, env := range rendered.Environments {
		env.Protected = false // which is about the person, not his rights
		// In a sandbox no aggregated API server answers, nobody serves metrics to an
		// autoscaler, and no Service gets an address: those are not waited for.
		envs = append(envs, &rightsEnv{env: env, noWait: env.Name == "cloud-infra" || env.Name == "cloud-prod"})
	}
	return envs
}

// parseEnv reads an environment from manifests that bear the labels of render.
func parseEnv(t *testing.T, name, namespace, text string) *schema.Environment {
	t.Helper()
	env := &schema.Environment{Name: name, Namespace: namespace}
	for doc := range strings.SplitSeq(text, "\n---\n") {
		if strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(doc), "---")) == "" {
			continue
		}
		raw, err := yaml.YAMLToJSON([]byte(doc))
		must(t, err)
		o := &unstructured.Unstructured{}
		must(t, o.UnmarshalJSON(raw))
		labels := o.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		if labels[schema.LabelUnit] == "" {
			labels[schema.LabelUnit] = "app"
		}
		labels[schema.LabelPartOf], labels[schema.LabelManagedBy] = schema.ApplySetID(name, namespace), schema.Manager
		o.SetLabels(labels)
		if env.Unit(labels[schema.LabelUnit]) == nil {
			env.Units = append(env.Units, schema.Unit{Name: labels[schema.LabelUnit]})
		}
		unit := env.Unit(labels[schema.LabelUnit])
		unit.Objects = append(unit.Objects, schema.Object{Unstructured: o, Key: o.GetName()})
	}
	return env
}

// cornerEnv has what the worked examples have not: claims, a custom resource that
// nobody reports on, roles that cannot be held, and an object that left it.
func cornerEnv(t *testing.T) *rightsEnv {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "corner.yaml"))
	must(t, err)
	env := parseEnv(t, "rights-corner", "rights-corner", string(raw))
	before := *env
	before.Units = slices.Clone(env.Units[:1])
	before.Units[0].Objects = slices.Clone(before.Units[0].Objects)
	env.Units[0].Objects = slices.DeleteFunc(env.Units[0].Objects, func(o schema.Object) bool { return o.GetName() == "left" })
	env.External = []schema.External{{Kind: "ConfigMap", Namespace: "default", Name: "kube-root-ca.crt", Keys: []string{"ca.crt"}}}
	app := env.Unit("app").Objects
	for i, o := range app {
		switch o.GetKind() + "/" + o.GetName() {
		case "ConfigMap/frozen":
			app[i].Recreate = true
		case "PersistentVolumeClaim/data": // its class does not exist
			app[i].Ready = &schema.ReadyRule{CEL: "true"}
		}
	}
	return &rightsEnv{env: env, before: &before}
}
