package actors

import (
	"slices"
	"time"

	"audiences/audience"
	"audiences/journal"

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
	hidden[segment]
	*settings
	token  audience.Token
	name   audience.Segment
	tenant *actor.PID
	share  *share

	batch    batch
	phase    phase
	dues     dues      // when the held keys are to be sent
	readyAt  time.Time // when the call that is waited for or under way should have begun
	repeatAt time.Time // when the chunk in flight is to be repeated
	drawAt   time.Time // no draw before: backoff after a crash or a read error
	dueAt    time.Time // when keys on the first page were due, before the segment dozed; zero: it did not

	learned  bool      // a page has told what the journal has of this segment
	tallied  bool      // stored and parked keys are counted
	counting *counting // under way; nil: none is

	known        bool // state is as the journal has it
	stateSet     bool // by this actor: what a page says of it may be older
	state        journal.SegmentState
	parked       int             // parked keys in the journal; an upper bound once they are counted
	unparking    int             // retries and discards that the journal has not answered
	settling     int             // settles and parks, the same
	probeAt      time.Time       // when a parked segment is tried again
	missingSince time.Time       // the first of the 404s in a row
	refusal      journal.Refusal // the last one of keys

	owed []answerable // messages that were taken in and are not answered yet

	discarding bool            // all that is pending of a parked segment is being discarded
	lastPass   int             // of the backlog, until which that lasts
	spared     audience.KeySet // what is accepted meanwhile

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

func newSegment(c *cell) *segment {
	return &segment{
		settings: c.settings, token: c.token, name: c.name.of(c.id), tenant: c.pid, share: &c.share,
		batch: batch{maxChunk: c.MaxKeysPerCall, maxHeld: c.MaxKeysHeld},
	}
}

func (s *segment) receive(ctx actor.Context) {
	if m, ok := ctx.Message().(answerable); ok {
		s.owed = append(s.owed, m)
	}
	switch m := ctx.Message().(type) {
	case *actor.Started:
		if s.drawAt.IsZero() && !s.share.yielded {
			s.draw(ctx)
		}
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
	case *settled:
		s.settled(m)
	case *inspect, *cede: // answered when there is an answer
	case *regain:
		s.regain()
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
	s.owed = slices.DeleteFunc(s.owed, answerable.answered)
}

// owing lists the messages of one kind that the segment owes an answer.
func owing[M answerable](s *segment) (list []M) {
	for _, m := range s.owed {
		if m, ok := m.(M); ok && !m.answered() {
			list = append(list, m)
		}
	}
	return list
}

// fail answers all that the segment owes an answer.
func (s *segment) fail(err error) {
	for _, m := range s.owed {
		m.fail(err)
	}
	s.owed = nil
}

// accept hands the change to the journal, which answers the caller once it is
// durable (I1), and takes it into the batch. The journal comes first: it keeps
// the order of all that is handed to it, so whatever this actor settles later
// cannot overtake the change.
func (s *segment) accept(m *accept) {
	s.batch.newest = s.Journal.Append(journal.Append{
		Tenant: s.name.Tenant,
		Changes: []journal.Change{{
			Segment:  s.name,
			Verb:     m.change.Verb,
			Keys:     m.change.Keys,
			Describe: !s.share.described || s.share.yielded, // a move takes the name away, and may come yet
		}},
		Done: through(m.to),
	})
	m.handed()
	s.share.described = true
	room := max(0, s.MaxKeysInMemory-int(s.inMemory.Load()))
	s.batch.maxHeld = min(s.MaxKeysHeld, s.batch.held()+room) // what is beyond stays in the journal alone
	switch {
	case s.share.yielded:
		s.batch.maxHeld = 0 // whose it will be is not known yet
	case s.discarding:
		s.spare(m.change.Keys)
	}
	s.batch.apply(m.change.Verb, m.change.Keys.All())
}

// step does what is due and arms the timer for what is next. It runs after
// every message, so that no handler has to think of what follows.
func (s *segment) step(ctx actor.Context) {
	now := time.Now()
	if s.state.Paused && !s.state.PausedUntil.IsZero() && !now.Before(s.state.PausedUntil) {
		s.setState(journal.SegmentState{Parked: s.state.Parked}, nil)
	}
	if s.discarding {
		s.discardHeld(sender(ctx))
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
	if s.batch.wantsDraw() && !s.share.yielded {
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
		s.reportDrained()
	}
}

// callAt is when the next call should be made; zero: there is nothing to send,
// or it must not be sent.
func (s *segment) callAt(now time.Time) time.Time {
	b, hurry := &s.batch, s.draining && !s.drained
	stored := b.held() == 0 && b.backlog.exists && !b.backlog.drawing && !s.drawAt.After(now)
	switch {
	case s.state.Paused, !s.known, s.discarding, s.share.yielded:
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

// idle: there is nothing to do, and no answer to come; nor a move, which needs the
// name in the journal.
func (s *segment) idle() bool {
	b := &s.batch
	return s.phase == gathering && !s.share.yielded && b.pending() == 0 && !b.backlog.exists && !b.backlog.drawing && s.known && s.tallied && !s.discarding && s.unparking == 0 && s.settling == 0 && len(s.owed) == 0
}

// stateless: the journal has nothing of the segment but its keys and its name.
func (s *segment) stateless() bool { return s.parked == 0 && s.state == journal.SegmentState{} }

// blank: an idle segment that also knows nothing that a new one would not.
func (s *segment) blank() bool {
	return s.idle() && s.stateless() && s.batch.maxChunk == s.MaxKeysPerCall
}

func (s *segment) reportDrained() {
	s.drained = true
	for _, m := range owing[*drain](s) {
		m.give()
	}
}

// earlier is the earlier of two times of which the first may be zero, for none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
