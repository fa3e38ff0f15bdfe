package placement

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrStalled is why a node ends, or refuses changes for a moment: its process stood still,
// and what arrived meanwhile lies in the kernel's buffers, for how long nobody knows. Its
// callers may have given up, and have had a newer change of the same key accepted by
// another node (F4).
var ErrStalled = errors.New("this process stood still")

const (
	stallTick    = 100 * time.Millisecond
	stallRefused = time.Second // after a stall this long, changes are refused for as long again
)

// Stall notices that the process stood still: it was stopped, its machine was suspended, or
// it got no processor. It is safe for several goroutines.
type Stall struct {
	limit  time.Duration // after which the process has to end
	last   atomic.Pointer[time.Time]
	refuse atomic.Pointer[time.Time] // until then changes are refused
}

// NewStall makes one; a stall of that limit or more ends the process.
func NewStall(limit time.Duration) *Stall {
	s := &Stall{limit: limit}
	now := time.Now()
	s.last.Store(&now)
	s.refuse.Store(&now)
	return s
}

// Refuse is nil unless the process has just stood still. It finds that out by itself, for
// those who run before the watch does.
func (s *Stall) Refuse() error {
	now := time.Now()
	if stood(*s.last.Load(), now) >= stallRefused || now.Before(*s.refuse.Load()) {
		return ErrStalled
	}
	return nil
}

// Watch looks until ctx ends, or until the process stood still for too long, which fatal is
// told. Nothing is taken before it begins, so that a start may take any time.
func (s *Stall) Watch(ctx context.Context, fatal func(error)) {
	s.begin()
	ticker := time.NewTicker(stallTick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.look(); err != nil {
			fatal(err)
			return
		}
	}
}

func (s *Stall) begin() {
	now := time.Now()
	s.last.Store(&now)
}

// look notices what passed since the last look; an error says that it was too much.
func (s *Stall) look() error {
	now := time.Now()
	gap := stood(*s.last.Load(), now)
	switch {
	case gap >= s.limit:
		return fmt.Errorf("%w for %v: another node may have taken over", ErrStalled, gap.Round(stallTick))
	case gap >= stallRefused:
		until := now.Add(stallRefused)
		s.refuse.Store(&until)
	}
	s.last.Store(&now)
	return nil
}

// stood is the longer of the times that the monotonic and the wall clock saw pass.
func stood(last, now time.Time) time.Duration {
	return max(now.Sub(last), now.Round(0).Sub(last.Round(0)))
}
