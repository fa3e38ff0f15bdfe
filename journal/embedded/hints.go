package embedded

import (
	"encoding/binary"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"audiences/journal"
)

// newest knows, for the segments that share a slot, the newest version that keys were
// written with since the start. Where a Selection covers that, none of its keys can be
// newer, and they need not be looked up. It belongs to the committer.
type newest struct {
	slots [1 << slotBits]journal.Version
	start journal.Version // no key from before the start is newer than this
	many  bool            // keys of another node have been there: a version covers nothing
}

// slotBits makes so many slots that few of 100,000 busy segments share one: with 16 bits
// most did, and a settle of theirs was looked up, a sixth of the processor time of its
// call. The 8 MiB take memory where they are used.
const slotBits = 20

func (n *newest) slot(id segmentID) *journal.Version {
	return &n.slots[binary.BigEndian.Uint32(id[:])>>(32-slotBits)]
}

func (n *newest) wrote(id segmentID, version journal.Version) {
	slot := n.slot(id)
	*slot = max(*slot, version)
	n.many = n.many || version.Node() != thisNode
}

// covered reports that no key of the segment is newer than the version.
func (n *newest) covered(id segmentID, by journal.Version) bool {
	return !n.many && by.Covers(max(n.start, *n.slot(id)))
}

// untouched reports that the segment has the keys that it had at the start, or fewer.
func (n *newest) untouched(id segmentID) bool {
	return !n.many && *n.slot(id) == 0
}

// parkedSet has the segments that may have parked keys. A change supersedes parked
// keys: it deletes their records one by one, unseen; for a segment that has none, and
// that is nearly every one, these deletes would be half of all that a large change
// writes, and stay in the store until a compaction meets them.
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
