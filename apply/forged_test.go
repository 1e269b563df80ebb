package apply_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/applytest"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

const (
	annotationMeta       = "evenkeel.dev/meta"
	AnnotationNamespaces = "applyset.kubernetes.io/additional-namespaces"
	annotationSignature  = "evenkeel.dev/signature"
	bindingToForge       = `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: NS-mallory},
		roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}, subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: mallory}]}`
)

// tenant is somebody with the ClusterRole edit in the environment's namespace, and
// nothing else.
func (w *world) tenant() *kubernetes.Clientset {
	w.Helper()
	admin, err := kubernetes.NewForConfig(w.cluster.Config)
	w.must(err)
	_, err = admin.RbacV1().RoleBindings(w.env.Namespace).Create(w.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "mallory"},
		Subjects:   []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: "mallory-" + w.env.Namespace}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
	}, metav1.CreateOptions{})
	w.must(err)
	cfg := rest.CopyConfig(w.cluster.Config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: "mallory-" + w.env.Namespace}
	client, err := kubernetes.NewForConfig(cfg)
	w.must(err)
	w.Cleanup(func() {
		_ = admin.CoreV1().Secrets("kube-system").Delete(context.WithoutCancel(w.Context()), apply.KeyName(w.env.Name, w.env.Namespace), metav1.DeleteOptions{})
	})
	return client
}

// apply plans and applies as an administrator.
func (w *world) apply(opts apply.ApplyOptions) *apply.Report {
	w.Helper()
	opts.NoWait, opts.Yes = true, true
	report, err := applyWith(w.Context(), w.cluster, w.env, opts)
	w.must(err)
	return report
}

