package embedded

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"audiences/journal/embedded/damage"
	"audiences/journal/embedded/disk"
)

// defaultCacheBytes is small: pending keys are read once, when a segment wakes.
const defaultCacheBytes = 8 << 20

const defaultOpenTables = 190

// memTable is the size of a memtable: as large as the disk has room for, or as there
// is memory for.
func (j *Journal) memTable() int64 { return min(j.room.Unit(), j.options.MemTableBytes) }

// storeFormat is pinned, so that a new version of Pebble does not lock an older
// program out by itself. It has the WAL's sync offsets, by which Pebble tells some
// damage to the log from its end; the rest is up to damage.LogCheck.
const storeFormat = pebble.FormatValueSeparation

// storeOptions keep the store small, and quiet where a key could show.
func (j *Journal) storeOptions(mustExist bool) *pebble.Options {
	comparer := *pebble.DefaultComparer
	comparer.FormatKey = func(key []byte) fmt.Formatter { return hiddenKey(key) }
	options := &pebble.Options{
		FS:                          disk.StoreFiles{Files: j.files, Logs: &damage.LogCheck{}, Room: j.room, Home: j.home, Opened: &j.opened, Fail: j.fail},
		Comparer:                    &comparer,
		FormatMajorVersion:          storeFormat,
		ErrorIfNotExists:            mustExist,
		Logger:                      storeLogger{j},
		EventListener:               j.storeEvents(),
		CacheSize:                   j.options.CacheBytes,
		MemTableSize:                uint64(j.memTable()),
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		MemTableStopWritesThreshold: 4,
		// A table that cannot be read must not stop the intake of everybody (I8):
		// compactions out of L0 would fail, L0 grow, and writes stall at this mark.
		L0StopWritesThreshold: 1 << 20,
	}
	if j.room.Unit() < disk.LargestUnit { // a small disk has no room for so many logs
		options.MemTableStopWritesThreshold = 2
	}
	return options
}

func (j *Journal) storeEvents() *pebble.EventListener {
	return &pebble.EventListener{
		CompactionBegin: func(info pebble.CompactionInfo) { j.room.Compacting(inputSize(info)) },
		CompactionEnd: func(info pebble.CompactionInfo) {
			j.compactions.failed.Store(info.Err != nil)
			if errors.Is(info.Err, disk.ErrNoRoom) {
				j.room.SetStuck(true) // the store waits for half a minute
			}
			j.room.Compacting(0)
		},
		FlushEnd: func(info pebble.FlushInfo) { j.flushed(info.Err) },
		BackgroundError: func(err error) {
			if j.quiet.allows() {
				j.log.Error().Err(err).Msg("the journal's store cannot do its housekeeping")
			}
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			if j.quiet.allows() {
				j.log.Error().Str("file", info.Path).Err(info.Details).Msg("a file of the journal's store is damaged")
			}
		},
	}
}

// mostFailedFlushes come in a row before the journal is given up: without flushes the
// next change waits for ever. With what failed waits after each, that is five seconds.
const mostFailedFlushes = 50

func (j *Journal) flushed(err error) {
	switch {
	case err == nil:
		j.failedFlushes.Store(0)
	case j.failedFlushes.Add(1) >= mostFailedFlushes && j.opened.Load():
		j.fail(fmt.Errorf("write journal: flush: %w", err))
	}
}

// inputSize is the most that a compaction may write: it merges and drops.
func inputSize(info pebble.CompactionInfo) (size int64) {
	for _, level := range info.Input {
		for _, table := range level.Tables {
			size += int64(table.Size)
		}
	}
	return size
}

// storeLogger passes on what Pebble says. Pebble does not expect Fatalf to return:
// some of its callers, as the one that cannot begin a new log on a full disk,
// unlock a mutex twice then, and Go ends the process with a stack trace. Hence what
// Options.Fatal asks for.
type storeLogger struct{ j *Journal }

func (l storeLogger) Infof(string, ...any) {}

func (l storeLogger) Errorf(text string, args ...any) {
	if l.j.quiet.allows() {
		l.j.log.Error().Msgf("journal's store: "+text, args...)
	}
}

