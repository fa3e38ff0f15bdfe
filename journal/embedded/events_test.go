package embedded

import (
	"errors"
	"fmt"
	"testing"

	"audiences/journal"
)

// TestTheLastEventsAreKept, over restarts and however many come.
func TestTheLastEventsAreKept(t *testing.T) {
	const many = 2*journal.EventsKept + 500
	options, number := inMemory(), uint64(0)
	for range 3 {
		j, err := Open(options)
		if err != nil {
			t.Fatal(err)
		}
		for range many / 3 {
			number++
			j.NoteEvent(journal.Event{Number: 3 * number, Text: fmt.Append(nil, "event ", number)}, nil)
		}
		done := make(chan error, 1)
		number++
		j.NoteEvent(journal.Event{Number: 3 * number, Text: fmt.Append(nil, "event ", number)}, told(done))
		wait(t, done)
		events, errs := collect(j.Events())
		if len(errs) > 0 || len(events) != min(int(number), journal.EventsKept) {
			t.Fatalf("%d of %d events: %v", len(events), number, errs)
		}
		for i, e := range events {
			if want := number - uint64(len(events)) + uint64(i) + 1; e.Number != 3*want || string(e.Text) != fmt.Sprint("event ", want) {
				t.Fatalf("the %d. event is %d %q, want %d", i, e.Number, e.Text, want)
			}
		}
		for range j.Events() {
			break // the caller may stop
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		for _, err := range j.Events() {
			if !errors.Is(err, journal.ErrClosed) {
				t.Error(err)
			}
		}
	}
}

// TestEventTakesThePlaceOfAnother: a draft is gone with what replaces it, in one step, also
// from those that count as kept.
func TestEventTakesThePlaceOfAnother(t *testing.T) {
	options := inMemory()
	j := open(t, options)
	done := make(chan error, 1)
	for number := uint64(1); number <= 3*journal.EventsKept; number++ {
		e := journal.Event{Number: number, Text: fmt.Append(nil, "event ", number)}
		if number%3 == 0 {
			e.Replaces = number - 2 // not the last one
		}
		j.NoteEvent(e, told(done))
		wait(t, done)
	}
	j.NoteEvent(journal.Event{Number: 9_999, Replaces: 7_777, Text: []byte("there is no such")}, told(done))
	wait(t, done)
	after := open(t, Options{Dir: options.Dir, Memory: options.Memory.CrashClone(nil)})
	for _, from := range []*Journal{j, after} {
		events, errs := collect(from.Events())
		if len(errs) > 0 || len(events) != journal.EventsKept {
			t.Fatalf("%d events: %v", len(events), errs)
		}
		for _, e := range events {
			if e.Number%3 == 1 && e.Number != 9_999 && e.Number+2 <= 3*journal.EventsKept {
				t.Errorf("event %d was replaced and is there", e.Number)
			}
		}
	}
}
