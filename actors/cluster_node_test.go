package actors

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/placement"
	"audiences/splitclient"
)

// clusterNode is one life of a node. Goroutines of a bubble cannot be stopped: of one that
// stands still all that others could see is held instead. That is its way to the table, its
// calls to Split, and its callers.
type clusterNode struct {
	c       *cluster
	index   int
	self    placement.NodeID
	journal *nodeJournal
	relay   *Relay
	place   *placement.Node

	still  door
	refuse atomic.Int64 // until then changes are refused, after it stood still (F4)
	gone   chan struct{}
	// holdGroups is a door before which groups of changes wait; nil: none does.
	holdGroups atomic.Pointer[door]

	crashes  atomic.Int32    // so many of the next segments that hear of a change crash
	ctx      context.Context // ends with gone
	end      context.CancelFunc
	endBeats context.CancelFunc
	ending   sync.Once
	stopping atomic.Bool
	stopped  chan struct{} // closed when the relay has stopped
	leaving  atomic.Bool
}

const (
	clusterLease = 3 * time.Second
	clusterIdle  = 15 * time.Second
	clusterFlush = 2 * time.Second
	clusterSlow  = 5 * time.Millisecond
)

// errStood refuses a change for a moment (F4).
var errStood = errors.New("this process stood still")

// begin starts a life of a node.
func (c *cluster) begin(index int) *clusterNode {
	n := &clusterNode{c: c, index: index, gone: make(chan struct{}), stopped: make(chan struct{})}
	n.ctx, n.end = context.WithCancel(context.Background())
	c.table.mu.Lock()
	n.self = c.table.enter(clusterLease)
	c.table.mu.Unlock()
	c.note("node %d begins a life, %d", index, n.self)
	l := &link{table: c.table, lots: c.lots, still: &n.still, gone: n.gone, broken: make(chan struct{})}
	l.slow.Store(int64(clusterSlow))
	n.place = placement.NewNode(placement.Options{
		Table: tableOf{n}, Self: n.self, Lease: clusterLease,
		Claimed: func(slots audience.Slots) { n.relay.Claim(slots) },
		Release: func(slots audience.Slots, done func()) { n.relay.Release(slots, done) },
		Demand:  func() (float64, time.Time) { return n.relay.Demand() },
		Egress:  func(share float64, blocked time.Time) { n.relay.Egress(share, blocked) },
		Fatal:   n.fatal,
	})
	n.journal = openNodeJournal(n.ctx, l, n.self, n.refused, func(t audience.Tenant, s audience.Segment) { n.relay.Hint(t, s) })
	sharing := &Sharing{Lease: n.place.Lease().Held, Within: n.place.Lease().Context}
	if c.table.without.lease {
		sharing = &Sharing{Lease: func() error { return nil }, Within: context.Background}
	}
	deliver := n.deliver
	if c.off {
		deliver = nil
	}
	n.relay = Start(Options{
		Journal: n.journal, Deliver: deliver, Sharing: sharing,
		FlushInterval: clusterFlush, IdleTimeout: clusterIdle,
		MaxKeysPerCall: 3, MaxKeysHeld: 5, MaxKeysInMemory: 12,
		MaxConcurrentCalls: 3, MaxCallsPerSecond: 20, MaxCallsPerSecondPerTenant: 10,
		ProbeInterval: 10 * time.Second, NotFoundGrace: 5 * time.Second, TokenBackoff: 5 * time.Second, MaxBackoff: 10 * time.Second,
		Random: c.lots.float, heard: n.heard,
	})
	beating, endBeats := context.WithCancel(n.ctx)
	n.endBeats = endBeats
	c.running.Go(func() { n.place.Run(beating) })
	return n
}

// tableOf is the node's table; its journal is made after the place that uses it.
type tableOf struct{ n *clusterNode }

func (t tableOf) Beat(ctx context.Context, b placement.Beat) (placement.View, error) {
	return t.n.journal.Beat(ctx, b)
}
func (t tableOf) Leave(ctx context.Context) error { return t.n.journal.Leave(ctx) }

// refused is what placement.Stall does: the process is said to have stood still.
func (n *clusterNode) refused() error {
	if hold := n.holdGroups.Load(); hold != nil {
		hold.pass(n.gone)
	}
	if time.Now().UnixNano() < n.refuse.Load() {
		return errStood
	}
	return nil
}