// TestForgedRevision reads what a tenant makes of the Secret of a revision: as
// nothing, or as what nobody has signed.
func TestForgedRevision(t *testing.T) {
	w := newWorld(t)
	tenant := w.tenant()
	secrets := tenant.CoreV1().Secrets(w.env.Namespace)
	w.desires("web", webConfig)
	w.apply(apply.ApplyOptions{})
	w.env.Unit("web").Objects[0].Object["data"] = map[string]any{"a": "two"}
	w.apply(apply.ApplyOptions{})
	other := *w.env
	other.Name += "-o"
	otherWorld := &world{T: t, cluster: w.cluster, editor: w.editor, env: &schema.Environment{Name: other.Name, Namespace: w.env.Namespace}}
	otherWorld.desires("web", strings.Replace(webConfig, "name: web", "name: other", 1))
	otherWorld.apply(apply.ApplyOptions{})

	if _, err := tenant.CoreV1().Secrets("kube-system").Get(t.Context(), apply.KeyName(w.env.Name, w.env.Namespace), metav1.GetOptions{}); err == nil {
		t.Fatal("the tenant can read the key")
	}
	get := func(name string) *corev1.Secret {
		s, err := secrets.Get(t.Context(), name, metav1.GetOptions{})
		w.must(err)
		return s
	}
	name := schema.ParentName(w.env.Name) + ".r1.0"
	honest, second := get(name), get(schema.ParentName(w.env.Name)+".r2.0")
	foreign := get(schema.ParentName(other.Name) + ".r1.0")
	one, err := w.cluster.Revision(t.Context(), w.env.Name, w.env.Namespace, 1)
	if err != nil || !one.Authenticated {
		t.Fatalf("what an apply recorded is not authenticated: %v", err)
	}

	evil := one.Restored(w.env)
	evilWorld := &world{T: t, cluster: w.cluster, editor: w.editor, env: evil}
	evilWorld.desires("evil", bindingToForge)
	packed, sum, err := apply.PackRevision(evil, nil)
	w.must(err)
	meta := func(s *corev1.Secret, change func(m map[string]any)) {
		var m map[string]any
		w.must(json.Unmarshal([]byte(s.Annotations[annotationMeta]), &m))
		change(m)
		raw, err := json.Marshal(m)
		w.must(err)
		s.Annotations[annotationMeta] = string(raw)
	}
	for _, forged := range []struct {
		name   string
		change func(s *corev1.Secret)
		absent bool // not even read
	}{
		{"other manifests", func(s *corev1.Secret) { s.Data["part"] = packed }, true},
		{"other manifests and their sum", func(s *corev1.Secret) {
			s.Data["part"] = packed
			meta(s, func(m map[string]any) { m["sum"] = sum })
		}, false},
		{"as before there were sums", func(s *corev1.Secret) {
			s.Data["part"] = packed
			meta(s, func(m map[string]any) { delete(m, "sum"); m["authenticated"] = true })
		}, false},
		{"no signature", func(s *corev1.Secret) { delete(s.Annotations, annotationSignature) }, false},
		{"an empty signature", func(s *corev1.Secret) { s.Annotations[annotationSignature] = "" }, false},
		{"the signature of the parent", func(s *corev1.Secret) {
			p, err := tenant.CoreV1().ConfigMaps(w.env.Namespace).Get(t.Context(), schema.ParentName(w.env.Name), metav1.GetOptions{})
			w.must(err)
			s.Annotations[annotationSignature] = p.Annotations[annotationSignature]
		}, false},
		{"it says that it is authenticated", func(s *corev1.Secret) {
			meta(s, func(m map[string]any) { m["authenticated"] = true })
		}, false},
		{"another author", func(s *corev1.Secret) { meta(s, func(m map[string]any) { m["who"] = "admin" }) }, false},
		{"the next revision as this one", func(s *corev1.Secret) { s.Data, s.Annotations = second.Data, second.Annotations }, true},
		{"the next revision with this number", func(s *corev1.Secret) {
			s.Data, s.Annotations = second.Data, maps.Clone(second.Annotations)
			meta(s, func(m map[string]any) { m["number"] = 1 })
		}, false},
		{"the manifests of the next revision", func(s *corev1.Secret) { s.Data = second.Data }, true},
		{"another environment's revision", func(s *corev1.Secret) { s.Data, s.Annotations = foreign.Data, foreign.Annotations }, true},
		{"a part cut off", func(s *corev1.Secret) { s.Data["part"] = s.Data["part"][:len(s.Data["part"])/2] }, true},
		{"no part", func(s *corev1.Secret) { s.Data = nil }, true},
		{"more parts than there are", func(s *corev1.Secret) { meta(s, func(m map[string]any) { m["parts"] = 3 }) }, true},
		{"another number in the label", func(s *corev1.Secret) { s.Labels["evenkeel.dev/revision"] = "9223372036854775807" }, true},
		{"zeros before the number", func(s *corev1.Secret) { s.Labels["evenkeel.dev/revision"] = "01" }, true},
		{"no meta", func(s *corev1.Secret) { delete(s.Annotations, annotationMeta) }, true},
		{"meta that is null", func(s *corev1.Secret) { s.Annotations[annotationMeta] = "null" }, true},
		{"a very long author", func(s *corev1.Secret) {
			meta(s, func(m map[string]any) { m["who"] = strings.Repeat("x", 200<<10) })
		}, false},
	} {
		s := honest.DeepCopy()
		s.ResourceVersion = ""
		forged.change(s)
		_, err := secrets.Update(t.Context(), s, metav1.UpdateOptions{})
		w.must(err)
		got, err := w.cluster.Revision(t.Context(), w.env.Name, w.env.Namespace, 1)
		switch {
		case forged.absent && err == nil:
			t.Errorf("%s: it is read", forged.name)
		case !forged.absent && err != nil:
			t.Errorf("%s: %v", forged.name, err)
		case err == nil && got.Authenticated:
			t.Errorf("%s: it counts as authenticated", forged.name)
		}
		if _, err := w.cluster.History(t.Context(), w.env.Name, w.env.Namespace); err != nil {
			t.Errorf("%s: no history: %v", forged.name, err)
		}
	}

	// What the administrator goes back to.
	s := honest.DeepCopy()
	s.ResourceVersion, s.Data["part"] = "", packed
	meta(s, func(m map[string]any) { m["sum"] = sum })
	_, err = secrets.Update(t.Context(), s, metav1.UpdateOptions{})
	w.must(err)
	if beyond := w.beyond(1); !slices.ContainsFunc(beyond, func(line string) bool { return strings.Contains(line, "-mallory") }) {
		t.Errorf("the binding is not beyond anything: %q", beyond)
	}
	restored := honest.DeepCopy()
	restored.ResourceVersion = ""
	_, err = secrets.Update(t.Context(), restored, metav1.UpdateOptions{})
	w.must(err)
	if beyond := w.beyond(1); len(beyond) > 0 {
		t.Errorf("an honest rollback: %q", beyond)
	}

	// An apply of one unit does not vouch for what others forged.
	w.desires("second", strings.Replace(webConfig, "name: web", "name: second", 1))
	s = get(schema.ParentName(w.env.Name) + ".r2.0")
	delete(s.Annotations, annotationSignature)
	_, err = secrets.Update(t.Context(), s, metav1.UpdateOptions{})
	w.must(err)
	opts := apply.ApplyOptions{Units: []string{"second"}}
	w.apply(opts)
	three, err := w.cluster.Revision(t.Context(), w.env.Name, w.env.Namespace, 3)
	if err != nil || three.Authenticated {
		t.Errorf("revision 3 is made of one that is not signed, and counts as signed: %v", err)
	}
}

