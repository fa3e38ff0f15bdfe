package actors

import (
	"time"

	"audiences/journal"

	"github.com/asynkron/protoactor-go/actor"
)

// draw asks the journal for the next stored keys, after all that was handed to
// it so far. The first page also brings the segment's state; where memory is
// short, nothing but that, and whether there are keys where it is not known, and
// later pages wait for a permit to send them.
func (s *segment) draw(ctx actor.Context) {
	limit := s.MaxKeysPerCall
	switch must := s.phase == fetching || s.discarding; {
	case s.reserve(limit, must):
	case s.learned:
		return
	case s.batch.backlog.exists:
		limit = 0
	default:
		limit = 1
	}
	send := sender(ctx)
	s.Journal.Load(journal.Load{
		Segment:   s.name,
		After:     s.batch.backlog.draw(),
		Limit:     limit,
		NotBefore: s.batch.newest,
		Done:      func(page journal.Page) { send(&drawn{by: s, page: page}) },
	})
}

// reserve counts the keys of a page as in memory before they are, so that many
// segments that read at once do not take more than there is. A chunk for a call
// that may be made now is read in any case.
func (s *segment) reserve(keys int, must bool) bool {
	if s.inMemory.Add(int64(keys)) > int64(s.MaxKeysInMemory) && !must {
		s.inMemory.Add(-int64(keys))
		return false
	}
	s.share.reserved = keys
	return true
}

// release ends a reservation.
func (s *segment) release() {
	s.inMemory.Add(-int64(s.share.reserved))
	s.share.reserved = 0
}

func (s *segment) drawn(ctx actor.Context, page journal.Page) {
	s.release()
	switch {
	case page.Err != nil:
		// Its state is not known, but what is accepted from now on can be served.
		s.known = true
		s.batch.backlog.failed()
		s.share.crashes++
		s.drawAt = time.Now().Add(backoff(s.share.crashes, s.FirstBackoff, s.MaxBackoff, s.Random))
		s.Logger.Error().Err(page.Err).Stringer("tenant", s.name.Tenant).Str("segment", s.name.Name).
			Msg("damaged journal: stored keys of a segment cannot be read; will try again")
	case !s.learned:
		s.learnState(page)
		s.batch.drawn(page)
		if !s.dueAt.IsZero() {
			s.dues.hasten(s.dueAt)
		}
		s.tallied = s.batch.backlog.counted && !page.Parked
	default:
		s.batch.drawn(page)
		s.dues.hasten(later(time.Now(), s.dueAt)) // they have waited for their turn already
	}
	s.answerReplay()
	for _, wish := range owing[*operate](s) {
		if wish.stage == unknown {
			s.operate(wish, sender(ctx))
		}
	}
	if s.phase == fetching {
		s.flush(ctx)
	}
}

// learnState takes over what the journal knows of the segment. After a page that
// could not be read it may come late.
func (s *segment) learnState(page journal.Page) {
	s.known, s.learned = true, true
	if s.stateSet {
		return
	}
	s.state = page.State
	if s.state.Parked != nil && s.probeAt.IsZero() {
		s.probeAt = time.Now().Add(s.ProbeInterval)
	}
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
	s.share.described = true
	switch {
	case s.share.yielded: // it will look, at the end of the move
		m.give(nil)
		return
	case m.replay && !s.learned:
		return
	}
	if !m.replay {
		// The tenant may have let the segment go while keys were moved to it, and had
		// the journal forget its name: that comes after the move.
		s.batch.newest = s.Journal.Append(journal.Append{Tenant: s.name.Tenant, Changes: []journal.Change{{Segment: s.name, Describe: true}}})
	}
	s.batch.backlog.again(0)
	m.give(nil)
}
