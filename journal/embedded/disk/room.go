package disk

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"audiences/journal"
)

// ErrNoRoom ends a compaction that would take the room of the log and of flushes.
// The store gives up what the compaction has written, and tries it again later.
var ErrNoRoom = fmt.Errorf("what is left is kept for the log: %w", syscall.ENOSPC)

// The shares of the disk, in units. A unit is the size of a memtable, and so the
// most that one flush writes; the log takes a tenth more.
//
// Deleting takes room before it gives any: a settle goes into the log, then into
// a new table, and only a compaction gets rid of both it and what it deletes,
// while the tables that it reads and those that it writes lie side by side. So a
// change is taken only while there is room to settle and compact all that is there
// (markUnits and the size of the tables), settles wait while a compaction may need
// what is left, and a compaction stops where the log and one flush would run dry.
const (
	smallestUnit = 1 << 20  // bytes
	unitsInDisk  = 64       // a unit is this part of a disk between those
	floorUnits   = 3        // kept for the log and for flushes: a new log, and the memtables that may wait
	markUnits    = 12       // room for changes ends here: the floor, all logs, and tables of settles until they are compacted
	ballastUnits = 8        // what a start or a settlement gets when all else is used up
	compactUnits = 64       // no compaction reads more than this many units; on a small disk that is all there is
	leastDisk    = 32 << 20 // bytes; in less, log and ballast leave no room for keys
)

// LargestUnit is the unit, in bytes, of a large disk and of one that does not tell its size.
const LargestUnit = 16 << 20

// Room keeps account of what is left of the journal's disk. Looking costs a system
// call, which may hang where the disk does, so it is done once a second and where the
// account says that it matters; in between the files of the store tell what they write.
type Room struct {
	usage func() (vfs.DiskUsage, error)
	unit  int64 // bytes
	least int64 // bytes: what the operator wants to be left

	warning string // what an operator should know of the disk

	free atomic.Int64 // at the last look, less what was written since
	mark atomic.Int64 // changes are refused below it

	tables atomic.Int64 // bytes of tables at the last look, and of those written since
	stuck  atomic.Bool  // compacting did not make the room that it needs itself

	// owed is what the compaction under way may still write, written what it has:
	// that is part of the room that the mark keeps for it.
	owed, written atomic.Int64

	promises promises
	changed  chan struct{} // something was deleted: who waits may look again
	ended    chan struct{} // closed by Close: nobody waits any more
}

// NewRoom looks at the disk for the first time; least is how many bytes of it the operator
// wants to be left. A file system that cannot tell, as one in memory, has no limit. It is an
// error when the disk is too small for a journal, or cannot be asked.
func NewRoom(usage func() (vfs.DiskUsage, error), least int64) (*Room, error) {
	r := &Room{usage: usage, unit: LargestUnit, least: least, changed: make(chan struct{}, 1), ended: make(chan struct{})}
	r.free.Store(math.MaxInt64 / 2)
	now, err := usage()
	switch {
	case errors.Is(err, vfs.ErrUnsupported):
		r.usage = nil
		return r, nil
	case err != nil:
		return nil, fmt.Errorf("read free space of journal's disk: %w", err)
	case now.TotalBytes < leastDisk:
		return nil, fmt.Errorf("journal's disk has %d MiB: it needs %d MiB at least", now.TotalBytes>>20, leastDisk>>20)
	}
	r.unit = unitOf(now)
	r.least, r.warning = leastOf(now, least), diskWarning(now, least)
	return r, r.Look()
}

func unitOf(disk vfs.DiskUsage) int64 {
	return int64(min(max(disk.TotalBytes/unitsInDisk, smallestUnit), LargestUnit))
}

// leastOf is what the operator wants to be left, or a part of the disk where that
// is more than the disk has: no change could ever be taken else.
func leastOf(disk vfs.DiskUsage, wanted int64) int64 {
	if uint64(wanted) < disk.TotalBytes {
		return wanted
	}
	return int64(disk.TotalBytes / 8)
}

// diskWarning is "" where there is nothing to say.
func diskWarning(disk vfs.DiskUsage, wanted int64) string {
	switch least := leastOf(disk, wanted); {
	case least != wanted:
		return fmt.Sprintf("the journal's disk has %d MiB, less than minFreeDiskBytes (%d MiB): %d MiB are kept free instead", disk.TotalBytes>>20, wanted>>20, least>>20)
	case uint64(wanted) > disk.TotalBytes/2:
		return fmt.Sprintf("minFreeDiskBytes (%d MiB) is more than half of the journal's disk (%d MiB)", wanted>>20, disk.TotalBytes>>20)
	}
	return ""
}

// Unit is the size in bytes that the shares of the disk are counted in.
func (r *Room) Unit() int64 { return r.unit }

// Warning is what an operator should know of the disk; "": nothing.
func (r *Room) Warning() string { return r.warning }

// Free is how many bytes are left, by the account.
func (r *Room) Free() int64 { return r.free.Load() }

// Mark is how many bytes have to be left where a change is taken.
func (r *Room) Mark() int64 { return r.mark.Load() }

