package embedded

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// parkedSet has the segments that may have parked keys. A change that supersedes
// parked keys (Append.Unpark) deletes their records one by one, unseen; for a
// segment that has none, and that is nearly every one, these deletes would be
// half of all that a large change writes, and stay in the store until a
// compaction meets them.
//
// It is read at Open and grows with each Park; that a segment has no parked keys
// any more is found at the next Open. It may be ahead of a snapshot, never behind.
type parkedSet struct {
	mu    sync.RWMutex
	ids   map[segmentID]struct{}
	blind bool // the store could not tell: every segment may have some
}

func readParkedSet(db *pebble.DB) *parkedSet {
	set := &parkedSet{ids: map[segmentID]struct{}{}}
	snapshot := db.NewSnapshot()
	defer func() { _ = snapshot.Close() }()
	d := newDistinct(snapshot, prefixParked)
	defer d.close()
	for d.valid {
		set.add(d.at)
		d.pass()
	}
	set.blind = d.err != nil || d.it.Valid() // the latter: a record that is too short to be one
	return set
}

func (s *parkedSet) add(id segmentID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids[id] = struct{}{}
}

func (s *parkedSet) mayHave(id segmentID) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, ok := s.ids[id]
	return ok || s.blind
}
