package actors

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"audiences/audience"
	"audiences/splitclient"
)

func id(n int) (id audience.TenantID) {
	id[0], id[1], id[2] = byte(n>>16), byte(n>>8), byte(n)
	return id
}

// give gives out what there is, and says to whom.
func (t *turns) give(most int) (to []audience.TenantID) {
	for len(to) < most {
		next, ok := t.next()
		if !ok {
			return to
		}
		t.take(next)
		to = append(to, next)
	}
	return to
}

// TestTurnsLeaveSlots: a tenant holds no more slots than are free after it.
func TestTurnsLeaveSlots(t *testing.T) {
	for tenants, want := range map[int]int{1: 8, 2: 11, 3: 12, 15: 15, 16: 16, 20: 16} {
		turns := turns{slots: 16}
		taken := 0
		for again := true; again; {
			again = false
			for n := range tenants {
				turns.ask(id(n), classProven)
			}
			got := len(turns.give(100))
			taken, again = taken+got, got > 0
		}
		if taken != want {
			t.Errorf("%d tenants that want all they can get hold %d slots of 16, want %d", tenants, taken, want)
		}
	}
}

// TestTurnsUnprovenGetHalf: whatever waits, all that are not proven hold half of
// the slots at most, and one of them half of that; where there is one slot it is for
// everybody.
func TestTurnsUnprovenGetHalf(t *testing.T) {
	for slots, want := range map[int]int{1: 1, 2: 1, 3: 1, 16: 8, 64: 32} {
		turns := turns{slots: slots}
		for n := range 3 * slots {
			turns.ask(id(n), class(1+n%3))
		}
		if got := len(turns.give(1000)); got != want {
			t.Errorf("the unproven hold %d of %d slots, want %d", got, slots, want)
		}
	}
	turns := turns{slots: 64}
	for range 64 {
		turns.ask(id(1), classNew)
		turns.give(1)
	}
	if got := turns.held(id(1)); got != 16 {
		t.Errorf("one unproven tenant holds %d of 64 slots, want 16", got)
	}
}

// TestTurnsShareTheRate: while both wait, the unproven get every second turn as long as
// their calls succeed, every eighth after some failed, and the old share when one
// succeeds again.
func TestTurnsShareTheRate(t *testing.T) {
	turns := turns{slots: 16}
	share := func() (of int) {
		const rounds = 160
		for range rounds {
			turns.ask(id(1), classProven)
			turns.ask(id(2), classNew)
			next := turns.give(1)[0]
			if next == id(2) {
				of++
			}
			turns.end(next)
		}
		return rounds / of
	}
	for _, c := range []struct {
		delivered bool
		want      int
	}{{true, 2}, {false, 4}, {false, 8}, {false, 8}, {true, 2}} {
		turns.trust(c.delivered)
		if got := share(); got != c.want {
			t.Errorf("delivered %v: every %d. turn is an unproven tenant's, want every %d.", c.delivered, got, c.want)
		}
	}
}

// TestTurnsByClass: faltering before new before failing, the longest waiting first;
// but the failing get one turn in eight.
func TestTurnsByClass(t *testing.T) {
	turns := turns{slots: 64}
	for n, c := range []class{classFailing, classNew, classFaltering, classNew, classFailing} {
		turns.ask(id(n), c)
	}
	if got, want := turns.give(5), []audience.TenantID{id(2), id(1), id(3), id(0), id(4)}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
	for n := range 100 {
		turns.ask(id(100+n), classNew)
		turns.ask(id(200+n), classFailing)
	}
	failing := 0
	for _, next := range turns.give(16) {
		if turns.tenants[next].class == classFailing {
			failing++
		}
	}
	if failing != 2 {
		t.Errorf("%d of 16 turns for the failing, want 2", failing)
	}
}

// TestTurnsAgainstTheRules plays at random and compares each choice with the rules,
// applied to a plain list of who waits.
func TestTurnsAgainstTheRules(t *testing.T) {
	lot := rand.New(rand.NewPCG(7, 7))
	for slots := 1; slots <= 20; slots++ {
		turns := turns{slots: slots}
		var line []audience.TenantID // in the order of asking
		held, of := map[audience.TenantID]int{}, map[audience.TenantID]class{}
		for range 3000 {
			who := id(lot.IntN(12))
			switch lot.IntN(5) {
			case 0, 1:
				if !slices.Contains(line, who) {
					line = append(line, who)
				}
				turns.ask(who, of[who])
			case 2:
				c := class(lot.IntN(int(classes)))
				turns.file(who, c)
				of[who] = c
			case 3:
				if held[who] > 0 {
					held[who]--
				}
				turns.end(who)
			case 4:
				line = slices.DeleteFunc(line, func(id audience.TenantID) bool { return id == who })
				turns.cancel(who)
			}
			next, ok := turns.next()
			free, others := slots, max(1, slots/2)
			for who, n := range held {
				free -= n
				if of[who] != classProven {
					others -= n
				}
			}
			may := func(who audience.TenantID) bool {
				return held[who] < free && (of[who] == classProven || held[who] < others)
			}
			anybody := slices.ContainsFunc(line, may)
			if ok != anybody {
				t.Fatalf("somebody may take a slot: %v, want %v", ok, anybody)
			}
			if !ok {
				continue
			}
			first := line[slices.IndexFunc(line, func(who audience.TenantID) bool { return may(who) && of[who] == of[next] })]
			if next != first {
				t.Fatalf("%v is next, want %v, the first %v", next, first, of[next])
			}
			if lot.IntN(2) == 0 {
				turns.take(next)
				held[next]++
				line = slices.DeleteFunc(line, func(id audience.TenantID) bool { return id == next })
			}
		}
		for who := range of {
			for turns.held(who) > 0 {
				turns.end(who)
			}
			turns.cancel(who)
		}
		if len(turns.tenants) > 0 || turns.taken != 0 || turns.unproven != 0 {
			t.Errorf("%d tenants, %d slots, %d of the unproven are left over", len(turns.tenants), turns.taken, turns.unproven)
		}
	}
}

