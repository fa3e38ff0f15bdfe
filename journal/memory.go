package journal

import (
	"math/rand/v2"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Memory is a file system in memory that can lose its power, for tests. A
// journal on it makes no blocking system call: it can be opened, used and
// closed within a testing/synctest bubble.
type Memory struct{ fs *vfs.MemFS }

// NewMemory returns an empty one.
func NewMemory() *Memory { return &Memory{fs: vfs.NewCrashableMem()} }

// CrashClone is what is found after a power loss at this moment: all that was
// synced, and a random part of what was not (random nil: nothing of it). The
// journal on m may still be open, and stays unaffected.
func (m *Memory) CrashClone(random *rand.Rand) *Memory {
	config := vfs.CrashCloneCfg{}
	if random != nil {
		config = vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(101), RNG: random}
	}
	return &Memory{fs: m.fs.CrashClone(config)}
}
