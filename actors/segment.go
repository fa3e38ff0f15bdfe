package actors

import (
	"sync/atomic"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"

	"github.com/asynkron/protoactor-go/actor"
)

// segment gathers the changes of one Split segment and brings them there. It is
// the only writer of its batch. At any time it is in one of three phases:
//
//	gathering --due, full, or time to repeat--> waiting --permit--> calling
//	    ^                                          |                   |
//	    +------------- nothing left ---------------+      outcome      |
//	    +--------------------------------------------------------------+
//
// It is due one flush interval after the first key came into an empty batch.
// Everything that takes time happens elsewhere and comes back as a message: the
// journal answers the caller by itself, a call runs in its own goroutine.
type segment struct {
	*settings
	token      audience.Token
	name       audience.Segment
	tenant     *actor.PID
	generation uint64
	share      *share

	batch     batch
	phase     phase
	due       time.Time // when the held keys are to be sent; zero when none is held
	readyAt   time.Time // when the call that is waited for or under way should have begun
	repeatAt  time.Time // when the chunk in flight is to be repeated
	drawAt    time.Time // no draw before: backoff after a crash or a read error
	described bool      // the journal knows this segment's name
	parked    int       // parked keys in the journal
	state     journal.SegmentState
	loaded    chan<- struct{} // tells the replay that the first page is in; nil after that

	timer *time.Timer
	armed time.Time // when the timer fires; zero: not armed

	draining, drained bool
}

type phase uint8

const (
	gathering phase = iota
	waiting
	calling
)

// share is what outlives a crash of the actor. The counts are read by the
// tenant, the rest belongs to the segment alone.
type share struct {
	adds, deletes, stored atomic.Int64 // what the batch holds, for the operator
	seen                  uint64       // messages from the tenant
	crashes               int          // since the last call that was delivered
}

func newSegment(s *settings, token audience.Token, name audience.Segment, tenant *actor.PID, generation uint64, shared *share) *segment {
	seg := &segment{
		settings: s, token: token, name: name, tenant: tenant, generation: generation, share: shared,
		batch: batch{maxChunk: s.MaxKeysPerCall, maxHeld: s.MaxKeysHeld},
	}
	if shared.crashes > 0 {
		// What made the actor crash may be among its keys: look again, but not at once,
		// and until then leave everything in the journal.
		seg.batch.backlog.exists = true
		seg.drawAt = time.Now().Add(backoff(shared.crashes, s.FirstBackoff, s.MaxBackoff, s.Random))
	}
	return seg
}

func (s *segment) Receive(ctx actor.Context) {
	defer s.crashed(ctx)
	if _, ok := ctx.Message().(fromParent); ok {
		s.share.seen++
	}
	switch m := ctx.Message().(type) {
	case *actor.Started:
		if s.drawAt.IsZero() {
			s.draw(ctx)
		}
	case *actor.Stopping, *actor.Restarting:
		stop(s.timer)
		return
	case *accept:
		s.accept(m)
	case *activate:
		s.activated(m)
	case *permit:
		s.flush(ctx)
	case *flushed:
		s.flushed(ctx, m)
	case *drawn:
		if m.by != s {
			return
		}
		s.drawn(m.page)
	case *rest:
		s.rest(ctx)
		return
	case *drain:
		s.draining = true
	case *tick:
		s.armed = time.Time{}
	default:
		return
	}
	s.step(ctx)
	s.publish()
}

// accept hands the change to the journal, which answers the caller once it is
// durable (I1), and takes it into the batch. The journal comes first: it keeps
// the order of all that is handed to it, so whatever this actor settles later
// cannot overtake the change.
func (s *segment) accept(m *accept) {
	s.Journal.Append(journal.Append{
		Segment:  s.name,
		Verb:     m.change.Verb,
		Keys:     m.change.Keys,
		Describe: !s.described,
		Unpark:   s.parked > 0 || !s.batch.backlog.counted, // until the first page is in, there may be parked keys
		Done:     m.reply,
	})
	m.reply = nil // answered by the journal from here on
	s.described = true
	s.batch.apply(m.change.Verb, m.change.Keys)
}

// step does what is due and arms the timer for what is next. It runs after
// every message, so that no handler has to think of what follows.
func (s *segment) step(ctx actor.Context) {
	now := time.Now()
	if s.batch.held() == 0 {
		s.due = time.Time{}
	} else if s.due.IsZero() {
		s.due = now.Add(s.FlushInterval)
	}
	next := time.Time{}
	if s.batch.wantsDraw() {
		if next = s.drawAt; !next.After(now) {
			s.draw(ctx)
			next = time.Time{}
		}
	}
	if s.phase == gathering {
		if at := s.callAt(now); !at.IsZero() {
			if at.After(now) {
				next = earlier(next, at)
			} else {
				s.phase, s.readyAt = waiting, at
				ctx.Send(s.tenant, &wantPermit{segment: s.name, since: at})
			}
		}
	}
	s.arm(ctx, next, now)
	if s.draining && !s.drained && s.phase == gathering && s.callAt(now).IsZero() && !s.batch.backlog.drawing {
		s.reportDrained(ctx)
	}
}

