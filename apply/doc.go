// Package apply brings a cluster level with a rendered environment: it plans,
// writes, gates on health, prunes and keeps the history. It knows no CUE and no
// kustomize; what it is given is plain data from package schema.
//
// # The workflow
//
// Plan (plan_steps.go) reads the records of the environment, lists what bears its
// label, one LIST per kind, and judges each object: package managed certifies it
// unchanged, or the server dry-runs it. What bears the label and is not rendered is
// decided about by the rules of prune_rules.go. A plan is data; making one writes
// nothing.
//
// Apply (run_steps.go) takes a copy of a plan and carries it out, in this order:
//
//	guard        wrong cluster, refused changes, limits, missing rights (run_guard.go)
//	lock         the Lease of the environment (package lock)
//	current      the parent has not moved since the plan, or the plan is made again
//	widen        the parent names every kind and namespace that will be written to
//	foundations  Namespaces and definitions of all units
//	units        wave by wave, each unit gated, what does not depend side by side
//	prune        what nothing desires, in stages, after all units are healthy
//	record       the revision, and the parent narrowed to what is there (run_record.go)
//
// Correct and Delete are shorter runs by the same rules.
//
// # What makes it safe
//
//   - Nothing is written before all guards have passed but a Namespace for the lock.
//   - Every write asks the lock first, carries the uid and the resourceVersion that
//     it was planned against, and is planned again where that has moved: it is sent
//     only where the new plan says the same.
//   - A request that has begun goes to its end, so that the report of a run that was
//     interrupted knows what was done.
//   - The parent is widened before the first write and narrowed after the last: a run
//     that was killed leaves nothing that the next one does not look for.
//   - An object is pruned only where it bears the label and evenkeel has applied it;
//     what holds data or other objects only by name; nothing while a part of the API
//     does not answer.
//   - Records lie where others may write. What they say beyond git counts only where
//     it is signed (apply/record, plan_trust.go).
//   - Values of Secrets and of marked fields leave the package masked (package mask).
//
// # Files
//
// plan_* makes a plan, run_* carries it out, canary_* tries a new version first; what is
// called stands below what calls it. What stays in the cluster is in package record, verbs
// on one app are in package workload, roles to print in package rbac.
package apply
