package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-428f4edd/evenkeel/apply"
	"github.com/seed-428f4edd/evenkeel/apply/health"
	"github.com/seed-428f4edd/evenkeel/apply/record"
	"github.com/seed-428f4edd/evenkeel/internal/hint"
)

// Notice is something that people may want to be told: one line, without values.
type Notice struct {
	Time        time.Time
	Environment string
	Kind        NoticeKind
	Text        string
}

// NoticeKind says what a notice is about.
type NoticeKind string

// The kinds of notices.
const (
	NoticeDrift      NoticeKind = "drift"     // found, and left as it is
	NoticeCorrected  NoticeKind = "corrected" // found and written back
	NoticeApplied    NoticeKind = "applied"   // new content
	NoticeFight      NoticeKind = "fight"     // begun: the object is left alone
	NoticeRefused    NoticeKind = "refused"   // a guard wants a person
	NoticeUnhealthy  NoticeKind = "unhealthy" // written, and did not become healthy
	NoticeFailed     NoticeKind = "failed"    // the cluster or the source does not answer, or is wrong
	NoticeRecovered  NoticeKind = "recovered"
	NoticeRolledBack NoticeKind = "rolled back" // to an older revision
	NoticeCanary     NoticeKind = "canary"      // a step of one
	NoticeAborted    NoticeKind = "aborted"     // a canary
)

// Notices are what people may want to be told of one look.
func (out *Outcome) Notices() []Notice {
	var notices []Notice
	for _, change := range out.Changes {
		kind := NoticeDrift
		switch {
		case !isDifference(change) || isSkipped(out.Skipped, change):
			continue
		case slices.Contains(out.Done, change.Ref) && out.applied:
			kind = NoticeApplied
		case slices.Contains(out.Done, change.Ref):
			kind = NoticeCorrected
		case out.Mode == ModeCorrect:
			continue // the error of the pass says why
		}
		notices = append(notices, Notice{Time: time.Now(), Environment: out.Environment, Kind: kind, Text: change.String() + ": " + describe(change)})
	}
	return notices
}

// account notes what a pass found and did.
func (w *worker) account(ctx context.Context, out *Outcome, l letter, now time.Time) {
	if l.full != "" {
		for ref := range w.drifted {
			if !slices.ContainsFunc(out.Changes, func(c apply.Change) bool { return c.Ref == ref && isDifference(c) }) {
				delete(w.drifted, ref)
			}
		}
	}
	for _, ref := range l.touched {
		w.checked[ref] = now
		if !slices.ContainsFunc(out.Changes, func(c apply.Change) bool { return c.Ref == ref && isDifference(c) }) {
			delete(w.drifted, ref)
		}
	}
	var corrected []apply.Change
	for _, change := range out.Changes {
		if !isDifference(change) {
			continue
		}
		done := slices.Contains(out.Done, change.Ref)
		text := describe(change)
		w.checked[change.Ref] = now
		switch {
		case done:
			corrected = append(corrected, change)
			delete(w.drifted, change.Ref)
		case w.drifted[change.Ref] != known{text, reasonOf(out.Skipped, change)}:
			w.drifted[change.Ref] = known{text, reasonOf(out.Skipped, change)}
			w.d.metrics.seen.WithLabelValues(w.name).Inc()
			w.drift(ctx, out, change, text)
		}
	}
	for ref := range w.checked {
		if _, differs := w.drifted[ref]; !differs {
			delete(w.checked, ref)
		}
	}
	w.corrected(ctx, out, corrected, now)
	w.d.metrics.drifted.WithLabelValues(w.name).Set(float64(len(w.drifted)))
	w.d.metrics.setSkipped(w.name, w.drifted)
}

// known is something that differs: what was said of it, and why it is left alone.
type known struct {
	text   string
	reason Reason
}

func reasonOf(skipped []Skip, change apply.Change) Reason {
	for _, skip := range skipped {
		if slices.Contains(skip.Objects, change.Ref) {
			return skip.Reason
		}
	}
	return ""
}

// drift tells of something that differs and is left as it is.
func (w *worker) drift(ctx context.Context, out *Outcome, change apply.Change, text string) {
	for _, skip := range out.Skipped {
		if slices.Contains(skip.Objects, change.Ref) {
			w.log.Info("left alone", "object", change.String(), "reason", skip.Reason, "why", skip.Message, "change", text)
			return
		}
	}
	if out.Mode == ModeCorrect {
		return // the error of the pass says why
	}
	w.log.Warn("drift", "object", change.String(), "change", text)
	w.event(ctx, "Warning", "Drift", change.String()+": "+text)
	w.notify(NoticeDrift, change.String()+": "+text)
}

