package journal

import (
	"context"
	"sync/atomic"
	"time"
)

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
		t.j.room.signal()
	})
}

func (t *tidy) run(ctx context.Context) {
	if t.j.compactions.begin(); t.j.room.stuck.Load() {
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
	if t.j.room.look() == nil {
		t.j.room.stuck.Store(true) // unless it fits now
		t.j.room.setMark(t.j.tables())
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
