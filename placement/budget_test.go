package placement

import (
	"math/rand/v2"
	"testing"
	"time"

	"audiences/audience"
)

// crew is the nodes of one address, which together would make twice the calls that it may.
type crew struct {
	*testing.T
	in     *table
	random *rand.Rand
	skewed bool // one slot has all that is to be delivered
	begun  NodeID
	all    []*member
}

const addressRate = 40. // calls a second

func (c *crew) begin() {
	c.begun++
	away := time.Duration(1+c.random.IntN(5)) * time.Millisecond
	c.all = append(c.all, join(c.T, c.in, c.begun, func(o *Options) { o.Table.(*side).delay = away }))
}

// kill ends the oldest node, which says nothing.
func (c *crew) kill() {
	c.all[0].end()
	c.all[0].drop()
	c.all = c.all[1:]
}

// calls is what part of the address's rate is in use now.
func (c *crew) calls() (used float64) {
	for _, n := range c.all {
		n.mu.Lock()
		part := float64(n.owned.Len()) / audience.SlotCount
		if c.skewed {
			part = float64(n.owned.And(onlySlot).Len())
		}
		wants := 2 * addressRate * part
		n.demand = min(wants, n.share*addressRate)
		used += n.demand / addressRate
		if n.demand < wants {
			n.demand += 20 * part // tenants wait
		}
		n.mu.Unlock()
	}
	return used
}

var onlySlot = func() (slots audience.Slots) {
	slots.Add(7)
	return slots
}()

// TestBudget: nodes of one address that always have something to send use what it may, and no
// more, while one is killed and another one joins every twenty seconds. What a dead one had
// is lost until its lease is over.
func TestBudget(t *testing.T) {
	const tick, window, every = 10 * time.Millisecond, 10 * time.Second, 20 * time.Second
	for _, skewed := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			c := &crew{T: t, in: newTable(), random: rand.New(rand.NewPCG(1, 2)), skewed: skewed}
			for range 3 {
				c.begin()
				time.Sleep(time.Duration(c.random.IntN(500)) * time.Millisecond)
			}
			time.Sleep(2 * lease)
			var used []float64
			var most, all float64
			for n := range int(4 * time.Minute / tick) {
				switch time.Duration(n) * tick % every {
				case 5 * time.Second:
					c.kill()
				case 7 * time.Second:
					c.begin()
				}
				now := c.calls()
				used, all, most = append(used, now), all+now, max(most, now)
				time.Sleep(tick)
			}
			var worst, recent float64
			for n := range used {
				recent += used[n]
				if n >= int(window/tick) {
					recent -= used[n-int(window/tick)]
				}
				worst = max(worst, recent/float64(window/tick))
			}
			mean := all / float64(len(used))
			t.Logf("skewed: %v: %.1f %% used; at most %.1f %% at a time, %.1f %% in %v", skewed, 100*mean, 100*most, 100*worst, window)
			if mean < 0.85 || most > 1.15 || worst > 1.002 {
				t.Errorf("skewed: %v: %.1f %% used; at most %.1f %% at a time, %.1f %% in %v", skewed, 100*mean, 100*most, 100*worst, window)
			}
			for _, n := range c.all {
				n.end()
			}
		})
	}
}
