package actors

import (
	"container/list"
	"time"

	"audiences/audience"
)

// lobby is the tenants with an actor that are not proven. Of these there are some
// hundreds at most: when more come, others doze. It is pure.
type lobby struct {
	line    list.List // of *guest; who was looked at last is at its end
	members map[audience.TenantID]*list.Element
	most    int // members since the map was made
	called  int // members that were called
}

// guest is one of them.
type guest struct {
	id     audience.TenantID
	called time.Time // when it was woken because it is its turn; zero: it was not, or its turn is over
	sent   time.Time // in or, the last time, to doze
}

const (
	// callTime is how long one that was called may take to ask for a slot, before
	// another one is called beside it. It has to read a page.
	callTime = 5 * time.Second
	// dozeTime is how long one may take to doze, before it is asked again.
	dozeTime = time.Second
)

func newLobby() *lobby { return &lobby{members: make(map[audience.TenantID]*list.Element)} }

func (c *lobby) len() int { return len(c.members) }

func (c *lobby) add(id audience.TenantID, called, now time.Time) {
	c.members[id] = c.line.PushBack(&guest{id: id, called: called, sent: now})
	c.most = max(c.most, len(c.members))
	if !called.IsZero() {
		c.called++
	}
}

func (c *lobby) remove(id audience.TenantID) {
	if e := c.members[id]; e != nil {
		c.served(id)
		c.line.Remove(e)
		delete(c.members, id)
		c.members = fitted(c.members, &c.most)
	}
}

// served takes in that a member had its turn.
func (c *lobby) served(id audience.TenantID) {
	if e := c.members[id]; e != nil {
		if s := e.Value.(*guest); !s.called.IsZero() {
			s.called = time.Time{}
			c.called--
		}
	}
}

// look is the next member to look at, which is the last one after that.
func (c *lobby) look() *guest {
	e := c.line.Front()
	if e == nil {
		return nil
	}
	c.line.MoveToBack(e)
	return e.Value.(*guest)
}
