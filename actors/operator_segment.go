package actors

import (
	"time"

	"audiences/audience"
	"audiences/journal"
	"audiences/splitclient"
	"audiences/status"

	"github.com/asynkron/protoactor-go/actor"
)

// stage is how far a segment is with an operator's wish.
type stage uint8

const (
	unknown    stage = iota // the journal has not told what the segment is
	begun                   // the journal takes parked keys back or deletes them
	discarding              // so it has, and the pending ones are to go as well
)

// SegmentDetail says what a segment is doing and why its keys are where they
// are. It holds no keys but masked ones. Times are zero where they do not apply.
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
	Planned    []status.Planned     // calls
}

// operate carries out an operator's wish. What needs the journal's word waits
// until the first page is in; so does what comes while all keys are being moved to another
// tenant, since nobody knows before the end of that what there is to be done.
func (s *segment) operate(m *operate, send func(any)) {
	if !s.standing.Known() || s.standing.Yielded() {
		return
	}
	m.stage = begun
	now := time.Now()
	switch m.remedy {
	case status.Pause:
		s.standing.Pause(m.pause.PausedUntil, m.pause.PausedSince, m.pause.PausedBy)
		s.writeStateFor(m)
	case status.Resume:
		s.standing.Resume()
		s.writeStateFor(m)
	case status.Flush:
		s.batch.Hasten(now)
		s.batch.RepeatAt(now)
		s.standing.Flush(now)
		m.give(nil)
	case status.Retry:
		if s.standing.Retry() {
			s.segmentUnparked(now)
		}
		s.unparkAll(m, send)
	case status.Discard:
		s.standing.Discard(s.batch.AllSeen(), m.notAfter)
		s.unparkAll(m, send)
	}
}

// recall gives back a permit that waits for keys of the journal. Where it is used already
// the call goes on.
func (s *segment) recall(ctx actor.Context, m *recall) {
	if s.standing.Fetching() {
		s.standing.GiveBack()
		ctx.Send(s.pid, &callEnded{segment: s.name})
	}
	m.give(nil)
}

// writeStateFor keeps the state that an operator wants; the journal answers.
func (s *segment) writeStateFor(m *operate) {
	s.writeState(m.to)
	m.handed()
}

// unparkAll has the journal take back all parked keys, or delete them.
func (s *segment) unparkAll(m *operate, send func(any)) {
	answer := unparked{by: s, wish: m, retried: m.remedy == status.Retry, parked: s.standing.Unpark()}
	s.counting = nil
	s.unpark(nil, !answer.retried, func(keys int, err error) {
		answer.keys, answer.err = keys, err
		send(&answer)
	})
}

// unparked: retried keys are in the journal now, like stored ones. After an error
// some of them may be. What an incarnation that crashed asked for is nothing to
// this one, which reads the journal anew, and its operator has been told.
func (s *segment) unparked(m *unparked) {
	if m.by != s {
		return
	}
	if m.retried {
		s.batch.Expect(m.keys)
	}
	if m.wish == nil {
		s.standing.Released(m.keys)
		return
	}
	s.standing.Unparked(m.parked, m.err)
	if s.standing.Discarding() && m.err == nil {
		m.wish.stage = discarding
	} else {
		m.wish.give(m.err)
	}
}

// discardHeld deletes what is pending of a parked segment, page by page, at an
// operator's wish: the one way that a key leaves the journal undelivered. What was accepted
// after the wish the journal keeps, and the batch looks for it again (settled).
func (s *segment) discardHeld(send func(any)) {
	if s.standing.Calling() {
		return
	}
	s.batch.Ground()
	for _, verb := range []audience.Verb{audience.Add, audience.Delete} {
		s.settle(s.batch.Discard(verb, s.standing.Spared()), s.standing.NotAfter(), journal.Receipt{}, send)
	}
	if !s.batch.SeenAll(s.standing.LastPass()) {
		return
	}
	s.standing.Discarded()
	s.writeState(nil)
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
	if !s.standing.Known() && s.batch.Drawing() || s.counting != nil && !s.survivor.backlog {
		return
	}
	for _, m := range owing[*inspect](s) {
		*m.detail = s.detail()
		m.give(nil)
	}
}

func (s *segment) detail() SegmentDetail {
	d := SegmentDetail{
		SegmentView: s.survivor.view(s.name),
		Phase:       s.standing.Phase(), Due: s.batch.Due(), ProbeAt: s.standing.ProbeAt(), State: s.standing.Record(),
		ParkedKeys: s.standing.ParkedKeys(), LastReason: s.survivor.last, Planned: s.planned(),
	}
	if flight := s.batch.Flight(); flight != nil {
		d.Attempts = flight.Attempts
		if s.standing.Gathering() {
			d.RepeatAt = s.batch.Repeat()
		}
	}
	return d
}

// shownOfPlan is how many keys of a verb an operator is shown, masked.
const shownOfPlan = 3

// planned is what the segment sends once it may.
func (s *segment) planned() []status.Planned {
	all := []status.Planned{}
	for _, p := range s.batch.Planned(shownOfPlan) {
		shown := status.Planned{Verb: p.Verb.String(), Keys: p.Keys, Calls: p.Calls, Some: []string{}}
		for _, key := range p.Some {
			shown.Some = append(shown.Some, status.MaskKey(key.Text()))
		}
		all = append(all, shown)
	}
	return all
}

// yield gives all keys up to another tenant, see standing.Yield: as soon as no call, no
// read and no discard is under way.
func (s *segment) yield() {
	waiting := owing[*surrenderSegment](s)
	if len(waiting) == 0 || s.standing.Calling() || s.standing.Fetching() || s.standing.Discarding() || s.batch.Drawing() {
		return
	}
	s.survivor.yielded = true
	s.giveUp()
	for _, m := range waiting {
		m.give(nil)
	}
}

// giveUp forgets all keys, because the journal is about to move them to another tenant.
// Changes that are accepted after the move belong to this tenant again.
func (s *segment) giveUp() {
	s.standing.Yield()
	s.batch.Forget()
	s.counting = nil
}

// regain ends what yield began: the segment looks at the journal like one that has
// just started. One that has not given up its keys yet, because of a call, keeps
// them.
func (s *segment) regain() {
	for _, m := range owing[*surrenderSegment](s) {
		m.fail(errNotMoved)
	}
	if s.standing.MoveOver() {
		s.survivor.yielded = false
		s.batch.Unread(true)
	}
}
