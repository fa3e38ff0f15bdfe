package embedded

import (
	"encoding/binary"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
	"audiences/journal"
)

// settleBy settles a selection and returns the texts of the keys that were newer.
func settleBy(t testing.TB, j *Journal, seg audience.Segment, s journal.Selection) (newer []string) {
	t.Helper()
	done := make(chan error, 1)
	j.Settle(journal.Settle{Segment: seg, Selection: s, Done: func(keys []audience.Key, err error) {
		for _, key := range keys {
			newer = append(newer, key.Text())
		}
		done <- err
	}})
	wait(t, done)
	return newer
}

// drawn selects what a page shows.
func drawn(page journal.Page) iter.Seq2[audience.Key, journal.Version] {
	return func(yield func(audience.Key, journal.Version) bool) {
		for _, e := range page.Entries {
			if !yield(e.Key, e.Version) {
				return
			}
		}
	}
}

func put(t testing.TB, intake journal.Intake, seg audience.Segment, verb audience.Verb, some ...audience.Key) journal.Version {
	t.Helper()
	done := make(chan error, 1)
	version := intake.Append(appendOf(seg, verb, audience.KeysOf(some...), true, done))
	wait(t, done)
	return version
}

// TestSettleByVersion: what changed since is not settled, however many keys there are
// and whoever changed it, and is named (I2, I3).
func TestSettleByVersion(t *testing.T) {
	for _, n := range []int{1, 10, 100, 3000} {
		j, seg := open(t, inMemory()), segment(tenant("a"), "s")
		texts := keys("x", "y", "z")
		v := put(t, j, seg, audience.Add, append(numbers(0, n), texts...)...)
		page := load(j, journal.Load{Segment: seg, Limit: 1 << 20})
		if page.Entries[0].Version != v {
			t.Fatalf("version %x, want %x", page.Entries[0].Version, v)
		}
		own := put(t, j, seg, audience.Delete, keys(n/2, "y")...)
		if own <= v || own.Node() != 0 {
			t.Fatalf("version %x after %x", own, v)
		}
		put(t, j.Writer(1), seg, audience.Delete, keys("z")...)
		all := slices.Values(append(numbers(0, n), texts...))
		newer := settleBy(t, j, seg, journal.Selection{Keys: all, NotAfter: v})
		want := map[string]audience.Verb{keys(n / 2)[0].Text(): audience.Delete, "y": audience.Delete, "z": audience.Delete}
		slices.Sort(newer)
		if got := pending(t, j, seg); !maps.Equal(got, want) || !slices.Equal(newer, slices.Sorted(maps.Keys(want))) {
			t.Errorf("%d keys: %v are left, %v were newer; want %v", n, got, newer, want)
		}
		if newer = settleBy(t, j, seg, journal.Selection{Drawn: drawn(page)}); len(newer) != 3 {
			t.Errorf("%v are newer than drawn, want three", newer)
		}
		page = load(j, journal.Load{Segment: seg, Limit: 10})
		if newer = settleBy(t, j, seg, journal.Selection{Drawn: drawn(page)}); len(newer)+len(pending(t, j, seg)) != 0 {
			t.Errorf("%v were newer, %v are left", newer, pending(t, j, seg))
		}
	}
}

// TestParkByVersion: only what Split refused is parked; what changed since stays.
func TestParkByVersion(t *testing.T) {
	j, seg := open(t, inMemory()), segment(tenant("a"), "s")
	v := put(t, j, seg, audience.Add, keys(1, 2, 3)...)
	put(t, j.Writer(7), seg, audience.Delete, keys(2)...)
	done := make(chan []audience.Key, 1)
	j.Park(journal.Park{Segment: seg, Verb: audience.Add, Selection: journal.Selection{Keys: slices.Values(keys(1, 2)), NotAfter: v},
		Done: func(newer []audience.Key, _ error) { done <- newer }})
	if newer := <-done; len(newer) != 1 || newer[0] != keys(2)[0] {
		t.Errorf("%d newer", len(newer))
	}
	if got := parkedVerbs(t, j, seg); !maps.Equal(got, map[string]audience.Verb{"1": audience.Add}) {
		t.Errorf("parked %v", got)
	}
	if got := pending(t, j, seg); !maps.Equal(got, map[string]audience.Verb{"2": audience.Delete, "3": audience.Add}) {
		t.Errorf("pending %v", got)
	}
}

