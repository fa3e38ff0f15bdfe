package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/status"
)

// plan is what a remedy does, as far as that is known before.
type plan struct {
	hidden[plan]
	wish      status.Wish
	made      time.Time
	newest    journal.Version // accepted when it was made
	tenant    journal.KnownTenant
	successor journal.KnownTenant // of Move
	subjects  []subject           // the segments that it concerns
	missed    error               // not nil: there may be others, which could not be read
}

// subject is a segment that a remedy may concern. It is made of what the journal has of it
// and of what its actor shows; neither is woken or changed for that.
type subject struct {
	hidden[subject]
	segment audience.Segment
	state   journal.SegmentState
	pending int
	parked  int  // keys; an upper bound
	more    bool // there may be more of them: they are being counted
	refused bool // it may have parked keys
	stored  bool // the journal has pending keys of it, also such as its actor was not told of
}

// plan looks what there is, and refuses a wish that makes no sense.
func (r *Relay) plan(ctx context.Context, wish status.Wish) (*plan, error) {
	if wish.Remedy == status.Flush && r.Deliver == nil {
		return nil, status.ErrOff
	}
	p := &plan{wish: wish, made: time.Now(), newest: r.Journal.Newest()}
	if err := p.check(); err != nil {
		return nil, err
	}
	var err error
	if p.tenant, err = r.tenant(wish.Segment.Tenant); err != nil {
		return nil, err
	}
	if wish.Remedy == status.Move {
		if p.successor, err = r.tenant(wish.To); err != nil {
			return nil, err
		}
	}
	all, err := r.look(ctx, p)
	if err == nil {
		err = p.choose(all)
	}
	if err != nil {
		return nil, errors.Join(err, p.missed)
	}
	return p, nil
}

// check refuses what can be told without a look.
func (p *plan) check() error {
	const lastYear = 9999 // that a record can have
	switch w := p.wish; w.Remedy {
	case status.Flush, status.Resume, status.Retry, status.Discard:
	case status.Pause:
		if !w.Until.IsZero() && !w.Until.After(p.made) || w.Until.Year() > lastYear {
			return fmt.Errorf("%w: a pause ends in the future", status.ErrImpossible)
		}
	case status.Move:
		if !w.Whole() || w.To == w.Segment.Tenant {
			return fmt.Errorf("%w: all of a tenant is moved to another one", status.ErrImpossible)
		}
	default:
		return fmt.Errorf("%w: there is no such remedy", status.ErrImpossible)
	}
	return nil
}

// choose keeps the segments that the remedy concerns.
func (p *plan) choose(all []subject) error {
	tenantPaused := p.tenant.State.PausedAt(p.made)
	switch w := p.wish; {
	case w.Remedy == status.Flush && (tenantPaused || !w.Whole() && all[0].state.PausedAt(p.made)):
		return status.ErrPausedNow
	case w.Remedy == status.Resume && w.Whole() && !tenantPaused:
		return status.ErrNotNeeded
	case w.Remedy == status.Pause && w.Whole() && tenantPaused && p.tenant.State.PausedUntil.Equal(w.Until):
		return status.ErrNotNeeded
	}
	p.subjects = slices.DeleteFunc(all, func(s subject) bool { return !p.concerns(&s) })
	switch {
	case len(p.subjects) > 0:
		return nil
	case p.wish.Remedy == status.Move && p.missed == nil:
		return fmt.Errorf("no key is pending or parked: %w", status.ErrNotNeeded)
	case p.onTenant():
		return nil
	}
	return status.ErrNotNeeded
}

// onTenant: it is the tenant that is changed, and not each of its segments.
func (p *plan) onTenant() bool {
	switch p.wish.Remedy {
	case status.Pause, status.Resume:
		return p.wish.Whole()
	}
	return p.wish.Remedy == status.Move
}

