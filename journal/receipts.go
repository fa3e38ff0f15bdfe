package journal

import (
	"time"

	"audiences/audience"
)

// Receipt is kept of the keys that one Settle removes, so that Find can tell when they
// were delivered. It is written together with the Settle: a power loss takes both or
// neither. The keys that turn out to be newer are part of it, since Split took their
// earlier change. The zero value is for keys that were not delivered: none is kept.
type Receipt struct {
	At   time.Time     // when Split had answered; kept to the microsecond. Zero: no receipt
	Verb audience.Verb // that Split carried out
	Call uint64        // the number of the call, as the caller counts them
}

// Find asks where a key is and what became of it: in one segment, in all segments of a
// tenant, or in all. It sees every write that was handed in before it.
//
// The work of one Find is bounded, and it is done after all Loads, as that of Count: a
// page may be short, or empty, and still have More. What is pending or parked comes
// first, then the deliveries, the newest hour first and in it segment by segment. So
// the first delivery of a search in one segment is the last one that was made.
type Find struct {
	audience.Hidden[Find]

	Segment audience.Segment  // where to look; the zero value: in all segments of Tenant
	Tenant  audience.TenantID // whose segments, where Segment is zero; the zero value: everybody's
	Like    audience.Segment  // where Segment is zero: in all segments that have its Tenant, Environment and Name, and its Workspace and TrafficType unless these are ""
	Key     audience.Key
	After   FindCursor  // where to go on; the zero value is the start
	Limit   int         // the most sightings to give; 0: 100
	Done    func(Found) // called once, from a goroutine of the journal; must not wait for anything
}

// FindCursor is a place in a search, in URL-safe letters. It tells no key.
type FindCursor string

// Found is the answer to Find. When Err is set, the sightings given are right but
// there may be others, which could not be read.
//
// A key that no page of a search shows has not been delivered from Since on. Since is
// zero where the journal keeps no receipts, and then no delivery is ever shown.
//
// Known tells of a search for Segment or Like whether the journal has come upon such a
// segment, on this page or one before: by its name, a key or a receipt.
type Found struct {
	audience.Hidden[Found]

	Sightings []Sighting
	Since     time.Time  // to the second
	Next      FindCursor // After of the next page
	More      bool       // the search is not at its end
	Known     bool
	Err       error
}

// KeyState is where a key was seen.
type KeyState uint8

// The states of a key that a journal knows. A key in flight is Pending here.
const (
	Pending   KeyState = iota + 1 // accepted and not settled
	Parked                        // refused for good
	Delivered                     // Split took it
)

func (s KeyState) String() string {
	switch s {
	case Pending:
		return "pending"
	case Parked:
		return "parked"
	case Delivered:
		return "delivered"
	}
	return "unknown"
}

// Sighting is one place where the key was seen. A segment has at most one that is
// Pending or Parked, and one that is Delivered for each receipt.
type Sighting struct {
	audience.Hidden[Sighting]

	Segment audience.Segment
	State   KeyState
	Verb    audience.Verb
	At      time.Time // Pending: when it was accepted, as Since tells, zero where that is unknown; Parked: when Split refused; Delivered: that of the Receipt
	Version Version   // of a Pending key
	Refusal Refusal   // of a Parked key
	Call    uint64    // of a Delivered key: that of the Receipt
}