// TestReplayedRevision puts back what was once true: a revision that was forgotten is not
// believed again, and the newest one cannot be taken away unseen.
func TestReplayedRevision(t *testing.T) {
	w := newWorld(t)
	secrets := w.tenant().CoreV1().Secrets(w.env.Namespace)
	w.desires("web", webConfig)
	applied := 0
	change := func() int {
		applied++
		w.env.Unit("web").Objects[0].Object["data"] = map[string]any{"a": strconv.Itoa(applied)}
		return w.apply(apply.ApplyOptions{}).Revision
	}
	name := func(number int) string { return fmt.Sprintf("%s.r%d.0", schema.ParentName(w.env.Name), number) }
	change()
	first, err := secrets.Get(t.Context(), name(1), metav1.GetOptions{})
	w.must(err)
	for applied < 12 { // of which ten are kept
		change()
	}
	first.ResourceVersion, first.UID = "", ""
	_, err = secrets.Create(t.Context(), first, metav1.CreateOptions{})
	w.must(err)
	again, err := w.cluster.Revision(t.Context(), w.env.Name, w.env.Namespace, 1)
	if err != nil || again.Authenticated {
		t.Errorf("a revision that was put back is believed: %v", err)
	}
	kept, err := w.cluster.Revision(t.Context(), w.env.Name, w.env.Namespace, 3)
	if err != nil || !kept.Authenticated {
		t.Errorf("one that was kept is not believed: %v", err)
	}

	w.must(secrets.Delete(t.Context(), name(12), metav1.DeleteOptions{}))
	newest, err := w.cluster.Revision(t.Context(), w.env.Name, w.env.Namespace, 0)
	if err != nil || newest.Number != 11 || newest.Authenticated {
		t.Errorf("revision 11 passes for the newest: %v", err)
	}
	if beyond := w.beyond(0); !slices.ContainsFunc(beyond, func(line string) bool { return strings.Contains(line, "revision 12 was recorded, and is gone") }) {
		t.Errorf("nothing is said of the one that is gone: %q", beyond)
	}
	if number := change(); number != 13 {
		t.Errorf("after revision 12 comes %d", number)
	}
	w.must(secrets.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{FieldSelector: "type=evenkeel.dev/revision"}))
	if number := change(); number != 14 {
		t.Errorf("after revision 13 comes %d", number)
	}
	if newest, err = w.cluster.Revision(t.Context(), w.env.Name, w.env.Namespace, 0); err != nil || !newest.Authenticated {
		t.Errorf("the newest is not believed: %v", err)
	}
}

// beyond is what a rollback would do beyond what git vouches for.
func (w *world) beyond(number int) []string {
	w.Helper()
	back, err := w.cluster.Rollback(w.Context(), w.env, number)
	w.must(err)
	plan, err := w.cluster.Plan(w.Context(), back.To.Restored(w.env), apply.PlanOptions{ToApply: true})
	w.must(err)
	beyond, err := w.cluster.Beyond(w.Context(), w.env, back, plan)
	w.must(err)
	return beyond
}