func TestStanding(t *testing.T) {
	outcome := func(kind splitclient.Kind, reason splitclient.Reason) splitclient.Outcome {
		return splitclient.Outcome{Kind: kind, Reason: reason}
	}
	delivered, hung := outcome(splitclient.Delivered, splitclient.OK), outcome(splitclient.Transient, splitclient.Timeout)
	down, limited := outcome(splitclient.Transient, splitclient.ServerError), outcome(splitclient.Throttled, splitclient.ThrottledOrg)
	revoked, forbidden := outcome(splitclient.Permanent, splitclient.Unauthorized), outcome(splitclient.Permanent, splitclient.Forbidden)
	address, stopped := outcome(splitclient.Throttled, splitclient.ThrottledIP), outcome(splitclient.Transient, splitclient.Cancelled)
	for name, c := range map[string]struct {
		proven   bool
		outcomes []splitclient.Outcome
		want     class
	}{
		"new":                         {false, nil, classNew},
		"nothing was tried":           {false, []splitclient.Outcome{{}, address, stopped}, classNew},
		"failed":                      {false, []splitclient.Outcome{down}, classFailing},
		"refused":                     {false, []splitclient.Outcome{forbidden}, classFailing},
		"delivered":                   {false, []splitclient.Outcome{down, delivered}, classProven},
		"proven":                      {true, nil, classProven},
		"failed once":                 {true, []splitclient.Outcome{down}, classProven},
		"failed twice":                {true, []splitclient.Outcome{down, limited}, classFaltering},
		"twice, but not in a row":     {true, []splitclient.Outcome{down, delivered, revoked}, classProven},
		"hung once":                   {true, []splitclient.Outcome{hung}, classFaltering},
		"hung and came back":          {true, []splitclient.Outcome{hung, delivered}, classProven},
		"revoked":                     {true, []splitclient.Outcome{revoked, revoked}, classFaltering},
		"a segment is refused":        {true, []splitclient.Outcome{forbidden, forbidden, forbidden}, classProven},
		"the address or the relay is": {true, []splitclient.Outcome{address, stopped, address, stopped}, classProven},
	} {
		s := standing{proven: c.proven}
		proves := 0
		for _, o := range c.outcomes {
			if s.learn(o) {
				proves++
			}
		}
		if got := s.class(); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		if want := s.proven && !c.proven; (proves == 1) != want {
			t.Errorf("%s: proven %d times", name, proves)
		}
	}
}

// TestDormitoryOrder: who is due, the new first, the failing now and then; who is
// taken out is not called.
func TestDormitoryOrder(t *testing.T) {
	d := newDormitory()
	add := func(n int, due time.Time, s standing) {
		d.add(&dormant{tenant: audience.Tenant{ID: id(n)}, due: due, standing: s})
	}
	failing := standing{failures: 1}
	add(1, noon.Add(3*time.Second), failing)
	add(2, noon.Add(2*time.Second), failing)
	add(3, noon.Add(4*time.Second), standing{})
	add(4, noon.Add(5*time.Second), standing{})
	add(5, time.Time{}, standing{}) // not by itself
	add(6, noon.Add(time.Minute), standing{})
	add(7, noon.Add(time.Second), standing{})
	d.remove(id(7))
	if d.call(noon) != nil || !d.nextDue().Equal(noon.Add(2*time.Second)) {
		t.Errorf("called before it was due; the next is due at %v", d.nextDue())
	}
	var got []audience.TenantID
	for t := d.call(noon.Add(10 * time.Second)); t != nil; t = d.call(noon.Add(10 * time.Second)) {
		got = append(got, t.tenant.ID)
	}
	if want := []audience.TenantID{id(3), id(4), id(2), id(1)}; !slices.Equal(got, want) {
		t.Errorf("called %v, want %v", got, want)
	}
	if d.len() != 2 || d.remove(id(5)) == nil || d.remove(id(6)) == nil || d.len() != 0 || !d.nextDue().IsZero() {
		t.Error("those that are not due are not kept")
	}
	add(0, noon, failing)
	for n := range 20 {
		add(10+n, noon, standing{})
	}
	for n := 0; d.tenants[id(0)] != nil; n++ {
		if d.call(noon); n > 30 {
			t.Fatal("the failing one is never called")
		}
	}
}

// BenchmarkTurn is one tenant asking for a slot, getting it and giving it back,
// while so many others wait: it has to cost the same.
func BenchmarkTurn(b *testing.B) {
	for _, waiting := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("%d waiting", waiting), func(b *testing.B) {
			turns := turns{slots: 64}
			for n := range waiting {
				turns.ask(id(n), class(n%int(classes)))
			}
			first := turns.give(1000)
			b.ResetTimer()
			for n := range b.N {
				done := first[n%len(first)]
				turns.end(done)
				turns.ask(done, class(n%int(classes)))
				next, _ := turns.next()
				turns.take(next)
				first[n%len(first)] = next
			}
		})
	}
}
