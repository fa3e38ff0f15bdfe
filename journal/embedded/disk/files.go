package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Files is the file system that a journal lies on: the disk, or memory.
type Files struct{ vfs.FS }

// Default is the file system of this machine. Nobody else may read the files that it
// makes, as one of them holds a key.
var Default = Files{ownOnly{vfs.Default}}

type ownOnly struct{ vfs.FS }

func (ownOnly) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
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

// MakeDir makes the directory and those above it, each durable in its parent.
func (f Files) MakeDir(dir string) error {
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
		if err := f.MakeDir(parent); err != nil {
			return err
		}
	}
	if err := f.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return f.SyncDir(parent)
}

// SyncDir makes durable which files are in the directory.
func (f Files) SyncDir(dir string) error {
	d, err := f.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Read is the content of a file.
func (f Files) Read(path string) ([]byte, error) {
	file, err := f.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(file)
}

// Replace writes the file whole or not at all, also across a power loss.
func (f Files) Replace(path string, content []byte) error {
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
	return f.SyncDir(f.PathDir(path))
}

// Exists reports whether there is anything at the path.
func (f Files) Exists(path string) (bool, error) {
	_, err := f.Stat(path)
	if oserror.IsNotExist(err) {
		return false, nil
	}
	return err == nil, err
}
