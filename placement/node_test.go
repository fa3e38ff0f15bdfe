package placement

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"audiences/audience"
)

// member is a node in a test, and what it was told.
type member struct {
	*Node
	side *side
	end  context.CancelFunc

	mu      sync.Mutex
	owned   audience.Slots
	fatal   error
	share   float64
	blocked time.Time
	busy    time.Duration // how long calls under way take to end
	demand  float64
	barred  time.Time
}

const lease = 3 * time.Second

// join has a node take part.
func join(t *testing.T, in *table, id NodeID, change ...func(*Options)) *member {
	m := &member{side: in.enter(id)}
	locked := func(f func()) {
		m.mu.Lock()
		defer m.mu.Unlock()
		f()
	}
	o := Options{
		Table: m.side, Self: id, Lease: lease,
		Claimed: func(slots audience.Slots) { locked(func() { m.owned = m.owned.Or(slots) }) },
		Release: func(slots audience.Slots, done func()) {
			go func() {
				time.Sleep(m.busy)
				locked(func() { m.owned = m.owned.Without(slots) })
				done()
			}()
		},
		Demand: func() (rate float64, blocked time.Time) {
			locked(func() { rate, blocked = m.demand, m.barred })
			return rate, blocked
		},
		Egress: func(share float64, blocked time.Time) { locked(func() { m.share, m.blocked = share, blocked }) },
		Fatal:  func(err error) { locked(func() { m.fatal = err }) },
	}
	for _, f := range change {
		f(&o)
	}
	m.Node = NewNode(o)
	ctx, end := context.WithCancel(t.Context())
	m.end = end
	go m.Run(ctx)
	return m
}

// told is what the node was told last.
func (m *member) told() (share float64, blocked time.Time, fatal error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.share, m.blocked, m.fatal
}

func (m *member) has() audience.Slots {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.owned
}

// drop has the test forget what a node that died owned.
func (m *member) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.owned = audience.Slots{}
}

// settle waits, and demands that the members own all slots, none of them twice.
func settle(t *testing.T, after time.Duration, members ...*member) {
	t.Helper()
	time.Sleep(after)
	synctest.Wait()
	var all audience.Slots
	for _, m := range members {
		if both := all.And(m.has()); both != (audience.Slots{}) {
			t.Fatalf("%d slots have two owners", both.Len())
		}
		all = all.Or(m.has())
	}
	if all != audience.AllSlots() {
		t.Fatalf("%d of the slots have an owner", all.Len())
	}
}

func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t) })
}

// TestJoinAndLeave: nodes divide the slots, and hand them over without a gap or a doubt.
func TestJoinAndLeave(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := newTable()
		one := join(t, in, 1)
		settle(t, time.Second, one)
		one.busy = 300 * time.Millisecond
		two, three := join(t, in, 2), join(t, in, 3)
		settle(t, 2*time.Second, one, two, three)
		for _, m := range []*member{one, two, three} {
			if n := m.has().Len(); n < 60 || n > 110 {
				t.Errorf("a node owns %d slots", n)
			}
		}
		began := time.Now()
		one.Leave(t.Context())
		if took := time.Since(began); took > time.Second || one.has() != (audience.Slots{}) || one.Ready() == nil {
			t.Errorf("left after %v with %d slots; ready: %v", took, one.has().Len(), one.Ready())
		}
		one.end()
		if err := one.Bye(t.Context()); err != nil {
			t.Error(err)
		}
		settle(t, time.Second, two, three)
		two.end()
		three.Leave(t.Context()) // the table still has the other one: its slots are handed to it
		three.end()
	})
}

// TestDeath: the slots of a node that died are others' when its lease is over, not before.
func TestDeath(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := newTable()
		one, two, three := join(t, in, 1), join(t, in, 2), join(t, in, 3)
		settle(t, 2*lease, one, two, three)
		two.end() // and says nothing
		synctest.Wait()
		lost := two.has()
		time.Sleep(lease - time.Second)
		if both := one.has().Or(three.has()).And(lost); both != (audience.Slots{}) {
			t.Errorf("%d slots were taken before the lease was over", both.Len())
		}
		two.drop()
		settle(t, 2*time.Second, one, three)
		one.end()
		three.end()
	})
}

