package embedded

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/ordered"
)

const (
	findLimit = 100   // sightings of a page where no limit was given
	findLooks = 4_096 // records that are looked at for one page
	findStep  = 64    // records that are looked at before pages of others get their turn
)

// Find sees every write that was handed in before it and none after, however late it
// is carried out. Close does not wait for it. It never waits.
func (j *Journal) Find(f journal.Find) {
	if like := cmp.Or(f.Segment, f.Like); like != (audience.Segment{}) {
		f.Tenant = like.Tenant
	}
	j.submit(operation{
		tenants: tenantOnly(f.Tenant),
		late:    true,
		read:    func(s *pebble.Snapshot) { f.Done(j.find(s, f)) },
		done: func(err error) {
			if err != nil {
				f.Done(journal.Found{Err: err})
			}
		},
	})
}

func (j *Journal) find(from *pebble.Snapshot, f journal.Find) journal.Found {
	place, known, err := parsePlace(f.After)
	if err != nil {
		return journal.Found{Err: err}
	}
	s := search{Find: f, j: j, from: from, place: place, encoded: journal.AppendKey(nil, f.Key), hash: ordered.Hash(f.Key)}
	s.one = f.Segment != (audience.Segment{})
	s.found.Known = known
	s.Limit = cmp.Or(f.Limit, findLimit)
	s.run()
	return s.found
}

// search is one page of a search.
type search struct {
	journal.Find
	j       *Journal
	from    *pebble.Snapshot
	one     bool   // only Segment is looked at
	encoded []byte // the key
	hash    uint64 // the key's, for filters
	place   []byte // the key of the record that was looked at last: 's' or 'r'; nil: none
	looks   int
	found   journal.Found
}

func (s *search) run() {
	buckets, err := readBuckets(s.from)
	s.fail(err)
	if len(buckets) > 0 {
		s.found.Since = time.Unix(int64(buckets[0].since), 0).UTC()
	}
	if (s.place == nil || s.place[0] == prefixDescriptor) && !s.waiting() {
		return
	}
	for i := len(buckets) - 1; i >= 0; i-- {
		if at := s.receipt(); at != nil && buckets[i].id > binary.BigEndian.Uint32(at[1:]) {
			continue // done by an earlier page
		}
		if !s.bucket(buckets[i].id) {
			return
		}
	}
}

// fail keeps the first error; the search goes on behind it.
func (s *search) fail(err error) {
	if s.found.Err == nil {
		s.found.Err = err
	}
}

// look counts one record that is to be looked at. It reports false when the page ends
// before it.
func (s *search) look() bool {
	if s.looks == findLooks || len(s.found.Sightings) >= s.Limit {
		s.found.More, s.found.Next = true, s.cursor()
		return false
	}
	s.looks++
	if s.looks%findStep == 0 && !s.j.reads.idle() {
		s.fail(journal.ErrClosed)
		return false
	}
	return true
}

// waiting looks for the key among what is pending and parked. It reports false when the
// page ended.
func (s *search) waiting() bool {
	if s.one {
		id := idOf(s.Segment)
		name, err := s.get(head(prefixDescriptor, id))
		s.fail(err)
		s.found.Known = s.found.Known || name != nil
		s.fail(s.waitingIn(id, s.Segment))
		return true
	}
	var after journal.Cursor
	if s.place != nil {
		after = journal.CursorAfter(s.place[1:])
	}
	more := true
	err := scan(s.from, []byte{prefixDescriptor}, after, func(id, value []byte) (bool, error) {
		if more = s.look(); !more {
			return false, nil
		}
		s.place = append([]byte{prefixDescriptor}, id...)
		segment, err := decodeName(id, value)
		if err == nil && s.wanted(segment) {
			err = s.waitingIn(segmentID(id), segment)
		}
		s.fail(err)
		return true, nil
	})
	s.fail(err)
	return more
}

func decodeName(id, descriptor []byte) (audience.Segment, error) {
	if len(id) != idLength {
		return audience.Segment{}, errBadDescriptor
	}
	return decodeDescriptor(segmentID(id), descriptor)
}

// wanted reports whether a segment is one to look into.
func (s *search) wanted(segment audience.Segment) bool {
	if s.Like == (audience.Segment{}) {
		return s.Tenant == (audience.TenantID{}) || s.Tenant == segment.Tenant
	}
	like := s.Like
	like.Workspace = cmp.Or(like.Workspace, segment.Workspace)
	like.TrafficType = cmp.Or(like.TrafficType, segment.TrafficType)
	s.found.Known = s.found.Known || like == segment
	return like == segment
}

