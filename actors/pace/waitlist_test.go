package pace

import (
	"slices"
	"strings"
	"testing"
	"time"

	"audiences/audience"
)

func TestWaitlistOldestFirst(t *testing.T) {
	var w Waitlist
	for i, name := range []string{"c", "a", "b", "a"} {
		w.Push(audience.Segment{Name: name}, noon.Add(time.Duration(int(name[0])*100+i)*time.Second))
	}
	for _, want := range []string{"a", "b", "c"} {
		if got := w.Pop().Name; got != want {
			t.Errorf("%s is next, want %s", got, want)
		}
	}
	if w.Len() != 0 {
		t.Error("a segment is listed twice")
	}
	if w.listed != nil || w.order != nil {
		t.Error("a list that has run dry keeps its room")
	}
}

// TestWaitlistRemoves: who is taken off the list is not next, wherever in the order, and
// the others stay in theirs.
func TestWaitlistRemoves(t *testing.T) {
	names := strings.Split("abcdefghij", "")
	for _, gone := range names {
		var w Waitlist
		for i := range names {
			name := names[i*7%len(names)]
			w.Push(audience.Segment{Name: name}, noon.Add(time.Duration(name[0])*time.Second))
		}
		w.Remove(audience.Segment{Name: gone})
		w.Remove(audience.Segment{Name: gone})
		w.Remove(audience.Segment{Name: "stranger"})
		var got []string
		for w.Len() > 0 {
			got = append(got, w.Pop().Name)
		}
		if want := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == gone }); !slices.Equal(got, want) {
			t.Errorf("without %s: %v", gone, got)
		}
	}
	var w Waitlist
	w.Push(audience.Segment{Name: "a"}, noon)
	if w.Remove(audience.Segment{Name: "a"}); w.listed != nil || w.order != nil {
		t.Error("a list that has run dry keeps its room")
	}
}
