// Package record keeps what an environment leaves in its cluster beside its objects:
//
//   - the parent, a ConfigMap that says where its members are (KEP-3659), with notes of
//     what people did to single apps;
//   - the state, a Secret with what spares later plans their questions;
//   - revisions, Secrets with what was applied, for history, rollback and promotion;
//   - the key, a Secret in kube-system, with which the other three are signed.
//
// All of them but the key lie where tenants of the environment's namespace may write. So
// each is read as if somebody had forged it: with bounds, as nothing where it makes no
// sense, and with its signature where it decides what git does not say. Nothing here plans
// or applies; who writes holds the lock of the environment, but for notes.
package record

import "github.com/seed-428f4edd/evenkeel/apply/kube"

// Store reads and writes the records of the environments of one cluster.
type Store struct{ *kube.Client }
