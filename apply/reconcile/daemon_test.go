package reconcile_test

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/reconcile"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
	"github.com/seed-428f4edd/evenkeel/schema"
)

// TestDaemon applies what is new, corrects what is edited, deleted and unlabelled,
// says so in metrics, Events, log and notices, and leaves no goroutine behind.
func TestDaemon(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 6)
	w.apply(w.env)
	d := w.start(nil)
	d.ready()

	w.edit("m0", "edited", "kubectl-edit")
	w.is("m0", "v1")
	if err := w.maps.Delete(t.Context(), "m1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.is("m1", "v1")
	if _, err := w.maps.Patch(t.Context(), "m2", "application/merge-patch+json",
		[]byte(`{"metadata":{"labels":{"applyset.kubernetes.io/part-of":null}}}`), metav1.PatchOptions{FieldManager: "kubectl-label"}); err != nil {
		t.Fatal(err)
	}
	w.until("m2 has its label again", func() bool {
		u, err := w.maps.Get(t.Context(), "m2", metav1.GetOptions{})
		return err == nil && u.GetLabels()[schema.LabelPartOf] != ""
	})
	labels := fmt.Sprintf(`{environment="%s"}`, w.namespace)
	w.until("three corrections are counted", func() bool { return d.metric("evenkeel_corrections_total"+labels) == "3" })
	for name, want := range map[string]string{
		"evenkeel_drift_total": "3", "evenkeel_drifted_objects": "0", "evenkeel_source_broken": "0", "evenkeel_pass_errors_total": "",
	} {
		if got := d.metric(name + labels); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if at := d.metric("evenkeel_last_success_timestamp_seconds" + labels); !strings.HasPrefix(at, "1.") {
		t.Errorf("last success: %q", at)
	}
	w.until("health is judged", func() bool { return d.metric("evenkeel_healthy"+labels) == "1" })
	if got := w.told(reconcile.NoticeCorrected); len(got) != 3 || got[0] != "ConfigMap/"+w.namespace+"/m0: configured: data.value (by kubectl-edit)" {
		t.Errorf("notices: %q", got)
	}
	w.until("an Event says so", func() bool {
		return strings.Contains(w.events(), "Corrected: ConfigMap/"+w.namespace+"/m0: configured: data.value (by kubectl-edit)")
	})
	history, err := w.connect().History(t.Context(), w.namespace, w.namespace)
	if err != nil || len(history) != 1 {
		t.Errorf("corrections are revisions: %d, %v", len(history), err)
	}

	// New content goes the whole way: created, configured, pruned, recorded.
	next := w.environment(7, "v2")
	next.Units[1].Objects = next.Units[1].Objects[1:] // without m1
	w.publish("v2", next, nil)
	w.is("m6", "v2")
	w.until("m1 is pruned", func() bool { return w.value("m1") == "" })
	w.until("the revision is there", func() bool {
		history, err := w.connect().History(t.Context(), w.namespace, w.namespace)
		return err == nil && len(history) == 2 && history[0].Git.Commit == commitOf("v2") && history[0].Who == "reconcile"
	})
	w.edit("m6", "edited", "kubectl-edit")
	w.is("m6", "v2")
	w.level(next)

	d.stop()
	if lease := w.lock(); lease != "" {
		t.Errorf("the lock is held after the end by %s", lease)
	}
}

// TestReportMode reports once and writes nothing.
func TestReportMode(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.apply(w.env)
	d := w.start(func(o *reconcile.DaemonOptions) { o.Mode = reconcile.ModeReport })
	d.ready()
	w.edit("m0", "edited", "kubectl-edit")
	labels := fmt.Sprintf(`{environment="%s"}`, w.namespace)
	w.until("drift is counted", func() bool { return d.metric("evenkeel_drifted_objects"+labels) == "1" })
	w.edit("m0", "edited again", "kubectl-edit")
	time.Sleep(time.Second)
	if got := w.told(reconcile.NoticeDrift); len(got) != 1 {
		t.Errorf("told %q", got)
	}
	if w.value("m0") != "edited again" {
		t.Errorf("m0 is %s", w.value("m0"))
	}
	w.edit("m0", "v1", "kubectl-edit")
	w.until("it is level again", func() bool { return d.metric("evenkeel_drifted_objects"+labels) == "0" })
}

// TestFight gives in to a controller after some rounds, says so once, writes it
// down where others see it, and tries again with new content.
func TestFight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.apply(w.env)
	d := w.start(func(o *reconcile.DaemonOptions) { o.FightLimit = 4 })
	d.ready()
	stop, ended := make(chan struct{}), make(chan int)
	go func() { // the controller
		edits := 0
		for {
			select {
			case <-stop:
				ended <- edits
				return
			default:
			}
			if w.value("m0") != "mine" {
				w.edit("m0", "mine", "stubborn-controller")
				edits++
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	w.until("the fight is told", func() bool { return len(w.told(reconcile.NoticeFight)) > 0 })
	time.Sleep(2 * time.Second)
	if got := w.told(reconcile.NoticeFight); len(got) != 1 || !strings.Contains(got[0], "data.value is set again and again by stubborn-controller") {
		t.Errorf("told %q", got)
	}
	if got := w.told(reconcile.NoticeCorrected); len(got) != 4 {
		t.Errorf("corrected %d times, want 4", len(got))
	}
	// Other objects are still corrected, and another process knows of the fight.
	w.edit("m1", "edited", "kubectl-edit")
	w.is("m1", "v1")
	w.until("the daemon has given the lock back", func() bool { return len(w.told(reconcile.NoticeCorrected)) == 5 })
	out, err := reconcile.Pass(t.Context(), w.connect(), w.env, reconcile.Options{Mode: reconcile.ModeCorrect})
	if err != nil || len(out.Skipped) != 1 || out.Skipped[0].Reason != reconcile.ReasonFight || out.Differs() {
		t.Errorf("a pass of another process: %+v, %v", out.Skipped, err)
	}
	if value := w.value("m0"); value != "mine" {
		t.Errorf("m0 is %q", value)
	}
	if got := d.metric(fmt.Sprintf(`evenkeel_skipped_objects{environment="%s",reason="fight"}`, w.namespace)); got != "1" {
		t.Errorf("skipped: %q", got)
	}
	close(stop)
	if edits := <-ended; edits > 6 {
		t.Errorf("%d edits: the fight went on", edits)
	}
	next := w.environment(4, "v2")
	w.publish("v2", next, nil)
	w.is("m0", "v2")
	w.until("the fight is over", func() bool {
		standing, err := w.connect().Standing(t.Context(), next)
		return err == nil && len(standing.Fights) == 0
	})
}

// TestBrokenSource keeps the last good state through commits that do not evaluate
// and through a source that does not answer.
func TestBrokenSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.apply(w.env)
	d := w.start(nil)
	d.ready()
	labels := fmt.Sprintf(`{environment="%s"}`, w.namespace)

	w.publish("v2", nil, errors.New("env.cue:3:7: no such field"))
	w.until("it is told", func() bool { return len(w.told(reconcile.NoticeFailed)) == 1 })
	if got := w.told(reconcile.NoticeFailed)[0]; !strings.Contains(got, commitOf("v2")+" does not evaluate, the last good state stands") || !strings.Contains(got, "env.cue:3:7") {
		t.Errorf("told %q", got)
	}
	w.until("the metric says so", func() bool { return d.metric("evenkeel_source_broken"+labels) == "1" })
	w.until("an Event says so", func() bool {
		return strings.Contains(w.events(), "SourceBroken: commit "+commitOf("v2")+" does not evaluate")
	})
	w.edit("m0", "edited", "kubectl-edit")
	w.is("m0", "v1")

	w.outage(errors.New("git: connection refused"))
	w.until("it is told", func() bool { return len(w.told(reconcile.NoticeFailed)) == 2 })
	w.edit("m0", "edited", "kubectl-edit")
	w.is("m0", "v1")
	time.Sleep(time.Second)
	if got := w.told(reconcile.NoticeFailed); len(got) != 2 {
		t.Errorf("an outage is told more than once: %q", got)
	}
	// What does not evaluate is said; the last good state is kept level all the same.
	if code, body := d.get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "does not evaluate") {
		t.Errorf("ready: %d %s", code, body)
	}
	w.publish("v3", w.environment(4, "v3"), nil)
	w.outage(nil)
	w.is("m0", "v3")
	w.until("it is told", func() bool { return len(w.told(reconcile.NoticeRecovered)) == 1 })
	w.until("the metric says so", func() bool { return d.metric("evenkeel_source_broken"+labels) == "0" })
}

// TestNewerContent does not take a deploy from a newer commit back: it looks at
// the source first, and where that does not answer, does nothing.
func TestNewerContent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.apply(w.env)
	d := w.start(func(o *reconcile.DaemonOptions) { o.Interval = time.Hour })
	d.ready()
	next := w.environment(4, "v2")
	w.outage(errors.New("git: connection refused"))
	w.apply(next)
	time.Sleep(2 * time.Second)
	if got := w.value("m0"); got != "v2" {
		t.Errorf("m0 is %s: the deploy was taken back", got)
	}
	w.publish("v2", next, nil)
	w.outage(nil)
	w.edit("m1", "edited", "kubectl-edit")
	w.is("m1", "v2")
	w.level(next)
	history, err := w.connect().History(t.Context(), w.namespace, w.namespace)
	if err != nil || len(history) != 2 {
		t.Errorf("%d revisions, want those of the two applies: %v", len(history), err)
	}
}

