package placement

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"audiences/audience"
)

// ErrDead is why a node ends: another one has declared it dead and may own its slots.
var ErrDead = errors.New("another node has declared this one dead")

// errNotReady is what Ready says before the first beat has been answered.
var errNotReady = errors.New("this node has no lease yet")

// errLeaving is what Ready says from Leave on.
var errLeaving = errors.New("this node is leaving")

// Options are what a Node works with. All functions but Fatal are called by one goroutine
// and must not wait.
type Options struct {
	Table Table
	Self  NodeID
	Lease time.Duration // 0: 3 s
	Stall *Stall        // nil: one with the lease for its limit

	// Claimed tells of slots that are this node's from now on.
	Claimed func(audience.Slots)
	// Release asks for slots to be let go: no new call for them, and done is to be called
	// once those under way have ended.
	Release func(slots audience.Slots, done func())
	// Demand is how many calls a second this node would make, and until when Split bars its
	// address; nil: 0, and never.
	Demand func() (rate float64, blocked time.Time)
	// Egress is told what part of its address's budget this node may use, where it has
	// anything to call for, and until when Split bars the address as any node of the group
	// knows; nil: nobody is told.
	Egress func(share float64, blocked time.Time)
	// Fatal is told why the process has to end at once. It may be called by any goroutine.
	Fatal func(error)

	Logger     zerolog.Logger
	Registerer prometheus.Registerer // nil: metrics are kept but not registered
}

// beatsPerLease is how often a lease is renewed before it is over.
const beatsPerLease = 6

// Node keeps this node's place among the others.
type Node struct {
	o       Options
	lease   *Lease
	metrics *metrics
	hurry   chan struct{}
	leaving atomic.Bool
	view    atomic.Pointer[heard]

	// What follows belongs to the goroutine of run.
	mine   audience.Slots // those that Claimed was told of, until they are free again
	giving audience.Slots // of these: Release was asked for
	given  audience.Slots // of these: nothing is under way any more
	claim  audience.Slots // what the next beat asks for
	// seniorFrom is from when this node may declare others dead.
	seniorFrom time.Time
	budget     budget
	released   chan audience.Slots
}

// heard is a view, and by which clock of this node it is from.
type heard struct {
	View
	sent, came time.Time
}

// NewNode makes a node; Run has it take part.
func NewNode(o Options) *Node {
	if o.Lease == 0 {
		o.Lease = 3 * time.Second
	}
	if o.Demand == nil {
		o.Demand = func() (float64, time.Time) { return 0, time.Time{} }
	}
	if o.Egress == nil {
		o.Egress = func(float64, time.Time) {}
	}
	if o.Stall == nil {
		o.Stall = NewStall(o.Lease)
	}
	lease := NewLease()
	m := newMetrics(o.Registerer, lease)
	lease.lapsed = m.lapses.Inc
	return &Node{o: o, lease: lease, metrics: m, hurry: make(chan struct{}, 1), released: make(chan audience.Slots, audience.SlotCount)}
}

// Lease is this node's.
func (n *Node) Lease() *Lease { return n.lease }

// View is what the table last told, with its clock as it is by now; ok is false before it did.
func (n *Node) View() (view View, ok bool) {
	last := n.view.Load()
	if last == nil {
		return View{}, false
	}
	view = last.View
	view.Now = view.Now.Add(time.Since(last.came))
	return view, true
}

// Ready is nil while the lease lasts, a beat was answered lately, and the node is not
// leaving; otherwise it is the reason.
func (n *Node) Ready() error {
	last := n.view.Load()
	switch {
	case n.leaving.Load():
		return errLeaving
	case last == nil:
		return errNotReady
	}
	return n.lease.Held()
}

// Run beats until ctx ends.
func (n *Node) Run(ctx context.Context) {
	go n.o.Stall.Watch(ctx, n.o.Fatal)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case slots := <-n.released:
			n.given = n.given.Or(slots)
		case <-n.hurry:
		case <-timer.C:
		}
		for gathering := true; gathering; {
			select {
			case slots := <-n.released:
				n.given = n.given.Or(slots)
			default:
				gathering = false
			}
		}
		next := n.o.Lease / beatsPerLease
		if n.beat(ctx) {
			next = 0
		}
		timer.Reset(next)
	}
}

