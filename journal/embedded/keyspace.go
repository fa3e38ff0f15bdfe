package embedded

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"audiences/audience"
	"audiences/journal"
)

// The keyspace. A segment is known by a hash of its descriptor, so that its
// pending keys lie side by side whatever the length of its names. The
// letters and encodings are the on-disk format: changing one means a new
// formatVersion.
//
//	't' tenant id (16 bytes)      tenant record: the apiToken, encrypted
//	'T' tenant id                 TenantState as JSON; present only when not zero
//	'P' tenant id                 empty; present when Split took keys of the tenant once
//	's' segment id (16 bytes)     descriptor
//	'S' segment id                SegmentState as JSON; present only when not zero
//	'k' segment id, encoded key   pending key: its verb (one byte), and its version as a uvarint; none: 0
//	'p' segment id, encoded key   parked key: parkedRecord as JSON
//	'v' node (4 bytes)            uvarint: the node has given no version with a counter beyond it
//	'W' second since 1970 (8 b.)  uvarint: the first version that was written in that second
//	'e' number (8 bytes)          an event, as the caller wrote it; earlier programs leave it alone
//	'w' minute since 1970 (8 b.)  the same of a minute; written by earlier programs, read and thinned
//
// Receipts have four more letters, see receipts. A program that knows nothing of them
// leaves them alone, and they are no part of the promise: formatVersion is the same.
//
// "The last verb wins" (I2) is an overwrite of the 'k' record.
const (
	prefixTenant       = 't'
	prefixTenantState  = 'T'
	prefixProven       = 'P'
	prefixDescriptor   = 's'
	prefixSegmentState = 'S'
	prefixPending      = 'k'
	prefixParked       = 'p'
	prefixReserve      = 'v'
	prefixSecond       = 'W'
	prefixMinute       = 'w'
	prefixEvent        = 'e'
)

// idLength is the length of a segment id and of a tenant id; headLength that of
// a record's key up to the encoded key.
const (
	idLength   = 16
	headLength = 1 + idLength
)

// segmentID is the first 16 bytes of SHA-256 over the descriptor.
type segmentID [idLength]byte

func idOf(segment audience.Segment) segmentID { return hashDescriptor(encodeDescriptor(segment)) }

func hashDescriptor(descriptor []byte) segmentID {
	sum := sha256.Sum256(descriptor)
	return segmentID(sum[:idLength])
}

// next is the id after this one; ok is false after the last.
func (id segmentID) next() (_ segmentID, ok bool) {
	for i := idLength - 1; i >= 0; i-- {
		id[i]++
		if id[i] != 0 {
			return id, true
		}
	}
	return id, false
}

// encodeDescriptor writes the tenant id and the four names, each with its length
// before it, so that no two segments have the same bytes.
func encodeDescriptor(segment audience.Segment) []byte {
	out := append(make([]byte, 0, 128), segment.Tenant[:]...)
	for _, field := range []string{segment.Workspace, segment.Environment, segment.TrafficType, segment.Name} {
		out = binary.AppendUvarint(out, uint64(len(field)))
		out = append(out, field...)
	}
	return out
}

var errBadDescriptor = errors.New("segment record is damaged")

// decodeDescriptor refuses a descriptor that is not the one id was made from.
func decodeDescriptor(id segmentID, value []byte) (audience.Segment, error) {
	if len(value) < idLength || hashDescriptor(value) != id {
		return audience.Segment{}, errBadDescriptor
	}
	segment := audience.Segment{Tenant: audience.TenantID(value[:idLength])}
	rest := value[idLength:]
	for _, field := range []*string{&segment.Workspace, &segment.Environment, &segment.TrafficType, &segment.Name} {
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > uint64(len(rest)-n) {
			return audience.Segment{}, errBadDescriptor
		}
		*field, rest = string(rest[n:n+int(length)]), rest[n+int(length):]
	}
	if len(rest) > 0 {
		return audience.Segment{}, errBadDescriptor
	}
	return segment, nil
}

// head is the prefix of a segment's or a tenant's records under one letter.
func head[ID ~[idLength]byte](prefix byte, id ID) []byte {
	return append(append(make([]byte, 0, 32), prefix), id[:]...)
}

// bounds are the limits of all records that begin with prefix. The last byte of
// prefix is counted up, with a carry past 0xff.
func bounds(prefix []byte) (lower, upper []byte) {
	upper = bytes.Clone(prefix)
	for i := len(upper) - 1; i >= 0; i-- {
		upper[i]++
		if upper[i] != 0 {
			return prefix, upper[:i+1]
		}
	}
	return prefix, nil
}

// parkedRecord is the value of a 'p' record.
type parkedRecord struct {
	Verb audience.Verb `json:"verb"`
	journal.Refusal
}

var errBadRecord = errors.New("record is damaged")

// encodeJSON is for states and parked records, which cannot fail to marshal once
// their times are in UTC: a year outside 0..9999 or a zone with seconds is the only
// thing that json refuses in them.
func encodeJSON(record any) []byte {
	out, err := json.Marshal(record)
	if err != nil {
		panic(fmt.Sprintf("journal: encode %T: %v", record, err))
	}
	return out
}

// decodeJSON does not wrap the cause: it could quote a parked message (I7).
func decodeJSON(value []byte, into any) error {
	if json.Unmarshal(value, into) != nil {
		return errBadRecord
	}
	return nil
}

func encodePending(verb audience.Verb, version journal.Version) []byte {
	return binary.AppendUvarint(append(make([]byte, 0, 8), byte(verb)), uint64(version))
}

// decodePending also reads what format 1 had: a verb alone.
func decodePending(value []byte) (verb audience.Verb, version journal.Version, err error) {
	if len(value) == 0 {
		return 0, 0, journal.ErrBadKey
	}
	verb, length := audience.Verb(value[0]), 0
	if len(value) > 1 {
		var v uint64
		v, length = binary.Uvarint(value[1:])
		version = journal.Version(v)
	}
	if verb != audience.Add && verb != audience.Delete || 1+length != len(value) {
		return 0, 0, journal.ErrBadKey
	}
	return verb, version, nil
}

func decodeParked(value []byte) (parkedRecord, error) {
	var record parkedRecord
	if err := decodeJSON(value, &record); err != nil {
		return parkedRecord{}, err
	}
	if record.Verb == 0 {
		return parkedRecord{}, errBadRecord
	}
	return record, nil
}
