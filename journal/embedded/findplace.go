package embedded

import (
	"bytes"
	"encoding/base64"
	"fmt"

	"audiences/journal"
)

// The place of a search is the key of the record that it has looked at last.

// parsePlace reads what cursor wrote; an empty one is nil.
func parsePlace(cursor journal.FindCursor) (place []byte, known bool, err error) {
	if cursor == "" {
		return nil, false, nil
	}
	place, err = base64.RawURLEncoding.DecodeString(string(cursor))
	if last := len(place) - 1; err == nil && last >= 0 {
		place, known = place[:last], place[last] == 1
	}
	waiting := err == nil && len(place) == headLength && place[0] == prefixDescriptor
	delivered := err == nil && len(place) == receiptKeyLength && place[0] == prefixReceipt
	if !waiting && !delivered {
		return nil, false, fmt.Errorf("find key: %w", journal.ErrBadCursor)
	}
	return place, known, nil
}

// cursor is the place of the search, and in a last byte whether the segment is known.
func (s *search) cursor() journal.FindCursor {
	known := byte(0)
	if s.found.Known {
		known = 1
	}
	return journal.FindCursor(base64.RawURLEncoding.EncodeToString(append(bytes.Clone(s.place), known)))
}

// enter moves the place in front of a segment's receipts in a bucket, which are read
// backwards, unless it is among them.
func (s *search) enter(receipts []byte) {
	if !bytes.HasPrefix(s.place, receipts) {
		s.place = append(bytes.Clone(receipts), bytes.Repeat([]byte{0xff}, receiptKeyLength-receiptPrefixLength)...)
	}
}

// receipt is the place, where it is one among the receipts.
func (s *search) receipt() []byte {
	if len(s.place) != receiptKeyLength {
		return nil
	}
	return s.place
}
