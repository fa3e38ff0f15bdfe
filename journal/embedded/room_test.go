package embedded

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/embedded/disk"
)

// smallDisk is a file system that a test fills.
type smallDisk struct {
	vfs.FS
	left, total *atomic.Uint64
	broken      *atomic.Bool
}

func newSmallDisk(on vfs.FS, left, total uint64) smallDisk {
	d := smallDisk{on, new(atomic.Uint64), new(atomic.Uint64), new(atomic.Bool)}
	d.left.Store(left)
	d.total.Store(total)
	return d
}

func (d smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	if d.broken.Load() {
		return vfs.DiskUsage{}, errors.New("input/output error")
	}
	return vfs.DiskUsage{AvailBytes: d.left.Load(), TotalBytes: d.total.Load()}, nil
}

// TestFullDisk: Open refuses it in words, before it writes anything, and takes the
// same journal when there is room again.
func TestFullDisk(t *testing.T) {
	memory := NewMemory()
	seg := written(t, Options{Dir: "j", Memory: memory})
	for _, c := range []struct {
		left, total uint64
		want        string
	}{
		{openUnits<<20 - 1, 64 << 20, "its disk has 2047 KiB left, and opening needs 2048 KiB"},
		{32<<20 - 1, 32<<20 - 1, "it needs 32 MiB at least"},
	} {
		for _, dir := range []string{"j", "new"} {
			_, err := Open(Options{Dir: dir, files: disk.Files{FS: newSmallDisk(memory.fs, c.left, c.total)}})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", dir, err, c.want)
			}
		}
	}
	if made, err := (disk.Files{FS: memory.fs}).Exists("new/FORMAT"); made || err != nil {
		t.Errorf("something was written: %v", err)
	}
	j := open(t, Options{Dir: "j", files: disk.Files{FS: newSmallDisk(memory.fs, openUnits<<20, 64<<20)}})
	if len(pending(t, j, seg)) != 1 || j.SetAside() != "" {
		t.Error("the journal is not what it was")
	}
}

// floor is kept for the log and for flushes on a disk of 64 MiB, whose unit is one.
const floor = 3 << 20 // bytes

// onSmallDisk opens a journal in memory on a disk of 64 MiB that a test fills.
func onSmallDisk(t *testing.T, left uint64) (*Journal, smallDisk) {
	d := newSmallDisk(NewMemory().fs, left, 64<<20)
	return open(t, Options{Dir: "j", files: disk.Files{FS: d}, Logger: zerolog.Nop()}), d
}

// TestMark: changes are refused from the first look that finds too little room for
// settling and compacting what is there, and taken again from the one that finds a
// little more than enough. A disk that does not tell changes nothing.
func TestMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, d := onSmallDisk(t, 5<<20)
		if !errors.Is(j.Refuse(), journal.ErrDiskFull) {
			t.Error("a disk that is full at the start is not noticed")
		}
		mark := uint64(j.room.Mark())
		if want := uint64(12<<20 + j.tables()); mark != want {
			t.Errorf("the mark is at %d, want %d", mark, want)
		}
		for _, step := range []struct {
			left   uint64
			broken bool
			refuse bool
		}{
			{left: mark, refuse: true}, // back on the mark, but not beyond it
			{left: mark + mark/20 - 1, refuse: true},
			{left: mark + mark/20},
			{left: mark},
			{left: 0, broken: true},
			{left: mark - 1, refuse: true},
			{left: 60 << 20, broken: true, refuse: true},
			{left: 60 << 20},
		} {
			d.left.Store(step.left)
			d.broken.Store(step.broken)
			time.Sleep(lookEvery)
			synctest.Wait()
			if got := j.Refuse() != nil; got != step.refuse {
				t.Errorf("%+v: refuse is %v", step, got)
			}
			if got := testutil.ToFloat64(j.metrics.free); !step.broken && got > float64(step.left) {
				t.Errorf("%+v: the gauge says %v", step, got)
			}
		}
	})
}

// TestChangesCannotOverrunTheMark however fast they come: what is let in between two
// looks is counted until it is answered, or for two looks where it never is.
func TestChangesCannotOverrunTheMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, d := onSmallDisk(t, 60<<20)
		many, spare := audience.KeysOf(numbers(0, 1000)...), int64(1<<20)
		time.Sleep(lookEvery)
		d.left.Store(uint64(j.room.Mark() + spare))
		time.Sleep(lookEvery)
		synctest.Wait()
		fill := func() (n int64) {
			for j.Admit(many) == nil {
				n++
			}
			return n
		}
		most := spare / roomFor(many)
		if n := fill(); n != most {
			t.Errorf("%d changes were let in, want %d", n, most)
		}
		seg, done := segment(tenant("a"), "s"), make(chan error, 1)
		for range 4 {
			j.Append(appendOf(seg, audience.Add, many, false, done))
			wait(t, done)
		}
		if n := fill(); n < 1 || n > 4 { // less what the four have written
			t.Errorf("after four answers %d changes were let in", n)
		}
		time.Sleep(2 * lookEvery)
		synctest.Wait()
		if j.Refuse() == nil && fill() == 0 {
			t.Error("what was never handed in is counted for ever")
		}
		d.left.Store(60 << 20)
		time.Sleep(2 * lookEvery)
		synctest.Wait()
		if fill() == 0 {
			t.Error("nothing is let in when there is room")
		}
	})
}