func (p *plan) concerns(s *subject) bool {
	paused := s.state.PausedAt(p.made)
	switch p.wish.Remedy {
	case status.Flush:
		return !paused && (s.pending > 0 || s.more)
	case status.Pause:
		return p.wish.Whole() || !paused || !s.state.PausedUntil.Equal(p.wish.Until)
	case status.Resume:
		return paused != p.wish.Whole() // one that was paused by itself stays so
	case status.Retry, status.Discard:
		return s.refused || s.state.Parked != nil
	case status.Move:
		return s.pending > 0 || s.more || s.refused || s.stored || paused
	}
	return true
}

// keys are those of a segment that the remedy concerns.
func (p *plan) keys(s *subject) (n int, more bool) {
	switch p.wish.Remedy {
	case status.Move:
		return s.pending + s.parked, s.more
	case status.Retry, status.Discard:
		if s.state.Parked == nil {
			return s.parked, s.refused && s.more
		}
		return s.pending + s.parked, s.more
	}
	return s.pending, s.more
}

func (p *plan) effect(now time.Time) status.Effect {
	e := status.Effect{Segments: len(p.subjects), DryRun: p.wish.DryRun}
	if p.wish.Remedy == status.Pause {
		e.Until = p.wish.Until
	}
	for i := range p.subjects {
		n, more := p.keys(&p.subjects[i])
		e.Keys += n
		e.More = e.More || more
		if p.wish.Remedy == status.Move && p.subjects[i].state.PausedAt(p.made) {
			e.Paused++
		}
	}
	e.Sentence = status.EffectSentence(p.wish, e, now)
	p.tellHeld(&e, now)
	return e
}

// pause is the record of what a Pause does, and a Move leaves behind.
func (p *plan) pause() journal.TenantState {
	s := journal.TenantState{Paused: true, PausedBy: p.wish.Who, PausedSince: p.made}
	if p.wish.Remedy == status.Pause {
		s.PausedUntil = p.wish.Until
	}
	return s
}

// task is what the plan wants of a segment, or with the zero one of the tenant itself.
func (p *plan) task(segment audience.Segment) task {
	return task{tenant: p.tenant.Tenant, segment: segment, remedy: p.wish.Remedy, pause: p.pause(), notAfter: p.newest}
}

// kinds are the events of the remedies.
var kinds = map[status.Remedy]status.EventKind{
	status.Flush: status.EventFlushed, status.Pause: status.EventPaused, status.Resume: status.EventResumed,
	status.Retry: status.EventRetried, status.Discard: status.EventDiscarded, status.Move: status.EventMoved,
}

func (p *plan) event(e status.Effect) status.Event {
	event := status.Event{At: time.Now(), Kind: kinds[p.wish.Remedy], Who: p.wish.Who, Tenant: p.tenant.Tenant.ID.String(),
		Environment: p.wish.Segment.Environment, Segment: p.wish.Segment.Name, Keys: e.Keys, Until: e.Until}
	if p.wish.Remedy == status.Move {
		event.To, event.Paused = p.successor.Tenant.ID.String(), e.Paused
	}
	return event
}

// strides is how many segments a remedy works on at a time: few, so that others' messages
// and others' writes need not wait for those of a tenant with 100,000 segments.
const strides = 64

// each does something to every subject and returns those to which it was done. An error
// stops none of the others, but the end of ctx does.
func (s *settings) each(ctx context.Context, all []subject, do func(*subject) error) (done []subject, err error) {
	var working sync.WaitGroup
	free := make(chan struct{}, strides)
	errs := make([]error, len(all))
	for i := range all {
		free <- struct{}{}
		if errs[i] = ctx.Err(); errs[i] != nil {
			<-free
			continue
		}
		working.Go(func() {
			defer func() { <-free }()
			defer s.caught(&errs[i])
			errs[i] = do(&all[i])
		})
	}
	working.Wait()
	for i, failed := range errs {
		if failed == nil {
			done = append(done, all[i])
		} else if err == nil {
			err = failed // one stands for all
		}
	}
	return done, err
}

