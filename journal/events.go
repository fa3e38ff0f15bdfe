package journal

// Event is something that happened and that an operator may want to look back to. The
// journal knows nothing of what it says.
type Event struct {
	Number uint64 // rises from one to the next
	Text   []byte // names no key and no token (I7)

	Replaces uint64 // the number of an earlier event, which goes in the same step; 0: none
}

// EventsKept is how many events a journal keeps: the last ones.
const EventsKept = 1_000
