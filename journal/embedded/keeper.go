package embedded

import (
	"context"
	"sync/atomic"
	"time"

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
	ballastAfter       time.Time // it is not tried before
}

// ballastPause is how long the ballast is not tried again when it could not be made: to try
// may mean to write all of it.
const ballastPause = 10 * time.Minute

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
	return j.room.Admit(roomFor(keys))
}

// run looks until ctx ends. A journal in memory has neither a disk nor a directory.
func (k *keeper) run(ctx context.Context) {
	if !k.j.room.Limited() && k.j.home == nil {
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
			k.j.room.Age()
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
	k.j.metrics.size.Set(float64(k.j.db.Metrics().DiskSpaceUsage()))
	k.lookAtDisk()
	moved := k.j.home.Check()
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
	if !room.Limited() {
		return
	}
	err := room.Look()
	if err != nil && !k.blind {
		k.log.Warn().Err(err).Msg("the journal's disk does not tell how much is free")
	}
	if k.blind = err != nil; k.blind {
		return
	}
	room.SetMark(k.j.tables())
	k.makeBallast()
	k.j.metrics.free.Set(float64(room.Free()))
	spare, mark := room.ForChanges(), room.Mark()
	full := spare < 0 || k.full && spare < mark/20 // at 5 % more it takes changes again
	if full == k.full {
		return
	}
	if k.full = full; full {
		k.log.Error().Int64("free", room.Free()).Int64("least", mark).Msg("disk nearly full: changes are refused until there is room again; deliveries go on")
	} else {
		k.log.Info().Int64("free", room.Free()).Int64("least", mark).Msg("the disk has room again: changes are taken")
	}
}

// makeBallast makes it anew where that leaves room for changes, and not while Open runs,
// as there are file systems where it takes a second.
func (k *keeper) makeBallast() {
	room, ballast := k.j.room, k.j.ballast
	if !k.j.opened.Load() || ballast.There() || room.ForChanges() < ballast.Size()+room.Unit() || time.Now().Before(k.ballastAfter) {
		return
	}
	room.Wrote(ballast.Size()) // before it is: changes that are let in meanwhile must not count on that
	if err := ballast.Make(); err != nil {
		_ = room.Look() // where that fails, the next one tells
		k.ballastAfter = time.Now().Add(ballastPause)
		if k.j.quiet.allows() {
			k.log.Warn().Err(err).Msg("the journal's ballast cannot be made")
		}
	}
}

// found is nil while what was made durable is where the next start will look for it.
// It is called by the committer.
func (k *keeper) found() error {
	err := k.j.home.Check()
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
	if !room.Stuck() && !room.Dry(n) || !k.j.ballast.GiveUp() {
		return false
	}
	k.log.Warn().Msg("the journal's disk is nearly full: the journal's ballast was given up for what is settled")
	_ = room.Look() // where that fails, the next one tells
	room.SetStuck(false)
	return true
}

// tidy has the store compact all that it has. By itself the store would leave some of
// what was settled until more comes, and changes could be refused for good.
type tidy struct {
	j       *Journal
	written atomic.Int64 // bytes of records handed to the store since the last one began
	busy    atomic.Bool
	after   atomic.Pointer[time.Time] // not before, unless settles wait for it; nil: at any time
}

// tidyParts is into how many parts of the range of segments the work is cut: what a part
// needs is a part of all, as soon as tables no longer reach from end to end.
const tidyParts = 16

// begin starts it, where anything was written since, and returns at once. Unless settles
// wait for it (urgent), it takes a sixth of the time at most.
func (t *tidy) begin(ctx context.Context, urgent bool) {
	after := t.after.Load()
	if t.written.Load() == 0 || !urgent && after != nil && time.Now().Before(*after) || t.busy.Swap(true) {
		return
	}
	t.written.Store(0)
	t.j.running.Go(func() { // ends with ctx, which Close ends
		began := time.Now()
		t.run(ctx)
		t.after.Store(new(time.Now().Add(5 * time.Since(began))))
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
