// Package audience is the vocabulary of the relay. It imports nothing but the
// standard library and does no I/O; every other package speaks in its types.
//
// One word, one meaning:
//
//	tenant      one apiToken; shown as a fingerprint ([TenantID]), never as the token
//	segment     a Split segment in one environment, written with one tenant's token
//	key         what a segment holds; called MPID only at the wire
//	verb        add or delete
//	change      segment, verb and keys: the unit that is accepted
//	accept      put on disk, so that a 200 may be answered; not yet delivered
//	batch       a segment's unsettled changes
//	chunk       the keys of one call to Split, at most 10,000
//	flush       one attempt to deliver a chunk
//	permit      leave to make one call
//	in flight   handed to Split, outcome not known yet
//	settle      make an outcome durable
//	delivered   Split answered as it documents that the call was carried out
//	parked      refused for good; kept for the operator with its reason
//	throttled   to be tried again no earlier than Split said
//	transient   to be tried again after a backoff
//	permanent   not worth trying again as it is
//	journal     what is accepted and not yet settled, on disk; replay reads it back
//	activate    start the actor of a segment (or tenant); passivate: let an idle one go
//	asleep      an active segment that the journal has nothing of but its name: it costs little
//	stranger    a client that has not shown the authToken
//	proven      a tenant of which Split took keys, ever; the others are unproven
//	dormant     an unproven tenant without an actor, that waits for its turn; it dozes
//	drain       flush what can be flushed before the process stops
//
// Dead letters of the actor library are called undelivered messages here.
package audience
