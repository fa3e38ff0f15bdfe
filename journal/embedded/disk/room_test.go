package disk

import (
	"errors"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestLeast: the operator's wish is the mark where it is more than the journal needs,
// and not where the disk could never have as much.
func TestLeast(t *testing.T) {
	for _, c := range []struct{ total, wanted, least int64 }{
		{64 << 20, 0, 0},
		{64 << 20, 40 << 20, 40 << 20},
		{64 << 20, 64 << 20, 8 << 20},
		{64 << 20, 512 << 20, 8 << 20},
		{1 << 40, 512 << 20, 512 << 20},
	} {
		r, err := NewRoom(func() (vfs.DiskUsage, error) {
			return vfs.DiskUsage{AvailBytes: uint64(c.total), TotalBytes: uint64(c.total)}, nil
		}, c.wanted)
		if err != nil || r.least != c.least {
			t.Errorf("%d of %d: %d, %v; want %d", c.wanted, c.total, r.least, err, c.least)
		}
		if r.SetMark(0); r.mark.Load() != max(c.least, markUnits*r.unit) {
			t.Errorf("%d of %d: the mark is at %d", c.wanted, c.total, r.mark.Load())
		}
	}
}

// TestSettlesLeaveTheRoomOfACompaction, unless compacting has turned out not to help.
func TestSettlesLeaveTheRoomOfACompaction(t *testing.T) {
	r, err := NewRoom(func() (vfs.DiskUsage, error) {
		return vfs.DiskUsage{AvailBytes: 20 << 20, TotalBytes: 64 << 20}, nil
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		tables, owed int64
		stuck, fits  bool
	}{
		{tables: 17 << 20, fits: true},
		{tables: 17<<20 + 1},
		{tables: 17<<20 + 1, stuck: true, fits: true},
		{owed: 17 << 20, fits: true},
		{owed: 17<<20 + 1},
		{owed: 17<<20 + 1, stuck: true},
	} {
		r.tables.Store(c.tables)
		r.owed.Store(c.owed)
		if r.stuck.Store(c.stuck); r.fits(0) != c.fits {
			t.Errorf("%+v: fits is %v", c, r.fits(0))
		}
	}
	r.Compacting(1 << 20)
	if err := r.compact(17 << 20); err != nil || r.owed.Load() != 0 || r.written.Load() != 17<<20 {
		t.Errorf("a compaction that leaves the floor: %v", err)
	}
	if err := r.compact(17<<20 + 1); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a compaction that would take the floor: %v", err)
	}
	if r.Compacting(0); r.written.Load() != 0 {
		t.Error("what an ended compaction has written still counts")
	}
}

// TestPromisesAreForgotten after two looks: what never came does not count for ever.
func TestPromisesAreForgotten(t *testing.T) {
	var p promises
	for look, free := range []bool{false, false, true} {
		if look == 0 {
			p.take(10, 10)
		} else {
			p.age()
		}
		if p.take(1, 10) != free {
			t.Errorf("after %d looks: room is %v, want %v", look, !free, free)
		}
	}
}
