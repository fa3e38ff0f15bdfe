package embedded

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"audiences/audience"
	"audiences/journal"
)

func withReceipts() Options {
	options := inMemory()
	options.ReceiptsMaxBytes, options.ReceiptsMaxAge = 512<<20, 7*24*time.Hour
	return options
}

func deliver(t testing.TB, j *Journal, seg audience.Segment, receipt journal.Receipt, keys ...audience.Key) {
	t.Helper()
	done := make(chan error, 1)
	s := settleOf(seg, slices.Values(keys), done)
	s.Receipt = receipt
	j.Settle(s)
	wait(t, done)
}

// delivery is a receipt of this moment, which a journal keeps to the microsecond.
func delivery(verb audience.Verb, call uint64) journal.Receipt {
	return journal.Receipt{At: time.Now().UTC().Truncate(time.Microsecond), Verb: verb, Call: call}
}

func sighting(seg audience.Segment, r journal.Receipt) journal.Sighting {
	return journal.Sighting{Segment: seg, State: journal.Delivered, Verb: r.Verb, At: r.At, Call: r.Call}
}

func find(j *Journal, f journal.Find) journal.Found {
	done := make(chan journal.Found, 1)
	f.Done = func(found journal.Found) { done <- found }
	j.Find(f)
	return <-done
}

// findAll follows the pages to the end.
func findAll(t rapid.TB, j *Journal, f journal.Find) (all []journal.Sighting, pages int) {
	t.Helper()
	for {
		found := find(j, f)
		if found.Err != nil {
			t.Fatal(found.Err)
		}
		pages++
		all = append(all, found.Sightings...)
		if !found.More {
			return all, pages
		}
		if found.Next == f.After {
			t.Fatal("a page leads to itself")
		}
		f.After = found.Next
	}
}

// show is for messages: what a test has is no secret.
func show(sightings []journal.Sighting) (out []string) {
	for _, s := range sightings {
		out = append(out, fmt.Sprint(s.Segment.Name, " ", s.State, " ", s.Verb, " ", s.At, " ", s.Call, " ", s.Version, " ", s.Refusal.Reason))
	}
	return out
}

func wantSightings(t rapid.TB, got []journal.Sighting, want ...journal.Sighting) {
	t.Helper()
	if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %q\nwant %q", show(got), show(want))
	}
}

// TestFind: each answer, exactly: pending, parked, delivered more than once, not seen.
func TestFind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, seg := open(t, withReceipts()), segment(tenant("a"), "s")
		start := time.Now().UTC()
		add(t, j, seg, audience.Add, keys(1, 2, "a")...)
		time.Sleep(10 * time.Minute)
		refusal := journal.Refusal{Reason: "bad_request", Message: "no", At: time.Now().UTC()}
		done := make(chan error, 1)
		j.Park(parkOf(seg, audience.Add, slices.Values(keys(2)), refusal, done))
		wait(t, done)
		first := delivery(audience.Add, 7)
		deliver(t, j, seg, first, keys(1, "a")...)
		time.Sleep(2 * time.Hour)
		version := put(t, j, seg, audience.Delete, keys("a", 3)...)
		second := delivery(audience.Delete, 8)
		deliver(t, j, seg, second, keys("a")...)
		accepted := time.Now().UTC()

		for key, want := range map[audience.Key][]journal.Sighting{
			keys(1)[0]:   {sighting(seg, first)},
			keys("a")[0]: {sighting(seg, second), sighting(seg, first)},
			keys(2)[0]:   {{Segment: seg, State: journal.Parked, Verb: audience.Add, At: refusal.At, Refusal: refusal}},
			keys(3)[0]:   {{Segment: seg, State: journal.Pending, Verb: audience.Delete, At: accepted, Version: version}},
			keys("b")[0]: nil,
			keys(4)[0]:   nil,
		} {
			for _, scope := range []journal.Find{{Segment: seg}, {Tenant: seg.Tenant}, {}} {
				scope.Key = key
				found := find(j, scope)
				if found.Err != nil || found.More || !found.Since.Equal(start) {
					t.Errorf("%v, more %v, since %v", found.Err, found.More, found.Since)
				}
				wantSightings(t, found.Sightings, want...)
			}
			other := segment(tenant("b"), "s")
			wantSightings(t, find(j, journal.Find{Segment: other, Key: key}).Sightings)
			wantSightings(t, find(j, journal.Find{Tenant: other.Tenant, Key: key}).Sightings)
		}
	})
}

