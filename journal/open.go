package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Open opens the journal in Options.Dir, or makes a new one. It refuses, and
// changes nothing, when the directory is in use by another process, was written
// by a newer program, or with another key. A store that is damaged is set aside
// (see SetAside) and replaced by an empty one: the process always starts (I8).
func Open(options Options) (*Journal, error) {
	if options.Fatal == nil {
		options.Fatal = func(err error) { panic(err) }
	}
	options.CacheBytes = cmp.Or(options.CacheBytes, defaultCacheBytes)
	options.MemTableBytes = cmp.Or(options.MemTableBytes, largestUnit)
	options.OpenTables = cmp.Or(options.OpenTables, defaultOpenTables)
	files, dir, err := place(options)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	options.Dir = dir
	j := &Journal{options: options, log: options.Logger, files: files, metrics: newMetrics(options.Registerer),
		tally: newTally(options.Reasons, options.Registerer)}
	if err := files.makeDir(dir); err != nil {
		return nil, fmt.Errorf("create journal directory: %w", err)
	}
	if j.lock, err = lock(files, dir); err != nil {
		return nil, err
	}
	if err := j.open(); err != nil {
		return nil, errors.Join(err, j.lock.Close())
	}
	j.queue = newQueue[operation](func(n int) { j.metrics.queue.Set(float64(n)) })
	j.reads, j.counts = newQueue[func()](func(int) {}), newQueue[func()](func(int) {})
	j.start()
	return j, nil
}

func lock(f files, dir string) (closer interface{ Close() error }, err error) {
	closer, err = f.Lock(f.PathJoin(dir, "LOCK"))
	var path *fs.PathError
	if errors.As(err, &path) {
		return nil, fmt.Errorf("lock journal: %w", err)
	}
	if err != nil { // a bare errno, or words, for a lock that is held
		return nil, fmt.Errorf("journal directory %s is in use by another process", dir)
	}
	return closer, nil
}

// open does what needs the lock.
func (j *Journal) open() error {
	if err := j.makeRoom(); err != nil {
		return err
	}
	known, err := j.checkIn()
	if err != nil {
		return err
	}
	if err := j.openStore(known.Store); err != nil {
		return err
	}
	if !known.Store {
		known.Store = true
		err = writeFormat(j.files, j.options.Dir, known)
	}
	if err == nil {
		err = j.forgetIdleTenants()
	}
	if err == nil {
		err = j.countSetAside()
	}
	if err != nil {
		return errors.Join(err, j.db.Close())
	}
	j.parked = readParkedSet(j.db)
	j.keeper = newKeeper(j)
	j.keeper.look() // before the first change
	return nil
}

// openUnits is the room that Open needs at least: a new log, a new MANIFEST and the
// files beside them.
const openUnits = 2

// makeRoom sees to the room that Open needs: what the logs hold goes into tables then.
// A store that the last process left in the middle of a compaction gives room back
// once it is open, so the ballast is enough.
func (j *Journal) makeRoom() (err error) {
	dir := j.options.Dir
	usage := func() (vfs.DiskUsage, error) { return j.files.GetDiskUsage(dir) }
	if j.room, err = newRoom(usage, j.options.MinFreeBytes); err != nil {
		return fmt.Errorf("open journal in %s: %w", dir, err)
	}
	if j.room.warning != "" {
		j.log.Warn().Msg(j.room.warning)
	}
	j.ballast = newBallast(j.files, dir, j.room.unit)
	least := openUnits * j.room.unit
	if j.room.free.Load() < least+j.logSize() && j.ballast.giveUp() {
		j.log.Warn().Msg("the journal's disk is nearly full: the journal's ballast was given up for the start")
		if err := j.room.look(); err != nil {
			return err
		}
	}
	if free := j.room.free.Load(); free < least {
		return fmt.Errorf("open journal in %s: its disk has %d KiB left, and opening needs %d KiB", dir, free>>10, least>>10)
	}
	return nil
}