// TestOtherCluster writes nothing to a cluster that the environment is not pinned
// to, and connects anew where git names another one.
func TestOtherCluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.apply(w.env)
	elsewhere := w.environment(4, "v1")
	elsewhere.Cluster.UID = "another"
	w.publish("v1", elsewhere, nil)
	var connected []string
	d := w.start(func(o *reconcile.DaemonOptions) {
		o.Connect = func(env *schema.Environment) (*apply.Cluster, error) {
			connected = append(connected, env.Cluster.UID)
			return apply.Connect(w.cfg)
		}
	})
	w.edit("m0", "edited", "kubectl-edit")
	w.until("it is not ready", func() bool {
		code, body := d.get("/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(body, w.namespace+": refused by a guard") && !strings.Contains(body, w.cfg.Host)
	})
	if got := w.value("m0"); got != "edited" {
		t.Errorf("m0 is %s", got)
	}
	w.publish("v2", w.environment(4, "v1"), nil)
	w.is("m0", "v1")
	d.ready()
	if diff := cmp.Diff([]string{"another", ""}, connected); diff != "" {
		t.Errorf("connected to (-want +got):\n%s", diff)
	}
}

// TestReplicas has one of two replicas work, and the other take over where it ends,
// and where it dies.
func TestReplicas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.apply(w.env)
	lease := func(replica string) func(o *reconcile.DaemonOptions) {
		return func(o *reconcile.DaemonOptions) {
			o.Replica = replica
			o.Lease = &reconcile.Lease{Config: w.cfg, Namespace: w.namespace, Name: "leader", Duration: 4 * time.Second}
		}
	}
	one := w.start(lease("one"))
	w.until("one leads", func() bool { return one.metric("evenkeel_leader") == "1" })
	two := w.start(lease("two"))
	two.ready() // it waits for its turn
	one.ready()
	w.edit("m0", "edited", "kubectl-edit")
	w.is("m0", "v1")
	if one.metric("evenkeel_leader") != "1" || two.metric("evenkeel_leader") != "0" {
		t.Errorf("leaders: one %s, two %s", one.metric("evenkeel_leader"), two.metric("evenkeel_leader"))
	}
	started := time.Now()
	one.stop()
	w.edit("m1", "edited", "kubectl-edit")
	w.is("m1", "v1")
	if took := time.Since(started); took > 4*time.Second {
		t.Errorf("the lease was not given back: %s", took)
	}
	if two.metric("evenkeel_leader") != "1" {
		t.Error("two does not lead")
	}
	// Somebody takes the lease away: the leader stops, and comes back when it may.
	leases := w.client(w.cfg).Resource(leasesResource()).Namespace(w.namespace)
	steal := func(holder string) {
		w.until("the lease is taken", func() bool {
			u, err := leases.Get(t.Context(), "leader", metav1.GetOptions{})
			if err != nil {
				return false
			}
			_ = unstructured.SetNestedField(u.Object, holder, "spec", "holderIdentity")
			_ = unstructured.SetNestedField(u.Object, time.Now().UTC().Format("2006-01-02T15:04:05.000000Z07:00"), "spec", "renewTime")
			_, err = leases.Update(t.Context(), u, metav1.UpdateOptions{})
			return err == nil
		})
	}
	steal("thief")
	w.until("two noticed", func() bool { return strings.Contains(two.log.String(), "lost the lease") })
	if got := two.metric("evenkeel_leader"); got != "0" {
		t.Errorf("two leads without the lease: %s", got)
	}
	w.edit("m2", "edited", "kubectl-edit")
	w.is("m2", "v1") // when the thief's lease has expired
	w.level(w.env)
}