// TestSettlesWaitForRoom, in their place among all operations, and go on as soon as
// there is some. A journal that closes waits for none.
func TestSettlesWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, d := onSmallDisk(t, 60<<20)
		seg := segment(tenant("a"), "s")
		add(t, j, seg, audience.Add, numbers(0, 100)...)
		full := func() {
			d.left.Store(floor - 1)
			if err := j.room.Look(); err != nil {
				t.Error(err)
			}
		}
		full()
		settled, again := make(chan error, 1), make(chan error, 1)
		j.Settle(settleOf(seg, slices.Values(numbers(0, 100)), settled))
		j.Append(appendOf(seg, audience.Delete, audience.KeysOf(numbers(0, 1)...), false, again))
		time.Sleep(time.Minute)
		if len(settled)+len(again) > 0 {
			t.Error("something was written into the last room")
		}
		d.left.Store(60 << 20)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if len(settled) != 1 || <-settled != nil || len(again) != 1 || <-again != nil {
			t.Fatal("they do not go on when there is room")
		}
		if got := pending(t, j, seg); len(got) != 1 || got["0"] != audience.Delete {
			t.Errorf("pending: %v", got)
		}
		full()
		j.Settle(settleOf(seg, slices.Values(numbers(0, 1)), settled))
		time.Sleep(time.Minute)
		if err := j.Close(); err != nil {
			t.Error(err)
		}
		if err := <-settled; !errors.Is(err, journal.ErrClosed) {
			t.Errorf("a settle that a close cut off: %v", err)
		}
	})
}

// TestBallast is made where there is room, given up for a start or a settlement that
// finds too little, and made anew.
func TestBallast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := NewMemory()
		d := newSmallDisk(memory.fs, 5<<20, 64<<20)
		there := func() bool {
			info, err := memory.fs.Stat("j/ballast")
			return err == nil && info.Size() == 8<<20
		}
		options := Options{Dir: "j", files: disk.Files{FS: d}}
		j := open(t, options)
		if there() {
			t.Error("it is made on a full disk")
		}
		d.left.Store(60 << 20)
		time.Sleep(lookEvery)
		synctest.Wait()
		if !there() {
			t.Fatal("it is not made where there is room")
		}
		d.left.Store(floor - 1)
		if err := j.room.Look(); err != nil {
			t.Fatal(err)
		}
		settled := make(chan error, 1)
		j.Settle(settleOf(segment(tenant("a"), "s"), slices.Values(numbers(0, 1)), settled))
		synctest.Wait()
		if there() {
			t.Error("it is kept while a settlement waits")
		}
		d.left.Store(60 << 20)
		time.Sleep(2 * lookEvery)
		synctest.Wait()
		if wait(t, settled); !there() {
			t.Error("it is not made anew")
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		d.left.Store(openUnits << 20)
		if open(t, options); there() {
			t.Error("it is kept while a start finds too little")
		}
	})
}

// TestBallastDoesNotFillTheDisk: where less is free than the disk tells, as under a quota,
// nothing is written until nothing is left, and it is not tried again at each look.
func TestBallastDoesNotFillTheDisk(t *testing.T) {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		synctest.Test(t, func(t *testing.T) {
			var tries, written atomic.Int64
			injector := errorfs.InjectorFunc(func(op errorfs.Op) error {
				switch {
				case !strings.HasSuffix(op.Path, "ballast"):
				case op.Kind == errorfs.OpFilePreallocate:
					tries.Add(1)
					return full
				case op.Kind == errorfs.OpFileWrite, op.Kind == errorfs.OpFileWriteAt:
					written.Add(1)
				}
				return nil
			})
			d := newSmallDisk(errorfs.Wrap(NewMemory().fs, injector), 60<<20, 64<<20)
			j := open(t, Options{Dir: "j", files: disk.Files{FS: d}})
			time.Sleep(ballastPause - lookEvery)
			if tries.Load() != 1 || written.Load() != 0 {
				t.Errorf("%v: tried %d times, %d writes", full, tries.Load(), written.Load())
			}
			if time.Sleep(3 * lookEvery); tries.Load() != 2 {
				t.Errorf("%v: tried %d times after the pause", full, tries.Load())
			}
			if err := j.Refuse(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPausesDoNotFollowTheWallClock: one that is set back by an hour would have nothing
// compacted on a full disk, and nothing of the store's faults in the log, for that hour.
func TestPausesDoNotFollowTheWallClock(t *testing.T) { // a bubble has no monotonic clock
	j := open(t, inMemory())
	j.quiet.allows()
	tidy := &j.keeper.tidy
	tidy.written.Add(1)
	tidy.begin(t.Context(), true)
	for deadline := time.Now().Add(time.Minute); tidy.after.Load() == nil && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	for name, at := range map[string]*time.Time{"tidy": tidy.after.Load(), "log": j.quiet.last.Load()} {
		if at == nil || *at == at.Round(0) {
			t.Errorf("%s: %v has no monotonic clock", name, at)
		}
	}
}