// TestReceiptHasWhatIsNewer: Split took a key although another change of it is pending.
func TestReceiptHasWhatIsNewer(t *testing.T) {
	j, seg := open(t, withReceipts()), segment(tenant("a"), "s")
	old := put(t, j, seg, audience.Add, keys(1, 2)...)
	put(t, j, seg, audience.Delete, keys(1)...)
	receipt, done := delivery(audience.Add, 1), make(chan error, 1)
	drawn := func(yield func(audience.Key, journal.Version) bool) { yield(keys(1)[0], old) }
	j.Settle(journal.Settle{Segment: seg, Receipt: receipt, Done: func(_ []audience.Key, err error) { done <- err },
		Selection: journal.Selection{Keys: slices.Values(keys(2)), NotAfter: old, Drawn: drawn}})
	wait(t, done)
	got := find(j, journal.Find{Segment: seg, Key: keys(1)[0]}).Sightings
	if len(got) != 2 || got[0].State != journal.Pending || got[0].Verb != audience.Delete {
		t.Fatalf("%q", show(got))
	}
	wantSightings(t, got[1:], sighting(seg, receipt))
	wantSightings(t, find(j, journal.Find{Segment: seg, Key: keys(2)[0]}).Sightings, sighting(seg, receipt))
}

// TestFindNamesWhatIsForgotten: a search everywhere tells the segment's name after a
// Forget, and after its tenant's keys were moved, whose deliveries stay the old one's.
func TestFindNamesWhatIsForgotten(t *testing.T) {
	options := withReceipts()
	j, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	from, forgotten := segment(tenant("a"), "moved"), segment(tenant("a"), "forgotten")
	for _, seg := range []audience.Segment{from, forgotten} {
		add(t, j, seg, audience.Add, keys(1)...)
		deliver(t, j, seg, journal.Receipt{At: time.UnixMicro(1).UTC(), Verb: audience.Add, Call: 3}, keys(1)...)
	}
	j.Forget(forgotten)
	done := make(chan error, 1)
	j.MoveTenant(from.Tenant, tenant("b").ID, func(_ []audience.Segment, _ int, err error) { done <- err })
	wait(t, done)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, options)
	got, _ := findAll(t, j, journal.Find{Tenant: from.Tenant, Key: keys(1)[0]})
	names := []string{}
	for _, s := range got {
		names = append(names, s.Segment.Name)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"forgotten", "moved"}) {
		t.Errorf("%q", names)
	}
	if got := find(j, journal.Find{Tenant: tenant("b").ID, Key: keys(1)[0]}); len(got.Sightings) > 0 {
		t.Errorf("%q", show(got.Sightings))
	}
}

// TestFindIsBounded: a page looks at so many records and no more, however few of them
// are of the tenant, and the pages together find what one would.
func TestFindIsBounded(t *testing.T) {
	j := open(t, withReceipts())
	const segments = findLooks + 100
	done := make(chan error, 2*segments)
	receipt := delivery(audience.Add, 1)
	for i := range segments {
		seg := segment(tenant("a"), fmt.Sprint(i))
		j.Append(appendOf(seg, audience.Add, audience.KeysOf(keys(1)...), true, done))
		s := settleOf(seg, slices.Values(keys(1)), done)
		s.Receipt = receipt
		j.Settle(s)
	}
	for range 2 * segments {
		wait(t, done)
	}
	if all, pages := findAll(t, j, journal.Find{Key: keys(1)[0], Limit: 1 << 30}); len(all) != segments || pages < 4 {
		t.Errorf("%d sightings on %d pages", len(all), pages)
	}
	if all, pages := findAll(t, j, journal.Find{Key: keys(1)[0], Tenant: tenant("b").ID}); len(all) != 0 || pages < 3 {
		t.Errorf("%d sightings on %d pages, of a tenant without keys", len(all), pages)
	}
	if page := find(j, journal.Find{Key: keys(1)[0], After: "junk"}); !errors.Is(page.Err, journal.ErrBadCursor) {
		t.Errorf("a cursor of somebody else: %v", page.Err)
	}
}

// TestFindComesLast: while a page waits for a reader nothing is searched, and a search
// tells of its own time.
func TestFindComesLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, seg := open(t, withReceipts()), segment(tenant("a"), "s")
		let, order := hold(j), make(chan string, 2)
		j.Load(journal.Load{Segment: seg, Limit: 1, Done: func(journal.Page) { order <- "page" }})
		for range findStep + 1 { // as many receipts as it looks at before it makes way
			j.Settle(journal.Settle{Segment: seg, Selection: selected(slices.Values(keys(1))), Receipt: delivery(audience.Add, 1)})
		}
		j.Find(journal.Find{Segment: seg, Key: keys(1)[0], Done: func(found journal.Found) {
			if len(found.Sightings) != findStep+1 || found.Err != nil {
				t.Errorf("%d sightings, %v", len(found.Sightings), found.Err)
			}
			order <- "search"
		}})
		add(t, j, seg, audience.Add, keys(1)...)
		expectHeld(t, order, let, 2)
	})
}

