// Package actors brings accepted changes to Split: each segment of each tenant
// is an actor that gathers keys and flushes them, a tenant actor paces its
// organisation's calls, and a registry finds them all and divides the calls of the
// one egress IP among them. It is the only package that knows the actor library.
//
// [Relay] is the door (relay.go, for operators operator.go; what a remedy concerns is found
// out before it is done: plan.go, move.go). The way of a key has
// eight stations:
//
//	1  api.Server         authenticates, decodes and checks a post: a change
//	2  Relay.Accept       puts it into the registry's mailbox
//	3  registry.Receive   finds the tenant's actor, or starts it
//	4  tenant.accept      hands it to the journal, which answers the post, and tells the segment's actor
//	5  segment.accepted   applies it to the batch (cell.go, segment.go)
//	6  batch.Batch.Apply  holds it until it is due
//	7  segment.flush      with a permit from 3 and 4, cuts a chunk and makes the call in a goroutine (flush.go)
//	8  splitclient.Client.Do  calls Split; the outcome goes back to 7, which settles the keys
//
// What a segment has to do is in package batch, what it may do in package standing,
// and whose turn it is and when in package pace; none of them knows actors, and
// docs/segment-states.md draws the states. Keys that the journal alone has are read and
// counted in reads.go, an operator's wishes are carried out in operator_tenant.go and
// operator_segment.go, and what a segment leaves behind when it sleeps is in survivor.go;
// what an operator is shown of one that is gone is in resting.go, and how the end of its
// pause is noticed in pauseover.go; what of the options may change meanwhile is in tuning.go. Three actors stand
// beside the way of a key: the newsdesk writes the log of what changes (news.go, newslines.go), the
// history keeps the last calls (history.go), the chronicle the last events (events.go).
// Where a key is now is found out in where.go. Where several nodes share the journal, the
// tenants that are another node's are in placing.go, and what nodes have each other do in
// sharing.go. All messages are in
// messages.go, how one is answered is in answer.go, how it all ends is in draining.go.
//
// Who runs, what it alone may touch, and what feeds it:
//
//	registry  one actor        tenants' roster, records, turns, egress limiter, the unproven tenants with an
//	                           actor and without, which tenants are proven, and paused
//	          fed by           the door: accept, list, operate, inspect, seek, surrender, regain,
//	                           activate, drainAll, tuned, end; of a shared journal: own, disown, letGo, hinted, egressOf;
//	                           replay: activate, found, foundResting;  reminders of the ends of pauses: pauseEnds;
//	                           the journal: rested;
//	                           tenants: wantSlot, slotEnded, tenantIdle, tenantDrained; its timers: tick, sweep, admit
//	tenant    one per apiToken segments' roster, dormant segments, calls (pace, pause, who waits, what is under way)
//	          fed by           registry: accept, activate, slot, operate, inspect, seek, rested, surrender, regain, pauseEnds, rest, doze, drain,
//	                           listTenant, tuned, end;
//	                           segments: wantPermit, wantNoPermit, segmentIdle, segmentDrained, callEnded (permit
//	                           not used);
//	                           calls: callEnded; its timers: tick, sweep
//	segment   one per segment  its cell, and in it batch, standing, timer; survivor but for the counts in it
//	          fed by           tenant: accepted, activate, permit, recall, operate, inspect, seek, surrenderSegment, regain, pauseEnds, rest,
//	                           doze, drain;
//	                           calls: flushed; the journal: drawn, counted, unparked, settled; its timer: tick
//	call      one goroutine per call under way: reads its chunk, which nobody changes meanwhile
//	replay    one goroutine at the start: reads the journal, feeds the registry
//	reminder  one timer for each pause with an end: feeds the registry when it is over (pauseover.go)
//	remedy    up to 64 goroutines for each that concerns many segments: ask the registry or the journal about one each
//
// and outside this package the journal's committer, which answers accept, and
// operate where that changes a state.
//
// Every message that somebody waits for gets exactly one answer, whatever happens:
// it says that it is done, or what became of it instead (answer.go). These are
//
//	accept     the change is durable; the caller of Relay.Accept waits
//	operate    the wish is durable; operator.  recall: a segment holds no permit that it has not used
//	inspect    the detail is written; operator.  seek: so it is whether a key is in flight
//	callsOf    the calls are written; operator.  limitsOf: the limits are
//	foundResting  the parked keys are counted; replay
//	list       the tenants are asked; operator.  listTenant: a tenant's segments are listed
//	surrender  the segments are told; operator.  surrenderSegment: a segment holds no key
//	regain     the segments are told that the move is over; operator
//	activate   the segment knows of its keys; replay, or operator.  found: or the registry does
//	drainAll   what can be flushed is; Stop.     drain: so it is of a tenant, of a segment
//	end        the registry has ended; Stop
//	own        changes of the slots go to their tenants' actors; Claim.  disown: none of their calls
//	           begins any more; letGo: their actors end; Release
//
// The actors end by messages too, behind all that was sent before: the library's own
// stop overtakes what is in a mailbox, and loses it without a word.
//
// There may be any number of tenants that somebody made up and that can deliver
// nothing: they come last, and most of them have no actors while they wait, only a
// small record (admission.go, tenant_doze.go, doze.go, dormant.go; ADR 12).
//
// There may be a million segments, of which few have anything to do. So what a
// segment knows is dropped when the journal has nothing of it (asleep, cell.go),
// and its actor is let go when it has got no message for a while (passivated,
// roster.go); the next message brings either back. TestFootprint keeps the cost.
// For its sake nobody is restarted by the library after a panic, which takes a
// recipe of its own for each actor: the parent lets the actor go on, and the cell
// has dropped what its segment knew.
//
// A mailbox is the only lock: state changes in Receive alone, there is no mutex,
// and whatever takes time runs elsewhere and comes back as a message. Mailboxes
// have no bound; what is let in is bounded before, in package api.
//
// The states of a key, and what moves it on:
//
//	accepted   journal.Append is durable; held in the batch, or stored in the journal alone
//	in flight  Batch.Next; a call carries it
//	delivered  2xx: Batch.Delivered and journal.Settle; gone from the journal
//	parked     refused for good: journal.Park, with the reason; a newer change of the
//	           same key takes its place, an operator has it tried again or discarded
//
// Everything else leaves it accepted: a refusal for now, a lost answer, a crash,
// a stop, a pause, and a refusal of its whole segment or tenant.
//
// After a power loss or a kill the chunk that was in flight is not known any
// more; its keys are in the journal with their last verb and are sent again, a
// flush interval after the start, or at once where there is a whole call's worth.
// If such a key changed after the cut, only the newer verb is sent. The connection
// of the older call died with the process; should Split still apply that call, the
// restart, and mostly the interval, gives it time to do so before the newer verb
// comes (I2).
package actors