// logSize is the size of all logs; there is none in a new journal.
func (j *Journal) logSize() (size int64) {
	names, _ := j.files.List(j.storeDir())
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			if info, err := j.files.Stat(j.files.PathJoin(j.storeDir(), name)); err == nil {
				size += info.Size()
			}
		}
	}
	return size
}

// checkIn makes all the checks that come before the store, and for a new journal
// the files that they need.
func (j *Journal) checkIn() (format, error) {
	dir, keyFile := j.options.Dir, j.options.KeyFile
	known, found, err := readFormat(j.files, dir)
	if err != nil {
		return format{}, err
	}
	own := keyFile == ""
	if own {
		keyFile = j.files.PathJoin(dir, "journal.key")
	}
	if found {
		if j.vault, err = readKey(j.files, keyFile); errors.Is(err, fs.ErrNotExist) {
			return format{}, fmt.Errorf("open journal in %s: the key file %s that it was written with is missing", dir, keyFile)
		}
		if err == nil && j.vault.check != known.KeyCheck {
			err = fmt.Errorf("open journal in %s: the key in %s is not the one that this journal was written with", dir, keyFile)
		}
		return known, err
	}
	if exists, err := j.files.exists(j.storeDir()); err != nil || exists {
		return format{}, errors.Join(fmt.Errorf("open journal in %s: there is a store but no FORMAT file; nothing was changed", dir), err)
	}
	if own {
		j.vault, err = readOrMakeKey(j.files, keyFile)
	} else {
		j.vault, err = readKey(j.files, keyFile)
	}
	if err != nil {
		return format{}, err
	}
	known = format{Format: formatVersion, Created: time.Now().UTC(), KeyCheck: j.vault.check}
	return known, writeFormat(j.files, dir, known)
}

func (j *Journal) storeDir() string { return j.files.PathJoin(j.options.Dir, "store") }

// openStore opens the store, and sets it aside when that fails through damage.
//
// Why not save the part of it that can be read: what was lost can be the newer
// verb of a key whose older one is still there. Sending the older one would
// undo what Split has already, or was asked for since (I2). An empty journal sends
// nothing wrong; what it misses is in the set-aside store, and reported.
func (j *Journal) openStore(mustExist bool) error {
	err := j.tryStore(mustExist)
	if err == nil || !damage(err) {
		return err
	}
	aside, moveErr := j.moveAside()
	if moveErr != nil {
		return fmt.Errorf("set damaged journal aside: %w", errors.Join(moveErr, err))
	}
	j.setAside = aside
	j.log.Error().Err(err).Str("setAside", aside).
		Msg("the journal's store is damaged: it was set aside, and the relay starts with an empty one")
	return j.tryStore(false)
}

func (j *Journal) tryStore(mustExist bool) error {
	if mustExist {
		if err := j.checkStore(); err != nil {
			return err
		}
	}
	return j.callStore(mustExist)
}

// compactAfter is how long after its opening the store does not compact. Within it
// the relay reads what it has to know before it is ready.
const compactAfter = 5 * time.Second

// callStore turns a panic of Pebble into an error: some damage shows as one.
func (j *Journal) callStore(mustExist bool) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("open store: %w: %v", pebble.ErrCorruption, r)
		}
	}()
	if j.home, err = j.newHome(); err != nil {
		return err
	}
	j.compactions = newCompactions()
	options := j.storeOptions(mustExist)
	options.Experimental.CompactionScheduler = j.compactions
	// Of its own, as the one that Pebble makes holds 64 files at least.
	options.FileCache = pebble.NewFileCache(2, j.options.OpenTables)
	defer options.FileCache.Unref()
	if j.db, err = pebble.Open(j.storeDir(), options); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	j.rest = time.AfterFunc(compactAfter, j.compactions.begin)
	return nil
}

