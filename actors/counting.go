package actors

import (
	"errors"

	"audiences/journal"

	"github.com/asynkron/protoactor-go/actor"
)

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

// wantsCount reports whether the journal should be asked. While parked keys are
// being taken back it is not known which of them a count would still see.
func (s *segment) wantsCount() bool {
	return s.learned && !s.tallied && s.counting == nil && s.unparking == 0
}

func (s *segment) count(ctx actor.Context) {
	of := &counting{pending: s.batch.known(), parked: s.parked}
	s.counting = of
	send := sender(ctx)
	s.Journal.Count(journal.Count{Segment: s.name, Done: func(c journal.Counts) { send(&counted{of: of, counts: c}) }})
}

// counted takes a count in, unless it is out of date: asked for by an incarnation
// that crashed, or before keys were given up or taken back.
func (s *segment) counted(m *counted) {
	if m.of != s.counting {
		return
	}
	s.counting, s.tallied = nil, true
	s.batch.counted(m.counts.Pending, m.of.pending)
	s.parked = max(0, s.parked+m.counts.Parked-m.of.parked)
	if m.counts.Err == nil {
		return
	}
	s.parked = max(1, s.parked) // there may be some: the journal must not forget the segment
	if !errors.Is(m.counts.Err, journal.ErrClosed) {
		s.Logger.Error().Err(m.counts.Err).Stringer("tenant", s.name.Tenant).Str("segment", s.name.Name).
			Msg("damaged journal: stored keys of a segment cannot be counted; there are more than shown")
	}
}
