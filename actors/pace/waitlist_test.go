package pace

import (
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
