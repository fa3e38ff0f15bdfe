package admin

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"audiences/audience"
	"audiences/status"
)

// large is a relay with so many tenants of 1,000 segments each.
func large(tenants int) *fakeRelay {
	f := &fakeRelay{}
	states := status.States()
	for i := range tenants {
		var segments []status.Segment
		for j := range 1000 {
			segments = append(segments, segmentIn(fmt.Sprintf("segment_%d", j), states[(i*j)%len(states)], j%50, j%3))
		}
		f.tenants = append(f.tenants, tenantOf(audience.TenantID{byte(i), 1}, segments...))
	}
	return f
}

// BenchmarkFirstPage is of a snapshot that nobody has looked at: made, filtered, listed.
func BenchmarkFirstPage(b *testing.B) {
	relay := large(100)
	w, err := windowOf(map[string]string{"search": "7"}, usualPage)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		now := newSnapshot(relay.tenants, nil)
		now.segments.page(w)
	}
}

// BenchmarkNextPage is of one that others have looked at.
func BenchmarkNextPage(b *testing.B) {
	now := newSnapshot(large(100).tenants, nil)
	w, err := windowOf(map[string]string{"search": "7"}, usualPage)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		now.segments.page(w)
	}
}

// TestPagesAreTheSortedList: page by page, in each order, all rows come once, in order.
// TestParkedKeysComeEarly: a segment with parked keys needs somebody, whatever else it
// does; it comes right behind those that are parked, also over pages.
func TestParkedKeysComeEarly(t *testing.T) {
	relay := &fakeRelay{tenants: []status.Tenant{tenantOf(idA,
		segmentIn("idle", status.Idle, 0, 0), segmentIn("gathers", status.Gathering, 9, 0), segmentIn("poisoned", status.Idle, 0, 1),
		segmentIn("paused", status.Paused, 1, 0), segmentIn("parked", status.Parked, 2, 0), segmentIn("refused", status.TokenRefused, 2, 3))}}
	handler, cursor := local(relay), ""
	var names []string
	for {
		list := got[SegmentList](t, handler, "segments?limit=2&cursor="+cursor)
		for _, s := range list.Segments {
			names = append(names, s.Segment.Segment)
		}
		if cursor = list.Next; cursor == "" {
			break
		}
	}
	if want := "refused parked poisoned paused gathers idle"; strings.Join(names, " ") != want {
		t.Errorf("%v, want %s", names, want)
	}
}

func TestPagesAreTheSortedList(t *testing.T) {
	now := newSnapshot(large(3).tenants, nil)
	for _, o := range orders {
		for _, direction := range []string{"asc", "desc"} {
			for _, search := range []string{"", "7", "segment_99", "none"} {
				given := map[string]string{"sort": o.name, "order": direction, "search": search}
				w, err := windowOf(given, 1)
				if err != nil {
					t.Fatal(err)
				}
				var want []place
				for i := range now.segments.rows {
					if row := &now.segments.rows[i]; w.filter.segment(row) {
						want = append(want, placeOfSegment(row))
					}
				}
				compare := w.comparison()
				slices.SortFunc(want, func(a, b place) int { return compare(&a, &b) })
				for _, limit := range []string{"1000", "999", "7"} {
					given["limit"] = limit
					expectPages(t, now, given, want)
				}
			}
		}
	}
}

// expectPages reads a list page by page.
func expectPages(t *testing.T, now *snapshot, given map[string]string, want []place) {
	t.Helper()
	var got []place
	delete(given, "cursor")
	for pages := 0; pages == 0 || given["cursor"] != ""; pages++ {
		w, err := windowOf(given, usualPage)
		if err != nil {
			t.Fatal(err)
		}
		shown := now.segments.page(w)
		for i := range shown.rows {
			got = append(got, placeOfSegment(&shown.rows[i]))
		}
		if given["cursor"] = shown.next; shown.matching != len(want) || shown.next != "" && len(shown.rows) != w.limit {
			t.Fatalf("%v: %d match, want %d; a page of %d", given, shown.matching, len(want), len(shown.rows))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v: %d rows, want %d, or in another order", given, len(got), len(want))
	}
}

// TestParkedAndPausedIsParkedEverywhere: in lists, in counts, on the page, for remedies, and
// with either state; so is what is parked while a call is under way.
func TestParkedAndPausedIsParkedEverywhere(t *testing.T) {
	held, tried := segmentIn("held", status.Parked, 3, 0), segmentIn("tried", status.Parked, 1, 0)
	held.Condition = held.Besides(status.Condition{State: status.Paused, By: "ana"})
	tried.Condition = tried.Besides(status.Condition{State: status.Calling})
	relay := &fakeRelay{tenants: []status.Tenant{tenantOf(idA, held, tried, segmentIn("paused", status.Paused, 1, 0), segmentIn("idle", status.Idle, 0, 0))}}
	handler := local(relay)
	for state, want := range map[status.State]string{status.Parked: "held tried", status.Paused: "held paused", status.Calling: "tried", status.Idle: "idle"} {
		var names []string
		for _, s := range got[SegmentList](t, handler, "segments?sort=name&state="+string(state)).Segments {
			names = append(names, s.Segment.Segment)
		}
		if strings.Join(names, " ") != want {
			t.Errorf("%s: %v, want %s", state, names, want)
		}
		tenants := got[TenantList](t, handler, "tenants?state="+string(state))
		if trouble := state == status.Parked || state == status.Paused; tenants.Matching == 1 != trouble {
			t.Errorf("%d tenants are %s", tenants.Matching, state)
		}
	}
	if list := got[ParkedList](t, handler, "parked"); list.Matching != 2 {
		t.Errorf("%d segments are listed as parked", list.Matching)
	}
	sum := got[Summary](t, handler, "summary")
	if sum.Segments[status.Parked] != 2 || sum.Tenants[status.Parked] != 1 || !strings.Contains(sum.Verdict, "Split refuses a segment of it, 4 keys are kept") {
		t.Errorf("%+v", sum)
	}
	shows(t, opened(t, handler, "GET", "", ""), "<b>2</b> segments</dd>", `<span class="state parked">parked</span> <span class="state paused">paused</span>`)
}

// TestEventsNameWhomPeopleKnow: also those that are named beside the first; what the relay
// keeps is not changed for that.
func TestEventsNameWhomPeopleKnow(t *testing.T) {
	relay := busy()
	relay.events = []status.Event{{Kind: status.EventTokenRefused, Tenant: printB, Segments: 3, Others: []status.EventSubject{{Tenant: printA}}}}
	list := got[EventList](t, local(relay), "events")
	if want := "Tenant " + printB + ": Split refuses the token; so it is with tenant acme-prod (" + printA + "), and 1 more."; len(list.Events) != 1 || list.Events[0].Sentence != want {
		t.Errorf("%+v, want %s", list.Events, want)
	}
	if kept := relay.events[0].Others[0].Name; kept != "" {
		t.Errorf("the relay's own event was given the name %s", kept)
	}
}
