package actors

import (
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"

	"github.com/asynkron/protoactor-go/actor"
)

// flush uses a permit: it cuts the batch now, not when the permit was asked
// for, so that what came meanwhile rides along, and makes the call outside the
// mailbox. Keys that are in the journal alone are fetched first.
func (s *segment) flush(ctx actor.Context) {
	if s.phase == calling {
		ctx.Send(s.tenant, &callEnded{segment: s.name}) // never seen: the tenant knows of the call under way
		return
	}
	chunk := s.nextChunk()
	if chunk == nil && s.phase != fetching && s.mayFetch() {
		s.phase = fetching
		if !s.batch.backlog.drawing {
			s.draw(ctx)
		}
		return
	}
	if chunk == nil {
		s.phase = gathering
		ctx.Send(s.tenant, &callEnded{segment: s.name})
		return
	}
	if chunk.attempts == 0 {
		s.metrics.flushLag.Observe(time.Since(s.readyAt).Seconds())
	}
	chunk.attempts++
	s.phase = calling

	call := splitclient.Call{Token: s.token, Segment: s.name, Verb: chunk.verb, Keys: chunk.keys}
	self, tenant, root := ctx.Self(), s.tenant, ctx.ActorSystem().Root
	s.calls.Add(1)
	go func() {
		defer s.calls.Done()
		outcome := s.deliver(call)
		// First the segment, then the tenant: the next permit cannot overtake the
		// outcome of this call.
		root.Send(self, &flushed{chunk: chunk, outcome: outcome})
		root.Send(tenant, &callEnded{segment: call.Segment, outcome: outcome})
	}()
}

// nextChunk is what the permit in hand is used for; nil: nothing. What was
// asked for may not be wanted any more: an operator may have paused the segment.
func (s *segment) nextChunk() *chunk {
	switch {
	case s.state.Paused || s.discarding || s.share.yielded:
		return nil
	case s.state.Parked != nil && s.batch.flight == nil:
		return s.probeChunk()
	}
	return s.batch.next(func(b *batch) audience.Verb { return s.dues.next(b, time.Now(), s.FlushInterval) })
}

func (s *segment) mayFetch() bool {
	return s.batch.backlog.exists && !s.state.Paused && !s.discarding && !s.share.yielded
}

// deliver makes the call. A panic in there must not cost a permit for good.
func (s *settings) deliver(call splitclient.Call) (outcome splitclient.Outcome) {
	defer func() {
		if reason := recover(); reason != nil {
			s.metrics.crashes.Inc()
			s.Logger.Error().Str("panic", panicText(reason)).Msg("BUG: a call to Split crashed; it will be repeated")
			outcome = splitclient.Outcome{Kind: splitclient.Transient, Reason: splitclient.UnexpectedAnswer, Unknown: true}
		}
	}()
	return s.Deliver(s.ctx, call)
}

// flushed takes the outcome of a call in. The outcome of a call that an earlier
// incarnation made finds another chunk, or none, in flight: its keys are in the
// journal still and are sent again.
func (s *segment) flushed(ctx actor.Context, m *flushed) {
	if m.chunk != s.batch.flight {
		return
	}
	s.phase = gathering
	s.share.last = m.outcome.Reason
	now := time.Now()
	if m.outcome.Reason != splitclient.NotFound {
		s.missingSince = time.Time{}
	}
	switch m.outcome.Kind {
	case splitclient.Delivered:
		s.delivered(m.chunk, now, sender(ctx))
		return
	case splitclient.Throttled:
		s.repeatAt = now // the tenant and the registry know when calls may go on
	case splitclient.Transient:
		s.backOff(now)
	case splitclient.Permanent:
		s.refused(m.outcome, now, sender(ctx))
	}
	if s.draining && !s.drained {
		s.reportDrained() // one attempt is all that a drain waits for
	}
}

func (s *segment) backOff(now time.Time) {
	s.repeatAt = now.Add(backoff(s.batch.flight.attempts, s.FirstBackoff, s.MaxBackoff, s.Random))
}

// delivered settles the chunk: the one way, but for parking, that a key leaves
// the journal (I3).
func (s *segment) delivered(c *chunk, now time.Time, send func(any)) {
	s.share.crashes = 0
	s.metrics.delivered[c.verb].Add(float64(c.keys.Len()))
	s.settle(s.batch.land(), c.upTo, send)
	s.welcome(c.verb, now)
	s.parkKeys(c, s.batch.clear(), send)
	s.repeatAt = now // of the next part of a hunt, if one is on
}

// settle removes the keys from the journal, as they were at that version. Those that
// somebody else changed since stay there.
func (s *segment) settle(keys *audience.KeySet, upTo journal.Version, send func(any)) {
	s.settling++
	s.Journal.Settle(journal.Settle{Segment: s.name, Selection: s.batch.selection(keys, upTo), Done: s.settledTo(send, false)})
}

func (s *segment) settledTo(send func(any), parked bool) func([]audience.Key, error) {
	return func(newer []audience.Key, _ error) { send(&settled{by: s, parked: parked, newer: len(newer)}) }
}

// settled: keys that turned out to be newer in the journal are looked for there.
func (s *segment) settled(m *settled) {
	if m.by != s {
		return
	}
	s.settling--
	if m.parked {
		s.parked = max(0, s.parked-m.newer)
	}
	if m.newer > 0 {
		s.batch.backlog.again(m.newer)
	}
}
