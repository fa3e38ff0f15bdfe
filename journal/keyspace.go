package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"audiences/audience"
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
//	'k' segment id, encoded key   pending key: one byte, its verb
//	'p' segment id, encoded key   parked key: parkedRecord as JSON
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
)

// An encoded key is 'n' and the integer (8 bytes, big-endian, sign bit flipped, so
// that the order of the bytes is the order of the numbers), or 's' and the text.
const (
	keyNumeric = 'n'
	keyText    = 's'
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

var (
	errBadDescriptor = errors.New("segment record is damaged")
	errBadKey        = errors.New("key record is damaged")
)

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

// appendKey appends the encoded key.
func appendKey(to []byte, key audience.Key) []byte {
	if n, ok := key.Numeric(); ok {
		return binary.BigEndian.AppendUint64(append(to, keyNumeric), uint64(n)^(1<<63))
	}
	return append(append(to, keyText), key.Text()...)
}

// decodeKey is the inverse of appendKey. A text that should have been a number is
// refused: one key with two encodings would have two verbs.
func decodeKey(encoded []byte) (audience.Key, error) {
	switch {
	case len(encoded) == 9 && encoded[0] == keyNumeric:
		return audience.NumericKey(int64(binary.BigEndian.Uint64(encoded[1:]) ^ (1 << 63))), nil
	case len(encoded) > 1 && encoded[0] == keyText:
		key, err := audience.ParseKey(string(encoded[1:]))
		if _, numeric := key.Numeric(); err == nil && !numeric {
			return key, nil
		}
	}
	return audience.Key{}, errBadKey
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
