package actors

import (
	"errors"
	"time"

	"audiences/actors/pace"
	"audiences/journal"

	"github.com/asynkron/protoactor-go/actor"
)

// This is what a segment asks the journal for: pages of stored keys, and how many there
// are. Each of these answers comes back as a message, to the incarnation that asked.

// draw asks the journal for the next stored keys, after all that was handed to
// it so far. The first read also brings the segment's state. When memory is short it
// asks for the state alone (limit 0), or for one key if it is unknown whether there
// are any (limit 1); later pages are read when a permit is there.
func (s *segment) draw(ctx actor.Context) {
	limit, take := s.MaxKeysPerCall, true
	switch must := s.standing.Fetching() || s.standing.Discarding(); {
	case s.reserve(limit, must):
	case s.standing.FirstPageIn():
		return
	case s.batch.HasStored():
		limit = 0
	default:
		limit, take = 1, false
	}
	send := sender(ctx)
	s.Journal.Load(journal.Load{
		Segment:   s.name,
		After:     s.batch.Draw(),
		Limit:     limit,
		NotBefore: s.survivor.accepted,
		Done: func(page journal.Page) {
			if !take {
				page = untaken(page)
			}
			send(&drawn{by: s, page: page})
		},
	})
}

// untaken is what a page of one key says without it: it stays in the journal, where the
// pages of whole calls begin with it.
func untaken(page journal.Page) journal.Page {
	return journal.Page{More: page.More || len(page.Entries) > 0, State: page.State, Parked: page.Parked, Err: page.Err}
}

// reserve counts the keys of a page as in memory before they are, so that many
// segments that read at once do not take more than there is. A chunk for a call
// that may be made now is read in any case.
func (s *segment) reserve(keys int, must bool) bool {
	for {
		now := s.inMemory.Load()
		if (int(now)+keys > s.MaxKeysInMemory || s.Sharing != nil) && !must {
			return false
		}
		if s.inMemory.CompareAndSwap(now, now+int64(keys)) {
			break
		}
	}
	s.survivor.reserved = keys
	return true
}

// claim counts up to n keys as in memory before they are, and returns how many there is
// room for. What is counted too much is corrected by publish.
func (s *segment) claim(n int) int {
	if s.Sharing != nil {
		return 0 // a permit draws them from the journal, where other nodes may have changed them
	}
	for {
		now := s.inMemory.Load()
		claimed := min(n, max(0, s.MaxKeysInMemory-int(now)))
		if s.inMemory.CompareAndSwap(now, now+int64(claimed)) {
			s.survivor.weight += claimed
			return claimed
		}
	}
}

// release ends a reservation.
func (s *segment) release() {
	s.inMemory.Add(-int64(s.survivor.reserved))
	s.survivor.reserved = 0
}

// drawn hands a page to the batch. The first one also tells the segment's state.
func (s *segment) drawn(ctx actor.Context, page journal.Page) {
	s.release()
	now, first := time.Now(), !s.standing.FirstPageIn()
	switch {
	case page.Err != nil:
		s.drawFailed(page.Err, now)
	case first:
		s.standing.FirstPage(page.State, now)
		s.batch.Drawn(page, first, now)
		if s.batch.AllCounted() && !page.Parked {
			s.standing.Counted()
		}
	default:
		s.batch.Drawn(page, first, now)
	}
	s.answerReplay()
	for _, wish := range owing[*operate](s) {
		if wish.stage == unknown {
			s.operate(wish, sender(ctx))
		}
	}
	if s.standing.Fetching() {
		s.flush(ctx)
	}
}

func (s *segment) drawFailed(err error, now time.Time) {
	s.standing.ReadFailed()
	s.batch.DrawFailed()
	s.survivor.failures++
	s.drawAt = now.Add(pace.Backoff(int(s.survivor.failures), s.FirstBackoff, s.MaxBackoff, s.Random))
	s.Logger.Error().Err(err).Stringer("tenant", s.name.Tenant).Str("segment", s.name.Name).
		Msg("damaged journal: stored keys of a segment cannot be read; will try again")
}

// answerReplay tells the replay that the first page is in, as far as it asked.
func (s *segment) answerReplay() {
	for _, m := range owing[*activate](s) {
		m.give(nil)
	}
}

// activated: the journal has keys for this segment. One that is active already
// looks again: they may have come there by an operator's hand, after the page that
// is being read.
func (s *segment) activated(m *activate) {
	switch {
	case s.standing.Yielded(): // it will look, at the end of the move
		m.give(nil)
		return
	case m.why == hint && (s.batch.HasStored() || s.batch.Pending() > 0):
		m.give(nil)
		return
	case m.why == takeover:
		s.batch.Hasten(time.Now())
		fallthrough
	case m.why == replayed:
		if !s.standing.FirstPageIn() {
			return
		}
	}
	s.batch.Expect(0)
	m.give(nil)
}

// counting is a count of the keys that the journal has of a segment, under way.
// To count ten million keys takes seconds, so nothing waits for it: not the start,
// not a call. Until its answer is in, keys that are in the journal alone, and
// parked ones, are missing in what the segment shows, and it does not rest: it
// could not tell whether the journal may forget it.
//
// The answer tells of the time when it was asked for: what the segment knew then
// is part of it, and what changes meanwhile is added to it.
type counting struct {
	pending, parked int // known then
}

func (s *segment) count(ctx actor.Context) {
	of := &counting{pending: s.batch.Known(), parked: s.standing.ParkedKeys()}
	s.counting = of
	send := sender(ctx)
	s.Journal.Count(journal.Count{Segment: s.name, Done: func(c journal.Counts) { send(&counted{of: of, counts: c}) }})
}

// counted records a count, unless it is out of date: asked for by an incarnation
// that crashed, or before keys were given up or taken back.
func (s *segment) counted(m *counted) {
	if m.of != s.counting {
		return
	}
	s.counting = nil
	s.batch.Counted(m.counts.Pending, m.of.pending)
	s.standing.CountedParked(m.counts.Parked, m.of.parked, m.counts.Err)
	if m.counts.Err != nil && !errors.Is(m.counts.Err, journal.ErrClosed) {
		s.Logger.Error().Err(m.counts.Err).Stringer("tenant", s.name.Tenant).Str("segment", s.name.Name).
			Msg("damaged journal: stored keys of a segment cannot be counted; there are more than shown")
	}
}
