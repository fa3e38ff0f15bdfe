package disk

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"

	"audiences/journal/embedded/damage"
)

// StoreFiles is the file system as the store sees it, for one opening of it.
type StoreFiles struct {
	Files
	Logs   *damage.LogCheck // judges the logs that are replayed
	Room   *Room            // is told what is written
	Home   *Home            // is told which log is the newest; nil in memory
	Opened *atomic.Bool     // a write that fails from here on is the end
	Fail   func(error)      // is called for that
}

// Open checks a WAL file before the store replays it. Only here it is known which
// of them are replayed: others may lie about, torn or damaged, that are in tables already.
func (f StoreFiles) Open(name string, options ...vfs.OpenOption) (vfs.File, error) {
	if number, ok := f.logNumber(name); ok {
		content, err := f.Read(name)
		if err == nil {
			err = f.Logs.Check(damage.Log{Number: number, Content: content})
		}
		if err != nil {
			return nil, err
		}
	}
	return f.FS.Open(name, options...)
}

func (f StoreFiles) logNumber(name string) (number uint32, ok bool) {
	n, _, ok := wal.ParseLogFilename(f.PathBase(name))
	return uint32(n), ok
}

// Create makes a file. Before a marker file, which names the MANIFEST to open with, it
// syncs the directory. Pebble syncs it only after it has made both, so a power loss could
// leave a marker without its MANIFEST, and a sound store would look damaged.
func (f StoreFiles) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(f.PathBase(name), "marker.") {
		if err := f.SyncDir(f.PathDir(name)); err != nil {
			return nil, f.failed(useOf(category), name, err)
		}
	}
	file, err := f.FS.Create(name, category)
	return f.made(file, name, category, err)
}

// ReuseForWrite begins a log in the place of an old one.
func (f StoreFiles) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(old, name, category)
	return f.made(file, name, category, err)
}

func (f StoreFiles) made(file vfs.File, name string, category vfs.DiskWriteCategory, err error) (vfs.File, error) {
	use := useOf(category)
	if _, isLog := f.logNumber(name); err == nil && isLog {
		if err = f.Home.Began(name); err != nil {
			_ = file.Close()
		}
	}
	if err != nil {
		return nil, f.failed(use, name, err)
	}
	return &storeFile{File: file, name: name, use: use, files: f}, nil
}

// OpenDir opens a directory to sync it.
func (f StoreFiles) OpenDir(name string) (vfs.File, error) {
	dir, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, f.failed(forRecords, name, err)
	}
	return &storeFile{File: dir, name: name, use: forRecords, files: f}, nil
}

// Remove makes room, which somebody may wait for.
func (f StoreFiles) Remove(name string) error {
	err := f.FS.Remove(name)
	f.Room.Signal()
	return err
}

// use is what a file is written for: that decides who may have the last of the disk.
type use int

const (
	forRecords    use = iota // log, MANIFEST and what else the store cannot go on without
	forFlush                 // a table of what is in the log
	forCompaction            // a table of what is in other tables
)

func useOf(category vfs.DiskWriteCategory) use {
	switch category {
	case "pebble-memtable-flush":
		return forFlush
	case "pebble-compaction", "pebble-blob-file-rewrite":
		return forCompaction
	}
	return forRecords
}

// afterFailure keeps the store from trying a flush or a compaction that fails a
// thousand times a second.
const afterFailure = 100 * time.Millisecond

// failed is told each write that fails. A table can be written again. All else is the
// end of an open store, and it must be the end here: the store panics then, or
// unlocks a mutex twice, and Go ends the process with a stack trace.
func (f StoreFiles) failed(use use, name string, err error) error {
	switch {
	case use != forRecords:
		time.Sleep(afterFailure)
	case f.Opened.Load():
		f.Fail(fmt.Errorf("write journal: %s: %w", f.PathBase(name), err))
	}
	return err
}

// storeFile tells the room what it writes.
type storeFile struct {
	vfs.File
	name  string
	use   use
	files StoreFiles
}

func (f *storeFile) Write(p []byte) (n int, err error) {
	room := f.files.Room
	switch {
	case f.use == forFlush && f.files.Opened.Load(): // Open returns an error instead
		err = room.flush(int64(len(p)))
	case f.use == forCompaction:
		err = room.compact(int64(len(p)))
	}
	if err == nil {
		n, err = f.File.Write(p)
		room.Wrote(int64(n))
	}
	return n, f.told(err)
}

// Preallocate may fail where the file system knows nothing of it; then nothing is taken.
func (f *storeFile) Preallocate(offset, length int64) error {
	err := f.File.Preallocate(offset, length)
	if err == nil {
		f.files.Room.Wrote(length)
	}
	return err
}

func (f *storeFile) Sync() error     { return f.told(f.File.Sync()) }
func (f *storeFile) SyncData() error { return f.told(f.File.SyncData()) }
func (f *storeFile) Close() error    { return f.told(f.File.Close()) }

func (f *storeFile) SyncTo(length int64) (fullSync bool, err error) {
	fullSync, err = f.File.SyncTo(length)
	return fullSync, f.told(err)
}

func (f *storeFile) told(err error) error {
	if err != nil {
		return f.files.failed(f.use, f.name, err)
	}
	return nil
}
