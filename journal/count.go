package journal

import (
	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
)

// MaxParkedCount is where the count of a segment's parked keys stops.
const MaxParkedCount = 1_000_000

// countStep is how many records are counted before pages get their turn.
const countStep = 10_000

// Count asks how many keys a segment has. That means to look at each of them, ten
// million in seconds, so it is the last thing that the journal does: one count at
// a time, while no Load waits for a reader.
type Count struct {
	Segment audience.Segment
	Done    func(Counts) // called once, from a goroutine of the journal; must not wait for anything
}

// Counts is the answer to Count. When Err is set, some could not be read, and
// there may be more than what was counted.
type Counts struct {
	Pending int
	Parked  int // counting stops at MaxParkedCount
	Err     error
}

// Count sees every write that was handed in before it and none after, however
// late it is carried out. Close does not wait for it. It never waits.
func (j *Journal) Count(c Count) {
	j.submit(operation{
		tenants: tenantOnly(c.Segment.Tenant),
		late:    true,
		read:    func(s *pebble.Snapshot) { c.Done(j.count(s, idOf(c.Segment))) },
		done: func(err error) {
			if err != nil {
				c.Done(Counts{Err: err})
			}
		},
	})
}

func (j *Journal) count(s *pebble.Snapshot, id segmentID) (c Counts) {
	c.Pending, c.Err = j.countRecords(s, head(prefixPending, id), 0)
	if c.Err == nil && j.parked.mayHave(id) {
		c.Parked, c.Err = j.countRecords(s, head(prefixParked, id), MaxParkedCount)
	}
	return c
}

// countRecords stops at most, where that is not 0.
func (j *Journal) countRecords(s *pebble.Snapshot, prefix []byte, most int) (n int, err error) {
	err = scan(s, prefix, Cursor{}, func(_, _ []byte) (bool, error) {
		if n%countStep == 0 && !j.reads.idle() {
			return false, ErrClosed
		}
		n++
		return n != most, nil
	})
	return n, err
}