// Leave has this node give up its slots, and returns when it has none left, when no other
// node is there to take them, or when ctx ends.
func (n *Node) Leave(ctx context.Context) {
	n.leaving.Store(true)
	ticker := time.NewTicker(n.o.Lease / (10 * beatsPerLease))
	defer ticker.Stop()
	for {
		n.hurryUp()
		if view, ok := n.View(); ok && (view.Of(n.o.Self) == audience.Slots{} || alone(n.o.Self, view.Members)) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// HasOthers reports whether another node could take over what this one owns.
func (n *Node) HasOthers() bool {
	view, ok := n.View()
	return ok && !alone(n.o.Self, view.Members)
}

// alone: no other node could take the slots.
func alone(self NodeID, members []Member) bool {
	for _, m := range members {
		if m.ID != self && !m.Leaving {
			return false
		}
	}
	return true
}

// Bye takes the node out of the table, after Run has ended.
func (n *Node) Bye(ctx context.Context) error {
	n.lease.giveUp()
	return n.o.Table.Leave(ctx)
}

func (n *Node) hurryUp() {
	select {
	case n.hurry <- struct{}{}:
	default:
	}
}

// beat makes one round trip and does what follows from it. It reports whether the next one
// should come at once.
func (n *Node) beat(ctx context.Context) (again bool) {
	sent := time.Now()
	demand, blocked := n.o.Demand()
	b := Beat{Lease: n.o.Lease, Leaving: n.leaving.Load(), Demand: demand, Blocked: n.tableTime(blocked),
		Bury: n.burial(sent), Release: n.given, Claim: n.claim}
	limited, cancel := context.WithTimeout(ctx, n.o.Lease)
	defer cancel()
	view, err := n.o.Table.Beat(limited, b)
	n.metrics.beat.Observe(time.Since(sent).Seconds())
	switch {
	case err != nil:
		if ctx.Err() == nil {
			n.o.Logger.Warn().Err(err).Msg("this node could not renew its lease")
		}
		return false
	case view.Dead:
		n.lease.giveUp()
		n.o.Fatal(ErrDead)
		return false
	}
	if n.lease.Held() != nil || view.Now.After(n.foreseen(sent)) {
		n.seniorFrom = sent.Add(n.o.Lease)
	}
	n.lease.renew(sent.Add(n.o.Lease))
	n.view.Store(&heard{View: view, sent: sent, came: time.Now()})
	return n.follow(&view)
}

// burial is whom this node may declare dead with a beat that is sent now: nobody, until its
// lease has lasted for as long as one does, and the table's clock has gone on steadily. By
// then all others have had a beat of their own since, or hold no lease.
func (n *Node) burial(now time.Time) Burial {
	if n.lease.Held() != nil || now.Before(n.seniorFrom) {
		return Burial{}
	}
	return Burial{Foreseen: n.foreseen(now), Late: n.doubt()}
}

// foreseen is the latest time that the table's clock should show at a beat that is sent now,
// if that is under way no longer than the last one was, but for the doubt.
func (n *Node) foreseen(now time.Time) time.Time {
	last := n.view.Load()
	if last == nil {
		return now
	}
	return last.Now.Add(now.Sub(last.sent) + n.doubt())
}

// doubt is how much later a beat may arrive than is foreseen, and how far the table's clock
// may be set ahead without anybody noticing.
func (n *Node) doubt() time.Duration { return n.o.Lease / (2 * beatsPerLease) }

// follow takes over what the view says, and decides what to ask for next.
func (n *Node) follow(view *View) (again bool) {
	owned := view.Of(n.o.Self)
	if lost := n.mine.Without(owned).Without(n.giving); lost != (audience.Slots{}) {
		n.lease.giveUp()
		n.o.Fatal(ErrDead) // nobody takes slots but from the dead
		return false
	}
	n.mine, n.giving, n.given = n.mine.And(owned), n.giving.And(owned), n.given.And(owned)
	if claimed := owned.Without(n.mine); claimed != (audience.Slots{}) {
		n.mine = owned
		n.o.Logger.Info().Int("slots", claimed.Len()).Int("owned", owned.Len()).Msg("this node delivers for more tenants")
		n.o.Claimed(claimed)
	}
	wanted := assigned(n.o.Self, view.Members)
	if surplus := n.mine.Without(wanted).Without(n.giving); surplus != (audience.Slots{}) && !alone(n.o.Self, view.Members) {
		n.giving = n.giving.Or(surplus)
		n.o.Logger.Info().Int("slots", surplus.Len()).Msg("this node hands tenants over to others")
		n.o.Release(surplus, func() { n.released <- surplus })
	}
	n.claim = wanted.Without(owned).And(view.free())
	share := n.budget.grant(n.o.Self, view, time.Now(), n.o.Lease)
	n.metrics.saw(view, owned, share)
	n.o.Egress(share, n.blockedUntil(view))
	return n.claim != (audience.Slots{}) || n.given != (audience.Slots{})
}

// blockedUntil is until when Split bars this node's address, as any node of its group knows,
// by this node's clock; zero: it does not.
func (n *Node) blockedUntil(view *View) (until time.Time) {
	egress := view.member(n.o.Self).Egress
	for _, m := range view.Members {
		if m.Egress == egress && m.Blocked.After(until) {
			until = m.Blocked
		}
	}
	if until.IsZero() {
		return until
	}
	return time.Now().Add(until.Sub(view.Now))
}

// tableTime is a time of this node's clock by the table's, as far as that is known.
func (n *Node) tableTime(at time.Time) time.Time {
	last := n.view.Load()
	if at.IsZero() || last == nil {
		return time.Time{}
	}
	return last.Now.Add(at.Sub(last.came))
}
