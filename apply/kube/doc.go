// Package kube is the API server: one client, whose requests are counted, retried
// and kept from repeating secrets. It knows nothing of environments.
//
// Connect makes a Client and sends nothing. Its Dynamic, Mapper and Discovery are
// client-go's; List, Get, DryRun and ApplyObject are the requests that plans and runs
// send by the thousand, read without a detour over other types.
//
// The rules that keep it safe:
//
//   - A request that got lost may have reached the server. What is sent again must
//     change nothing the second time: writes carry uid and resourceVersion.
//   - Every error of the server passes the Hider that Connect was given, before
//     anybody sees it, whoever sent the request.
//   - A LIST is of one state: if that is compacted away between two pages, the Visitor
//     is told to Restart and sees all objects again.
//   - Applies are forced. Who owns what is decided before, from managedFields
//     (package managed), with the names of those concerned.
package kube
