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

	"audiences/audience"
	"audiences/journal/embedded/disk"
)

// failBallast is a disk of 64 MiB on which some of what is done to the ballast fails; n
// counts these. As on a file system that cannot allocate, the ballast is written.
func failBallast(on vfs.FS, fails func(op errorfs.Op) error) (d smallDisk, n *atomic.Int64) {
	n = new(atomic.Int64)
	return newSmallDisk(errorfs.Wrap(on, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !strings.HasSuffix(op.Path, "ballast") {
			return nil
		}
		err := fails(op)
		switch {
		case err != nil:
			n.Add(1)
		case op.Kind == errorfs.OpFilePreallocate:
			err = syscall.EOPNOTSUPP
		}
		return err
	})), 60<<20, 64<<20), n
}

// TestBallastThatCannotBeMade leaves no part of it, whatever fails, and is tried again after
// a pause; meanwhile changes and settles go on.
func TestBallastThatCannotBeMade(t *testing.T) {
	for name, kind := range map[string]errorfs.OpKind{"create": errorfs.OpCreate, "write": errorfs.OpFileWrite, "sync": errorfs.OpFileSync} {
		synctest.Test(t, func(t *testing.T) {
			memory, healed := NewMemory(), new(atomic.Bool)
			d, failures := failBallast(memory.fs, func(op errorfs.Op) error {
				if !healed.Load() && op.Kind == kind {
					return syscall.ENOSPC
				}
				return nil
			})
			j := open(t, Options{Dir: "j", files: disk.Files{FS: d}})
			time.Sleep(ballastPause - lookEvery)
			if n := failures.Load(); n != 1 {
				t.Errorf("%s: %d failures", name, n)
			}
			if names, err := memory.fs.List("j"); err != nil || slices.Contains(names, "ballast") {
				t.Errorf("%s: %v, %v", name, names, err)
			}
			seg := segment(tenant("a"), "s")
			add(t, j, seg, audience.Add, keys(1, 2)...)
			settle(t, j, seg, keys(1)...)
			if err := j.Refuse(); err != nil || len(pending(t, j, seg)) != 1 {
				t.Errorf("%s: %v", name, err)
			}
			healed.Store(true)
			time.Sleep(2 * lookEvery)
			if synctest.Wait(); !j.ballast.There() {
				t.Errorf("%s: it is not made after the pause", name)
			}
		})
	}
}

// TestBallastLetsGoOfAFullDisk at once: what could not be written to the end is not synced
// first, which may take seconds, in which nobody can write.
func TestBallastLetsGoOfAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var synced, written atomic.Int64
		d, failures := failBallast(NewMemory().fs, func(op errorfs.Op) error {
			switch op.Kind {
			case errorfs.OpFileSync:
				synced.Add(1)
			case errorfs.OpFileWrite:
				if written.Add(1) > 3 {
					return syscall.ENOSPC
				}
			}
			return nil
		})
		open(t, Options{Dir: "j", files: disk.Files{FS: d}})
		time.Sleep(2 * lookEvery)
		synctest.Wait()
		if failures.Load() != 1 || synced.Load() != 0 {
			t.Errorf("%d failures, %d syncs", failures.Load(), synced.Load())
		}
	})
}

// TestBallastIsCountedBeforeItIsMade: changes that are let in while it is being made leave
// its room, and have it again where it cannot be made.
func TestBallastIsCountedBeforeItIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var opened atomic.Pointer[Journal]
		var meanwhile atomic.Int64
		d, failures := failBallast(NewMemory().fs, func(op errorfs.Op) error {
			if op.Kind != errorfs.OpFileWrite {
				return nil
			}
			meanwhile.Store(opened.Load().room.ForChanges())
			return errors.New("input/output error")
		})
		j := open(t, Options{Dir: "j", files: disk.Files{FS: d}})
		opened.Store(j)
		before := j.room.ForChanges()
		time.Sleep(2 * lookEvery)
		synctest.Wait()
		after := j.room.ForChanges()
		if failures.Load() != 1 || meanwhile.Load() > before-j.ballast.Size() || after <= meanwhile.Load() {
			t.Errorf("%d failures; %d bytes for changes, %d while it is made, %d after it", failures.Load(), before, meanwhile.Load(), after)
		}
	})
}
