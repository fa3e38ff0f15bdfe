package journal

import "audiences/audience"

// Load asks for a segment's pending keys, in the order of the journal (see AppendKey).
// The page shows nothing that a power loss could take back.
type Load struct {
	audience.Hidden[Load]

	Segment audience.Segment
	After   Cursor // where to begin; the zero value is the start
	Limit   int    // the most entries to give; 0: none, and the pending keys are not looked at
	// NotBefore is a version that this node gave: the page shows what came in with it and
	// before. The embedded store shows all that was handed in before the Load.
	NotBefore Version
	Done      func(Page) // called once, from a goroutine of the journal; must not wait for anything
}

// Entry is one pending key.
type Entry struct {
	audience.Hidden[Entry]

	Key     audience.Key
	Verb    audience.Verb
	Version Version // 0: it was accepted before keys had versions
}

// Page is the answer to Load. When Err is set, the entries given are right but
// some after them could not be read; the other fields may be incomplete.
type Page struct {
	audience.Hidden[Page]

	Entries []Entry
	Newest  Version      // of this node: nothing that came in after it is in the page, or was by then
	Next    Cursor       // After of the next page
	More    bool         // there are keys after this page; with Limit 0: there may be
	State   SegmentState // of the segment
	Parked  bool         // the segment may have parked keys
	Err     error
}

// ParkedQuery asks for a segment's parked keys, in the order of Load.
type ParkedQuery struct {
	audience.Hidden[ParkedQuery]

	Segment audience.Segment
	After   Cursor           // where to begin; the zero value is the start
	Limit   int              // the most entries to give
	Done    func(ParkedPage) // as in Load
}

// ParkedPage is the answer to ParkedQuery. Err as in Page.
type ParkedPage struct {
	audience.Hidden[ParkedPage]

	Entries []ParkedEntry
	Next    Cursor
	More    bool
	Err     error
}

// ParkedEntry is one parked key.
type ParkedEntry struct {
	audience.Hidden[ParkedEntry]

	Key     audience.Key
	Verb    audience.Verb
	Refusal Refusal
}

// MaxParkedCount is where the count of a segment's parked keys stops.
const MaxParkedCount = 1_000_000

// Count asks how many keys a segment has. It sees what a Load in its place would see,
// however late it is carried out. That means to look at each of them, ten
// million in seconds, so it is the last thing that the journal does: one count at
// a time, while no Load waits for a reader.
type Count struct {
	Segment audience.Segment
	Done    func(Counts) // called once, from a goroutine of the journal; must not wait for anything
}

// Counts is the answer to Count. When Err is set, some could not be read, and
// there may be more than what was counted.
type Counts struct {
	Pending int
	Parked  int // counting stops at MaxParkedCount
	Err     error
}

// Listed is one described segment.
type Listed struct {
	Segment  audience.Segment
	Pending  bool // it has pending keys
	Keys     int  // how many, but they are not counted to the end
	MoreKeys bool // there may be more of them than that
	Parked   bool // it has parked keys
	State    SegmentState
}

// KnownTenant is one tenant of the journal.
type KnownTenant struct {
	Tenant audience.Tenant
	State  TenantState
}
