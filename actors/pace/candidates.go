package pace

import (
	"container/list"
	"time"

	"audiences/audience"
)

// Candidates is the unproven tenants that have an actor. Of these there are some
// hundreds at most: when more come, others doze. Which ones is found by going round:
// the tenant that was looked at longest ago is looked at next. The zero value is
// empty.
type Candidates struct {
	order   list.List // of *candidate; who was looked at last is at its end
	members Table[audience.TenantID, *list.Element]
	woken   int // members that were woken for their turn, which is not over
}

type candidate struct {
	id    audience.TenantID
	woken time.Time // for its turn; zero: it was not, or its turn is over
	asked time.Time // to doze, the last time; before that, when it came
}

const (
	// turnTime is how long one that was woken for its turn may take to ask for a slot,
	// before another one is woken beside it. It has to read a page.
	turnTime = 5 * time.Second
	// DozeTime is how long a tenant may take to doze, before it is asked again.
	DozeTime = time.Second
)

// Len is the number of candidates.
func (c *Candidates) Len() int { return c.members.Len() }

// Woken is how many of them were woken for a turn that is not over.
func (c *Candidates) Woken() int { return c.woken }

// Add takes a tenant in; woken is when it was woken for its turn, or zero.
func (c *Candidates) Add(id audience.TenantID, woken, now time.Time) {
	c.members.Put(id, c.order.PushBack(&candidate{id: id, woken: woken, asked: now}))
	if !woken.IsZero() {
		c.woken++
	}
}

// Remove takes a tenant out, if it is a candidate.
func (c *Candidates) Remove(id audience.TenantID) {
	if e := c.members.Get(id); e != nil {
		c.EndTurn(id)
		c.order.Remove(e)
		c.members.Delete(id)
	}
}

// EndTurn notes that a tenant had its turn, if it is a candidate.
func (c *Candidates) EndTurn(id audience.TenantID) {
	if e := c.members.Get(id); e != nil {
		c.endTurn(e.Value.(*candidate))
	}
}

func (c *Candidates) endTurn(m *candidate) {
	if !m.woken.IsZero() {
		m.woken = time.Time{}
		c.woken--
	}
}

// EndTurns ends the turns that have lasted too long. A tenant that waits for a slot
// or holds one keeps its turn.
func (c *Candidates) EndTurns(now time.Time, turns *Turns) {
	for e := c.order.Front(); e != nil; e = e.Next() {
		if m := e.Value.(*candidate); now.Sub(m.woken) >= turnTime && !turns.Busy(m.id) {
			c.endTurn(m)
		}
	}
}

// Excess lists candidates that are to doze now, because there are more than most.
// It looks at so many at most. Who has its turn, or holds a slot, or was asked a
// moment ago, is not among them.
func (c *Candidates) Excess(now time.Time, most, looks int, turns *Turns) (doze []audience.TenantID) {
	for over := c.Len() - most; looks > 0 && over > len(doze); looks-- {
		m := c.next()
		if m == nil {
			break
		}
		if m.woken.IsZero() && turns.Held(m.id) == 0 && now.Sub(m.asked) >= DozeTime {
			m.asked = now
			doze = append(doze, m.id)
		}
	}
	return doze
}

// next is the next candidate to look at, which becomes the last one.
func (c *Candidates) next() *candidate {
	e := c.order.Front()
	if e == nil {
		return nil
	}
	c.order.MoveToBack(e)
	return e.Value.(*candidate)
}
