package journal

import (
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Free is the number of bytes that this process may still write to the file
// system of the journal's directory; math.MaxUint64 where that has no limit, in
// [Memory]. It asks the file system, which may hang where the disk does.
func (j *Journal) Free() (uint64, error) {
	usage, err := j.files.GetDiskUsage(j.options.Dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return math.MaxUint64, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read free space of journal's disk: %w", err)
	}
	return usage.AvailBytes, nil
}
