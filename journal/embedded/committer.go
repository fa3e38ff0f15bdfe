package embedded

import (
	"time"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/embedded/damage"
)

// maxGroup is the size in bytes at which a group is committed, whatever else
// waits. One operation that is larger goes alone.
const maxGroup = 4 << 20

// groupLimit is less on a small disk: what is half a memtable or more is not copied
// into one, but gets a log and a table for itself.
func (j *Journal) groupLimit() int { return min(maxGroup, int(j.memTable()/4)) }

// operation is one thing asked of the committer. Exactly one of stage, read and
// step is set, and done is called exactly once.
type operation struct {
	tenants [2]audience.TenantID // whose records it touches
	size    int                  // about how many bytes stage adds; 0: few
	durable bool                 // done(nil) has to wait for an fsync

	stage func(*pebble.Batch)    // a write: adds its records
	sees  func() bool            // whether stage looks into the store, which must have all that came before; nil: it does not
	read  func(*pebble.Snapshot) // a read: carried out by a reader; done is called with errors only
	late  bool                   // a read that may come after all others
	step  func(*pebble.Batch) (more bool, err error)

	done func(error)
}

// committer is the only writer of the store. All its fields belong to its
// goroutine.
//
// A group is what one fsync makes durable: operations go from the queue into
// batch, in order; finish commits the batch and answers the group.
type committer struct {
	j     *Journal
	batch *pebble.Batch
	group []answers   // that wait for finish
	sync  bool        // the group has an operation that has to be durable
	mark  damage.Mark // that batch begins with
	limit int         // size in bytes at which batch is committed
	given bool        // it gave up waiting for room, since the journal closes
	pace  pace

	// long is the operation in steps that is under way, if any. Operations that
	// touch a tenant in held wait for its end in waiting, in order, so that they
	// see all of it or nothing; everything else goes on between the steps (I6).
	long    *operation
	waiting []operation
	held    map[audience.TenantID]bool
}

// answers are those of one operation.
type answers struct {
	done    func(error)
	durable bool // done(nil) says that the next start will find it
}

func newCommitter(j *Journal) *committer {
	c := &committer{j: j, held: map[audience.TenantID]bool{}, mark: damage.Mark{Group: 1}, limit: j.groupLimit(), pace: pace{free: j.options.Memory != nil}}
	c.begin()
	return c
}

// begin makes the next batch, which begins with the mark.
func (c *committer) begin() {
	c.batch = c.j.db.NewBatch()
	c.mark.Stamp(c.batch)
}

// empty reports that nothing is staged. Batch.Empty is false because of the mark; Count
// does not count it.
func (c *committer) empty() bool { return c.batch.Count() == 0 }

func (c *committer) run() {
	defer c.j.counts.close()
	defer c.j.reads.close()
	for {
		if c.long == nil {
			c.j.queue.gather(c.pace.want, time.Until(c.pace.until))
		}
		operations, open := c.j.queue.all(c.long == nil)
		for _, op := range operations {
			c.admit(op)
		}
		if c.long != nil {
			c.stepLong()
		}
		c.finish()
		if !open && c.long == nil {
			c.seal()
			return
		}
	}
}

// seal ends the log with a mark that names all before it as durable, so that
// after a Close no flipped byte passes for a torn end.
func (c *committer) seal() {
	if c.mark.Group > 1 {
		c.write(pebble.Sync)
		c.write(pebble.NoSync) // the store syncs it when it closes
	}
	_ = c.batch.Close()
}

// admit takes one operation in, or lets it wait for the long one.
func (c *committer) admit(op operation) {
	switch {
	case c.ended():
		op.done(journal.ErrClosed)
	case c.held[op.tenants[0]] || c.held[op.tenants[1]] || c.long != nil && op.step != nil:
		c.waiting = append(c.waiting, op)
		c.hold(op)
	case op.step != nil:
		c.long = &op
		c.hold(op)
	case op.read != nil:
		c.snapshotFor(op)
	default:
		c.stage(op)
	}
}

func (c *committer) hold(op operation) {
	c.held[op.tenants[0]], c.held[op.tenants[1]] = true, true
}

