package embedded

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"audiences/audience"
	"audiences/journal"
)

// TestWhatIsLookedUp: the store is asked about a key only where somebody may have
// changed it since, however the key came to who settles it.
func TestWhatIsLookedUp(t *testing.T) {
	o := inMemory()
	j := open(t, o)
	seg, other := segment(tenant("a"), "s"), segment(tenant("a"), "other")
	first := put(t, j, seg, audience.Add, numbers(1, 100)...)
	looks := func(s journal.Selection) bool { return afterAll(t, j).removing(seg, s).looks() }
	held := func(v journal.Version) journal.Selection {
		s := selected(slices.Values(numbers(1, 2)))
		s.NotAfter = v
		return s
	}
	fromJournal := func() journal.Selection {
		return journal.Selection{Drawn: drawn(load(j, journal.Load{Segment: seg, Limit: 100}))}
	}
	expect := func(what string, got, want bool) {
		t.Helper()
		if got != want {
			t.Errorf("%s: looked up %v, want %v", what, got, want)
		}
	}
	expect("held, nothing newer", looks(held(first)), false)
	put(t, j, other, audience.Add, numbers(1, 100)...)
	expect("held, something newer elsewhere", looks(held(first)), false)
	second := put(t, j, seg, audience.Delete, numbers(7, 1)...)
	expect("held, something newer", looks(held(first)), true)
	expect("held, told of it", looks(held(second)), false)
	expect("read from the journal, written in this life", looks(fromJournal()), true)

	j = reopen(t, j, o)
	expect("read from the journal, of before the start", looks(fromJournal()), false)
	put(t, j, other, audience.Add, numbers(1, 1)...)
	expect("the same, something newer elsewhere", looks(fromJournal()), false)
	put(t, j, seg, audience.Add, numbers(500, 1)...)
	expect("the same, something newer", looks(fromJournal()), true)
}

// TestFewSegmentsShareASlot: a settle in one looks up what was written in the other.
func TestFewSegmentsShareASlot(t *testing.T) {
	n, shared := new(newest), 0
	for i := range 100_000 {
		slot := n.slot(idOf(segment(tenant("a"), fmt.Sprint(i))))
		if *slot > 0 {
			shared++
		}
		*slot = 1
	}
	if shared > 10_000 {
		t.Errorf("%d of 100,000 segments share a slot", shared)
	}
	last := segmentID{}
	binary.BigEndian.PutUint32(last[:], 1<<32-1)
	n.wrote(last, 1) // the last slot is there
}

// TestDrawnKeyThatChangedStays pending, though it is one of few and this process changed
// it itself since it was read, in this life or the one before (I2, I3).
func TestDrawnKeyThatChangedStays(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		o := inMemory()
		j, seg := open(t, o), segment(tenant("a"), "s")
		put(t, j, seg, audience.Add, numbers(1, 3)...)
		if restarted {
			j = reopen(t, j, o)
		}
		read := journal.Selection{Drawn: drawn(load(j, journal.Load{Segment: seg, Limit: 10}))}
		put(t, j, seg, audience.Delete, numbers(2, 1)...)
		newer := settleBy(t, j, seg, read)
		if left := pending(t, j, seg); len(newer) != 1 || newer[0] != "2" || len(left) != 1 || left["2"] != audience.Delete {
			t.Errorf("restarted %v: newer %q, pending %v", restarted, newer, left)
		}
	}
}
