package embedded

import (
	"bytes"
	"encoding/binary"
	"iter"
	"sort"

	"github.com/cockroachdb/pebble/v2"

	"audiences/journal"
)

// record is one record of a kind that has one per segment or tenant.
type record struct {
	id    [idLength]byte
	value []byte
}

// records walks over all records under one prefix. Where a block of the store
// cannot be read it yields one error and goes on behind the block.
func records(from pebble.Reader, prefix byte) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		lower, upper := bounds([]byte{prefix})
		it, err := from.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
		if err != nil {
			yield(record{}, err)
			return
		}
		defer func() { _ = it.Close() }()
		var last [idLength]byte
		for ok := it.First(); ; {
			for ; ok; ok = it.Next() {
				value, err := it.ValueAndErr()
				if err != nil {
					break
				}
				copy(last[:], it.Key()[1:])
				if !yield(record{id: last, value: bytes.Clone(value)}, nil) {
					return
				}
			}
			err := it.Error()
			if err == nil || !yield(record{}, err) {
				return
			}
			if last, ok = behindDamage(it, prefix, last); !ok {
				return
			}
			ok = it.SeekGE(head(prefix, last))
		}
	}
}

// behindDamage finds where reading works again, to a 65,536th part of the range of
// ids: they are hashes, so that is a step of less than a block. A try that fails
// is expensive (about 0.1 ms), hence strides that double, and then a bisection.
func behindDamage(it *pebble.Iterator, prefix byte, id [idLength]byte) (next [idLength]byte, ok bool) {
	const parts = 1 << 16
	place := func(part int) (at [idLength]byte) {
		binary.BigEndian.PutUint16(at[:], uint16(part))
		return at
	}
	readable := func(part int) bool {
		return part >= parts || it.SeekGE(head(prefix, place(part))) || it.Error() == nil
	}
	bad := int(binary.BigEndian.Uint16(id[:]))
	good := bad + 1
	for stride := 1; !readable(good); stride *= 2 {
		bad, good = good, min(good+stride, parts)
	}
	part := bad + 1 + sort.Search(good-bad-1, func(i int) bool { return readable(bad + 1 + i) })
	return place(part), part < parts
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

// scan yields the encoded key and the value of every record under prefix that
// lies after the cursor, until each returns false or an error.
func scan(from pebble.Reader, prefix []byte, after journal.Cursor, each func(encoded, value []byte) (bool, error)) error {
	lower, upper := bounds(prefix)
	if after != (journal.Cursor{}) {
		lower = append(append(bytes.Clone(prefix), after.Encoded()...), 0) // the first place after it
	}
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err == nil {
			ok, err = each(it.Key()[len(prefix):], value)
		}
		if err != nil {
			_ = it.Close()
			return err
		}
		if !ok {
			break
		}
	}
	return it.Close() // reports what stopped the iteration, if it was damage
}

// get reads one JSON record; an absent one leaves into as it is.
func get(from pebble.Reader, key []byte, into any) error {
	value, closer, err := from.Get(key)
	if err == pebble.ErrNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	defer closer.Close()
	return decodeJSON(value, into)
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

// hasAny reports whether there is a record under the prefix.
func hasAny(from pebble.Reader, prefix []byte) (found bool, err error) {
	err = scan(from, prefix, journal.Cursor{}, func(_, _ []byte) (bool, error) {
		found = true
		return false, nil
	})
	return found, err
}