// TestManyTurns starts and stops, and nothing stays.
func TestManyTurns(t *testing.T) {
	w := newWorld(t, 4)
	w.apply(w.env)
	turn := func() {
		d := w.start(nil)
		d.ready()
		w.edit("m0", "edited", "kubectl-edit")
		w.is("m0", "v1")
		d.stop()
	}
	turn()
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine()
	for range 5 {
		turn()
	}
	http.DefaultClient.CloseIdleConnections()
	w.until("no goroutine is left behind", func() bool { return runtime.NumGoroutine() <= before+3 })
}

// events are those on the parent, as "reason: message" lines.
func (w *world) events() string {
	list, err := w.client(w.cfg).Resource(corev1.SchemeGroupVersion.WithResource("events")).Namespace(w.namespace).List(w.Context(), metav1.ListOptions{
		FieldSelector: "involvedObject.name=" + schema.ParentName(w.namespace),
	})
	if err != nil {
		return ""
	}
	var b strings.Builder
	for _, e := range list.Items {
		fmt.Fprintf(&b, "%s: %s\n", e.Object["reason"], e.Object["message"])
	}
	return b.String()
}

// lock is who holds the environment's lock.
func (w *world) lock() string {
	standing, err := w.connect().Standing(w.Context(), w.env)
	if err != nil {
		return err.Error()
	}
	return standing.Locked
}

