package embedded

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"audiences/audience"
	"audiences/journal"
	"audiences/journal/embedded/disk"
)

// seen is the calls that delivered the key to the segment, and how far back they go.
func seen(t testing.TB, j *Journal, seg audience.Segment, key audience.Key) (calls []uint64, since time.Time) {
	t.Helper()
	found := find(j, journal.Find{Segment: seg, Key: key})
	if found.Err != nil {
		t.Fatal(found.Err)
	}
	for _, s := range found.Sightings {
		calls = append(calls, s.Call)
	}
	return calls, found.Since
}

func wantSeen(t testing.TB, j *Journal, seg audience.Segment, key audience.Key, since time.Time, calls ...uint64) {
	t.Helper()
	got, from := seen(t, j, seg, key)
	if !slices.Equal(got, calls) || !from.Equal(since) {
		t.Errorf("delivered in calls %v, not seen before since %v; want %v, %v", got, from, calls, since)
	}
}

// receiptRecords counts the records of all receipts.
func receiptRecords(t testing.TB, j *Journal) (n int) {
	t.Helper()
	for _, prefix := range []byte{prefixBucket, prefixReceiptName, prefixReceipt, prefixReceiptKeys} {
		err := scan(j.db, []byte{prefix}, journal.Cursor{}, func(_, _ []byte) (bool, error) { n++; return true, nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// TestReceiptsGoByAge: an hour's receipts go with the first one that comes an age after
// the hour. What is not found has not been there since the hour's end, also where
// nothing was delivered for days.
func TestReceiptsGoByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options := withReceipts()
		options.ReceiptsMaxAge = 48 * time.Hour
		j, seg, start := open(t, options), segment(tenant("a"), "s"), time.Now()
		deliver(t, j, seg, delivery(audience.Add, 1), keys(1)...)
		time.Sleep(90 * time.Minute)
		deliver(t, j, seg, delivery(audience.Add, 2), keys(1)...)
		time.Sleep(time.Until(start.Add(49*time.Hour - time.Microsecond)))
		deliver(t, j, seg, delivery(audience.Add, 3), keys(1)...)
		wantSeen(t, j, seg, keys(1)[0], start, 3, 2, 1)
		time.Sleep(time.Microsecond)
		deliver(t, j, seg, delivery(audience.Add, 4), keys(1)...)
		wantSeen(t, j, seg, keys(1)[0], start.Add(time.Hour), 4, 3, 2)
		time.Sleep(100 * time.Hour)
		deliver(t, j, seg, delivery(audience.Add, 5), keys(1)...)
		wantSeen(t, j, seg, keys(1)[0], start.Add(50*time.Hour), 5)
	})
}

// TestReceiptsGoByAgeAtOpen: also where nothing is delivered any more.
func TestReceiptsGoByAgeAtOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options, seg, start := withReceipts(), segment(tenant("a"), "s"), time.Now()
		j, err := Open(options)
		if err != nil {
			t.Fatal(err)
		}
		deliver(t, j, seg, delivery(audience.Add, 1), keys(1)...)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(8 * 24 * time.Hour)
		wantSeen(t, open(t, options), seg, keys(1)[0], start.Add(time.Hour))
	})
}

// TestReceiptsGoBySize: what is kept never takes more than the limit, the newest
// receipts are there, and a search says truly how far it looks back.
func TestReceiptsGoBySize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options := withReceipts()
		options.ReceiptsMaxBytes = 1 << 20
		j, seg, random := open(t, options), segment(tenant("a"), "s"), rand.New(rand.NewPCG(1, 1))
		const calls = 100
		at := make([]time.Time, calls+1)
		for call := 1; call <= calls; call++ { // 2.5 MB in half an hour
			some := keys(1)
			for range 3000 {
				some = append(some, audience.NumericKey(int64(random.Uint64())))
			}
			at[call] = time.Now()
			deliver(t, j, seg, delivery(audience.Add, uint64(call)), some...)
			time.Sleep(20 * time.Second)
			if size := receiptBytes(t, j); size > options.ReceiptsMaxBytes {
				t.Fatalf("%d bytes after call %d", size, call)
			}
		}
		got, since := seen(t, j, seg, keys(1)[0])
		if len(got) < 39 || len(got) > 44 {
			t.Fatalf("%d calls are known", len(got))
		}
		for i, call := range got {
			if call != uint64(calls-i) {
				t.Fatalf("calls %v", got)
			}
		}
		if oldest := got[len(got)-1]; since.After(at[oldest]) || !since.After(at[oldest-1]) {
			t.Errorf("since %v, the oldest is of %v, the one before it of %v", since, at[oldest], at[oldest-1])
		}
	})
}