// TestForgedParent deletes nothing in the namespaces of others, whatever a tenant
// writes into the parent and the state.
func TestForgedParent(t *testing.T) {
	w := newWorld(t)
	tenant := w.tenant()
	victim := applytest.Namespace(t, w.cluster.Config, "victim")
	w.desires("web", webConfig)
	w.apply(apply.ApplyOptions{})

	// What somebody can do who may patch there and not delete.
	var members []schema.Ref
	for _, name := range []string{"plain", "labelled", "nolabel", "kube-root-ca.crt"} {
		u := w.parse("{apiVersion: v1, kind: ConfigMap, metadata: {name: " + name + ", namespace: " + victim + "}}")
		members = append(members, schema.RefOf(u))
		if name == "plain" || name == "labelled" {
			u.SetLabels(map[string]string{schema.LabelPartOf: schema.ApplySetID(w.env.Name, w.env.Namespace), schema.LabelUnit: "web"})
		}
		switch name {
		case "plain":
			_, err := w.editor.resource(u).Create(t.Context(), u, metav1.CreateOptions{FieldManager: "kubectl-create"})
			w.must(err)
		case "labelled", "nolabel":
			w.must(w.editor.apply(t.Context(), u, schema.Manager))
		}
	}
	forge := func(annotations map[string]string) {
		parent, err := tenant.CoreV1().ConfigMaps(w.env.Namespace).Get(t.Context(), schema.ParentName(w.env.Name), metav1.GetOptions{})
		w.must(err)
		maps.Copy(parent.Annotations, annotations)
		_, err = tenant.CoreV1().ConfigMaps(w.env.Namespace).Update(t.Context(), parent, metav1.UpdateOptions{})
		w.must(err)
		state, err := tenant.CoreV1().Secrets(w.env.Namespace).Get(t.Context(), schema.ParentName(w.env.Name)+"-state", metav1.GetOptions{})
		w.must(err)
		text, err := apply.PackMembers(members)
		w.must(err)
		state.Data["members"], err = base64.StdEncoding.DecodeString(text)
		w.must(err)
		_, err = tenant.CoreV1().Secrets(w.env.Namespace).Update(t.Context(), state, metav1.UpdateOptions{})
		w.must(err)
	}
	for name, annotations := range map[string]map[string]string{
		"as the specification has it": {AnnotationKinds: "ConfigMap,Secret", AnnotationNamespaces: victim, "evenkeel.dev/places": ""},
		"places, and what follows": {
			AnnotationKinds: "ConfigMap", AnnotationNamespaces: victim, "evenkeel.dev/places": "ConfigMap:" + victim + "," + w.env.Namespace,
		},
		"places that wait":           {"evenkeel.dev/unconfirmed": "ConfigMap:" + victim},
		"kinds of the whole cluster": {AnnotationKinds: "ConfigMap,Namespace,Node", "evenkeel.dev/places": "Namespace:" + w.env.Namespace},
	} {
		forge(annotations)
		plan := w.plan(apply.PlanOptions{ToApply: true})
		if len(plan.Changes) > 0 {
			t.Errorf("%s: %q", name, changes(plan))
		}
		if len(plan.Unconfirmed()) == 0 || !slices.ContainsFunc(plan.Warnings, func(text string) bool { return strings.Contains(text, "--look-in") }) {
			t.Errorf("%s: nothing is said of it: %q", name, plan.Warnings)
		}
		// An apply signs no more than it believes.
		w.env.Unit("web").Objects[0].Object["data"] = map[string]any{"a": name}
		w.apply(apply.ApplyOptions{})
		if plan := w.plan(apply.PlanOptions{ToApply: true}); len(plan.Changes) > 0 {
			t.Errorf("%s, after an apply: %q", name, changes(plan))
		}
	}
	forge(map[string]string{AnnotationKinds: "ConfigMap", AnnotationNamespaces: victim, "evenkeel.dev/places": ""})
	plan := w.plan(apply.PlanOptions{LookIn: []string{victim}, ToApply: true})
	w.expect(plan, "deleted ConfigMap/labelled", "copied-label ConfigMap/plain")
}

// TestLeftNamespace prunes in a namespace that git no longer names, as the signed
// records do.
func TestLeftNamespace(t *testing.T) {
	w := newWorld(t)
	w.tenant()
	left := applytest.Namespace(t, w.cluster.Config, "left")
	w.desires("web", webConfig, strings.Replace(webConfig, "name: web", "name: far, namespace: "+left, 1),
		`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: NS-far}, rules: []}`)
	w.apply(apply.ApplyOptions{})
	w.env.Units = nil
	w.desires("web", webConfig)
	w.expect(w.plan(apply.PlanOptions{ToApply: true}), "deleted ClusterRole/"+w.env.Namespace+"-far", "deleted ConfigMap/far")
	w.apply(apply.ApplyOptions{YesCount: 2})
	w.expect(w.plan(apply.PlanOptions{ToApply: true}))
}

