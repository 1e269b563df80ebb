// Package workload has the verbs on one app that kubectl has for one object:
// restart, pause, resume, scale, and its logs. They write to the live workloads and
// leave a note on the ApplySet parent where a plan or status must know of it; they
// render nothing and wait for no lock, so that nobody waits in an emergency.
//
// What they write is no difference for the next plan: it leaves alone what field
// managers of evenkeel's own verbs own, and replicas for as long as a scale lasts.
package workload
