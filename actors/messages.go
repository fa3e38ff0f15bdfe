package actors

import (
	"fmt"
	"log/slog"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"
)

// Messages that travel down, from the door to the registry, a tenant, a segment.
// Only a parent sends to its child, and both count (see roster).
type (
	// accept carries a change to its segment; reply gets exactly one answer, from
	// the journal's committer in the good case.
	accept struct {
		change audience.Change
		reply  chan<- error
	}
	// activate brings back a segment that has keys in the journal. loaded gets a
	// value once its first keys are in memory; it always has room.
	activate struct {
		tenant  audience.Tenant
		segment audience.Segment
		loaded  chan<- struct{}
	}
	// slot lets a tenant make one call through the shared egress.
	slot struct{}
	// permit lets a segment make one call.
	permit struct{}
	// rest asks a child that got no message for a while whether it may be let go.
	rest struct{}
	// drain asks for everything to be flushed now; answered once with drained.
	drain struct{}
	// census asks what every segment holds; answered on parts.
	census struct{ reply chan<- parts }
	// surrender has a tenant's segments give up their keys, to be moved to another
	// tenant. To a tenant it comes with count, to a segment with done.
	surrender struct {
		tenant audience.Tenant
		count  chan<- surrendering
		done   chan<- struct{}
	}
	// muster is the census of one tenant.
	muster struct{ part chan<- []SegmentView }
)

// parts is the registry's answer to a census: how many tenants will answer, and
// where.
type parts struct {
	tenants int
	views   <-chan []SegmentView
	dormant []dormants
}

// surrendering is a tenant's answer to surrender: how many segments will tell
// that they have given up, and where.
type surrendering struct {
	segments int
	done     <-chan struct{}
}

// Messages that travel up, from a segment to its tenant, from a tenant to the
// registry.
type (
	// wantPermit asks for leave to call; since is when the oldest key was due.
	wantPermit struct {
		segment audience.Segment
		since   time.Time
	}
	// callEnded gives a permit back, used or not.
	callEnded struct {
		segment audience.Segment
		outcome splitclient.Outcome // zero when no call was made
	}
	// segmentIdle says that a segment has nothing to do and has seen so many
	// messages; forget: nor has it anything on disk. With keep it has keys, which are
	// on disk, and dozes.
	segmentIdle struct {
		segment          audience.Segment
		generation, seen uint64
		forget           bool
		keep             *dormantSegment
	}
	// segmentDrained says that a segment has flushed what it could.
	segmentDrained struct{}
	// wantSlot asks the registry for leave to make one call.
	wantSlot struct{ tenant audience.TenantID }
	// slotEnded gives a slot back, used or not.
	slotEnded struct {
		tenant  audience.TenantID
		outcome splitclient.Outcome // zero when no call was made
	}
	// tenantIdle is segmentIdle of a whole tenant.
	tenantIdle struct {
		tenant           audience.TenantID
		generation, seen uint64
		keep             *dormant // what is to be kept of a tenant that dozes; nil: nothing
	}
	// tenantDrained says that all segments of a tenant are drained.
	tenantDrained struct{ tenant audience.TenantID }
)

// Messages that an actor's own timers and goroutines send to it.
type (
	// tick: a timer fired; the actor looks what is due.
	tick struct{}
	// sweep: time to look for idle children.
	sweep struct{}
	// flushed brings the outcome of a call back to its segment.
	flushed struct {
		chunk   *chunk
		outcome splitclient.Outcome
	}
	// drawn brings a page of the journal to the incarnation that asked for it. To
	// the next one, after a crash, it is too old: changes came since.
	drawn struct {
		by   *segment
		page journal.Page
	}
)

// fromParent marks the messages that count for the passivation handshake.
type fromParent interface{ fromParent() }

func (*accept) fromParent()    {}
func (*activate) fromParent()  {}
func (*slot) fromParent()      {}
func (*permit) fromParent()    {}
func (*rest) fromParent()      {}
func (*drain) fromParent()     {}
func (*muster) fromParent()    {}
func (*operate) fromParent()   {}
func (*inspect) fromParent()   {}
func (*surrender) fromParent() {}

// The actor library prints whole messages when one is undelivered or when an
// actor crashes; these four hold keys or tokens and show their type only (I7).

func (m *accept) String() string         { return "accept " + m.change.String() }
func (m *accept) GoString() string       { return m.String() }
func (m *accept) LogValue() slog.Value   { return slog.StringValue(m.String()) }
func (m *activate) String() string       { return fmt.Sprintf("activate %s", m.segment.Name) }
func (m *activate) GoString() string     { return m.String() }
func (m *activate) LogValue() slog.Value { return slog.StringValue(m.String()) }
func (m *flushed) String() string        { return fmt.Sprintf("flushed %s", m.outcome.Reason) }
func (m *flushed) GoString() string      { return m.String() }
func (m *flushed) LogValue() slog.Value  { return slog.StringValue(m.String()) }
func (m *drawn) String() string          { return fmt.Sprintf("drawn %d keys", len(m.page.Entries)) }
func (m *drawn) GoString() string        { return m.String() }
func (m *drawn) LogValue() slog.Value    { return slog.StringValue(m.String()) }