// TestNamespaceOfOthers keeps a namespace with a copy of a member in it: when it is
// pruned by name, when the environment is deleted, and the copy itself.
func TestNamespaceOfOthers(t *testing.T) {
	w := newWorld(t)
	w.tenant()
	extra := w.env.Namespace + "-x"
	namespace := "{apiVersion: v1, kind: Namespace, metadata: {name: NS}}"
	secret := "{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: " + extra + "}}"
	w.desires("web", namespace, strings.Replace(namespace, "NS", extra, 1), secret, webConfig)
	w.apply(apply.ApplyOptions{})
	for _, ns := range []string{extra, w.env.Namespace} {
		replica := w.parse("{apiVersion: v1, kind: Secret, metadata: {name: replica, namespace: " + ns + "}}")
		replica.SetLabels(w.env.Units[0].Objects[2].GetLabels())
		_, err := w.editor.resource(replica).Create(t.Context(), replica, metav1.CreateOptions{FieldManager: "replicator"})
		w.must(err)
	}
	whole := w.env.Units
	w.env.Units = nil
	w.desires("web", namespace, webConfig)
	prune := apply.ApplyOptions{AllowPrune: []string{"Namespace/" + extra}, YesCount: 1}
	w.expect(w.plan(apply.PlanOptions{Prune: prune.AllowPrune, ToApply: true}),
		"kept Namespace/"+extra, "copied-label Secret/replica", "deleted Secret/s")
	w.apply(prune)
	w.remains(extra)

	w.env.Units = whole
	w.apply(apply.ApplyOptions{})
	report, err := w.cluster.Delete(t.Context(), w.env, apply.ApplyOptions{Yes: true, AllowPrune: []string{"Namespace/" + extra, "Namespace/" + w.env.Namespace}})
	w.must(err)
	if report.Summary[apply.Kept] == 0 {
		t.Errorf("the report keeps nothing: %q", changes(&report.Plan))
	}
	w.remains(extra)
	w.remains(w.env.Namespace)
}

// remains says that the copy in a namespace is still there.
func (w *world) remains(namespace string) {
	w.Helper()
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("v1")
	u.SetKind("Secret")
	u.SetNamespace(namespace)
	live, err := w.editor.resource(u).Get(w.Context(), "replica", metav1.GetOptions{})
	w.must(err)
	if live.GetDeletionTimestamp() != nil {
		w.Errorf("%s: the copy is being deleted", namespace)
	}
}

// TestForgedCanary: who may write in the namespace notes a canary that never ran. To
// abort it would go back to what was applied last, which counts only where it is signed.
func TestForgedCanary(t *testing.T) {
	w := newWorld(t)
	tenant := w.tenant()
	w.desires("web", webConfig)
	w.apply(apply.ApplyOptions{})
	note := `{"metadata": {"annotations": {"evenkeel.dev/canary": "{\"web\": {\"version\": \"x\", \"step\": 1}}"}}}`
	_, err := tenant.CoreV1().ConfigMaps(w.env.Namespace).Patch(t.Context(), schema.ParentName(w.env.Name), types.MergePatchType, []byte(note), metav1.PatchOptions{})
	w.must(err)
	secrets := tenant.CoreV1().Secrets(w.env.Namespace)
	name := schema.ParentName(w.env.Name) + ".r1.0"
	unsigned := `{"metadata": {"annotations": {"` + annotationSignature + `": null}}}`
	_, err = secrets.Patch(t.Context(), name, types.MergePatchType, []byte(unsigned), metav1.PatchOptions{})
	w.must(err)
	_, _, err = w.cluster.AbortCanary(t.Context(), w.env, "web", apply.ApplyOptions{})
	if refused, ok := errors.AsType[*hint.Refused](err); !ok || !strings.Contains(refused.Reason, "is not signed") {
		t.Errorf("what is not signed is gone back to: %v", err)
	}
	w.must(secrets.Delete(t.Context(), name, metav1.DeleteOptions{}))
	if _, _, err = w.cluster.AbortCanary(t.Context(), w.env, "web", apply.ApplyOptions{}); err == nil {
		t.Error("nothing is recorded, and yet there is something to go back to")
	}
}

