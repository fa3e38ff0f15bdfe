package admin

import (
	"fmt"
	"net/http"
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

// BenchmarkFirstPage is of a snapshot that nobody has looked at: made, sorted, filtered.
func BenchmarkFirstPage(b *testing.B) {
	relay := large(100)
	w, err := windowOf(map[string]string{"search": "7"}, usualPage)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		now := newSnapshot(relay.tenants, nil)
		now.segments.page(w, w.filter.segment)
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
		now.segments.page(w, w.filter.segment)
	}
}

// TestSnapshotIsSortedOnce for each order, however many pages are looked at.
func TestSnapshotIsSortedOnce(t *testing.T) {
	handler, pages := local(large(3)), 0
	server := New(Options{Relay: large(3)})
	now, err := server.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for next := "?limit=1000"; next != ""; pages++ {
		list := got[SegmentList](t, handler, "segments"+next)
		if next = ""; list.Next != "" {
			next = "?limit=1000&cursor=" + list.Next
		}
	}
	if pages != 3 {
		t.Errorf("%d pages, want 3", pages)
	}
	for range 5 {
		for _, order := range []string{"asc", "desc"} {
			w, err := windowOf(map[string]string{"order": order}, usualPage)
			if err != nil {
				t.Fatal(err)
			}
			now.segments.page(w, w.filter.segment)
		}
	}
	if len(now.segments.sorted) != 2 {
		t.Errorf("sorted in %d orders, want 2", len(now.segments.sorted))
	}
	if code, _ := call(t, handler, http.MethodGet, apiPath+"/segments?sort=name&limit=1000&search=segment_99", "", ""); code != http.StatusOK {
		t.Error(code)
	}
}
