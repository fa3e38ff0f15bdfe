package actors

import (
	"errors"
	"iter"
	"sync"
	"time"

	"audiences/audience"
	"audiences/journal"
)

// nodeLane does one thing after the other; each is tried until it is done.
type nodeLane struct {
	mu    sync.Mutex
	queue []nodeTask
	ended bool
	wake  chan struct{}
}

type nodeTask struct {
	do   func() error
	done func(error)
}

func (j *nodeJournal) newLane() *nodeLane {
	l := &nodeLane{wake: make(chan struct{}, 1)}
	j.running.Go(func() { l.run(j) })
	return l
}

// put hands a task in.
func (l *nodeLane) put(t nodeTask) {
	if t.done == nil {
		t.done = func(error) {}
	}
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		t.done(journal.ErrClosed)
		return
	}
	l.queue = append(l.queue, t)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *nodeLane) next() (t nodeTask, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ok = len(l.queue) > 0; ok {
		t, l.queue = l.queue[0], l.queue[1:]
	}
	return t, ok
}

func (l *nodeLane) run(j *nodeJournal) {
	for {
		if t, ok := l.next(); ok {
			t.done(j.carryOut(t))
			continue
		}
		select {
		case <-l.wake:
		case <-j.ctx.Done():
			if l.end() {
				return
			}
		}
	}
}

// end takes no more tasks, unless one has just come.
func (l *nodeLane) end() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = len(l.queue) == 0
	return l.ended
}

var errNotOwner = errors.New("another node owns this tenant by now")

func (j *nodeJournal) carryOut(t nodeTask) error {
	for {
		if j.ctx.Err() != nil {
			return journal.ErrClosed
		}
		switch err := t.do(); {
		case err == nil, errors.Is(err, errNotOwner):
			return err
		}
		j.pause()
	}
}

// laneOf is the lane of a segment, or without a name of a tenant.
func (j *nodeJournal) laneOf(s audience.Segment) *nodeLane {
	sum := int(s.Tenant[1])
	for _, c := range s.Name {
		sum += int(c)
	}
	return j.lanes[sum%len(j.lanes)]
}

// onLane does something with the table in a segment's order.
func onLane[T any](j *nodeJournal, lane *nodeLane, before chan struct{}, statement func(*table) T, done func(T, error)) {
	var answer T
	lane.put(nodeTask{
		do: func() (err error) {
			if before != nil {
				select {
				case <-before:
				case <-j.ctx.Done():
					return journal.ErrClosed
				}
			}
			answer, err = ask(j.ctx, j.link, nodeLaneTime, statement)
			return err
		},
		done: func(err error) { done(answer, err) },
	})
}

func (j *nodeJournal) Load(l journal.Load) {
	onLane(j, j.laneOf(l.Segment), j.until(l.NotBefore), func(t *table) journal.Page { return t.load(l.Segment, l.After, l.Limit) },
		func(page journal.Page, err error) {
			if page.Newest = j.Newest(); err != nil {
				page = journal.Page{Err: err}
			}
			l.Done(page)
		})
}

func (j *nodeJournal) Count(c journal.Count) {
	onLane(j, j.laneOf(c.Segment), j.until(j.Newest()), func(t *table) journal.Counts {
		s := t.segments[c.Segment]
		if s == nil {
			return journal.Counts{}
		}
		return journal.Counts{Pending: len(s.pending), Parked: len(s.parked)}
	}, func(counts journal.Counts, err error) {
		counts.Err = err
		c.Done(counts)
	})
}

func (j *nodeJournal) Parked(q journal.ParkedQuery) {
	onLane(j, j.laneOf(q.Segment), nil, func(t *table) (page journal.ParkedPage) {
		if s := t.segments[q.Segment]; s != nil {
			for _, e := range s.parked {
				page.Entries = append(page.Entries, e)
			}
		}
		return page
	}, func(page journal.ParkedPage, err error) {
		page.Err = err
		q.Done(page)
	})
}

func (j *nodeJournal) Settle(s journal.Settle) {
	which := choose(s.Selection)
	onLane(j, j.laneOf(s.Segment), nil, func(t *table) (newer []audience.Key) {
		_, newer = t.remove(j.self, s.Segment, which)
		return newer
	}, func(newer []audience.Key, err error) {
		if s.Done != nil {
			s.Done(newer, err)
		}
	})
}

func (j *nodeJournal) Park(p journal.Park) {
	which := choose(p.Selection)
	onLane(j, j.laneOf(p.Segment), nil, func(t *table) []audience.Key { return t.park(j.self, p, which) }, func(newer []audience.Key, err error) {
		if p.Done != nil {
			p.Done(newer, err)
		}
	})
}

