package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"audiences/journal/embedded/damage"
	"audiences/journal/embedded/disk"
)

// openStore opens the store, and sets it aside when that fails through damage.
//
// Why not save the part of it that can be read: what was lost can be the newer
// verb of a key whose older one is still there. Sending the older one would
// undo what Split has already, or was asked for since (I2). An empty journal sends
// nothing wrong; what it misses is in the set-aside store, and reported.
func (j *Journal) openStore(mustExist bool) error {
	err := j.tryStore(mustExist)
	if err == nil || !isDamage(err) || j.options.Moving {
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
	j.allowCompactions = time.AfterFunc(compactAfter, j.compactions.begin)
	return nil
}

// newHome is nil but on disk.
func (j *Journal) newHome() (*disk.Home, error) {
	if j.options.Memory != nil || j.options.files.FS != nil {
		return nil, nil
	}
	if err := j.files.MakeDir(j.storeDir()); err != nil {
		return nil, fmt.Errorf("create journal's store: %w", err)
	}
	return disk.NewHome(j.storeDir())
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
	manifest, err := j.files.Read(found.ManifestFilename)
	if err != nil {
		return nil
	}
	return damage.CheckManifest(manifest)
}

// checkOptions puts a damaged OPTIONS file out of the way. It only describes how
// the store was opened last, which is fixed by our format number, so it is not
// worth giving up the store; Pebble would refuse to start.
func (j *Journal) checkOptions(path string) error {
	text, err := j.files.Read(path)
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
	return errors.Join(j.files.SyncDir(j.storeDir()), j.files.SyncDir(j.options.Dir))
}

var errNewerStore = errors.New("open store: it was written by a newer program")

// isDamage tells what is wrong with the files from what is wrong with the machine:
// missing rights, a full or failing disk and the like are mended by the operator,
// and the store must stay where it is.
func isDamage(err error) bool {
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
	present, err := j.files.Exists(j.storeDir())
	if err != nil {
		return "", err
	}
	if !present { // vanished: an empty directory stands for it
		return aside, j.files.MakeDir(aside)
	}
	if err := j.files.Rename(j.storeDir(), aside); err != nil {
		return "", err
	}
	return aside, j.files.SyncDir(j.options.Dir)
}

// freeName is a path damaged-TIME that nothing has yet.
func (j *Journal) freeName() (string, error) {
	stamp := j.files.PathJoin(j.options.Dir, setAsidePrefix+time.Now().UTC().Format("20060102T150405Z"))
	name := stamp
	for n := 2; ; n++ {
		taken, err := j.files.Exists(name)
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
