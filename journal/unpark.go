package journal

import (
	"iter"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
)

// stepKeys is the most keys that one step of a long operation handles.
const stepKeys = 10_000

// Unpark takes keys out of the parked list: to be tried again, or to be given up.
type Unpark struct {
	Segment audience.Segment
	Keys    iter.Seq[audience.Key] // nil: all parked keys; read before Unpark returns
	Discard bool                   // delete them; else they become pending again with their verb, unless something newer is pending
	Done    func(n int, err error) // called once with the number of parked records removed; must not wait. May be nil
}

// Unpark never waits. After an error, or a crash, part of the keys may be done;
// asking again does the rest.
func (j *Journal) Unpark(u Unpark) {
	work := &unparking{j: j, id: idOf(u.Segment), discard: u.Discard}
	work.step = work.stepAll
	if u.Keys != nil {
		work.keys, work.step = slices.Collect(u.Keys), work.stepListed
	}
	j.submit(operation{
		tenants: tenantOnly(u.Segment.Tenant),
		step:    func(b *pebble.Batch) (bool, error) { return work.step(b) },
		done: func(err error) {
			if u.Done != nil {
				u.Done(work.n, err)
			}
		},
	})
}

// unparking is an Unpark under way.
type unparking struct {
	j       *Journal
	id      segmentID
	discard bool
	keys    []audience.Key // still to do, by stepListed
	after   Cursor         // where stepAll goes on
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
		u.after = Cursor{after: string(encoded)}
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
		encoded := appendKey(nil, key)
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
		set(b, pending, []byte{byte(record.Verb)})
	}
	return err
}

func has(from pebble.Reader, key []byte) (bool, error) {
	_, closer, err := from.Get(key)
	if err == pebble.ErrNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, closer.Close()
}
