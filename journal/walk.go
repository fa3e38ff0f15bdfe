package journal

import (
	"bytes"
	"encoding/binary"
	"iter"

	"github.com/cockroachdb/pebble/v2"
)

// record is one record of a kind that has one per segment or tenant.
type record struct {
	id    [idLength]byte
	value []byte
}

// records walks over all records under one prefix. Where a block of the store
// cannot be read it yields one error and goes on behind the block: ids are
// hashes, so a probe at every 65,536th part of their range finds the place.
func records(from pebble.Reader, prefix byte) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		lower, upper := bounds([]byte{prefix})
		it, err := from.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
		if err != nil {
			yield(record{}, err)
			return
		}
		defer func() { _ = it.Close() }()
		place, damaged := [idLength]byte{}, false
		for ok := it.First(); ; ok = it.SeekGE(head(prefix, place)) {
			for ; ok; ok = it.Next() {
				value, err := it.ValueAndErr()
				if err != nil {
					break
				}
				damaged = false
				copy(place[:], it.Key()[1:])
				if !yield(record{id: place, value: bytes.Clone(value)}, nil) {
					return
				}
			}
			err := it.Error()
			if err == nil {
				return
			}
			if !damaged && !yield(record{}, err) {
				return
			}
			damaged = true
			var more bool
			if place, more = nextProbe(place); !more || !pebble.IsCorruptionError(err) {
				return
			}
		}
	}
}

// nextProbe is the next id that ends in 14 zero bytes.
func nextProbe(id [idLength]byte) (next [idLength]byte, ok bool) {
	part := binary.BigEndian.Uint16(id[:])
	if part == 0xffff {
		return id, false
	}
	binary.BigEndian.PutUint16(next[:], part+1)
	return next, true
}
