package embedded

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"audiences/journal/embedded/disk"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Inspection is what an Open would find.
type Inspection struct {
	New    bool    // there is no journal yet: Open would make one
	Holder int     // the process that has the journal open; 0: none; -1: one that this process cannot see
	Faults []error // why Open would refuse; Holder is not among them
	Damage error   // the store is damaged: Open would set it aside and begin an empty one
	Lesser error   // something beside the store is damaged: Open would set that aside and use the store
	Room   string  // what to know of the room on its disk; "": nothing
	Free   uint64  // bytes that this process may still write to the directory's disk
}

// Inspect looks at what Open needs, and changes nothing, not even the time of a
// file. A store that a process has open is not looked into: it changes meanwhile.
// Damage in tables shows only when they are read, as it does after Open. Inspect is
// not for the process that has the journal open: it would lose its lock.
func Inspect(options Options) (found Inspection) {
	options.Fatal = func(err error) { panic(err) }
	options.CacheBytes, options.MemTableBytes = defaultCacheBytes, disk.LargestUnit
	place, dir, err := place(options)
	if err != nil {
		return Inspection{Faults: []error{fmt.Errorf("open journal: %w", err)}}
	}
	options.Dir = dir
	j := &Journal{options: options, log: options.Logger, files: disk.Files{FS: disk.ReadOnly{FS: place.FS}}}
	j.inspectPlace(&found)
	found.Holder, err = holder(place.PathJoin(dir, "LOCK"))
	found.add(err)
	known, err := j.checkIn()
	if errors.Is(err, disk.ErrWouldWrite) {
		found.New = true
		return found
	}
	if err != nil {
		found.add(err)
		return found
	}
	if found.Holder == 0 && j.room != nil {
		found.add(j.inspectStore(known.Store, &found))
	}
	return found
}

func (i *Inspection) add(fault error) {
	if fault != nil {
		i.Faults = append(i.Faults, fault)
	}
}

// inspectPlace looks at the directories, or at the one in which they would be made.
func (j *Journal) inspectPlace(found *Inspection) {
	dir := j.options.Dir
	for there := false; ; dir = j.files.PathDir(dir) {
		var err error
		if there, err = j.files.Exists(dir); err != nil && !errors.Is(err, syscall.ENOTDIR) {
			found.add(fmt.Errorf("look at journal directory: %w", err))
			return
		}
		if there || j.files.PathDir(dir) == dir {
			break
		}
	}
	if info, err := j.files.Stat(dir); err != nil || !info.IsDir() {
		found.add(fmt.Errorf("%s is not a directory", dir))
		return
	}
	for _, path := range []string{dir, j.storeDir(), j.files.PathJoin(j.options.Dir, "LOCK")} {
		found.add(writable(path))
	}
	found.add(j.inspectRoom(dir, found))
}

// inspectRoom is the part of open that sees to the room.
func (j *Journal) inspectRoom(dir string, found *Inspection) error {
	usage := func() (vfs.DiskUsage, error) { return j.files.GetDiskUsage(dir) }
	room, err := disk.NewRoom(usage, j.options.MinFreeBytes)
	if err != nil {
		return err
	}
	j.room, found.Room = room, room.Warning()
	free, least := room.Free(), openUnits*room.Unit()
	if ballast := disk.NewBallast(j.files, j.options.Dir, room.Unit()); ballast.There() {
		free += ballast.Size()
	}
	if found.Free = uint64(free); free < least {
		return fmt.Errorf("the disk of %s has %d KiB left, and opening needs %d KiB", dir, free>>10, least>>10)
	}
	return nil
}

// writable asks the system whether this process may write to what is there.
func writable(path string) error {
	const read, write, enter = 4, 2, 1
	mode := uint32(read | write)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		mode |= enter
	}
	err := syscall.Access(path, mode)
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return &fs.PathError{Op: "write", Path: path, Err: err}
}

// holder is the process that holds the lock.
func holder(path string) (pid int, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look at journal's lock: %w", err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return 0, fmt.Errorf("lock journal: %s is not a file", path)
	}
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	if err := syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &lock); err != nil {
		return 0, fmt.Errorf("look at journal's lock: %w", err)
	}
	switch {
	case lock.Type == syscall.F_UNLCK:
		return 0, nil
	case lock.Pid <= 0: // in another container
		return -1, nil
	}
	return int(lock.Pid), nil
}

// inspectStore opens the store for reading.
func (j *Journal) inspectStore(mustExist bool, found *Inspection) error {
	err := j.checkStore()
	if errors.Is(err, disk.ErrWouldWrite) { // it would set the options aside
		found.Lesser = errors.New("the options file of the journal's store is damaged")
		j.files = disk.Files{FS: disk.ReadOnly{FS: j.files.FS.(disk.ReadOnly).FS, NoOptions: true}}
		err = j.checkStore()
	}
	if err == nil {
		err = j.openAndClose()
	}
	switch {
	case err == nil, !mustExist && errors.Is(err, pebble.ErrDBDoesNotExist):
		return nil
	case isDamage(err):
		found.Damage = err
		return nil
	}
	return err
}

func (j *Journal) openAndClose() (err error) {
	defer func() {
		if r := recover(); r != nil { // some damage shows as a panic of Pebble
			err = fmt.Errorf("open store: %w: %v", pebble.ErrCorruption, r)
		}
	}()
	options := j.storeOptions(true)
	options.ReadOnly = true
	options.Experimental.CompactionScheduler = newCompactions()
	db, err := pebble.Open(j.storeDir(), options)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	return db.Close()
}
