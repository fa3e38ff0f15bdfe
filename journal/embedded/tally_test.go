package embedded

import (
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"pgregory.net/rapid"

	"audiences/audience"
	"audiences/journal"
)

// counted waits until the scan that Open began is done, and everything handed in
// before is written.
func counted(t testing.TB, j *Journal) (now sums, missing bool) {
	t.Helper()
	for _, one := range []string{"a", "b"} { // what waits for a long operation of one is not overtaken by it only
		load(j, journal.Load{Segment: segment(tenant(one), "s")})
	}
	done := make(chan struct{})
	j.counts.put(func() { close(done) })
	<-done
	return j.tally.now()
}

// looked counts by looking at everything through the journal's listings.
func looked(t testing.TB, j *Journal) sums {
	t.Helper()
	found := newSums()
	segments, errs := collect(j.Segments(audience.AllSlots()))
	tenants, more := collect(j.Tenants(audience.AllSlots()))
	if err := errors.Join(append(errs, more...)...); err != nil {
		t.Fatal(err)
	}
	for _, l := range segments {
		page := parked(j, l.Segment)
		if page.Err != nil {
			t.Fatal(page.Err)
		}
		for _, entry := range page.Entries {
			found.keys[entry.Refusal.Reason]++
		}
		found.segment(l.State, 1)
	}
	for _, known := range tenants {
		found.tenant(known.State, 1)
	}
	return found
}

func sameSums(a, b sums) bool {
	return maps.Equal(a.keys, b.keys) && maps.Equal(a.segments, b.segments) && maps.Equal(a.paused, b.paused) && maps.Equal(a.tenants, b.tenants)
}

// TestTallyModel: after any history, with restarts, power losses, and scans that
// take long while the history goes on, the tally is what a look at everything says.
func TestTallyModel(t *testing.T) {
	texts := []any{"1", "2", "3", "a", "b", "c"}
	who := []audience.Tenant{tenant("a"), tenant("b")}
	segments := []audience.Segment{segment(who[0], "s"), segment(who[0], "t"), segment(who[1], "s")}
	reasons := []string{"bad_request", "too_large", "unprocessable"}
	until := time.Now().Add(time.Hour)
	defer fewer(t)()
	rapid.Check(t, func(rt *rapid.T) {
		options := inMemory()
		j, err := Open(options)
		if err != nil {
			rt.Fatal(err)
		}
		var gates []chan struct{} // that hold the scan, the committer
		settled := func() {
			for _, gate := range gates {
				close(gate)
			}
			gates = nil
		}
		gate := func() chan struct{} {
			gates = append(gates, make(chan struct{}))
			return gates[len(gates)-1]
		}
		defer func() { settled(); _ = j.Close() }()
		reopen := func() {
			if err := j.Close(); err != nil {
				rt.Fatal(err)
			}
			if j, err = Open(options); err != nil {
				rt.Fatal(err)
			}
			for _, one := range who { // those without a segment are forgotten at Open
				j.PutTenant(one)
			}
		}
		reopen()
		seg := func() audience.Segment { return rapid.SampledFrom(segments).Draw(rt, "segment") }
		some := func() []audience.Key {
			return keys(rapid.SliceOfNDistinct(rapid.SampledFrom(texts), 1, 4, rapid.ID[any]).Draw(rt, "keys")...)
		}
		reason := func() string { return rapid.SampledFrom(reasons).Draw(rt, "reason") }
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				j.Append(appendOf(seg(), audience.Add, audience.KeysOf(some()...), true, nil))
			},
			"park": func(*rapid.T) {
				at := seg()
				j.Append(appendOf(at, audience.Add, audience.KeysOf(keys("described")...), true, nil))
				j.Park(parkOf(at, audience.Add, slices.Values(some()), journal.Refusal{Reason: reason()}, nil))
			},
			"unpark": func(rt *rapid.T) {
				u := journal.Unpark{Segment: seg(), Discard: rapid.Bool().Draw(rt, "discard")}
				if rapid.Bool().Draw(rt, "listed") {
					listed := some()
					u.Keys = slices.Values(append(listed, listed[0]))
				}
				j.Unpark(u)
			},
			"state": func(rt *rapid.T) {
				at, state := seg(), journal.SegmentState{Paused: rapid.Bool().Draw(rt, "paused")}
				if state.Paused && rapid.Bool().Draw(rt, "timed") {
					state.PausedUntil = until
				}
				if rapid.Bool().Draw(rt, "parked") {
					state.Parked = &journal.Refusal{Reason: reason()}
				}
				j.Append(appendOf(at, audience.Add, audience.KeysOf(keys("described")...), true, nil))
				j.SetSegmentState(at, state, nil)
			},
			"tenant": func(rt *rapid.T) {
				state := journal.TenantState{Paused: rapid.Bool().Draw(rt, "paused")}
				if state.Paused && rapid.Bool().Draw(rt, "timed") {
					state.PausedUntil = until
				}
				one := rapid.SampledFrom(who).Draw(rt, "tenant")
				j.PutTenant(one)
				j.SetTenantState(one.ID, state, nil)
			},
			"move": func(rt *rapid.T) {
				from := rapid.IntRange(0, 1).Draw(rt, "from")
				j.MoveTenant(who[from].ID, who[1-from].ID, func([]audience.Segment, int, error) {})
			},
			"reopen": func(*rapid.T) { settled(); reopen() },
			"power loss": func(*rapid.T) {
				settled()
				counted(t, j)
				lost := options.Memory.CrashClone(rand.New(rand.NewPCG(1, uint64(rapid.IntRange(0, 99).Draw(rt, "loss")))))
				_ = j.Close()
				options.Memory = lost
				if j, err = Open(options); err != nil {
					rt.Fatal(err)
				}
				for _, one := range who {
					j.PutTenant(one)
				}
			},
			"scan that takes long": func(*rapid.T) {
				settled()
				counted(t, j) // nothing is under way
				held := gate()
				j.counts.put(func() { <-held })
				fresh := newTally(nil, nil)
				j.tally.mu.Lock()
				j.tally.sums, j.tally.missing = fresh.sums, true
				j.tally.mu.Unlock()
				j.scanTally()
			},
			"all in one group": func(*rapid.T) {
				if len(gates) > 0 {
					return
				}
				held := gate()
				j.submit(operation{stage: func(*pebble.Batch) { <-held }, done: func(error) {}})
			},
			"": func(rt *rapid.T) {
				if len(gates) > 0 && rapid.IntRange(0, 5).Draw(rt, "held") > 0 {
					return
				}
				settled()
				got, missing := counted(t, j)
				if want := looked(t, j); missing || !sameSums(got, want) {
					rt.Fatalf("missing %v, tally %+v, want %+v", missing, got, want)
				}
			},
		})
	})
}

