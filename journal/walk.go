package journal

import (
	"bytes"
	"encoding/binary"
	"iter"
	"sort"

	"github.com/cockroachdb/pebble/v2"
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