// TestOutage: after the table was away for longer than all leases, everybody goes on, and
// nobody is declared dead.
func TestOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := newTable()
		all := []*member{join(t, in, 1), join(t, in, 2), join(t, in, 3)}
		settle(t, 2*lease, all...)
		before := all[0].has()
		in.mu.Lock()
		in.away = true
		in.mu.Unlock()
		time.Sleep(5 * lease)
		for _, m := range all {
			if m.Lease().Held() == nil || m.Ready() == nil || m.Lease().Context().Err() == nil {
				t.Error("a node holds a lease that nobody renewed")
			}
			view, _ := m.View()
			for _, other := range view.Members {
				if other.Expires.After(view.Now) {
					t.Errorf("%d shows a lease of %d that lasts until %v, at %v", m.o.Self, other.ID, other.Expires, view.Now)
				}
			}
		}
		in.mu.Lock()
		in.away = false
		in.mu.Unlock()
		settle(t, 3*lease, all...)
		for _, m := range all {
			if _, _, fatal := m.told(); fatal != nil || m.Ready() != nil || m.Lease().Context().Err() != nil {
				t.Errorf("%v, %v", fatal, m.Ready())
			}
			m.end()
		}
		if all[0].has() != before {
			t.Error("slots have moved")
		}
	})
}

// TestZombie: a node that was cut off for longer than its lease holds none, and ends when it
// learns that others have declared it dead.
func TestZombie(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := newTable()
		one, two := join(t, in, 1), join(t, in, 2)
		settle(t, 2*lease, one, two)
		within := two.Lease().Context()
		in.mu.Lock()
		two.side.cut = true
		in.mu.Unlock()
		time.Sleep(2 * lease)
		if two.Lease().Held() == nil || !errors.Is(context.Cause(within), ErrNoLease) {
			t.Error("it holds its lease")
		}
		in.mu.Lock()
		two.side.cut = false
		in.mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		if _, _, fatal := two.told(); !errors.Is(fatal, ErrDead) {
			t.Errorf("%v", fatal)
		}
		two.end()
		two.drop()
		settle(t, time.Second, one)
		one.end()
	})
}

// TestClockIsSetAhead: where the table's clock is set ahead by any step, a node whose beats come
// late for a moment loses no slot while its lease lasts.
func TestClockIsSetAhead(t *testing.T) {
	for step := 100 * time.Millisecond; step < 4*lease; step += 100 * time.Millisecond {
		for silent := range 5 { // beats that the node misses before the step
			bubble(t, func(t *testing.T) {
				in := newTable()
				one, two := join(t, in, 1), join(t, in, 2)
				settle(t, 2*lease, one, two)
				hold := func(cut bool, ahead time.Duration) {
					in.mu.Lock()
					defer in.mu.Unlock()
					two.side.cut, in.ahead = cut, ahead
				}
				hold(true, 0)
				time.Sleep(time.Duration(silent) * lease / beatsPerLease)
				hold(true, step)
				for two.Lease().Held() == nil {
					time.Sleep(10 * time.Millisecond)
					if both := one.has().And(two.has()); both != (audience.Slots{}) && two.Lease().Held() == nil {
						t.Fatalf("%v ahead, %d beats missed: %d slots have two owners", step, silent, both.Len())
					}
				}
				two.end()
				two.drop()
				settle(t, 3*lease, one)
				one.end()
			})
		}
	}
}

// TestSlowTable: half a second for a round trip costs no lease.
func TestSlowTable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := newTable()
		one, two := join(t, in, 1), join(t, in, 2)
		settle(t, 2*lease, one, two)
		one.side.delay, two.side.delay = 250*time.Millisecond, 250*time.Millisecond
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			if one.Lease().Held() != nil || two.Lease().Held() != nil {
				t.Fatal("a lease lapsed")
			}
		}
		settle(t, 0, one, two)
		one.end()
		two.end()
	})
}