func (n *clusterNode) heard() {
	if n.crashes.Load() > 0 && n.crashes.Add(-1) >= 0 {
		n.c.note("node %d: a segment crashes", n.self)
		panic(errStruck)
	}
}

// stand has the process stand still for so long. It ends where that is longer than a lease
// (F4).
func (n *clusterNode) stand(d time.Duration) {
	if !n.still.close() {
		return
	}
	n.c.note("node %d stands still for %v", n.self, d)
	n.c.running.Go(func() {
		began := time.Now()
		select {
		case <-time.After(d):
		case <-n.gone:
		case <-n.c.healed:
		}
		stood := time.Since(began)
		if stood >= time.Second {
			n.refuse.Store(time.Now().Add(time.Second).UnixNano())
		}
		n.c.note("node %d goes on", n.self)
		n.still.open()
		if stood >= clusterLease {
			time.Sleep(n.c.lots.upTo(100 * time.Millisecond))
			n.fatal(placement.ErrStalled)
		}
	})
}

// fatal ends the process; a new one begins.
func (n *clusterNode) fatal(err error) {
	n.c.note("node %d: %v", n.self, err)
	n.c.running.Go(func() {
		n.crash()
		n.c.again(n, time.Second)
	})
}

// crash ends the process at once. What it has sent may arrive yet.
func (n *clusterNode) crash() {
	n.ending.Do(func() {
		n.c.note("node %d ends", n.self)
		close(n.gone)
		n.end()
		n.relay.giveUp()
		n.c.running.Go(func() {
			n.stopRelay(n.ctx)
			n.journal.running.Wait()
			n.journal.carriers.Wait()
		})
	})
}

// stopRelay stops the relay once, and waits for that. No sync.Once: time would stand still
// for who waits at its mutex.
func (n *clusterNode) stopRelay(ctx context.Context) {
	if !n.stopping.Swap(true) {
		n.relay.Stop(ctx)
		close(n.stopped)
	}
	<-n.stopped
}

// leave takes the node out without anybody noticing.
func (n *clusterNode) leave(after time.Duration) {
	if n.leaving.Swap(true) {
		return
	}
	n.c.note("node %d leaves", n.self)
	n.c.running.Go(func() {
		limited := func(d time.Duration, do func(context.Context)) {
			ctx, cancel := context.WithTimeout(n.ctx, d)
			defer cancel()
			do(ctx)
		}
		limited(20*time.Second, n.place.Leave)
		limited(5*time.Second, n.stopRelay)
		n.endBeats()
		limited(time.Second, func(ctx context.Context) { _ = n.place.Bye(ctx) })
		n.crash()
		n.c.again(n, after)
	})
}

// deliver is the client's way to Split: the call is about to be sent, and the connection's
// Write looks at the lease again.
func (n *clusterNode) deliver(ctx context.Context, call splitclient.Call) splitclient.Outcome {
	given := splitclient.Outcome{Kind: splitclient.Transient, Reason: splitclient.Cancelled}
	select {
	case <-time.After(n.c.lots.upTo(20 * time.Millisecond)):
	case <-ctx.Done():
		return given
	}
	if !n.still.pass(ctx.Done()) {
		return given
	}
	if !n.c.table.without.lease && n.place.Lease().Held() != nil {
		return given
	}
	n.c.judge(n, call)
	return n.c.client.Do(ctx, call)
}

// accept takes a change in, as its caller sees it; false: it was refused, or there was no
// answer, for as long as the caller waits.
func (n *clusterNode) accept(full audience.Change, gaveUp <-chan struct{}) bool {
	time.Sleep(n.c.lots.upTo(10 * time.Millisecond))
	if !n.still.pass(n.gone) || n.journal.away.Load() {
		return false
	}
	reply := make(chan error, 1)
	n.relay.Accept(reply, full)
	select {
	case err := <-reply:
		if err != nil || !n.still.pass(n.gone) {
			return false
		}
	case <-n.gone:
		return false
	case <-gaveUp:
		return false
	}
	time.Sleep(n.c.lots.upTo(10 * time.Millisecond))
	return true
}

// operate does something for an operator, who gives up after a while.
func (n *clusterNode) operate(do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(n.ctx, 10*time.Second)
	defer cancel()
	if err := do(ctx); err != nil && !refusedWish(err) && !errors.Is(err, ErrElsewhere) && !errors.Is(err, journal.ErrClosed) {
		n.c.note("node %d: an operator was told: %v", n.self, err)
	}
}