// TestParkedGauges: an operator sees after a restart what was parked and paused
// before it, with every reason there from the start.
func TestParkedGauges(t *testing.T) {
	options := inMemory()
	j, seg := open(t, options), segment(tenant("a"), "s")
	j.PutTenant(tenant("a"))
	add(t, j, seg, audience.Add, keys(1, 2, 3, 4)...)
	park(t, j, seg, audience.Add, keys(1, 2)...)
	for reason, key := range map[string]any{"too_large": 3, "of another version": 4} {
		j.Park(parkOf(seg, audience.Add, slices.Values(keys(key)), journal.Refusal{Reason: reason}, nil))
	}
	done := make(chan error, 2)
	j.SetSegmentState(seg, journal.SegmentState{Paused: true, Parked: &journal.Refusal{Reason: "not_found"}}, told(done))
	j.SetTenantState(seg.Tenant, journal.TenantState{Paused: true}, told(done))
	wait(t, done)
	wait(t, done)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}

	registry := prometheus.NewPedanticRegistry()
	options.Registerer, options.Reasons = registry, []string{"bad_request", "too_large", "not_found", "forbidden"}
	j = open(t, options)
	counted(t, j)
	gathered(t, registry, `
audiences_journal_uncounted 0
audiences_keys_parked{reason="bad_request"} 2
audiences_keys_parked{reason="forbidden"} 0
audiences_keys_parked{reason="not_found"} 0
audiences_keys_parked{reason="other"} 1
audiences_keys_parked{reason="too_large"} 1
audiences_segments_parked{reason="bad_request"} 0
audiences_segments_parked{reason="forbidden"} 0
audiences_segments_parked{reason="not_found"} 1
audiences_segments_parked{reason="other"} 0
audiences_segments_parked{reason="too_large"} 0
audiences_segments_paused 1
audiences_tenants_paused 1
`)
	add(t, j, seg, audience.Delete, keys(1, 2, 3)...)
	if _, err := unpark(j, journal.Unpark{Segment: seg, Discard: true}); err != nil {
		t.Fatal(err)
	}
	j.SetSegmentState(seg, journal.SegmentState{}, told(done))
	wait(t, done)
	now, _ := counted(t, j)
	if len(now.keys)+len(now.segments)+len(now.paused) != 0 || len(now.tenants) != 1 {
		t.Errorf("%+v is left", now)
	}
}

