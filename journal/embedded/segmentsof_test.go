package embedded

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"audiences/audience"
	"audiences/journal"
)

// TestSegmentsOf one tenant are those that Segments lists of it, with the same counts,
// and nobody else's.
func TestSegmentsOf(t *testing.T) {
	j, mine, other := open(t, inMemory()), tenant("mine"), tenant("other")
	for _, who := range []audience.Tenant{mine, other} {
		add(t, j, segment(who, "none"), audience.Add, numbers(0, 1)...)
		settle(t, j, segment(who, "none"), numbers(0, 1)...)
		add(t, j, segment(who, "few"), audience.Add, numbers(0, fewKeys)...)
		add(t, j, segment(who, "many"), audience.Add, numbers(0, fewKeys+1)...)
		add(t, j, segment(who, "parked"), audience.Add, numbers(0, 3)...)
		park(t, j, segment(who, "parked"), audience.Add, numbers(0, 2)...)
		done := make(chan error, 1)
		j.SetSegmentState(segment(who, "few"), journal.SegmentState{Paused: true, PausedBy: "ana"}, told(done))
		wait(t, done)
	}
	all, errs := collect(j.Segments(audience.AllSlots()))
	got, more := collect(j.SegmentsOf(mine.ID))
	if errs = append(errs, more...); len(errs) > 0 {
		t.Fatal(errs)
	}
	want := slices.DeleteFunc(all, func(l journal.Listed) bool { return l.Segment.Tenant != mine.ID })
	byName := func(a, b journal.Listed) int { return strings.Compare(a.Segment.Name, b.Segment.Name) }
	slices.SortFunc(want, byName)
	slices.SortFunc(got, byName)
	if !slices.Equal(got, want) || len(got) != 4 {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for range j.SegmentsOf(mine.ID) {
		break // the caller may stop
	}
	if none, errs := collect(j.SegmentsOf(tenant("nobody").ID)); len(none)+len(errs) > 0 {
		t.Errorf("of nobody: %v, %v", none, errs)
	}
}

func TestSegmentsOfAClosedJournal(t *testing.T) {
	j, err := Open(inMemory())
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, errs := collect(j.SegmentsOf(tenant("a").ID)); len(errs) != 1 || !errors.Is(errs[0], journal.ErrClosed) {
		t.Error(errs)
	}
}
