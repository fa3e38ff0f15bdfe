package embedded

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/ordered"
)

// receipts keep which keys were delivered. Those of one Settle are blocks of up to
// blockKeys keys, written in its batch: there is no settle without its receipt, and no
// receipt without its settle.
//
// Blocks lie in buckets, each of an hour at most, so that the oldest go by range
// deletes, by age and by size. A disk that is nearly full needs its room for settling:
// receipts are given up first, and none are written until changes are taken again.
//
//	'b' bucket (4 bytes)                                   two uvarints: the bucket's bytes, and the second since which it has all receipts that no newer one has
//	'n' bucket, segment id                                 the segment's descriptor
//	'r' bucket, segment id, microsecond (8 b.), seq (4 b.) a block's header
//	'R' the same                                           its packed keys, where they are not in the header
//
// A bucket is known by the second in which it began. A header is the verb, the number of
// the call as a uvarint, and a filter; or, where the verb is marked with keysInHeader,
// the packed keys. A search reads headers, and the keys of a block only where its filter
// says that it may have the wanted one.
//
// The fields belong to the committer, but for what does not change and sequence.
type receipts struct {
	most   int64         // bytes; 0: none are kept
	age    time.Duration // 0: none are kept
	paused func() bool   // the disk is nearly full

	buckets  []bucket // oldest first
	named    []named  // by the first two bytes of the segment's id
	sequence atomic.Uint32
}

const (
	prefixBucket        = 'b'
	prefixReceiptName   = 'n'
	prefixReceipt       = 'r'
	prefixReceiptKeys   = 'R'
	blockKeys           = 4096
	fewInHeader         = 64 // keys that are stored in the header
	keysInHeader        = 0x80
	bucketSeconds       = 3600
	bucketShare         = 16 // no bucket grows beyond this part of what is kept
	receiptPrefixLength = 1 + 4 + idLength
	receiptKeyLength    = receiptPrefixLength + 8 + 4
)

type bucket struct {
	id    uint32 // the second since 1970 in which it began, rounded up; or the id before it plus one
	since uint32 // the second since 1970 from which on no older bucket has receipts
	bytes int64  // of keys and values
}

// named is the segment that was described last among those that share a place, and in
// which bucket: its descriptor needs not be written again there.
type named struct {
	bucket uint32
	id     segmentID
}

// openReceipts begins the first bucket, or goes on with those that are there. Without
// limits it removes all receipts.
func (j *Journal) openReceipts() error {
	r := &receipts{most: j.options.ReceiptsMaxBytes, age: j.options.ReceiptsMaxAge,
		paused: func() bool { return errors.Is(j.Refuse(), journal.ErrDiskFull) }}
	r.sequence.Store(rand.Uint32()) // two starts in one microsecond would give the same
	j.receipts = r
	batch, now := j.db.NewBatch(), time.Now()
	defer func() { _ = batch.Close() }()
	var err error
	if r.buckets, err = readBuckets(j.db); err != nil {
		j.log.Error().Err(err).Msg("damaged journal: which receipts of deliveries it has is not known, and they are dropped")
		r.buckets = nil
		for _, prefix := range []byte{prefixBucket, prefixReceiptName, prefixReceipt, prefixReceiptKeys} {
			deletePrefix(batch, []byte{prefix})
		}
	}
	if r.kept() {
		r.named = make([]named, 1<<16)
		r.current(batch, now)
		r.trim(batch, now)
	} else {
		r.drop(batch, len(r.buckets))
	}
	return j.db.Apply(batch, pebble.NoSync)
}

func (r *receipts) kept() bool { return r.most > 0 && r.age > 0 }

// receipt is what one Settle leaves.
type receipt struct {
	id         segmentID
	descriptor []byte
	at         int64 // microseconds since 1970
	blocks     []block
}

// block is one record, or two.
type block struct {
	sequence     uint32
	header, keys []byte // without keys, these are in the header
}

// receiptOf packs the keys that r removes; nil: there is no receipt.
func (j *Journal) receiptOf(s journal.Settle, r *removal) *receipt {
	if !j.receipts.kept() || s.Receipt.At.IsZero() {
		return nil
	}
	out := &receipt{id: r.id, descriptor: encodeDescriptor(s.Segment), at: s.Receipt.At.UnixMicro()}
	for left := r.all(); left.Len() > 0; {
		var some ordered.Keys
		some, left = left.Cut(blockKeys)
		out.blocks = append(out.blocks, packBlock(s.Receipt, some, j.receipts.sequence.Add(1)))
	}
	return out
}

// all is every key of the removal, in order.
func (r *removal) all() ordered.Keys {
	if len(r.drawn) == 0 {
		return r.keys
	}
	return ordered.Of(func(yield func(audience.Key) bool) {
		for key := range r.keys.All() {
			if !yield(key) {
				return
			}
		}
		for _, e := range r.drawn {
			if !yield(e.Key) {
				return
			}
		}
	})
}

func packBlock(r journal.Receipt, keys ordered.Keys, sequence uint32) block {
	b := block{sequence: sequence, header: binary.AppendUvarint([]byte{byte(r.Verb)}, r.Call)}
	packed := keys.Pack()
	if keys.Len() <= fewInHeader {
		b.header[0] |= keysInHeader
		b.header = append(b.header, packed...)
		return b
	}
	b.header, b.keys = append(b.header, keys.Filter()...), packed
	return b
}

// size is about how many bytes the receipt adds to a batch.
func (r *receipt) size() (n int) {
	if r == nil {
		return 0
	}
	for _, b := range r.blocks {
		n += 2*receiptKeyLength + len(b.header) + len(b.keys)
	}
	return n
}

