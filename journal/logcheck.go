package journal

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// logCheck looks at the WAL files that the store replays, each before its replay,
// oldest first. Pebble takes a bad chunk for the torn end of the log unless a
// block behind it says that the log had been synced further than that. It notes too
// little there, and nothing in the first log of a store's life, so that one flipped
// byte would drop all that follows it, without a word (I3), and where that is the newer
// verb of a key whose older one is in front of it, the older one is sent (I2).
//
// Here the marks decide. A mark behind a bad record that names that record or a
// later one as durable proves damage: it was written after their fsync. A power
// loss cannot leave that, whatever part of the unsynced end it leaves and in
// whatever order. Where there is no such mark, nothing that came after the bad record
// had begun when it was answered: it is the last group, or was never answered.
type logCheck struct {
	seen bool
	last uint64 // the newest group that was read; of use when seen
}

func (c *logCheck) check(f logFile) error {
	at := 0
	for at < len(f.content) {
		head, end := f.record(at)
		if end == 0 {
			break
		}
		if m, ok := readMark(head); ok {
			// The store closes and syncs a log before it begins the next one.
			if c.seen && m.group > c.last+1 {
				return fmt.Errorf("log %d begins with group %d, the one before ends with group %d: %w", f.number, m.group, c.last, pebble.ErrCorruption)
			}
			c.seen, c.last = true, m.group
		}
		at = end
	}
	for m := range f.marksFrom(at + 1) {
		if !c.seen {
			// The record before this one is in the same log, but how many of its groups
			// are lies in front of it is not known.
			c.seen, c.last = true, max(m.group, 2)-2
		}
		if m.durable > c.last {
			return fmt.Errorf("log %d is damaged at byte %d: %w", f.number, at, pebble.ErrCorruption)
		}
	}
	return nil
}
