// Package pace decides whose turn it is and when: which tenant makes the next call
// to Split, how long it waits, and which of its segments the call is for. It is
// pure: it knows no actor, no disk and no clock. The time, random numbers and the
// outcomes of calls are handed in; what to do follows from the answers.
//
//	Limiter       when the next call may begin: our address has one, each tenant has one
//	Calls         the calls of one tenant: who waits, what is under way, pause, refused token
//	Waitlist      the segments of a tenant that wait for a call, the oldest first
//	Backoff       how long to wait before a call that failed is repeated
//	Record        what a tenant's calls have shown of it; its Class follows
//	Turns         which tenant gets the next slot
//	Candidates    the unproven tenants that have an actor
//	DormantQueue  the unproven tenants that wait without one
//	Table         a map that gives back the room it does not need any more
//
// Nothing here may be used by two goroutines at once. ADR 5 and ADR 12 say why it
// is as it is.
package pace