// TestRewind applies no content of a commit that does not descend from the one that
// was applied last, where only such a one may follow, and corrects nothing then.
func TestRewind(t *testing.T) {
	w := newWorld(t, 2)
	newer, older := strings.Repeat("b", 40), strings.Repeat("a", 40)
	pass := func(commit, value string, ancestors ...string) error {
		env := w.environment(2, value)
		_, err := reconcile.Pass(t.Context(), w.connect(), env, reconcile.Options{
			Mode:     reconcile.ModeCorrect,
			Apply:    apply.ApplyOptions{Git: record.GitInfo{Commit: commit}},
			Descends: func(commit string) bool { return slices.Contains(ancestors, commit) },
		})
		return err
	}
	env := w.environment(2, "new")
	plan, err := w.connect().Plan(t.Context(), env, apply.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.connect().Apply(t.Context(), env, plan, apply.ApplyOptions{Yes: true, Git: record.GitInfo{Commit: newer}}); err != nil {
		t.Fatal(err)
	}
	if err := pass(older, "old", older); err == nil || !strings.Contains(err.Error(), "does not descend from "+newer) {
		t.Errorf("the older commit: %v", err)
	}
	if refused, ok := errors.AsType[*hint.Refused](pass(older, "old", older)); !ok || len(refused.Hints) == 0 {
		t.Errorf("not a refusal with a hint: %v", refused)
	}
	w.is("m0", "new")
	if err := pass(strings.Repeat("c", 40), "newest", strings.Repeat("c", 40), newer, older); err != nil {
		t.Errorf("a commit that follows: %v", err)
	}
	w.is("m0", "newest")
	w.forget()
	if err := pass(older, "old", older); err == nil || !strings.Contains(err.Error(), "does not descend from "+strings.Repeat("c", 40)) {
		t.Errorf("the older commit, after all revisions were deleted: %v", err)
	}
	w.is("m0", "newest")
}
