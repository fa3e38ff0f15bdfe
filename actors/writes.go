package actors

import (
	"audiences/audience"
	"audiences/journal"
)

// This is all that a segment writes to the journal, each kind in one place.

// appendChange hands a change to the journal, which answers its sender once it is durable.
func (s *segment) appendChange(m *accept) {
	s.Journal.Append(journal.Append{
		Segment:  s.name,
		Verb:     m.change.Verb,
		Keys:     m.change.Keys,
		Describe: !s.survivor.described || s.standing.Yielded(), // a move takes the name away, and may come yet
		Unpark:   s.standing.MayHaveParked(),                    // the newer change supersedes a parked one
		Done:     m.to,
	})
	m.handed()
	s.survivor.described = true
}

// describe writes the segment's name.
func (s *segment) describe() {
	s.Journal.Append(journal.Append{Segment: s.name, Describe: true})
}

// settle has the journal forget keys: Split took them, or an operator discards them.
// But for park it is the one way that a key leaves the journal (I3).
func (s *segment) settle(keys *audience.KeySet) {
	if keys.Len() > 0 {
		s.Journal.Settle(journal.Settle{Segment: s.name, Keys: keys.All()})
	}
}

// park moves keys that Split refuses for good from pending to parked (I3).
func (s *segment) park(verb audience.Verb, keys *audience.KeySet, why journal.Refusal) {
	s.standing.KeysParked(keys.Len())
	s.Journal.Park(journal.Park{Segment: s.name, Verb: verb, Keys: keys.All(), Refusal: why})
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
	s.Journal.SetSegmentState(s.name, s.standing.Record(), done)
}