// TestRangesSpareOthers: a run that is deleted as a range takes nothing with it that
// lies between two of its keys without being selected, nor what comes right behind it.
func TestRangesSpareOthers(t *testing.T) {
	j, seg, beside := open(t, inMemory()), segment(tenant("a"), "s"), segment(tenant("a"), "t")
	all := append(numbers(0, 1000), keys("a", "b")...)
	put(t, j, beside, audience.Add, all...)
	v := put(t, j, seg, audience.Add, all...)
	selected := slices.DeleteFunc(slices.Clone(all), func(key audience.Key) bool {
		n, numeric := key.Numeric()
		return numeric && (n == 99 || n == 500 || n >= 990) || key.Text() == "b"
	})
	selected = append(selected, numbers(5000, 100)...) // that are not there
	settleBy(t, j, seg, journal.Selection{Keys: slices.Values(selected), NotAfter: v})
	if got := pending(t, j, seg); len(got) != 2+10+1 || got["99"] == 0 || got["500"] == 0 || got["999"] == 0 || got["b"] == 0 {
		t.Errorf("%v are left", got)
	}
	if got := pending(t, j, beside); len(got) != len(all) {
		t.Errorf("%d keys of another segment are left", len(got))
	}
	put(t, j, seg, audience.Delete, numbers(100, 50)...) // and what comes later is there
	if got := pending(t, j, seg); len(got) != 63 {
		t.Errorf("%d are left", len(got))
	}
}

// TestRangesAreFlushed: however small the runs are, few ranges are in a memtable.
func TestRangesAreFlushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, seg := open(t, inMemory()), segment(tenant("a"), "s")
		put(t, j, seg, audience.Add, keys("last")...)
		for range mostRanges + 1 {
			j.Append(appendOf(seg, audience.Add, audience.KeysOf(numbers(0, runLength)...), false, nil))
			j.Settle(settleOf(seg, slices.Values(numbers(0, runLength)), nil))
		}
		afterAll(t, j)
		synctest.Wait()
		if n := j.db.Metrics().Flush.Count; n == 0 {
			t.Error("nothing was flushed")
		}
		if got := pending(t, j, seg); len(got) != 1 {
			t.Errorf("%d keys are left", len(got))
		}
	})
}

// TestVersionsRise over restarts and over power losses.
func TestVersionsRise(t *testing.T) {
	memory, seg := NewMemory(), segment(tenant("a"), "s")
	last := journal.Version(0)
	for range 4 {
		j, err := Open(Options{Dir: "j", Memory: memory})
		if err != nil {
			t.Fatal(err)
		}
		v := put(t, j, seg, audience.Add, keys(1)...)
		if v <= last {
			t.Errorf("%d after %d", v, last)
		}
		last = v
		lost := memory.CrashClone(nil)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		memory = lost
	}
	j := open(t, Options{Dir: "j", Memory: memory})
	settleBy(t, j, seg, journal.Selection{Keys: slices.Values(keys(1)), NotAfter: last - 1})
	if len(pending(t, j, seg)) != 1 {
		t.Error("a key from before the start was settled by an older version")
	}
}

