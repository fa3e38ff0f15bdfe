package embedded

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"audiences/audience"
	"audiences/journal"
)

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
