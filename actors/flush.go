package actors

import (
	"time"

	"audiences/journal"
	"audiences/splitclient"

	"github.com/asynkron/protoactor-go/actor"
)

// flush uses a permit: it cuts the batch now, not when the permit was asked
// for, so that what came meanwhile rides along, and makes the call outside the
// mailbox.
func (s *segment) flush(ctx actor.Context) {
	chunk := s.batch.cut()
	if chunk == nil || s.phase == calling {
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
	if m.outcome.Kind == splitclient.Delivered {
		s.delivered(m.chunk)
		return
	}
	s.repeatAt = time.Now().Add(max(m.outcome.Delay,
		backoff(m.chunk.attempts, s.FirstBackoff, s.MaxBackoff, s.Random)))
	if s.draining && !s.drained {
		s.reportDrained(ctx) // one attempt is all that a drain waits for
	}
}

// delivered settles the chunk: the one way, but for parking, that a key leaves
// the journal (I3).
func (s *segment) delivered(c *chunk) {
	s.share.crashes = 0
	s.metrics.delivered[c.verb].Add(float64(c.keys.Len()))
	s.Journal.Settle(journal.Settle{Segment: s.name, Keys: s.batch.land().All()})
}
