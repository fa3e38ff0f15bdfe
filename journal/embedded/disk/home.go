package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"audiences/journal"
)

// Home is where the store's files have to be found. What has been opened goes on
// working after its directory was renamed, removed, replaced or mounted over, fsyncs
// included, into files that no start will ever open (I1). So the path is looked up
// again after each fsync and before its answers: two system calls, which take
// microseconds. Where the path leads to the same files again, all that was written
// meanwhile is in them, and changes are taken again.
type Home struct {
	dir placed                 // the store's directory
	log atomic.Pointer[placed] // the newest log: that is where an fsync goes
}

// placed is a file that is known by its path.
type placed struct {
	path string
	info os.FileInfo
}

func placedAt(path string) (placed, error) {
	info, err := os.Stat(path)
	return placed{path: path, info: info}, err
}

// NewHome is called once the store's directory is there.
func NewHome(storeDir string) (*Home, error) {
	dir, err := placedAt(storeDir)
	if err != nil {
		return nil, fmt.Errorf("look at journal's store: %w", err)
	}
	return &Home{dir: dir}, nil
}

// Began notes that the log at path is now the newest. It must be in the directory
// that the store was opened in: by its path it could have been made in another one.
func (h *Home) Began(path string) error {
	if h == nil {
		return nil
	}
	log, err := placedAt(path)
	if err != nil {
		return err
	}
	h.log.Store(&log)
	return h.Check()
}

// Check is nil while the paths lead to the files that are open. A nil home has none:
// a journal in memory.
func (h *Home) Check() error {
	if h == nil {
		return nil
	}
	if err := h.dir.check(); err != nil {
		return err
	}
	if log := h.log.Load(); log != nil {
		return log.check()
	}
	return nil
}

func (p placed) check() error {
	now, err := os.Stat(p.path)
	if err != nil {
		return fmt.Errorf("%w: %w", journal.ErrMoved, err)
	}
	if !os.SameFile(p.info, now) {
		return fmt.Errorf("%w: another %s is in its place", journal.ErrMoved, filepath.Base(p.path))
	}
	return nil
}
