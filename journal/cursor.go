package journal

import (
	"encoding/base64"
	"fmt"

	"audiences/audience"
)

// Cursor is a place in the order of a segment's keys: just after one key. The
// zero value is the start. Cursors are comparable with ==. A cursor contains a
// key, so it does not print itself (I7).
type Cursor struct {
	audience.Hidden[Cursor]

	after string
}

// CursorAt is the place just after key.
func CursorAt(key audience.Key) Cursor { return Cursor{after: string(AppendKey(nil, key))} }

// CursorAfter is the place just after the key with this encoding; for engines.
func CursorAfter(encoded []byte) Cursor { return Cursor{after: string(encoded)} }

// Encoded is the encoding of the key that the place is just after; "" at the start.
func (c Cursor) Encoded() string { return c.after }

// Before reports whether c lies before d.
func (c Cursor) Before(d Cursor) bool { return c.after < d.after }

// Text is the cursor in URL-safe letters, for the next page of a listing; it can
// be decoded to a key, so it belongs in no log.
func (c Cursor) Text() string { return base64.RawURLEncoding.EncodeToString([]byte(c.after)) }

// ParseCursor reads what Text wrote.
func ParseCursor(text string) (Cursor, error) {
	after, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return Cursor{}, fmt.Errorf("parse cursor: %w", ErrBadCursor)
	}
	if len(after) > 0 {
		if _, err := DecodeKey(after); err != nil {
			return Cursor{}, fmt.Errorf("parse cursor: %w", ErrBadCursor)
		}
	}
	return Cursor{after: string(after)}, nil
}
