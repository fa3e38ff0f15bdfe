package embedded

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"audiences/audience"
	"audiences/journal"
)

// TestStatesSurvive writes, reopens, reads; and a zero state leaves no record.
func TestStatesSurvive(t *testing.T) {
	options, who := inMemory(), tenant("a")
	seg, done := segment(who, "s"), make(chan error, 8)
	until := time.Date(2026, 11, 23, 10, 0, 0, 123, time.FixedZone("", 3600))
	state := journal.SegmentState{Paused: true, PausedUntil: until, PausedBy: "ana", PausedSince: until, Parked: &journal.Refusal{Reason: "forbidden", Message: "m", At: until}}
	j := open(t, options)
	j.PutTenant(who)
	add(t, j, seg, audience.Add, keys(1)...)
	j.SetSegmentState(seg, state, told(done))
	j.SetTenantState(who.ID, journal.TenantState{Paused: true, PausedUntil: until, PausedBy: "ben", PausedSince: until}, told(done))
	wait(t, done)
	wait(t, done)
	reopen := func() {
		t.Helper()
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j = open(t, options)
	}
	reopen()
	got := load(j, journal.Load{Segment: seg}).State
	if !got.Paused || !got.PausedUntil.Equal(until) || got.Parked == nil || got.Parked.Reason != "forbidden" || !got.Parked.At.Equal(until) {
		t.Errorf("segment state %+v", got)
	}
	if got.PausedBy != "ana" || got.PausedSince != until.UTC() {
		t.Errorf("the segment is paused by %q since %v", got.PausedBy, got.PausedSince)
	}
	tenants, errs := collect(j.Tenants(audience.AllSlots()))
	if len(errs) > 0 || len(tenants) != 1 || tenants[0].Tenant != who || !tenants[0].State.Paused || !tenants[0].State.PausedUntil.Equal(until) {
		t.Errorf("tenants %+v, %v", tenants, errs)
	}
	if state := tenants[0].State; state.PausedBy != "ben" || state.PausedSince != until.UTC() {
		t.Errorf("the tenant is paused by %q since %v", state.PausedBy, state.PausedSince)
	}
	listed, errs := collect(j.Segments(audience.AllSlots()))
	if len(errs) > 0 || len(listed) != 1 || !listed[0].State.Paused {
		t.Errorf("segments %+v, %v", listed, errs)
	}
	j.SetSegmentState(seg, journal.SegmentState{}, told(done))
	j.SetTenantState(who.ID, journal.TenantState{}, told(done))
	settle(t, j, seg, keys(1)...)
	j.Forget(seg)
	reopen()
	none := func(record, _ []byte) (bool, error) {
		if record[0] == prefixReserve || record[0] == prefixSecond {
			return true, nil
		}
		return false, fmt.Errorf("record %q is left", record)
	}
	if err := scan(j.db, nil, journal.Cursor{}, none); err != nil {
		t.Error("of a forgotten tenant:", err)
	}
}

// TestGroupCommit: writers that come together share fsyncs.
func TestGroupCommit(t *testing.T) {
	registry := prometheus.NewRegistry()
	j := open(t, Options{Dir: t.TempDir(), Registerer: registry})
	seg, writers, each := segment(tenant("a"), "s"), 100, 50
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				add(t, j, seg, audience.Add, audience.NumericKey(int64(w*each+i)))
			}
		})
	}
	all.Wait()
	if got := len(pending(t, j, seg)); got != writers*each {
		t.Errorf("%d keys, want %d", got, writers*each)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "audiences_journal_commit_seconds" {
			commits := family.GetMetric()[0].GetHistogram().GetSampleCount()
			if commits > uint64(writers*each/10) {
				t.Errorf("%d commits for %d appends", commits, writers*each)
			}
		}
	}
	if n := testutil.CollectAndCount(registry); n != 12 {
		t.Errorf("%d series, want 12 from the start", n)
	}
}

// TestLargeOperations: one operation beyond the limit of a group goes through, and
// so do many that together are beyond it.
func TestLargeOperations(t *testing.T) {
	j, seg, done := open(t, inMemory()), segment(tenant("a"), "s"), make(chan error, 20)
	j.Append(appendOf(seg, audience.Add, audience.KeysOf(numbers(0, 200_000)...), true, done))
	for i := range 7 {
		j.Append(appendOf(seg, audience.Delete, audience.KeysOf(numbers(i*40_000, 40_000)...), false, done))
	}
	for range 8 {
		wait(t, done)
	}
	if c := count(j, seg); c != (journal.Counts{Pending: 280_000}) {
		t.Errorf("%+v, want 280,000 keys", c)
	}
}

