package disk

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrWouldWrite ends what would change a file.
var ErrWouldWrite = errors.New("a look changes nothing")

// ReadOnly is a file system that nothing is changed in.
type ReadOnly struct {
	vfs.FS
	NoOptions bool // the store's OPTIONS files are out of sight
}

func (ReadOnly) Create(string, vfs.DiskWriteCategory) (vfs.File, error) { return nil, ErrWouldWrite }
func (ReadOnly) Link(_, _ string) error                                 { return ErrWouldWrite }
func (ReadOnly) Remove(string) error                                    { return ErrWouldWrite }
func (ReadOnly) RemoveAll(string) error                                 { return ErrWouldWrite }
func (ReadOnly) Rename(_, _ string) error                               { return ErrWouldWrite }
func (ReadOnly) MkdirAll(string, os.FileMode) error                     { return ErrWouldWrite }
func (ReadOnly) OpenReadWrite(string, vfs.DiskWriteCategory, ...vfs.OpenOption) (vfs.File, error) {
	return nil, ErrWouldWrite
}
func (ReadOnly) ReuseForWrite(_, _ string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, ErrWouldWrite
}

// Lock gives a lock that holds nothing off: nobody else has the journal open, and
// nothing is written.
func (ReadOnly) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Unwrap keeps whoever looks for a disk below from finding one to write to.
func (ReadOnly) Unwrap() vfs.FS { return nil }

// List leaves out what is out of sight.
func (f ReadOnly) List(dir string) ([]string, error) {
	names, err := f.FS.List(dir)
	if !f.NoOptions {
		return names, err
	}
	var seen []string
	for _, name := range names {
		if !strings.HasPrefix(name, "OPTIONS-") {
			seen = append(seen, name)
		}
	}
	return seen, err
}