func (j *nodeJournal) Unpark(u journal.Unpark) {
	var listed map[audience.Key]struct{}
	if u.Keys != nil {
		listed = map[audience.Key]struct{}{}
		for key := range u.Keys {
			listed[key] = struct{}{}
		}
	}
	version := j.newVersion()
	onLane(j, j.laneOf(u.Segment), nil, func(t *table) int { return t.unpark(j.self, u, listed, version) }, func(n int, err error) {
		if u.Done != nil {
			u.Done(n, err)
		}
	})
}

// asOwner writes a state, unless another node owns the tenant by now. A late repetition of
// such a statement is not played: it would come after a newer one.
func (j *nodeJournal) asOwner(lane *nodeLane, id audience.TenantID, done func(error), write func(*table)) {
	written := false
	lane.put(nodeTask{done: done, do: func() error {
		owner, err := ask(j.ctx, j.link, nodeLaneTime, func(t *table) bool {
			owner := t.slots[id.Slot()] == j.self
			if owner && !written {
				written = true // under the table's lock
				write(t)
			}
			return owner
		})
		if err == nil && !owner {
			err = errNotOwner
		}
		return err
	}})
}

func (j *nodeJournal) SetSegmentState(s audience.Segment, state journal.SegmentState, done func(error)) {
	j.asOwner(j.laneOf(s), s.Tenant, done, func(t *table) { t.segment(s).state = state })
}

func (j *nodeJournal) SetTenantState(id audience.TenantID, state journal.TenantState, done func(error)) {
	j.asOwner(j.laneOf(audience.Segment{Tenant: id}), id, done, func(t *table) { t.tenant(id).state = state })
}

func (j *nodeJournal) Prove(id audience.TenantID) {
	onLane(j, j.laneOf(audience.Segment{Tenant: id}), nil, func(t *table) bool { t.proven[id] = struct{}{}; return true }, func(bool, error) {})
}

func (j *nodeJournal) Forget(audience.Segment) {}

func (j *nodeJournal) NoteEvent(e journal.Event, done func(error)) {
	onLane(j, j.lanes[0], nil, func(t *table) bool { t.events = append(t.events, e); return true }, func(_ bool, err error) {
		if done != nil {
			done(err)
		}
	})
}

func (j *nodeJournal) MoveTenant(_, _ audience.TenantID, done func([]audience.Segment, int, error)) {
	done(nil, 0, errors.New("tenants are not moved here"))
}

func (j *nodeJournal) Find(f journal.Find) { f.Done(journal.Found{}) }

func (j *nodeJournal) Since(v journal.Version) (time.Time, bool) {
	return nodeEpoch.Add(time.Duration(v.Counter())*time.Millisecond - j.table.ahead), true
}

// listBehind lists what a statement finds.
func listBehind[T any](j *nodeJournal, find func(*table) []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		type answer struct {
			all []T
			err error
		}
		answers := make(chan answer, 1)
		onLane(j, j.behind, nil, find, func(all []T, err error) { answers <- answer{all, err} })
		a := <-answers
		for _, item := range a.all {
			if !yield(item, nil) {
				return
			}
		}
		if a.err != nil {
			yield(*new(T), a.err)
		}
	}
}

func (j *nodeJournal) Events() iter.Seq2[journal.Event, error] {
	return listBehind(j, func(t *table) []journal.Event { return append([]journal.Event(nil), t.events...) })
}

func (j *nodeJournal) Proven(of audience.Slots) iter.Seq2[audience.TenantID, error] {
	return listBehind(j, func(t *table) (all []audience.TenantID) {
		for id := range t.proven {
			if of.Has(id.Slot()) {
				all = append(all, id)
			}
		}
		return all
	})
}

func (j *nodeJournal) Tenants(of audience.Slots) iter.Seq2[journal.KnownTenant, error] {
	if j.failTenants.Add(-1) >= 0 {
		return func(yield func(journal.KnownTenant, error) bool) { yield(journal.KnownTenant{}, errStruck) }
	}
	return listBehind(j, func(t *table) (all []journal.KnownTenant) {
		for id, known := range t.tenants {
			if known.named && of.Has(id.Slot()) {
				all = append(all, journal.KnownTenant{Tenant: known.tenant, State: known.state})
			}
		}
		return all
	})
}

func (j *nodeJournal) Segments(of audience.Slots) iter.Seq2[journal.Listed, error] {
	return listBehind(j, func(t *table) []journal.Listed {
		return t.list(func(id audience.TenantID) bool { return of.Has(id.Slot()) })
	})
}

func (j *nodeJournal) SegmentsOf(tenant audience.TenantID) iter.Seq2[journal.Listed, error] {
	return listBehind(j, func(t *table) []journal.Listed {
		return t.list(func(id audience.TenantID) bool { return id == tenant })
	})
}