// TestGroupsHaveABound: what waits together is not made durable together where that
// is more than a group holds, so that nobody's answer waits for very much of others.
func TestGroupsHaveABound(t *testing.T) {
	registry := prometheus.NewRegistry()
	options := inMemory()
	options.Registerer = registry
	j, seg, done := open(t, options), segment(tenant("a"), "s"), make(chan error, 4)
	held := make(chan struct{})
	j.submit(operation{stage: func(*pebble.Batch) { <-held }, done: func(error) {}})
	for i := range 4 { // each of them is most of a group
		j.Append(appendOf(seg, audience.Add, audience.KeysOf(numbers(i*100_000, 100_000)...), false, done))
	}
	close(held)
	for range 4 {
		wait(t, done)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "audiences_journal_commit_seconds" {
			if n := family.GetMetric()[0].GetHistogram().GetSampleCount(); n < 4 {
				t.Errorf("%d commits, want one for each", n)
			}
			return
		}
	}
	t.Error("commits are not counted")
}

// TestUnparkRetriesInSteps covers more keys than one step takes, and that a
// newer pending verb stays (I2).
func TestUnparkRetriesInSteps(t *testing.T) {
	j, seg, other := open(t, inMemory()), segment(tenant("a"), "s"), segment(tenant("b"), "s")
	n := 2*stepKeys + 7
	park(t, j, seg, audience.Add, numbers(0, n)...)
	add(t, j, other, audience.Add, keys(1)...)
	done := make(chan error, 1)
	newer := journal.AppendKey(head(prefixPending, idOf(seg)), keys(5)[0])
	j.submit(operation{stage: func(b *pebble.Batch) { set(b, newer, encodePending(audience.Delete, 1)) }, done: told(done)})
	wait(t, done)
	if got, err := unpark(j, journal.Unpark{Segment: seg}); got != n || err != nil {
		t.Fatalf("unparked %d, %v; want %d", got, err, n)
	}
	got := pending(t, j, seg)
	if len(got) != n || got["5"] != audience.Delete || got["6"] != audience.Add {
		t.Errorf("%d pending; 5: %v, 6: %v", len(got), got["5"], got["6"])
	}
	if left := count(j, seg); left != (journal.Counts{Pending: n}) {
		t.Errorf("%+v, want %d pending keys", left, n)
	}
}

// TestOperationsDuringALongOne: one on the same tenant sees all of it, in the
// order handed in; one on another tenant is not held up by it (I6).
func TestOperationsDuringALongOne(t *testing.T) {
	j, seg, other := open(t, inMemory()), segment(tenant("a"), "s"), segment(tenant("b"), "s")
	n := 2*stepKeys + 1
	park(t, j, seg, audience.Add, numbers(0, n)...)
	order := make(chan string, 10)
	same, foreign, counts := make(chan error, 1), make(chan error, 1), make(chan journal.Counts, 1)
	gate := make(chan struct{})
	j.submit(operation{stage: func(*pebble.Batch) { <-gate }, done: ignore}) // so that all wait together
	j.Unpark(journal.Unpark{Segment: seg, Done: func(int, error) { order <- "unpark" }})
	j.Append(appendOf(seg, audience.Delete, audience.KeysOf(keys(0)...), false, same))
	j.Count(journal.Count{Segment: seg, Done: func(c journal.Counts) { counts <- c }})
	j.Unpark(journal.Unpark{Segment: seg, Discard: true, Done: func(int, error) { order <- "second" }})
	j.submit(operation{tenants: tenantOnly(other.Tenant), stage: func(*pebble.Batch) { order <- "foreign" }, done: ignore})
	j.Append(appendOf(other, audience.Add, audience.KeysOf(keys(1)...), false, foreign))
	close(gate)
	wait(t, foreign)
	wait(t, same)
	if c := <-counts; c != (journal.Counts{Pending: n}) {
		t.Errorf("%+v, want all %d keys pending", c, n)
	}
	if got := []string{<-order, <-order, <-order}; !slices.Equal(got, []string{"foreign", "unpark", "second"}) {
		t.Errorf("order %v", got)
	}
	if got := pending(t, j, seg); got["0"] != audience.Delete || got["1"] != audience.Add {
		t.Error("the append is not the last")
	}
}