// history is what TestFindModel does with a journal.
type history struct {
	segments []audience.Segment
	steps    []historyStep
	limit    int // of pages
	others   []audience.Key
}

type historyStep struct {
	seg     audience.Segment
	keys    []audience.Key
	verb    audience.Verb
	pause   time.Duration
	restart bool
	receipt journal.Receipt // made by run
}

// drawKeys are keys of all kinds: close together, far apart, the extremes, and texts.
func drawKeys(t *rapid.T, label string) []audience.Key {
	number := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-50, 50), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64}))
	key := rapid.OneOf(
		rapid.Map(number, audience.NumericKey),
		rapid.Map(rapid.StringMatching(`a[a-c]{0,4}`), func(text string) audience.Key { return keys(text)[0] }),
	)
	return rapid.SliceOfN(key, 0, 300).Draw(t, label)
}

func drawHistory(t *rapid.T) history {
	h := history{segments: []audience.Segment{segment(tenant("a"), "s"), segment(tenant("a"), "t"), segment(tenant("b"), "s")}}
	for range rapid.IntRange(1, 12).Draw(t, "steps") {
		h.steps = append(h.steps, historyStep{
			seg:     rapid.SampledFrom(h.segments).Draw(t, "segment"),
			keys:    drawKeys(t, "keys"),
			verb:    rapid.SampledFrom([]audience.Verb{audience.Add, audience.Delete}).Draw(t, "verb"),
			pause:   time.Duration(rapid.IntRange(1, 90).Draw(t, "minutes")) * time.Minute,
			restart: rapid.Bool().Draw(t, "restart"),
		})
	}
	h.limit, h.others = rapid.IntRange(1, 5).Draw(t, "limit"), drawKeys(t, "others")
	return h
}

// wanted is what a search in one segment has to find: the newest first.
func (h history) wanted(seg audience.Segment, key audience.Key) (want []journal.Sighting) {
	for _, step := range slices.Backward(h.steps) {
		if step.seg == seg && slices.Contains(step.keys, key) {
			want = append(want, sighting(seg, step.receipt))
		}
	}
	return want
}

func (h history) run(t *testing.T) {
	options := withReceipts()
	j, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	for i := range h.steps {
		step := &h.steps[i]
		step.receipt = delivery(step.verb, uint64(i))
		deliver(t, j, step.seg, step.receipt, step.keys...)
		if step.restart {
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			if j, err = Open(options); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(step.pause)
	}
	h.compare(t, j)
}

func (h history) compare(t *testing.T, j *Journal) {
	looked := h.others
	for _, step := range h.steps {
		looked = append(looked, step.keys[:min(2, len(step.keys))]...)
	}
	for _, key := range looked {
		everywhere, _ := findAll(t, j, journal.Find{Key: key, Limit: h.limit})
		for _, seg := range h.segments {
			want := h.wanted(seg, key)
			inOne, _ := findAll(t, j, journal.Find{Segment: seg, Key: key, Limit: h.limit})
			wantSightings(t, inOne, want...)
			of := slices.DeleteFunc(slices.Clone(everywhere), func(s journal.Sighting) bool { return s.Segment != seg })
			wantSightings(t, of, want...)
		}
	}
}

// TestFindModel compares searches with a plain list of what was delivered, over hours
// and restarts, with pages of every size.
func TestFindModel(t *testing.T) {
	defer fewer(t)()
	rapid.Check(t, func(rt *rapid.T) {
		h := drawHistory(rt)
		if synctest.Test(t, h.run); t.Failed() {
			rt.FailNow()
		}
	})
}

// BenchmarkFind is a search in the receipts of 2.5 million keys, of one segment and of a
// thousand.
func BenchmarkFind(b *testing.B) {
	for _, segments := range []int{1, 1000} {
		j, random := open(b, withReceipts()), rand.New(rand.NewPCG(1, 2))
		const n = 2_500_000
		for i := range segments {
			seg := segment(tenant("a"), fmt.Sprint(i))
			for at := 0; at < n/segments; at += 10_000 {
				some := make([]audience.Key, min(10_000, n/segments))
				for i := range some {
					some[i] = audience.NumericKey(int64(random.Uint64()))
				}
				deliver(b, j, seg, delivery(audience.Add, 1), some...)
			}
		}
		if err := j.db.Flush(); err != nil {
			b.Fatal(err)
		}
		for name, f := range map[string]journal.Find{"in one": {Segment: segment(tenant("a"), "0")}, "in all": {}} {
			b.Run(fmt.Sprintf("of %d/%s", segments, name), func(b *testing.B) {
				for b.Loop() {
					f.Key = audience.NumericKey(int64(random.Uint64()))
					findAll(b, j, f)
				}
			})
		}
	}
}
