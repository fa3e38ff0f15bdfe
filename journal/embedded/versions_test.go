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
	"time"

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

// TestSinceAfterTheClockWasSetBack: what comes after that has its own time, and nothing is
// dated in the future, also after a restart.
func TestSinceAfterTheClockWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, seg := inMemory(), segment(tenant("a"), "s")
		j := open(t, o)
		early := put(t, j, seg, audience.Add, keys(1)...)
		// As if the clock had been an hour late when the key came.
		late := moment{at: time.Now().Add(time.Hour).Unix(), version: early, prefix: prefixSecond}
		if err := j.db.Set(late.key(), binary.AppendUvarint(nil, uint64(early)), pebble.Sync); err != nil {
			t.Fatal(err)
		}
		if err := j.db.Delete(moment{at: time.Now().Unix(), prefix: prefixSecond}.key(), pebble.Sync); err != nil {
			t.Fatal(err)
		}
		j = reopen(t, j, o)
		time.Sleep(2 * time.Second)
		second, came := put(t, j, seg, audience.Add, keys(2)...), time.Now()
		time.Sleep(5 * time.Second)
		put(t, j, seg, audience.Add, keys(3)...)
		for range 2 {
			if at, ok := j.Since(early); !ok || at.After(time.Now()) {
				t.Errorf("the early one: %v %v, it is %v", at, ok, time.Now())
			}
			if at, ok := j.Since(second); !ok || !at.Equal(came.Truncate(time.Second)) {
				t.Errorf("the second one: %v %v, want %v", at, ok, came)
			}
			j = reopen(t, j, o)
		}
	})
}

// TestSinceRises with the versions, however the clock goes, and is never later than what the
// clock has shown since. A restart knows the same.
func TestSinceRises(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		o := inMemory()
		j := open(t, o)
		now := int64(1_000_000_000)
		var latest []int64 // by version: the least that the clock has shown since
		for n := range 200 {
			switch now += random.Int64N(3); random.IntN(10) {
			case 0:
				now -= random.Int64N(2 * minuteLong)
			case 1:
				now += random.Int64N(3 * minuteLong)
			}
			b := j.db.NewBatch()
			j.versions.note(b, journal.Version(n+1), now)
			if err := b.Commit(pebble.Sync); err != nil {
				t.Fatal(err)
			}
			for i := range latest {
				latest[i] = min(latest[i], now)
			}
			latest = append(latest, now)
		}
		known := slices.Clone(j.versions.since)
		for range 2 {
			before := int64(0)
			for i, most := range latest {
				at, ok := j.Since(journal.Version(i + 1))
				if second := at.Unix(); !ok || second < before || second > most {
					t.Fatalf("version %d: %d, %v; the one before it %d, at most %d", i+1, second, ok, before, most)
				}
				before = at.Unix()
			}
			if !slices.Equal(j.versions.since, known) {
				t.Fatal("a restart knows others")
			}
			j = reopen(t, j, o)
		}
	}
}