// receiptBytes is what the records of all receipts take, the buckets' own aside, and
// compares that with what the buckets say.
func receiptBytes(t testing.TB, j *Journal) (size int64) {
	t.Helper()
	for _, prefix := range []byte{prefixReceiptName, prefixReceipt, prefixReceiptKeys} {
		err := scan(j.db, []byte{prefix}, journal.Cursor{}, func(rest, value []byte) (bool, error) {
			size += int64(1 + len(rest) + len(value))
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	buckets, err := readBuckets(j.db)
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range buckets {
		size -= in.bytes
	}
	if size != 0 {
		t.Fatalf("the buckets are %d bytes off", size)
	}
	for _, in := range buckets {
		size += in.bytes
	}
	return size
}

// TestNoReceipts: none are kept without limits, or of a Settle without a receipt; and
// those that are there go when the limits do.
func TestNoReceipts(t *testing.T) {
	options, seg := withReceipts(), segment(tenant("a"), "s")
	j, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	settle(t, j, seg, keys(1)...)
	if got, since := seen(t, j, seg, keys(1)[0]); len(got) > 0 || since.IsZero() {
		t.Errorf("%v since %v", got, since)
	}
	deliver(t, j, seg, delivery(audience.Add, 1), numbers(0, 100)...)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	options.ReceiptsMaxAge = 0
	j = open(t, options)
	deliver(t, j, seg, delivery(audience.Add, 1), keys(1)...)
	wantSeen(t, j, seg, keys(1)[0], time.Time{})
	if n := receiptRecords(t, j); n > 0 {
		t.Errorf("%d records", n)
	}
}

// TestReceiptsOfAnOldJournal: one that never had receipts begins with them.
func TestReceiptsOfAnOldJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options, seg := inMemory(), segment(tenant("a"), "s")
		j, err := Open(options)
		if err != nil {
			t.Fatal(err)
		}
		add(t, j, seg, audience.Add, keys(1)...)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		options.ReceiptsMaxBytes, options.ReceiptsMaxAge = 1<<30, time.Hour
		j = open(t, options)
		start := time.Now()
		wantSeen(t, j, seg, keys(2)[0], start)
		deliver(t, j, seg, delivery(audience.Add, 1), keys(1)...)
		wantSeen(t, j, seg, keys(1)[0], start, 1)
	})
}

// TestReceiptsGoBeforeChangesAreRefused: while the disk is nearly full there are none,
// so that settling has their room, and a search does not claim the time without them.
func TestReceiptsGoBeforeChangesAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, seg := open(t, withReceipts()), segment(tenant("a"), "s")
		deliver(t, j, seg, delivery(audience.Add, 1), numbers(0, 100)...)
		time.Sleep(time.Minute)
		j.keeper.refusal.Store(&errDiskFull)
		j.giveUpReceipts()
		wantSeen(t, j, seg, keys(1)[0], time.Now())
		if n := receiptRecords(t, j); n != 1 { // the bucket
			t.Errorf("%d records", n)
		}
		time.Sleep(time.Minute)
		deliver(t, j, seg, delivery(audience.Add, 2), keys(1)...)
		full := time.Now()
		time.Sleep(time.Minute)
		j.keeper.refusal.Store(nil)
		j.giveUpReceipts() // comes too late
		deliver(t, j, seg, delivery(audience.Add, 3), keys(1)...)
		wantSeen(t, j, seg, keys(1)[0], full, 3)
	})
}

// TestReceiptsThroughPowerLoss: after a power loss at any write, a key has a receipt or
// is pending, never both and never neither.
func TestReceiptsThroughPowerLoss(t *testing.T) {
	outcomes := map[bool]int{} // whether the settle is there
	for seed := range uint64(40) {
		random, memory, seg := rand.New(rand.NewPCG(seed, 5)), NewMemory(), segment(tenant("a"), "s")
		cut := loseDeliveries(t, memory, random, seg)
		options := withReceipts()
		options.Memory = cut
		j := open(t, options)
		waiting := pending(t, j, seg)
		for _, key := range numbers(0, 200) {
			calls, _ := seen(t, j, seg, key)
			isPending := waiting[key.Text()] != 0
			delivered := slices.Contains(calls, 9)
			if isPending == delivered {
				t.Fatalf("seed %d: pending %v, delivered %v", seed, isPending, delivered)
			}
			outcomes[delivered]++
		}
	}
	if outcomes[true] == 0 || outcomes[false] == 0 {
		t.Errorf("settled or not: %v", outcomes)
	}
}

// loseDeliveries accepts and settles 200 keys, and gives what one of the log's writes
// that followed left of the disk.
func loseDeliveries(t *testing.T, memory *Memory, random *rand.Rand, seg audience.Segment) *Memory {
	t.Helper()
	var left atomic.Int64
	var cut atomic.Pointer[Memory]
	left.Store(-1)
	injector := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if strings.HasSuffix(op.Path, ".log") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && left.Add(-1) == 0 {
			cut.Store(memory.CrashClone(random))
		}
		return nil
	})
	options := withReceipts()
	options.Memory, options.files = nil, disk.Files{FS: errorfs.Wrap(memory.fs, injector)}
	j, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	add(t, j, seg, audience.Add, numbers(0, 200)...)
	left.Store(1 + random.Int64N(12))
	for _, some := range [][]audience.Key{numbers(0, 100), numbers(100, 90), numbers(190, 10)} {
		j.Settle(journal.Settle{Segment: seg, Selection: selected(slices.Values(some)), Receipt: delivery(audience.Add, 9)})
		add(t, j, segment(tenant("a"), "other"), audience.Add, keys(1)...)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if cut.Load() == nil {
		return memory
	}
	return cut.Load()
}

