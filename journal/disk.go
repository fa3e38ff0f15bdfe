package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// CheckDisk looks at the disk of a journal's directory, or of the nearest one above it
// that exists. An error says that Open would refuse it; a warning, that changes would
// find less room than minFreeBytes (Options.MinFreeBytes) lets one expect.
func CheckDisk(dir string, minFreeBytes int64) (warning string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("look at journal's disk: %w", err)
	}
	usage, err := vfs.Default.GetDiskUsage(dir)
	for errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		dir = filepath.Dir(dir)
		usage, err = vfs.Default.GetDiskUsage(dir)
	}
	if err != nil {
		return "", fmt.Errorf("look at journal's disk: %w", err)
	}
	return diskWarning(usage, minFreeBytes), tooSmall(usage)
}

func tooSmall(disk vfs.DiskUsage) error {
	if disk.TotalBytes < leastDisk {
		return fmt.Errorf("journal's disk has %d MiB: it needs %d MiB at least", disk.TotalBytes>>20, leastDisk>>20)
	}
	return nil
}

// diskWarning is "" where there is nothing to say.
func diskWarning(disk vfs.DiskUsage, wanted int64) string {
	switch least := leastOf(disk, wanted); {
	case least != wanted:
		return fmt.Sprintf("the journal's disk has %d MiB, less than minFreeDiskBytes (%d MiB): %d MiB are kept free instead", disk.TotalBytes>>20, wanted>>20, least>>20)
	case uint64(wanted) > disk.TotalBytes/2:
		return fmt.Sprintf("minFreeDiskBytes (%d MiB) is more than half of the journal's disk (%d MiB)", wanted>>20, disk.TotalBytes>>20)
	}
	return ""
}
