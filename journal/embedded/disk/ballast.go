package disk

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Ballast is a file that holds nothing but room. It is given up where a start or a
// settlement finds too little, and made anew when there is more than enough: what
// filled the disk, the relay or somebody else, cannot take what is allocated already.
type Ballast struct {
	files Files
	path  string
	size  int64
	there atomic.Bool
	mu    sync.Mutex // held while the file is made or removed
}

// NewBallast finds the one that is in the directory, or none yet. A unit is that of Room.
func NewBallast(files Files, dir string, unit int64) *Ballast {
	b := &Ballast{files: files, path: files.PathJoin(dir, "ballast"), size: ballastUnits * unit}
	info, err := files.Stat(b.path)
	b.there.Store(err == nil && info.Size() == b.size)
	return b
}

// There reports whether it is there, whole.
func (b *Ballast) There() bool { return b.there.Load() }

// Size is how many bytes it holds, or would.
func (b *Ballast) Size() int64 { return b.size }

// GiveUp makes room; it is false when there was nothing to give.
func (b *Ballast) GiveUp() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.there.Store(false)
	return b.files.Remove(b.path) == nil
}

// Make allocates the file. Where the file system cannot allocate without writing,
// it is written, with bytes that no file system can compress or share.
func (b *Ballast) Make() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.files.Remove(b.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := b.files.Create(b.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if err = b.fill(file); err == nil {
		err = file.Sync() // not of what failed: the disk is full for everybody until it has gone
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, b.files.Remove(b.path))
	}
	b.there.Store(true)
	return nil
}

func (b *Ballast) fill(file vfs.File) error {
	err := file.Preallocate(0, b.size)
	switch {
	case err == nil:
		_, err = file.WriteAt([]byte{0}, b.size-1) // its length says that it is whole
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		// Less is free than the disk tells. To write until nothing is left would take from
		// the journal's own writes what they need.
		return err
	}
	return fillRandom(file, b.size)
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