// callAt is when the next call should be made; zero: there is nothing to send.
func (s *segment) callAt(now time.Time) time.Time {
	switch {
	case s.batch.flight != nil && s.draining && !s.drained:
		return now
	case s.batch.flight != nil:
		return s.repeatAt
	case s.batch.held() == 0:
		return time.Time{}
	case s.draining || s.batch.full():
		return earlier(s.due, now)
	}
	return s.due
}

func (s *segment) arm(ctx actor.Context, at, now time.Time) {
	if at.Equal(s.armed) {
		return
	}
	s.armed = at
	if at.IsZero() {
		stop(s.timer)
		s.timer = nil
		return
	}
	s.timer = wake(ctx, s.timer, at.Sub(now), &tick{})
}

// draw asks the journal for the next stored keys, after all that was handed to
// it so far.
func (s *segment) draw(ctx actor.Context) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	s.Journal.Load(journal.Load{
		Segment: s.name,
		After:   s.batch.backlog.draw(),
		Limit:   s.MaxKeysPerCall,
		Count:   !s.batch.backlog.counted,
		Done:    func(page journal.Page) { root.Send(self, &drawn{by: s, page: page}) },
	})
}

func (s *segment) drawn(page journal.Page) {
	if page.Err != nil {
		s.batch.backlog.failed()
		s.share.crashes++
		s.drawAt = time.Now().Add(backoff(s.share.crashes, s.FirstBackoff, s.MaxBackoff, s.Random))
		s.Logger.Error().Err(page.Err).Stringer("tenant", s.name.Tenant).Str("segment", s.name.Name).
			Msg("BUG or damaged disk: stored keys of a segment cannot be read; will try again")
	} else {
		if !s.batch.backlog.counted {
			s.parked, s.state = page.Parked, page.State
		}
		s.batch.drawn(page)
	}
	s.signalLoaded()
}

func (s *segment) signalLoaded() {
	if s.loaded != nil {
		s.loaded <- struct{}{}
		s.loaded = nil
	}
}

func (s *segment) activated(m *activate) {
	s.described = true
	if s.batch.backlog.counted {
		m.loaded <- struct{}{}
		return
	}
	s.loaded = m.loaded
}

// rest lets the tenant know if the actor has nothing to do and nothing to
// remember that the journal does not.
func (s *segment) rest(ctx actor.Context) {
	b := &s.batch
	if s.phase != gathering || b.pending() > 0 || b.backlog.exists || b.backlog.drawing {
		return
	}
	ctx.Send(s.tenant, &segmentIdle{
		segment: s.name, generation: s.generation, seen: s.share.seen,
		forget: s.parked == 0 && s.state == journal.SegmentState{},
	})
}

func (s *segment) reportDrained(ctx actor.Context) {
	s.drained = true
	ctx.Send(s.tenant, &segmentDrained{})
}

// publish shows what the batch holds.
func (s *segment) publish() {
	adds, deletes := s.batch.adds.Len(), s.batch.deletes.Len()
	if f := s.batch.flight; f != nil && f.verb == audience.Add {
		adds += f.len()
	} else {
		deletes += f.len()
	}
	stored := s.batch.backlog.stored
	before := s.share.adds.Load() + s.share.deletes.Load() + s.share.stored.Load()
	s.share.adds.Store(int64(adds))
	s.share.deletes.Store(int64(deletes))
	s.share.stored.Store(int64(stored))
	if delta := int64(adds+deletes+stored) - before; delta != 0 {
		s.metrics.pending.Add(float64(delta))
	}
}

// crashed answers the caller whose change was in hand when the actor panicked,
// gives back a permit in hand, and lets the supervisor do the rest: the next
// incarnation starts from the journal.
func (s *segment) crashed(ctx actor.Context) {
	reason := recover()
	if reason == nil {
		return
	}
	s.share.crashes++
	s.metrics.crashes.Inc()
	s.signalLoaded() // the replay does not wait for a segment that crashes
	s.Logger.Error().Str("panic", panicText(reason)).Stringer("tenant", s.name.Tenant).Str("segment", s.name.Name).
		Msg("BUG: a segment's actor crashed; it starts again from the journal")
	switch m := ctx.Message().(type) {
	case *accept:
		if m.reply != nil {
			m.reply <- ErrCrashed
		}
	case *permit:
		if s.phase != calling {
			ctx.Send(s.tenant, &callEnded{segment: s.name, outcome: splitclient.Outcome{}})
		}
	}
	panic(reason)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
