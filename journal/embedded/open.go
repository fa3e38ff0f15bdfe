package embedded

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"audiences/journal"
	"audiences/journal/embedded/disk"
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
	options.MemTableBytes = cmp.Or(options.MemTableBytes, disk.LargestUnit)
	options.OpenTables = cmp.Or(options.OpenTables, defaultOpenTables)
	files, dir, err := place(options)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	options.Dir = dir
	j := &Journal{options: options, log: options.Logger, files: files, metrics: newMetrics(options.Registerer),
		tally: newTally(options.Reasons, options.Registerer)}
	if err := files.MakeDir(dir); err != nil {
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

func lock(f disk.Files, dir string) (closer interface{ Close() error }, err error) {
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
	defer func() { j.format = known }()
	if !known.Store || known.Format < formatVersion { // before the first record of this format
		known.Store, known.Format = true, formatVersion
		err = writeFormat(j.files, j.options.Dir, known)
	}
	if err == nil {
		err = j.forgetIdleTenants()
	}
	if err == nil {
		err = j.countSetAside()
	}
	if err == nil {
		err = j.openReceipts()
	}
	if err != nil {
		return errors.Join(err, j.db.Close())
	}
	j.parked = readParkedSet(j.db)
	j.readVersions()
	j.readEvents()
	j.keeper = newKeeper(j)
	j.keeper.look() // before the first change
	return nil
}

// readVersions reads which versions were given before; the journal starts in any case.
func (j *Journal) readVersions() {
	var err error
	if j.versions, err = readVersions(j.db); err != nil {
		j.log.Error().Err(err).Msg("damaged journal: which versions were given is not known, and higher ones are given from here on")
	}
	j.newest = &newest{start: journal.MakeVersion(thisNode, j.versions.next.Load())}
	for node := range j.versions.reserves {
		j.newest.many = j.newest.many || node != thisNode
	}
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
	if j.room, err = disk.NewRoom(usage, j.options.MinFreeBytes); err != nil {
		return fmt.Errorf("open journal in %s: %w", dir, err)
	}
	if j.room.Warning() != "" {
		j.log.Warn().Msg(j.room.Warning())
	}
	j.ballast = disk.NewBallast(j.files, dir, j.room.Unit())
	least := openUnits * j.room.Unit()
	if j.room.Free() < least+j.logSize() && j.ballast.GiveUp() {
		j.log.Warn().Msg("the journal's disk is nearly full: the journal's ballast was given up for the start")
		if err := j.room.Look(); err != nil {
			return err
		}
	}
	if free := j.room.Free(); free < least {
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
		if err == nil && j.vault.Check() != known.KeyCheck {
			err = fmt.Errorf("open journal in %s: the key in %s is not the one that this journal was written with", dir, keyFile)
		}
		if marked := known.Mark.Refusal(); err == nil && marked != nil && !j.options.Moving {
			err = fmt.Errorf("open journal in %s: %w", dir, marked)
		}
		return known, err
	}
	if exists, err := j.files.Exists(j.storeDir()); err != nil || exists {
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
	known = format{Format: formatVersion, Created: time.Now().UTC(), KeyCheck: j.vault.Check()}
	return known, writeFormat(j.files, dir, known)
}

func (j *Journal) storeDir() string { return j.files.PathJoin(j.options.Dir, "store") }

// formatVersion is the version of the keyspace and of the files around the store. 1 had
// no versions: its directories are read, and become 2.
const formatVersion = 2

// format is the content of the file FORMAT, which is read before anything else
// is touched.
type format struct {
	Format   int       `json:"format"`
	Created  time.Time `json:"created"`
	KeyCheck string    `json:"keyCheck"`
	Store    bool      `json:"store"` // the store was created: its absence is damage

	// Programs that do not know of marks refuse a file that has one, as they have to.
	Mark *journal.Mark `json:"mark,omitempty"`
}

// readFormat returns false when there is no file yet.
func readFormat(f disk.Files, dir string) (format, bool, error) {
	text, err := f.Read(f.PathJoin(dir, "FORMAT"))
	if errors.Is(err, fs.ErrNotExist) {
		return format{}, false, nil
	}
	if err != nil {
		return format{}, false, fmt.Errorf("read format of journal: %w", err)
	}
	var version struct {
		Format int `json:"format"`
	}
	if json.Unmarshal(text, &version) == nil && version.Format > formatVersion {
		return format{}, false, fmt.Errorf("journal in %s has format %d, this program knows up to %d: use a newer program", dir, version.Format, formatVersion)
	}
	var known format
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&known); err != nil || known.Format < 1 || known.KeyCheck == "" {
		return format{}, false, fmt.Errorf("journal in %s has an unreadable FORMAT file; nothing was changed", dir)
	}
	return known, true, nil
}

func writeFormat(f disk.Files, dir string, known format) error {
	if err := f.Replace(f.PathJoin(dir, "FORMAT"), append(encodeJSON(known), '\n')); err != nil {
		return fmt.Errorf("write format of journal: %w", err)
	}
	return nil
}
