package journal

import (
	"encoding/binary"
	"errors"

	"audiences/audience"
)

// The order of keys, which all pages and cursors follow, is the order of their
// encodings as bytes. An encoded key is 'n' and the integer (8 bytes, big-endian,
// sign bit flipped, so that the order of the bytes is the order of the numbers), or
// 's' and the text: numbers by value, then texts by their bytes.
const (
	keyNumeric = 'n'
	keyText    = 's'
)

// ErrBadKey is the error of DecodeKey. It does not quote the key (I7).
var ErrBadKey = errors.New("key record is damaged")

// AppendKey appends the encoded key.
func AppendKey(to []byte, key audience.Key) []byte {
	if n, ok := key.Numeric(); ok {
		return binary.BigEndian.AppendUint64(append(to, keyNumeric), uint64(n)^(1<<63))
	}
	return append(append(to, keyText), key.Text()...)
}

// DecodeKey is the inverse of AppendKey. A text that should have been a number is
// refused: one key with two encodings would have two verbs.
func DecodeKey(encoded []byte) (audience.Key, error) {
	switch {
	case len(encoded) == 9 && encoded[0] == keyNumeric:
		return audience.NumericKey(int64(binary.BigEndian.Uint64(encoded[1:]) ^ (1 << 63))), nil
	case len(encoded) > 1 && encoded[0] == keyText:
		key, err := audience.ParseKey(string(encoded[1:]))
		if _, numeric := key.Numeric(); err == nil && !numeric {
			return key, nil
		}
	}
	return audience.Key{}, ErrBadKey
}
