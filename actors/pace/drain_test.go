package pace

import (
	"testing"

	"audiences/splitclient"
)

// TestFailuresInARow: after a failure one call at a time, after four none; an answer ends them.
func TestFailuresInARow(t *testing.T) {
	var f failures
	failed := splitclient.Outcome{Kind: splitclient.Transient, Reason: splitclient.Unreachable}
	for n, want := range []int{64, 1, 1, 1, 0, 0} {
		if got := f.usable(64); got != want {
			t.Errorf("after %d failures in a row %d calls at once, want %d", n, got, want)
		}
		f.note(failed)
	}
	f.note(splitclient.Outcome{})
	f.note(splitclient.Outcome{Kind: splitclient.Transient, Reason: splitclient.Cancelled})
	if f.usable(64) != 0 {
		t.Error("what was no call ended the row")
	}
	f.note(splitclient.Outcome{Kind: splitclient.Permanent, Reason: splitclient.BadRequest})
	if f.usable(64) != 64 {
		t.Error("an answer did not end the row")
	}
	if f.note(failed); f.usable(1) != 0 {
		t.Error("with a single slot one failure is enough, or the next would take as long again")
	}
}

// TestTurnsOfADrain: during a drain a dead destination is given up, for the proven
// and for the others apart; when the proven get no answer, the others need not try.
func TestTurnsOfADrain(t *testing.T) {
	failed := splitclient.Outcome{Kind: splitclient.Transient, Reason: splitclient.Unreachable}
	proven, other := id(1), id(2)
	hopeless := func(turns *Turns) [2]bool {
		return [2]bool{turns.Hopeless(proven, Proven), turns.Hopeless(other, New)}
	}
	for _, c := range []struct {
		drains bool
		of     Class
		want   [2]bool
	}{{false, Proven, [2]bool{}}, {true, Proven, [2]bool{true, true}}, {true, Failing, [2]bool{false, true}}} {
		turns := NewTurns(16)
		if c.drains {
			turns.Drain()
		}
		for range MostFailures {
			if got := hopeless(turns); got != [2]bool{} {
				t.Errorf("%+v: given up too early: %v", c, got)
			}
			turns.Note(c.of, failed)
		}
		if got := hopeless(turns); got != c.want {
			t.Errorf("%+v: given up: %v", c, got)
		}
		turns.Ask(proven, Proven)
		turns.Ask(other, New)
		for _, next := range turns.give(2) {
			if c.want[0] && next == proven || c.want[1] && next == other {
				t.Errorf("%+v: %v got a slot", c, next)
			}
		}
	}
	turns := NewTurns(16)
	turns.Drain()
	turns.Ask(proven, Proven)
	turns.give(1)
	for range MostFailures {
		turns.Note(Proven, failed)
	}
	if turns.Hopeless(proven, Proven) {
		t.Error("a tenant is given up whose call is under way")
	}
	turns.Note(Proven, splitclient.Outcome{Kind: splitclient.Delivered})
	if got := hopeless(turns); got != [2]bool{false, true} {
		t.Errorf("after an answer: given up: %v", got)
	}
}