// TestVersionsRiseAfterAFailedStep: the step that came to the reserve was not written,
// and neither was the reserve; the next batch raises it.
func TestVersionsRiseAfterAFailedStep(t *testing.T) {
	o, seg := inMemory(), segment(tenant("a"), "s")
	j := open(t, o)
	add(t, j, seg, audience.Add, keys(1, 2)...)
	park(t, j, seg, audience.Add, keys(1, 2)...)
	if err := j.db.Set(journal.AppendKey(head(prefixParked, idOf(seg)), audience.NumericKey(2)), []byte("damaged"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	j = reopen(t, j, o)
	if n, err := unpark(j, journal.Unpark{Segment: seg}); err == nil {
		t.Fatalf("%d keys were unparked, and no error", n)
	}
	before := put(t, j, seg, audience.Add, keys(3)...)
	j = reopen(t, j, o)
	if after := put(t, j, seg, audience.Add, keys(3)...); after <= before {
		t.Errorf("version %d before the restart, %d after it", before, after)
	}
}

// TestReserveNeverFalls: after a batch that was not written, a long operation comes with a
// version that is far below those that were given meanwhile. A restart must not give any
// of them again.
func TestReserveNeverFalls(t *testing.T) {
	o := inMemory()
	j := open(t, o)
	given := journal.MakeVersion(thisNode, 5*reserveStep)
	for _, version := range []journal.Version{given, journal.MakeVersion(thisNode, 7)} {
		b := j.db.NewBatch()
		j.versions.stamp(b, version)
		if err := b.Commit(pebble.Sync); err != nil {
			t.Fatal(err)
		}
		j.versions.dropped() // by another batch
	}
	j = reopen(t, j, o)
	if first := j.versions.give(); first <= given {
		t.Errorf("version %d is given again after %d", first, given)
	}
}

// TestReserveIsBeyondAllThatWasWritten, on the disk, for each node, in whatever order the
// versions come and whatever batches are dropped.
func TestReserveIsBeyondAllThatWasWritten(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		o := inMemory()
		j := open(t, o)
		var written [3]uint64 // the greatest counter, by node
		for range 100 {
			b, staged := j.db.NewBatch(), written
			for range 1 + random.IntN(3) {
				node, counter := random.IntN(len(staged)), 1+random.Uint64N(5*reserveStep)
				j.versions.stamp(b, journal.MakeVersion(uint32(node), counter))
				staged[node] = max(staged[node], counter)
			}
			if random.IntN(3) == 0 {
				j.versions.dropped()
				continue
			}
			if err := b.Commit(pebble.Sync); err != nil {
				t.Fatal(err)
			}
			written = staged
			known, err := readVersions(j.db)
			if err != nil {
				t.Fatal(err)
			}
			for node, counter := range written {
				if counter > known.reserves[uint32(node)] {
					t.Fatalf("node %d: %d was written, the reserve is %d", node, counter, known.reserves[uint32(node)])
				}
			}
		}
	}
}

// TestDamagedReserve: where it cannot be read how far versions were given, they go on behind
// all that can, though the clock says less.
func TestDamagedReserve(t *testing.T) {
	far := uint64(1) << 39
	for name, keep := range map[string]struct{ key, value []byte }{
		"the reserve of this node": {[]byte{prefixReserve, 0, 0, 0, thisNode}, binary.AppendUvarint(nil, far)},
		"the moments":              {moment{at: 1_000_000_000, prefix: prefixSecond}.key(), binary.AppendUvarint(nil, far)},
	} {
		o := inMemory()
		j := open(t, o)
		for _, record := range []struct{ key, value []byte }{keep, {[]byte{prefixReserve, 0, 0, 0, 1}, []byte("damaged")}} {
			if err := j.db.Set(record.key, record.value, pebble.Sync); err != nil {
				t.Fatal(err)
			}
		}
		j = reopen(t, j, o)
		if first := j.versions.give(); first.Counter() <= far {
			t.Errorf("%s: version %d is given after %d", name, first, far)
		}
	}
}

func reopen(t testing.TB, j *Journal, o Options) *Journal {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, o)
}

// TestAppendIsAllOrNothing: the changes of one Append come in their order, and a power
// loss takes all of them or none (I1).
func TestAppendIsAllOrNothing(t *testing.T) {
	memory, who := NewMemory(), tenant("a")
	j := open(t, Options{Dir: "j", Memory: memory})
	seg, other := segment(who, "s"), segment(who, "t")
	park(t, j, seg, audience.Add, keys(1)...)
	done := make(chan error, 1)
	change := func(seg audience.Segment, verb audience.Verb, some ...any) journal.Change {
		return journal.Change{Segment: seg, Verb: verb, Keys: audience.KeysOf(keys(some...)...), Describe: true}
	}
	j.Append(journal.Append{Tenant: who.ID, Done: told(done), Changes: []journal.Change{
		change(seg, audience.Add, 1, 2), change(other, audience.Add, 1), change(seg, audience.Delete, 1, 3),
	}})
	wait(t, done)
	again := open(t, Options{Dir: "j", Memory: memory.CrashClone(nil)})
	for _, j := range []*Journal{j, again} {
		if got := pending(t, j, seg); !maps.Equal(got, map[string]audience.Verb{"1": audience.Delete, "2": audience.Add, "3": audience.Delete}) {
			t.Errorf("%v", got)
		}
		if got := pending(t, j, other); len(got) != 1 {
			t.Errorf("%v", got)
		}
	}
	if now, _ := counted(t, j); len(now.keys) > 0 || len(parkedVerbs(t, j, seg)) > 0 {
		t.Errorf("a parked key that two changes supersede: %+v", now)
	}
}

// TestForgetLooks: a segment that somebody appended to meanwhile keeps its name.
func TestForgetLooks(t *testing.T) {
	j, seg := open(t, inMemory()), segment(tenant("a"), "s")
	for name, fill := range map[string]func(){
		"pending": func() { put(t, j.Writer(1), seg, audience.Add, keys(1)...) },
		"parked":  func() { park(t, j, seg, audience.Add, keys(1)...) },
		"state": func() {
			done := make(chan error, 1)
			j.SetSegmentState(seg, journal.SegmentState{Paused: true}, told(done))
			wait(t, done)
		},
	} {
		put(t, j, seg, audience.Add, keys(1)...)
		settle(t, j, seg, keys(1)...)
		fill()
		j.Forget(seg)
		listed, errs := collect(afterAll(t, j).Segments(audience.AllSlots()))
		if len(listed) != 1 || len(errs) > 0 {
			t.Errorf("%s: %v, %v", name, listed, errs)
		}
		page := load(j, journal.Load{Segment: seg, Limit: 10})
		settleBy(t, j, seg, journal.Selection{Drawn: drawn(page)})
		if _, err := unpark(j, journal.Unpark{Segment: seg, Discard: true}); err != nil {
			t.Error(err)
		}
		j.SetSegmentState(seg, journal.SegmentState{}, nil)
		j.Forget(seg)
		if listed, _ := collect(afterAll(t, j).Segments(audience.AllSlots())); len(listed) > 0 {
			t.Errorf("%s: the name stays", name)
		}
	}
}

