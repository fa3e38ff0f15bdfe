package actors

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/placement"
)

// nodeJournal is the table as one life of a node sees it: the journal and the table of
// package placement. It keeps the rules of journal/postgres: one group of changes is under
// way at a time, what concerns one segment is done in its order, and Load waits for what
// the segment knows of.
type nodeJournal struct {
	*link
	self    placement.NodeID
	refused func() error // asked before a group is written
	hinted  func(audience.Tenant, audience.Segment)

	away        atomic.Bool
	beats       atomic.Int64
	release     atomic.Pointer[numberedBeat] // the first one that released slots
	commits     atomic.Int64                 // what a commit takes at most, beside the link
	failTenants atomic.Int32                 // so many times from now on the list of tenants breaks off
	lanes       [3]*nodeLane
	behind      *nodeLane
	running     sync.WaitGroup
	ctx         context.Context // ends with the process

	mu      sync.Mutex
	waiting []*nodeGroup // the last one gathers
	under   *nodeGroup
	counter uint64
	tenants map[audience.TenantID]audience.Tenant
	hints   map[audience.Segment]struct{}
	owned   audience.Slots
	wake    chan struct{}
}

type numberedBeat struct {
	number int64
	placement.Beat
}

// nodeGroup is what one statement writes.
type nodeGroup struct {
	version  journal.Version
	began    time.Time
	segments map[audience.Segment]struct{}
	rows     map[row]audience.Verb
	hints    map[audience.Segment]struct{}
	dones    []func(error)
	ended    chan struct{}
}

// The times of journal/postgres.
const (
	nodeAcceptWithin = time.Second
	nodeAcceptTime   = 1250 * time.Millisecond
	nodeLaneTime     = 10*time.Second + 250*time.Millisecond
	nodeHintEvery    = 150 * time.Millisecond
	nodePollEvery    = time.Second
	nodeScanEvery    = 2500 * time.Millisecond
)

var nodeEpoch = time.Date(1999, time.January, 1, 0, 0, 0, 0, time.UTC) // bubbles begin in 2000

func openNodeJournal(ctx context.Context, l *link, self placement.NodeID, refused func() error, hinted func(audience.Tenant, audience.Segment)) *nodeJournal {
	j := &nodeJournal{link: l, self: self, refused: refused, hinted: hinted, ctx: ctx, tenants: map[audience.TenantID]audience.Tenant{}, hints: map[audience.Segment]struct{}{}, wake: make(chan struct{}, 1)}
	for i := range j.lanes {
		j.lanes[i] = j.newLane()
	}
	j.behind = j.newLane()
	j.running.Go(j.commit)
	j.running.Go(j.keepHints)
	return j
}

// tableTime is the table's clock, as far as this node has heard of it.
func (j *nodeJournal) tableTime(at time.Time) time.Time { return at.Add(j.table.ahead) }

// number is the next version; mu is locked.
func (j *nodeJournal) number() journal.Version {
	j.counter = max(j.counter+1, uint64(j.tableTime(time.Now()).Sub(nodeEpoch).Milliseconds()))
	return journal.MakeVersion(uint32(j.self), j.counter)
}

func (j *nodeJournal) newVersion() journal.Version {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.number()
}

func (j *nodeJournal) PutTenant(t audience.Tenant) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tenants[t.ID] = t
}

func (j *nodeJournal) Newest() journal.Version {
	j.mu.Lock()
	defer j.mu.Unlock()
	return journal.MakeVersion(uint32(j.self), j.counter)
}

func (j *nodeJournal) Append(a journal.Append) journal.Version {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ctx.Err() != nil {
		if a.Done != nil {
			a.Done(journal.ErrClosed)
		}
		return journal.MakeVersion(uint32(j.self), j.counter)
	}
	came := a.Came
	if came.IsZero() {
		came = time.Now()
	}
	if len(j.waiting) == 0 {
		j.waiting = append(j.waiting, &nodeGroup{version: j.number(), began: came, segments: map[audience.Segment]struct{}{},
			rows: map[row]audience.Verb{}, hints: map[audience.Segment]struct{}{}, ended: make(chan struct{})})
	}
	g := j.waiting[len(j.waiting)-1]
	for _, c := range a.Changes {
		g.segments[c.Segment] = struct{}{}
		if a.Hint && c.Keys.Len() > 0 {
			g.hints[c.Segment] = struct{}{}
		}
		for key := range c.Keys.All() {
			g.rows[row{c.Segment, key}] = c.Verb
		}
	}
	if a.Done != nil {
		g.dones = append(g.dones, a.Done)
	}
	select {
	case j.wake <- struct{}{}:
	default:
	}
	return g.version
}

// commit writes the groups, one at a time.
func (j *nodeJournal) commit() {
	for j.ctx.Err() == nil {
		if j.away.Load() {
			j.refuseWaiting(errAway)
			j.pause()
			if _, err := ask(j.ctx, j.link, nodeAcceptTime, func(*table) bool { return true }); err == nil {
				j.away.Store(false)
			}
			continue
		}
		if g := j.take(); g != nil {
			j.end(g, j.write(g))
			continue
		}
		select {
		case <-j.wake:
		case <-j.ctx.Done():
		}
	}
	j.refuseWaiting(journal.ErrClosed)
}

