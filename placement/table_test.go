package placement

import (
	"context"
	"errors"
	"sync"
	"time"

	"audiences/audience"
)

// table is a Table in memory, for all nodes of a test.
type table struct {
	mu     sync.Mutex
	rows   map[NodeID]*row
	owners [audience.SlotCount]NodeID
	away   bool
	ahead  time.Duration // of the nodes' clocks
}

type row struct {
	Member
	dead bool
}

var errAway = errors.New("the table is away")

func newTable() *table { return &table{rows: map[NodeID]*row{}} }

// side is the table as one node sees it.
type side struct {
	*table
	self  NodeID
	delay time.Duration // each way
	cut   bool
}

func (t *table) enter(self NodeID) *side {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows[self] = &row{Member: Member{ID: self, Expires: time.Now().Add(time.Second)}}
	return &side{table: t, self: self}
}

func (s *side) Beat(ctx context.Context, b Beat) (View, error) {
	select {
	case <-time.After(s.delay):
	case <-ctx.Done():
		return View{}, ctx.Err()
	}
	view, err := s.beat(b)
	select {
	case <-time.After(s.delay):
	case <-ctx.Done():
		return View{}, ctx.Err()
	}
	return view, err
}

func (s *side) beat(b Beat) (view View, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away || s.cut {
		return view, errAway
	}
	view.Now = time.Now().Add(s.ahead)
	me := s.rows[s.self]
	if me == nil || me.dead {
		view.Dead = true
		return view, nil
	}
	buries := me.Expires.After(view.Now) && !view.Now.After(b.Bury.Foreseen)
	for _, other := range s.rows {
		other.dead = other.dead || buries && other != me && other.Expires.Add(b.Bury.Late).Before(view.Now)
	}
	me.Expires, me.Leaving, me.Demand, me.Blocked = view.Now.Add(b.Lease), b.Leaving, b.Demand, b.Blocked
	for slot := range b.Release.All() {
		if s.owners[slot] == s.self {
			s.owners[slot] = 0
		}
	}
	for slot := range b.Claim.All() {
		if owner := s.rows[s.owners[slot]]; owner == nil || owner.dead {
			s.owners[slot] = s.self
		}
	}
	for _, r := range s.rows {
		if !r.dead {
			view.Members = append(view.Members, r.Member)
		}
	}
	view.Owners = s.owners
	return view, nil
}

func (s *side) Leave(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows, s.self)
	return nil
}
