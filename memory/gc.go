package memory

import (
	"cmp"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// How much garbage may pile up before it is collected: a part of what is in use,
// but never less than the least.
//
// Go's default of 100 % is for heaps full of pointers. Here nearly everything is
// sets of numbers and pages of the journal, which cost next to nothing to mark, and
// memory is what a container is short of: hence gcPercent. But of a small heap,
// and a relay that keeps up has one, half is so little that a busy relay would
// collect dozens of times a second: hence the least, which only a memory limit
// makes less.
const gcPercent = 50

// leastGarbage is in bytes.
func leastGarbage(b Budget) int64 { return cmp.Or(b.Garbage, usualGarbage) }

// tuneGC sets the percentage for what is in use now, and again after every
// collection: that is when the runtime lets go of the sentinel.
func tuneGC(least int64) {
	debug.SetGCPercent(percentOf(inUse(), least))
	sentinel := new([64]byte)
	runtime.AddCleanup(sentinel, tuneGC, least)
}

// percentOf is the percentage for so many bytes in use. The runtime collects at
// 4 MiB of heap with 100 %, and in proportion, whatever less is in use.
func percentOf(inUse uint64, least int64) int {
	const runtimeLeast = 4 << 20
	return max(gcPercent, int(100*uint64(least)/max(inUse, runtimeLeast)))
}

// inUse is what the last collection left, in bytes; 0 before the first one.
func inUse() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}