func (l storeLogger) Fatalf(text string, args ...any) {
	l.j.fail(fmt.Errorf("write journal: "+text, args...))
}

// hiddenKey shows the kind and the segment of a record, not the key (I7).
type hiddenKey []byte

func (k hiddenKey) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, hex.EncodeToString(k[:min(len(k), headLength)]))
}

// quiet lets one line a minute through: what is wrong with a disk repeats itself.
type quiet struct{ last atomic.Pointer[time.Time] }

func (q *quiet) allows() bool {
	now, last := time.Now(), q.last.Load()
	return (last == nil || now.Sub(*last) >= time.Minute) && q.last.CompareAndSwap(last, &now)
}

// compactions gives the store leave for its compactions, one at a time, and for
// none before begin. Without it the store's opening, which flushes what the log
// holds, sets off a compaction and then waits for its end: seconds for every start
// after a kill, while nobody is answered. And what comes next, reading the first
// keys of each segment, would share the processors with it.
//
// The store's own scheduler also looks for work ten times a second. With a limit
// that never changes there is nothing to find: what was refused is waiting when
// begin or Done looks. The clock in a synctest bubble would have to jump over days
// in such steps.
type compactions struct {
	db pebble.DBForCompaction // set once, before any other call

	// grants is held while the store is asked for what waits, which takes the store's
	// lock. TrySchedule is called with that lock held, so it must not take grants.
	grants sync.Mutex
	ended  bool // guarded by grants: the store is closing and must not be called

	begun  sync.Once
	failed atomic.Bool // the compaction under way has failed

	mu   sync.Mutex
	busy bool // guarded by mu: a compaction is under way, or none may be yet
}

func newCompactions() *compactions { return &compactions{busy: true} }

// begin lets compactions run; the store must be open. The second time it does nothing.
func (c *compactions) begin() { c.begun.Do(c.next) }

// afterFailedCompaction is how long there is none after one that failed: the store would
// try again at once, a thousand times a second.
const afterFailedCompaction = time.Second

// Register is called by the store, with its lock held.
func (c *compactions) Register(_ int, db pebble.DBForCompaction) { c.db = db }

// Unregister is called by the store when it closes, and waits until none of its
// methods is being called. A compaction under way goes on.
func (c *compactions) Unregister() { c.end() }

// end lets no more run. It must come before the context of a pending DB.Compact ends:
// the store keeps in mind what it has picked, and panics where that is granted and gone.
func (c *compactions) end() {
	c.grants.Lock()
	defer c.grants.Unlock()
	c.ended = true
	c.take() // for good
}

// TrySchedule is called by the store, with its lock held, for a compaction that it
// would like to run. It remembers one that is refused.
func (c *compactions) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	if !c.take() {
		return false, nil
	}
	return true, c
}

// Done is called by the store at the end of a compaction, without its lock.
func (c *compactions) Done() {
	if c.failed.Swap(false) {
		time.AfterFunc(afterFailedCompaction, c.next)
		return
	}
	c.next()
}

// next lets another one run.
func (c *compactions) next() {
	c.grants.Lock()
	defer c.grants.Unlock()
	if c.ended {
		return
	}
	c.leave()
	// Again where the store does not want any more what it said waits: another one
	// may have been refused in between, and nobody else would come back to it.
	for c.waits() && c.take() && !c.db.Schedule(c) {
		c.leave()
	}
}

func (c *compactions) waits() bool {
	waits, _ := c.db.GetWaitingCompaction()
	return waits
}

func (c *compactions) take() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	free := !c.busy
	c.busy = true
	return free
}

func (c *compactions) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
}

// What else the store reports is of use to schedulers with a limit that changes.

func (c *compactions) UpdateGetAllowedWithoutPermission()                {}
func (c *compactions) Started()                                          {}
func (c *compactions) MeasureCPU(pebble.CompactionGoroutineKind)         {}
func (c *compactions) CumulativeStats(pebble.CompactionGrantHandleStats) {}
