package actors

import (
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// notices bounds the log lines on what happens to single tenants and segments, of
// which there may be very many at once. What is held back is counted, and the next
// line that is written tells how many there were. Many actors use it at once.
type notices struct {
	minute  atomic.Int64 // of the lines below, since 1970
	written atomic.Int64 // lines in that minute
	held    atomic.Int64 // lines since the last one that was written
}

// noticesPerMinute is enough to see who is in trouble, and no burden.
const noticesPerMinute = 100

// notice begins a line on a tenant or a segment, or returns nil, which zerolog takes
// for a line that is not to be written.
func (s *settings) notice(level zerolog.Level) *zerolog.Event {
	event := s.Logger.WithLevel(level)
	if !event.Enabled() {
		return nil
	}
	n := &s.notices
	if minute := time.Now().Unix() / 60; n.minute.Swap(minute) != minute {
		n.written.Store(0)
	}
	if n.written.Add(1) > noticesPerMinute {
		n.held.Add(1)
		s.metrics.heldBack.Inc()
		return nil
	}
	if held := n.held.Swap(0); held > 0 {
		event = event.Int64("heldBack", held)
	}
	return event
}
