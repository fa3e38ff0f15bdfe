package journal

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
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
		{leastDisk - 1, leastDisk - 1, "it needs 32 MiB at least"},
	} {
		for _, dir := range []string{"j", "new"} {
			_, err := Open(Options{Dir: dir, files: files{newSmallDisk(memory.fs, c.left, c.total)}})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", dir, err, c.want)
			}
		}
	}
	if made, err := (files{memory.fs}).exists("new/FORMAT"); made || err != nil {
		t.Errorf("something was written: %v", err)
	}
	j := open(t, Options{Dir: "j", files: files{newSmallDisk(memory.fs, openUnits<<20, 64<<20)}})
	if len(pending(t, j, seg)) != 1 || j.SetAside() != "" {
		t.Error("the journal is not what it was")
	}
}