// TestTakenPlaces: what a tenant puts in the place of a record stops nothing.
func TestTakenPlaces(t *testing.T) {
	w := newWorld(t)
	tenant := w.tenant()
	secrets := tenant.CoreV1().Secrets(w.env.Namespace)
	w.desires("web", webConfig)
	w.apply(apply.ApplyOptions{})
	parent := schema.ParentName(w.env.Name)
	changed := 0
	change := func() *apply.Report {
		changed++
		w.env.Unit("web").Objects[0].Object["data"] = map[string]any{"a": strconv.Itoa(changed)}
		return w.apply(apply.ApplyOptions{})
	}
	put := func(s *corev1.Secret) {
		_, err := secrets.Create(t.Context(), s, metav1.CreateOptions{})
		w.must(err)
	}
	put(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: parent + ".r2.0"}, StringData: map[string]string{"a": "b"}})
	put(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: parent + ".r3.0"}, Type: "evenkeel.dev/revision", Immutable: new(true)})
	if number := change().Revision; number != 4 {
		t.Errorf("recorded as revision %d", number)
	}
	if r, err := w.cluster.Revision(t.Context(), w.env.Name, w.env.Namespace, 0); err != nil || r.Number != 4 || !r.Authenticated {
		t.Errorf("%v %v", r, err)
	}

	w.must(secrets.Delete(t.Context(), parent+"-state", metav1.DeleteOptions{}))
	put(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: parent + "-state"}, StringData: map[string]string{"key": "x"}})
	change()
	state, err := secrets.Get(t.Context(), parent+"-state", metav1.GetOptions{})
	if err != nil || state.Type != "evenkeel.dev/state" {
		t.Errorf("the state is of type %q: %v", state.Type, err)
	}
	forged := `{"data": {"marked": "` + base64.StdEncoding.EncodeToString([]byte(`{"{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"namespace\":\"`+w.env.Namespace+`\",\"name\":\"web\"}":[["",".a"],[".data",""]]}`)) + `"}}`
	_, err = secrets.Patch(t.Context(), parent+"-state", types.MergePatchType, []byte(forged), metav1.PatchOptions{})
	w.must(err)
	_, err = tenant.CoreV1().ConfigMaps(w.env.Namespace).Patch(t.Context(), "web", types.MergePatchType, []byte(`{"data": {"a": "x"}}`), metav1.PatchOptions{})
	w.must(err)
	w.plan(apply.PlanOptions{})
	stays := `{"immutable": true, "metadata": {"finalizers": ["example.org/stays"]}}`
	_, err = secrets.Patch(t.Context(), parent+"-state", types.MergePatchType, []byte(stays), metav1.PatchOptions{})
	w.must(err)
	w.desires("web", strings.Replace(webConfig, "name: web", "name: more", 1))
	change()
	_, err = secrets.Patch(t.Context(), parent+"-state", types.MergePatchType, []byte(`{"metadata": {"finalizers": null}}`), metav1.PatchOptions{})
	w.must(err)

	bare := `{"metadata": {"labels": null, "annotations": null}}`
	_, err = tenant.CoreV1().ConfigMaps(w.env.Namespace).Patch(t.Context(), parent, types.MergePatchType, []byte(bare), metav1.PatchOptions{})
	w.must(err)
	change()
	live, err := tenant.CoreV1().ConfigMaps(w.env.Namespace).Get(t.Context(), parent, metav1.GetOptions{})
	if err != nil || live.Labels[schema.LabelID] != schema.ApplySetID(w.env.Name, w.env.Namespace) {
		t.Errorf("the parent has the labels %v: %v", live.Labels, err)
	}

	// Of an environment that was never applied nobody knows whose the name is.
	other := *w.env
	other.Name += "-o"
	_, err = tenant.CoreV1().ConfigMaps(w.env.Namespace).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: schema.ParentName(other.Name)}}, metav1.CreateOptions{})
	w.must(err)
	if _, err := w.cluster.Plan(t.Context(), &other, apply.PlanOptions{}); !errors.As(err, new(*hint.Refused)) {
		t.Errorf("somebody's ConfigMap is taken for a parent: %v", err)
	}
}