// afterAll returns when all that was handed in is written.
func afterAll(t testing.TB, j *Journal) *Journal {
	t.Helper()
	done := make(chan error, 1)
	j.submit(operation{durable: true, stage: noStage, done: told(done)})
	wait(t, done)
	return j
}

// TestFormat1Drains opens a journal that the program before versions left, with all
// that it had, and an older program would refuse it from then on.
func TestFormat1Drains(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	if err := os.CopyFS(dir, os.DirFS("testdata/format1/journal")); err != nil {
		t.Fatal(err)
	}
	a, b, c := tenant("a"), tenant("b"), tenant("c")
	add, del := audience.Add, audience.Delete
	verbs := func(verb audience.Verb, some ...audience.Key) map[string]audience.Verb {
		out := map[string]audience.Verb{}
		for _, key := range some {
			out[key.Text()] = verb
		}
		return out
	}
	mixed := verbs(add, numbers(1050, 150)...)
	maps.Copy(mixed, verbs(del, append(numbers(2000, 100), numbers(1190, 20)...)...))
	texts := verbs(add, keys("01", "user-1", "ü")...)
	maps.Copy(texts, verbs(del, keys("user-2", "user-3")...))
	rest := verbs(add, numbers(10, 30)...)
	maps.Copy(rest, verbs(del, numbers(5, 3)...))
	want := map[audience.Segment]map[string]audience.Verb{
		segment(a, "mixed"): mixed, segment(a, "texts"): texts, segment(b, "parked-keys"): rest,
		segment(b, "parked"): verbs(add, numbers(-5, 10)...),
		segment(c, "paused"): verbs(del, keys("9223372036854775807", "-9223372036854775808", "x")...),
		segment(c, "only"):   verbs(add, numbers(7, 1)...),
	}
	for round := range 2 { // the second as format 2
		j, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		for seg, keys := range want {
			if got := pending(t, j, seg); !maps.Equal(got, keys) {
				t.Errorf("%s: %v, want %v", seg.Name, got, keys)
			}
		}
		if got := parkedVerbs(t, j, segment(b, "parked-keys")); !maps.Equal(got, verbs(add, append(numbers(0, 5), numbers(8, 2)...)...)) {
			t.Errorf("parked %v", got)
		}
		if state := load(j, journal.Load{Segment: segment(c, "paused")}).State; !state.Paused {
			t.Errorf("%+v", state)
		}
		if state := load(j, journal.Load{Segment: segment(b, "parked")}).State; state.Parked == nil || state.Parked.Reason != "not_found" {
			t.Errorf("%+v", state)
		}
		tenants, errs := collect(j.Tenants(audience.AllSlots()))
		proven, _ := collect(j.Proven(audience.AllSlots()))
		if len(tenants) != 3 || len(errs) > 0 || !slices.Equal(proven, []audience.TenantID{a.ID}) {
			t.Errorf("%d tenants, %v, proven %v", len(tenants), errs, proven)
		}
		if round == 1 {
			drainAll(t, j, want)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if known, _, err := readFormat(j.files, dir); err != nil || known.Format != 2 {
			t.Errorf("format %d, %v", known.Format, err)
		}
	}
}

// drainAll settles what is pending: half by exact versions, half by one of this process.
func drainAll(t *testing.T, j *Journal, segments map[audience.Segment]map[string]audience.Verb) {
	t.Helper()
	for seg := range segments {
		page := load(j, journal.Load{Segment: seg, Limit: len(segments[seg])/2 + 1})
		if newer := settleBy(t, j, seg, journal.Selection{Drawn: drawn(page)}); len(newer) > 0 {
			t.Errorf("%v are newer", newer)
		}
		page = load(j, journal.Load{Segment: seg, Limit: 1000})
		own := func(yield func(audience.Key) bool) {
			for _, e := range page.Entries {
				if !yield(e.Key) {
					return
				}
			}
		}
		if newer := settleBy(t, j, seg, journal.Selection{Keys: own}); len(newer)+len(pending(t, j, seg)) > 0 {
			t.Errorf("%v are newer, %v are left", newer, pending(t, j, seg))
		}
	}
}
