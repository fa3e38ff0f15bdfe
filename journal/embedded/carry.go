package embedded

import (
	"time"

	"github.com/cockroachdb/pebble/v2"

	"audiences/journal"
)

// carryPause stages that the segment of `to` is paused as that of `from` is, unless it is
// paused itself. It belongs to the batch with the first keys that are moved: an operator
// holds them, so wherever a crash ends the move, nobody may find them at a segment that is
// not paused. That Split refuses the one segment says nothing of the other, which has its
// own record of that.
func (m *moving) carryPause(b *pebble.Batch, from, to segmentID) error {
	var held, own journal.SegmentState
	switch err := get(m.db, head(prefixSegmentState, from), &held); {
	case err == errBadRecord: // it may have been a pause: somebody has to look
		held = journal.SegmentState{Paused: true, PausedSince: time.Now().UTC()}
	case err != nil:
		return err
	}
	if !held.PausedAt(time.Now()) {
		return nil
	}
	key := head(prefixSegmentState, to)
	if err := get(m.db, key, &own); err != nil && err != errBadRecord {
		return err
	}
	if own.PausedAt(time.Now()) {
		return nil
	}
	held.Parked = own.Parked
	replaced(m.tally, m.db, key, m.tally.changes.segment)
	m.tally.changes.segment(held, +1)
	set(b, key, encodeJSON(held))
	return nil
}
