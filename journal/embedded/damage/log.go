package damage

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// LogCheck looks at the WAL files that the store replays, each before its replay,
// oldest first. Pebble takes a bad chunk for the torn end of the log unless a
// block behind it says that the log had been synced further than that. Pebble records
// these sync offsets too rarely, and not at all in a store's first log. One flipped byte
// could then silently drop everything after it (I3); if a dropped record held the newer
// verb of a key, the older verb would be sent (I2).
//
// Here the marks decide. A mark behind a bad record that names that record or a
// later one as durable proves damage: it was written after their fsync. A power
// loss cannot leave that, whatever part of the unsynced end it leaves and in
// whatever order. Where there is no such mark, nothing that came after the bad record
// had begun when it was answered: it is the last group, or was never answered.
type LogCheck struct {
	seen bool
	last uint64 // the newest group that was read; of use when seen
}

// Check returns an error that is pebble.ErrCorruption for a log that is damaged.
func (c *LogCheck) Check(f Log) error {
	at := 0
	for at < len(f.Content) {
		head, end := f.Record(at)
		if end == 0 {
			break
		}
		if m, ok := readMark(head); ok {
			// The store closes and syncs a log before it begins the next one.
			if c.seen && m.Group > c.last+1 {
				return fmt.Errorf("log %d begins with group %d, the one before ends with group %d: %w", f.Number, m.Group, c.last, pebble.ErrCorruption)
			}
			c.seen, c.last = true, m.Group
		}
		at = end
	}
	for m := range f.marksFrom(at + 1) {
		if !c.seen {
			// The first group of this log is unknown. The bad record is at most one group
			// before this mark.
			c.seen, c.last = true, max(m.Group, 2)-2
		}
		if m.Durable > c.last {
			return fmt.Errorf("log %d is damaged at byte %d: %w", f.Number, at, pebble.ErrCorruption)
		}
	}
	return nil
}