// TestDamagedReceipts: a block that cannot be read is an error of the searches that
// need it; the rest of these, and others, go on.
func TestDamagedReceipts(t *testing.T) {
	for _, damage := range []struct {
		prefix byte
		value  []byte // nil: the record is gone
	}{{prefixReceiptKeys, nil}, {prefixReceiptKeys, []byte{0xff}}, {prefixReceipt, nil}, {prefixReceipt, []byte{9, 9}}} {
		j, seg := open(t, withReceipts()), segment(tenant("a"), "s")
		deliver(t, j, seg, journal.Receipt{At: time.UnixMicro(1), Verb: audience.Add, Call: 1}, numbers(0, 100)...)
		deliver(t, j, seg, journal.Receipt{At: time.UnixMicro(2), Verb: audience.Add, Call: 2}, numbers(0, 100)...)
		deliver(t, j, segment(tenant("a"), "t"), delivery(audience.Add, 3), numbers(0, 100)...)
		spoil(t, j, damage.prefix, idOf(seg), damage.value)
		found := find(j, journal.Find{Segment: seg, Key: keys(1)[0]})
		gone := damage.prefix == prefixReceipt && damage.value == nil // of that nobody can know
		if len(found.Sightings) != 1 || found.Sightings[0].Call != 1 || (found.Err == nil) != gone {
			t.Errorf("%q, %v", show(found.Sightings), found.Err)
		}
		if found := find(j, journal.Find{Key: keys(1)[0]}); len(found.Sightings) != 2 {
			t.Errorf("everywhere: %q", show(found.Sightings))
		}
		if found := find(j, journal.Find{Segment: segment(tenant("a"), "t"), Key: keys(1)[0]}); len(found.Sightings) != 1 || found.Err != nil {
			t.Errorf("another segment: %q, %v", show(found.Sightings), found.Err)
		}
	}
}

// spoil overwrites the newest record of the segment.
func spoil(t *testing.T, j *Journal, prefix byte, id segmentID, value []byte) {
	t.Helper()
	var last []byte
	err := scan(j.db, []byte{prefix}, journal.Cursor{}, func(rest, _ []byte) (bool, error) {
		if segmentID(rest[4:4+idLength]) == id {
			last = append([]byte{prefix}, rest...)
		}
		return true, nil
	})
	if err == nil && value == nil {
		err = j.db.Delete(last, pebble.NoSync)
	} else if err == nil {
		err = j.db.Set(last, value, pebble.NoSync)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestUnreadableReceiptBlock: a bad block of the store is an error of the searches that
// need it.
func TestUnreadableReceiptBlock(t *testing.T) {
	var broken atomic.Bool
	injector := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind == errorfs.OpFileReadAt && strings.HasSuffix(op.Path, ".sst") {
			return errors.New("the disk has a hole")
		}
		return nil
	})
	options := withReceipts()
	options.Memory, options.files, options.CacheBytes = nil, disk.Files{FS: errorfs.Wrap(vfs.NewMem(), injector)}, 1
	j, seg := open(t, options), segment(tenant("a"), "s")
	deliver(t, j, seg, delivery(audience.Add, 1), numbers(0, 5_000)...)
	if err := j.db.Flush(); err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	if found := find(j, journal.Find{Segment: seg, Key: keys(1)[0]}); found.Err == nil {
		t.Error("no error")
	}
	broken.Store(false)
	if calls, _ := seen(t, j, seg, keys(1)[0]); len(calls) != 1 {
		t.Errorf("%v", calls)
	}
}

// TestDamagedBuckets: where it is not known what there is, the journal starts, and its
// receipts begin anew, within their limits.
func TestDamagedBuckets(t *testing.T) {
	options, seg := withReceipts(), segment(tenant("a"), "s")
	j, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	add(t, j, seg, audience.Add, keys(2)...)
	deliver(t, j, seg, delivery(audience.Add, 1), numbers(0, 1)...)
	if err := j.db.Set(bucketKey(prefixBucket, 7), []byte{0xff}, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, options)
	if n := receiptRecords(t, j); n != 1 {
		t.Errorf("%d records", n)
	}
	if len(pending(t, j, seg)) != 1 {
		t.Error("the pending key is gone")
	}
	deliver(t, j, seg, delivery(audience.Add, 2), keys(1)...)
	if calls, _ := seen(t, j, seg, keys(1)[0]); !slices.Equal(calls, []uint64{2}) {
		t.Errorf("%v", calls)
	}
}
