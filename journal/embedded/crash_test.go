package embedded

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/rs/zerolog"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/embedded/disk"
)

// TestAnsweredMeansDurable: whatever was answered before the power went is there
// after it (I1), for concurrent writers and many random outcomes of the loss.
func TestAnsweredMeansDurable(t *testing.T) {
	const writers, changes = 8, 40
	for seed := range uint64(6) {
		memory, random := NewMemory(), rand.New(rand.NewPCG(seed, 1))
		j := open(t, Options{Dir: "data/journal", Memory: memory})
		answered := make(chan int) // the writer; without room, so that writers pause while a clone is checked
		for w := range writers {
			go func() {
				write(t, j, w, changes, func() { answered <- w })
			}()
		}
		var count [writers]int64
		for left := writers * changes; left > 0; left-- {
			count[<-answered]++
			if random.IntN(40) > 0 {
				continue // others are between their call and its answer when the power goes
			}
			again := open(t, Options{Dir: "data/journal", Memory: memory.CrashClone(random)})
			if again.SetAside() != "" {
				t.Errorf("seed %d: a power loss was taken for damage", seed)
			}
			for w, n := range count {
				checkAnswered(t, pending(t, again, writerSegment(w)), n)
			}
		}
	}
}

func writerSegment(w int) audience.Segment { return segment(tenant("a"), fmt.Sprint("s", w)) }

// write makes changes, of key 1 and a key of its own each, one after the other.
func write(t *testing.T, j *Journal, w, changes int, answered func()) {
	done := make(chan error, 1)
	for i := int64(1); i <= int64(changes); i++ {
		j.Append(appendOf(writerSegment(w), audience.Verb(1+i%2), audience.KeysOf(keys(1, 1000+i)...), true, done))
		if w%2 == 0 { // a read cuts the group in two
			j.Load(journal.Load{Segment: writerSegment(w), Done: func(journal.Page) {}})
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		answered()
	}
}

// checkAnswered: the first n changes are there, and key 1 has the verb of the
// n-th change or a later one, never of an earlier one (I2).
func checkAnswered(t *testing.T, got map[string]audience.Verb, n int64) {
	t.Helper()
	last := max(int64(len(got)-1), 0) // key 1 is in each of them
	if last < n {
		t.Fatalf("%d changes were answered, %d are there", n, last)
	}
	for i := range last {
		if got[fmt.Sprint(1001+i)] == 0 {
			t.Fatalf("change %d of %d is missing", i+1, last)
		}
	}
	if last > 0 && got["1"] != audience.Verb(1+last%2) {
		t.Fatal("an older verb won")
	}
}

// cutPower is a file system whose power goes at the n-th call that writes; cut is what
// that left, nil before. The store makes such calls in several goroutines at once.
func cutPower(memory *Memory, n int, random *rand.Rand) (cutting disk.Files, cut func() *Memory) {
	var mu sync.Mutex
	var left *Memory
	calls := 0
	injector := errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		if calls++; calls == n {
			left = memory.CrashClone(random)
		}
		return nil
	})
	return disk.Files{FS: errorfs.Wrap(memory.fs, injector)}, func() *Memory {
		mu.Lock()
		defer mu.Unlock()
		return left
	}
}

// TestPowerLossWhileOpening: an open that the power cuts short leaves something
// that opens again, with all that was there.
func TestPowerLossWhileOpening(t *testing.T) {
	base := NewMemory()
	seg := written(t, Options{Dir: "j", Memory: base})
	for n := range 60 {
		random := rand.New(rand.NewPCG(uint64(n), 2))
		memory := base.CrashClone(nil)
		cutting, cutAt := cutPower(memory, n, random)
		j := open(t, Options{Dir: "j", files: cutting})
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		cut := cutAt()
		if cut == nil {
			continue // the opening makes fewer calls than that
		}
		again := open(t, Options{Dir: "j", Memory: cut, Logger: zerolog.New(zerolog.NewTestWriter(t))})
		if got := pending(t, again, seg); len(got) != 1 || again.SetAside() != "" {
			t.Errorf("cut at call %d: %v, set aside %q", n, got, again.SetAside())
		}
	}
}

// TestPowerLossWhileCreating: whatever a cut leaves of a new journal, it opens.
func TestPowerLossWhileCreating(t *testing.T) {
	for n := range 60 {
		random := rand.New(rand.NewPCG(uint64(n), 3))
		cutting, cutAt := cutPower(NewMemory(), n, random)
		open(t, Options{Dir: "a/b/j", files: cutting})
		if cut := cutAt(); cut != nil {
			j := open(t, Options{Dir: "a/b/j", Memory: cut})
			add(t, j, segment(tenant("a"), "s"), audience.Add, keys(1)...)
		}
	}
}

// TestFailedFsync: the journal says so once, and answers nothing as durable any
// more (I1).
func TestFailedFsync(t *testing.T) {
	var broken atomic.Bool
	injector := errorfs.InjectorFunc(func(op errorfs.Op) error {
		sync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
		if broken.Load() && sync && strings.HasSuffix(op.Path, ".log") {
			return errors.New("the disk is gone")
		}
		return nil
	})
	fatal := make(chan error, 10)
	j, err := Open(Options{
		Dir:   "j",
		files: disk.Files{FS: errorfs.Wrap(vfs.NewMem(), injector)},
		Fatal: func(err error) { fatal <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	seg := segment(tenant("a"), "s")
	add(t, j, seg, audience.Add, keys(1)...)
	broken.Store(true)
	done := make(chan error, 50)
	for i := range 20 {
		j.Append(appendOf(seg, audience.Add, audience.KeysOf(keys(i)...), false, done))
	}
	for range 20 {
		if err := <-done; err == nil {
			t.Error("answered as durable")
		}
	}
	broken.Store(false)
	for i := range 20 {
		j.Append(appendOf(seg, audience.Add, audience.KeysOf(keys(i)...), false, done))
		if err := <-done; !errors.Is(err, journal.ErrClosed) {
			t.Errorf("after the failure: %v", err)
		}
	}
	if page := load(j, journal.Load{Segment: seg}); page.Err == nil {
		t.Error("a load was answered")
	}
	if _, err := unpark(j, journal.Unpark{Segment: seg}); err == nil {
		t.Error("an unpark was answered")
	}
	if err := <-fatal; err == nil || len(fatal) != 0 {
		t.Error("Fatal was not called exactly once")
	}
	_ = j.Close() // with an error or without, but it ends
}
