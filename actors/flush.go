package actors

import (
	"strings"
	"time"

	"audiences/actors/batch"
	"audiences/actors/pace"
	"audiences/actors/standing"
	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"
	"audiences/status"

	"github.com/asynkron/protoactor-go/actor"
)

// flush uses a permit: it cuts the batch now, not when the permit was asked
// for, so that what came meanwhile rides along, and makes the call outside the
// mailbox. Keys that are in the journal alone are fetched first.
func (s *segment) flush(ctx actor.Context) {
	if s.standing.Calling() {
		ctx.Send(s.pid, &callEnded{segment: s.name}) // never seen: the tenant knows of the call under way
		return
	}
	chunk := s.nextChunk()
	switch {
	case chunk != nil:
		s.call(ctx, chunk)
	case !s.standing.Fetching() && s.batch.HasStored() && s.standing.Leave() != standing.Nothing:
		s.standing.Fetch()
		if !s.batch.Drawing() {
			s.draw(ctx)
		}
	default:
		s.standing.GiveBack()
		ctx.Send(s.pid, &callEnded{segment: s.name})
	}
}

// nextChunk is what the permit in hand is used for; nil: nothing. What was
// asked for may not be wanted any more: an operator may have paused the segment.
func (s *segment) nextChunk() *batch.Chunk {
	switch leave := s.standing.Leave(); {
	case leave == standing.Nothing, leave == standing.Reading:
		return nil
	case leave != standing.Calls && s.batch.Flight() == nil:
		return s.probe(leave == standing.DeletesProbes)
	}
	return s.batch.Next(time.Now(), s.tuning().FlushInterval)
}

// probe is what a parked segment is tried with: a single key, which is no
// burden to Split, and another one each time. Deletes from a full segment are no
// probe.
func (s *segment) probe(full bool) *batch.Chunk {
	b := &s.batch
	verb := b.NextVerb()
	switch {
	case verb == 0:
		return nil
	case full && b.HeldOf(audience.Delete) > 0 && time.Now().Before(s.standing.ProbeAt()):
		return b.Cut(audience.Delete)
	case full && b.HeldOf(audience.Add) > 0:
		verb = audience.Add
	}
	return b.CutOne(verb, int(s.Random()*float64(b.HeldOf(verb))))
}

// call carries the chunk to Split, outside the mailbox.
func (s *segment) call(ctx actor.Context, chunk *batch.Chunk) {
	if chunk.Attempts == 0 {
		s.metrics.flushLag.Observe(time.Since(s.readyAt).Seconds())
		s.metrics.callKeys.Observe(float64(chunk.Keys.Len()))
	}
	chunk.Attempts++
	chunk.Call = s.nextCall()
	s.standing.Call()

	call := splitclient.Call{Token: s.token, Segment: s.name, Verb: chunk.Verb, Keys: chunk.Keys, Attempt: chunk.Attempts}
	self, tenant, root := ctx.Self(), s.pid, ctx.ActorSystem().Root
	number, attempt, began := chunk.Call, chunk.Attempts, time.Now()
	s.calls.Add(1)
	go func() {
		defer s.calls.Done()
		outcome := s.deliver(call)
		ended := callOf(number, call, attempt, began, outcome)
		s.debug(call.Segment, ended)
		s.remember(&called{segment: call.Segment, call: ended})
		// First the segment, then the tenant: the next permit cannot overtake the
		// outcome of this call.
		root.Send(self, &flushed{chunk: chunk, outcome: outcome})
		root.Send(tenant, &callEnded{segment: call.Segment, outcome: outcome})
	}()
}

// debug writes a line for each call, at that level. It has no key and no token (I7).
func (s *settings) debug(of audience.Segment, c status.Call) {
	event := s.Logger.Debug()
	if !event.Enabled() {
		return
	}
	event.Stringer("tenant", of.Tenant).Str("environment", of.Environment).Str("segment", of.Name).
		Uint64("call", c.Number).Int("attempt", c.Attempt).Str("verb", c.Verb).Int("keys", c.Keys).
		Int("status", c.Status).Str("reason", c.Reason).Str("transaction", c.Transaction).Int64("tookMs", c.Millis).
		Msg("called Split")
}

// deliver makes the call. A panic in there must not cost a permit for good.
func (s *settings) deliver(call splitclient.Call) (outcome splitclient.Outcome) {
	defer func() {
		if reason := recover(); reason != nil {
			s.metrics.crashes.Inc()
			s.Logger.Error().Str("panic", panicText(reason)).Msg("BUG: a call to Split crashed; it will be repeated")
			outcome = splitclient.Outcome{Kind: splitclient.Transient, Reason: splitclient.UnexpectedAnswer}
		}
	}()
	return s.underLease(call)
}

// flushed does what follows from the outcome of a call. The outcome of a call that an
// earlier incarnation made finds another chunk, or none, in flight: its keys are in the
// journal still and are sent again.
func (s *segment) flushed(ctx actor.Context, m *flushed) {
	if m.chunk != s.batch.Flight() {
		return
	}
	s.standing.Outcome(m.outcome.Reason)
	s.survivor.last = m.outcome.Reason
	now := time.Now()
	switch m.outcome.Kind {
	case splitclient.Delivered:
		s.delivered(m.chunk, now, sender(ctx))
		return
	case splitclient.Throttled:
		s.batch.RepeatAt(now) // the tenant and the registry know when calls may go on
	case splitclient.Transient:
		s.backOff(now)
		s.fails(m.outcome)
	case splitclient.Permanent:
		s.refused(m.outcome, now, sender(ctx))
	}
	if s.standing.Hurries() {
		s.reportDrained() // one attempt is all that a drain waits for
	}
}

