package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/wal"

	"audiences/audience"
	"audiences/journal/embedded/damage"
	"audiences/journal/embedded/disk"
)

// newestLog is the live WAL file of a journal on m.
func newestLog(t testing.TB, m *Memory) (path string, f damage.Log) {
	t.Helper()
	on := disk.Files{FS: m.fs}
	names, err := on.List("j/store")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if number, _, ok := wal.ParseLogFilename(name); ok && uint32(number) > f.Number {
			path, f.Number = on.PathJoin("j/store", name), uint32(number)
		}
	}
	if f.Content, err = on.Read(path); err != nil {
		t.Fatal(err)
	}
	return path, f
}

// lastRecord is where the last sound record of a log begins.
func lastRecord(f damage.Log) (start int) {
	for at := 0; ; {
		_, end := f.Record(at)
		if end == 0 {
			return f.Next(start)
		}
		start, at = at, end
	}
}

// inChunk tells the bytes of chunks from those that fill up a block.
func inChunk(f damage.Log, place int) bool {
	for at := f.Next(0); ; {
		c, ok := f.ChunkAt(at)
		if !ok || place < at {
			return false
		}
		if place < c.End {
			return true
		}
		at = f.Next(c.End)
	}
}

// numberAt is the place of the log's number in a chunk.
const numberAt = 7

func checkLog(f damage.Log) error { return new(damage.LogCheck).Check(f) }

// flipped is the log with one byte changed.
func flip(f damage.Log, at int, by byte) damage.Log {
	content := bytes.Clone(f.Content)
	content[at] ^= by
	return damage.Log{Number: f.Number, Content: content}
}

// logsOfGroups are sizes of the appends that the journals of these tests are made of.
var logsOfGroups = map[string][]int{
	"one key each":   slices.Repeat([]int{1}, 700),
	"500 keys each":  slices.Repeat([]int{500}, 25),
	"one huge group": {1, 10_000, 1, 1},
	"huge at last":   {1, 1, 1_500},
}

// TestFlipsInTheLog flips bytes of the live log. In one that SIGKILL left, each flip
// in front of the last group is damage: the store is set aside (I3, I8). In the last
// group it loses that group and no other. In one that Close left, a flip is
// reported, or nothing is lost by it. All this in the first log of a store's life and in
// a later one, whose formats differ.
func TestFlipsInTheLog(t *testing.T) {
	for name, groups := range logsOfGroups {
		for _, later := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				memory, seg := NewMemory(), segment(tenant("a"), "s")
				if later {
					written(t, Options{Dir: "j", Memory: memory})
				}
				j, n := open(t, Options{Dir: "j", Memory: memory}), 2
				if later { // after which a log takes in some MiB: it begins with less
					for range 7 {
						add(t, j, seg, audience.Add, keys(1)...)
						if err := j.db.Flush(); err != nil {
							t.Fatal(err)
						}
					}
				}
				for _, size := range groups {
					add(t, j, seg, audience.Add, numbers(n, size)...)
					n += size
				}
				killed := memory.CrashClone(nil)
				if _, log := newestLog(t, killed); later && lastRecord(log) == 0 {
					t.Fatal("the last group is alone in its log")
				}
				all := len(pending(t, j, seg))
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
				flipEverywhere(t, killed, seg, all, all-groups[len(groups)-1])
				flipEverywhere(t, memory, seg, all, all)
			})
		}
	}
}

// flipEverywhere also opens the journal for some of the flips. A flip in the last
// record of the log must leave at least that many keys.
func flipEverywhere(t *testing.T, m *Memory, seg audience.Segment, all, least int) {
	t.Helper()
	random := rand.New(rand.NewPCG(uint64(all), 5))
	path, log := newestLog(t, m)
	last, length := lastRecord(log), len(log.Content)
	if err := checkLog(log); err != nil {
		t.Fatalf("sound log, last record at %d: %v", last, err)
	}
	for n := range 300 {
		at := random.IntN(length)
		if n%4 == 0 {
			at = max(0, last-60) + random.IntN(length-max(0, last-60))
		}
		if !inChunk(log, at) && at < last {
			continue // nobody reads it
		}
		flipped := flip(log, at, byte(1+random.IntN(255)))
		err := checkLog(flipped)
		if (err != nil) != (at < last) || err != nil && !errors.Is(err, pebble.ErrCorruption) {
			t.Fatalf("a flip at %d of %d, last record at %d: %v", at, length, last, err)
		}
		if n%50 < 2 { // half of them near the end
			openFlipped(t, m, path, flipped, seg, at < last, all, least)
		}
	}
	for range 50 { // a page that is lost, in front of the last group
		page := flip(log, 0, 0)
		from := random.IntN(max(last, 1))
		clear(page.Content[from:min(from+4096, last)])
		if from < last && inChunk(log, from) && log.Content[from] != 0 && checkLog(page) == nil {
			t.Fatalf("a page that is zero from %d is not seen", from)
		}
	}
}

func openFlipped(t *testing.T, m *Memory, path string, flipped damage.Log, seg audience.Segment, damaged bool, all, least int) {
	t.Helper()
	m = m.CrashClone(nil)
	if err := (disk.Files{FS: m.fs}).Replace(path, flipped.Content); err != nil {
		t.Fatal(err)
	}
	j, err := Open(Options{Dir: "j", Memory: m})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	if aside := j.SetAside() != ""; aside != damaged {
		t.Fatalf("set aside: %v, damaged: %v", aside, damaged)
	}
	if left := len(pending(t, j, seg)); !damaged && (left < least || left > all) {
		t.Fatalf("%d keys of %d are left", left, all)
	}
}

// TestTwoLogs: when a log is replayed after another, nothing may be missing at the end of
// the first, although no flip of a byte shows there and its number says that it ended.
func TestTwoLogs(t *testing.T) {
	memory, seg := NewMemory(), segment(tenant("a"), "s")
	j := open(t, Options{Dir: "j", Memory: memory})
	add(t, j, seg, audience.Add, keys(1)...)
	add(t, j, seg, audience.Delete, keys(1)...)
	first, _ := newestLog(t, memory)
	both := memory.CrashClone(nil)
	if err := j.db.Flush(); err != nil {
		t.Fatal(err)
	}
	add(t, j, seg, audience.Add, keys(2)...)
	second, log := newestLog(t, memory)
	if first == second {
		t.Fatal("there is one log only")
	}
	if err := (disk.Files{FS: both.fs}).Replace(second, log.Content); err != nil {
		t.Fatal(err)
	}
	if got := open(t, Options{Dir: "j", Memory: both.CrashClone(nil)}); got.SetAside() != "" || len(pending(t, got, seg)) != 2 {
		t.Errorf("two sound logs: %v, set aside %q", pending(t, got, seg), got.SetAside())
	}
	content, err := (disk.Files{FS: both.fs}).Read(first)
	if err != nil {
		t.Fatal(err)
	}
	old := damage.Log{Number: log.Number, Content: content}
	number, _, _ := wal.ParseLogFilename(strings.TrimPrefix(first, "j/store/"))
	old.Number = uint32(number)
	binary.LittleEndian.PutUint32(content[lastRecord(old)+numberAt:], old.Number+1) // how a log says that it ended
	if err := (disk.Files{FS: both.fs}).Replace(first, content); err != nil {
		t.Fatal(err)
	}
	if got := open(t, Options{Dir: "j", Memory: both}); got.SetAside() == "" {
		t.Errorf("the older verb won: %v", pending(t, got, seg))
	}
}