func gathered(t *testing.T, registry *prometheus.Registry, want string) {
	t.Helper()
	text := want
	for name, help := range map[string]string{
		"audiences_keys_parked": "Keys that are parked, by reason.", "audiences_segments_parked": "Segments that are parked, by reason.",
		"audiences_segments_paused": "Segments that an operator has paused.", "audiences_tenants_paused": "Tenants that an operator has paused.",
		"audiences_journal_uncounted": "1 while what was parked and paused before the start is not counted, or could not be read; else 0.",
	} {
		first := strings.Index(text, "\n"+name)
		text = text[:first] + "\n# HELP " + name + " " + help + "\n# TYPE " + name + " gauge" + text[first:]
	}
	err := testutil.GatherAndCompare(registry, strings.NewReader(text), "audiences_keys_parked", "audiences_segments_parked",
		"audiences_segments_paused", "audiences_tenants_paused", "audiences_journal_uncounted")
	if err != nil {
		t.Error(err)
	}
}

// TestStartDoesNotWaitForTheTally: while the counter is busy, everything else goes
// on, the gauges say that they are not right yet, and none is negative.
func TestStartDoesNotWaitForTheTally(t *testing.T) {
	options := inMemory()
	j, seg := open(t, options), segment(tenant("a"), "s")
	add(t, j, seg, audience.Add, keys(1, 2)...)
	park(t, j, seg, audience.Add, keys(1, 2)...)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, options)
	counted(t, j)
	gate := make(chan struct{})
	j.counts.put(func() { <-gate })
	j.tally.sums, j.tally.missing = newSums(), true // as right after Open
	j.scanTally()
	add(t, j, seg, audience.Delete, keys(1)...)
	for range testutil.CollectAndCount(j.tally) {
		if now, missing := j.tally.now(); !missing || now.keys["bad_request"] != -1 {
			t.Errorf("missing %v, %+v", missing, now)
		}
	}
	if text, err := testutil.CollectAndFormat(j.tally, expfmt.TypeTextPlain, "audiences_keys_parked"); err != nil || strings.Contains(string(text), "-") {
		t.Errorf("%s %v", text, err)
	}
	close(gate)
	if now, missing := counted(t, j); missing || now.keys["bad_request"] != 1 {
		t.Errorf("missing %v, %+v", missing, now)
	}
}

// TestTimedPauseLeavesTheGauge at the instant that it ends.
func TestTimedPauseLeavesTheGauge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, seg := open(t, inMemory()), segment(tenant("a"), "s")
		done := make(chan error, 2)
		j.SetSegmentState(seg, journal.SegmentState{Paused: true, PausedUntil: time.Now().Add(time.Hour)}, told(done))
		j.SetTenantState(seg.Tenant, journal.TenantState{Paused: true, PausedUntil: time.Now().Add(time.Hour)}, told(done))
		wait(t, done)
		wait(t, done)
		for _, want := range []int{1, 1, 0} {
			now, _ := counted(t, j)
			if got := inForce(now.paused); got != want || inForce(now.tenants) != want {
				t.Errorf("%v: %d paused, want %d", time.Now(), got, want)
			}
			if want == 1 {
				time.Sleep(30*time.Minute - 1)
			}
			if want == 1 && time.Now().Minute() == 59 {
				time.Sleep(2 * time.Nanosecond)
			}
		}
	})
}

