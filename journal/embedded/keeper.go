package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"audiences/audience"
	"audiences/journal"
)

// lookEvery is how often the disk and the directory are looked at.
const lookEvery = time.Second

// keeper has changes refused while the disk is nearly full, or while the journal's
// files are not where they should be. Nothing else stops then: what is delivered
// makes room, and what can still be read is delivered.
type keeper struct {
	j       *Journal
	log     zerolog.Logger
	refusal atomic.Pointer[error] // why changes are refused; nil: they are taken
	urgent  chan struct{}         // a settle waits for room
	tidy    tidy

	// What follows belongs to the goroutine of run.
	full, blind, moved bool
}

func newKeeper(j *Journal) *keeper {
	return &keeper{j: j, log: j.log, urgent: make(chan struct{}, 1), tidy: tidy{j: j}}
}

// Refuse is nil unless changes must not be taken now: ErrDiskFull or ErrMoved. It never
// waits for the disk.
func (j *Journal) Refuse() error {
	if reason := j.keeper.refusal.Load(); reason != nil {
		return *reason
	}
	return nil
}

// Admit is Refuse for a change of these keys, and reserves the room that it takes of
// the disk: however fast changes come, they cannot overrun the mark between two
// looks. Append uses up what Admit reserved.
func (j *Journal) Admit(keys audience.Keys) error {
	if err := j.Refuse(); err != nil {
		return err
	}
	return j.room.admit(roomFor(keys))
}

// run looks until ctx ends. A journal in memory has neither a disk nor a directory.
func (k *keeper) run(ctx context.Context) {
	if !k.j.room.limited() && k.j.home == nil {
		return
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		short := false
		select {
		case <-ctx.Done():
			return
		case <-k.urgent:
			short = true
		case <-ticker.C:
			k.j.room.promises.age()
		}
		k.look()
		if k.full {
			k.j.giveUpReceipts() // also where nothing is settled: what they take could be all that is missing
		}
		if k.full || short {
			k.tidy.begin(ctx, short)
		}
	}
}

// look takes in what there is, and decides.
func (k *keeper) look() {
	k.lookAtDisk()
	moved := k.j.home.check()
	switch {
	case moved != nil:
		k.refusal.Store(&errMoved)
	case k.full:
		k.refusal.Store(&errDiskFull)
	default:
		k.refusal.Store(nil)
	}
	if k.moved == (moved != nil) {
		return
	}
	if k.moved = moved != nil; k.moved {
		k.log.Error().Err(moved).Str("journal", k.j.options.Dir).Msg("changes are refused, as no start would find them: bring the directory back, or stop the relay, which delivers what it still has")
	} else {
		k.log.Info().Str("journal", k.j.options.Dir).Msg("the journal's directory is back with all that was written: changes are taken")
	}
}

// The reasons where a pointer to them is needed. Callers see them, so they name no path.
var errDiskFull, errMoved = journal.ErrDiskFull, journal.ErrMoved

// lookAtDisk moves the mark and decides whether the disk is nearly full. One that
// does not tell is no reason to refuse, nor to take again: the last answer stands.
func (k *keeper) lookAtDisk() {
	room := k.j.room
	if !room.limited() {
		return
	}
	err := room.look()
	if err != nil && !k.blind {
		k.log.Warn().Err(err).Msg("the journal's disk does not tell how much is free")
	}
	if k.blind = err != nil; k.blind {
		return
	}
	room.setMark(k.j.tables())
	k.makeBallast()
	k.j.metrics.free.Set(float64(room.free.Load()))
	spare, mark := room.forChanges(), room.mark.Load()
	full := spare < 0 || k.full && spare < mark/20 // at 5 % more it takes changes again
	if full == k.full {
		return
	}
	if k.full = full; full {
		k.log.Error().Int64("free", room.free.Load()).Int64("least", mark).Msg("disk nearly full: changes are refused until there is room again; deliveries go on")
	} else {
		k.log.Info().Int64("free", room.free.Load()).Int64("least", mark).Msg("the disk has room again: changes are taken")
	}
}

// makeBallast makes it anew where that leaves room for changes, and not while Open runs,
// as there are file systems where it takes a second.
func (k *keeper) makeBallast() {
	room, ballast := k.j.room, k.j.ballast
	if !k.j.opened.Load() || ballast.there.Load() || room.forChanges() < ballast.size+room.unit {
		return
	}
	if err := ballast.make(); err != nil {
		if k.j.quiet.allows() {
			k.log.Warn().Err(err).Msg("the journal's ballast cannot be made")
		}
		return
	}
	room.wrote(ballast.size)
}

// found is nil while what was made durable is where the next start will look for it.
// It is called by the committer.
func (k *keeper) found() error {
	err := k.j.home.check()
	if err != nil {
		k.refusal.Store(&errMoved) // callers need not wait for the next look
	}
	return err
}

// relieve is called by the committer where there is too little room for n bytes; true:
// there is more now.
func (k *keeper) relieve(n int64) bool {
	select {
	case k.urgent <- struct{}{}:
	default:
	}
	room := k.j.room
	if !room.stuck.Load() && !room.dry(n) || !k.j.ballast.giveUp() {
		return false
	}
	k.log.Warn().Msg("the journal's disk is nearly full: the journal's ballast was given up for what is settled")
	_ = room.look() // where that fails, the next one tells
	room.stuck.Store(false)
	return true
}

// ballast is a file that holds nothing but room. It is given up where a start or a
// settlement finds too little, and made anew when there is more than enough: what
// filled the disk, the relay or somebody else, cannot take what is allocated already.
type ballast struct {
	files files
	path  string
	size  int64
	there atomic.Bool
	mu    sync.Mutex // held while the file is made or removed
}

func newBallast(files files, dir string, unit int64) *ballast {
	b := &ballast{files: files, path: files.PathJoin(dir, "ballast"), size: ballastUnits * unit}
	info, err := files.Stat(b.path)
	b.there.Store(err == nil && info.Size() == b.size)
	return b
}

// giveUp makes room; it is false when there was nothing to give.
func (b *ballast) giveUp() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.there.Store(false)
	return b.files.Remove(b.path) == nil
}

// make allocates the file. Where the file system cannot allocate without writing,
// it is written, with bytes that no file system can compress or share.
func (b *ballast) make() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.files.Remove(b.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := b.files.Create(b.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if err = file.Preallocate(0, b.size); err == nil {
		_, err = file.WriteAt([]byte{0}, b.size-1) // its length says that it is whole
	} else {
		err = fillRandom(file, b.size)
	}
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, b.files.Remove(b.path))
	}
	b.there.Store(true)
	return nil
}

func fillRandom(file vfs.File, size int64) error {
	block := make([]byte, 1<<20)
	for ; size > 0; size -= int64(len(block)) {
		block = block[:min(int64(len(block)), size)]
		_, _ = rand.Read(block) // never fails, by its contract
		if _, err := file.Write(block); err != nil {
			return err
		}
	}
	return nil
}
