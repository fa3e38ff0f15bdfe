package pace

import (
	"slices"
	"testing"
	"time"

	"audiences/audience"
)

// TestCandidatesDoze: those too many doze, who was looked at longest ago first; not
// who has its turn, holds a slot, or was asked a moment ago.
func TestCandidatesDoze(t *testing.T) {
	var c Candidates
	turns := NewTurns(16)
	for n := range 6 {
		woken := time.Time{}
		if n == 1 {
			woken = noon
		}
		c.Add(id(n), woken, noon)
	}
	turns.Ask(id(0), New)
	turns.give(1)
	turns.Ask(id(2), New) // waits only
	for _, step := range []struct {
		at          time.Duration
		most, looks int
		want        []audience.TenantID
	}{
		{DozeTime - 1, 0, 6, nil}, // they have just come
		{DozeTime, 6, 6, nil},     // there is room
		{DozeTime, 5, 6, []audience.TenantID{id(2)}},
		{DozeTime, 3, 2, []audience.TenantID{id(3), id(4)}},
		{2*DozeTime - 1, 3, 6, []audience.TenantID{id(5)}},
		{2*DozeTime - 1, -1, 100, nil},
		{2 * DozeTime, -1, 100, []audience.TenantID{id(3), id(4), id(2)}},
	} {
		if got := c.Excess(noon.Add(step.at), step.most, step.looks, turns); !slices.Equal(got, step.want) {
			t.Errorf("after %v, %d at most, %d looks: %v doze, want %v", step.at, step.most, step.looks, got, step.want)
		}
	}
	for n := range 6 {
		c.Remove(id(n))
		c.Remove(id(n))
		c.EndTurn(id(n))
	}
	if c.Len() != 0 || c.Woken() != 0 {
		t.Errorf("%d left, %d of them woken", c.Len(), c.Woken())
	}
	if got := c.Excess(noon, -1, 1, turns); got != nil {
		t.Errorf("nobody is there, and %v doze", got)
	}
}

// TestCandidatesTurns: a turn ends when the slot was given back, or when it was not
// asked for in time.
func TestCandidatesTurns(t *testing.T) {
	var c Candidates
	turns := NewTurns(16)
	expect := func(what string, want int) {
		t.Helper()
		if got := c.Woken(); got != want {
			t.Errorf("%s: %d have their turn, want %d", what, got, want)
		}
	}
	for n := range 4 {
		c.Add(id(n), noon.Add(time.Duration(n)*time.Second), noon)
	}
	c.Add(id(4), time.Time{}, noon)
	expect("woken", 4)
	c.EndTurn(id(3))
	c.EndTurn(id(3))
	c.EndTurn(id(4))
	expect("one had its turn", 3)
	turns.Ask(id(1), New)
	c.EndTurns(noon.Add(turnTime-1), turns)
	expect("they have time", 3)
	c.EndTurns(noon.Add(turnTime), turns)
	expect("one did not ask", 2)
	c.EndTurns(noon.Add(time.Hour), turns)
	expect("one waits for its slot", 1)
	c.Remove(id(1))
	expect("it was let go", 0)
}