// TestDamagedRecordsAreParkedAllTheSame: a parked record that cannot be read is
// counted as one of another reason, and leaves the count when it is discarded; an
// Unpark that stumbles over it changes nothing.
func TestDamagedRecordsAreParkedAllTheSame(t *testing.T) {
	options := inMemory()
	j, seg := open(t, options), segment(tenant("a"), "s")
	add(t, j, seg, audience.Add, keys(1, 2)...)
	park(t, j, seg, audience.Add, keys(1, 2)...)
	if err := j.db.Set(journal.AppendKey(head(prefixParked, idOf(seg)), keys(2)[0]), []byte("{"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, options)
	want := map[string]int{"bad_request": 1, unreadable: 1}
	if now, missing := counted(t, j); missing || !maps.Equal(now.keys, want) {
		t.Errorf("missing %v, %+v", missing, now)
	}
	if n, err := unpark(j, journal.Unpark{Segment: seg}); err == nil {
		t.Errorf("%d unparked", n)
	}
	if now, _ := counted(t, j); !maps.Equal(now.keys, want) {
		t.Errorf("after an unpark that failed: %+v", now)
	}
	if _, err := unpark(j, journal.Unpark{Segment: seg, Discard: true}); err != nil {
		t.Fatal(err)
	}
	if now, _ := counted(t, j); len(now.keys) != 0 {
		t.Errorf("after all were discarded: %+v", now)
	}
}

// TestUnreadableBlocksAreSaid: what lies behind a damaged block is counted, and
// the gauge says that some is missing.
func TestUnreadableBlocksAreSaid(t *testing.T) {
	dir, n := filepath.Join(t.TempDir(), "j"), 2000
	j := open(t, Options{Dir: dir})
	for i := range n {
		at := segment(tenant("a"), string(rune('a'+i%26))+strings.Repeat("x", i/26))
		j.Park(parkOf(at, audience.Add, slices.Values(keys(i)), journal.Refusal{Reason: "bad_request"}, nil))
	}
	counted(t, j)
	if err := errors.Join(j.db.Flush(), j.Close()); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "store", "*.sst"))
	if err != nil || len(tables) != 1 {
		t.Fatal(tables, err)
	}
	table, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	table[len(table)*2/3] ^= 4 // the first half are deletes of pending keys
	if err := os.WriteFile(tables[0], table, 0o600); err != nil {
		t.Fatal(err)
	}
	now, missing := counted(t, open(t, Options{Dir: dir}))
	if got := now.keys["bad_request"]; !missing || got < n/2 || got == n {
		t.Errorf("missing %v, %d of %d", missing, got, n)
	}
}

// TestCloseWaitsForNoTally: with millions of parked keys it would take seconds.
func TestCloseWaitsForNoTally(t *testing.T) {
	j := open(t, inMemory())
	park(t, j, segment(tenant("a"), "s"), audience.Add, keys(1)...)
	counted(t, j)
	let := hold(j)
	defer let()
	j.reads.put(func() {}) // waits for a reader
	j.tally.missing = true
	j.scanTally()
	passed := make(chan struct{})
	j.counts.put(func() { close(passed) })
	j.reads.close()
	<-passed
	if _, missing := j.tally.now(); !missing {
		t.Error("the scan did not wait for the reads")
	}
}

// TestSupersededWithinAGroup: a change takes the place of a key that was parked in
// the very group that both are written with.
func TestSupersededWithinAGroup(t *testing.T) {
	j, seg := open(t, inMemory()), segment(tenant("a"), "s")
	held, begun := make(chan struct{}), make(chan struct{})
	j.submit(operation{stage: func(*pebble.Batch) { close(begun); <-held }, done: func(error) {}})
	<-begun
	done := make(chan error, 4)
	refused := journal.Refusal{Reason: "bad_request"}
	j.Append(appendOf(seg, audience.Add, audience.KeysOf(keys(1, 2)...), true, done))
	j.Park(parkOf(seg, audience.Add, slices.Values(keys(1, 2)), refused, done))
	j.Append(appendOf(seg, audience.Delete, audience.KeysOf(keys(1)...), false, done))
	j.Park(parkOf(seg, audience.Add, slices.Values(keys(2)), refused, done))
	close(held)
	for range cap(done) {
		wait(t, done)
	}
	if got := parkedVerbs(t, j, seg); len(got) != 1 || got["2"] == 0 {
		t.Errorf("parked: %v", got)
	}
	if now, _ := counted(t, j); now.keys["bad_request"] != 1 {
		t.Errorf("%+v", now)
	}
}