// look finds the segments that a plan may be about.
func (r *Relay) look(ctx context.Context, p *plan) ([]subject, error) {
	views, err := r.views(ctx, p.wish.Segment)
	if err != nil {
		return nil, err
	}
	if !p.wish.Whole() {
		return r.lookAtOne(ctx, p.wish.Segment, views)
	}
	return r.lookAtAll(ctx, p, views)
}

// lookAtAll looks at all segments of a tenant. One that cannot be read is no reason to
// leave the others as they are.
func (r *Relay) lookAtAll(ctx context.Context, p *plan, views map[audience.Segment]SegmentView) (all []subject, err error) {
	for listed, err := range r.Journal.SegmentsOf(p.wish.Segment.Tenant) {
		if err != nil {
			p.missed = err
			continue
		}
		s := subject{segment: listed.Segment, state: listed.State, pending: listed.Keys, more: listed.MoreKeys, refused: listed.Parked, stored: listed.Pending}
		if view, active := views[listed.Segment]; active {
			s.show(view)
			delete(views, listed.Segment)
		}
		all = append(all, s)
	}
	for segment, view := range views { // that were named since
		s := subject{segment: segment}
		s.show(view)
		all = append(all, s)
	}
	all, err = r.each(ctx, all, func(s *subject) error { return r.countParked(ctx, s) })
	p.missed = errors.Join(p.missed, err)
	return all, nil
}

// show takes over what the actor says.
func (s *subject) show(v SegmentView) {
	s.pending, s.parked, s.more = v.Adds+v.Deletes+v.Stored, v.Phase.Parked, v.Uncounted
	s.refused = s.refused || s.parked > 0
}

// countParked has the journal count parked keys of which no actor tells. One that counts
// them itself is not waited for.
func (r *Relay) countParked(ctx context.Context, s *subject) error {
	if !s.refused || s.parked > 0 || s.more {
		return nil
	}
	counts, err := r.count(ctx, s.segment)
	s.parked, s.refused = counts.Parked, counts.Parked > 0
	return err
}

// lookAtOne looks at one segment. It is known if the journal has a key or a state of it, or
// if it has an actor.
func (r *Relay) lookAtOne(ctx context.Context, segment audience.Segment, views map[audience.Segment]SegmentView) ([]subject, error) {
	page, err := reply(ctx, func(done func(journal.Page)) {
		r.Journal.Load(journal.Load{Segment: segment, Done: done})
	})
	if err = errors.Join(err, page.Err); err != nil {
		return nil, err
	}
	s := subject{segment: segment, state: page.State, refused: page.Parked}
	if view, active := views[segment]; active {
		s.show(view)
		err = r.countParked(ctx, &s)
		return []subject{s}, err
	}
	counts, err := r.count(ctx, segment)
	s.pending, s.parked, s.refused = counts.Pending, counts.Parked, counts.Parked > 0
	if err == nil && s.pending == 0 && !s.refused && s.state == (journal.SegmentState{}) {
		err = fmt.Errorf("find segment of tenant %s: %w", segment.Tenant, status.ErrUnknown)
	}
	return []subject{s}, err
}

func (r *Relay) count(ctx context.Context, segment audience.Segment) (journal.Counts, error) {
	counts, err := reply(ctx, func(done func(journal.Counts)) {
		r.Journal.Count(journal.Count{Segment: segment, Done: done})
	})
	return counts, errors.Join(err, counts.Err)
}

// views are what the actors show of a segment, or without a name of all of its tenant's.
func (r *Relay) views(ctx context.Context, of audience.Segment) (map[audience.Segment]SegmentView, error) {
	asked, err := r.list(ctx, of)
	if err != nil {
		return nil, err
	}
	views := map[audience.Segment]SegmentView{}
	for _, l := range asked.tenants {
		for _, v := range l.views {
			views[v.Segment] = v
		}
	}
	for _, d := range asked.dormant {
		for i := range d.segments {
			v := d.segments[i].view(d.tenant)
			views[v.Segment] = v
		}
	}
	return views, nil
}