// TestSinceOfAnEarlierProgram: one that left moments out of order, since the clock was set
// back under it.
func TestSinceOfAnEarlierProgram(t *testing.T) {
	o := inMemory()
	j := open(t, o)
	began := time.Now().Truncate(time.Hour).Unix() - 10*hourLong
	for version, after := range map[journal.Version]int64{10: 0, 20: hourLong, 30: hourLong + 1, 40: 5, 50: 6} {
		m := moment{at: began + after, version: version, prefix: prefixSecond}
		if err := j.db.Set(m.key(), binary.AppendUvarint(nil, uint64(version)), pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	j = reopen(t, j, o)
	for version, want := range map[journal.Version]int64{10: 0, 19: 0, 20: 5, 35: 5, 40: 5, 50: 6, 99: 6} {
		if at, ok := j.Since(version); !ok || at.Unix()-began != want {
			t.Errorf("version %d: %v, %d; want %d", version, ok, at.Unix()-began, want)
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
		listed, errs := collect(afterAll(t, j).Segments())
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
		if listed, _ := collect(afterAll(t, j).Segments()); len(listed) > 0 {
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

// TestSince: the time of a version is known to the second for ten minutes, to the minute
// for a day and to the hour for 60 days, also after a restart, and the records are few.
func TestSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options, seg := inMemory(), segment(tenant("a"), "s")
		j := open(t, options)
		all := map[journal.Version]time.Time{}
		give := func(n int, every time.Duration) {
			for range n {
				all[put(t, j, seg, audience.Add, keys(1)...)] = time.Now()
				time.Sleep(every)
			}
		}
		give(61*24, time.Hour-time.Second)
		give(24*60, time.Minute+time.Second)
		give(1300, time.Second/2+time.Millisecond)
		j = reopen(t, j, options)
		for version, given := range all {
			age, limit := time.Since(given), time.Hour
			switch {
			case age <= 10*time.Minute:
				limit = time.Second
			case age <= 23*time.Hour:
				limit = time.Minute
			case age > 59*24*time.Hour:
				continue // some of these are gone
			}
			if at, ok := j.Since(version); !ok || given.Before(at) || given.Sub(at) >= limit {
				t.Fatalf("%v, %v; it was %v, %v ago", at, ok, given, age)
			}
		}
		if n := len(j.versions.since); n > 660+24*60+60*24 {
			t.Errorf("%d records", n)
		}
		if _, ok := j.Since(journal.MakeVersion(3, 1)); ok {
			t.Error("the time of another node's version is not known here")
		}
		if _, ok := j.Since(0); ok {
			t.Error("nor that of a key without one")
		}
	})
}

// TestSinceByTheMinute: records of minutes, which an earlier program wrote, are read, go on
// beside those of seconds, and go when they are too many.
func TestSinceByTheMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options, seg := inMemory(), segment(tenant("a"), "s")
		j := open(t, options)
		began := time.Now().Truncate(time.Minute)
		old := journal.Version(1000)
		for n := range 3 {
			m := moment{at: began.Unix() + int64(n*minuteLong), version: old + journal.Version(n), prefix: prefixMinute}
			if err := j.db.Set(m.key(), binary.AppendUvarint(nil, uint64(m.version)), pebble.Sync); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.db.Set([]byte{prefixReserve, 0, 0, 0, thisNode}, binary.AppendUvarint(nil, 2000), pebble.Sync); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		j = reopen(t, j, options)
		for range 2 {
			for n := range 3 {
				if at, ok := j.Since(old + journal.Version(n)); !ok || !at.Equal(began.Add(time.Duration(n)*time.Minute)) {
					t.Errorf("minute %d: %v, %v", n, at, ok)
				}
			}
			given := time.Now()
			if at, ok := j.Since(put(t, j, seg, audience.Add, keys(1)...)); !ok || !at.Equal(given.Truncate(time.Second)) {
				t.Errorf("%v, %v; it was %v", at, ok, given)
			}
			j = reopen(t, j, options)
		}
		time.Sleep(61 * 24 * time.Hour)
		put(t, j, seg, audience.Add, keys(1)...)
		if j = reopen(t, j, options); len(j.versions.since) != 1 {
			t.Errorf("after two months there are %d records", len(j.versions.since))
		}
	})
}

// TestSinceOfALongOperation: a version that is written after newer ones leaves their times
// as they are.
func TestSinceOfALongOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, seg := open(t, inMemory()), segment(tenant("a"), "s")
		late := j.versions.give()
		given := time.Now().Truncate(time.Second)
		newer := put(t, j, seg, audience.Add, keys(1)...)
		time.Sleep(time.Minute)
		b := j.db.NewBatch()
		defer b.Close()
		j.versions.stamp(b, late)
		if at, ok := j.Since(newer); !ok || !at.Equal(given) {
			t.Errorf("%v, %v; it was %v", at, ok, given)
		}
		if n := len(j.versions.since); n != 1 {
			t.Errorf("%d records", n)
		}
	})
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
		tenants, errs := collect(j.Tenants())
		proven, _ := collect(j.Proven())
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
