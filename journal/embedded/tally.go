package embedded

import (
	"bytes"
	"iter"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"

	"audiences/audience"
	"audiences/journal"
)

// tally knows how many keys and segments are parked, by reason, and how much is
// paused, so that an operator sees it after a restart too, when segments with
// nothing but parked keys have no actor.
//
// It is a sum: what a scan of the store found as it was at Open, and every change
// since. The committer writes down each change beside the record that makes it,
// and the change counts once the record is written. So the scan may take its time,
// and the sum is exact from its end on.
type tally struct {
	reasons []string // that have a series from the start

	changes sums // staged in the committer's batch; belongs to the committer

	mu      sync.Mutex
	sums    sums
	missing bool // the scan is not at its end, or something could not be read
}

// sums are numbers of records; as changes they may be negative.
type sums struct {
	keys     map[string]int    // parked keys, by reason
	segments map[string]int    // parked segments, by reason
	paused   map[time.Time]int // paused segments, by the pause's end; the zero time: without end
	tenants  map[time.Time]int // paused tenants, in the same way
}

func newSums() sums {
	return sums{map[string]int{}, map[string]int{}, map[time.Time]int{}, map[time.Time]int{}}
}

func (s sums) add(other sums) {
	addTo(s.keys, other.keys)
	addTo(s.segments, other.segments)
	addTo(s.paused, other.paused)
	addTo(s.tenants, other.tenants)
}

func addTo[K comparable](sum, other map[K]int) {
	for k, n := range other {
		if sum[k] += n; sum[k] == 0 {
			delete(sum, k)
		}
	}
}

func (s sums) clear() {
	clear(s.keys)
	clear(s.segments)
	clear(s.paused)
	clear(s.tenants)
}

func (s sums) segment(state journal.SegmentState, n int) {
	if state.Parked != nil {
		s.segments[state.Parked.Reason] += n
	}
	if state.Paused {
		s.paused[state.PausedUntil] += n
	}
}

func (s sums) tenant(state journal.TenantState, n int) {
	if state.Paused {
		s.tenants[state.PausedUntil] += n
	}
}

// key counts one parked record. One that cannot be read is parked all the same.
func (s sums) key(value []byte, n int) { s.keys[reasonOf(value)] += n }

// unreadable stands for the reason of a record that is damaged.
const unreadable = ""

func reasonOf(value []byte) string {
	record, err := decodeParked(value)
	if err != nil {
		return unreadable
	}
	return record.Reason
}

func newTally(reasons []string, registerer prometheus.Registerer) *tally {
	t := &tally{reasons: reasons, changes: newSums(), sums: newSums(), missing: true}
	if registerer != nil {
		registerer.MustRegister(t)
	}
	return t
}

// written lets the staged changes count: their records are written.
func (t *tally) written() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sums.add(t.changes)
	t.changes.clear()
}

// dropped forgets the staged changes: their records were not written.
func (t *tally) dropped() { t.changes.clear() }

// lost notes that the store could not tell what a change replaces.
func (t *tally) lost() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.missing = true
}

// supersede stages the removal of the parked records of keys. It looks them up,
// which only segments in the parkedSet have to pay for, and writes nothing for
// keys that have none. Where the store cannot tell it deletes unseen.
func (t *tally) supersede(b *pebble.Batch, db *pebble.DB, id segmentID, keys iter.Seq[audience.Key]) {
	parked := head(prefixParked, id)
	lower, upper := bounds(parked)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		t.lost()
		for key := range keys {
			parked = journal.AppendKey(parked[:headLength], key)
			del(b, parked)
		}
		return
	}
	defer func() { _ = it.Close() }()
	if !it.First() && it.Error() == nil {
		return
	}
	unreadable := false // once is enough: each attempt takes as long as a good one
	for key := range keys {
		parked = journal.AppendKey(parked[:headLength], key)
		found := !unreadable && it.SeekGE(parked) && string(it.Key()) == string(parked)
		value, err := []byte(nil), it.Error()
		if found {
			value, err = it.ValueAndErr()
		}
		switch {
		case unreadable || err != nil:
			unreadable = true
			t.lost()
			del(b, parked)
		case found:
			t.changes.key(value, -1)
			del(b, parked)
		}
	}
}

// park stages a parked record. A segment that may have some already may have one
// for this key.
func (t *tally) park(b *pebble.Batch, db *pebble.DB, known bool, parked, record []byte) {
	if known {
		value, closer, err := db.Get(parked)
		switch err {
		case nil:
			t.changes.key(value, -1)
			_ = closer.Close()
		case pebble.ErrNotFound:
		default:
			t.lost()
		}
	}
	t.changes.key(record, +1)
	set(b, parked, record)
}

// replaced counts a state out that is about to be overwritten or deleted.
func replaced[S any](t *tally, db *pebble.DB, key []byte, count func(S, int)) {
	var old S
	switch err := get(db, key, &old); err {
	case nil:
		count(old, -1)
	case errBadRecord: // never counted
	default:
		t.lost()
	}
}

// scanTally counts what was parked and paused when the journal was opened. It is
// called before anything is written, and comes back at once: a million parked
// records take the counter about a second, and the start does not wait for it.
func (j *Journal) scanTally() {
	snapshot := j.db.NewSnapshot()
	j.counts.put(func() {
		defer func() { _ = snapshot.Close() }()
		s := tallyScan{j: j, from: snapshot, found: newSums()}
		if s.run() {
			j.tally.scanned(s.found, s.errs > 0)
			s.report()
		}
	})
}

// scanned adds what the scan found.
func (t *tally) scanned(found sums, incomplete bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sums.add(found)
	t.missing = incomplete
}

// tallyScan is one run over the store.
type tallyScan struct {
	j      *Journal
	from   *pebble.Snapshot
	found  sums
	within int // segments that have parked keys
	errs   int // places that could not be read
}

// run reports false when the journal was closed meanwhile.
func (s *tallyScan) run() bool { return s.keys() && s.segments() && s.tenants() }

// keys decodes a record only where it differs from the one before: those of one
// refusal are the same.
func (s *tallyScan) keys() bool {
	var last record
	var reason string
	first := true
	return s.each(prefixParked, func(r record) {
		if first || r.id != last.id {
			s.within++
		}
		if first || !bytes.Equal(r.value, last.value) {
			reason = reasonOf(r.value)
		}
		first, last = false, r
		s.found.keys[reason]++
	})
}

func (s *tallyScan) segments() bool {
	return s.each(prefixSegmentState, func(r record) {
		var state journal.SegmentState
		if decodeJSON(r.value, &state) == nil { // else reported by Segments
			s.found.segment(state, +1)
		}
	})
}

func (s *tallyScan) tenants() bool {
	return s.each(prefixTenantState, func(r record) {
		var state journal.TenantState
		if decodeJSON(r.value, &state) == nil { // else reported by Tenants
			s.found.tenant(state, +1)
		}
	})
}

// each walks over the records under a prefix, while no read waits for a reader.
func (s *tallyScan) each(prefix byte, count func(record)) bool {
	n := 0
	for r, err := range records(s.from, prefix) {
		if n%countStep == 0 && !s.j.reads.idle() {
			return false
		}
		n++
		if err != nil {
			s.errs++
			continue
		}
		count(r)
	}
	return true
}
