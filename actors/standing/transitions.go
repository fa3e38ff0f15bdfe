package standing

import "math/bits"

// state is a state of one part of the segment, or several of them. The segment is in
// one state of each part.
type state uint32

// The states, part by part. The first of each is the initial one.
const (
	gathering state = 1 << iota // no call is wanted yet, or none can be made
	waiting                     // for a permit to call
	fetching                    // a permit is in hand, and keys for the call are read from the journal
	calling                     // a call is under way

	unread     // nothing is known of what the journal has
	unreadable // the journal could not be read; changes are served meanwhile
	overruled  // so it could not, and its record is older than what was decided here since
	read       // the record is known, stored keys are being counted
	counted    // the record and the number of keys are known
	yielded    // all keys are being moved to another tenant, or come from there; the journal alone takes new ones

	running // no operator keeps the segment from calling
	paused  // an operator does

	open    // Split takes keys, as far as is known
	missing // Split does not know the segment, which may have been created just now
	parked  // Split refuses the whole segment: one key at a time is tried, at long intervals
	full    // so it does, because of its number of members: deletes go on

	keeping    // no key leaves the journal undelivered
	discarding // all that was pending is being deleted, at an operator's wish

	serving  // the relay runs
	draining // it stops: what may be sent is sent now
	drained  // that was tried
)

var stateNames = [...]string{
	"gathering", "waiting", "fetching", "calling",
	"unread", "unreadable", "overruled", "read", "counted", "yielded",
	"running", "paused",
	"open", "missing", "parked", "full",
	"keeping", "discarding",
	"serving", "draining", "drained",
}

// String is the name of a single state.
func (s state) String() string { return stateNames[bits.TrailingZeros32(uint32(s))] }

const (
	initial = gathering | unread | running | open | keeping | serving
	phases  = gathering | waiting | fetching | calling // what the segment does now
)

// event is what may change a state. Where no transition says so, it changes none.
type event string

const (
	permitAsked     event = "permit asked for"
	keysFetched     event = "no key in memory"
	callMade        event = "call made"
	permitUnused    event = "permit given back"
	permitWithdrawn event = "nothing to call for"
	outcomeIn       event = "outcome"

	nothingStored event = "nothing is in the journal"
	pageRead      event = "first page"
	pageFailed    event = "read error"
	stateWritten  event = "state written"
	keysCounted   event = "keys counted"
	keysYielded   event = "keys given up"
	moveOver      event = "move over"

	operatorPaused  event = "operator pauses"
	operatorResumed event = "operator resumes"
	pauseOver       event = "pause over"
	foundPaused     event = "found paused"
	foundRunning    event = "found running"

	notFound      event = "404 within the grace"
	otherOutcome  event = "any outcome but 404"
	refused       event = "refused"
	refusedAsFull event = "refused as full"
	keysTaken     event = "delivered, but for deletes of a full one"
	retried       event = "operator retries"
	foundParked   event = "found parked"
	foundFull     event = "found full"

	discardBegun event = "operator discards"
	discardDone  event = "all discarded"

	stopBegun event = "stop"
	stopTried event = "one attempt, or nothing to send"
)

// transition says which state an event leads to.
type transition struct {
	from state
	on   event
	to   state
}

// transitions is all of them. docs/segment-states.md shows the same as a diagram; a
// test compares the two.
var transitions = []transition{
	{gathering, permitAsked, waiting},
	{gathering, keysFetched, fetching}, // a permit that was asked for before a crash, or withdrawn too late
	{gathering, callMade, calling},     // the same
	{waiting, keysFetched, fetching},
	{waiting, callMade, calling},
	{waiting, permitUnused, gathering},
	{waiting, permitWithdrawn, gathering},
	{fetching, callMade, calling},
	{fetching, permitUnused, gathering},
	{calling, outcomeIn, gathering},

	{unread, nothingStored, counted},
	{unread, pageRead, read},
	{unread, pageFailed, unreadable},
	{unread, keysYielded, yielded},
	{unreadable, pageRead, read},
	{unreadable, stateWritten, overruled},
	{unreadable, keysYielded, yielded},
	{overruled, pageRead, read},
	{overruled, keysYielded, yielded},
	{read, keysCounted, counted},
	{read, keysYielded, yielded},
	{counted, keysYielded, yielded},
	{yielded, moveOver, unread},

	{running, operatorPaused, paused},
	{running, foundPaused, paused},
	{paused, operatorResumed, running},
	{paused, pauseOver, running},
	{paused, foundRunning, running},
	{paused, keysYielded, running},

	{open, notFound, missing},
	{open, refused, parked},
	{open, refusedAsFull, full},
	{open, foundParked, parked},
	{open, foundFull, full},
	{missing, otherOutcome, open},
	{missing, refused, parked},
	{missing, foundParked, parked},
	{missing, foundFull, full},
	{parked, keysTaken, open},
	{parked, retried, open},
	{parked, discardDone, open},
	{parked, keysYielded, open},
	{full, refused, parked},
	{full, keysTaken, open},
	{full, retried, open},
	{full, discardDone, open},
	{full, keysYielded, open},

	{keeping, discardBegun, discarding},
	{discarding, discardDone, keeping},

	{serving, stopBegun, draining},
	{draining, stopTried, drained},
}

// happen applies an event to every part that has a transition for it.
func (s *Standing) happen(e event) {
	before := s.now
	for _, t := range transitions {
		if before&t.from != 0 && t.on == e {
			s.now = s.now&^t.from | t.to
		}
	}
}

// in reports whether the segment is in one of the states.
func (s *Standing) in(any state) bool { return s.now&any != 0 }
