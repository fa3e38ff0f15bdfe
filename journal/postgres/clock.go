package postgres

import (
	"sync"
	"time"
)

// clock knows the database's clock: what it said, and when that answer came by ours. What
// passes since is measured by the monotonic clock, which nobody sets.
type clock struct {
	mu         sync.Mutex
	said, came time.Time
}

// heard takes an answer over. By then the database's clock had gone on by a round trip at
// most. Where that fits what is known, it stays: an answer that was slow tells less.
func (c *clock) heard(said, sent, came time.Time) {
	known := c.at(came)
	if !known.Before(said) && known.Sub(said) <= came.Sub(sent) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said, c.came = said, came
}

// at is the database's time at a moment of ours. It is behind by the way of one answer at
// most, and ahead by no more than that where the two clocks go at different rates.
func (c *clock) at(ours time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said.Add(ours.Sub(c.came))
}