// corrected tells of what was written, and notices fights.
func (w *worker) corrected(ctx context.Context, out *Outcome, changes []apply.Change, now time.Time) {
	if len(changes) == 0 {
		if out.applied && out.Revision > 0 {
			w.log.Info("applied", "revision", out.Revision, "commit", w.content.git.String())
		}
		return
	}
	if out.applied {
		text := fmt.Sprintf("%d objects of %s", len(changes), orUnknown(w.content.git.String()))
		w.log.Info("applied", "objects", len(changes), "revision", out.Revision, "commit", w.content.git.String())
		w.event(ctx, "Normal", "Applied", text)
		w.notify(NoticeApplied, text)
		w.record(ctx, nil)
		return
	}
	w.nextLook = now.Add(settling)
	w.d.metrics.seen.WithLabelValues(w.name).Add(float64(len(changes)))
	w.d.metrics.corrections.WithLabelValues(w.name).Add(float64(len(changes)))
	var lines []string
	for _, change := range changes {
		text := change.String() + ": " + describe(change)
		w.log.Info("corrected", "object", change.String(), "change", describe(change))
		w.notify(NoticeCorrected, text)
		lines = append(lines, text)
	}
	w.event(ctx, "Normal", "Corrected", strings.Join(lines, "\n"))
	begun := w.fights.note(now, changes)
	if len(begun) == 0 {
		return
	}
	for object, fight := range begun {
		text := object + ": " + describeFight(fight)
		w.log.Warn("fight", "object", object, "field", fight.Field, "by", fight.By, "until", fight.Until)
		w.event(ctx, "Warning", "Fight", text)
		w.notify(NoticeFight, text)
		w.d.metrics.fights.WithLabelValues(w.name).Inc()
	}
	w.record(ctx, begun)
}

// record writes fights to the parent, beside those that are not over; nil ends
// all of them, which is what new content does.
func (w *worker) record(ctx context.Context, begun map[string]record.Fight) {
	standing, err := w.cluster.Standing(ctx, w.content.env)
	if err == nil {
		all := begun
		for object, fight := range standing.Fights {
			if _, again := begun[object]; begun != nil && !again && time.Now().Before(fight.Until) {
				all[object] = fight
			}
		}
		if len(all)+len(standing.Fights) > 0 {
			err = w.cluster.RecordFights(ctx, w.content.env, all)
		}
	}
	if err != nil && ctx.Err() == nil {
		w.log.Error("fights are not recorded", "error", err)
	}
}

// tell says what a run was refused for, or what is not healthy; it is said once
// until it changes.
func (w *worker) tell(ctx context.Context, err error) {
	current := map[NoticeKind]string{}
	if refused, ok := errors.AsType[*hint.Refused](err); ok {
		current[NoticeRefused] = refused.Reason
		if len(refused.Hints) > 0 {
			current[NoticeRefused] += "; " + strings.Join(refused.Hints, "; ")
		}
	}
	if unhealthy, ok := errors.AsType[*health.NotHealthy](err); ok {
		current[NoticeUnhealthy] = unhealthy.Error()
	}
	if stays, ok := errors.AsType[*apply.NotGone](err); ok {
		current[NoticeUnhealthy] = stays.Error()
	}
	if errors.As(err, new(*apply.CanaryFailed)) {
		current[NoticeAborted] = err.Error()
	}
	for _, kind := range []NoticeKind{NoticeRefused, NoticeUnhealthy, NoticeAborted} {
		if current[kind] == "" {
			delete(w.said, kind)
			continue
		}
		w.say(ctx, kind, current[kind])
	}
}

// say tells something that goes on, unless it was the last that was said of its
// kind.
func (w *worker) say(ctx context.Context, kind NoticeKind, text string) {
	if w.said[kind] == text {
		return
	}
	if kind != NoticeRecovered {
		w.said[kind] = text
		w.log.Warn(string(kind), "why", text)
	} else {
		w.log.Info(string(kind))
	}
	severity, reason := "Warning", strings.ToUpper(string(kind[:1]))+string(kind[1:])
	if kind == NoticeRecovered {
		severity = "Normal"
	}
	w.event(ctx, severity, reason, text)
	w.notify(kind, text)
}

func (w *worker) notify(kind NoticeKind, text string) {
	if w.d.opts.Notify != nil {
		w.d.opts.Notify(Notice{Time: time.Now(), Environment: w.name, Kind: kind, Text: text})
	}
}

// logEvent writes the steps of an apply to the log.
func (w *worker) logEvent(e apply.Event) {
	if e.State == health.Failed || e.Phase == apply.PhaseLock && e.Message != "" {
		w.log.Warn("apply", "phase", e.Phase, "object", e.String(), "state", e.State, "message", e.Message)
		return
	}
	w.log.Debug("apply", "phase", e.Phase, "unit", e.Unit, "object", e.String(), "action", e.Action, "state", e.State, "message", e.Message)
}

// describe is a change in a line, without values: its fields and who wrote them.
func describe(change apply.Change) string {
	const most = 3
	var fields []string
	for i, f := range change.Fields {
		if i == most {
			fields = append(fields, fmt.Sprintf("and %d more", len(change.Fields)-most))
			break
		}
		text := f.Path
		if f.By != "" {
			text += " (by " + f.By + ")"
		}
		fields = append(fields, text)
	}
	if len(fields) == 0 {
		return string(change.Action)
	}
	return string(change.Action) + ": " + strings.Join(fields, ", ")
}

func orUnknown(commit string) string {
	if commit == "" {
		return "the local directory"
	}
	return "commit " + commit
}
