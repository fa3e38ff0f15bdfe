package journal

import (
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
)

// Listed is one described segment.
type Listed struct {
	Segment  audience.Segment
	Pending  bool // it has pending keys
	Keys     int  // how many, but they are not counted to the end
	MoreKeys bool // there may be more of them than that
	Parked   bool // it has parked keys
	State    SegmentState
}

// Segments lists all described segments as they are at the call's begin, in no
// order that means anything; it waits for the disk. An item with an error stands
// for records that could not be read; the others go on. It asks the store once
// per segment, however many keys that has. Do not call Close from the loop.
func (j *Journal) Segments() iter.Seq2[Listed, error] {
	return func(yield func(Listed, error) bool) {
		snapshot, release := j.snapshot()
		if snapshot == nil {
			yield(Listed{}, ErrClosed)
			return
		}
		defer release()
		list := listing{from: snapshot, yield: yield}
		list.run()
	}
}

// snapshot keeps Close out until release.
func (j *Journal) snapshot() (s *pebble.Snapshot, release func()) {
	j.listing.RLock()
	if j.closed {
		j.listing.RUnlock()
		return nil, nil
	}
	s = j.db.NewSnapshot()
	return s, func() {
		_ = s.Close()
		j.listing.RUnlock()
	}
}

// listing is one run of Segments.
type listing struct {
	from            *pebble.Snapshot
	yield           func(Listed, error) bool
	pending, parked *distinct
}

func (l *listing) run() {
	l.pending, l.parked = newDistinct(l.from, prefixPending), newDistinct(l.from, prefixParked)
	defer l.pending.close()
	defer l.parked.close()
	for item, err := range records(l.from, prefixDescriptor) {
		if err != nil {
			if !l.yield(Listed{}, fmt.Errorf("read segments: %w", err)) {
				return
			}
			continue
		}
		if !l.yield(l.one(segmentID(item.id), item.value)) {
			return
		}
	}
	l.pending.rest()
	l.parked.rest()
	if orphans := max(l.pending.unknown, l.parked.unknown); orphans > 0 {
		l.yield(Listed{}, fmt.Errorf("read segments: the keys of %d segments have no readable segment record and are left alone", orphans))
		return
	}
	for _, d := range []*distinct{l.pending, l.parked} {
		if d.err != nil && !l.yield(Listed{}, fmt.Errorf("read segments: %w", d.err)) {
			return
		}
	}
}

func (l *listing) one(id segmentID, descriptor []byte) (listed Listed, err error) {
	listed.Segment, err = decodeDescriptor(id, descriptor)
	// Both are asked in any case: they also count what no record describes.
	listed.Keys, listed.MoreKeys = l.pending.count(id)
	listed.Pending, listed.Parked = listed.Keys > 0 || listed.MoreKeys, l.parked.has(id)
	if err != nil {
		return Listed{}, err
	}
	if err := get(l.from, head(prefixSegmentState, id), &listed.State); err != nil {
		return listed, fmt.Errorf("read state of a segment: %w", err)
	}
	return listed, nil
}

// distinct walks over the segment ids that have records under one prefix, with
// one seek per id. The ids asked for have to ascend.
type distinct struct {
	prefix  byte
	it      *pebble.Iterator
	at      segmentID // the id at the iterator's place
	valid   bool
	unknown int   // ids that were passed without being asked for
	err     error // why it ended early: from there on every id counts as having records
}

func newDistinct(from *pebble.Snapshot, prefix byte) *distinct {
	d := &distinct{prefix: prefix}
	lower, upper := bounds([]byte{prefix})
	if d.it, d.err = from.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper}); d.err == nil {
		d.seek(segmentID{})
	}
	return d
}

func (d *distinct) seek(id segmentID) { d.land(d.it.SeekGE(head(d.prefix, id))) }

func (d *distinct) land(found bool) {
	d.valid = found && len(d.it.Key()) >= headLength
	if d.valid {
		d.at = segmentID(d.it.Key()[1:headLength])
	} else if err := d.it.Error(); err != nil {
		d.err = err
	}
}

func (d *distinct) pass() {
	if next, ok := d.at.next(); ok {
		d.seek(next)
	} else {
		d.valid = false
	}
}

// has reports whether id has records. Where the store cannot tell, it says yes:
// a Load finds out.
func (d *distinct) has(id segmentID) bool {
	for d.valid && string(d.at[:]) < string(id[:]) {
		d.unknown++
		d.pass()
	}
	if d.valid && d.at == id {
		d.pass()
		return true
	}
	return d.err != nil
}

// fewKeys is how many keys of a segment a listing counts: one step in the store for
// each, which is less than the seek that passes over the others.
const fewKeys = 8

// count is has that also counts the records, unless there are many.
func (d *distinct) count(id segmentID) (n int, more bool) {
	for d.valid && string(d.at[:]) < string(id[:]) {
		d.unknown++
		d.pass()
	}
	for d.valid && d.at == id {
		if n == fewKeys {
			d.pass()
			return n, true
		}
		n++
		d.step()
	}
	return n, d.err != nil
}

// step goes to the next record.
func (d *distinct) step() { d.land(d.it.Next()) }

// rest counts what comes after the last id asked for.
func (d *distinct) rest() {
	for d.valid {
		d.unknown++
		d.pass()
	}
}

func (d *distinct) close() {
	if d.it != nil {
		_ = d.it.Close()
	}
}