// TestMoveTenant: what is newer at the target wins (I2), the source is gone, and
// a second move finds nothing to do.
func TestMoveTenant(t *testing.T) {
	j, old, fresh := open(t, inMemory()), tenant("old"), tenant("fresh")
	seg, target, untouched := segment(old, "s"), segment(fresh, "s"), segment(tenant("c"), "s")
	n := stepKeys + 100
	add(t, j, seg, audience.Add, numbers(0, n)...)
	park(t, j, seg, audience.Delete, numbers(n, 3)...)
	add(t, j, segment(old, "u"), audience.Delete, keys("x")...)
	add(t, j, target, audience.Delete, keys(1)...)
	park(t, j, target, audience.Delete, keys(2)...)
	add(t, j, untouched, audience.Add, keys(1)...)
	j.SetSegmentState(seg, journal.SegmentState{Paused: true}, nil)
	move := func() (segments []audience.Segment, moved int) {
		done := make(chan struct{})
		j.MoveTenant(old.ID, fresh.ID, func(s []audience.Segment, k int, err error) {
			if err != nil {
				t.Error(err)
			}
			segments, moved = s, k
			close(done)
		})
		<-done
		return segments, moved
	}
	segments, moved := move()
	if len(segments) != 2 || !slices.Contains(segments, target) || moved != n+3+1-2 {
		t.Errorf("moved %d keys of %v", moved, segments)
	}
	got := pending(t, j, target)
	if len(got) != n+2 || got["0"] != audience.Add || got["1"] != audience.Delete || got["10102"] != audience.Delete {
		t.Errorf("%d keys at the target, 0: %v, 1: %v", len(got), got["0"], got["1"])
	}
	if _, twice := got["2"]; twice || !maps.Equal(parkedVerbs(t, j, target), map[string]audience.Verb{"2": audience.Delete}) {
		t.Error("a key that the target has parked came back")
	}
	page, left := load(j, journal.Load{Segment: seg}), count(j, seg)
	if left != (journal.Counts{}) || page.State != (journal.SegmentState{}) || len(pending(t, j, untouched)) != 1 {
		t.Errorf("left behind: %+v, %+v", left, page)
	}
	if listed, errs := collect(j.Segments(audience.AllSlots())); len(listed) != 3 || len(errs) > 0 {
		t.Errorf("listed %v, %v", listed, errs)
	}
	if segments, moved := move(); len(segments) != 0 || moved != 0 {
		t.Errorf("the second move moved %d of %v", moved, segments)
	}
}

// TestAfterClose: everything is answered, with ErrClosed.
func TestAfterClose(t *testing.T) {
	j, seg := open(t, inMemory()), segment(tenant("a"), "s")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 2)
	j.Append(appendOf(seg, audience.Add, audience.KeysOf(keys(1)...), false, done))
	j.SetTenantState(seg.Tenant, journal.TenantState{}, told(done))
	if a, b := <-done, <-done; a != journal.ErrClosed || b != journal.ErrClosed {
		t.Error(a, b)
	}
	if page := load(j, journal.Load{Segment: seg}); page.Err != journal.ErrClosed {
		t.Error(page.Err)
	}
	if page := parked(j, seg); page.Err != journal.ErrClosed {
		t.Error(page.Err)
	}
	if _, err := unpark(j, journal.Unpark{Segment: seg}); err != journal.ErrClosed {
		t.Error(err)
	}
	if _, errs := collect(j.Segments(audience.AllSlots())); len(errs) != 1 || errs[0] != journal.ErrClosed {
		t.Error(errs)
	}
	if _, errs := collect(j.Tenants(audience.AllSlots())); len(errs) != 1 || j.Usage() != 0 || j.Close() != nil {
		t.Error(errs)
	}
}

// TestCloseAnswersEverything: what was handed in before Close is carried out.
func TestCloseAnswersEverything(t *testing.T) {
	options := inMemory()
	j, seg := open(t, options), segment(tenant("a"), "s")
	done, pages := make(chan error, 1000), make(chan journal.Page, 1000)
	park(t, j, seg, audience.Add, numbers(0, 3*stepKeys)...)
	unparked := make(chan error, 1)
	j.Unpark(journal.Unpark{Segment: seg, Done: func(_ int, err error) { unparked <- err }})
	for i := range 1000 {
		j.Append(appendOf(seg, audience.Add, audience.KeysOf(keys(-1-i)...), false, done))
		j.Load(journal.Load{Segment: seg, Limit: 1, Done: func(p journal.Page) { pages <- p }})
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	wait(t, unparked)
	for range 1000 {
		wait(t, done)
		if p := <-pages; p.Err != nil {
			t.Fatal(p.Err)
		}
	}
	if got := len(pending(t, open(t, options), seg)); got != 3*stepKeys+1000 {
		t.Errorf("%d keys", got)
	}
}
