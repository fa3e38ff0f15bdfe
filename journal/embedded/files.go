package embedded

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// files is the file system that a journal lies on: the disk, or memory.
type files struct{ vfs.FS }

// onDisk is vfs.Default with files that nobody else may read: it holds a key.
type onDisk struct{ vfs.FS }

func (onDisk) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	// The file is made here with its mode, then opened the way the store opens files.
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return vfs.Default.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
}

// makeDir makes the directory and those above it, each durable in its parent.
func (f files) makeDir(dir string) error {
	if info, err := f.Stat(dir); err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
		return nil
	} else if !oserror.IsNotExist(err) {
		return err
	}
	parent := f.PathDir(dir)
	if parent != dir && parent != "." {
		if err := f.makeDir(parent); err != nil {
			return err
		}
	}
	if err := f.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return f.syncDir(parent)
}

func (f files) syncDir(dir string) error {
	d, err := f.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (f files) read(path string) ([]byte, error) {
	file, err := f.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(file)
}

// replace writes the file whole or not at all, also across a power loss.
func (f files) replace(path string, content []byte) error {
	temporary := path + ".new"
	file, err := f.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := f.Rename(temporary, path); err != nil {
		return err
	}
	return f.syncDir(f.PathDir(path))
}

func (f files) exists(path string) (bool, error) {
	_, err := f.Stat(path)
	if oserror.IsNotExist(err) {
		return false, nil
	}
	return err == nil, err
}

// place resolves the directory and its file system. A relative path on disk is
// made absolute: the lock is known by its name within one process.
func place(o Options) (files, string, error) {
	switch {
	case o.files.FS != nil:
		return o.files, o.Dir, nil
	case o.Memory != nil:
		return files{o.Memory.fs}, o.Dir, nil
	}
	dir, err := filepath.Abs(o.Dir)
	return files{onDisk{vfs.Default}}, dir, err
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
