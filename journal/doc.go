// Package journal is the door of what keeps accepted changes until they are settled:
// the types that go through it, and the two roles behind it. It is the relay's
// promise: a 200 is answered when the journal says so (I1), and a key leaves it only
// when Split took it or into the parked list (I3).
//
//	intake.go  the role of who accepts: PutTenant, Append
//	keeper.go  the role of who delivers: Settle, Park, Unpark, states, lists
//	version.go  which change of a key is meant
//	reads.go   what a keeper reads: pages, counts, lists
//	receipts.go  what was delivered, and the search for a key
//	states.go  what is kept of segments and tenants beside their keys
//	events.go  what happened
//	cursor.go  a place in the order of a segment's keys
//	order.go   that order, and how a key is encoded
//	mark.go    what two journals keep while one is moved to the other, and after
//	errors.go  why a journal refuses
//
// Package journal/embedded is the store on this machine's disk. One that several
// nodes share is meant to come beside it (ADR 1).
//
// Callers are actors, so nothing in the two roles makes a caller wait but the lists
// that say so. Every write and every read is put into a queue without bound
// (back-pressure is applied before the mailboxes, not here). It is answered through a
// function that is called once and must not wait.
package journal
