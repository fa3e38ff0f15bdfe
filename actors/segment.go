package actors

import (
	"slices"
	"time"

	"audiences/actors/batch"
	"audiences/actors/standing"
	"audiences/audience"

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
// What the segment has to do is in its batch, what it may do is in its standing;
// both are pure. The segment tells them what happens (receive), does what follows
// (step), and hands it to the journal (reads.go, writes.go) and to Split (flush.go).
// Everything that takes time happens elsewhere and comes back as a message.
type segment struct {
	hidden[segment]
	*owner
	name     audience.Segment
	survivor *survivor

	batch    batch.Batch
	standing standing.Standing
	readyAt  time.Time    // when the call that is waited for or under way should have begun
	drawAt   time.Time    // no draw before: backoff after a crash or a failed read
	counting *counting    // under way; nil: none is
	oldest   datedVersion // of its keys in memory
	owed     []answerable // messages that were received and are not answered yet

	alarm alarm // for what is next
}

func newSegment(c *cell) *segment {
	return &segment{
		owner: c.owner, name: c.name.of(c.id), survivor: &c.survivor, batch: batch.New(c.MaxKeysPerCall, c.accepted),
		standing: standing.New(standing.Limits{NotFoundGrace: c.NotFoundGrace, ProbeInterval: c.ProbeInterval}),
	}
}

func (s *segment) receive(ctx actor.Context) {
	if m, ok := ctx.Message().(answerable); ok {
		s.owed = append(s.owed, m)
	}
	switch m := ctx.Message().(type) {
	case *actor.Started:
		if !s.standing.Yielded() {
			s.draw(ctx)
		}
	case *accepted:
		s.accepted(m)
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
	case *recall:
		s.recall(ctx, m)
	case *unparked:
		s.unparked(m)
	case *settled:
		if m.by != s {
			return
		}
		s.settled(m)
	case *seek:
		s.sought(m)
	case *inspect, *surrenderSegment: // answered when there is an answer
	case *pauseEnds: // looked at in step
	case *regain:
		s.regain()
	case *drain:
		s.standing.Drain()
	case *tick:
		s.alarm.fired()
	default:
		return
	}
	s.step(ctx)
	s.publish()
	s.say(time.Now())
	if s.batch.Pending() == 0 && s.standing.AtRest() {
		s.recovers(segmentQuiet)
	}
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

// accepted applies a change to the batch, which the journal has already: it keeps the
// order of all that is handed to it, so whatever this actor settles later cannot
// overtake the change.
func (s *segment) accepted(m *accepted) {
	s.survivor.accepted = m.version
	if s.heard != nil {
		s.heard()
	}
	held := s.batch.Held()
	maxHeld := held + s.claim(min(m.keys.Len(), max(0, s.MaxKeysHeld-held))) // what is beyond stays in the journal alone
	switch {
	case s.standing.Yielded():
		maxHeld = 0 // whose it will be is not known yet
	case s.standing.Discarding():
		maxHeld = 0
		s.standing.Spare(m.keys)
	}
	s.batch.Apply(m.verb, m.keys.All(), m.version, maxHeld)
	if keys := s.batch.Superseded(); len(keys) > 0 {
		s.remember(&superseded{segment: s.name, verb: m.verb.Opposite(), keys: keys, at: time.Now()})
	}
}

// step does what is due and sets the alarm for what is next. It runs after
// every message, so that no handler has to think of what follows.
func (s *segment) step(ctx actor.Context) {
	now := time.Now()
	if s.standing.EndPause(now) {
		s.tell(news{kind: pauseOver, segment: s.name})
		s.writeState(nil)
	}
	if s.standing.Discarding() {
		s.discardHeld(sender(ctx))
	}
	s.yield()
	if s.standing.WantsCount() && s.counting == nil {
		s.count(ctx)
	}
	s.batch.DeletesOnly(s.standing.DeletesOnly())
	s.batch.Follow(now, s.tuning().FlushInterval)
	if s.standing.Waiting() && s.batch.Pending() == 0 && !s.batch.HasStored() {
		// An operator took the keys, and the tenant may not call for long. A permit that
		// is on its way is given back.
		s.standing.Withdraw()
		ctx.Send(s.pid, &wantNoPermit{segment: s.name})
	}
	s.alarm.set(ctx, earlierOf(s.standing.PausedUntil(), s.drawIfDue(ctx, now), s.askIfDue(ctx, now)), &tick{})
	if s.standing.Hurries() && s.standing.Gathering() && s.callAt(now).IsZero() && !s.batch.Drawing() {
		s.reportDrained()
	}
}

// drawIfDue reads stored keys that the batch has room for, or says when that should
// be done; zero: when something comes.
func (s *segment) drawIfDue(ctx actor.Context, now time.Time) time.Time {
	if !s.batch.WantsDraw() || s.standing.Yielded() {
		return time.Time{}
	}
	if s.drawAt.After(now) {
		return s.drawAt
	}
	s.draw(ctx)
	return time.Time{}
}

// askIfDue asks the tenant for a permit, or says when that should be done; zero: when
// something comes.
func (s *segment) askIfDue(ctx actor.Context, now time.Time) time.Time {
	if !s.standing.Gathering() {
		return time.Time{}
	}
	at := s.callAt(now)
	if at.IsZero() || at.After(now) {
		return at
	}
	s.standing.Ask()
	s.readyAt = at
	if s.Deliver == nil {
		s.tell(news{kind: callHeld, segment: s.name, keys: s.batch.Pending()})
	}
	ctx.Send(s.pid, &wantPermit{segment: s.name, since: at})
	return time.Time{}
}

// callAt is when the next call should be made; zero: there is nothing to send,
// or it must not be sent.
func (s *segment) callAt(now time.Time) time.Time {
	b, leave, hurry := &s.batch, s.standing.Leave(), s.standing.Hurries()
	stored := b.Held() == 0 && b.HasStored() && !b.Drawing() && !s.drawAt.After(now)
	switch {
	case leave == standing.Nothing, leave == standing.Reading:
		return time.Time{}
	case b.Flight() != nil && hurry:
		return now
	case b.Flight() != nil:
		return b.Repeat()
	case b.Held() == 0 && !stored:
		return time.Time{}
	case leave == standing.Probes, leave == standing.DeletesProbes:
		return s.probeAt(leave, now)
	case hurry, b.HasWholeCall():
		return earlier(b.Due(), now)
	case stored:
		return b.StoredDue()
	}
	return b.Due()
}

// probeAt is when a parked segment calls next. A stop does not wait for what was
// refused before.
func (s *segment) probeAt(leave standing.Leave, now time.Time) time.Time {
	deletes, hurry := leave == standing.DeletesProbes && s.batch.HeldOf(audience.Delete) > 0, s.standing.Hurries()
	switch {
	case deletes && hurry:
		return now
	case deletes:
		return earlier(s.batch.DeletesDue(), s.standing.ProbeAt())
	case hurry:
		return time.Time{}
	}
	return s.standing.ProbeAt()
}

// idle: there is nothing to do, and no answer to come.
func (s *segment) idle() bool {
	b := &s.batch
	return s.standing.Gathering() && s.standing.AtRest() && b.Pending() == 0 && !b.HasStored() && !b.Drawing() && len(s.owed) == 0
}

// blank: an idle segment that also knows nothing that a new one would not.
func (s *segment) blank() bool {
	return s.idle() && s.standing.Stateless() && s.batch.MaxChunk() == s.MaxKeysPerCall
}

func (s *segment) reportDrained() {
	s.standing.Drained()
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

// earlierOf is the earliest of times that may be zero, for none.
func earlierOf(times ...time.Time) (first time.Time) {
	for _, t := range times {
		if !t.IsZero() {
			first = earlier(first, t)
		}
	}
	return first
}
