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

// stage is how far a segment is with an operator's wish.
type stage uint8

const (
	unknown    stage = iota // the journal has not told what the segment is
	begun                   // the journal takes parked keys back or deletes them
	discarding              // so it has, and the pending ones are to go as well
)

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
		return
	}
	m.stage = begun
	now := time.Now()
	state := s.state
	switch m.op {
	case Pause:
		state.Paused, state.PausedUntil = true, m.until
		s.setStateFor(m, state)
	case Resume:
		state.Paused, state.PausedUntil = false, time.Time{}
		s.setStateFor(m, state)
	case Flush:
		s.dues.hasten(now)
		s.repeatAt, s.probeAt = now, now
		m.give(nil)
	case Retry:
		if s.state.Parked != nil {
			s.unparkSegment(now)
		}
		s.unpark(m, send)
	case Discard:
		if s.state.Parked != nil && !s.discarding {
			s.discarding, s.lastPass = true, s.batch.backlog.allSeen()
		}
		s.unpark(m, send)
	default:
		m.give(errors.New("unknown operation"))
	}
}

// setStateFor keeps the state that an operator wants; the journal answers.
func (s *segment) setStateFor(m *operate, state journal.SegmentState) {
	s.setState(state, m.to)
	m.handed()
}

func (s *segment) unpark(m *operate, send func(any)) {
	answer := unparked{by: s, wish: m, retried: m.op == Retry, parked: s.parked}
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
// some of them may be. What an incarnation that crashed asked for is nothing to
// this one, which reads the journal anew, and its operator has been told.
func (s *segment) unparked(m *unparked) {
	if m.by != s {
		return
	}
	s.unparking--
	if m.wish == nil {
		s.parked = max(0, s.parked-m.keys)
	} else if m.err != nil {
		s.parked += m.parked
	}
	if m.retried {
		s.batch.backlog.again(m.keys)
	}
	switch {
	case m.wish == nil:
	case s.discarding && m.err == nil:
		m.wish.stage = discarding
	default:
		m.wish.give(m.err)
	}
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
func (s *segment) discardHeld(send func(any)) {
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
			s.settle(b.settled(&keys), b.newest, send)
		}
	}
	if b.backlog.drawing || b.backlog.exists && b.backlog.passes < s.lastPass {
		return
	}
	s.discarding, s.spared = false, audience.KeySet{}
	state := s.state
	state.Parked = nil
	s.setState(state, nil)
	for _, wish := range owing[*operate](s) {
		if wish.stage == discarding {
			wish.give(nil)
		}
	}
}

// explain answers those who asked what the segment is doing. One that waits for
// its state from the journal does not know yet; nor does one that waits for a
// count, which takes no time but after the start, when it shows as Uncounted.
func (s *segment) explain() {
	if !s.known && s.batch.backlog.drawing || s.counting != nil && !s.share.backlog {
		return
	}
	for _, m := range owing[*inspect](s) {
		*m.detail = s.detail()
		m.give(nil)
	}
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

// yield gives all keys up to another tenant: the journal will move them. Until the
// tenant's segments are told that it has, or that it will not, this one makes no
// calls and keeps what is accepted in the journal alone: what comes before the move
// is moved, what comes after it is this tenant's, and nobody knows which is which.
func (s *segment) yield() {
	heirs := owing[*cede](s)
	if len(heirs) == 0 || s.phase == calling || s.phase == fetching || s.batch.backlog.drawing {
		return
	}
	s.share.yielded = true
	s.giveUp()
	for _, heir := range heirs {
		heir.give(nil)
	}
}

// giveUp forgets what the segment knows.
func (s *segment) giveUp() {
	s.batch = batch{maxChunk: s.batch.maxChunk, maxHeld: s.batch.maxHeld, backlog: backlog{counted: true}}
	s.state, s.parked = journal.SegmentState{}, 0
	s.discarding, s.spared = false, audience.KeySet{}
	s.known, s.learned, s.tallied, s.counting = true, true, true, nil
}

// regain ends what yield began: the segment looks at the journal like one that has
// just started. One that has not given up its keys yet, because of a call, keeps
// them.
func (s *segment) regain() {
	for _, heir := range owing[*cede](s) {
		heir.fail(errNotMoved)
	}
	if s.share.yielded {
		s.share.yielded, s.share.described = false, false
		s.known, s.stateSet = false, false
		s.learned, s.tallied = false, false
		s.batch.backlog = backlog{exists: true}
	}
}
