package journal

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
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

// storeFiles is the file system as the store sees it, for one opening of it.
type storeFiles struct {
	files
	logs *logCheck
}

// Open checks a WAL file before the store replays it. Only here it is known which
// of them are replayed: others may lie about, torn or damaged, that are in tables already.
func (f storeFiles) Open(name string, options ...vfs.OpenOption) (vfs.File, error) {
	if number, _, ok := wal.ParseLogFilename(f.PathBase(name)); ok {
		content, err := f.read(name)
		if err == nil {
			err = f.logs.check(logFile{number: uint32(number), content: content})
		}
		if err != nil {
			return nil, err
		}
	}
	return f.FS.Open(name, options...)
}

// Create makes a file. A marker file names the
// MANIFEST to open with; Pebble syncs the directory after it made both, so that a
// power loss in between could leave the marker without what it names, and a
// sound store would look damaged. Here all that was made before it is durable first.
func (f storeFiles) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(f.PathBase(name), "marker.") {
		if err := f.syncDir(f.PathDir(name)); err != nil {
			return nil, err
		}
	}
	return f.FS.Create(name, category)
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
