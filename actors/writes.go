package actors

import (
	"audiences/actors/batch"
	"audiences/audience"
	"audiences/journal"
)

// This is all that a segment writes to the journal, each kind in one place. Changes are
// appended by its tenant.

// settle has the journal forget keys: Split took them, or an operator discards them.
// But for park it is the one way that a key leaves the journal (I3). Keys that somebody
// else changed since stay there. receipt is zero for what was discarded.
func (s *segment) settle(keys *audience.KeySet, notAfter journal.Version, receipt journal.Receipt, send func(any)) {
	if keys.Len() == 0 {
		return
	}
	s.standing.Settle()
	s.Journal.Settle(journal.Settle{Segment: s.name, Selection: s.batch.Select(keys, notAfter), Receipt: receipt, Done: s.tellSettled(send, false)})
}

// park moves keys that Split refuses for good from pending to parked (I3).
func (s *segment) park(chunk *batch.Chunk, keys *audience.KeySet, why journal.Refusal, send func(any)) {
	s.standing.Settle()
	s.standing.KeysParked(keys.Len())
	s.Journal.Park(journal.Park{Segment: s.name, Verb: chunk.Verb, Selection: s.batch.Select(keys, chunk.NotAfter), Refusal: why,
		Done: s.tellSettled(send, true)})
}

func (s *segment) tellSettled(send func(any), parked bool) func([]audience.Key, error) {
	return func(newer []audience.Key, _ error) { send(&settled{by: s, parked: parked, newer: len(newer)}) }
}

// settled: keys that somebody else changed meanwhile are pending still, and are looked
// for in the journal.
func (s *segment) settled(m *settled) {
	s.standing.Settled()
	if m.newer == 0 {
		return
	}
	if m.parked {
		s.standing.KeysParked(-m.newer)
	}
	s.batch.Expect(m.newer)
}

// unpark makes parked keys pending again, or deletes them: those that are listed, or
// all of them for nil. done is called by the journal.
func (s *segment) unpark(keys *audience.KeySet, discard bool, done func(n int, err error)) {
	u := journal.Unpark{Segment: s.name, Discard: discard, Done: done}
	if keys != nil {
		u.Keys = keys.All()
	}
	s.Journal.Unpark(u)
}

// writeState keeps the segment's state; done, if any, is answered once it is durable.
func (s *segment) writeState(done chan<- error) {
	s.Journal.SetSegmentState(s.name, s.standing.Record(), through(done))
}
