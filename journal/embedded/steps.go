package embedded

import (
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
	"audiences/journal"
)

// stepKeys is the most keys that one step of a long operation handles.
const stepKeys = 10_000

// Unpark never waits. After an error, or a crash, part of the keys may be done;
// asking again does the rest.
func (j *Journal) Unpark(u journal.Unpark) {
	work := &unparking{j: j, version: j.versions.give(), id: idOf(u.Segment), discard: u.Discard}
	work.step = work.stepAll
	if u.Keys != nil {
		work.keys, work.step = slices.Collect(u.Keys), work.stepListed
	}
	j.submit(operation{
		tenants: tenantOnly(u.Segment.Tenant),
		step:    countedStep(&work.n, work.step),
		done: func(err error) {
			if u.Done != nil {
				u.Done(work.n, err)
			}
		},
	})
}

// countedStep is a step that counts what it does: nothing, where it fails and is not written.
func countedStep(n *int, step func(*pebble.Batch) (more bool, err error)) func(*pebble.Batch) (bool, error) {
	return func(b *pebble.Batch) (bool, error) {
		before := *n
		more, err := step(b)
		if err != nil {
			*n = before
		}
		return more, err
	}
}

// unparking is an Unpark under way.
type unparking struct {
	j       *Journal
	version journal.Version // of what becomes pending
	id      segmentID
	discard bool
	keys    []audience.Key // still to do, by stepListed
	after   journal.Cursor // where stepAll goes on
	n       int
	step    func(*pebble.Batch) (more bool, err error)
}

func (u *unparking) stepAll(b *pebble.Batch) (more bool, err error) {
	left := stepKeys
	err = scan(u.j.db, head(prefixParked, u.id), u.after, func(encoded, value []byte) (bool, error) {
		if left == 0 {
			more = true
			return false, nil
		}
		left--
		u.after = journal.CursorAfter(encoded)
		return true, u.move(b, encoded, value)
	})
	return more, err
}

func (u *unparking) stepListed(b *pebble.Batch) (more bool, err error) {
	batch := u.keys[:min(stepKeys, len(u.keys))]
	u.keys = u.keys[len(batch):]
	seen := make(map[audience.Key]bool, len(batch))
	for _, key := range batch {
		if seen[key] {
			continue
		}
		seen[key] = true
		encoded := journal.AppendKey(nil, key)
		value, closer, err := u.j.db.Get(append(head(prefixParked, u.id), encoded...))
		if err == pebble.ErrNotFound {
			continue
		}
		if err == nil {
			err = u.move(b, encoded, value)
			_ = closer.Close()
		}
		if err != nil {
			return false, err
		}
	}
	return len(u.keys) > 0, nil
}

// move stages the removal of one parked record.
func (u *unparking) move(b *pebble.Batch, encoded, value []byte) error {
	u.n++
	u.j.tally.changes.key(value, -1)
	del(b, append(head(prefixParked, u.id), encoded...))
	if u.discard {
		return nil
	}
	record, err := decodeParked(value)
	if err != nil {
		return err
	}
	pending := append(head(prefixPending, u.id), encoded...)
	newer, err := has(u.j.db, pending)
	if err == nil && !newer {
		u.j.versions.stamp(b, u.version)
		u.j.newest.wrote(u.id, u.version)
		set(b, pending, encodePending(record.Verb, u.version))
	}
	return err
}

// MoveTenant hands the keys of one tenant to another: a customer's new token
// takes over what waits under the old one (I9: the operator decides, never the
// relay). Pending and parked keys of every segment become pending for the same
// segment of `to`, unless `to` has the key pending or parked, which is newer.
// A segment that is paused stays so: with the first of its keys the segment of `to`
// is paused, unless it is paused itself. The segments of `from` are then gone, with
// their states; the tenant itself goes at the next Open.
//
// done is called once with the segments of `to` that exist now and the number of
// keys handed over; it must not wait. After an error, or a crash, part may be
// done: moving again does the rest, no key is lost or doubled in between.
func (j *Journal) MoveTenant(from, to audience.TenantID, done func(segments []audience.Segment, keys int, err error)) {
	work := &moving{j: j, db: j.db, tally: j.tally, version: j.versions.give(), from: from, to: to}
	j.submit(operation{
		tenants: [2]audience.TenantID{from, to},
		step:    countedStep(&work.keys, work.step),
		done:    func(err error) { done(work.moved, work.keys, err) },
	})
}

// moving is a MoveTenant under way.
type moving struct {
	j        *Journal
	db       *pebble.DB
	tally    *tally
	version  journal.Version // of what is moved
	from, to audience.TenantID
	listed   bool
	segments []audience.Segment // of from, still to do
	moved    []audience.Segment
	keys     int
}

// step moves up to stepKeys keys of the first segment that is left. Keys that were
// moved are deleted in the same batch, so a step begins with what is there.
func (m *moving) step(b *pebble.Batch) (more bool, err error) {
	if m.from == m.to {
		return false, nil
	}
	if !m.listed {
		m.listed = true
		return true, m.list()
	}
	if len(m.segments) == 0 {
		return false, nil
	}
	segment := m.segments[0]
	target := segment
	target.Tenant = m.to
	from, to := idOf(segment), idOf(target)
	set(b, head(prefixDescriptor, to), encodeDescriptor(target))
	if err := m.carryPause(b, from, to); err != nil {
		return false, err
	}
	for _, prefix := range []byte{prefixPending, prefixParked} {
		if n, err := m.moveKeys(b, prefix, from, to); err != nil || n > 0 {
			return true, err
		}
	}
	del(b, head(prefixDescriptor, from))
	state := head(prefixSegmentState, from)
	replaced(m.tally, m.db, state, m.tally.changes.segment)
	del(b, state)
	m.segments = m.segments[1:]
	m.moved = append(m.moved, target)
	return true, nil
}

func (m *moving) list() error {
	return scan(m.db, []byte{prefixDescriptor}, journal.Cursor{}, func(id, value []byte) (bool, error) {
		segment, err := decodeDescriptor(segmentID(id), value)
		if err == nil && segment.Tenant == m.from {
			m.segments = append(m.segments, segment)
		}
		return true, nil // a damaged record is reported by Segments
	})
}

// moveKeys stages up to stepKeys records and returns how many it met. Pending ones
// are done before parked ones, so that of a key with both the pending one, which
// is newer, is found at the target by then.
func (m *moving) moveKeys(b *pebble.Batch, prefix byte, from, to segmentID) (n int, err error) {
	err = scan(m.db, head(prefix, from), journal.Cursor{}, func(encoded, value []byte) (bool, error) {
		verb, _, err := decodePending(value)
		if prefix == prefixParked {
			var record parkedRecord
			record, err = decodeParked(value)
			verb = record.Verb
		}
		if err != nil {
			return false, err
		}
		target := append(head(prefixPending, to), encoded...)
		pending, err := has(m.db, target)
		if err != nil {
			return false, err
		}
		parked, err := has(m.db, append(head(prefixParked, to), encoded...))
		if err != nil {
			return false, err
		}
		if !pending && !parked {
			m.j.versions.stamp(b, m.version)
			m.j.newest.wrote(to, m.version)
			set(b, target, encodePending(verb, m.version))
			m.keys++
		}
		del(b, append(head(prefix, from), encoded...))
		if prefix == prefixParked {
			m.tally.changes.key(value, -1)
		}
		n++
		return n < stepKeys, nil
	})
	return n, err
}