// Limited reports whether the disk tells how much is left.
func (r *Room) Limited() bool { return r.usage != nil }
func (r *Room) floor() int64  { return floorUnits * r.unit }

// Look asks the disk. One that does not tell is an error and leaves the account as it is.
func (r *Room) Look() error {
	if !r.Limited() {
		return nil
	}
	now, err := r.usage()
	if err != nil {
		return fmt.Errorf("read free space of journal's disk: %w", err)
	}
	r.free.Store(int64(min(now.AvailBytes, math.MaxInt64/2)))
	return nil
}

// SetMark follows the size of the tables, in bytes.
func (r *Room) SetMark(tables int64) {
	r.tables.Store(tables)
	r.mark.Store(max(r.least, markUnits*r.unit+r.toCompact()))
	if r.fitsBeside(0, r.toCompact()) {
		r.stuck.Store(false)
	}
}

// toCompact is the most that the next compaction may write.
func (r *Room) toCompact() int64 { return min(r.tables.Load(), compactUnits*r.unit) }

// ForChanges is how many bytes changes may use down to the mark; negative: too many are used.
func (r *Room) ForChanges() int64 { return r.free.Load() + r.written.Load() - r.mark.Load() }

// Admit takes the room for a change of this many bytes until Release, or for two
// looks at least: an actor that fails may never hand it in. It is journal.ErrDiskFull where
// there is too little.
func (r *Room) Admit(size int64) error {
	if r.Limited() && !r.promises.take(size, r.ForChanges()) {
		return journal.ErrDiskFull
	}
	return nil
}

// Release ends the promise of Admit: the change is written, or never will be.
func (r *Room) Release(size int64) { r.promises.release(size) }

// Age is called at each look, and forgets the promises from before the last one.
func (r *Room) Age() { r.promises.age() }

// Stuck reports whether compacting did not make the room that it needs itself.
func (r *Room) Stuck() bool { return r.stuck.Load() }

// SetStuck keeps what Stuck reports.
func (r *Room) SetStuck(stuck bool) { r.stuck.Store(stuck) }

// Close ends every wait for room.
func (r *Room) Close() { close(r.ended) }

// Await returns when n bytes may be written to the log; false: the journal closes,
// and they may not. relieve is called where there is too little; true: look again.
func (r *Room) Await(n int64, relieve func() bool) bool {
	for {
		if r.fits(n) || r.Look() != nil || r.fits(n) { // one that does not tell limits nothing
			return true
		}
		if relieve() {
			continue
		}
		select {
		case <-r.changed:
		case <-time.After(100 * time.Millisecond): // others use the disk as well
		case <-r.ended:
			return false
		}
	}
}

// fits reports whether n bytes leave the room for a compaction, the one under way or
// the next. Where compacting has not helped, as others have filled the disk, what is
// there goes into settling.
func (r *Room) fits(n int64) bool {
	return r.fitsBeside(n, r.toCompact()) || r.stuck.Load() && r.fitsBeside(n, 0)
}

func (r *Room) fitsBeside(n, compaction int64) bool {
	return r.free.Load()-n >= r.floor()+max(r.owed.Load(), compaction)
}

// Dry reports that there is too little for n bytes even without a compaction.
func (r *Room) Dry(n int64) bool { return r.free.Load()-n < r.floor() }

// Wrote takes note of the bytes that went to the disk.
func (r *Room) Wrote(n int64) { r.free.Add(-n) }

// compact is asked before a compaction writes n bytes.
func (r *Room) compact(n int64) error {
	if r.Dry(n) && r.Look() == nil && r.Dry(n) {
		return ErrNoRoom
	}
	r.written.Add(n)
	r.owed.Store(max(0, r.owed.Load()-n))
	return nil
}

// flush is asked before a flush writes n bytes: it waits until they are there, as
// the store would try without a pause else. When the journal closes, it fails.
func (r *Room) flush(n int64) error {
	for r.free.Load() < n {
		if r.Look() != nil || r.free.Load() >= n {
			break
		}
		select {
		case <-r.changed:
		case <-time.After(100 * time.Millisecond):
		case <-r.ended:
			return ErrNoRoom
		}
	}
	r.tables.Add(n)
	return nil
}

// Compacting notes that a compaction of so many bytes begins; 0: it has ended.
func (r *Room) Compacting(size int64) {
	r.written.Store(0)
	r.owed.Store(size)
	r.Signal()
}

// Signal has those who wait for room look again.
func (r *Room) Signal() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// promises are the bytes of changes that were let in and are not written yet.
type promises struct {
	mu        sync.Mutex
	now, past int64
}

// take is false when there is no room for them beside those taken before.
func (p *promises) take(size, room int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now+p.past+size > room {
		return false
	}
	p.now += size
	return true
}

func (p *promises) release(size int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	past := min(size, p.past)
	p.past -= past
	p.now = max(0, p.now-(size-past))
}

// age forgets the promises that are older than the age before.
func (p *promises) age() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.past, p.now = p.now, 0
}
