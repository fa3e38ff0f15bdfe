package embedded

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
	"audiences/journal"
)

// TestReadsSeeWhatWasHandedInBefore them, and nothing that was handed in after.
func TestReadsSeeWhatWasHandedInBefore(t *testing.T) {
	j, seg := open(t, inMemory()), segment(tenant("a"), "s")
	for i := range 200 {
		page, counts := make(chan journal.Page, 1), make(chan journal.Counts, 1)
		j.Append(appendOf(seg, audience.Add, audience.KeysOf(keys(i)...), false, nil))
		j.Load(journal.Load{Segment: seg, Limit: 1000, Done: func(p journal.Page) { page <- p }})
		j.Count(journal.Count{Segment: seg, Done: func(c journal.Counts) { counts <- c }})
		j.Append(appendOf(seg, audience.Add, audience.KeysOf(keys(-1)...), false, nil))
		j.Settle(settleOf(seg, slices.Values(keys(-1)), nil))
		if p := <-page; len(p.Entries) != i+1 || p.Err != nil {
			t.Fatalf("load %d saw %d keys, %v", i, len(p.Entries), p.Err)
		}
		if c := <-counts; c != (journal.Counts{Pending: i + 1}) {
			t.Fatalf("count %d: %+v", i, c)
		}
	}
}

// TestPaging walks over 25,000 keys in pages, in the order of the cursors.
func TestPaging(t *testing.T) {
	j, seg := open(t, inMemory()), segment(tenant("a"), "s")
	n := 25_000
	all := append(numbers(-n/2, n-2), keys("a", "b")...)
	add(t, j, seg, audience.Add, all...)
	add(t, j, segment(tenant("a"), "t"), audience.Add, keys(7)...)
	park(t, j, seg, audience.Add, keys("z")...)
	var got []audience.Key
	at := journal.Cursor{}
	for pages := 1; ; pages++ {
		page := load(j, journal.Load{Segment: seg, After: at, Limit: 10_000})
		if page.Err != nil {
			t.Fatal(page.Err)
		}
		for _, entry := range page.Entries {
			if here := journal.CursorAt(entry.Key); !at.Before(here) {
				t.Fatal("out of order")
			} else {
				at = here
			}
			got = append(got, entry.Key)
		}
		if page.Next != at || page.More != (len(got) < n) || !page.Parked {
			t.Fatalf("page %d: more %v after %d keys, parked %v", pages, page.More, len(got), page.Parked)
		}
		if again, err := journal.ParseCursor(page.Next.Text()); again != page.Next || err != nil {
			t.Fatal("a cursor changed on its way through text:", err)
		}
		if !page.More {
			break
		}
	}
	if !slices.Equal(got, all) {
		t.Errorf("%d keys, not those put in", len(got))
	}
}

// TestParkedShowsEverything about a parked key.
func TestParkedShowsEverything(t *testing.T) {
	j, seg, at := open(t, inMemory()), segment(tenant("a"), "s"), time.Date(2026, 11, 23, 1, 2, 3, 4, time.UTC)
	want := journal.Refusal{Reason: "bad_request", Message: "key 7 is \"bad\"", At: at}
	done := make(chan error, 1)
	j.Park(parkOf(seg, audience.Delete, slices.Values(keys(7, "x")), want, done))
	wait(t, done)
	page := make(chan journal.ParkedPage, 1)
	j.Parked(journal.ParkedQuery{Segment: seg, Limit: 1, Done: func(p journal.ParkedPage) { page <- p }})
	first := <-page
	if len(first.Entries) != 1 || !first.More || first.Entries[0] != (journal.ParkedEntry{Key: keys(7)[0], Verb: audience.Delete, Refusal: want}) {
		t.Errorf("%+v", first)
	}
	j.Parked(journal.ParkedQuery{Segment: seg, After: first.Next, Limit: 1, Done: func(p journal.ParkedPage) { page <- p }})
	if second := <-page; len(second.Entries) != 1 || second.More || second.Entries[0].Key != keys("x")[0] {
		t.Errorf("%+v", second)
	}
}

// TestListing tells pending and parked segments from those with neither.
func TestListing(t *testing.T) {
	j, who, segments, each := open(t, inMemory()), tenant("a"), 1000, 20
	fill(t, j, who, segments, each)
	settle(t, j, segment(who, "s7"), numbers(7, each)...)
	park(t, j, segment(who, "s8"), audience.Add, numbers(0, 10)...)
	listed, errs := collect(j.Segments(audience.AllSlots()))
	if len(listed) != segments || len(errs) > 0 {
		t.Fatalf("%d segments, %v", len(listed), errs)
	}
	for _, l := range listed {
		if l.Pending != (l.Segment.Name != "s7") || l.Parked != (l.Segment.Name == "s8") {
			t.Errorf("%s: pending %v, parked %v", l.Segment.Name, l.Pending, l.Parked)
		}
	}
}

// fill appends keys to many segments of one tenant.
func fill(t testing.TB, j *Journal, who audience.Tenant, segments, each int) {
	done := make(chan error, segments)
	for i := range segments {
		j.Append(appendOf(segment(who, fmt.Sprint("s", i)), audience.Add, audience.KeysOf(numbers(i, each)...), true, done))
	}
	for range segments {
		wait(t, done)
	}
}

// TestListingReportsDamagedRecords: a bad record is an item with an error, and the
// others go on.
func TestListingReportsDamagedRecords(t *testing.T) {
	j, who := open(t, inMemory()), tenant("a")
	seg, lost, bad := segment(who, "s"), segment(who, "lost"), segment(who, "bad")
	j.PutTenant(who)
	j.PutTenant(tenant("b"))
	for _, s := range []audience.Segment{seg, lost, bad} {
		add(t, j, s, audience.Add, keys(1, 2)...)
	}
	done := make(chan error, 1) // and not by Forget, which looks
	j.submit(operation{stage: func(b *pebble.Batch) { del(b, head(prefixDescriptor, idOf(lost))) }, done: told(done)})
	wait(t, done)
	settle(t, j, bad, keys(1, 2)...)
	for _, key := range [][]byte{head(prefixDescriptor, idOf(bad)), head(prefixTenant, tenant("b").ID)} {
		if err := j.db.Set(key, []byte("nonsense"), pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	listed, errs := collect(j.Segments(audience.AllSlots()))
	if len(listed) != 1 || listed[0].Segment != seg || len(errs) != 2 {
		t.Errorf("%v, %v", listed, errs)
	}
	tenants, errs := collect(j.Tenants(audience.AllSlots()))
	if len(tenants) != 1 || tenants[0].Tenant != who || len(errs) != 1 {
		t.Errorf("%v, %v", tenants, errs)
	}
	if err := j.db.Set(append(head(prefixPending, idOf(seg)), "s1"...), []byte{1}, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	page := load(j, journal.Load{Segment: seg, Limit: 10})
	if page.Err == nil || len(page.Entries) != 2 {
		t.Errorf("a key under a wrong encoding was not reported: %d entries, %v", len(page.Entries), page.Err)
	}
	if page := load(j, journal.Load{Segment: lost, Limit: 10}); page.Err != nil || len(page.Entries) != 2 {
		t.Errorf("another segment suffers: %v", page.Err)
	}
}
