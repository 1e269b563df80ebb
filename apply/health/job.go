package health

import (
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
)

// RuleJobComplete is the Rule of a Job that is healthy because it has succeeded.
const RuleJobComplete = "job-complete"

// deletedJob answers for a Job that succeeded and is gone: its TTL deletes it.
func deletedJob() verdict { return healthy(RuleJobComplete, "done, and deleted since") }

// judgeJob calls a Job healthy when it is done, not while it runs.
func judgeJob(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	job, err := as[batchv1.Job](obj)
	if err != nil {
		return unreadable(err)
	}
	s := job.Status
	v := progressing(RuleJobComplete, "")
	v.ready, v.desired = int(s.Succeeded), completions(job)
	c, blamed := podsCause(related.podsOf(job.UID), related, now)
	if c.crash != nil {
		c.sure = false // backoffLimit decides how many crashes are too many
	}
	for _, cond := range s.Conditions {
		if cond.Status != corev1.ConditionTrue {
			continue
		}
		switch cond.Type {
		case batchv1.JobComplete:
			v.State, v.Message, v.desired = Healthy, "", v.ready
			return v
		case batchv1.JobFailed, batchv1.JobFailureTarget:
			v.State, v.Rule = Failed, "job-failed"
			v.Message = join(cond.Reason, cond.Message)
			c.sure = true
			return v.because(c, blamed, related)
		case batchv1.JobSuccessCriteriaMet: // Complete follows, in the same list
			v.Message = "success criteria met, its pods are ending"
		case batchv1.JobSuspended:
			return suspended(v, s)
		}
	}
	if v.Message != "" {
		return v
	}
	if ptr.Deref(job.Spec.Suspend, false) {
		return suspended(v, s)
	}
	if s.StartTime == nil {
		v.Message = "not started"
	} else {
		v.Message = jobWords(job)
	}
	if !blamed {
		c, blamed = creationEvents(job.UID, related, now)
	}
	return v.because(c, blamed, related)
}

// suspended answers for a Job that is told not to run.
func suspended(v verdict, s batchv1.JobStatus) verdict {
	v.State, v.Rule, v.Message = Healthy, "job-suspended", "suspended"
	if s.Active > 0 {
		v.State, v.Message = Progressing, fmt.Sprintf("suspended, %d %s still to end", s.Active, plural(int(s.Active), "pod"))
	}
	return v
}

// completions is how many pods must succeed: a Job of a work queue, which says
// nothing, is complete after one success and the end of the others.
func completions(job *batchv1.Job) int {
	return int(ptr.Deref(job.Spec.Completions, 1))
}

func jobWords(job *batchv1.Job) string {
	s := job.Status
	words := fmt.Sprintf("%d of %d succeeded, %d running", s.Succeeded, completions(job), s.Active)
	if s.Failed > 0 {
		words += fmt.Sprintf(", %d failed (backoffLimit %d)", s.Failed, ptr.Deref(job.Spec.BackoffLimit, 6))
	}
	return words
}

// judgeCronJob does not answer for the runs: a schedule that is stored works,
// and a run that failed weeks ago is no fault of this apply. It tells it though.
func judgeCronJob(obj *unstructured.Unstructured, related Related, now time.Time) verdict {
	cron, err := as[batchv1.CronJob](obj)
	if err != nil {
		return unreadable(err)
	}
	if ptr.Deref(cron.Spec.Suspend, false) {
		return healthy("cronjob-suspended", "suspended")
	}
	if e := related.events(cron.UID, now, "UnknownTimeZone", "UnparseableSchedule", "InvalidSchedule"); len(e) > 0 {
		return failed("cronjob-scheduled", join(e[0].Reason, oneLine(e[0].Message, 300)))
	}
	s := cron.Status
	last := s.LastScheduleTime
	if last != nil && len(s.Active) == 0 && (s.LastSuccessfulTime == nil || s.LastSuccessfulTime.Before(last)) {
		return healthy("cronjob-scheduled", "the last run, "+short(now.Sub(last.Time))+" ago, did not succeed")
	}
	return healthy("cronjob-scheduled", "")
}

// away says that an object is gone or about to go.
func away(obj *unstructured.Unstructured) bool {
	return obj == nil || obj.GetDeletionTimestamp() != nil
}

// succeeded says that a deleted object was a Job that was done: its TTL deletes
// it then.
func succeeded(obj *unstructured.Unstructured) bool {
	if obj.GroupVersionKind().GroupKind().String() != "Job.batch" {
		return false
	}
	job, err := as[batchv1.Job](obj)
	if err != nil {
		return false
	}
	for _, c := range job.Status.Conditions {
		if c.Type == batchv1.JobComplete && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}
