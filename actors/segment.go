package actors

import (
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"

	"github.com/asynkron/protoactor-go/actor"
)

// segment gathers the changes of one Split segment and brings them there. It is
// the only writer of its batch. At any time it is in one of these phases:
//
//	gathering --due, full, or time to repeat--> waiting --permit--> calling
//	    ^  ^                                       |  |                |
//	    |  +----------- nothing left --------------+  | all keys are   |
//	    |                                             v stored         |
//	    |                                          fetching --page--> (calling)
//	    +-------------------------- outcome ---------------------------+
//
// Keys of a verb are due one flush interval after the first of them came in.
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
	dues      dues            // when the held keys are to be sent
	readyAt   time.Time       // when the call that is waited for or under way should have begun
	repeatAt  time.Time       // when the chunk in flight is to be repeated
	drawAt    time.Time       // no draw before: backoff after a crash or a read error
	described bool            // the journal knows this segment's name
	loaded    chan<- struct{} // tells the replay that the first page is in; nil after that

	learned  bool      // a page has told what the journal has of this segment
	tallied  bool      // stored and parked keys are counted
	counting *counting // under way; nil: none is

	known        bool // state is as the journal has it
	stateSet     bool // by this actor: what a page says of it may be older
	state        journal.SegmentState
	parked       int             // parked keys in the journal; an upper bound once they are counted
	unparking    int             // retries and discards that the journal has not answered
	probeAt      time.Time       // when a parked segment is tried again
	missingSince time.Time       // the first of the 404s in a row
	refusal      journal.Refusal // the last one of keys
	last         splitclient.Outcome

	wishes     []*operate        // of an operator, until the state is known
	questions  []*inspect        // the same
	discarding bool              // all that is pending of a parked segment is being discarded
	lastPass   int               // of the backlog, until which that lasts
	spared     audience.KeySet   // what is accepted meanwhile
	discarded  []chan<- error    // told when that is done
	heirs      []chan<- struct{} // told when all keys are given up to another tenant
	yielded    bool              // they are, and what is in the journal is not known any more

	timer *time.Timer
	armed time.Time // when the timer fires; zero: not armed

	draining, drained bool
}

type phase uint8

const (
	gathering phase = iota
	waiting
	fetching
	calling
)

// String is the phase's name, for the operator.
func (p phase) String() string {
	return [...]string{"gathering", "waiting for a permit", "reading from the journal", "calling"}[p]
}

func newSegment(s *settings, token audience.Token, name audience.Segment, tenant *actor.PID, generation uint64, shared *share) *segment {
	seg := &segment{
		settings: s, token: token, name: name, tenant: tenant, generation: generation, share: shared,
		batch: batch{maxChunk: s.MaxKeysPerCall, maxHeld: s.MaxKeysHeld},
	}
	seg.batch.backlog.exists = shared.backlog
	seg.release() // what the incarnation before waited for does not come any more
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
		s.drawn(ctx, m.page)
	case *counted:
		s.counted(m)
	case *operate:
		s.operate(m, sender(ctx))
	case *unparked:
		s.unparked(m)
	case *inspect:
		s.questions = append(s.questions, m)
	case *surrender:
		s.heirs = append(s.heirs, m.done)
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
	s.explain()
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
		Unpark:   s.parked > 0 || !s.tallied, // the newer change supersedes a parked one
		Done:     m.reply,
	})
	m.reply = nil // answered by the journal from here on
	s.described = true
	room := max(0, s.MaxKeysInMemory-int(s.inMemory.Load()))
	s.batch.maxHeld = min(s.MaxKeysHeld, s.batch.held()+room) // what is beyond stays in the journal alone
	if s.discarding {
		s.spare(m.change.Keys)
	}
	s.batch.apply(m.change.Verb, m.change.Keys)
}

// step does what is due and arms the timer for what is next. It runs after
// every message, so that no handler has to think of what follows.
func (s *segment) step(ctx actor.Context) {
	now := time.Now()
	if s.state.Paused && !s.state.PausedUntil.IsZero() && !now.Before(s.state.PausedUntil) {
		s.setState(journal.SegmentState{Parked: s.state.Parked}, nil)
	}
	if s.discarding {
		s.discardHeld()
	}
	s.yield()
	if s.wantsCount() {
		s.count(ctx)
	}
	s.batch.deletesOnly = s.state.Parked != nil && s.full() && !s.discarding
	s.dues.follow(&s.batch, now, s.FlushInterval)
	var next time.Time
	if s.state.Paused {
		next = s.state.PausedUntil
	}
	if s.batch.wantsDraw() {
		if s.drawAt.After(now) {
			next = earlier(next, s.drawAt)
		} else {
			s.draw(ctx)
		}
	}
	if s.phase == gathering {
		if at := s.callAt(now); at.After(now) {
			next = earlier(next, at)
		} else if !at.IsZero() {
			s.phase, s.readyAt = waiting, at
			ctx.Send(s.tenant, &wantPermit{segment: s.name, since: at})
		}
	}
	s.arm(ctx, next, now)
	if s.draining && !s.drained && s.phase == gathering && s.callAt(now).IsZero() && !s.batch.backlog.drawing {
		s.reportDrained(ctx)
	}
}

// callAt is when the next call should be made; zero: there is nothing to send,
// or it must not be sent.
func (s *segment) callAt(now time.Time) time.Time {
	b, hurry := &s.batch, s.draining && !s.drained
	stored := b.held() == 0 && b.backlog.exists && !b.backlog.drawing && !s.drawAt.After(now)
	switch {
	case s.state.Paused, !s.known, s.discarding:
		return time.Time{}
	case b.flight != nil && hurry:
		return now
	case b.flight != nil:
		return s.repeatAt
	case b.held() == 0 && !stored:
		return time.Time{}
	case s.state.Parked != nil:
		return s.probeTime(now, hurry)
	case hurry, b.full():
		return earlier(s.dues.first(), now)
	case stored:
		return s.dues.stored
	}
	return s.dues.first()
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

// rest lets the tenant know if the actor has nothing to do and nothing to
// remember that the journal does not.
func (s *segment) rest(ctx actor.Context) {
	b := &s.batch
	if s.phase != gathering || b.pending() > 0 || b.backlog.exists || b.backlog.drawing || !s.known || !s.tallied || s.discarding || s.unparking > 0 {
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
	if m, ok := ctx.Message().(*accept); ok && m.reply != nil {
		m.reply <- ErrCrashed
	}
	_, permitted := ctx.Message().(*permit)
	if permitted && s.phase != calling || s.phase == fetching {
		ctx.Send(s.tenant, &callEnded{segment: s.name, outcome: splitclient.Outcome{}})
	}
	panic(reason)
}

// earlier is the earlier of two times of which the first may be zero, for none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
