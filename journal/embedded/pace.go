package embedded

import (
	"sync/atomic"
	"time"
)

// pace keeps fsyncs apart while there are several callers. An fsync costs as much
// processor time for one change as for a hundred. Made back to back, each has only
// what came in during the one before, which at some thousand changes a second is
// one or two, and then the fsync is most of what a change costs.
//
// A caller who is alone never waits for it: it begins with the first group that
// has the changes of several, and ends with the first one that has not.
type pace struct{ apart atomic.Int64 }

// fsyncsApart is about as long as an fsync takes: a change waits for two of them
// at most, and at 4,000 changes a second a fourth less of a processor is needed.
// Twice as long saves little more, and a relay with 50 callers gets slower.
const fsyncsApart = 500 * time.Microsecond

// follow takes in how many operations the group has that is about to be written.
func (p *pace) follow(operations int) {
	apart := time.Duration(0)
	if operations > 1 {
		apart = fsyncsApart
	}
	p.apart.Store(int64(apart))
}

// interval is the least time from the end of one fsync to the next one.
func (p *pace) interval() time.Duration { return time.Duration(p.apart.Load()) }
