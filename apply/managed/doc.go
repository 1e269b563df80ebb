// Package managed reads who owns which field of a live object, and says what an
// apply would do to it. It is pure: it is given objects and answers, and knows no
// client. What it knows of the server are the rules of server-side apply, as
// sigs.k8s.io/structured-merge-diff has them, and the entries of
// metadata.managedFields by which the server keeps to them.
//
// The questions, in the order in which a plan asks them:
//
//	Effective           what is applied: the desired object, with the fields that it
//	                    leaves to others as they are
//	Doubt               whether that might change anything; if it certainly does not,
//	                    the server is not asked
//	Foreign             what others added beside it
//	Differences         what the server's dry-run would change, field by field, and
//	                    who owns each of them; LocalDifferences where no dry-run may
//	                    be sent, RenderedDifferences where there is no cluster
//	Policy              whether writing over a field is a conflict
//	Drop                which fields our entry gives up, and whether they go
//	Unite               which side of a one-of somebody else holds, where the server
//	                    refuses both
//	OtherOwner, Adopt   whose the object is, and what taking it over removes
//	Take                our entry with what other managers applied in it
//	ImmutableChanges    what no server changes on an object that is there
//
// The rules that keep it safe:
//
//   - What is not understood is a doubt, never a guess: Doubt returns "" only for what
//     is proven, and the cost of a doubt is one dry-run.
//   - The kind of a list (keyed, set, atomic) is read from the entries themselves. A
//     guess by the names of fields serves comparisons without a cluster alone.
//   - The server's defaults are known only to keep reports short. Nothing is proven
//     with them.
//   - Values are compared as they come. Whoever shows a Field masks its values first
//     (package mask).
package managed