// fails tells the log when calls begin to fail for now.
func (s *segment) fails(o splitclient.Outcome) {
	if s.survivor.failing || o.Reason == splitclient.Cancelled {
		return
	}
	s.survivor.failing = true
	s.tell(newsOf(segmentFails, s.name, o, s.batch.Repeat()))
}

// recovers tells the log that they do not any more.
func (s *segment) recovers(kind newsKind) {
	if s.survivor.failing {
		s.survivor.failing = false
		s.tell(news{kind: kind, segment: s.name})
	}
}

func (s *segment) backOff(now time.Time) {
	s.batch.RepeatAt(now.Add(pace.Backoff(s.batch.Flight().Attempts, s.FirstBackoff, s.MaxBackoff, s.Random)))
}

// delivered settles the chunk, and goes on with the hunt, if one is on.
func (s *segment) delivered(chunk *batch.Chunk, now time.Time, send func(any)) {
	s.survivor.failures = 0
	s.recovers(segmentRecovered)
	s.metrics.delivered[chunk.Verb].Add(float64(chunk.Keys.Len()))
	if accepted, ok := s.Journal.Since(chunk.Oldest); ok {
		s.metrics.freshness.Observe(now.Sub(accepted).Seconds(), chunk.Keys.Len())
	}
	settled, park := s.batch.Delivered()
	s.settle(settled, chunk.NotAfter, journal.Receipt{At: now, Verb: chunk.Verb, Call: chunk.Call}, send)
	if s.standing.Delivered(chunk.Verb, now) {
		s.segmentUnparked(now)
		s.tell(news{kind: segmentUnparked, segment: s.name})
	}
	s.parkKeys(chunk, park, send)
	s.batch.RepeatAt(now)
}

// segmentUnparked: all keys may be sent again, and are due.
func (s *segment) segmentUnparked(now time.Time) {
	s.writeState(nil)
	s.batch.Hasten(now)
}

// refused decides what a permanent refusal concerns: the tenant, the segment or
// some of the keys. Nothing is dropped: keys that are refused for good are parked
// with the reason (I3), all others wait where they are.
func (s *segment) refused(o splitclient.Outcome, now time.Time, send func(any)) {
	chunk := s.batch.Flight()
	switch s.standing.Judge(o, chunk.Verb, now) {
	case standing.OfTenant:
		s.batch.RepeatAt(now)
	case standing.NotYet:
		s.backOff(now)
		s.fails(o)
	case standing.OfKeys:
		s.refusedKeys(o, now, send)
	case standing.OfSegment:
		if s.standing.ParkedSegment() {
			s.batch.Shelve()
		} else {
			s.batch.Ground()
		}
		s.parkSegment(chunk, o, now)
	}
}

// refusedKeys goes on with the hunt for the keys that are at fault.
func (s *segment) refusedKeys(o splitclient.Outcome, now time.Time, send func(any)) {
	chunk := s.batch.Flight()
	refusal := s.batch.Refused(refusalOf(o, now), o.Reason == splitclient.TooLarge)
	if refusal.SegmentRefused {
		s.parkSegment(chunk, o, now)
	}
	s.releaseKeys(refusal.Release, send)
	s.parkKeys(chunk, refusal.Park, send)
	s.batch.RepeatAt(now)
}

// releaseKeys makes keys pending again that were parked before it was clear that the
// segment is at fault.
func (s *segment) releaseKeys(keys *audience.KeySet, send func(any)) {
	if keys == nil {
		return
	}
	s.standing.Release()
	s.unpark(keys, false, func(n int, err error) {
		send(&unparked{by: s, retried: true, keys: n, err: err})
	})
}

// parkKeys parks keys that Split refuses for good: of the chunk, or of another one of
// the same hunt.
func (s *segment) parkKeys(chunk *batch.Chunk, keys *audience.KeySet, send func(any)) {
	if keys == nil || keys.Len() == 0 {
		return
	}
	why := s.batch.LastRefusal()
	s.metrics.parkedKeys.WithLabelValues(why.Reason).Add(float64(keys.Len()))
	s.park(chunk, keys, why, send)
	s.tell(news{kind: keysParked, segment: s.name, reason: why.Reason, keys: keys.Len()})
}

// parkSegment keeps all keys of the segment where they are, see standing.Park.
func (s *segment) parkSegment(chunk *batch.Chunk, o splitclient.Outcome, now time.Time) {
	why := refusalOf(o, now)
	why.Shown = s.shown(o.Message, chunk)
	if !s.standing.Park(why, now) {
		return
	}
	s.writeState(nil)
	s.metrics.parkedSegments.WithLabelValues(why.Reason).Inc()
	s.recovers(segmentQuiet)
	s.tell(newsOf(segmentParked, s.name, o, s.standing.ProbeAt()))
}

// shown is Split's own words about a call, without its keys and the token, and without
// what may be another key (I7).
func (s *segment) shown(words string, chunk *batch.Chunk) string {
	if words == "" {
		return ""
	}
	secrets := []string{s.token.Reveal()}
	for key := range chunk.Keys.All() {
		secrets = append(secrets, key.Text())
	}
	for _, secret := range secrets {
		words = strings.ReplaceAll(words, secret, status.MaskKey(""))
	}
	return status.MaskWords(words, "")
}

func refusalOf(o splitclient.Outcome, now time.Time) journal.Refusal {
	return journal.Refusal{Reason: string(o.Reason), Message: o.Message, At: now, Status: o.Status, Transaction: o.Transaction}
}
