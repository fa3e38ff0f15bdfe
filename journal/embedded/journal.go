package embedded

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/embedded/disk"
	"audiences/journal/vault"
)

// Options of Open. Dir is required; the zero value of all else has a meaning.
type Options struct {
	Dir           string                // the journal's directory; created with mode 0700 when absent
	KeyFile       string                // holds the key that apiTokens are encrypted with, 64 hexadecimal digits; "": Dir/journal.key, created (0600) with a new journal
	Memory        *Memory               // keeps all files in memory, for tests; nil: on disk
	Logger        zerolog.Logger        // faults and what Open found; never a token or a key (I7)
	Registerer    prometheus.Registerer // nil: metrics are kept and not registered
	Reasons       []string              // of refusals that have a series from the start; others that the store holds are shown as "other"
	Fatal         func(error)           // called once, when the store can no longer be written (a failed fsync, a full disk); must end the process and not return: the store is not made for going on. nil: panic. Nothing is answered as durable after it
	CacheBytes    int64                 // size of the store's block cache; 0: 8 MiB
	MemTableBytes int64                 // size of one of the store's memtables, of which there are at most 4; 0: 16 MiB

	// MinFreeBytes is what changes leave of the disk (Refuse), for others who use it. What
	// settling and compacting need is kept in any case. 0: no more than that.
	MinFreeBytes int64
	// OpenTables is how many files the store keeps open for reading; it opens and closes
	// them as needed beyond that. Some 20 more are open for other ends. 0: 190, which is
	// enough for the tables of some tens of millions of keys.
	OpenTables int

	// ReceiptsMaxBytes and ReceiptsMaxAge bound what is kept for Find of past deliveries:
	// the bytes of its records (on disk it is as much, and some more until it is compacted;
	// the receipt of one Settle is kept whatever its size) and its age, to which up to an
	// hour may come. What is beyond goes with the next receipt, or at the next Open. All
	// receipts go while the disk is nearly full, and their room is part of what MinFreeBytes
	// looks at. 0 in either: none are kept, and Open removes those that are there.
	ReceiptsMaxBytes int64
	ReceiptsMaxAge   time.Duration

	// Moving opens it to move what it holds to another journal, or the other way: a mark is
	// no reason to refuse, and a damaged store is an error and stays where it is.
	Moving bool

	files disk.Files // in place of the disk or Memory; for tests of this package
}

// Journal is the store of what is accepted and not settled. Its methods may be
// called from any goroutine and none of them waits for the disk, except Open,
// Close, Segments, Tenants and Usage.
type Journal struct {
	options          Options
	log              zerolog.Logger
	files            disk.Files
	lock             io.Closer
	format           format // what the file FORMAT holds; Open's, and then SetMark's
	db               *pebble.DB
	vault            vault.Vault
	parked           *parkedSet
	newest           *newest
	ranges           int // deleted since the last flush for their sake; belongs to the committer
	versions         *versions
	events           []uint64 // numbers of those that are kept; belongs to the committer
	receipts         *receipts
	metrics          *metrics
	tally            *tally
	setAside         string
	allowCompactions *time.Timer // fires compactAfter after Open

	compactions   *compactions
	failedFlushes atomic.Int32 // in a row

	queue   *queue[operation]
	reads   *queue[func()]
	counts  *queue[func()] // reads that come after all others
	failed  atomic.Bool
	quiet   quiet // limits how often the store may repeat itself in the log
	running sync.WaitGroup

	room    *disk.Room
	ballast *disk.Ballast
	home    *disk.Home // nil in memory
	keeper  *keeper
	opened  atomic.Bool        // a write that fails from here on is the end
	unkeep  context.CancelFunc // ends the keeper

	listing sync.RWMutex // held by Segments, Tenants and Usage, which Close must not cut off
	closed  bool         // guarded by listing
}

// start starts the goroutines of an opened journal.
func (j *Journal) start() {
	j.opened.Store(true)
	j.scanTally()
	j.running.Go(newCommitter(j).run)
	ctx, unkeep := context.WithCancel(context.Background())
	j.unkeep = unkeep
	j.running.Go(func() { j.keeper.run(ctx) })
	for range readers {
		j.running.Go(func() { carryOut(j.reads) })
	}
	j.running.Go(func() { carryOut(j.counts) })
}

func carryOut(reads *queue[func()]) {
	for {
		read, ok := reads.next()
		if !ok {
			return
		}
		read()
	}
}

// SetAside is the path that a damaged store was moved to by this Open; "" when
// the store was sound.
func (j *Journal) SetAside() string { return j.setAside }

// Close carries out what was handed in before, answers everything, ends all
// goroutines, closes the store and releases the directory. A second Close does
// nothing.
func (j *Journal) Close() error {
	j.listing.Lock()
	defer j.listing.Unlock()
	if j.closed {
		return nil
	}
	j.closed = true
	j.room.Close()
	j.compactions.end()
	j.unkeep()
	j.queue.close() // the committer closes the others when it ends
	j.running.Wait()
	j.allowCompactions.Stop()
	err := j.db.Close()
	return errors.Join(err, j.lock.Close())
}

// fail is called when the store could not be written: what is on disk is unknown
// from here on, so nothing is answered as durable any more (I1).
func (j *Journal) fail(err error) {
	if j.failed.Swap(true) {
		return
	}
	j.options.Fatal(err)
}

// Usage is the number of bytes that the journal takes on disk; 0 after Close.
func (j *Journal) Usage() uint64 {
	j.listing.RLock()
	defer j.listing.RUnlock()
	if j.closed {
		return 0
	}
	return j.db.Metrics().DiskSpaceUsage()
}

// tables is the size of what the store has to compact, what is not in a table yet
// included.
func (j *Journal) tables() int64 {
	metrics := j.db.Metrics()
	total := metrics.Total()
	return total.TablesSize + int64(metrics.MemTable.Size)
}

// submit hands an operation to the committer.
func (j *Journal) submit(op operation) {
	if j.failed.Load() || !j.queue.put(op) {
		op.done(journal.ErrClosed)
	}
}

// ignore is told the outcome of what nobody waits for.
func ignore(error) {}

func orIgnore(done func(error)) func(error) {
	if done == nil {
		return ignore
	}
	return done
}

// tenantOnly is the scope of an operation on one tenant.
func tenantOnly(id audience.TenantID) [2]audience.TenantID {
	return [2]audience.TenantID{id, id}
}

// place resolves the directory and its file system. A relative path on disk is
// made absolute: the lock is known by its name within one process.
func place(o Options) (disk.Files, string, error) {
	switch {
	case o.files.FS != nil:
		return o.files, o.Dir, nil
	case o.Memory != nil:
		return disk.Files{FS: o.Memory.fs}, o.Dir, nil
	}
	dir, err := filepath.Abs(o.Dir)
	return disk.Default, dir, err
}

// Memory is a file system in memory that can lose its power, for tests. A
// journal on it makes no blocking system call: it can be opened, used and
// closed within a testing/synctest bubble.
type Memory struct{ fs *vfs.MemFS }

// NewMemory returns an empty one.
func NewMemory() *Memory { return &Memory{fs: vfs.NewCrashableMem()} }

// CrashClone is what is found after a power loss at this moment: all that was
// synced, and a random part of what was not (random nil: nothing of it). The
// journal on m may still be open, and stays unaffected.
func (m *Memory) CrashClone(random *rand.Rand) *Memory {
	config := vfs.CrashCloneCfg{}
	if random != nil {
		config = vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(101), RNG: random}
	}
	return &Memory{fs: m.fs.CrashClone(config)}
}