// newHome is nil but on disk.
func (j *Journal) newHome() (*home, error) {
	if j.options.Memory != nil || j.options.files.FS != nil {
		return nil, nil
	}
	if err := j.files.makeDir(j.storeDir()); err != nil {
		return nil, fmt.Errorf("create journal's store: %w", err)
	}
	return newHome(j.storeDir())
}

// checkStore looks at what Pebble would not report: a version that is newer than
// ours (our own format number covers that as long as nobody forgets to raise it),
// and a damaged MANIFEST. What cannot be read at all is left to Pebble to report.
func (j *Journal) checkStore() error {
	found, err := pebble.Peek(j.storeDir(), j.files.FS)
	if err != nil || !found.Exists {
		return nil
	}
	if found.FormatMajorVersion > storeFormat {
		return errNewerStore
	}
	if err := j.checkOptions(found.OptionsFilename); err != nil {
		return err
	}
	manifest, err := j.files.read(found.ManifestFilename)
	if err != nil {
		return nil
	}
	return checkManifest(manifest)
}

// checkOptions puts a damaged OPTIONS file out of the way. It only describes how
// the store was opened last, which is fixed by our format number, so it is not
// worth giving up the store; Pebble would refuse to start.
func (j *Journal) checkOptions(path string) error {
	text, err := j.files.read(path)
	if err != nil {
		return nil
	}
	options := j.storeOptions(true)
	options.EnsureDefaults()
	reason := options.CheckCompatibility(j.storeDir(), string(text))
	if reason == nil {
		return nil
	}
	aside, err := j.freeName()
	if err != nil {
		return err
	}
	aside += "-" + j.files.PathBase(path)
	j.log.Error().Err(reason).Str("setAside", aside).Msg("the options file of the journal's store is damaged: it was set aside, the store itself is used")
	if err := j.files.Rename(path, aside); err != nil {
		return err
	}
	return errors.Join(j.files.syncDir(j.storeDir()), j.files.syncDir(j.options.Dir))
}

var errNewerStore = errors.New("open store: it was written by a newer program")

// damage tells what is wrong with the files from what is wrong with the machine:
// missing rights, a full or failing disk and the like are mended by the operator,
// and the store must stay where it is.
func damage(err error) bool {
	var code syscall.Errno
	switch {
	case errors.Is(err, errNewerStore), strings.Contains(err.Error(), "unknown format major version"):
		return false
	case pebble.IsCorruptionError(err), errors.Is(err, pebble.ErrDBDoesNotExist), errors.Is(err, fs.ErrNotExist):
		return true
	case errors.Is(err, fs.ErrPermission), errors.As(err, &code):
		return false
	}
	return true
}

// moveAside renames the store to damaged-TIME, beside any earlier one.
func (j *Journal) moveAside() (string, error) {
	aside, err := j.freeName()
	if err != nil {
		return "", err
	}
	present, err := j.files.exists(j.storeDir())
	if err != nil {
		return "", err
	}
	if !present { // vanished: an empty directory stands for it
		return aside, j.files.makeDir(aside)
	}
	if err := j.files.Rename(j.storeDir(), aside); err != nil {
		return "", err
	}
	return aside, j.files.syncDir(j.options.Dir)
}

// freeName is a path damaged-TIME that nothing has yet.
func (j *Journal) freeName() (string, error) {
	stamp := j.files.PathJoin(j.options.Dir, setAsidePrefix+time.Now().UTC().Format("20060102T150405Z"))
	name := stamp
	for n := 2; ; n++ {
		taken, err := j.files.exists(name)
		if err != nil || !taken {
			return name, err
		}
		name = fmt.Sprintf("%s-%d", stamp, n)
	}
}

const setAsidePrefix = "damaged-"

func (j *Journal) countSetAside() error {
	names, err := j.files.List(j.options.Dir)
	n := 0
	for _, name := range names {
		if strings.HasPrefix(name, setAsidePrefix) {
			n++
		}
	}
	j.metrics.setAside.Set(float64(n))
	return err
}
