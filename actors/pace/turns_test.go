package pace

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"audiences/audience"
	"audiences/splitclient"
)

func id(n int) (id audience.TenantID) {
	id[0], id[1], id[2] = byte(n>>16), byte(n>>8), byte(n)
	return id
}

// give gives out what there is, and says to whom.
func (t *Turns) give(most int) (to []audience.TenantID) {
	for len(to) < most {
		next, ok := t.Next()
		if !ok {
			return to
		}
		t.Take(next)
		to = append(to, next)
	}
	return to
}

// TestTurnsLeaveSlots: a tenant holds no more slots than are free after it.
func TestTurnsLeaveSlots(t *testing.T) {
	for tenants, want := range map[int]int{1: 8, 2: 11, 3: 12, 15: 15, 16: 16, 20: 16} {
		turns := NewTurns(16)
		taken := 0
		for again := true; again; {
			again = false
			for n := range tenants {
				turns.Ask(id(n), Proven)
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
		turns := NewTurns(slots)
		for n := range 3 * slots {
			turns.Ask(id(n), Class(1+n%3))
		}
		if got := len(turns.give(1000)); got != want {
			t.Errorf("the unproven hold %d of %d slots, want %d", got, slots, want)
		}
	}
	turns := NewTurns(64)
	for range 64 {
		turns.Ask(id(1), New)
		turns.give(1)
	}
	if got := turns.Held(id(1)); got != 16 {
		t.Errorf("one unproven tenant holds %d of 64 slots, want 16", got)
	}
}

// TestTurnsShareTheRate: while both wait, the unproven get every second turn as long as
// their calls succeed, every eighth after some failed, and the old share when one
// succeeds again.
func TestTurnsShareTheRate(t *testing.T) {
	turns := NewTurns(16)
	share := func() (of int) {
		const rounds = 160
		for range rounds {
			turns.Ask(id(1), Proven)
			turns.Ask(id(2), New)
			next := turns.give(1)[0]
			if next == id(2) {
				of++
			}
			turns.End(next)
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
	turns := NewTurns(64)
	for n, c := range []Class{Failing, New, Faltering, New, Failing} {
		turns.Ask(id(n), c)
	}
	if got, want := turns.give(5), []audience.TenantID{id(2), id(1), id(3), id(0), id(4)}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
	for n := range 100 {
		turns.Ask(id(100+n), New)
		turns.Ask(id(200+n), Failing)
	}
	failing := 0
	for _, next := range turns.give(16) {
		if turns.tenants.Get(next).class == Failing {
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
		turns := NewTurns(slots)
		var line []audience.TenantID // in the order of asking
		held, of := map[audience.TenantID]int{}, map[audience.TenantID]Class{}
		for range 3000 {
			who := id(lot.IntN(12))
			switch lot.IntN(5) {
			case 0, 1:
				if !slices.Contains(line, who) {
					line = append(line, who)
				}
				turns.Ask(who, of[who])
			case 2:
				c := Class(lot.IntN(int(classes)))
				turns.SetClass(who, c)
				of[who] = c
			case 3:
				if held[who] > 0 {
					held[who]--
				}
				turns.End(who)
			case 4:
				line = slices.DeleteFunc(line, func(id audience.TenantID) bool { return id == who })
				turns.Cancel(who)
			}
			next, ok := turns.Next()
			free, others := slots, max(1, slots/2)
			for who, n := range held {
				free -= n
				if of[who] != Proven {
					others -= n
				}
			}
			may := func(who audience.TenantID) bool {
				return held[who] < free && (of[who] == Proven || held[who] < others)
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
				turns.Take(next)
				held[next]++
				line = slices.DeleteFunc(line, func(id audience.TenantID) bool { return id == next })
			}
		}
		for who := range of {
			for turns.Held(who) > 0 {
				turns.End(who)
			}
			turns.Cancel(who)
		}
		if turns.tenants.Len() > 0 || turns.taken != 0 || turns.unproven != 0 {
			t.Errorf("%d tenants, %d slots, %d of the unproven are left over", turns.tenants.Len(), turns.taken, turns.unproven)
		}
	}
}

// TestTurnsAskWithANewClass: a tenant that holds a slot and has become another one
// since waits among those of its new class.
func TestTurnsAskWithANewClass(t *testing.T) {
	turns := NewTurns(64)
	turns.Ask(id(1), Failing)
	turns.give(1)
	turns.Ask(id(2), New)
	turns.Ask(id(1), Proven)
	if got := turns.give(2); !slices.Equal(got, []audience.TenantID{id(1), id(2)}) {
		t.Errorf("order %v, want the proven one first", got)
	}
	if turns.unproven != 1 {
		t.Errorf("%d slots are counted as held by the unproven, want 1", turns.unproven)
	}
}

// BenchmarkTurn is one tenant asking for a slot, getting it and giving it back,
// while so many others wait: it has to cost the same.
func BenchmarkTurn(b *testing.B) {
	for _, waiting := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("%d waiting", waiting), func(b *testing.B) {
			turns := NewTurns(64)
			for n := range waiting {
				turns.Ask(id(n), Class(n%int(classes)))
			}
			first := turns.give(1000)
			b.ResetTimer()
			for n := range b.N {
				done := first[n%len(first)]
				turns.End(done)
				turns.Ask(done, Class(n%int(classes)))
				next, _ := turns.Next()
				turns.Take(next)
				first[n%len(first)] = next
			}
		})
	}
}

// TestTurnsLearnFromTheUnproven: with each call of theirs that fails the proven get more
// turns before one of them, and with one that is delivered as few as at first.
func TestTurnsLearnFromTheUnproven(t *testing.T) {
	turns := NewTurns(16)
	first := turns.provenTurns()
	turns.Note(New, splitclient.Outcome{Kind: splitclient.Transient})
	turns.Note(Failing, splitclient.Outcome{Kind: splitclient.Transient})
	turns.Note(Proven, splitclient.Outcome{Kind: splitclient.Delivered}) // says nothing of them
	if got := turns.provenTurns(); got <= first {
		t.Errorf("%d turns after two failures, %d at first", got, first)
	}
	turns.Note(New, splitclient.Outcome{Kind: splitclient.Delivered})
	if got := turns.provenTurns(); got != first {
		t.Errorf("%d turns after a delivery, %d at first", got, first)
	}
}

// TestTurnsResize: more slots are given at once; of fewer none is until enough came back.
func TestTurnsResize(t *testing.T) {
	turns := NewTurns(2)
	id := func(n int) audience.TenantID { return audience.TenantID{byte(n)} }
	take := func() (taken int) {
		for {
			next, ok := turns.Next()
			if !ok {
				return taken
			}
			turns.Take(next)
			taken++
		}
	}
	for n := range 9 {
		turns.Ask(id(n), Proven)
	}
	for _, step := range []struct{ slots, ended, want int }{{2, 0, 2}, {6, 0, 4}, {3, 0, 0}, {3, 3, 0}, {3, 1, 1}} {
		turns.Resize(step.slots)
		for n := range 9 {
			if step.ended > 0 && turns.Held(id(n)) > 0 {
				turns.End(id(n))
				step.ended--
			}
		}
		if got := take(); got != step.want {
			t.Errorf("%+v: %d", step, got)
		}
	}
}