// stage stages a receipt, and the removal of the oldest.
func (r *receipts) stage(b *pebble.Batch, what *receipt) {
	if what == nil {
		return
	}
	now := time.Now()
	if r.paused() {
		r.giveUp(b, now)
		return
	}
	to := r.current(b, now)
	r.name(b, to, what)
	for _, block := range what.blocks {
		key := receiptKey(to.id, what, block.sequence)
		to.put(b, key, block.header)
		if block.keys != nil {
			key[0] = prefixReceiptKeys
			to.put(b, key, block.keys)
		}
	}
	to.write(b)
	r.trim(b, now)
}

// name keeps the segment's descriptor, which may be forgotten elsewhere.
func (r *receipts) name(b *pebble.Batch, in *bucket, what *receipt) {
	last, now := &r.named[binary.BigEndian.Uint16(what.id[:])], named{in.id, what.id}
	if *last != now {
		in.put(b, append(bucketKey(prefixReceiptName, in.id), what.id[:]...), what.descriptor)
		*last = now
	}
}

// current is the newest bucket: it is begun when there is none, with each hour, and
// when the last one is full.
func (r *receipts) current(b *pebble.Batch, now time.Time) *bucket {
	second := secondAfter(now)
	if len(r.buckets) == 0 {
		return r.begin(b, bucket{id: second, since: second})
	}
	last := &r.buckets[len(r.buckets)-1]
	if second < last.ends() && last.bytes < r.most/bucketShare {
		return last
	}
	return r.begin(b, bucket{id: max(second, last.id+1), since: max(min(second, last.ends()), last.since)})
}

func (r *receipts) begin(b *pebble.Batch, begun bucket) *bucket {
	r.buckets = append(r.buckets, begun)
	begun.write(b)
	return &r.buckets[len(r.buckets)-1]
}

// trim stages the removal of what is too old, and of the oldest while there is too much.
// The newest bucket stays.
func (r *receipts) trim(b *pebble.Batch, now time.Time) {
	total, n := int64(0), 0
	for _, in := range r.buckets {
		total += in.bytes
	}
	for ; n < len(r.buckets)-1; n++ {
		in := r.buckets[n]
		if total <= r.most && time.Unix(int64(in.ends()), 0).After(now.Add(-r.age)) {
			break
		}
		total -= in.bytes
	}
	r.drop(b, n)
}

// drop stages the removal of the n oldest buckets.
func (r *receipts) drop(b *pebble.Batch, n int) {
	for _, in := range r.buckets[:n] {
		del(b, bucketKey(prefixBucket, in.id))
		for _, prefix := range []byte{prefixReceiptName, prefixReceipt, prefixReceiptKeys} {
			deletePrefix(b, bucketKey(prefix, in.id))
		}
	}
	r.buckets = slices.Delete(r.buckets, 0, n)
}

// giveUp stages the removal of all receipts. What is found from now on begins now.
func (r *receipts) giveUp(b *pebble.Batch, now time.Time) {
	last := len(r.buckets) - 1
	if last == 0 && r.buckets[0].bytes == 0 {
		r.buckets[0].since = secondAfter(now)
		r.buckets[0].write(b)
		return
	}
	id := max(secondAfter(now), r.buckets[last].id+1)
	r.drop(b, last+1)
	r.begin(b, bucket{id: id, since: id})
}

// giveUpReceipts has the receipts removed, since the disk is nearly full.
func (j *Journal) giveUpReceipts() {
	if !j.receipts.kept() {
		return
	}
	j.submit(operation{
		done: ignore,
		stage: func(b *pebble.Batch) {
			if j.receipts.paused() {
				j.receipts.giveUp(b, time.Now())
			}
		},
	})
}

// ends is the first second after the bucket.
func (in bucket) ends() uint32 { return (in.id/bucketSeconds + 1) * bucketSeconds }

func (in *bucket) put(b *pebble.Batch, key, value []byte) {
	set(b, key, value)
	in.bytes += int64(len(key) + len(value))
}

func (in bucket) write(b *pebble.Batch) {
	value := binary.AppendUvarint(nil, uint64(in.bytes))
	set(b, bucketKey(prefixBucket, in.id), binary.AppendUvarint(value, uint64(in.since)))
}

// readBuckets is all buckets, the oldest first.
func readBuckets(from pebble.Reader) (buckets []bucket, err error) {
	err = scan(from, []byte{prefixBucket}, journal.Cursor{}, func(id, value []byte) (bool, error) {
		size, n := binary.Uvarint(value)
		if len(id) != 4 || n <= 0 {
			return false, errBadRecord
		}
		since, m := binary.Uvarint(value[n:])
		if n+m != len(value) {
			return false, errBadRecord
		}
		buckets = append(buckets, bucket{binary.BigEndian.Uint32(id), uint32(since), int64(size)})
		return true, nil
	})
	return buckets, err
}

func bucketKey(prefix byte, id uint32) []byte {
	return binary.BigEndian.AppendUint32(append(make([]byte, 0, receiptKeyLength), prefix), id)
}

// receiptKey is the key of a header.
func receiptKey(bucket uint32, what *receipt, sequence uint32) []byte {
	key := append(bucketKey(prefixReceipt, bucket), what.id[:]...)
	key = binary.BigEndian.AppendUint64(key, uint64(what.at))
	return binary.BigEndian.AppendUint32(key, sequence)
}

// secondAfter is the first whole second that is not before t.
func secondAfter(t time.Time) uint32 {
	return uint32(t.Add(time.Second - 1).Unix())
}

func deletePrefix(b *pebble.Batch, prefix []byte) {
	lower, upper := bounds(prefix)
	_ = b.DeleteRange(lower, upper, nil)
}
