package embedded

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

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

// tidy has the store compact all that it has. By itself the store would leave some of
// what was settled until more comes, and changes could be refused for good.
type tidy struct {
	j       *Journal
	written atomic.Int64 // bytes of records handed to the store since the last one began
	busy    atomic.Bool
	after   atomic.Int64 // not before this time, unless settles wait for it
}

// tidyParts is into how many parts of the range of segments the work is cut: what a part
// needs is a part of all, as soon as tables no longer reach from end to end.
const tidyParts = 16

// begin starts it, where anything was written since, and returns at once. Unless settles
// wait for it (urgent), it takes a sixth of the time at most.
func (t *tidy) begin(ctx context.Context, urgent bool) {
	if t.written.Load() == 0 || !urgent && time.Now().UnixNano() < t.after.Load() || t.busy.Swap(true) {
		return
	}
	t.written.Store(0)
	t.j.running.Go(func() { // ends with ctx, which Close ends
		began := time.Now()
		t.run(ctx)
		t.after.Store(time.Now().Add(5 * time.Since(began)).UnixNano())
		t.busy.Store(false)
		t.j.room.Signal()
	})
}

func (t *tidy) run(ctx context.Context) {
	if t.j.compactions.begin(); t.j.room.Stuck() {
		t.written.Add(1) // it may do more the next time
	}
	for _, part := range parts() {
		err := t.j.db.Compact(ctx, part[0], part[1], false)
		if ctx.Err() != nil {
			return
		}
		if err != nil && t.j.quiet.allows() {
			t.j.log.Error().Err(err).Msg("the journal's store cannot be compacted")
		}
	}
	if t.j.room.Look() == nil {
		t.j.room.SetStuck(true) // unless it fits now
		t.j.room.SetMark(t.j.tables())
	}
}

// parts are the parts of the keyspace: the pending keys by their segment, and what lies
// in front of them and behind.
func parts() (parts [][2][]byte) {
	from := []byte{0}
	for n := range tidyParts {
		to := []byte{prefixPending, byte(n * 256 / tidyParts)}
		parts = append(parts, [2][]byte{from, to})
		from = to
	}
	return append(parts, [2][]byte{from, {0xff}})
}