// TestForgedEvidence: what a tenant deletes makes no image last longer.
func TestForgedEvidence(t *testing.T) {
	w := newWorld(t)
	secrets := w.tenant().CoreV1().Secrets(w.env.Namespace)
	w.desires("web", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {selector: {matchLabels: {a: b}},
		template: {metadata: {labels: {a: b}}, spec: {containers: [{name: web, image: "example.org/web:0"}]}}}}`)
	const later = time.Hour
	history := func() []record.AppRevision {
		history, err := w.cluster.AppHistory(t.Context(), w.env.Name, w.env.Namespace, "web", time.Now())
		w.must(err)
		return history
	}
	proven := func(image string) (time.Duration, bool) {
		return record.Proven(history(), "example.org/web:"+image, time.Now().Add(later))
	}
	bring := func(image string, opts apply.ApplyOptions) {
		containers := []any{map[string]any{"name": "web", "image": "example.org/web:" + image}}
		w.must(unstructured.SetNestedSlice(w.env.Unit("web").Objects[0].Object, containers, "spec", "template", "spec", "containers"))
		opts.Yes, opts.Timeout = true, time.Minute
		_, err := applyWith(t.Context(), w.cluster, w.env, opts)
		w.must(err)
	}
	bring("1", apply.ApplyOptions{})
	bring("2", apply.ApplyOptions{})
	bring("3", apply.ApplyOptions{})
	if d, _ := proven("3"); d < later {
		t.Errorf("what runs has run for %s", d)
	}
	if d, ever := proven("2"); d >= later || !ever {
		t.Fatalf("what was replaced has run for %s, %v", d, ever)
	}
	pinned := record.PulledAs(history(), "example.org/web:3")
	if len(pinned) != 1 || !strings.HasPrefix(pinned[0], "example.org/web:3@sha256:") {
		t.Fatalf("pulled as %q", pinned)
	}
	if d, _ := proven(strings.TrimPrefix(pinned[0], "example.org/web:")); d < later {
		t.Errorf("pinned, what runs has run for %s", d)
	}
	other := "3@sha256:" + strings.Repeat("ab", 32)
	if _, ever := proven(other); ever {
		t.Error("a digest that no pod pulled counts as healthy")
	}

	// What nobody waited for is no proof, and takes none from what it does not write.
	bring("4", apply.ApplyOptions{NoWait: true})
	if d, ever := proven("4"); ever {
		t.Errorf("what nobody waited for was healthy for %s", d)
	}
	w.desires("config", webConfig)
	bring("4", apply.ApplyOptions{NoWait: true})
	if _, ever := proven("4"); ever {
		t.Error("another unit that nobody waited for proves it")
	}
	bring("4", apply.ApplyOptions{})
	if _, ever := proven("4"); ever {
		t.Error("an apply without changes records nothing, and proves it")
	}
	w.env.Unit("config").Objects[0].Object["data"] = map[string]any{"a": "two"}
	bring("4", apply.ApplyOptions{})
	if d, _ := proven("4"); d < later {
		t.Errorf("what an apply waited for was healthy for %s", d)
	}
	w.env.Unit("config").Objects[0].Object["data"] = map[string]any{"a": "three"}
	bring("4", apply.ApplyOptions{NoWait: true})
	if d, _ := proven("4"); d < later {
		t.Errorf("an apply of another unit ends the proof: %s", d)
	}
	w.env.Unit("config").Objects[0].Object["data"] = map[string]any{"a": "four"}
	bring("4", apply.ApplyOptions{Units: []string{"config"}})
	if d, _ := proven("4"); d < later {
		t.Errorf("an apply of another unit alone ends the proof: %s", d)
	}

	// Somebody writes into a revision that another digest was healthy, and for longer.
	newest := history()[0]
	bring("5", apply.ApplyOptions{})
	last, err := w.cluster.Revision(t.Context(), w.env.Name, w.env.Namespace, 0)
	w.must(err)
	name := fmt.Sprintf("%s.r%d.0", schema.ParentName(w.env.Name), last.Number)
	honest, err := secrets.Get(t.Context(), name, metav1.GetOptions{})
	w.must(err)
	evil := *w.env
	packed, sum, err := apply.PackRevision(&evil, record.Pulled{"web": {"example.org/web:5": {strings.TrimPrefix(other, "3@")}}})
	w.must(err)
	forged := honest.DeepCopy()
	forged.Data["part"] = packed
	forged.Annotations[annotationMeta] = strings.Replace(forged.Annotations[annotationMeta], last.Sum, sum, 1)
	_, err = secrets.Update(t.Context(), forged, metav1.UpdateOptions{})
	w.must(err)
	if _, ever := proven("5"); ever {
		t.Error("what was forged proves an image")
	}
	if got := record.PulledAs(history(), "example.org/web:5"); got != nil {
		t.Errorf("what was forged has digests: %q", got)
	}
	w.must(secrets.Delete(t.Context(), name, metav1.DeleteOptions{}))
	if d, _ := proven("4"); d >= later {
		t.Errorf("with its successor deleted, what came with revision %d was healthy for %s", newest.Number, d)
	}
}

// TestForgedPods: a tenant makes pods that bear the labels of a workload, of their own, of a
// ReplicaSet of theirs, of the Deployment itself, and as of an owner that is none. None says how an image is pulled.
func TestForgedPods(t *testing.T) {
	w := newWorld(t)
	tenant := w.tenant()
	w.desires("web", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {selector: {matchLabels: {a: b}},
		template: {metadata: {labels: {a: b}}, spec: {containers: [{name: web, image: "example.org/web:1"}]}}}}`,
		`{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {serviceName: db, selector: {matchLabels: {c: d}},
		template: {metadata: {labels: {c: d}}, spec: {containers: [{name: db, image: "example.org/db:1"}]}}}}`)
	_, err := applyWith(t.Context(), w.cluster, w.env, apply.ApplyOptions{Yes: true, Timeout: time.Minute})
	w.must(err)
	honest, err := w.cluster.Pulled(t.Context(), w.env, []string{"web"})
	w.must(err)
	for _, image := range []string{"example.org/web:1", "example.org/db:1"} {
		if len(honest["web"][image]) != 1 {
			t.Fatalf("%s was pulled as %q", image, honest["web"][image])
		}
	}

	live, err := tenant.AppsV1().Deployments(w.env.Namespace).Get(t.Context(), "web", metav1.GetOptions{})
	w.must(err)
	containers := []corev1.Container{{Name: "web", Image: "example.org/web:1"}, {Name: "db", Image: "example.org/db:1"}}
	isController := true
	for name, owners := range map[string][]metav1.OwnerReference{
		"bare":     nil,
		"direct":   {{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: live.UID, Controller: &isController}},
		"nobody":   {{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-1", UID: "0c6d6c1e-0000-4000-8000-000000000000", Controller: &isController}},
		"stateful": {{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", UID: "0c6d6c1e-0000-4000-8000-000000000000", Controller: &isController}},
	} {
		_, err := tenant.CoreV1().Pods(w.env.Namespace).Create(t.Context(), &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"a": "b", "c": "d", "by": "tenant"}, OwnerReferences: owners},
			Spec:       corev1.PodSpec{Containers: containers},
		}, metav1.CreateOptions{})
		w.must(err)
	}
	own := map[string]string{"by": "tenant", "x": "y"}
	_, err = tenant.AppsV1().ReplicaSets(w.env.Namespace).Create(t.Context(), &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "own", Labels: own},
		Spec: appsv1.ReplicaSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: own},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b", "c": "d", "by": "tenant", "x": "y"}},
				Spec:       corev1.PodSpec{Containers: containers},
			},
		},
	}, metav1.CreateOptions{})
	w.must(err)

	// Their nodes report another digest.
	admin, err := kubernetes.NewForConfig(w.cluster.Config)
	w.must(err)
	pods := admin.CoreV1().Pods(w.env.Namespace)
	changed := map[string]bool{}
	gone := []string{"nobody", "stateful"} // the collector deletes those with an owner that is none
	for stay := 0; stay < 3; {
		list, err := pods.List(t.Context(), metav1.ListOptions{LabelSelector: "by=tenant"})
		w.must(err)
		for _, pod := range list.Items {
			if len(pod.Status.ContainerStatuses) == 0 || changed[pod.Name] {
				continue
			}
			for i := range pod.Status.ContainerStatuses {
				pod.Status.ContainerStatuses[i].ImageID = "example.org/x@sha256:" + strings.Repeat("ab", 32)
			}
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
			if _, err := pods.UpdateStatus(t.Context(), &pod, metav1.UpdateOptions{}); err == nil {
				changed[pod.Name] = true
				if !slices.Contains(gone, pod.Name) {
					stay++
				}
			} else if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
				t.Fatal(err)
			}
		}
	}
	got, err := w.cluster.Pulled(t.Context(), w.env, []string{"web"})
	w.must(err)
	if diff := cmp.Diff(honest, got); diff != "" {
		t.Errorf("pods of %v count (-want +got)\n%s", slices.Sorted(maps.Keys(changed)), diff)
	}
	for name := range changed {
		pod, err := pods.Get(t.Context(), name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) && slices.Contains(gone, name) {
			continue
		}
		w.must(err)
		if id := pod.Status.ContainerStatuses[0].ImageID; !strings.Contains(id, "abab") {
			t.Errorf("%s reports %s by now: nothing was tried", name, id)
		}
	}
}

