// Package lock keeps two runs of one environment apart: a Lease in the
// environment's namespace, for as long as a run writes.
//
// A Lease expires; it is not a fence. What makes that safe:
//
//   - The holder asks Check before every write. Once the Lease might expire before
//     the write finishes, Check refuses, and never accepts again.
//   - A third of the duration bounds every request, so that renewals leave room for
//     one that is lost.
//   - Whoever wants the lock watches the Lease for its whole duration on its own
//     clock, and never believes another machine's. Only a process that ended under
//     the same boot of the same machine is known to be gone.
//   - What somebody else wrote into a Lease is believed within bounds: nobody who may
//     write one stops an environment for longer than five minutes.
//   - A request whose answer was lost is read again: it may have been carried out.
//
// The package knows the API server's Leases and no run: that a lock is held is
// *Held, and what to do about it is the caller's.
package lock