func (c *committer) stage(op operation) {
	if c.batch.Len()+op.size > c.limit {
		c.finish()
	}
	if op.sees != nil && op.sees() {
		c.apply(pebble.NoSync)
	}
	op.stage(c.batch)
	c.group = append(c.group, answers{op.done, op.durable})
	c.sync = c.sync || op.durable
	if c.batch.Len() > c.limit {
		c.finish()
	}
}

// snapshotFor makes the snapshot of a read at its place in the queue. What is staged is
// written without an fsync to be seen by it; the reader starts after the fsync of
// the group, so that it shows nothing that a power loss could take back.
func (c *committer) snapshotFor(read operation) {
	if c.apply(pebble.NoSync); c.ended() {
		read.done(journal.ErrClosed)
		return
	}
	snapshot := c.j.db.NewSnapshot()
	c.group = append(c.group, answers{done: func(err error) {
		if err != nil {
			_ = snapshot.Close()
			read.done(err)
			return
		}
		reads := c.j.reads
		if read.late {
			reads = c.j.counts
		}
		reads.put(func() {
			defer snapshot.Close()
			read.read(snapshot)
		})
	}})
}

// stepLong carries the long operation one step on. A step that fails writes nothing.
func (c *committer) stepLong() {
	c.apply(pebble.NoSync)
	more, err := false, error(journal.ErrClosed)
	if !c.ended() {
		more, err = c.long.step(c.batch)
	}
	if err != nil {
		c.batch.Reset()
		c.j.tally.dropped()
		c.j.versions.dropped()
		c.mark.Stamp(c.batch)
	}
	c.sync = c.sync || !c.empty()
	if more && err == nil {
		return
	}
	done := c.long.done
	c.group = append(c.group, answers{durable: true, done: func(failure error) {
		if failure == nil {
			failure = err
		}
		done(failure)
	}})
	c.release()
}

// release lets what waited for the long operation go on, in its order.
func (c *committer) release() {
	c.finish()
	waiting := c.waiting
	c.long, c.waiting = nil, nil
	clear(c.held)
	for _, op := range waiting {
		c.admit(op)
	}
}

// finish makes the group durable, as far as it asked for that, and answers it.
func (c *committer) finish() {
	if len(c.group) == 0 && c.empty() {
		return
	}
	start, size := time.Now(), c.batch.Len()
	if c.sync {
		c.write(pebble.Sync) // also when empty, for what apply wrote before
	} else {
		c.apply(pebble.NoSync)
	}
	var failed, lost error // the latter concerns those that have to be durable
	if c.ended() {
		failed = journal.ErrClosed
	} else {
		c.j.metrics.committed(time.Since(start), len(c.group), size, c.sync)
		if c.sync {
			lost = c.j.keeper.found() // after the fsync, before the answers
		}
	}
	callers, waiting := 0, c.j.queue.len() // before the first answer, or who comes back at once counts twice
	for _, a := range c.group {
		if a.durable && failed == nil {
			callers++
			a.done(lost)
		} else {
			a.done(failed)
		}
	}
	c.pace.answered(callers, waiting, time.Now())
	clear(c.group)
	c.group, c.sync = c.group[:0], false
}

// apply writes the batch, if there is anything in it.
func (c *committer) apply(durability *pebble.WriteOptions) {
	if !c.empty() {
		c.write(durability)
	}
}

// write writes the batch, once the disk has room for it. A write that fails ends in
// Journal.fail through the store's files or its logger, while the call itself may still
// answer nil: callers look at ended.
func (c *committer) write(durability *pebble.WriteOptions) {
	size := int64(c.batch.Len())
	c.given = c.given || !c.j.room.Await(size, func() bool { return c.j.keeper.relieve(size) })
	if !c.ended() {
		c.j.keeper.tidy.written.Add(size)
		if err := c.j.db.Apply(c.batch, durability); err != nil {
			c.j.fail(err)
		}
		c.j.tally.written()
		c.j.flushRanges()
	}
	if durability.Sync && !c.ended() {
		c.mark.Durable = c.mark.Group
	}
	c.mark.Group++
	_ = c.batch.Close()
	c.begin()
}

// ended reports that nothing can be written any more.
func (c *committer) ended() bool { return c.given || c.j.failed.Load() }
