package embedded

import (
	"strings"
	"testing"

	"audiences/journal"
)

// TestMarkOfAMove: a journal with a mark opens for a move alone, and Inspect foretells that. The
// mark, and who the journal is, outlive a power loss.
func TestMarkOfAMove(t *testing.T) {
	memory := NewMemory()
	options := Options{Dir: "/j", Memory: memory}
	j, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	id := j.ID()
	if j.Mark() != nil || j.Held() != nil {
		t.Error("a new journal has a mark, or is not held")
	}
	for _, mark := range []journal.Mark{{Other: "other", Place: "there"}, {Moved: true, Other: "other", Place: "there"}} {
		if err := j.SetMark(t.Context(), &mark); err != nil {
			t.Fatal(err)
		}
		crashed := Options{Dir: "/j", Memory: memory.CrashClone(nil)}
		if _, err := Open(crashed); err == nil || !strings.Contains(err.Error(), mark.Refusal().Error()) {
			t.Errorf("open: %v", err)
		}
		crashed.Moving = true
		again, err := Open(crashed)
		if err != nil {
			t.Fatal(err)
		}
		if got := again.Mark(); got == nil || *got != mark || again.ID() != id {
			t.Errorf("found again: %+v of %s, want %+v of %s", got, again.ID(), mark, id)
		}
		if err := again.SetMark(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
		crashed.Moving = false
		open(t, crashed)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestMarkIsForetold by Inspect, on a disk.
func TestMarkIsForetold(t *testing.T) {
	options := Options{Dir: t.TempDir(), Moving: true}
	j := open(t, options)
	if err := j.SetMark(t.Context(), &journal.Mark{Moved: true, Other: "other", Place: "there"}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if found := Inspect(options); len(found.Faults) > 0 {
		t.Errorf("for a move: %v", found.Faults)
	}
	options.Moving = false
	if found := Inspect(options); len(found.Faults) != 1 {
		t.Errorf("for a relay: %v", found.Faults)
	}
	if other := open(t, Options{Dir: t.TempDir()}); other.ID() == j.ID() {
		t.Error("two journals have one id")
	}
}