// waitingIn looks into one segment. What is pending is newer than what is parked.
func (s *search) waitingIn(id segmentID, segment audience.Segment) error {
	value, err := s.get(append(head(prefixPending, id), s.encoded...))
	if err != nil {
		return err
	}
	if value != nil {
		verb, version, err := decodePending(value)
		if err == nil {
			at, _ := s.j.Since(version)
			s.saw(journal.Sighting{Segment: segment, State: journal.Pending, Verb: verb, Version: version, At: utc(at)})
		}
		return err
	}
	if value, err = s.get(append(head(prefixParked, id), s.encoded...)); err != nil || value == nil {
		return err
	}
	record, err := decodeParked(value)
	if err == nil {
		s.saw(journal.Sighting{Segment: segment, State: journal.Parked, Verb: record.Verb, Refusal: record.Refusal, At: record.At})
	}
	return err
}

func (s *search) saw(what journal.Sighting) { s.found.Sightings = append(s.found.Sightings, what) }

// get is a record's value; nil: there is none.
func (s *search) get(key []byte) ([]byte, error) {
	value, closer, err := s.from.Get(key)
	if err == pebble.ErrNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return append([]byte{}, value...), closer.Close()
}

// bucket looks through the receipts of a bucket. It reports false when the page ended.
func (s *search) bucket(bucket uint32) bool {
	if s.one {
		return s.segment(bucket, idOf(s.Segment), s.Segment)
	}
	names := bucketKey(prefixReceiptName, bucket)
	lower, upper := bounds(names)
	if at := s.receipt(); at != nil && binary.BigEndian.Uint32(at[1:]) == bucket {
		lower = append(bytes.Clone(names), at[5:receiptPrefixLength]...) // the segment that it is in
	}
	it, err := s.from.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		s.fail(err)
		return true
	}
	defer func() { s.fail(it.Close()) }() // reports what stopped the iteration
	for ok := it.First(); ok; ok = it.Next() {
		if !s.look() {
			return false
		}
		value, err := it.ValueAndErr()
		if err != nil {
			s.fail(err)
			return true
		}
		id := it.Key()[len(names):]
		segment, err := decodeName(id, value)
		s.fail(err)
		s.enter(append(bucketKey(prefixReceipt, bucket), id...))
		if err == nil && s.wanted(segment) && !s.segment(bucket, segmentID(id), segment) {
			return false
		}
	}
	return true
}

// segment looks through the receipts of a segment in a bucket, the newest first. It
// reports false when the page ended.
func (s *search) segment(bucket uint32, id segmentID, segment audience.Segment) bool {
	lower := append(bucketKey(prefixReceipt, bucket), id[:]...)
	s.enter(lower)
	it, err := s.from.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: bytes.Clone(s.place)})
	if err != nil {
		s.fail(err)
		return true
	}
	defer func() { s.fail(it.Close()) }()
	for ok := it.Last(); ok; ok = it.Prev() {
		if !s.look() {
			return false
		}
		s.place, s.found.Known = append(s.place[:0], it.Key()...), true
		header, err := it.ValueAndErr()
		if err == nil {
			err = s.block(it.Key(), header, segment)
		}
		s.fail(err)
	}
	return true
}

// block looks into one block.
func (s *search) block(key, header []byte, segment audience.Segment) error {
	if len(key) != receiptKeyLength || len(header) == 0 {
		return errBadRecord
	}
	verb := audience.Verb(header[0] &^ keysInHeader)
	call, n := binary.Uvarint(header[1:])
	if n <= 0 || verb != audience.Add && verb != audience.Delete {
		return errBadRecord
	}
	packed := header[1+n:]
	if header[0]&keysInHeader == 0 {
		if !ordered.FilterMayHave(packed, s.hash) {
			return nil
		}
		var err error
		keys := bytes.Clone(key)
		keys[0] = prefixReceiptKeys
		if packed, err = s.get(keys); err != nil {
			return err
		}
	}
	there, err := ordered.PackedHas(packed, s.Key)
	if there {
		at := int64(binary.BigEndian.Uint64(key[receiptPrefixLength:]))
		s.saw(journal.Sighting{Segment: segment, State: journal.Delivered, Verb: verb, At: time.UnixMicro(at).UTC(), Call: call})
	}
	return err
}