func (j *nodeJournal) pause() {
	select {
	case <-time.After(50*time.Millisecond + j.lots.upTo(200*time.Millisecond)):
	case <-j.ctx.Done():
	}
}

func (j *nodeJournal) take() *nodeGroup {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.waiting) == 0 {
		return nil
	}
	j.under, j.waiting = j.waiting[0], j.waiting[1:]
	return j.under
}

func (j *nodeJournal) end(g *nodeGroup, err error) {
	j.mu.Lock()
	j.under = nil
	if err == nil {
		for segment := range g.hints {
			j.hints[segment] = struct{}{}
		}
	}
	j.mu.Unlock()
	close(g.ended)
	for _, done := range g.dones {
		done(err)
	}
}

func (j *nodeJournal) refuseWaiting(err error) {
	for g := j.take(); g != nil; g = j.take() {
		j.end(g, err)
	}
}

// errFenced is why a group was not written (F1).
var errFenced = errAway

func (j *nodeJournal) write(g *nodeGroup) error {
	if err := j.refused(); err != nil {
		return err
	}
	deadline := j.tableTime(g.began).Add(nodeAcceptWithin)
	switch {
	case j.table.without.deadline:
		deadline = deadline.AddDate(1, 0, 0)
	case time.Since(g.began) > nodeAcceptWithin:
		return errFenced
	}
	j.mu.Lock()
	tenants := make(map[audience.TenantID]audience.Tenant, len(j.tenants))
	for id, t := range j.tenants {
		tenants[id] = t
	}
	j.mu.Unlock()
	time.Sleep(j.lots.upTo(time.Duration(j.commits.Load())))
	written, err := ask(j.ctx, j.link, nodeAcceptTime, func(t *table) bool {
		return t.append(j.self, deadline, tenants, g.version, g.segments, g.rows)
	})
	switch {
	case err != nil:
		j.away.Store(true)
		return err
	case !written:
		return errFenced
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for id := range tenants {
		delete(j.tenants, id)
	}
	return nil
}

// until is closed when all groups up to that version have ended; nil: they have.
func (j *nodeJournal) until(v journal.Version) (ended chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.under != nil && j.under.version <= v {
		ended = j.under.ended
	}
	for _, g := range j.waiting {
		if g.version <= v {
			ended = g.ended
		}
	}
	return ended
}

// keepHints leaves hints, and looks for them and for what has keys.
func (j *nodeJournal) keepHints() {
	ticker := time.NewTicker(nodeHintEvery)
	defer ticker.Stop()
	var polled, scanned time.Time
	for {
		select {
		case <-j.ctx.Done():
			return
		case <-ticker.C:
		}
		j.mu.Lock()
		leave, owned := j.hints, j.owned
		j.hints = map[audience.Segment]struct{}{}
		j.mu.Unlock()
		if len(leave) > 0 {
			_, err := ask(j.ctx, j.link, nodeLaneTime, func(t *table) bool {
				for segment := range leave {
					t.hints[segment] = struct{}{}
				}
				return true
			})
			if err != nil {
				continue
			}
		}
		now := time.Now()
		if owned == (audience.Slots{}) {
			continue
		}
		if now.Sub(polled) >= nodePollEvery {
			polled = now
			j.tellHints(func(t *table) (found []audience.Segment) {
				for _, segment := range t.names(func(id audience.TenantID) bool { return owned.Has(id.Slot()) }) {
					if _, hinted := t.hints[segment]; hinted {
						delete(t.hints, segment)
						found = append(found, segment)
					}
				}
				return found
			})
		}
		if now.Sub(scanned) >= nodeScanEvery {
			scanned = now
			j.tellHints(func(t *table) (found []audience.Segment) {
				for _, l := range t.list(func(id audience.TenantID) bool { return owned.Has(id.Slot()) }) {
					if l.Pending {
						found = append(found, l.Segment)
					}
				}
				return found
			})
		}
	}
}

func (j *nodeJournal) tellHints(find func(*table) []audience.Segment) {
	type hint struct {
		tenant  audience.Tenant
		segment audience.Segment
	}
	hints, _ := ask(j.ctx, j.link, nodeLaneTime, func(t *table) (hints []hint) {
		for _, segment := range find(t) {
			if known := t.tenant(segment.Tenant); known.named {
				hints = append(hints, hint{known.tenant, segment})
			}
		}
		return hints
	})
	for _, h := range hints {
		j.hinted(h.tenant, h.segment)
	}
}

// Beat is placement.Table's.
func (j *nodeJournal) Beat(ctx context.Context, b placement.Beat) (placement.View, error) {
	number := j.beats.Add(1)
	if b.Release != (audience.Slots{}) {
		j.release.CompareAndSwap(nil, &numberedBeat{number, b})
	}
	view, err := ask(ctx, j.link, b.Lease/2+250*time.Millisecond, func(t *table) placement.View { return t.beat(j.self, number, b) })
	if err == nil {
		j.mu.Lock()
		j.owned = view.Of(j.self)
		j.mu.Unlock()
	}
	return view, err
}

// Leave is placement.Table's.
func (j *nodeJournal) Leave(ctx context.Context) error {
	_, err := ask(ctx, j.link, time.Second, func(t *table) bool { t.leave(j.self); return true })
	return err
}
