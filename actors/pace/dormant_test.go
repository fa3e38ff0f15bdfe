package pace

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"audiences/audience"
	"audiences/splitclient"
)

// TestDormantQueueOrder: who is due, the new first, the failing now and then; who is
// taken out is not called.
func TestDormantQueueOrder(t *testing.T) {
	q := NewDormantQueue[string]()
	add := func(n int, due time.Time, r Record) {
		q.Add(&Dormant[string]{ID: id(n), Due: due, Record: r})
	}
	failing := Record{failures: 1}
	add(1, noon.Add(3*time.Second), failing)
	add(2, noon.Add(2*time.Second), failing)
	add(3, noon.Add(4*time.Second), Record{})
	add(4, noon.Add(5*time.Second), Record{})
	add(5, time.Time{}, Record{}) // not by itself
	add(6, noon.Add(time.Minute), Record{})
	add(7, noon.Add(time.Second), Record{})
	q.Remove(id(7))
	if q.Next(noon) != nil || !q.NextDue().Equal(noon.Add(2*time.Second)) {
		t.Errorf("called before it was due; the next is due at %v", q.NextDue())
	}
	var got []audience.TenantID
	for d := q.Next(noon.Add(10 * time.Second)); d != nil; d = q.Next(noon.Add(10 * time.Second)) {
		got = append(got, d.ID)
	}
	if want := []audience.TenantID{id(3), id(4), id(2), id(1)}; !slices.Equal(got, want) {
		t.Errorf("called %v, want %v", got, want)
	}
	if q.Len() != 2 || q.Remove(id(5)) == nil || q.Remove(id(6)) == nil || q.Len() != 0 || !q.NextDue().IsZero() {
		t.Error("those that are not due are not kept")
	}
	add(0, noon, failing)
	for n := range 20 {
		add(10+n, noon, Record{})
	}
	for n := 0; q.tenants.Has(id(0)); n++ {
		if q.Next(noon); n > 30 {
			t.Fatal("the failing one is never called")
		}
	}
}

// TestDormantPrintsNothing covers I7.
func TestDormantPrintsNothing(t *testing.T) {
	d := Dormant[string]{What: "sekrit"}
	for _, v := range []any{d, &d} {
		if text := fmt.Sprintf("%+v", v); text != "pace.Dormant[string]" {
			t.Errorf("%T prints %s", v, text)
		}
	}
}

// TestDormantFailingGetTheirTurn: after upperTurns newcomers one of the failing is next.
func TestDormantFailingGetTheirTurn(t *testing.T) {
	q := NewDormantQueue[int]()
	now := time.Now()
	failing := &Dormant[int]{ID: id(9999), Due: now}
	failing.Record.Note(splitclient.Outcome{Kind: splitclient.Transient, Reason: splitclient.ServerError})
	q.Add(failing)
	for n := range upperTurns + 1 {
		q.Add(&Dormant[int]{ID: id(n), Due: now})
	}
	for n := range upperTurns {
		if d := q.Next(now); d.ID == failing.ID {
			t.Fatalf("the failing one is woken before %d newcomers", n)
		}
	}
	if d := q.Next(now); d.ID != failing.ID {
		t.Error("the failing one waits for ever")
	}
}