// TestEgress: what an address may do is shared by demand, and a limit of the address is known
// to all nodes of its group within a beat.
func TestEgress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := newTable()
		one, two, other := join(t, in, 1), join(t, in, 2), join(t, in, 3)
		in.mu.Lock()
		in.rows[3].Egress = "elsewhere"
		in.mu.Unlock()
		time.Sleep(lease)
		shares := func() (a, b, c float64) {
			time.Sleep(time.Second)
			synctest.Wait()
			a, _, _ = one.told()
			b, _, _ = two.told()
			c, _, _ = other.told()
			return a, b, c
		}
		if a, b, c := shares(); a != 0.5 || b != 0.5 || c != 1 {
			t.Errorf("at rest: %v, %v, %v", a, b, c)
		}
		one.mu.Lock()
		one.demand = 10
		one.barred = time.Now().Add(20 * time.Second)
		until := one.barred
		one.mu.Unlock()
		if a, b, c := shares(); a < 0.9 || b < 0.05 || a+b > 1 || c != 1 {
			t.Errorf("with demand: %v, %v, %v", a, b, c)
		}
		_, near, _ := two.told()
		_, far, _ := other.told()
		if off := near.Sub(until).Abs(); off > 100*time.Millisecond || !far.IsZero() {
			t.Errorf("the other node is barred until %v, want %v; one of another address until %v", near, until, far)
		}
		one.end()
		two.end()
		other.end()
	})
}

// TestAssignment: slots move only to who comes, and only from who goes.
func TestAssignment(t *testing.T) {
	members := []Member{{ID: 7}, {ID: 11}, {ID: 12}}
	before := map[NodeID]audience.Slots{}
	for _, m := range members {
		before[m.ID] = assigned(m.ID, members)
	}
	joined := append(members[:3:3], Member{ID: 20})
	newcomer := assigned(20, joined)
	for _, m := range members {
		if now := assigned(m.ID, joined); now != before[m.ID].Without(newcomer) {
			t.Errorf("node %d has other slots", m.ID)
		}
	}
	members[1].Leaving = true
	if assigned(11, members) != (audience.Slots{}) {
		t.Error("who leaves is to own slots")
	}
	if all := assigned(7, members).Or(assigned(12, members)); all != audience.AllSlots() {
		t.Errorf("%d slots", all.Len())
	}
}

// TestStall: a process that stood still takes no changes for a moment, and ends where that was
// for as long as a lease.
func TestStall(t *testing.T) {
	for stood, want := range map[time.Duration]struct{ refuses, ends bool }{
		500 * time.Millisecond: {}, 1500 * time.Millisecond: {refuses: true}, 3500 * time.Millisecond: {refuses: true, ends: true},
	} {
		bubble(t, func(t *testing.T) {
			s := NewStall(lease)
			time.Sleep(2 * lease) // a start that takes long is no stall
			s.begin()
			if err := s.look(); err != nil || s.Refuse() != nil {
				t.Errorf("after a long start: %v, %v", err, s.Refuse())
			}
			time.Sleep(stood)
			if refuses := s.Refuse() != nil; refuses != want.refuses {
				t.Errorf("after %v, before the watch goes on: refuses %v", stood, refuses)
			}
			err := s.look()
			if refuses := s.Refuse() != nil; refuses != want.refuses || errors.Is(err, ErrStalled) != want.ends {
				t.Errorf("after %v: refuses %v, ends with %v", stood, refuses, err)
			}
			time.Sleep(500 * time.Millisecond)
			if refuses := s.Refuse() != nil; refuses != want.refuses {
				t.Errorf("half a second after a stall of %v: refuses %v", stood, refuses)
			}
			_ = s.look()
			time.Sleep(600 * time.Millisecond)
			if !want.ends && s.Refuse() != nil {
				t.Errorf("a second after a stall of %v: refuses still", stood)
			}
		})
	}
}