// TestStuckLease applies where a tenant had the Lease deleted, with a finalizer that
// nobody takes off: the run holds one that does not end under it.
func TestStuckLease(t *testing.T) {
	w := newWorld(t)
	leases := w.tenant().CoordinationV1().Leases(w.env.Namespace)
	w.desires("web", webConfig)
	w.apply(apply.ApplyOptions{})
	name := schema.ParentName(w.env.Name)
	lease, err := leases.Get(t.Context(), name, metav1.GetOptions{})
	w.must(err)
	lease.Finalizers = []string{"example.org/stuck"}
	lease, err = leases.Update(t.Context(), lease, metav1.UpdateOptions{})
	w.must(err)
	w.must(leases.Delete(t.Context(), name, metav1.DeleteOptions{}))
	w.env.Unit("web").Objects[0].Object["data"] = map[string]any{"a": "two"}
	if report := w.apply(apply.ApplyOptions{}); report.Revision != 2 {
		t.Errorf("it is recorded as revision %d", report.Revision)
	}
	now, err := leases.Get(t.Context(), name, metav1.GetOptions{})
	w.must(err)
	if now.UID == lease.UID || now.DeletionTimestamp != nil || len(now.Finalizers) > 0 {
		t.Errorf("the Lease is the one that is being deleted: %+v", now.ObjectMeta)
	}
}
