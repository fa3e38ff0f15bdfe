package embedded

import (
	"bytes"
	"encoding/binary"
	"iter"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/ordered"
)

// removal takes what a Selection means out of the pending keys of a segment.
//
// Where the versions have to be compared, or there are many keys, it walks through the
// segment's records beside the selected keys. So it also sees which of these lie side by
// side: such a run is deleted as a range, in place of one record for each key, which
// halves what a drawn page costs in writing and in compactions.
type removal struct {
	j        *Journal
	id       segmentID
	keys     ordered.Keys
	notAfter journal.Version
	drawn    []journal.Entry // in the order of their records; without verbs

	newer []audience.Key // found by stage
}

// runLength is how many keys a range has at least. The first iterator after a write sorts
// all ranges of a memtable anew, some 0.1 us each: 10,000 segments of 100 keys, settled
// as ranges while others are read, took twice as long as with one record for each key.
const runLength = 512

// mostRanges are in a memtable when it is flushed: a million keys in small runs would
// otherwise make each page take milliseconds.
const mostRanges = 256

// flushRanges is called by the committer after each write.
func (j *Journal) flushRanges() {
	if j.ranges < mostRanges {
		return
	}
	j.ranges = 0
	_, _ = j.db.AsyncFlush() // a log that cannot be begun ends the journal, see disk.StoreFiles
}

func (j *Journal) removing(segment audience.Segment, s journal.Selection) *removal {
	r := &removal{j: j, id: idOf(segment), notAfter: s.NotAfter}
	if s.Keys != nil {
		r.keys = ordered.Of(s.Keys)
	}
	if s.Drawn != nil {
		for key, version := range s.Drawn {
			r.drawn = append(r.drawn, journal.Entry{Key: key, Version: version})
		}
		slices.SortFunc(r.drawn, func(a, b journal.Entry) int { return ordered.Compare(a.Key, b.Key) })
	}
	return r
}

// looks: stage looks into the store.
func (r *removal) looks() bool {
	keys, drawn := r.keys.Len(), len(r.drawn)
	return keys >= runLength || keys > 0 && !r.covered() || drawn >= runLength || drawn > 0 && !r.untouched()
}

// covered: none of keys can be newer.
func (r *removal) covered() bool { return r.j.newest.covered(r.id, r.notAfter) }

// untouched: none of drawn can be newer.
func (r *removal) untouched() bool { return r.j.newest.untouched(r.id) }

func (r *removal) stage(b *pebble.Batch) {
	w := walk{b: b, pending: head(prefixPending, r.id)}
	if r.looks() {
		w.open(r.j.db)
		defer w.close()
	}
	w.blindly = w.blindly || r.covered()
	for key := range r.keys.All() {
		if !w.remove(key, r.notAfter.Covers) {
			r.newer = append(r.newer, key)
		}
	}
	w.again()
	w.blindly = r.untouched()
	w.exact = !w.blindly
	for _, e := range r.drawn {
		if !w.remove(e.Key, func(v journal.Version) bool { return v == e.Version }) {
			r.newer = append(r.newer, e.Key)
		}
	}
	w.again()
	r.j.ranges += w.ranges
}

func (r *removal) done(done func([]audience.Key, error)) func(error) {
	if done == nil {
		return ignore
	}
	return func(err error) { done(r.newer, err) }
}

// sound yields the keys that are not newer, once they were staged.
func (r *removal) sound() iter.Seq[audience.Key] {
	newer := audience.NewKeySet(len(r.newer))
	for _, key := range r.newer {
		newer.Add(key)
	}
	return func(yield func(audience.Key) bool) {
		for key := range r.keys.All() {
			if !newer.Has(key) && !yield(key) {
				return
			}
		}
		for _, e := range r.drawn {
			if !newer.Has(e.Key) && !yield(e.Key) {
				return
			}
		}
	}
}

// walk goes through the pending records of a segment beside keys that ascend, and may
// do so again.
type walk struct {
	b       *pebble.Batch
	it      *pebble.Iterator // nil: the store is not looked into
	begun   bool             // it has a place
	valid   bool             // which has a record
	blindly bool             // nothing has to be compared
	exact   bool             // what cannot be compared stays
	seen    int              // keys of this walk
	ranges  int              // staged so far
	apart   int              // times that other records were passed over
	pending []byte           // the record's key of the key in hand
	run     run
}

// run is the matching records that lie side by side.
type run struct {
	records []byte // one after the other
	ends    []int  // where they end
}

// open leaves a walk without a store that cannot be read.
func (w *walk) open(db *pebble.DB) {
	lower, upper := bounds(bytes.Clone(w.pending))
	if it, err := db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper}); err == nil {
		w.it = it
	}
}

func (w *walk) close() {
	if w.it != nil {
		_ = w.it.Close()
		w.it = nil
	}
}

// again ends one walk.
func (w *walk) again() {
	w.endRun()
	w.begun, w.blindly, w.seen, w.apart = false, false, 0, 0
}

// scattered: most keys do not lie side by side, and it is cheaper not to look for them.
func (w *walk) scattered() bool { return w.blindly && w.seen >= 512 && w.apart > w.seen/2 }

// remove stages the removal of a key's record, where there is one, and reports false
// where its version is not meant. What the store cannot read is removed unseen, unless
// the walk is exact: it was accepted by who removes it.
func (w *walk) remove(key audience.Key, meant func(journal.Version) bool) bool {
	w.pending = journal.AppendKey(w.pending[:headLength], key)
	if w.it == nil || w.scattered() || !w.seek() {
		w.endRun()
		if !w.exact {
			del(w.b, w.pending)
		}
		return !w.exact
	}
	w.seen++
	if !w.valid || !bytes.Equal(w.it.Key(), w.pending) {
		return true
	}
	value, err := w.it.ValueAndErr()
	if err == nil {
		if _, version, bad := decodePending(value); bad == nil && !meant(version) {
			w.endRun()
			return false
		}
	}
	w.run.records = append(w.run.records, w.pending...)
	w.run.ends = append(w.run.ends, len(w.run.records))
	w.valid = w.it.Next()
	return true
}

// nearby is how many records are stepped over before one is sought.
const nearby = 8

// seek goes to the key's record or, where there is none, behind its place. Where that
// passes over other records, the run ends. It reports false where the store cannot be
// read; then nothing is sought any more, as each attempt takes as long as a good one.
func (w *walk) seek() bool {
	for step := 0; w.valid && step < nearby && bytes.Compare(w.it.Key(), w.pending) < 0; step++ {
		w.endRun()
		w.apart++
		w.valid = w.it.Next()
	}
	if !w.begun || w.valid && bytes.Compare(w.it.Key(), w.pending) < 0 {
		w.endRun()
		w.apart++
		w.begun, w.valid = true, w.it.SeekGE(w.pending)
	}
	if w.it.Error() == nil {
		return true
	}
	w.close()
	return false
}

// endRun stages the removal of the run.
func (w *walk) endRun() {
	at, n := 0, len(w.run.ends)
	if n >= runLength {
		first, last := w.run.records[:w.run.ends[0]], w.run.records[w.run.ends[n-2]:]
		_ = w.b.DeleteRange(first, append(last, 0), nil)
		w.ranges++
	} else {
		for _, end := range w.run.ends {
			del(w.b, w.run.records[at:end])
			at = end
		}
	}
	w.run.records, w.run.ends = w.run.records[:0], w.run.ends[:0]
}

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
