package actors

import (
	"errors"
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"
)

// Op is what an operator may do to a segment or a tenant.
type Op uint8

// The operations. Pause and Resume survive a restart; a paused segment or
// tenant keeps accepting.
const (
	Pause   Op = iota + 1 // make no calls, until Resume or a given time
	Resume                // end a pause
	Flush                 // send what is pending now, without waiting for the interval
	Retry                 // make parked keys pending again and try a parked segment at once; segments only
	Discard               // delete parked keys, and all that is pending of a parked segment; segments only
)

// errNotForTenants answers Retry and Discard of a whole tenant.
var errNotForTenants = errors.New("this can be done to a segment, not to a whole tenant")

// operate is an operator's wish for one segment; done gets exactly one answer.
type operate struct {
	tenant  audience.Tenant
	segment audience.Segment // zero: the whole tenant
	op      Op
	until   time.Time // of Pause; zero: until Resume
	done    chan<- error
}

// unparked is the journal's answer to a retry or a discard.
type unparked struct {
	by      *segment
	retried bool
	some    bool // not all parked keys
	parked  int  // before
	keys    int  // that are not any more
	err     error
	done    chan<- error
}

// inspect asks one segment what it is doing.
type inspect struct {
	tenant  audience.Tenant
	segment audience.Segment
	reply   chan<- SegmentDetail
}

// SegmentDetail says what a segment is doing and why its keys are where they
// are. It holds no keys. Times are zero where they do not apply.
type SegmentDetail struct {
	SegmentView
	Phase      string
	Due        time.Time            // when the keys held are to be sent
	RepeatAt   time.Time            // when the chunk in flight is to be repeated
	ProbeAt    time.Time            // when a parked segment is tried again
	State      journal.SegmentState // paused, parked
	ParkedKeys int                  // an upper bound, once counted: one that a newer change superseded may be counted
	LastReason splitclient.Reason   // of the last call; "" before the first
	Attempts   int                  // made with the chunk in flight
}

// operate carries out an operator's wish. What needs the journal's word waits
// until the first page is in.
func (s *segment) operate(m *operate, send func(any)) {
	if !s.known {
		s.wishes = append(s.wishes, m)
		return
	}
	now := time.Now()
	state := s.state
	switch m.op {
	case Pause:
		state.Paused, state.PausedUntil = true, m.until
		s.setState(state, m.done)
	case Resume:
		state.Paused, state.PausedUntil = false, time.Time{}
		s.setState(state, m.done)
	case Flush:
		s.dues.hasten(now)
		s.repeatAt, s.probeAt = now, now
		m.done <- nil
	case Retry:
		if s.state.Parked != nil {
			s.unparkSegment(now, nil)
		}
		s.unpark(m, send)
	case Discard:
		if s.state.Parked != nil && !s.discarding {
			s.discarding, s.lastPass = true, s.batch.backlog.allSeen()
		}
		s.unpark(m, send)
	default:
		m.done <- errors.New("unknown operation")
	}
}

func (s *segment) unpark(m *operate, send func(any)) {
	answer := unparked{by: s, retried: m.op == Retry, parked: s.parked, done: m.done}
	s.parked = 0 // those that are parked from here on come after it in the journal
	s.counting = nil
	s.unparking++
	s.Journal.Unpark(journal.Unpark{
		Segment: s.name, Discard: !answer.retried,
		Done: func(keys int, err error) {
			answer.keys, answer.err = keys, err
			send(&answer)
		},
	})
}

// unparked: retried keys are in the journal now, like stored ones. After an error
// some of them may be.
func (s *segment) unparked(m *unparked) {
	if m.by == s {
		s.unparking--
		if m.err != nil {
			s.parked += m.parked
		} else if m.some {
			s.parked = max(0, s.parked-m.keys)
		}
		if m.retried {
			s.batch.backlog.again(m.keys)
		}
	}
	if s.discarding && m.err == nil {
		s.discarded = append(s.discarded, m.done)
		return
	}
	m.done <- m.err
}

// spare keeps keys from being discarded that are accepted meanwhile: nobody meant
// them.
func (s *segment) spare(keys audience.Keys) {
	s.batch.maxHeld = 0
	for key := range keys.All() {
		s.spared.Add(key)
	}
}

// discardHeld deletes what is pending of a parked segment, page by page, at an
// operator's wish: the one way that a key leaves the journal undelivered.
func (s *segment) discardHeld() {
	b := &s.batch
	if s.phase == calling {
		return
	}
	b.ground()
	for _, set := range []*audience.KeySet{&b.adds, &b.deletes} {
		keys := *set
		*set = audience.KeySet{}
		for key := range keys.All() {
			if s.spared.Has(key) {
				keys.Remove(key)
				b.backlog.again(1)
			}
		}
		if keys.Len() > 0 {
			s.Journal.Settle(journal.Settle{Segment: s.name, Keys: b.settled(&keys).All()})
		}
	}
	if b.backlog.drawing || b.backlog.exists && b.backlog.passes < s.lastPass {
		return
	}
	s.discarding, s.spared = false, audience.KeySet{}
	state := s.state
	state.Parked = nil
	s.setState(state, nil)
	for _, done := range s.discarded {
		done <- nil
	}
	s.discarded = nil
}

// explain answers those who asked what the segment is doing. One that waits for
// its state from the journal does not know yet; nor does one that waits for a
// count, which takes no time but after the start, when it shows as Uncounted.
func (s *segment) explain() {
	if len(s.questions) == 0 || !s.known && s.batch.backlog.drawing || s.counting != nil && !s.share.backlog {
		return
	}
	for _, m := range s.questions {
		m.reply <- s.detail()
	}
	s.questions = nil
}

func (s *segment) detail() SegmentDetail {
	d := SegmentDetail{
		SegmentView: s.share.view(s.name),
		Phase:       s.phase.String(), Due: s.dues.first(), State: s.state, ParkedKeys: s.parked, LastReason: s.share.last,
	}
	if s.batch.flight != nil {
		d.Attempts = s.batch.flight.attempts
		if s.phase == gathering {
			d.RepeatAt = s.repeatAt
		}
	}
	if s.state.Parked != nil {
		d.ProbeAt = s.probeAt
	}
	return d
}

// yield gives all keys up to another tenant: the journal will move them. What
// is accepted from now on is kept again, under this tenant's token.
func (s *segment) yield() {
	if len(s.heirs) == 0 || s.phase == calling || s.phase == fetching || s.batch.backlog.drawing {
		return
	}
	s.batch = batch{maxChunk: s.batch.maxChunk, maxHeld: s.batch.maxHeld, backlog: backlog{counted: true}}
	s.state, s.parked, s.share.described = journal.SegmentState{}, 0, false
	s.known, s.yielded = true, true
	s.learned, s.tallied, s.counting = true, true, nil
	for _, heir := range s.heirs {
		heir <- struct{}{}
	}
	s.heirs = nil
}
